//! A backup that goes well, and everything that can stand in its way.

use std::collections::HashMap;

use messages::{failure::Failure, message};

use super::fake::{Fake, Script};
use crate::{
    backup::{Documents, Wish, back_up},
    vss::{BackupType, Hresult, Task},
};

/// All calls of a backup of two databases, in their order.
const ALL: [&str; 28] = [
    "InitializeForBackup",
    "SetContext",
    "SetBackupState Copy",
    "EnableWriterClasses",
    "GatherWriterMetadata",
    "GetWriterMetadata",
    "AddComponent A",
    "AddComponent B",
    "StartSnapshotSet",
    "AddToSnapshotSet D:",
    "AddToSnapshotSet E:",
    "AddToSnapshotSet F:",
    "PrepareForBackup",
    "GatherWriterStatus",
    "GetWriterStatus",
    "FreeWriterStatus",
    "DoSnapshotSet",
    "GatherWriterStatus",
    "GetWriterStatus",
    "FreeWriterStatus",
    "SetBackupSucceeded A",
    "SetBackupSucceeded B",
    "SaveAsXML",
    "keep",
    "BackupComplete",
    "GatherWriterStatus",
    "GetWriterStatus",
    "FreeWriterStatus",
];
const VETO: Hresult = Hresult(0x8004_2306);
const TIMEOUT: Hresult = Hresult(0x8004_23f2);
const RETRYABLE: Hresult = Hresult(0x8004_23f3);

/// What came of it.
struct Run {
    calls: Vec<String>,
    outcome: Result<Option<Box<Failure>>, Box<Failure>>,
}

impl Run {
    fn of(script: Script) -> Self {
        let mut vss = Fake::new(script);
        let calls = vss.calls.clone();
        let wish = Wish { named: Vec::new(), backup: BackupType::Copy };
        let outcome = back_up(&mut vss, &wish, |documents| {
            calls.borrow_mut().push("keep".to_owned());
            let writers = vec!["<writer/>".to_owned()];
            assert_eq!(*documents, Documents { components: "<components/>".into(), writers });
            Ok(())
        });
        let calls = calls.take();
        Self { calls, outcome }
    }

    fn refused(call: &str, hresult: Hresult) -> Self {
        let refused = HashMap::from([(call.to_owned(), hresult)]);
        Self::of(Script { refused, ..Script::default() })
    }

    fn has(&self, call: &str) -> bool {
        self.calls.iter().any(|it| it == call)
    }

    /// Nothing is left that anybody could take for a backup.
    #[track_caller]
    fn given_up(self) -> Failure {
        let failure = *self.outcome.as_ref().expect_err("it failed").clone();
        assert!(!self.has("BackupComplete"), "{:?}", self.calls);
        assert!(self.calls.ends_with(&["AbortBackup".into(), "FreeWriterMetadata".into()]));
        let told = |result: &str| {
            let of = |it: &String| it.strip_prefix(result).map(str::to_owned);
            self.calls.iter().filter_map(of).collect::<Vec<_>>()
        };
        let mut undone = told("SetBackupFailed ");
        undone.reverse();
        assert_eq!(told("SetBackupSucceeded "), undone, "{:?}", self.calls);
        assert_eq!(self.has("DoSnapshotSet"), self.has("DeleteSnapshots"), "{:?}", self.calls);
        assert!(failure.action.is_some(), "{failure}");
        failure
    }

    /// The copies stay, and somebody hears that the application may not know.
    #[track_caller]
    fn kept(self) -> Failure {
        assert!(self.has("keep") && !self.has("DeleteSnapshots"), "{:?}", self.calls);
        assert!(!self.calls.iter().any(|it| it.starts_with("SetBackupFailed")));
        let failure = *self.outcome.expect("copies").expect("trouble");
        assert!(failure.state.as_deref().unwrap().contains("are kept"), "{failure}");
        failure
    }
}

#[test]
fn a_backup_is_made_in_the_order_that_vss_wants() {
    let run = Run::of(Script::default());
    assert_eq!(run.calls.split_last().unwrap().1, ALL);
    assert_eq!(run.calls.last().unwrap(), "FreeWriterMetadata");
    assert_eq!(run.outcome, Ok(None));
}

#[test]
fn whatever_vss_refuses_before_the_end_gives_the_backup_up() {
    let mut steps: Vec<&str> = ALL[..23].iter().map(|it| it.split(' ').next().unwrap()).collect();
    steps.push("GetVolumePathName");
    for step in steps {
        let failure = Run::refused(step, Hresult(0x8004_2302)).given_up();
        assert_eq!(failure.message, message::VSS_FAILED, "{step}");
        let cause = failure.cause.unwrap();
        assert_eq!(cause, format!("{step}: HRESULT 0x80042302 (VSS_E_UNEXPECTED)"));
    }
}

#[test]
fn a_provider_that_cannot_is_told_as_such() {
    for (call, hresult) in [
        ("AddToSnapshotSet", 0x8004_2304),
        ("AddToSnapshotSet", 0x8004_230e),
        ("DoSnapshotSet", VETO.0),
    ] {
        let failure = Run::refused(call, Hresult(hresult)).given_up();
        assert_eq!(failure.message, message::VSS_PROVIDER);
    }
}

