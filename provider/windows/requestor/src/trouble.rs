//! What an HRESULT or a writer's state means, and what to do about it.

use std::fmt;

use messages::{
    failure::{Checked, Failure},
    message::{self, Message},
};

use crate::{
    selection::Choice,
    vss::{Hresult, Task, WriterStatus},
};

/// A writer was frozen for too long.
const WRITER_TIMEOUT: Hresult = Hresult(0x8004_23f2);
/// There is no such shadow copy.
pub const OBJECT_NOT_FOUND: Hresult = Hresult(0x8004_2308);

const SETUP: &str = "vssadmin list providers must show {748babd3-8c62-4b3d-b6b7-430b5f858c74}; the \
                     events of RMVSSPRV in the Application log say why it refused";
const PAIRS: &str =
    "the split took too long: back up in parts with -target, or see what slows the array";

/// HRESULT, its name, the message it is told by, and what to do.
const KNOWN: &[(u32, &str, Message, &str)] = &[
    (0x8000_4001, "E_NOTIMPL", message::VSS_SYSTEM, "run it on Windows Server"),
    (0x8004_0154, "REGDB_E_CLASSNOTREG", message::VSS_SYSTEM, "run it on Windows Server"),
    (0x8007_0005, "E_ACCESSDENIED", message::VSS_FAILED, "run it as an administrator"),
    (0x8004_2301, "VSS_E_BAD_STATE", message::VSS_FAILED, "repeat it, and report this"),
    (
        0x8004_2302,
        "VSS_E_UNEXPECTED",
        message::VSS_FAILED,
        "the events of VSS in the Application log say more",
    ),
    (0x8004_2304, "VSS_E_PROVIDER_NOT_REGISTERED", message::VSS_PROVIDER, SETUP),
    (0x8004_2306, "VSS_E_PROVIDER_VETO", message::VSS_PROVIDER, SETUP),
    (0x8004_2308, "VSS_E_OBJECT_NOT_FOUND", message::VSS_FAILED, "repeat it, and report this"),
    (0x8004_230c, "VSS_E_VOLUME_NOT_SUPPORTED", message::VSS_PROVIDER, SETUP),
    (0x8004_230e, "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER", message::VSS_PROVIDER, SETUP),
    (0x8004_230f, "VSS_E_UNEXPECTED_PROVIDER_ERROR", message::VSS_PROVIDER, SETUP),
    (
        0x8004_2312,
        "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED",
        message::VSS_FAILED,
        "back up in parts with -target: a set has at most 64 volumes",
    ),
    (0x8004_2313, "VSS_E_FLUSH_WRITES_TIMEOUT", message::VSS_FAILED, PAIRS),
    (0x8004_2314, "VSS_E_HOLD_WRITES_TIMEOUT", message::VSS_FAILED, PAIRS),
    (
        0x8004_2316,
        "VSS_E_SNAPSHOT_SET_IN_PROGRESS",
        message::VSS_FAILED,
        "wait until the other backup is over",
    ),
    (
        0x8004_2317,
        "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED",
        message::VSS_PROVIDER,
        "an S-VOL holds a shadow copy already: delete it, or give it up with pairresync",
    ),
    (0x8004_231b, "VSS_E_UNSUPPORTED_CONTEXT", message::VSS_PROVIDER, SETUP),
    (0x8004_231f, "VSS_E_INSUFFICIENT_STORAGE", message::VSS_PROVIDER, SETUP),
    (0x8004_23f0, "VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT", message::VSS_FAILED, "repeat it"),
    (0x8004_23f1, "VSS_E_WRITERERROR_OUTOFRESOURCES", message::VSS_FAILED, "free memory and disk"),
    (WRITER_TIMEOUT.0, "VSS_E_WRITERERROR_TIMEOUT", message::VSS_FAILED, PAIRS),
    (0x8004_23f3, "VSS_E_WRITERERROR_RETRYABLE", message::VSS_FAILED, "repeat it"),
    (
        0x8004_23f4,
        "VSS_E_WRITERERROR_NONRETRYABLE",
        message::VSS_FAILED,
        "the events of the application in the Application log say more",
    ),
];

