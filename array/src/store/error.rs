//! What can go wrong below the pairs.

use std::{io, path::PathBuf};

use model::{CciError, Code, LdevId};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file is not what the array left there. Nothing is guessed from it.
    #[error("{}: damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The directory was written by a newer release.
    #[error(
        "{}: format {found}, but this arrayd knows formats up to {known}: use a newer arrayd",
        path.display()
    )]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, such as `write`.
        action: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// There is no such LDEV.
    #[error("there is no LDEV {0}")]
    NoLdev(LdevId),
    /// Beyond the end of a volume.
    #[error("LDEV {ldev} ends at byte {size}, but bytes {offset} to {end} were named")]
    Range {
        /// The volume.
        ldev: LdevId,
        /// Its size in bytes.
        size: u64,
        /// First byte named.
        offset: u64,
        /// One beyond the last byte named.
        end: u64,
    },
    /// Bytes of a volume that were written are not there any more.
    #[error("medium error in the 64 KiB at byte {offset} of volume {volume}: {what}")]
    Medium {
        /// The volume: its LDEV number, or beyond those a hidden one's.
        volume: u32,
        /// The first byte of the page.
        offset: u64,
        /// What is wrong, and with which file.
        what: String,
    },
    /// The disk refused to read or write data of a volume.
    #[error("cannot reach the data of volume {volume}: {source}")]
    Data {
        /// The volume.
        volume: u32,
        /// The disk's answer.
        source: io::Error,
    },
    /// A pool that cannot be used so.
    #[error("pool {pool}: {what}")]
    Pool {
        /// The pool.
        pool: u16,
        /// Why.
        what: String,
    },
    /// A pool has no free page.
    #[error("pool {0} is full")]
    Full(u16),
    /// An earlier failure of the disk left it unknown what is durable.
    #[error("no more changes are taken since the disk failed: {0}")]
    Failed(String),
    /// A request met an error of the program.
    #[error("the request ended in an error of arrayd itself")]
    Panicked,
    /// A volume's bytes are still on their way from another pool.
    #[error("LDEV {0} still takes bytes from another pool")]
    Busy(LdevId),
    /// Hosts may not read it now.
    #[error("LDEV {0} is not readable now")]
    Guarded(LdevId),
    /// The volume is the target of a copy and takes no writes of hosts.
    #[error("LDEV {0} is an S-VOL that is not writable now")]
    Protected(LdevId),
}

impl StoreError {
    /// Wraps an answer of the operating system.
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }

    /// Names a damaged file.
    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }

    /// Whether the cause is a full disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } | Self::Data { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

impl From<StoreError> for CciError {
    fn from(error: StoreError) -> Self {
        let (code, advice) = match &error {
            StoreError::NoLdev(_) => (Code::ExEnldev, "arrayd status shows the LDEVs there are"),
            StoreError::Range { .. } => (Code::ExErange, "stay within the volume"),
            StoreError::Protected(_) => (
                Code::ExInvvol,
                "split the pair first: pairsplit -rw, or dissolve it: pairsplit -S",
            ),
            StoreError::Guarded(_) => {
                (Code::ExInvvol, "split the pair, or take the guard away: raidvchkset -vg")
            }
            StoreError::Pool { .. } => (Code::ExInvarg, "arrayd pools shows the pools there are"),
            StoreError::Full(_) => (
                Code::ExCmdrje,
                "add space to the pool: arrayd grow; or dissolve pairs that are not needed",
            ),
            StoreError::Failed(_) => {
                (Code::ExCmdrje, "mend the disk, then stop arrayd and start it again")
            }
            StoreError::Busy(_) => {
                (Code::ExInvvol, "wait until its copy is complete: pairdisplay -fc shows 100 %")
            }
            StoreError::Medium { .. } => (
                Code::ExCmdrje,
                "write the block anew, or take it from a copy; arrayd check lists all such blocks",
            ),
            _ if error.is_full() => (
                Code::ExCmdrje,
                "make space on the file system of the array directory and try again",
            ),
            _ => (Code::ExCmdrje, "see the log of arrayd; arrayd check names damaged files"),
        };
        Self::new(code).cause(error.to_string()).advice(advice)
    }
}
