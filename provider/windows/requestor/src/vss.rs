//! VSS as a requestor calls it: IVssBackupComponents and what it hands out, without Windows.

use std::{fmt, time::Duration};

use provider::guid::Guid;

/// The writer of Exchange Server, in every version of it.
pub const EXCHANGE: Guid = Guid(0x76fe_1ac4_15f7_4bcd_987e_8e1a_cb46_2fb7);

/// VSS_CTX_APP_ROLLBACK | VSS_VOLSNAP_ATTR_TRANSPORTABLE | VSS_VOLSNAP_ATTR_NO_AUTORECOVERY: the
/// copies outlive this process, may be imported on another server, and stay as they were split.
pub const CONTEXT: i32 = 0x9 | 0x20 | 0x2;

/// What a call of VSS returned, if not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hresult(pub u32);

/// What a call returns.
pub type Answer<T = ()> = Result<T, Hresult>;

/// VSS_BACKUP_TYPE, as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupType {
    /// VSS_BT_FULL: when it is over, the writer deletes the logs that are in the databases.
    Full,
    /// VSS_BT_COPY: the writer changes nothing.
    Copy,
}

/// A call that VSS works on after it has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Every writer says what it has.
    GatherWriterMetadata,
    /// Writers get ready.
    PrepareForBackup,
    /// Writers freeze, the provider splits, writers thaw.
    DoSnapshotSet,
    /// Every writer says how it is.
    GatherWriterStatus,
    /// Writers learn that the backup is over.
    BackupComplete,
}

impl Task {
    /// How long it may take. Before the freeze the provider waits until all pairs are PAIR, one
    /// hour at most; how long writers stay frozen is VSS' own limit.
    #[must_use]
    pub const fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::GatherWriterMetadata | Self::GatherWriterStatus => 5 * 60,
            Self::PrepareForBackup | Self::BackupComplete => 10 * 60,
            Self::DoSnapshotSet => 70 * 60,
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// VSS_S_ASYNC_PENDING
    Pending,
    /// VSS_S_ASYNC_FINISHED
    Finished,
    /// VSS_S_ASYNC_CANCELLED
    Cancelled,
}

/// How VSS names a component of a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentId {
    /// The writer as it runs now.
    pub instance: Guid,
    /// The kind of writer.
    pub class: Guid,
    /// VSS_COMPONENT_TYPE.
    pub kind: i32,
    /// Where it belongs, levels apart by `\`.
    pub path: Option<String>,
    /// Its name on that level.
    pub name: String,
}

impl ComponentId {
    /// Path and name.
    #[must_use]
    pub fn full(&self) -> String {
        match &self.path {
            Some(path) => format!("{path}\\{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full())
    }
}

/// A component as its writer describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub id: ComponentId,
    /// What people call it, if the writer says so.
    pub caption: Option<String>,
    /// Whether it may be left out of a backup.
    pub selectable: bool,
    /// The directories of its files.
    pub directories: Vec<String>,
}

/// A writer's description of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The kind of writer.
    pub class: Guid,
    /// What it has.
    pub components: Vec<Component>,
    /// The description as a document, for the day of a restore.
    pub document: String,
}

/// How a writer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterStatus {
    /// The writer as it runs now.
    pub instance: Guid,
    /// Its name.
    pub name: String,
    /// VSS_WRITER_STATE.
    pub state: u32,
    /// What made it fail; 0 is nothing.
    pub failure: Hresult,
}

/// A backup with VSS: an object of IVssBackupComponents. The methods are its own.
pub trait Vss {
    /// InitializeForBackup
    fn initialize_for_backup(&mut self) -> Answer;
    /// SetContext
    fn set_context(&mut self, context: i32) -> Answer;
    /// SetBackupState: by components, without the system state, no partial files.
    fn set_backup_state(&mut self, backup: BackupType) -> Answer;
    /// EnableWriterClasses: no other writer takes part.
    fn enable_writer_class(&mut self, class: Guid) -> Answer;
    /// Begins a task. One at a time.
    fn start(&mut self, task: Task) -> Answer;
    /// IVssAsync::QueryStatus of the task that was started last; its failure is the error.
    fn look(&mut self) -> Answer<Progress>;
    /// IVssAsync::Cancel
    fn cancel(&mut self) -> Answer;
    /// Lets time pass, at most as long as the task runs.
    fn wait(&mut self, most: Duration);
    /// The time since any moment before, never going back.
    fn clock(&self) -> Duration;
    /// GetWriterMetadata of each writer.
    fn writers(&mut self) -> Answer<Vec<Writer>>;
    /// FreeWriterMetadata
    fn free_writer_metadata(&mut self) -> Answer;
    /// The volume a directory lies on, as `\\?\Volume{GUID}\`.
    fn volume_of(&mut self, directory: &str) -> Answer<String>;
    /// AddComponent
    fn add_component(&mut self, component: &ComponentId) -> Answer;
    /// StartSnapshotSet; the set's id.
    fn start_snapshot_set(&mut self) -> Answer<Guid>;
    /// AddToSnapshotSet
    fn add_to_snapshot_set(&mut self, volume: &str, provider: Guid) -> Answer;
    /// GetWriterStatus of each writer.
    fn writer_statuses(&mut self) -> Answer<Vec<WriterStatus>>;
    /// FreeWriterStatus
    fn free_writer_status(&mut self) -> Answer;
    /// SetBackupSucceeded
    fn set_backup_succeeded(&mut self, component: &ComponentId, succeeded: bool) -> Answer;
    /// SaveAsXML: the backup components document.
    fn document(&mut self) -> Answer<String>;
    /// DeleteSnapshots of a set.
    fn delete_snapshot_set(&mut self, set: Guid) -> Answer;
    /// AbortBackup
    fn abort_backup(&mut self) -> Answer;
}
