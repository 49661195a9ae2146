//! What outlives the process: the sets that were begun and the shadow copies that are there.
//!
//! Pair states are the array's; this says only whose doing they are. A record is there from before
//! the first order of a set until the last of its shadow copies is deleted.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{guid::SetId, raid::Pair};

/// A snapshot set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which.
    pub set: SetId,
    /// How far it came.
    pub phase: Phase,
    /// The pairs it takes; of a finished set, those whose shadow copies are not deleted.
    pub pairs: Vec<Pair>,
}

/// How far a set came, as far as whoever finds it must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Not split.
    Preparing,
    /// About to be split: it may be.
    Committing,
    /// Split, and nobody has got it yet.
    Committed,
    /// Finished: its S-VOLs are shadow copies.
    Created,
}

/// Where records are kept.
pub trait Journal: Send {
    /// All records, in any order; those that were damaged are set aside, and named.
    ///
    /// # Errors
    /// What the storage says.
    fn records(&mut self) -> io::Result<Found>;

    /// Keeps a record, in place of an older one of the set. Durable when it returns.
    ///
    /// # Errors
    /// What the storage says.
    fn put(&mut self, record: &Record) -> io::Result<()>;

    /// Forgets a set; none there is fine.
    ///
    /// # Errors
    /// What the storage says.
    fn remove(&mut self, set: SetId) -> io::Result<()>;
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The records.
    pub records: Vec<Record>,
    /// What could not be read and was set aside.
    pub damaged: Vec<String>,
}
