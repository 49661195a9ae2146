//! The seam towards RAID Manager: pairs, their states, and what is done to them.

use std::{fmt, time::Duration};

use model::{CciResult, DevName, GroupName, MuNumber, PairEnd, PairStatus, Role, VolumeId};
use serde::{Deserialize, Serialize};

/// A pair as both configuration files name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// `dev_group`.
    pub group: GroupName,
    /// `dev_name`.
    pub name: DevName,
    /// The volume of the instance of the P-VOLs.
    pub primary: PairEnd,
    /// The volume of the instance of the S-VOLs.
    pub secondary: PairEnd,
}

impl fmt::Display for Pair {
    /// `snap/snapdev1 (LDEV 18 of Serial# 62496 MU# 2)`, as HORCM names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.group, self.name, self.primary)
    }
}

/// How a pair stands, seen from its P-VOL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What the volume of the instance of the P-VOLs is.
    pub role: Role,
    /// The status: SMPL, COPY, RCPY, PAIR, PSUS or PSUE.
    pub status: PairStatus,
    /// The volume it is paired with, if any.
    pub partner: Option<VolumeId>,
}

/// How the provider may use a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// SMPL: it has to be created.
    Unpaired,
    /// COPY or RCPY: it becomes PAIR by itself.
    Copying,
    /// PAIR.
    Ready,
    /// PSUS: the S-VOL is a point in time.
    Split,
    /// PSUE: it has to be resynchronised.
    Failed,
    /// Paired with another volume, or the other way round.
    Foreign,
}

impl Standing {
    /// No pair.
    pub const SMPL: Self = Self { role: Role::Smpl, status: PairStatus::Smpl, partner: None };

    /// How the provider may use the pair.
    #[must_use]
    pub fn usable(&self, pair: &Pair) -> Use {
        match self.role {
            Role::Smpl => Use::Unpaired,
            Role::SVol => Use::Foreign,
            Role::PVol if self.partner != Some(pair.secondary.volume) => Use::Foreign,
            Role::PVol => match self.status.folded() {
                PairStatus::Smpl => Use::Unpaired,
                PairStatus::Copy | PairStatus::Rcpy => Use::Copying,
                PairStatus::Pair => Use::Ready,
                PairStatus::Psus | PairStatus::Ssus => Use::Split,
                _ => Use::Failed,
            },
        }
    }
}

impl fmt::Display for Standing {
    /// `P-VOL PSUS`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Smpl => f.write_str("SMPL"),
            role => write!(f, "{role} {}", self.status),
        }
    }
}

/// A change that takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// `paircreate -m noread`, the P-VOLs on the instance of the P-VOLs.
    Create,
    /// `pairresync`: the S-VOLs follow again.
    Resync,
    /// `pairresync -restore`: the P-VOLs become what the S-VOLs are.
    Restore,
}

/// RAID Manager. Lists are changed all or none, in one order an array.
pub trait Raid: Send {
    /// The pair of a P-VOL to be, or of one that is; `None` where the instance of the P-VOLs does
    /// not name that volume with that MU#.
    ///
    /// # Errors
    /// EX_ATTHOR, EX_CMDIOE, EX_ENORMT ...
    fn by_primary(&mut self, volume: VolumeId, mirror: MuNumber) -> CciResult<Option<Pair>>;

    /// The pair of an S-VOL; `None` where there is no instance of the S-VOLs, or it does not name
    /// that volume.
    ///
    /// # Errors
    /// As above.
    fn by_secondary(&mut self, volume: VolumeId) -> CciResult<Option<Pair>>;

    /// How a pair stands.
    ///
    /// # Errors
    /// As above; EX_ENLDEV when the array lacks the volume.
    fn standing(&mut self, pair: &Pair) -> CciResult<Standing>;

    /// Begins a change.
    ///
    /// # Errors
    /// As above, and what the array refuses.
    fn order(&mut self, pairs: &[Pair], towards: Towards) -> CciResult<()>;

    /// Hides S-VOLs from hosts (`raidvchkset -vg idb`), or shows them. Without an instance of the
    /// S-VOLs nothing happens.
    ///
    /// # Errors
    /// As above.
    fn hide(&mut self, pairs: &[Pair], hidden: bool) -> CciResult<()>;

    /// Makes everything that [`Raid::fire`] needs to split these pairs: the session, the order, its
    /// name, the memory.
    ///
    /// # Errors
    /// As above; EX_ENOMEM.
    fn arm(&mut self, pairs: &[Pair]) -> CciResult<()>;

    /// Splits the pairs that were armed, at one instant an array. A pair that is split already is
    /// refused. No file is touched, nothing is logged.
    ///
    /// # Errors
    /// As above; EX_INVSTP; EX_COMERR when `within` has passed, and then it may have happened.
    fn fire(&mut self, within: Duration) -> CciResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lun::tests::volume;

    #[test]
    fn what_a_pair_can_be_used_for_follows_from_role_status_and_partner() {
        let end = |ldev| PairEnd { volume: volume(ldev), mu: MuNumber::default() };
        let pair = Pair {
            group: "snap".parse().unwrap(),
            name: "snapdev1".parse().unwrap(),
            primary: end(18),
            secondary: end(19),
        };
        let usable = |role, status, partner| {
            Standing { role, status, partner: Some(volume(partner)) }.usable(&pair)
        };
        for (status, expected) in [
            (PairStatus::Copy, Use::Copying),
            (PairStatus::Rcpy, Use::Copying),
            (PairStatus::Pair, Use::Ready),
            (PairStatus::Pful, Use::Ready),
            (PairStatus::Psus, Use::Split),
            (PairStatus::Pfus, Use::Split),
            (PairStatus::Psue, Use::Failed),
        ] {
            assert_eq!(usable(Role::PVol, status, 19), expected, "{status}");
            assert_eq!(usable(Role::PVol, status, 20), Use::Foreign);
            assert_eq!(usable(Role::SVol, status, 19), Use::Foreign);
        }
        assert_eq!(Standing::SMPL.usable(&pair), Use::Unpaired);
    }
}
