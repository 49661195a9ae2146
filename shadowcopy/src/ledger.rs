//! The seam to the catalogue.

use provider::guid::SetId;

use crate::{
    catalogue::{BackupId, State, record::Participant},
    step::Step,
    writer::Artifact,
};

/// Where the outcome of a backup is kept.
pub trait Ledger {
    /// There is a copy: [`State::Consistent`] or [`State::CrashConsistent`]. Durable when it
    /// returns.
    ///
    /// # Errors
    /// What the storage says. The record may be there all the same: [`Self::state`] says so.
    fn finish(&mut self, id: BackupId, findings: &Findings) -> Result<(), String>;

    /// There is none: [`State::Aborted`]. The recovery may say so again, knowing less: a backup that
    /// is not running any more stays as it is.
    ///
    /// # Errors
    /// What the storage says.
    fn abort(&mut self, id: BackupId, findings: &Findings) -> Result<(), String>;

    /// How a backup stands; `None` for one that is not known (any more). One with a copy must not
    /// be undone.
    ///
    /// # Errors
    /// What the storage says.
    fn state(&mut self, id: BackupId) -> Result<Option<State>, String>;
}

/// What came of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The snapshot set.
    pub set: SetId,
    /// How it stands. [`State::Running`] until the end.
    pub state: State,
    /// When each step ended, in microseconds since the first began.
    pub evidence: Vec<(Step, u64)>,
    /// Microseconds for which the file systems were frozen; `None` where they were not.
    pub held: Option<u64>,
    /// The writers, in the order they froze.
    pub writers: Vec<Participant>,
    /// What they handed over: which of `writers`, and what.
    pub artifacts: Vec<(usize, Artifact)>,
    /// What went wrong when all was undone, or did not matter, for the one who reads the output.
    pub notes: Vec<String>,
}

impl Findings {
    /// Nothing found yet.
    #[must_use]
    pub fn new(set: SetId) -> Self {
        Self {
            set,
            state: State::Running,
            evidence: Vec::with_capacity(Step::ALL.len()),
            held: None,
            writers: Vec::new(),
            artifacts: Vec::new(),
            notes: Vec::new(),
        }
    }
}
