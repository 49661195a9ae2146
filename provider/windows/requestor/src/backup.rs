//! The calls of a backup in their order, and how it is given up.
//!
//! Until its documents are kept, a backup that meets an obstacle is given up: components that were
//! told successful are told otherwise, shadow copies are deleted, AbortBackup lets writers go.
//! From BackupComplete on the copies stay, whatever comes: the application may have deleted logs
//! that only they hold.

use std::{collections::BTreeSet, time::Duration};

use messages::{
    failure::{Checked, Failure},
    message,
};
use provider::guid::{Guid, PROVIDER};

use crate::{
    selection::{Choice, Selection, select},
    trouble::{OBJECT_NOT_FOUND, judge, late, refused},
    vss::{Answer, BackupType, CONTEXT, EXCHANGE, Progress, Task, Vss},
};

/// How long a task that was cancelled may take to end.
const GRACE: Duration = Duration::from_secs(60);
/// How often a task is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be backed up, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Names of storage groups or databases; none is all.
    pub named: Vec<String>,
    /// Whether the application deletes its logs afterwards.
    pub backup: BackupType,
}

/// What a restore or an import needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// The backup components document, with what the provider says of its LUNs.
    pub components: String,
    /// The metadata of each writer.
    pub writers: Vec<String>,
}

/// Makes shadow copies of everything that was named. `keep` puts the documents where they last,
/// before the application learns of its backup. What is returned is the trouble after that, if
/// any: the copies are there, but the application may not know.
///
/// # Errors
/// Whatever stands in the way; then there is no copy, or the action says what is left of it.
pub fn back_up<V: Vss + ?Sized>(
    vss: &mut V,
    wish: &Wish,
    keep: impl FnOnce(&Documents) -> Checked,
) -> Checked<Option<Box<Failure>>> {
    let mut backup = Backup { vss, told: Vec::new(), set: None, failed: false };
    let outcome = match backup.make(wish, keep) {
        Ok(taken) => Ok(backup.complete(&taken).err()),
        Err(failure) => Err(backup.give_up(*failure)),
    };
    // What VSS keeps for us goes with the object at the latest.
    let _ = backup.vss.free_writer_metadata();
    outcome
}

struct Backup<'v, V: ?Sized> {
    vss: &'v mut V,
    /// The components that were told successful.
    told: Vec<Choice>,
    /// The set that may exist.
    set: Option<Guid>,
    /// Whether a task failed by itself: VSS leaves no set behind then.
    failed: bool,
}