impl fmt::Display for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HRESULT {:#010x}", self.0)?;
        match KNOWN.iter().find(|it| it.0 == self.0) {
            Some((_, name, ..)) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// A call, on an object if it was about one, that VSS refused.
#[must_use]
pub fn refused(call: &str, object: Option<&str>, hresult: Hresult) -> Box<Failure> {
    let (message, action) = match KNOWN.iter().find(|it| it.0 == hresult.0) {
        Some((_, _, message, action)) => (*message, *action),
        None => (message::VSS_FAILED, "the events of VSS in the Application log say more"),
    };
    Failure::new(message)
        .object(object.unwrap_or(call))
        .cause(format!("{call}: {hresult}"))
        .action(action)
        .into()
}

/// A task that does not end.
#[must_use]
pub fn late(task: Task) -> Box<Failure> {
    let limit = task.limit().as_secs() / 60;
    Failure::new(message::VSS_LATE)
        .word(task)
        .cause(format!("it was not over after {limit} minutes, and was cancelled"))
        .action("vssadmin list writers shows a writer that hangs; restart its service")
        .into()
}

/// Looks at how writers are after a task: each must be well, and those with components be there.
///
/// # Errors
/// KAVX5004-E for a timeout of a writer's, KAVX5108-E for all else.
pub fn judge(after: Task, statuses: &[WriterStatus], taken: &[Choice]) -> Checked {
    for status in statuses {
        if goes_well(after, status.state) && status.failure == Hresult(0) {
            continue;
        }
        let message = match status.failure {
            WRITER_TIMEOUT => message::WRITER_TIMEOUT,
            _ => message::WRITER_FAILED,
        };
        let action = match KNOWN.iter().find(|it| it.0 == status.failure.0) {
            Some((.., action)) => *action,
            None => "the events of the application in the Application log say more",
        };
        return Err(Failure::new(message)
            .word(&status.name)
            .object(format!("{} {}", status.name, status.instance))
            .state(format!("{} after {after}", state(status.state)))
            .cause(status.failure.to_string())
            .action(action)
            .into());
    }
    let lost = taken.iter().find(|it| !statuses.iter().any(|s| s.instance == it.id.instance));
    lost.map_or(Ok(()), |choice| {
        Err(Failure::new(message::WRITER_FAILED)
            .word(format!("the writer of {}", choice.shown()))
            .object(choice.id.instance.to_string())
            .state(format!("gone after {after}"))
            .cause("VSS knows it no longer: its service ended")
            .action("start the service and repeat it")
            .into())
    })
}

/// States 1 to 5 are those of a backup that goes well; 0 is unknown, others are failures. A writer
/// that still waits for the freeze or the thaw has not been through them.
const fn goes_well(after: Task, state: u32) -> bool {
    match after {
        Task::DoSnapshotSet => matches!(state, 1 | 4 | 5),
        _ => matches!(state, 1..=5),
    }
}

/// VSS_WRITER_STATE by its name.
fn state(state: u32) -> String {
    const NAMES: [&str; 16] = [
        "VSS_WS_UNKNOWN",
        "VSS_WS_STABLE",
        "VSS_WS_WAITING_FOR_FREEZE",
        "VSS_WS_WAITING_FOR_THAW",
        "VSS_WS_WAITING_FOR_POST_SNAPSHOT",
        "VSS_WS_WAITING_FOR_BACKUP_COMPLETE",
        "VSS_WS_FAILED_AT_IDENTIFY",
        "VSS_WS_FAILED_AT_PREPARE_BACKUP",
        "VSS_WS_FAILED_AT_PREPARE_SNAPSHOT",
        "VSS_WS_FAILED_AT_FREEZE",
        "VSS_WS_FAILED_AT_THAW",
        "VSS_WS_FAILED_AT_POST_SNAPSHOT",
        "VSS_WS_FAILED_AT_BACKUP_COMPLETE",
        "VSS_WS_FAILED_AT_PRE_RESTORE",
        "VSS_WS_FAILED_AT_POST_RESTORE",
        "VSS_WS_FAILED_AT_BACKUPSHUTDOWN",
    ];
    let name = usize::try_from(state).ok().and_then(|it| NAMES.get(it));
    name.map_or_else(|| format!("state {state}"), |name| (*name).to_owned())
}
