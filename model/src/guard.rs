//! The access guard of `raidvchkset -vg` (`cci` 5.1).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::BadWord;

/// The types `raidvchkset -vg` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GuardType {
    /// `inv`, and `idb` in the older manual: hidden from SCSI INQUIRY.
    Inv,
    /// READ CAPACITY answers size 0.
    Sz0,
    /// Reading and writing disabled.
    Rwd,
    /// Writing disabled.
    Wtd,
    /// Cannot become an S-VOL.
    Svd,
}

impl FromStr for GuardType {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word.to_ascii_lowercase().as_str() {
            "inv" | "idb" => Ok(Self::Inv),
            "sz0" => Ok(Self::Sz0),
            "rwd" => Ok(Self::Rwd),
            "wtd" => Ok(Self::Wtd),
            "svd" => Ok(Self::Svd),
            _ => Err(BadWord::new("a guard type: inv (idb), sz0, rwd, wtd or svd")),
        }
    }
}

/// What is guarded on one LDEV. `true` is guarded; the default guards nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Guard {
    /// INQUIRY says that no such device is there.
    pub inquiry: bool,
    /// READ CAPACITY answers 0.
    pub capacity: bool,
    /// Reads are refused.
    pub read: bool,
    /// Writes are refused.
    pub write: bool,
    /// The volume refuses to become an S-VOL.
    pub svol: bool,
}

impl Guard {
    /// Nothing guarded.
    pub const NONE: Self =
        Self { inquiry: false, capacity: false, read: false, write: false, svol: false };

    /// The flags a type sets, a row of the table in `cci` 5.1.
    #[must_use]
    pub const fn of(kind: GuardType) -> Self {
        let (inquiry, capacity, read, write, svol) = match kind {
            GuardType::Inv => (true, true, true, true, false),
            GuardType::Sz0 => (false, true, true, true, false),
            GuardType::Rwd => (false, false, true, true, false),
            GuardType::Wtd => (false, false, false, true, false),
            GuardType::Svd => (false, false, false, false, true),
        };
        Self { inquiry, capacity, read, write, svol }
    }

    /// The flags in the order of `GI-C-R-W-S`.
    #[must_use]
    pub const fn flags(self) -> [bool; 5] {
        [self.inquiry, self.capacity, self.read, self.write, self.svol]
    }

    /// Whether this guards everything that `other` guards. Raising a guard is always allowed;
    /// lowering it is not while its retention time runs.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.flags().iter().zip(other.flags()).all(|(mine, theirs)| *mine || !theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stronger_types_cover_weaker_ones_and_svd_stands_apart() {
        let order = [GuardType::Inv, GuardType::Sz0, GuardType::Rwd, GuardType::Wtd].map(Guard::of);
        for pair in order.windows(2) {
            assert!(pair[0].covers(pair[1]) && !pair[1].covers(pair[0]));
        }
        assert!(!Guard::of(GuardType::Inv).covers(Guard::of(GuardType::Svd)));
        assert!(Guard::NONE.covers(Guard::NONE));
    }
}
