//! The running daemon of an instance, as whoever works on its host speaks to it: found by its
//! registration, asked one thing after the other.

use std::{
    io,
    time::{Duration, Instant},
};

use model::{CciError, CciResult, Code, Instance};

use crate::{
    BlockingCaller, CallError, Home, Key, Kind, Registration, RequestId, codec,
    horcm::{Answer, Reply, Request},
    logins,
};

/// The running daemon of an instance.
#[derive(Debug)]
pub struct Attached {
    home: Home,
    caller: BlockingCaller,
    instance: Instance,
    patience: Duration,
}

/// A request with its name, ready to be sent: what takes time and memory was done before.
#[derive(Debug, Clone)]
pub struct Prepared {
    id: RequestId,
    kind: Kind,
    body: Vec<u8>,
}

impl Prepared {
    /// Encodes a request under a new name, with the logins that this user keeps at the moment.
    #[must_use]
    pub fn new(home: &Home, request: &Request) -> Self {
        let kind = if request.mutates() { Kind::Change } else { Kind::Read };
        Self { id: RequestId::random(), kind, body: codec::encode(&(logins::all(home), request)) }
    }
}

impl Attached {
    /// Finds the daemon of an instance by its registration. `patience` is how long it may be
    /// silent.
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
        Ok(Self { home: home.clone(), caller, instance, patience })
    }

    /// Which instance it is.
    #[must_use]
    pub const fn instance(&self) -> Instance {
        self.instance
    }

    /// Asks one thing and waits for the answer.
    ///
    /// # Errors
    /// What the daemon refused with, or EX_ATTHOR and EX_COMERR when it cannot be asked.
    pub fn ask(&mut self, request: &Request) -> CciResult<Reply> {
        // One id for one thing asked: the caller resends under it, so that a lost answer never
        // means a change made twice.
        self.send(&Prepared::new(&self.home, request), None)
    }

    /// Sends what was prepared and waits for the answer; until `deadline`, where there is one,
    /// also while the daemon says that it works on it. After that it may have happened or not.
    ///
    /// # Errors
    /// As [`Attached::ask`].
    pub fn send(&mut self, prepared: &Prepared, deadline: Option<Instant>) -> CciResult<Reply> {
        let Prepared { id, kind, body } = prepared;
        let answer = match deadline {
            None => self.caller.call(*id, *kind, body, self.patience),
            Some(deadline) => self.caller.call_until(*id, *kind, body, self.patience, deadline),
        };
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        codec::decode::<Answer>(&answer).map_err(|_| {
            garbled(self.instance, "its answer cannot be read; is it of another version?")
        })?
    }

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
            CallError::Late => garbled(self.instance, "it was still at work at the deadline"),
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
