//! What is done after a crash: by the guard, at the start of every command that works with pairs,
//! and at boot.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use model::MuNumber;
use protocol::Home;

use super::{provider, writers};
use crate::{
    catalogue::{State, Store},
    console::Console,
    failure::{Failure, Outcome},
    freeze::{self, Aftermath, Died, journal, journal::Record},
    message,
    step::Step,
};

/// How long a file system may take to thaw.
const THAW: Duration = Duration::from_secs(10);
/// How long a guard is waited for that still thaws or recovers.
const GUARD: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Where the coordinator keeps its journals: `$HORCMROOT/drm/run`.
#[must_use]
pub fn run_path(home: &Home) -> PathBuf {
    home.root().join("drm/run")
}

/// Undoes what backups left that died, and says what could not be undone. Whoever calls has the
/// claim of the catalogue, or is the guard.
///
/// # Errors
/// KAVX5106-E naming what is left: then nothing new may begin.
pub fn recover(console: &mut Console<'_>, store: &Store, died: Option<Died>) -> Outcome {
    let run = run_path(&console.home);
    let unreadable = |error: std::io::Error| {
        Failure::new(message::NOT_RECOVERED)
            .object(run.display().to_string())
            .cause(error.to_string())
    };
    // A guard that is at work has what its backup left.
    let began = Instant::now();
    while died.is_none()
        && !journal::find(&run).map_err(unreadable)?.held.is_empty()
        && began.elapsed() < GUARD
    {
        std::thread::sleep(LOOK);
    }
    let is_guard = died.is_some();
    let mut after = After { console: &*console };
    let done = freeze::recover(&run, died, THAW, &mut store.clone(), &mut after);
    let recovered = done.map_err(unreadable)?;
    for note in &recovered.notes {
        console.say(message::LEFT, &[note])?;
    }
    for damaged in &recovered.damaged {
        let note =
            format!("{} cannot be read; fsfreeze -u what it may have named", damaged.display());
        console.say(message::LEFT, &[&note])?;
    }
    for (record, faults) in &recovered.backups {
        if !faults.is_empty() {
            return Err(Failure::new(message::NOT_RECOVERED)
                .object(format!("backup {}", record.backup))
                .state("its command died")
                .cause(faults.join("; "))
                .action("see to the cause, then drm recover")
                .into());
        }
        console.say(message::RECOVERED, &[&record.backup])?;
    }
    if is_guard { Ok(()) } else { abandoned(store, &run) }
}

/// Backups that run by the catalogue, and are in no journal: their commands died before anything was
/// begun that a journal has to tell of.
fn abandoned(store: &Store, run: &Path) -> Outcome {
    let guarded = journal::find(run).map(|found| found.held).unwrap_or_default();
    for kept in store.list()?.backups {
        let id = kept.backup.id;
        let is_guarded = guarded.iter().any(|record| record.backup == id);
        if kept.backup.state == State::Running && !is_guarded {
            store.update(id, |backup| {
                let cause = "its command died".to_owned();
                backup.state = State::Aborted { step: Step::Describe, cause };
                backup.ended = Some(SystemTime::now());
            })?;
        }
    }
    Ok(())
}

/// What of a backup that died is undone here.
struct After<'a, 'c> {
    console: &'a Console<'c>,
}

impl Aftermath for After<'_, '_> {
    fn thaw_writers(&mut self, left: &Record) -> Result<(), String> {
        writers::thaw_left(self.console, left)
    }

    fn abort_copies(&mut self, left: &Record) -> Result<(), String> {
        // Loading it is what brings unfinished sets back. The mirror plays no part in that. One
        // that was finished, and is in no catalogue, nobody else would ever delete.
        let mut loaded = provider::load(self.console, MuNumber::default())
            .map_err(|failure| failure.to_string())?;
        loaded.delete(left.set).map_err(|refused| refused.to_string())?;
        let records = loaded.records().map_err(|fault| fault.to_string())?;
        match records.iter().find(|record| record.set == left.set) {
            None => Ok(()),
            Some(_) => Err("its pairs could not be brought back; the event log says why".into()),
        }
    }
}
