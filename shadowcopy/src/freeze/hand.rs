//! One file system on a thread of its own: each of its calls may hang.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::{fs::syncfs, io::Errno};

use super::{ioctl, since_boot::now};
use crate::worker::{Station, Worker};

/// The calls need next to nothing, and all of it is locked into memory.
const STACK: usize = 64 * 1024;

/// What is asked of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To write itself out.
    Sync,
    /// To hold writes.
    Freeze,
    /// To go on.
    Thaw,
}

/// A file system in its thread.
pub struct Hand {
    file_system: OwnedFd,
    last: Ask,
}

impl Hand {
    /// Gives a file system its thread.
    pub fn new(file_system: OwnedFd) -> io::Result<Worker<Self>> {
        Worker::new("file system", STACK, Self { file_system, last: Ask::Sync })
    }
}

impl Station for Hand {
    type Call = Ask;
    type Answer = Result<(), Errno>;

    fn call(&mut self, ask: Ask) -> Self::Answer {
        self.last = ask;
        match ask {
            Ask::Sync => syncfs(&self.file_system),
            Ask::Freeze => ioctl::freeze(&self.file_system),
            Ask::Thaw => ioctl::thaw(&self.file_system),
        }
    }

    /// A FIFREEZE that comes back when nobody waits for it any more is undone at once.
    fn left(&mut self, answer: Self::Answer) {
        if self.last == Ask::Freeze && answer.is_ok() {
            let _ = ioctl::thaw(&self.file_system);
        }
    }
}

/// Thaws whatever is frozen, all at once and once more than was asked before; says whether all
/// answered in time.
pub fn thaw_all<'a>(
    hands: impl Iterator<Item = &'a Worker<Hand>> + Clone,
    within: Duration,
) -> bool {
    let end = now() + within;
    let answered = |hand: &Worker<Hand>| hand.wait(end.saturating_sub(now())).is_ok();
    // What was asked before may have been answered too early.
    for hand in hands.clone().filter(|hand| !hand.idle()) {
        answered(hand);
    }
    hands.clone().for_each(|hand| hand.ask(Ask::Thaw));
    hands.filter(|hand| !answered(hand)).count() == 0
}
