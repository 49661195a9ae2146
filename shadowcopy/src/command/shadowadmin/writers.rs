//! `shadowadmin list writers`: the writers of the configuration, as they answer now.

use model::error::printable;
use serde::Serialize;

use super::{super::view, print};
use crate::{
    catalogue::Kept,
    console::Console,
    failure::Outcome,
    requestor::{asking, asking::Live, writers},
    writer::{Fault, FaultKind},
};

/// `VSS_WS_STABLE` and `VSS_WS_FAILED_AT_IDENTIFY`, as vssadmin shows them.
const STABLE: &str = "[1] Stable";
const FAILED: &str = "[6] Failed";

/// A writer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Writer {
    name: String,
    version: Option<String>,
    state: &'static str,
    /// Why it does not answer, else what went wrong in its last backup.
    last_error: Option<String>,
    last_backup: Option<String>,
}

pub(super) fn list(console: &mut Console<'_>) -> Outcome {
    let backups = view::catalogue(console)?;
    let live = asking::all(&writers::config(console)?, asking::PATIENCE);
    let found: Vec<_> = live.into_iter().map(|live| writer(live, &backups)).collect();
    if console.json {
        return console.print_json(&found);
    }
    let text: Vec<_> = found.iter().map(shown).collect();
    print(console, &text, "The configuration has no writer.\n")
}

fn writer(live: Live, backups: &[Kept]) -> Writer {
    let (name, version, fault) = match live.said {
        Ok(metadata) => (metadata.name, Some(metadata.version), None),
        Err(fault) => (live.name, None, Some(fault)),
    };
    // The newest backup comes last.
    let last = backups.iter().rev().find_map(|kept| {
        let part = kept.backup.writers.iter().find(|part| part.metadata.name == name);
        part.map(|part| (kept.backup.id, part.fault.as_deref()))
    });
    let state = if fault.is_none() { STABLE } else { FAILED };
    let of_last = || last.and_then(|(id, fault)| Some(format!("backup {id}: {}", fault?)));
    Writer {
        last_error: fault.as_ref().map(told).or_else(of_last),
        last_backup: last.map(|(id, _)| id.to_string()),
        name,
        version,
        state,
    }
}

/// vssadmin's word for the kind, and the cause.
fn told(fault: &Fault) -> String {
    let kind = match fault.kind {
        FaultKind::NonRetryable => "Non-retryable error",
        FaultKind::Retryable => "Retryable error",
        FaultKind::Timeout => "Timed out",
        FaultKind::Inconsistent => "Inconsistent shadow copy",
    };
    format!("{kind}: {fault}")
}

fn shown(writer: &Writer) -> String {
    format!(
        "Writer name: '{}'\n   Version: {}\n   State: {}\n   Last error: {}\n   Last backup: {}\n",
        printable(&writer.name),
        printable(writer.version.as_deref().unwrap_or("-")),
        writer.state,
        printable(writer.last_error.as_deref().unwrap_or("No error")),
        writer.last_backup.as_deref().unwrap_or("-")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::record::{Participant, fake::backup},
        writer::Metadata,
    };

    fn metadata(name: &str) -> Metadata {
        Metadata { name: name.into(), version: "15".into(), limit: None, paths: Vec::new() }
    }

    fn kept(number: u64, fault: Option<&str>) -> Kept {
        let mut backup = backup(number);
        let metadata = metadata("postgresql/main");
        backup.writers = vec![Participant {
            metadata,
            fault: fault.map(Into::into),
            kind: None,
            artifacts: Vec::new(),
        }];
        Kept { backup, died: false }
    }

    #[test]
    fn what_it_answers_counts_and_what_its_last_backup_said_stands_behind() {
        let backups = [kept(1, None), kept(2, Some("the disk is full"))];
        let live = |said| Live { name: "postgresql/main".into(), said };
        let fine = writer(live(Ok(metadata("postgresql/main"))), &backups[..1]);
        assert_eq!((fine.state, &fine.last_error), (STABLE, &None));
        assert_eq!(fine.last_backup.as_deref(), Some("0000000001"));
        assert!(shown(&fine).contains("   State: [1] Stable\n   Last error: No error\n"));
        let went_wrong = writer(live(Ok(metadata("postgresql/main"))), &backups);
        assert_eq!(went_wrong.state, STABLE);
        let last_error = went_wrong.last_error.as_deref();
        assert_eq!(last_error, Some("backup 0000000002: the disk is full"));
        let fault = Fault::new(FaultKind::Retryable, "connection refused").action("start it");
        let down = writer(live(Err(fault)), &backups);
        assert_eq!(down.state, FAILED);
        let text = shown(&down);
        let words = "Version: -\n   State: [6] Failed\n   \
                     Last error: Retryable error: connection refused; start it\n";
        assert!(text.contains(words), "{text}");
        let new = writer(Live { name: "x".into(), said: Ok(metadata("x")) }, &backups);
        assert_eq!((new.last_error, new.last_backup), (None, None));
    }
}
