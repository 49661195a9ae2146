//! The coordinator: the steps of a backup in their order, and what follows a failure.
//!
//! | file | what it holds |
//! |---|---|
//! | `run` | the steps |
//! | `undo` | what follows a failure |
//! | `window` | how the writers' limit is shared out |
//! | `trouble` | why a step failed |

mod run;
#[cfg(test)]
mod tests;
mod trouble;
mod undo;
mod window;

use std::path::PathBuf;

use provider::{
    guid::{SetId, SnapshotId},
    host::Clock,
};
use serde::Deserialize;

pub use self::{run::run, window::Window};
use crate::{
    catalogue::BackupId,
    freezer::Freezer,
    ledger::{Findings, Ledger},
    limits::Limits,
    observer::Observer,
    places::Places,
    volume::MountedVolume,
};

/// What to copy, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The backup in the catalogue; it is there already, as running.
    pub id: BackupId,
    /// The snapshot set, and the name of each shadow copy in it.
    pub set: SetId,
    /// The volumes; none is refused.
    pub volumes: Vec<(SnapshotId, MountedVolume)>,
    /// How long may be frozen. More than VSS allows counts as what it allows.
    pub limits: Limits,
    /// What to do where something does not hold its writes.
    pub policy: Policy,
}

impl Plan {
    /// Where its volumes are mounted.
    #[must_use]
    pub fn mounts(&self) -> Vec<PathBuf> {
        self.volumes.iter().map(|(_, volume)| volume.mount.clone()).collect()
    }
}

/// What to do where a writer fails or a file system knows no freezing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Give the backup up.
    #[default]
    Abort,
    /// Go on, and say so: `crash-consistent`. Where file systems were frozen and a limit passed
    /// before they thawed, the backup is given up all the same.
    CrashConsistent,
}

/// Everything around the coordinator but the writers and the provider.
pub struct Around<'a> {
    /// The file systems.
    pub freezer: &'a mut dyn Freezer,
    /// Where files are.
    pub places: &'a dyn Places,
    /// The catalogue.
    pub ledger: &'a mut dyn Ledger,
    /// Who is told of the steps.
    pub observer: &'a mut dyn Observer,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// What is there when all is over.
#[derive(Debug)]
pub struct Finished<C> {
    /// What the catalogue keeps.
    pub findings: Findings,
    /// The provider again; `None` where it hangs.
    pub copies: Option<C>,
    /// Something hangs or could not be undone. The process must end now: locks that its database
    /// sessions hold end with it, and the guard, which waits for that, undoes the rest.
    pub unfinished: bool,
}
