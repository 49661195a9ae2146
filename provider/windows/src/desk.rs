//! The one provider of the process, and how calls get to it.
//!
//! VSS may make several objects of the class in one process; they share sets and journal, so they
//! share the provider. It is there from the first OnLoad to the last OnUnload.

use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::Home;
use provider::{
    Limits, Outside, Provider,
    entry::{Entry, guarded},
    error::{Fault, Refused},
    event::Event,
    file_journal::FileJournal,
    host::{self, EventLog as _, WallClock},
    provider::{Stop, Unload},
    session::Session,
};
use windows::core::{Error, HRESULT, Result};

use crate::{event_log::ApplicationLog, fault, host::ThisHost, installation};

/// Where the journal is, below RAID Manager's directory.
const JOURNAL: &str = "snapshot-sets";

/// Why a call fails.
pub enum Trouble {
    /// The core refused it, and told so.
    Told(Refused),
    /// It did not get to the core.
    Untold(Fault),
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Told(refused)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Untold(fault)
    }
}

struct Desk {
    provider: Option<Provider>,
    /// Objects that are loaded.
    loads: usize,
    /// What was refused while nothing may be written.
    untold: Vec<Refused>,
}

static DESK: Mutex<Desk> = Mutex::new(Desk { provider: None, loads: 0, untold: Vec::new() });
/// Beside the desk, for whoever works at the desk may be the one to stop.
static STOP: Mutex<Option<Stop>> = Mutex::new(None);

/// A panic is caught before it gets out of the lock; what it left is as good as after an error.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// OnLoad of an object.
///
/// # Errors
/// As [`Provider::load`]; EV_EOPDEV when the journal cannot be had.
pub fn load() -> Result<()> {
    at_desk(Entry::OnLoad, |desk| {
        if desk.provider.is_none() {
            let provider = make()?;
            *lock(&STOP) = Some(provider.stop());
            desk.provider = Some(provider);
        }
        desk.loads += 1;
        Ok(())
    })
}

fn make() -> std::result::Result<Provider, Trouble> {
    let found = installation::find();
    let mut this_host = ThisHost::new(found.clone());
    // The journal is in the installation, so that must be there first; the core checks it again.
    host::check(&mut this_host)?;
    let home = Home::at(found.root);
    let journal = FileJournal::open(&home.root().join(JOURNAL));
    let outside = Outside {
        journal: Box::new(journal.map_err(|error| Fault::journal(&error))?),
        clock: Box::new(WallClock::default()),
        host: Box::new(this_host),
        events: Box::new(ApplicationLog::open()),
    };
    let session = |settings: &_| Box::new(Session::new(home, settings)) as _;
    Ok(Provider::load(outside, Limits::default(), session)?)
}

/// OnUnload of an object. The last one ends the provider.
///
/// # Errors
/// EV_EXCEPT.
pub fn unload(force: bool) -> Result<Unload> {
    at_desk(Entry::OnUnload, |desk| {
        if let (Some(provider), true) = (&mut desk.provider, desk.loads <= 1)
            && provider.unload(force)? == Unload::Busy
        {
            return Ok(Unload::Busy);
        }
        desk.loads = desk.loads.saturating_sub(1);
        if desk.loads == 0 {
            *lock(&STOP) = None;
            desk.provider = None;
        }
        Ok(Unload::Ready)
    })
}

/// Any other call.
///
/// # Errors
/// EV_INVSEQ before OnLoad; what `work` says.
pub fn call<T>(
    entry: Entry,
    work: impl FnOnce(&mut Provider) -> std::result::Result<T, Trouble>,
) -> Result<T> {
    at_desk(entry, |desk| match &mut desk.provider {
        Some(provider) => work(provider),
        None => Err(Fault::new(Event::Invseq)
            .object("the provider")
            .state("not loaded")
            .cause(format!("{entry} came before OnLoad"))
            .into()),
    })
}

/// Ends the waiting of EndPrepareSnapshots, if somebody waits.
pub fn stop_waiting() {
    let working = matches!(DESK.try_lock(), Err(std::sync::TryLockError::WouldBlock));
    if let (true, Some(stop)) = (working, &*lock(&STOP)) {
        stop.stop();
    }
}

/// Nothing unwinds out of here, and what is refused is told; in the commit, when it is over.
fn at_desk<T>(
    entry: Entry,
    work: impl FnOnce(&mut Desk) -> std::result::Result<T, Trouble>,
) -> Result<T> {
    let mut desk = lock(&DESK);
    let frozen = entry == Entry::CommitSnapshots;
    if !frozen {
        for refused in std::mem::take(&mut desk.untold) {
            ApplicationLog::open().write(&refused);
        }
    }
    let mut told = false;
    let done = guarded(entry, || {
        fault::panic_in(entry);
        work(&mut desk).map_err(|trouble| match trouble {
            Trouble::Told(refused) => {
                told = true;
                refused
            }
            Trouble::Untold(fault) => fault.at(entry),
        })
    });
    done.map_err(|refused| {
        let hresult = HRESULT(refused.hresult.value().cast_signed());
        if !told && frozen {
            desk.untold.push(refused);
        } else if !told {
            ApplicationLog::open().write(&refused);
        }
        Error::from_hresult(hresult)
    })
}
