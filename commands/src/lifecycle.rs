//! Seeing a daemon live and end.

use std::time::Duration;

use model::{CciError, CciResult, Code, Instance};
use protocol::{
    Home, Registration,
    horcm::{Reply, Request},
};

use crate::{
    daemon::{Attached, unexpected},
    platform,
    session::Session,
};

/// How long a ping may stay unanswered.
const PING: Duration = Duration::from_secs(2);

/// How often the end of a daemon is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// How long a daemon may take to end after it said that it will.
const END: Duration = Duration::from_secs(60);

/// Whether the daemon of an instance runs and answers.
#[must_use]
pub fn is_running(home: &Home, instance: Instance) -> bool {
    let alive = |registration: Registration| is_alive(registration.pid);
    Registration::read(home, instance).is_ok_and(|found| found.is_some_and(alive))
        && answers(home, instance)
}

/// Whether whoever is registered for an instance answers a ping.
pub(crate) fn answers(home: &Home, instance: Instance) -> bool {
    Attached::new(home, instance, PING)
        .and_then(|mut daemon| daemon.ask(&Request::Ping))
        .is_ok_and(|reply| matches!(reply, Reply::Alive { .. }))
}

/// Tells a daemon to end and returns when its process is gone.
///
/// # Errors
/// EX_ATTHOR when it does not run, EX_COMERR when it does not end.
pub fn shut_down(session: &mut Session<'_, '_>, instance: Instance) -> CciResult<()> {
    let registered = Registration::read(&session.world.home, instance).ok().flatten();
    let lived = registered.is_some_and(|registration| is_alive(registration.pid));
    let attached = session.world.attach.attach(instance);
    let asked = attached.and_then(|mut daemon| daemon.ask(&Request::Shutdown));
    let home = &session.world.home;
    let gone = || registered.is_none_or(|registration| is_gone(home, instance, registration));
    match asked {
        Ok(Reply::Done) => {}
        Ok(_) => return Err(unexpected(instance)),
        // The daemon may end before its last answer has arrived.
        Err(_) if lived && gone() => return Ok(()),
        Err(error) => return Err(error),
    }
    let clock = session.world.clock;
    let begun = clock.now();
    while !gone() {
        if clock.now().saturating_sub(begun) >= END {
            return Err(CciError::new(Code::ExComerr)
                .object(format!("HORCM {instance}"))
                .state("still running")
                .cause(format!("it did not end within {} s", END.as_secs()))
                .advice("look into its log, horcmlog_<HOST>/horcm.log"));
        }
        clock.sleep(LOOK);
    }
    Ok(())
}

/// Whether the registered process has ended. A successor that registered meanwhile is not waited
/// for.
fn is_gone(home: &Home, instance: Instance, registration: Registration) -> bool {
    let still = Registration::read(home, instance).ok().flatten();
    still != Some(registration) && !is_alive(registration.pid)
}

/// Whether a process is there and has not merely been left unreaped.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    platform::is_alive(pid)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_registration_without_its_process_is_no_running_daemon() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path().to_owned());
        let fifty = Instance::numbered(50).unwrap();
        assert!(!is_running(&home, fifty));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let address = "127.0.0.1:9".parse().unwrap();
        Registration { address, pid: child.id() }.write(&home, fifty).unwrap();
        assert!(!is_running(&home, fifty));
    }
}
