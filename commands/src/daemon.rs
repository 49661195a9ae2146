//! Asking the daemon of an instance.

use std::{io, time::Duration};

use model::{CciError, CciResult, Code, Instance};
use protocol::{
    BlockingCaller, CallError, Home, Key, Kind, Registration, RequestId, codec,
    horcm::{Answer, Reply, Request},
    login::Login,
};

use crate::logins;

/// How long a daemon may be silent before it counts as gone. A daemon that works on a request
/// says so every now and then, so that this bounds silence, not work.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Whom a command asks. The tests put a script in its place.
pub trait Daemon {
    /// Asks one thing and waits for the answer.
    ///
    /// # Errors
    /// What the daemon refused with, or EX_ATTHOR and EX_COMERR when it cannot be asked.
    fn ask(&mut self, request: &Request) -> CciResult<Reply>;
}

/// The running daemon of an instance.
#[derive(Debug)]
pub struct Attached {
    caller: BlockingCaller,
    instance: Instance,
    patience: Duration,
    logins: Vec<Login>,
}

impl Attached {
    /// Finds the daemon of an instance by its registration.
    ///
    /// # Errors
    /// EX_ATTHOR when none is registered, or its key cannot be read.
    pub fn new(home: &Home, instance: Instance, patience: Duration) -> CciResult<Self> {
        let unreadable = |error: io::Error| detached(instance, error.to_string());
        let Some(registration) = Registration::read(home, instance).map_err(unreadable)? else {
            let file = home.registration_file(instance);
            return Err(detached(
                instance,
                format!("no daemon is registered ({} is missing)", file.display()),
            ));
        };
        let key = Key::load(&home.key_file()).map_err(unreadable)?;
        let caller = BlockingCaller::connect(registration.address, key).map_err(unreadable)?;
        Ok(Self { caller, instance, patience, logins: logins::all(home) })
    }
}

impl Daemon for Attached {
    fn ask(&mut self, request: &Request) -> CciResult<Reply> {
        let kind = if request.mutates() { Kind::Change } else { Kind::Read };
        let body = codec::encode(&(&self.logins, request));
        // One id for one thing asked: the caller resends under it, so that a lost answer never
        // means a change made twice.
        let answer = self
            .caller
            .call(RequestId::random(), kind, &body, self.patience)
            .map_err(|error| self.unanswered(&error))?;
        codec::decode::<Answer>(&answer).map_err(|_| {
            garbled(self.instance, "its answer cannot be read; is it of another version?")
        })?
    }
}

impl Attached {
    fn unanswered(&self, error: &CallError) -> CciError {
        let seconds = self.patience.as_secs();
        match error {
            CallError::Refused => detached(
                self.instance,
                "its registration is there, but nobody listens at its address any more".to_owned(),
            ),
            CallError::Silent => detached(
                self.instance,
                format!("it did not answer within {seconds} s; it hangs, or holds another key"),
            ),
            other => garbled(self.instance, &other.to_string()),
        }
    }
}

/// EX_ATTHOR: there is no daemon to speak to.
#[must_use]
pub fn detached(instance: Instance, cause: String) -> CciError {
    let number = instance.number().map(|n| format!(" {n}"));
    CciError::new(Code::ExAtthor)
        .object(format!("HORCM {instance}"))
        .state("not running, or not reachable")
        .cause(cause)
        .advice(format!("start it: horcmstart{}", number.unwrap_or_default()))
}

fn garbled(instance: Instance, cause: &str) -> CciError {
    CciError::new(Code::ExComerr).object(format!("HORCM {instance}")).cause(cause)
}

/// An answer of another kind than the request asked for: a daemon of another version.
#[must_use]
pub fn unexpected(instance: Instance) -> CciError {
    garbled(instance, "it answered something else than it was asked; is it of another version?")
}
