//! `horcmstart`, `horcmshutdown` and `horcmgr` as processes, with a program in the daemon's
//! place.
#![cfg(unix)]

mod common;

use std::process::Command;

use common::{Place, ScriptedDaemon, instance, ran};
use protocol::{
    Registration,
    horcm::{Reply, Request},
};

/// An instance whose process is a sleeping shell and whose answers are this test's.
struct Staged {
    place: Place,
    daemon: ScriptedDaemon,
}

impl Staged {
    fn new() -> Self {
        let place = Place::new();
        let home = place.home.clone();
        let daemon = ScriptedDaemon::new(place.key(), move |request| {
            if *request == Request::Shutdown {
                let registered = Registration::read(&home, instance(50)).unwrap().unwrap();
                Registration::remove(&home, instance(50)).unwrap();
                // The shell was started by horcmstart for this test alone.
                end(registered.pid);
                return Some(Ok(Reply::Done));
            }
            let host = "localhost".to_owned();
            Some(Ok(Reply::Alive { instance: instance(50), pid: 1, host }))
        });
        let script = format!(
            "[ \"$HORCMINST\" = 50 ] || exit 9\n\
             echo \"{} $$\" > \"$HORCMROOT/.uds/horcmd_0$HORCMINST\"\n\
             exec sleep 600",
            daemon.address
        );
        place.daemon_program(&script);
        Self { place, daemon }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Ok(Some(left)) = Registration::read(&self.place.home, instance(50)) {
            end(left.pid);
        }
    }
}

fn end(pid: u32) {
    let _ = Command::new("kill").arg(pid.to_string()).status();
}

#[test]
fn an_instance_starts_is_found_running_and_ends() {
    let staged = Staged::new();
    let place = &staged.place;
    let check = || ran(place.command("horcmgr", "-check").env("HORCMINST", "50")).code;
    assert_eq!(check(), Some(0));

    let started = place.run("horcmstart.sh", "50");
    assert_eq!((started.code, started.stderr.as_str()), (Some(0), ""));
    assert_eq!(started.stdout, "starting HORCM inst 50\nHORCM inst 50 starts successfully.\n");
    assert_eq!(check(), Some(1));

    let again = place.run("horcmstart", "50");
    assert_eq!(again.code, Some(1));
    assert_eq!(again.stdout, "starting HORCM inst 50\nHORCM inst 50 has already been running.\n");

    let pid = Registration::read(&place.home, instance(50)).unwrap().unwrap().pid;
    let ended = place.run("horcmshutdown", "50");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout, "inst 50:\nHORCM Shutdown inst 50 !!!\n");
    assert!(!commands::lifecycle::is_alive(pid), "it was told gone and is not");
    assert_eq!(check(), Some(0));
    assert!(staged.daemon.asked().contains(&Request::Shutdown));

    let stopped = place.run("horcmshutdown", "50");
    assert_eq!((stopped.code, stopped.stdout.as_str()), (Some(251), "inst 50:\n"));
    assert!(stopped.stderr.contains("Can't be attached to HORC manager"));
}

#[test]
fn a_daemon_that_ends_at_once_gives_its_reason() {
    let place = Place::new();
    place.daemon_program(
        "echo 'horcmd: [HORCM_007] An error exists in the HORCM setup file.' >&2\nexit 3",
    );
    let started = place.run("horcmstart", "5");
    assert_eq!(started.code, Some(3));
    assert_eq!(started.stdout, "starting HORCM inst 5\nHORCM inst 5 has failed to start.\n");
    assert_eq!(started.stderr, "horcmd: [HORCM_007] An error exists in the HORCM setup file.\n");
    let unnumbered = place.run("horcmstart", "");
    assert_eq!(unnumbered.stdout, "starting HORCM\nHORCM has failed to start.\n");
}

#[test]
fn a_daemon_that_finds_another_one_was_running_already() {
    let place = Place::new();
    place.daemon_program("echo 'horcmd: HORCM inst 5 has already been running.' >&2\nexit 1");
    let started = place.run("horcmstart", "5");
    assert_eq!(started.code, Some(1));
    assert_eq!(started.stdout, "starting HORCM inst 5\nHORCM inst 5 has already been running.\n");
    // Any other death with that code is a failure.
    place.daemon_program("exit 1");
    assert_eq!(place.run("horcmstart", "5").code, Some(3));
}

#[test]
fn a_daemon_that_never_gets_ready_is_ended() {
    let place = Place::new();
    let file = place.root.path().join("pid");
    place.daemon_program(&format!("echo $$ > {}\nexec sleep 600", file.display()));
    let started = ran(place.command("horcmstart", "5").env("HORCMSTART_WAIT", "1"));
    assert_eq!(started.code, Some(3));
    assert!(started.stderr.contains("not ready within 1 s"), "{}", started.stderr);
    let pid = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    assert!(!commands::lifecycle::is_alive(pid));
}

#[test]
fn several_instances_are_started_each_in_turn_with_files_of_their_own() {
    let place = Place::new();
    place.daemon_program("echo \"$HORCMINST ${HORCM_CONF:-its own}\" >&2\nexit 3");
    let started = ran(place.command("horcmstart", "5 6").env("HORCM_CONF", "/etc/one.conf"));
    assert_eq!(started.code, Some(3));
    assert_eq!(started.stderr, "5 its own\n6 its own\n");
    let one = ran(place.command("horcmstart", "5").env("HORCM_CONF", "/etc/one.conf"));
    assert_eq!(one.stderr, "5 /etc/one.conf\n");
}

#[test]
fn a_missing_daemon_program_is_told() {
    let place = Place::new();
    let started = ran(place.command("horcmstart", "5").env("PATH", ""));
    assert_eq!(started.code, Some(3));
    assert!(started.stderr.contains("there is no horcmd beside"), "{}", started.stderr);
}

#[test]
fn the_daemon_leaves_the_session_of_its_starter() {
    let place = Place::new();
    place.daemon_program("cat /proc/self/stat >&2\nexit 3");
    let stat = place.run("horcmstart", "5").stderr;
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Behind the name: state, parent, process group, session. cat's parent is the shell, and the
    // shell leads a session of its own.
    let (parent, session) = (fields[1], fields[3]);
    assert_eq!(parent, session, "{stat}");
}
