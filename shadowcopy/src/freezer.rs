//! The seam to the file systems of a set.

use std::{fmt, path::PathBuf, time::Duration};

use crate::limits::Limits;

/// Freezes the file systems of a set, and sees to it that they thaw.
pub trait Freezer {
    /// Opens the mount points, writes the journal, starts the guard. Nothing is frozen.
    ///
    /// # Errors
    /// What the operating system says; nothing has to be undone.
    fn arm(&mut self, limits: Limits) -> Result<(), Fault>;

    /// Writes the file systems out for a first time, so that little is left when they freeze. Then
    /// writers are about to be frozen: the guard's timer for them begins.
    ///
    /// # Errors
    /// That the guard is gone.
    fn writers_freeze(&mut self) -> Result<(), Fault>;

    /// Writes the file systems out, then freezes them, those mounted last first. Their limit begins
    /// with the first that freezes; gives up when `within` has passed before.
    ///
    /// # Errors
    /// The mount point that could not be frozen. One that is [`FaultKind::NotFreezable`] is passed
    /// over: all others are frozen when that is returned. With any other fault those before it may
    /// be. [`Self::thaw`] is called in any case.
    fn freeze(&mut self, within: Duration) -> Result<(), Fault>;

    /// What is left of the file systems' limit, of those that were frozen. Allocates nothing.
    fn left(&self) -> Duration;

    /// Thaws all that were frozen, in reverse order; none is fine.
    ///
    /// # Errors
    /// [`FaultKind::Timeout`]: all are thawed, but the limit has passed or somebody else thawed one
    /// before, so writes were not held. Anything else: one does not thaw, or the guard is gone.
    fn thaw(&mut self) -> Result<Held, Fault>;

    /// Writers have thawed: the guard's timer for them ends.
    ///
    /// # Errors
    /// That the guard is gone, or the limit has passed.
    fn writers_thaw(&mut self) -> Result<(), Fault>;

    /// The backup is over, and the catalogue says so: the guard ends, the journal goes.
    fn disarm(&mut self);

    /// The process is about to end, and something is left to undo: the guard does that then. Waits
    /// for file systems that hang in freezing, which thaw as they come back: the end of the process
    /// would wait for them too, and leave them frozen if there were no guard.
    fn abandon(&mut self);
}

/// How long the file systems were frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held(pub Duration);

/// Why a file system was not frozen or thawed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The mount point; `None` where it is not one file system's.
    pub mount: Option<PathBuf>,
    /// Kind.
    pub kind: FaultKind,
    /// What happened.
    pub cause: String,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The file system knows no freezing (NFS, vfat ...): the policy decides.
    NotFreezable,
    /// Somebody else holds it frozen.
    Busy,
    /// The limit passed.
    Timeout,
    /// Anything else.
    Failed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mount {
            Some(mount) => write!(f, "{}: {}", mount.display(), self.cause),
            None => f.write_str(&self.cause),
        }
    }
}

impl std::error::Error for Fault {}