impl<V: Vss + ?Sized> Backup<'_, V> {
    fn make(
        &mut self,
        wish: &Wish,
        keep: impl FnOnce(&Documents) -> Checked,
    ) -> Checked<Vec<Choice>> {
        self.call("InitializeForBackup", None, V::initialize_for_backup)?;
        self.call("SetContext", None, |vss| vss.set_context(CONTEXT))?;
        self.call("SetBackupState", None, |vss| vss.set_backup_state(wish.backup))?;
        self.call("EnableWriterClasses", None, |vss| vss.enable_writer_class(EXCHANGE))?;
        self.finish(Task::GatherWriterMetadata)?;
        let writers = self.call("GetWriterMetadata", None, V::writers)?;
        let selection = select(&writers, &wish.named)?;
        let volumes = self.volumes(&selection)?;
        let taken = selection.taken;
        for choice in &taken {
            let id = &choice.id;
            self.call("AddComponent", Some(choice.shown()), |vss| vss.add_component(id))?;
        }
        let set = self.call("StartSnapshotSet", None, V::start_snapshot_set)?;
        for volume in &volumes {
            self.call("AddToSnapshotSet", Some(volume), |vss| {
                vss.add_to_snapshot_set(volume, PROVIDER)
            })?;
        }
        self.pass(Task::PrepareForBackup, &taken)?;
        self.set = Some(set);
        self.pass(Task::DoSnapshotSet, &taken)?;
        for choice in &taken {
            self.told.push(choice.clone());
            self.call("SetBackupSucceeded", Some(choice.shown()), |vss| {
                vss.set_backup_succeeded(&choice.id, true)
            })?;
        }
        let components = self.call("SaveAsXML", None, V::document)?;
        let writers = writers.into_iter().map(|writer| writer.document).collect();
        keep(&Documents { components, writers })?;
        Ok(taken)
    }

    fn complete(&mut self, taken: &[Choice]) -> Checked {
        if let Err(failure) = self.finish(Task::BackupComplete) {
            // Writers that still wait are let go; the others have heard.
            let _ = self.vss.abort_backup();
            return Err(told_late(*failure));
        }
        self.check(Task::BackupComplete, taken).map_err(|failure| told_late(*failure))
    }

    /// The volumes of what is taken. None of them may hold what is left out: its files would be
    /// copied without its writer knowing (MK-94HC074 2.4.1).
    fn volumes(&mut self, selection: &Selection) -> Checked<BTreeSet<String>> {
        let mut volumes = BTreeSet::new();
        for directory in selection.taken.iter().flat_map(|choice| &choice.directories) {
            let volume =
                self.call("GetVolumePathName", Some(directory), |vss| vss.volume_of(directory))?;
            volumes.insert(volume);
        }
        for choice in &selection.left {
            for directory in &choice.directories {
                // What is on no volume is on none of these.
                let Ok(volume) = self.vss.volume_of(directory) else { continue };
                if volumes.contains(&volume) {
                    return Err(Failure::new(message::TARGET)
                        .object(volume)
                        .state(format!("{directory} of {} lies on it too", choice.shown()))
                        .cause("a volume is backed up with all that is on it, or not at all")
                        .action(format!("name {} too, or leave -target out", choice.shown()))
                        .into());
                }
            }
        }
        Ok(volumes)
    }

    fn call<T>(
        &mut self,
        name: &str,
        object: Option<&str>,
        call: impl FnOnce(&mut V) -> Answer<T>,
    ) -> Checked<T> {
        call(self.vss).map_err(|hresult| refused(name, object, hresult))
    }

    /// Has a task done and looks at the writers. One that failed explains what VSS says.
    fn pass(&mut self, task: Task, taken: &[Choice]) -> Checked {
        match self.finish(task) {
            Ok(()) => self.check(task, taken),
            Err(failure) if failure.message == message::VSS_LATE => Err(failure),
            Err(failure) => {
                self.failed = true;
                match self.check(task, taken) {
                    Err(writers) if of_a_writer(&writers) => Err(writers),
                    _ => Err(failure),
                }
            }
        }
    }

    fn check(&mut self, after: Task, taken: &[Choice]) -> Checked {
        self.finish(Task::GatherWriterStatus)?;
        let statuses = self.call("GetWriterStatus", None, V::writer_statuses);
        self.call("FreeWriterStatus", None, V::free_writer_status)?;
        judge(after, &statuses?, taken)
    }

    /// Starts a task and waits for its end, as long as it may take.
    fn finish(&mut self, task: Task) -> Checked {
        let name = task.to_string();
        self.call(&name, None, |vss| vss.start(task))?;
        let began = self.vss.clock();
        loop {
            match self.call(&name, None, V::look)? {
                Progress::Finished => return Ok(()),
                Progress::Cancelled => {
                    return Err(Failure::new(message::VSS_FAILED)
                        .cause(format!("{name} was cancelled by VSS"))
                        .action("the events of VSS in the Application log say why")
                        .into());
                }
                Progress::Pending if self.vss.clock() - began >= task.limit() => break,
                Progress::Pending => self.vss.wait(PAUSE),
            }
        }
        // Whatever it still does, it is not waited for any longer than this.
        let _ = self.vss.cancel();
        let cancelled = self.vss.clock();
        while self.vss.look() == Ok(Progress::Pending) && self.vss.clock() - cancelled < GRACE {
            self.vss.wait(PAUSE);
        }
        Err(late(task))
    }

    /// Undoes what was done, the last first.
    fn give_up(&mut self, mut failure: Failure) -> Box<Failure> {
        let mut left = Vec::new();
        for choice in self.told.drain(..).rev() {
            if let Err(hresult) = self.vss.set_backup_succeeded(&choice.id, false) {
                left.push(format!("{} was told of a success ({hresult})", choice.shown()));
            }
        }
        if let Some(set) = self.set.take() {
            match self.vss.delete_snapshot_set(set) {
                Ok(()) => {}
                Err(OBJECT_NOT_FOUND) if self.failed => {}
                Err(hresult) => left.push(format!(
                    "shadow copies of set {set} could not be deleted ({hresult}): give them up \
                     with pairresync before the next backup"
                )),
            }
        }
        if let Err(hresult) = self.vss.abort_backup() {
            left.push(format!(
                "AbortBackup was refused ({hresult}): writers are let go at the end"
            ));
        }
        failure.state = failure.state.or_else(|| Some("the backup was given up".to_owned()));
        if !left.is_empty() {
            let action = failure.action.take().into_iter();
            failure.action = Some(action.chain(left).collect::<Vec<_>>().join("; "));
        }
        Box::new(failure)
    }
}

fn of_a_writer(failure: &Failure) -> bool {
    failure.message == message::WRITER_TIMEOUT || failure.message == message::WRITER_FAILED
}

/// The copies are there, but the application may not know.
fn told_late(mut failure: Failure) -> Box<Failure> {
    let state = failure.state.take().map(|state| format!("{state}; ")).unwrap_or_default();
    failure.state = Some(format!(
        "{state}the shadow copies and their documents are there and are kept; the application may \
         not know of its backup, and have kept its logs"
    ));
    Box::new(failure)
}
