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

    /// Writers are about to be frozen: the guard's timer for them begins.
    ///
    /// # Errors
    /// That the guard is gone.
    fn writers_freeze(&mut self) -> Result<(), Fault>;

    /// Writes the file systems out and freezes them, those mounted last first.
    ///
    /// # Errors
    /// The mount point that could not be frozen; those before it are frozen until [`Self::thaw`].
    fn freeze(&mut self) -> Result<(), Fault>;

    /// Thaws all that were frozen, in reverse order; none is fine.
    ///
    /// # Errors
    /// That the guard thawed them before (writes were not held), or that one does not thaw.
    fn thaw(&mut self) -> Result<Held, Fault>;

    /// Writers have thawed: the guard's timer for them ends.
    ///
    /// # Errors
    /// That the guard is gone, or the limit has passed.
    fn writers_thaw(&mut self) -> Result<(), Fault>;

    /// The backup is over, and the catalogue says so: the guard ends, the journal goes.
    fn disarm(&mut self);
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
