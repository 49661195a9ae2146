//! File systems that are about to be frozen, are, or were: with their guard and their journal.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::io::Errno;

use super::{
    guard::{link::Link, wire::Order},
    hand::{Ask, Hand},
    journal,
    order::FileSystem,
    since_boot::now,
};
use crate::{
    freezer::{Fault, FaultKind},
    limits::Limits,
    worker::Worker,
};

/// A guard that was stopped is found out within this part of the file systems' limit.
const PATIENCE: u32 = 4;
/// A busy machine needs this to give the guard its turn.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// The file systems of a set, and all that freezing them takes.
pub(super) struct Armed {
    pub(super) limits: Limits,
    /// The directory of the journal.
    run: PathBuf,
    pub(super) journal: journal::Held,
    pub(super) guard: Link,
    /// In the order in which they freeze.
    members: Vec<Member>,
    /// When the first began to freeze.
    pub(super) frozen: Option<Duration>,
    /// Whether the guard's timer for file systems runs.
    timed: bool,
    /// When the limits pass.
    file_systems: Duration,
    pub(super) writers: Duration,
}

struct Member {
    mount: PathBuf,
    worker: Worker<Hand>,
    state: State,
    /// The guard knows that it has thawed, while another has not.
    told: bool,
    /// Made beforehand, for nothing is made while something is frozen.
    not_freezable: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Thawed,
    Frozen,
    /// Its FIFREEZE or FITHAW hangs: left to its thread, and to the guard.
    Hanging(Ask),
}

/// What became of a thaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thawed {
    /// All were frozen until now.
    Held,
    /// This one had been thawed by somebody else.
    Before(usize),
    /// This one does not thaw.
    Not(usize, Option<Errno>),
}

impl Member {
    fn new(known: FileSystem, file_system: OwnedFd) -> io::Result<Self> {
        let not_freezable = Fault {
            mount: Some(known.mount.clone()),
            kind: FaultKind::NotFreezable,
            cause: "this kind of file system cannot be frozen; the policy crash-consistent copies \
                    it all the same"
                .to_owned(),
        };
        Ok(Self {
            mount: known.mount,
            worker: Hand::new(file_system)?,
            state: State::Thawed,
            told: false,
            not_freezable: Some(not_freezable),
        })
    }
}

impl Armed {
    /// Gives each file system its thread, and starts the guard.
    ///
    /// # Errors
    /// What the operating system says; the journal again.
    pub(super) fn start(
        limits: Limits,
        run: &Path,
        journal: journal::Held,
        file_systems: Vec<(FileSystem, OwnedFd)>,
    ) -> Result<Self, (journal::Held, io::Error)> {
        let mounts: Vec<_> = file_systems.iter().map(|(_, opened)| opened.as_fd()).collect();
        let patience = (limits.file_systems / PATIENCE).max(LEAST_PATIENCE);
        let guard = match Link::start(run, journal.as_fd(), &mounts, patience) {
            Ok(guard) => guard,
            Err(error) => return Err((journal, error)),
        };
        let members = file_systems.into_iter().map(|(known, opened)| Member::new(known, opened));
        match members.collect() {
            Ok(members) => Ok(Self {
                limits,
                run: run.to_owned(),
                journal,
                guard,
                members,
                frozen: None,
                timed: false,
                file_systems: Duration::ZERO,
                writers: Duration::ZERO,
            }),
            Err(error) => {
                guard.end();
                Err((journal, error))
            }
        }
    }

    /// The mount point of the file system that a [`Thawed`] names.
    pub(super) fn mount(&self, number: usize) -> PathBuf {
        self.members[number].mount.clone()
    }

    pub(super) fn tell(&mut self, order: Order) -> Result<(), Fault> {
        self.guard.tell(order).map_err(|_| failed(None, "the guard process does not answer"))
    }