#[test]
fn documents_that_cannot_be_kept_give_the_backup_up() {
    let mut vss = Fake::new(Script::default());
    let calls = vss.calls.clone();
    let wish = Wish { named: Vec::new(), backup: BackupType::Full };
    let full = || Failure::new(message::FILE_FAILED).word("x").action("make room").into();
    let outcome = back_up(&mut vss, &wish, |_| Err(full()));
    let run = Run { calls: calls.take(), outcome };
    assert!(run.has("SetBackupState Full"));
    assert_eq!(run.given_up().message, message::FILE_FAILED);
}

#[test]
fn a_task_that_hangs_or_is_cancelled_or_fails_ends_the_backup() {
    for task in [
        Task::GatherWriterMetadata,
        Task::PrepareForBackup,
        Task::GatherWriterStatus,
        Task::DoSnapshotSet,
    ] {
        let run = Run::of(Script { hanging: vec![task], ..Script::default() });
        assert!(run.has("Cancel"));
        let failure = run.given_up();
        assert_eq!(failure.message, message::VSS_LATE, "{task}");
        assert_eq!(failure.words, [task.to_string()]);

        let failure = Run::of(Script { cancelled: vec![task], ..Script::default() }).given_up();
        assert_eq!(failure.message, message::VSS_FAILED, "{task}");

        let failing = HashMap::from([(task, RETRYABLE)]);
        let failure = Run::of(Script { failing, ..Script::default() }).given_up();
        assert!(failure.cause.unwrap().starts_with(&format!("{task}: HRESULT 0x800423f3")));
    }
}

#[test]
fn a_writer_that_fails_lies_or_vanishes_gives_the_backup_up() {
    let well = Hresult(0);
    for task in [Task::PrepareForBackup, Task::DoSnapshotSet] {
        for (state, hresult, expected) in [
            (9, TIMEOUT, message::WRITER_TIMEOUT),
            (7, RETRYABLE, message::WRITER_FAILED),
            (1, RETRYABLE, message::WRITER_FAILED),
            (8, well, message::WRITER_FAILED),
            (0, well, message::WRITER_FAILED),
            (16, well, message::WRITER_FAILED),
            (u32::MAX, well, message::WRITER_FAILED),
        ] {
            let states = HashMap::from([(task, (state, hresult))]);
            let failure = Run::of(Script { states, ..Script::default() }).given_up();
            assert_eq!(failure.message, expected, "{task} {state} {hresult}");
            assert_eq!(failure.words, ["Microsoft Exchange Writer"]);
        }
        let failure = Run::of(Script { gone: Some(task), ..Script::default() }).given_up();
        assert_eq!(failure.message, message::WRITER_FAILED);
        assert!(failure.state.unwrap().contains("gone"));
    }
    for state in [2, 3] {
        let states = HashMap::from([(Task::DoSnapshotSet, (state, well))]);
        let failure = Run::of(Script { states, ..Script::default() }).given_up();
        assert_eq!(failure.message, message::WRITER_FAILED, "it never froze, or never thawed");
    }
}

#[test]
fn a_writer_explains_why_the_snapshot_failed() {
    let script = Script {
        failing: HashMap::from([(Task::DoSnapshotSet, Hresult(0x8004_2302))]),
        states: HashMap::from([(Task::DoSnapshotSet, (9, TIMEOUT))]),
        ..Script::default()
    };
    let failure = Run::of(script).given_up();
    assert_eq!(
        failure.to_string().lines().next().unwrap(),
        "KAVX5004-E A timeout error occurred in the writer. writer name = Microsoft Exchange Writer"
    );
}

#[test]
fn what_could_not_be_undone_is_told() {
    let refused = [
        ("SaveAsXML", 0x8004_2302),
        ("SetBackupFailed", 0x8004_2301),
        ("DeleteSnapshots", 0x8004_2306),
        ("AbortBackup", 0x8004_2301),
    ];
    let refused = refused.map(|(call, hresult)| (call.to_owned(), Hresult(hresult)));
    let script = Script { refused: HashMap::from(refused), ..Script::default() };
    let action = Run::of(script).given_up().action.unwrap();
    for expected in ["Database A was told of a success", "pairresync", "AbortBackup was refused"] {
        assert!(action.contains(expected), "{action}");
    }
}

#[test]
fn copies_that_vss_does_not_know_are_gone_only_if_it_failed_to_make_them() {
    for (call, gone) in [("DoSnapshotSet", true), ("SaveAsXML", false)] {
        let refused = [(call, 0x8004_2302), ("DeleteSnapshots", 0x8004_2308)];
        let refused = refused.map(|(call, hresult)| (call.to_owned(), Hresult(hresult)));
        let script = Script { refused: HashMap::from(refused), ..Script::default() };
        let action = Run::of(script).given_up().action.unwrap();
        assert_eq!(action.contains("pairresync"), !gone, "{action}");
    }
}

#[test]
fn once_the_application_may_know_the_copies_stay() {
    let task = Task::BackupComplete;
    let scripts = [
        Script { hanging: vec![task], ..Script::default() },
        Script { failing: HashMap::from([(task, VETO)]), ..Script::default() },
        Script { refused: HashMap::from([(task.to_string(), VETO)]), ..Script::default() },
    ];
    for script in scripts {
        let run = Run::of(script);
        assert!(run.has("AbortBackup"), "writers that wait are let go");
        run.kept();
    }
    let scripts = [
        Script { states: HashMap::from([(task, (12, RETRYABLE))]), ..Script::default() },
        Script { gone: Some(task), ..Script::default() },
    ];
    for script in scripts {
        let run = Run::of(script);
        assert!(!run.has("AbortBackup"), "the backup is over");
        assert_eq!(run.kept().message, message::WRITER_FAILED);
    }
}
