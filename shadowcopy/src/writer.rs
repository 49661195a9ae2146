//! The seam to applications that keep their own files consistent.

use std::{fmt, path::PathBuf, time::Duration};

use provider::guid::SetId;
use serde::{Deserialize, Serialize};

use crate::catalogue::BackupId;

/// An application that takes part in a backup.
///
/// The calls come in this order: `describe`, `prepare`, `freeze`, `thaw`, `post`. Once `prepare`
/// was called, `post` is, whatever happened; once `freeze` was called, `thaw` is, even where it
/// failed. All come on one thread of the writer's own. A call that takes longer than `within` counts
/// as failed, and no other call follows but `Drop`, if it ever comes back.
pub trait Writer: Send {
    /// What it is; nothing is begun.
    ///
    /// # Errors
    /// That the application is not there, or cannot be backed up.
    fn describe(&mut self, within: Duration) -> Result<Metadata, Fault>;

    /// Does what takes time, so that freezing takes none.
    ///
    /// # Errors
    /// What went wrong.
    fn prepare(&mut self, backup: &Begun, within: Duration) -> Result<(), Fault>;

    /// Holds its writes, or makes sure that what is on its volumes at any instant from now on can
    /// be recovered. Touches no file once it has answered.
    ///
    /// # Errors
    /// What went wrong.
    fn freeze(&mut self, within: Duration) -> Result<(), Fault>;

    /// Goes on. An answer without an error says that writes were held from the end of `freeze`
    /// until now.
    ///
    /// # Errors
    /// [`FaultKind::Inconsistent`]: they were not held, but it goes on. Anything else: it may not
    /// go on; then the recovery sees to that once the command has ended.
    fn thaw(&mut self, within: Duration) -> Result<(), Fault>;

    /// Ends its backup.
    ///
    /// # Errors
    /// What went wrong; the backup is not consistent then.
    fn post(&mut self, outcome: Outcome, within: Duration) -> Result<Vec<Artifact>, Fault>;
}

/// What a writer says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Such as `postgresql/main`; one of a kind in a set.
    pub name: String,
    /// Version of the application.
    pub version: String,
    /// How long it lets itself be frozen; `None` for the coordinator's limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Duration>,
    /// Files and directories that must lie on volumes of the set.
    pub paths: Vec<PathBuf>,
}

/// The backup a writer takes part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Its id in the catalogue.
    pub id: BackupId,
    /// The snapshot set.
    pub set: SetId,
    /// Mount points of its volumes.
    pub mounts: Vec<PathBuf>,
}

/// How a backup came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All pairs were split while writes were held.
    Copied,
    /// There is no copy.
    Aborted,
}

/// Something that belongs to a copy but is not in it, such as `backup_label`. Kept byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// File name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Content, at most 16 MiB.
    pub bytes: Vec<u8>,
}

/// Why a writer did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of failure.
    pub kind: FaultKind,
    /// What happened.
    pub cause: String,
    /// What the administrator can do, if that is known.
    pub action: Option<String>,
}

/// Kinds of failure, as VSS tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It would fail again.
    NonRetryable,
    /// The next backup may succeed.
    Retryable,
    /// A limit passed (`VSS_E_WRITERERROR_TIMEOUT`).
    Timeout,
    /// Writes were not held (`VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT`).
    Inconsistent,
}

impl Fault {
    /// A failure of this kind.
    pub fn new(kind: FaultKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), action: None }
    }

    /// The same, with what to do.
    #[must_use]
    pub fn action(self, action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        match &self.action {
            Some(action) => write!(f, "; {action}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
