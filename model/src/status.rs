//! Pair status words and volume roles (`cci` 3.1).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::BadWord;

/// What a volume is to its partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Not paired.
    Smpl,
    /// The primary: hosts write here.
    PVol,
    /// The secondary: the copy.
    SVol,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Smpl => "SMPL",
            Self::PVol => "P-VOL",
            Self::SVol => "S-VOL",
        })
    }
}

macro_rules! status_words {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)?) => {
        /// The status of a pair as one of its volumes shows it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum PairStatus { $($(#[$doc])* $variant),* }

        impl PairStatus {
            /// Every status.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word as CCI prints it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

status_words! {
    /// Not paired.
    Smpl = "SMPL",
    /// Initial or resync copy from P-VOL to S-VOL in progress, or a split being prepared.
    Copy = "COPY",
    /// Restore copy from S-VOL to P-VOL in progress.
    Rcpy = "RCPY",
    /// Synchronised; the S-VOL is not writable.
    Pair = "PAIR",
    /// Split by a user; the P-VOL shows this.
    Psus = "PSUS",
    /// Suspended by an error.
    Psue = "PSUE",
    /// Split by a user; the S-VOL shows this.
    Ssus = "SSUS",
    /// The S-VOL after a takeover, writable.
    Ssws = "SSWS",
    /// Pool or journal above its threshold, still copying.
    Pful = "PFUL",
    /// Suspended because pool or journal is full.
    Pfus = "PFUS",
    /// One LDEV of a LUSE volume differs.
    Pdub = "PDUB",
}

impl PairStatus {
    /// The status as every command but `pairdisplay -fc` shows it: PFUL as PAIR, PFUS as PSUS.
    #[must_use]
    pub const fn folded(self) -> Self {
        match self {
            Self::Pful => Self::Pair,
            Self::Pfus => Self::Psus,
            other => other,
        }
    }
}

impl fmt::Display for PairStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for PairStatus {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.word().eq_ignore_ascii_case(word))
            .ok_or(BadWord::new("a pair status: smpl, copy, rcpy, pair, psus, psue, ssus"))
    }
}
