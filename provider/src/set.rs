//! A snapshot set in creation.

use crate::{
    guid::{SetId, SnapshotId},
    journal::{Phase, Record},
    machine::State,
    raid::Pair,
};

/// The most volumes of a set.
pub const MAX_VOLUMES: usize = 64;

/// A set.
#[derive(Debug)]
pub struct SnapshotSet {
    /// Which.
    pub id: SetId,
    /// How far it is.
    pub state: State,
    /// Its shadow copies, each with the P-VOLs behind its volume.
    pub snapshots: Vec<(SnapshotId, Vec<Pair>)>,
    /// Every pair that was touched for it, also for volumes that failed to join.
    pub touched: Vec<Pair>,
}

impl SnapshotSet {
    /// A set without volumes.
    #[must_use]
    pub const fn new(id: SetId) -> Self {
        Self { id, state: State::Preparing, snapshots: Vec::new(), touched: Vec::new() }
    }

    /// The pairs of its shadow copies, each once: a LUN may carry several volumes.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = Vec::new();
        for pair in self.snapshots.iter().flat_map(|(_, pairs)| pairs) {
            if !pairs.contains(pair) {
                pairs.push(pair.clone());
            }
        }
        pairs
    }

    /// Its record in the journal.
    #[must_use]
    pub fn record(&self, phase: Phase) -> Record {
        let pairs = if phase == Phase::Created { self.pairs() } else { self.touched.clone() };
        Record { set: self.id, phase, pairs }
    }
}
