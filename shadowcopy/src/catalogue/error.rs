//! Why the catalogue did not do what it was asked.

use std::{fmt, io, path::PathBuf};

use super::{
    BackupId,
    claim::Holder,
    record::{Backup, State},
};
use crate::{
    failure::{Failure, Outcome, Stop},
    message,
};

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// The file system refused.
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Another command works with the pairs.
    Claimed(Holder),
    /// There is no such backup.
    Unknown(BackupId),
    /// The record is not what was written; it was set aside there.
    Damaged {
        /// Where it is now.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A later version wrote the file.
    Newer {
        /// Which.
        path: PathBuf,
        /// The version.
        version: u32,
    },
    /// Something cannot be written as it is.
    Unwritable {
        /// What.
        object: String,
        /// Why.
        cause: String,
    },
    /// The catalogue has another backup under that ID.
    Taken(BackupId),
    /// A lock, a mount, a reader or a restore keeps that backup.
    Kept(BackupId),
    /// A backup that runs has chosen the generation of that one.
    Chosen {
        /// The one that is overwritten.
        id: BackupId,
        /// The one that runs.
        by: BackupId,
    },
    /// All IDs are given.
    Full,
}

impl Error {
    /// For `map_err`: what the file system said about a path.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failed = Self::new(message::CATALOGUE_FAILED);
        match error {
            Error::Io { path, error } => failed
                .object(path.display().to_string())
                .cause(error.to_string())
                .action("see that the directory can be written and has room, or set DRM_DB_PATH to another"),
            Error::Claimed(holder) => Self::new(message::BACKUP_RUNNING)
                .object("the pairs of this catalog")
                .state(format!("in use by {holder}"))
                .cause("one command at a time changes them")
                .action("wait until that command has ended, and begin again"),
            Error::Unknown(id) => {
                Self::new(message::NO_BACKUP).word(id).action("drmfscat lists those it has")
            }
            Error::Damaged { path, cause } => failed
                .object(path.display().to_string())
                .state("damaged, and set aside there")
                .cause(cause)
                .action("import it from an export (drmdbimport), or go on with another backup"),
            Error::Newer { path, version } => failed
                .object(path.display().to_string())
                .cause(format!("a later version of these commands wrote it (format {version})"))
                .action("use that version"),
            Error::Unwritable { object, cause } => failed
                .object(object)
                .cause(cause)
                .action("give it a name of letters, digits and marks"),
            Error::Taken(id) => failed
                .object(format!("backup {id}"))
                .cause("the catalog has another backup under that ID")
                .action("import into a catalog of its own: set DRM_DB_PATH"),
            Error::Kept(id) => Self::new(message::BACKUP_STATE)
                .word(id)
                .state("locked, mounted, being read or being restored")
                .cause("its S-VOLs must keep what they hold")
                .action(
                    "drmumount it, drmcgctl -unlock it, or end its restore with drmfsrestore first",
                ),
            Error::Chosen { id, by } => Self::new(message::BACKUP_STATE)
                .word(id)
                .state(format!("backup {by}, which runs, has chosen its generation"))
                .cause("its S-VOLs are needed")
                .action("keep another backup, or the one that runs once it has ended"),
            Error::Full => failed
                .cause("all 9,999,999,999 backup IDs are given")
                .action("begin a new catalog: set DRM_DB_PATH to an empty directory"),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Claimed(holder) => write!(f, "{holder} works with the pairs"),
            Self::Unknown(id) => write!(f, "there is no backup {id}"),
            Self::Damaged { path, cause } => write!(f, "{} is damaged: {cause}", path.display()),
            Self::Newer { path, version } => {
                write!(f, "{} has the format {version} of a later version", path.display())
            }
            Self::Unwritable { object, cause } => write!(f, "{object}: {cause}"),
            Self::Taken(id) => write!(f, "there is another backup {id}"),
            Self::Kept(id) => write!(f, "backup {id} is kept"),
            Self::Chosen { id, by } => write!(f, "backup {by} is about to overwrite backup {id}"),
            Self::Full => f.write_str("all backup IDs are given"),
        }
    }
}

impl std::error::Error for Error {}

/// Refuses a backup that has no copy: nothing can be mounted, archived or restored from it.
///
/// # Errors
/// KAVX0205-E, with the state and what to do.
pub fn must_be_there(backup: &Backup, died: bool) -> Outcome {
    if backup.is_there() {
        return Ok(());
    }
    let failure = Failure::new(message::BACKUP_STATE).word(backup.id);
    let failure = match &backup.state {
        _ if backup.restoring.is_some() => failure
            .state("being restored")
            .cause(
                "not all of its P-VOLs are restored yet, and its S-VOLs are needed for that alone",
            )
            .action(format!("drmfsrestore {} goes on with it", backup.id)),
        State::Running if died => failure
            .state("its command died")
            .cause("nobody knows what its S-VOLs hold")
            .action("drm recover brings the pairs back; then make another backup"),
        State::Running => failure
            .state("running")
            .cause("its command has not ended")
            .action("wait until it has ended"),
        State::Aborted { step, cause } => failure
            .state(format!("aborted at {step}"))
            .cause(cause.clone())
            .action("see to the cause, and make another backup"),
        _ => failure
            .state("overwritten")
            .cause("a later backup, or drmresync, took its S-VOLs")
            .action("drmfscat lists the backups that are there"),
    };
    Err(failure.into())
}
