//! The one provider of the process, and how calls get to it.
//!
//! VSS may make several objects of the class in one process; they share sets and journal, so they
//! share the provider. It is there from the first OnLoad to the last OnUnload. One call is at work at
//! a time; EndPrepareSnapshots leaves the desk to others between two looks at the pairs.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use protocol::Home;
use provider::{
    Limits, Outside, Provider,
    entry::{Entry, guarded},
    error::{Fault, Refused},
    event::Event,
    file_journal::FileJournal,
    guid::SetId,
    host::{self, EventLog as _, WallClock},
    provider::Unload,
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

/// A panic is caught before it gets out of the lock; what it left is as good as after an error.
fn lock() -> MutexGuard<'static, Desk> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// OnLoad of an object.
///
/// # Errors
/// As [`Provider::load`]; EV_EOPDEV when the journal cannot be had.
pub fn load() -> Result<()> {
    at_desk(Entry::OnLoad, |desk| {
        if desk.provider.is_none() {
            desk.provider = Some(make()?);
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
            .cause(format!("{entry} came before OnLoad, or OnUnload before its end"))
            .into()),
    })
}

/// EndPrepareSnapshots. AbortSnapshots, a forced OnUnload and a new set get in while pairs copy, and
/// end it; so do calls that are about no set.
///
/// # Errors
/// As [`Provider::end_prepare`]; EV_INVSEQ when the provider was unloaded meanwhile.
pub fn end_prepare(set: SetId) -> Result<()> {
    let entry = Entry::EndPrepareSnapshots;
    let mut preparation = call(entry, |provider| Ok(provider.begin_end_prepare(set)?))?;
    while !call(entry, |provider| Ok(provider.is_prepared(&mut preparation)?))? {
        thread::sleep(Limits::default().poll);
    }
    Ok(())
}

/// Nothing unwinds out of here, and what is refused is told; in the commit, when it is over.
fn at_desk<T>(
    entry: Entry,
    work: impl FnOnce(&mut Desk) -> std::result::Result<T, Trouble>,
) -> Result<T> {
    let mut desk = lock();
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
