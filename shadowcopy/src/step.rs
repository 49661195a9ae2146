//! The steps of a backup, in their order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step; a backup goes through all of them, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Writers say what they are and where their files lie.
    Describe,
    /// Pairs begin to go to PAIR.
    BeginPrepare,
    /// Writers do what takes time, such as a checkpoint.
    PrepareWriters,
    /// Every pair is PAIR.
    EndPrepare,
    /// Writers hold their writes. The writers' limit begins.
    FreezeWriters,
    /// The order of the split is made ready.
    PreCommit,
    /// File systems are written out and hold their writes. Their limit begins.
    FreezeFileSystems,
    /// All pairs split at one instant.
    Commit,
    /// File systems go on. Their limit ends.
    ThawFileSystems,
    /// Every pair is split, with its own S-VOL.
    PostCommit,
    /// Writers go on, and say whether they held their writes. Their limit ends.
    ThawWriters,
    /// Writers end their backup, and hand over what belongs to it.
    PostWriters,
    /// The copies are finished.
    FinalCommit,
    /// The backup is in the catalogue.
    Catalogue,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Describe,
        Self::BeginPrepare,
        Self::PrepareWriters,
        Self::EndPrepare,
        Self::FreezeWriters,
        Self::PreCommit,
        Self::FreezeFileSystems,
        Self::Commit,
        Self::ThawFileSystems,
        Self::PostCommit,
        Self::ThawWriters,
        Self::PostWriters,
        Self::FinalCommit,
        Self::Catalogue,
    ];

    /// As messages and the catalogue name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::BeginPrepare => "begin-prepare",
            Self::PrepareWriters => "prepare-writers",
            Self::EndPrepare => "end-prepare",
            Self::FreezeWriters => "freeze-writers",
            Self::PreCommit => "pre-commit",
            Self::FreezeFileSystems => "freeze-file-systems",
            Self::Commit => "commit",
            Self::ThawFileSystems => "thaw-file-systems",
            Self::PostCommit => "post-commit",
            Self::ThawWriters => "thaw-writers",
            Self::PostWriters => "post-writers",
            Self::FinalCommit => "final-commit",
            Self::Catalogue => "catalogue",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
