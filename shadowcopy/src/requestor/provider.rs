//! The provider, loaded for a command.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use commands::environment::Environment;
use model::MuNumber;
use protocol::Home;
use provider::{
    Limits, Outside, Provider,
    error::{Fault, Refused},
    file_journal::FileJournal,
    host::WallClock,
    journal::{Journal as _, Record},
    session::Session,
    settings::Settings,
};

use crate::{
    console::Console,
    failure::{Checked, Failure},
    host::{LinuxHost, events::Events},
    message,
};

/// How long a guard is waited for that brings pairs back.
const GUARD: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 20 });
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Where the provider keeps its sets: `$HORCMROOT/drm/sets`.
#[must_use]
pub fn journal_path(home: &Home) -> PathBuf {
    home.root().join("drm/sets")
}

/// The provider's variables.
///
/// # Errors
/// KAVX5100-E with EV_EGETEV.
pub fn settings(environment: &Environment) -> Checked<Settings> {
    Settings::read(|name| Ok(environment.get(name).map(str::to_owned)))
        .map_err(|fault| failed(&fault).into())
}

/// Opens the provider's journal.
///
/// # Errors
/// KAVX0204-E while another command has it; KAVX5100-E for what the file system says.
pub fn journal(home: &Home) -> Checked<FileJournal> {
    let path = journal_path(home);
    let began = Instant::now();
    let opened = loop {
        match FileJournal::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < GUARD => {
                // The guard of a backup that died has it for a moment.
                std::thread::sleep(LOOK);
            }
            opened => break opened,
        }
    };
    opened.map_err(|error| {
        let failure = match error.kind() {
            io::ErrorKind::WouldBlock => Failure::new(message::BACKUP_RUNNING)
                .cause("it works with the snapshot sets")
                .action("wait until it has ended, and begin again"),
            _ => failed(&Fault::journal(&error)),
        };
        failure.object(path.display().to_string()).into()
    })
}

/// The sets that the provider knows.
///
/// # Errors
/// As [`journal`].
pub fn records(console: &Console<'_>) -> Checked<Vec<Record>> {
    let found = journal(&console.home)?.records();
    Ok(found.map_err(|error| journal_failed(&console.home, &error))?.records)
}

/// What the file system said of the provider's journal, as a message.
#[must_use]
pub fn journal_failed(home: &Home, error: &io::Error) -> Box<Failure> {
    failed(&Fault::journal(error)).object(journal_path(home).display().to_string()).into()
}

/// Loads it with a generation in place of `VSHTCHOMRCF_MUN`.
///
/// # Errors
/// As [`journal`]; KAVX5100-E with what it refuses.
pub fn load(console: &Console<'_>, generation: MuNumber) -> Checked<Provider> {
    let home = console.home.clone();
    let host = LinuxHost::new(home.clone(), console.environment.clone(), Some(generation));
    let outside = Outside {
        journal: Box::new(journal(&home)?),
        clock: Box::new(WallClock::default()),
        host: Box::new(host),
        events: Box::new(Events(console.command)),
    };
    let raid = |settings: &Settings| Box::new(Session::new(home, settings)) as _;
    Provider::load(outside, Limits::default(), raid).map_err(|error| refused(&error))
}

/// What the provider refused, as a message.
#[must_use]
pub fn refused(refused: &Refused) -> Box<Failure> {
    failed(&refused.fault).into()
}

/// What stands in the way of asking it, as a message.
#[must_use]
pub fn fault(fault: &Fault) -> Box<Failure> {
    failed(fault).into()
}

fn failed(fault: &Fault) -> Failure {
    let event = fault.event;
    Failure {
        message: message::PROVIDER,
        words: vec![event.name().to_owned()],
        object: fault.object.clone(),
        state: fault.state.clone(),
        cause: Some(fault.cause.clone().unwrap_or_else(|| event.cause().to_owned())),
        action: Some(fault.action.clone().unwrap_or_else(|| event.correction().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use provider::{event::Event, settings};

    use super::*;

    #[test]
    fn a_journal_in_use_is_another_backup() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().into());
        let held = journal(&home).unwrap();
        assert_eq!(journal(&home).unwrap_err().message, message::BACKUP_RUNNING);
        drop(held);
        journal(&home).unwrap();
    }

    #[test]
    fn an_event_is_told_with_its_own_words_where_nothing_better_is_known() {
        let failure = failed(&Fault::new(Event::Erperm).cause("of all things"));
        assert_eq!(failure.words, ["EV_ERPERM"]);
        assert_eq!(failure.cause.as_deref(), Some("of all things"));
        assert_eq!(failure.action.as_deref(), Some(Event::Erperm.correction()));
        let missing = settings(&Environment::default()).unwrap_err();
        assert_eq!(missing.object.as_deref(), Some(settings::LOCAL));
    }
}