    /// Writes all out at once.
    pub(super) fn sync(&mut self, within: Duration) -> Result<(), Fault> {
        let end = now().saturating_add(within);
        self.members.iter().for_each(|member| member.worker.ask(Ask::Sync));
        for member in &self.members {
            match member.worker.wait(end.saturating_sub(now())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    return Err(failed(Some(&member.mount), io::Error::from(error).to_string()));
                }
                Err(_) => {
                    let cause = format!("it was not written out within {} ms", within.as_millis());
                    let mount = Some(member.mount.clone());
                    return Err(Fault { mount, kind: FaultKind::Timeout, cause });
                }
            }
        }
        Ok(())
    }

    pub(super) fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        let end = now() + within;
        self.sync(within)?;
        self.file_systems = end.min(now() + self.limits.file_systems);
        self.timed = true;
        self.tell(Order::FileSystemsFreeze(self.file_systems))?;
        self.frozen = Some(now());
        let mut passed_over = None;
        for number in 0..self.members.len() {
            let left = self.left();
            let member = &mut self.members[number];
            if left.is_zero() {
                return Err(self.give_up(number, FaultKind::Timeout, None));
            }
            match member.worker.call(Ask::Freeze, left) {
                Ok(Ok(())) => member.state = State::Frozen,
                Ok(Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS)) => {
                    passed_over = passed_over.or_else(|| member.not_freezable.take());
                }
                Ok(Err(error)) => {
                    let busy = error == Errno::BUSY;
                    let kind = if busy { FaultKind::Busy } else { FaultKind::Failed };
                    return Err(self.give_up(number, kind, Some(error)));
                }
                Err(_) => {
                    member.state = State::Hanging(Ask::Freeze);
                    return Err(self.give_up(number, FaultKind::Timeout, None));
                }
            }
        }
        passed_over.map_or(Ok(()), Err)
    }

    /// What is left of the limit.
    pub(super) fn left(&self) -> Duration {
        self.file_systems.saturating_sub(now())
    }

    /// Thaws what is frozen, and only then says why.
    fn give_up(&mut self, number: usize, kind: FaultKind, error: Option<Errno>) -> Fault {
        self.thaw();
        let cause = match kind {
            FaultKind::Busy => "somebody else holds it frozen; thaw it with fsfreeze -u".to_owned(),
            _ => error.map_or_else(
                || format!("it did not freeze within {} ms", self.limits.file_systems.as_millis()),
                |error| io::Error::from(error).to_string(),
            ),
        };
        Fault { mount: Some(self.members[number].mount.clone()), kind, cause }
    }

    /// Thaws what is frozen, in reverse order.
    pub(super) fn thaw(&mut self) -> Thawed {
        let end = self
            .file_systems
            .max(now() + (self.limits.file_systems / PATIENCE).max(LEAST_PATIENCE));
        // One that hangs must not keep the others frozen: all are asked, then waited for.
        let frozen = |member: &Member| member.state == State::Frozen;
        for member in self.members.iter().rev().filter(|member| frozen(member)) {
            member.worker.ask(Ask::Thaw);
        }
        let mut result = Thawed::Held;
        for (number, member) in self.members.iter_mut().enumerate().rev() {
            if !frozen(member) {
                continue;
            }
            match member.worker.wait(end.saturating_sub(now())) {
                Ok(Ok(())) => member.state = State::Thawed,
                Ok(Err(Errno::INVAL)) => {
                    member.state = State::Thawed;
                    if result == Thawed::Held {
                        result = Thawed::Before(number);
                    }
                }
                Ok(Err(error)) => result = Thawed::Not(number, Some(error)),
                Err(_) => {
                    member.state = State::Hanging(Ask::Thaw);
                    result = Thawed::Not(number, None);
                }
            }
        }
        result
    }

    /// Leaves the rest to the guard; to a new one, where that one does not answer.
    pub(super) fn abandon(mut self) {
        let end = now() + Limits::MOST_WRITERS;
        // A FIFREEZE that comes back is undone by its thread; what became of a FITHAW nobody knows.
        let freezing = |member: &&mut Member| member.state == State::Hanging(Ask::Freeze);
        for member in self.members.iter_mut().filter(freezing) {
            if member.worker.ended(end.saturating_sub(now())) {
                member.state = State::Thawed;
            }
        }
        let _ = self.settle();
        if !self.guard.leave() {
            if self.members.iter().all(|member| member.state == State::Thawed) {
                let _ = self.journal.thawed();
            }
            // It needs no mount points: what it recovers is in the journal. Without it the next
            // command does so.
            let _ = Link::start(&self.run, self.journal.as_fd(), &[], LEAST_PATIENCE);
        }
    }

    /// Tells the guard that nothing is frozen any more, where that is so. It is told once.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        let left = self.members.iter().find(|member| member.state != State::Thawed);
        if let Some(member) = left {
            let cause = "it hangs in freezing or thawing; the guard thaws it as soon as it can";
            let fault = failed(Some(&member.mount), cause);
            // Whoever freezes the others from now on is somebody else.
            for number in 0..self.members.len() {
                let member = &mut self.members[number];
                if member.state == State::Thawed && !std::mem::replace(&mut member.told, true) {
                    self.tell(Order::Thawed(u32::try_from(number).unwrap_or(u32::MAX)))?;
                }
            }
            return Err(fault);
        }
        match std::mem::take(&mut self.timed) {
            true => self.tell(Order::FileSystemsThawed),
            false => Ok(()),
        }
    }
}

/// Something went wrong, at a mount point or not.
pub(super) fn failed(mount: Option<&Path>, cause: impl Into<String>) -> Fault {
    Fault { mount: mount.map(Path::to_owned), kind: FaultKind::Failed, cause: cause.into() }
}
