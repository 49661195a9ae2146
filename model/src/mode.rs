//! HORC or HOMRCF: whether a command speaks of remote or of local replication.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The mode of one command. `HORCC_MRCF` or `-IM`/`-ISI`/`-IBC` choose HOMRCF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Remote copy: TrueCopy, Universal Replicator, GAD.
    #[default]
    Horc,
    /// Local copy: ShadowImage, Thin Image.
    Homrcf,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Horc => "HORC",
            Self::Homrcf => "HOMRCF",
        })
    }
}
