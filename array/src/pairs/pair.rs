//! One pair and its durable record.

use model::{CopyPace, MuNumber, PairStatus, Role};
use protocol::orders::LocalEnd;
use serde::{Deserialize, Serialize};

use super::table::Phase;
use crate::store::{Flow, LinkId};

/// A ShadowImage or Thin Image pair inside this storage system. Its number is its link's.
///
/// The record is this struct in postcard, fields in order, under the pair's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The P-VOL and its mirror.
    pub primary: LocalEnd,
    /// The S-VOL and its mirror, 0 as a rule.
    pub secondary: LocalEnd,
    /// Where it stands.
    pub phase: Phase,
    /// How fast it copies.
    pub pace: CopyPace,
    /// `-m noread`.
    pub noread: bool,
    /// Whether the S-VOL is left writable by a split.
    pub writable: bool,
    /// Consistency group.
    pub ctg: Option<u16>,
    /// The pool of a Thin Image pair, whose S-VOL is a snapshot; `None` for ShadowImage.
    pub snapshot: Option<u16>,
}

impl Pair {
    /// Which role an end plays; SMPL when it is neither.
    #[must_use]
    pub fn role(&self, end: LocalEnd) -> Role {
        if end == self.primary {
            Role::PVol
        } else if end == self.secondary {
            Role::SVol
        } else {
            Role::Smpl
        }
    }

    /// The other end.
    #[must_use]
    pub fn partner(&self, end: LocalEnd) -> LocalEnd {
        if end == self.primary { self.secondary } else { self.primary }
    }

    /// What its link does.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        match self.phase {
            Phase::Copying | Phase::Restoring | Phase::Paired => Flow::Follow,
            Phase::Splitting | Phase::Split => Flow::Fixed,
            Phase::Failed => Flow::Detached,
        }
    }

    /// The status that a volume of this role shows. A Thin Image pair shows that its pool is short
    /// of space.
    #[must_use]
    pub const fn status(&self, role: Role, short: bool) -> PairStatus {
        match self.phase.status(role) {
            PairStatus::Pair if short && self.snapshot.is_some() => PairStatus::Pful,
            PairStatus::Psus | PairStatus::Ssus if short && self.snapshot.is_some() => {
                PairStatus::Pfus
            }
            status => status,
        }
    }

    /// Whether hosts may write to the S-VOL now: once it shows SSUS, not while a normal split
    /// still shows COPY (`cci` 3.1).
    #[must_use]
    pub fn svol_writable(&self) -> bool {
        self.phase == Phase::Split && self.writable
    }
}

/// The most mirrors of one P-VOL: MU# 0 to 1023 (Thin Image, SVOS 9).
pub const MIRRORS: u16 = 1024;
/// The most that may be ShadowImage pairs: MU# 0 to 2.
pub const SHADOWS: u16 = 3;

/// Whether a P-VOL has this MU#; a ShadowImage pair must have one of the first.
#[must_use]
pub const fn is_mirror(mu: MuNumber, snapshot: bool) -> bool {
    mu.get() < if snapshot { MIRRORS } else { SHADOWS }
}

/// The number of a pair as the key of its record.
#[must_use]
pub const fn key(id: LinkId) -> u64 {
    id.0 as u64
}
