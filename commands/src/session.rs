//! What a running command has at hand: its daemon, its mode, its output, the time.

use std::{
    io::{BufRead, Write},
    time::{Duration, Instant},
};

use model::{CciResult, Instance, Mode};
use protocol::{
    Home,
    horcm::{Reply, Request},
};

use crate::{
    daemon::{Attached, Daemon, PATIENCE, unexpected},
    environment::Environment,
    scope::Scope,
};

/// Time, so that a test waits a day in a millisecond.
pub trait Clock {
    /// Time since some fixed instant.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The clock on the wall.
#[derive(Debug, Clone, Copy)]
pub struct WallClock(Instant);

impl Default for WallClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for WallClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Finds the daemon of an instance.
pub trait Attach {
    /// The daemon, not yet asked anything.
    ///
    /// # Errors
    /// EX_ATTHOR when it does not run.
    fn attach(&self, instance: Instance) -> CciResult<Box<dyn Daemon>>;
}

impl Attach for Home {
    fn attach(&self, instance: Instance) -> CciResult<Box<dyn Daemon>> {
        Ok(Box::new(Attached::new(self, instance, PATIENCE)?))
    }
}

/// Everything outside a command. The tests build one of memory.
pub struct World<'w> {
    /// The environment variables.
    pub environment: Environment,
    /// Where logs, keys and registrations are.
    pub home: Home,
    /// Finds daemons.
    pub attach: &'w dyn Attach,
    /// Whether a line of the interactive mode is being carried out.
    pub at_prompt: bool,
    /// Standard input, for the interactive mode and device lists.
    pub input: Option<Box<dyn BufRead + Send>>,
    /// Standard output.
    pub output: &'w mut dyn Write,
    /// Standard error.
    pub errors: &'w mut dyn Write,
    /// The time.
    pub clock: &'w dyn Clock,
}

/// One run of one command.
pub struct Session<'s, 'w> {
    /// Everything outside.
    pub world: &'s mut World<'w>,
    /// The command's name, for messages.
    pub command: &'static str,
    /// Its mode and instance.
    pub scope: Scope,
    /// `-nomsg`: no messages, only the exit code.
    pub quiet: bool,
    /// The daemon, once it was asked something.
    pub daemon: Option<Box<dyn Daemon>>,
}

impl Session<'_, '_> {
    /// The command's mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.scope.mode
    }

    /// Where rows go.
    pub fn out(&mut self) -> &mut dyn Write {
        &mut *self.world.output
    }

    /// Asks the daemon of the command's instance.
    ///
    /// # Errors
    /// As [`Daemon::ask`]; EX_ATTHOR when there is no daemon.
    pub fn ask(&mut self, request: &Request) -> CciResult<Reply> {
        let daemon = match &mut self.daemon {
            Some(daemon) => daemon,
            none => none.insert(self.world.attach.attach(self.scope.instance)?),
        };
        daemon.ask(request)
    }

    /// Asks for something that is answered by a bare "done".
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub fn order(&mut self, request: &Request) -> CciResult<()> {
        match self.ask(request)? {
            Reply::Done => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    /// The error for an answer of the wrong kind.
    #[must_use]
    pub fn unexpected(&self) -> model::CciError {
        unexpected(self.scope.instance)
    }

    /// Prints a message, `<command> : <text>`, unless `-nomsg`.
    ///
    /// # Errors
    /// When standard output does not take it.
    pub fn say(&mut self, text: &str) -> std::io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let command = self.command;
        writeln!(self.out(), "{command} : {text}")
    }
}
