//! Why a step failed. Nothing is formatted before file systems have thawed.

use std::{fmt, time::Duration};

use crate::{copyist::Failed, freezer, writer};

/// Why a step failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A writer.
    Writer(String, writer::Fault),
    /// A file system.
    FileSystem(freezer::Fault),
    /// The provider.
    Copies(Failed),
    /// File systems were frozen longer than this.
    Late(Duration),
    /// Writers were.
    WritersLate(Duration),
    /// The plan is refused.
    Refused(String),
    /// The catalogue.
    Ledger(String),
}

impl From<freezer::Fault> for Trouble {
    fn from(fault: freezer::Fault) -> Self {
        Self::FileSystem(fault)
    }
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Self::Copies(failed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer(name, fault) => write!(f, "{name}: {fault}"),
            Self::FileSystem(fault) => fault.fmt(f),
            Self::Copies(failed) => failed.fmt(f),
            Self::Late(limit) => passed(f, "file systems", *limit),
            Self::WritersLate(limit) => passed(f, "writers", *limit),
            Self::Refused(cause) => f.write_str(cause),
            Self::Ledger(cause) => write!(f, "the catalogue: {cause}"),
        }
    }
}

fn passed(f: &mut fmt::Formatter<'_>, who: &str, limit: Duration) -> fmt::Result {
    write!(f, "{who} were frozen: the limit of {} ms has passed", limit.as_millis())
}
