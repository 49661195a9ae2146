//! `shadowadmin delete shadows`: shadow copies and their records.

use std::io::Read;

use commands::parse::Typed;
use provider::guid::{Guid, SetId};

use super::super::view;
use crate::{
    catalogue::BackupId,
    console::Console,
    failure::{Failure, Outcome, Stop},
    message,
    requestor::deleting,
};

/// The most of an answer that is read.
const ANSWER: u64 = 100;

/// What one deletion is of.
#[derive(Debug, Clone, Copy)]
enum Doomed {
    Backup(BackupId),
    /// A shadow copy set that the catalogue has no record of.
    Set(SetId),
}

impl std::fmt::Display for Doomed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Backup(id) => id.fmt(f),
            Self::Set(set) => set.fmt(f),
        }
    }
}

pub(super) fn shadows(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let doomed = match typed.word("shadow") {
        Some(word) => vec![named(console, word)?],
        None if typed.has("all") => {
            let kept = view::catalogue(console)?.into_iter().map(|kept| kept.backup);
            kept.filter(|backup| backup.is_there())
                .map(|backup| Doomed::Backup(backup.id))
                .collect()
        }
        None => {
            let wrong = "it must be told what to delete";
            return Err(Failure::usage(console.command, "-shadow=ID or -all", wrong).into());
        }
    };
    if !doomed.is_empty() && !typed.has("quiet") {
        confirm(console, &doomed)?;
    }
    let mut deleted = Vec::new();
    for one in &doomed {
        match delete(console, *one, typed.has("record")) {
            Ok(()) => {
                console.say(message::DELETED, &[one])?;
                deleted.push(one.to_string());
            }
            // Of several, one that is in use does not keep the others.
            Err(Stop::Failure(failure)) if doomed.len() > 1 => console.tell(&failure)?,
            Err(stop) => return Err(stop),
        }
    }
    if console.json {
        console.print_json(&deleted)?;
    }
    if deleted.len() < doomed.len() {
        let state = format!("{} of {} were deleted", deleted.len(), doomed.len());
        let failure = Failure::new(message::NOT_DELETED).state(state);
        return Err(failure
            .cause("the messages above say why each of the others was not")
            .action("see to the causes, and repeat the command")
            .into());
    }
    if doomed.is_empty() && !console.json {
        return console.say(message::CATALOGUE_EMPTY, &[]);
    }
    Ok(())
}

/// A backup ID, or the ID of a shadow copy set.
fn named(console: &Console<'_>, word: &str) -> Outcome<Doomed> {
    if let Ok(id) = word.parse() {
        return Ok(Doomed::Backup(id));
    }
    let Ok(set) = word.parse::<Guid>().map(SetId) else {
        let wrong = "it is a backup ID or the ID of a shadow copy set, as list shadows shows them";
        return Err(Failure::usage(console.command, format!("-shadow={word}"), wrong).into());
    };
    let known = console.catalogue().list()?.backups.into_iter().map(|kept| kept.backup);
    let known = known.into_iter().find(|backup| backup.set == set);
    Ok(known.map_or(Doomed::Set(set), |backup| Doomed::Backup(backup.id)))
}

fn delete(console: &mut Console<'_>, doomed: Doomed, record: bool) -> Outcome {
    match (doomed, record) {
        (Doomed::Backup(id), false) => deleting::backup(console, id),
        (Doomed::Backup(id), true) => deleting::record(console, id),
        (Doomed::Set(set), false) => deleting::set(console, set),
        (Doomed::Set(set), true) => deleting::set_record(console, set),
    }
}

fn confirm(console: &mut Console<'_>, doomed: &[Doomed]) -> Outcome {
    let names: Vec<_> = doomed.iter().map(ToString::to_string).collect();
    let question = format!(
        "Do you really want to delete {} shadow copies: {} (Y/N): [N]? ",
        doomed.len(),
        names.join(", ")
    );
    let into = if console.bare { &mut *console.errors } else { &mut *console.output };
    into.write_all(question.as_bytes()).and_then(|()| into.flush()).map_err(Stop::Output)?;
    let mut answer = Vec::new();
    let mut byte = [0];
    let mut input = (&mut *console.input).take(ANSWER);
    // No more than the line: what stands behind it is not ours.
    while matches!(input.read(&mut byte), Ok(1)) && byte != *b"\n" {
        answer.extend(byte);
    }
    let answer = String::from_utf8_lossy(&answer).trim().to_lowercase();
    if ["y", "yes"].contains(&answer.as_str()) {
        return Ok(());
    }
    Err(Failure::new(message::NOT_DELETED)
        .object(names.join(", "))
        .cause("the question was not answered with Y")
        .action("answer Y, or give -quiet")
        .into())
}
