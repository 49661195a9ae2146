//! Sizes in 512-byte blocks, and the emulation types that fix them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::BadWord;

/// A size in blocks of 512 bytes, the unit CCI prints as `(BLK)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blocks(pub u64);

impl Blocks {
    /// Bytes in a block.
    pub const SIZE: u64 = 512;

    /// Rounds up to whole blocks.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes.div_ceil(Self::SIZE))
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 * Self::SIZE
    }
}

impl fmt::Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The emulation type of an LDEV, the stem of its SCSI product id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Emulation {
    /// OPEN-3, 2,403,360 KB.
    Open3,
    /// OPEN-8, 7,175,520 KB.
    Open8,
    /// OPEN-9, 7,211,520 KB.
    Open9,
    /// OPEN-E, 14,226,480 KB.
    OpenE,
    /// OPEN-V, of any size.
    OpenV,
}

impl Emulation {
    /// Every emulation type.
    pub const ALL: [Self; 5] = [Self::Open3, Self::Open8, Self::Open9, Self::OpenE, Self::OpenV];

    /// The word, such as `OPEN-3`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open3 => "OPEN-3",
            Self::Open8 => "OPEN-8",
            Self::Open9 => "OPEN-9",
            Self::OpenE => "OPEN-E",
            Self::OpenV => "OPEN-V",
        }
    }

    /// The size the type fixes; `None` for OPEN-V, whose size is chosen. A volume of another
    /// size is a CVS (customised) volume of the type.
    #[must_use]
    pub const fn fixed_size(self) -> Option<Blocks> {
        match self {
            Self::Open3 => Some(Blocks(2_403_360 * 2)),
            Self::Open8 => Some(Blocks(7_175_520 * 2)),
            Self::Open9 => Some(Blocks(7_211_520 * 2)),
            Self::OpenE => Some(Blocks(14_226_480 * 2)),
            Self::OpenV => None,
        }
    }
}

impl fmt::Display for Emulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Emulation {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        Self::ALL
            .into_iter()
            .find(|e| e.word().eq_ignore_ascii_case(word))
            .ok_or(BadWord::new("an emulation type: OPEN-3, OPEN-8, OPEN-9, OPEN-E or OPEN-V"))
    }
}
