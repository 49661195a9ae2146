//! A VSS of memory: it notes every call, and fails, hangs or lies where a test says.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use provider::guid::Guid;

use crate::vss::{
    Answer, BackupType, CONTEXT, Component, ComponentId, EXCHANGE, Hresult, Progress, Task, Vss,
    Writer, WriterStatus,
};

pub const INSTANCE: Guid = Guid(7);
pub const SET: Guid = Guid(0x5e7);
const INFORMATION_STORE: &str = r"Microsoft Exchange Server\Microsoft Information Store\EX1";

/// What a test makes of it. Answers are by call, the first word of a noted line.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Calls that are refused.
    pub refused: HashMap<String, Hresult>,
    /// Tasks that never end, not even when they are cancelled.
    pub hanging: Vec<Task>,
    /// Tasks that VSS cancels.
    pub cancelled: Vec<Task>,
    /// Tasks that begin and fail.
    pub failing: HashMap<Task, Hresult>,
    /// States of the writer in place of the right one, by the task before.
    pub states: HashMap<Task, (u32, Hresult)>,
    /// The task after which the writer is gone.
    pub gone: Option<Task>,
    /// The writers, in place of Exchange's.
    pub writers: Option<Vec<Writer>>,
}

/// The VSS. Calls and script are shared with the test.
#[derive(Debug)]
pub struct Fake {
    pub calls: Rc<RefCell<Vec<String>>>,
    script: Script,
    task: Task,
    before: Task,
    passed: Duration,
}

impl Fake {
    pub fn new(script: Script) -> Self {
        let task = Task::GatherWriterMetadata;
        Self { calls: Rc::default(), script, task, before: task, passed: Duration::ZERO }
    }

    fn call<T>(&self, line: &str, answer: T) -> Answer<T> {
        self.calls.borrow_mut().push(line.to_owned());
        let name = line.split(' ').next().unwrap_or_default();
        self.script.refused.get(name).map_or(Ok(answer), |hresult| Err(*hresult))
    }
}

/// A component of Exchange's; its path is `INFORMATION_STORE` and what is told.
pub fn component(below: &str, name: &str, selectable: bool, directories: &[&str]) -> Component {
    let path = format!("{INFORMATION_STORE}{below}");
    Component {
        id: ComponentId {
            instance: INSTANCE,
            class: EXCHANGE,
            kind: 2,
            path: Some(path),
            name: name.into(),
        },
        caption: Some(format!("Database {name}")),
        selectable,
        directories: directories.iter().map(|it| (*it).to_owned()).collect(),
    }
}

/// Two databases: A has its file on D: and its logs on E:, B both on F:.
pub fn exchange() -> Writer {
    let components = vec![
        component("", "A", true, &[]),
        component(r"\A", "File", false, &[r"D:\A"]),
        component(r"\A", "Logs", false, &[r"E:\A"]),
        component("", "B", true, &[]),
        component(r"\B", "File", false, &[r"F:\B"]),
        component(r"\B", "Logs", false, &[r"F:\B\logs"]),
    ];
    Writer { class: EXCHANGE, components, document: "<writer/>".into() }
}

impl Vss for Fake {
    fn initialize_for_backup(&mut self) -> Answer {
        self.call("InitializeForBackup", ())
    }

    fn set_context(&mut self, context: i32) -> Answer {
        assert_eq!(context, CONTEXT);
        self.call("SetContext", ())
    }

    fn set_backup_state(&mut self, backup: BackupType) -> Answer {
        self.call(&format!("SetBackupState {backup:?}"), ())
    }

    fn enable_writer_class(&mut self, class: Guid) -> Answer {
        assert_eq!(class, EXCHANGE);
        self.call("EnableWriterClasses", ())
    }

    fn start(&mut self, task: Task) -> Answer {
        self.before = self.task;
        self.task = task;
        self.call(&task.to_string(), ())
    }

    fn look(&mut self) -> Answer<Progress> {
        if let Some(hresult) = self.script.failing.get(&self.task) {
            return Err(*hresult);
        }
        if self.script.hanging.contains(&self.task) {
            return Ok(Progress::Pending);
        }
        let cancelled = self.script.cancelled.contains(&self.task);
        Ok(if cancelled { Progress::Cancelled } else { Progress::Finished })
    }

    fn cancel(&mut self) -> Answer {
        self.call("Cancel", ())
    }

    fn wait(&mut self, most: Duration) {
        self.passed += most;
    }

    fn clock(&self) -> Duration {
        self.passed
    }

    fn writers(&mut self) -> Answer<Vec<Writer>> {
        let writers = self.script.writers.clone();
        self.call("GetWriterMetadata", writers.unwrap_or_else(|| vec![exchange()]))
    }

    fn free_writer_metadata(&mut self) -> Answer {
        self.call("FreeWriterMetadata", ())
    }

    fn volume_of(&mut self, directory: &str) -> Answer<String> {
        let answer = self.script.refused.get("GetVolumePathName");
        answer.map_or_else(|| Ok(directory[..2].to_owned()), |hresult| Err(*hresult))
    }

    fn add_component(&mut self, component: &ComponentId) -> Answer {
        self.call(&format!("AddComponent {}", component.name), ())
    }

    fn start_snapshot_set(&mut self) -> Answer<Guid> {
        self.call("StartSnapshotSet", SET)
    }

    fn add_to_snapshot_set(&mut self, volume: &str, provider: Guid) -> Answer {
        assert_eq!(provider.to_string(), "{748babd3-8c62-4b3d-b6b7-430b5f858c74}");
        self.call(&format!("AddToSnapshotSet {volume}"), ())
    }

    fn writer_statuses(&mut self) -> Answer<Vec<WriterStatus>> {
        assert_eq!(self.task, Task::GatherWriterStatus, "statuses are gathered first");
        if self.script.gone == Some(self.before) {
            return self.call("GetWriterStatus", Vec::new());
        }
        let well = if self.before == Task::DoSnapshotSet { 5 } else { 1 };
        let (state, failure) =
            self.script.states.get(&self.before).copied().unwrap_or((well, Hresult(0)));
        let name = "Microsoft Exchange Writer".to_owned();
        let status = WriterStatus { instance: INSTANCE, name, state, failure };
        self.call("GetWriterStatus", vec![status])
    }

    fn free_writer_status(&mut self) -> Answer {
        self.call("FreeWriterStatus", ())
    }

    fn set_backup_succeeded(&mut self, component: &ComponentId, succeeded: bool) -> Answer {
        // What is refused is the good news.
        match succeeded {
            true => self.call(&format!("SetBackupSucceeded {}", component.name), ()),
            false => self.call(&format!("SetBackupFailed {}", component.name), ()),
        }
    }

    fn document(&mut self) -> Answer<String> {
        self.call("SaveAsXML", "<components/>".into())
    }

    fn delete_snapshot_set(&mut self, set: Guid) -> Answer {
        assert_eq!(set, SET);
        self.call("DeleteSnapshots", ())
    }

    fn abort_backup(&mut self) -> Answer {
        self.call("AbortBackup", ())
    }
}
