//! Words of the pair commands: which side, how fast, how to split, which fence.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::BadWord;

/// Which instance's volumes are the P-VOLs: `-vl` (vector local) or `-vr` (vector remote).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The local instance's.
    Local,
    /// The remote instance's.
    Remote,
}

/// Copy pace of `-c`, in tracks, 1 to 15; 3 unless told otherwise. The copy job works that many
/// fifteenths of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct CopyPace(u8);

impl CopyPace {
    /// The fastest.
    pub const MAX: Self = Self(15);

    /// 1 to 15.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for CopyPace {
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<u8> for CopyPace {
    type Error = BadWord;
    fn try_from(pace: u8) -> Result<Self, BadWord> {
        if (1..=15).contains(&pace) {
            Ok(Self(pace))
        } else {
            Err(BadWord::new("a copy pace from 1 to 15"))
        }
    }
}

impl From<CopyPace> for u8 {
    fn from(pace: CopyPace) -> u8 {
        pace.0
    }
}

impl FromStr for CopyPace {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        word.parse::<u8>()
            .ok()
            .filter(|_| digits)
            .and_then(|n| Self::try_from(n).ok())
            .ok_or(BadWord::new("a copy pace from 1 to 15"))
    }
}

/// `-fq`: whether the differences are copied before or behind the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum SplitMode {
    /// Copy first; the new status shows when all bytes have moved.
    #[default]
    Normal,
    /// The new status shows at once; bytes move behind it, or on demand.
    Quick,
}

impl FromStr for SplitMode {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word.to_ascii_lowercase().as_str() {
            "normal" => Ok(Self::Normal),
            "quick" => Ok(Self::Quick),
            _ => Err(BadWord::new("normal or quick")),
        }
    }
}

/// Fence level of a remote pair: when a host's write to the P-VOL fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fence {
    /// Whenever the S-VOL cannot be updated.
    Data,
    /// Only when the S-VOL cannot be put to PSUE.
    Status,
    /// Never.
    Never,
    /// Asynchronous copy.
    Async,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Data => "DATA",
            Self::Status => "STATUS",
            Self::Never => "NEVER",
            Self::Async => "ASYNC",
        })
    }
}

impl FromStr for Fence {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word.to_ascii_lowercase().as_str() {
            "data" => Ok(Self::Data),
            "status" => Ok(Self::Status),
            "never" => Ok(Self::Never),
            "async" => Ok(Self::Async),
            _ => Err(BadWord::new("a fence level: data, status, never or async")),
        }
    }
}
