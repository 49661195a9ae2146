//! The provider: what each call of the coordinator does.
//!
//! | file | what it holds |
//! |---|---|
//! | `join` | BeginPrepareSnapshot: a volume joins a set |
//! | `prepare` | EndPrepareSnapshots: until every pair is PAIR |
//! | `create` | a set from PreCommitSnapshots to PostFinalCommitSnapshots, and AbortSnapshots |
//! | `luns` | LUNs: whose they are, shown, hidden, emptied |
//! | `revert` | back from the copies: ResyncLuns |
//! | `reap` | sets that never finished |
//! | `adopt` | S-VOLs that are written from outside |

mod adopt;
mod create;
mod join;
mod luns;
mod prepare;
mod reap;
mod revert;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::VolumeId;

pub use self::{luns::StateChange, prepare::Preparation, revert::Resync};
use crate::{
    entry::{Entry, guarded},
    error::{Fault, Outcome, Refused},
    guid::SetId,
    host::{self, Clock, EventLog, Host},
    journal::{Journal, Record},
    machine::{self, Call, State},
    raid::{Pair, Raid},
    set::SnapshotSet,
    settings::Settings,
};

/// Everything around the provider but RAID Manager.
pub struct Outside {
    /// What outlives the process.
    pub journal: Box<dyn Journal>,
    /// The time.
    pub clock: Box<dyn Clock>,
    /// The host.
    pub host: Box<dyn Host>,
    /// Where refusals are told.
    pub events: Box<dyn EventLog>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// EndPrepareSnapshots: until all pairs are PAIR.
    pub prepare: Duration,
    /// How often their states are looked at.
    pub poll: Duration,
    /// CommitSnapshots: writes are held no longer.
    pub commit: Duration,
    /// A revert: how long nobody may be able to say how it stands.
    pub unheard: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            prepare: Duration::from_secs(60 * 60),
            poll: Duration::from_millis(100),
            commit: Duration::from_secs(10),
            unheard: Duration::from_secs(10 * 60),
        }
    }
}

/// Ends the waiting of EndPrepareSnapshots from another thread, for AbortSnapshots cannot be heard
/// while it waits.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the wait that is under way, or the next one of the set.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What OnUnload answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unload {
    /// S_OK.
    Ready,
    /// S_FALSE: a set is being created. Only without force.
    Busy,
}

/// The provider.
pub struct Provider {
    settings: Settings,
    raid: Box<dyn Raid>,
    outside: Outside,
    limits: Limits,
    stop: Stop,
    set: Option<SnapshotSet>,
    /// What was refused while nothing could be written.
    untold: Vec<Refused>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("settings", &self.settings)
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// OnLoad: checks the host, reads the settings, and brings back what earlier runs left
    /// unfinished. What cannot be brought back now is told and tried again later.
    ///
    /// # Errors
    /// EV_ERPERM, EV_ENRMPH, EV_ENRMCM, EV_EGETEV, EV_ESETEV, EV_EXCEPT; told to the event log.
    pub fn load(
        mut outside: Outside,
        limits: Limits,
        raid: impl FnOnce(&Settings) -> Box<dyn Raid>,
    ) -> Result<Self, Refused> {
        let checked = guarded(Entry::OnLoad, || {
            host::check(outside.host.as_mut()).map_err(|fault| fault.at(Entry::OnLoad))
        });
        let settings = checked.inspect_err(|refused| outside.events.write(refused))?;
        let mut provider = Self {
            settings,
            raid: raid(&settings),
            outside,
            limits,
            stop: Stop::default(),
            set: None,
            untold: Vec::new(),
        };
        provider.call(Entry::OnLoad, |this| {
            this.reap(Entry::OnLoad);
            Ok(())
        })?;
        Ok(provider)
    }

    /// OnUnload. A set in creation is given up when `force` is set.
    ///
    /// # Errors
    /// EV_EXCEPT.
    pub fn unload(&mut self, force: bool) -> Result<Unload, Refused> {
        self.call(Entry::OnUnload, |this| {
            // Nobody tells of the end of a set that no volume could join.
            let begun =
                |set: &SnapshotSet| !machine::finished(set.state) && !set.touched.is_empty();
            if this.set.as_ref().is_some_and(begun) && !force {
                return Ok(Unload::Busy);
            }
            this.discard(Entry::OnUnload);
            Ok(Unload::Ready)
        })
    }

    /// What ends the waiting of EndPrepareSnapshots.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// In which state a set is; [`State::Unknown`] for any but the latest.
    #[must_use]
    pub fn state(&self, set: SetId) -> State {
        self.set.as_ref().filter(|known| known.id == set).map_or(State::Unknown, |set| set.state)
    }

    /// The sets that there are: unfinished ones and shadow copies.
    ///
    /// # Errors
    /// EV_EOPDEV when the journal cannot be read.
    pub fn records(&mut self) -> Outcome<Vec<Record>> {
        let found = self.outside.journal.records();
        found.map(|found| found.records).map_err(|error| Fault::journal(&error))
    }

    /// Runs a call: no panic leaves it, and a refusal is told before it is returned. In the commit
    /// nothing may be written; what it refuses is told at the next call.
    fn call<T>(
        &mut self,
        entry: Entry,
        work: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Result<T, Refused> {
        let frozen = entry == Entry::CommitSnapshots;
        if !frozen {
            for refused in std::mem::take(&mut self.untold) {
                self.outside.events.write(&refused);
            }
        }
        let result = guarded(entry, || work(self).map_err(|fault| fault.at(entry)));
        if let Err(refused) = &result {
            if frozen {
                self.untold.push(refused.clone());
            } else {
                self.outside.events.write(refused);
            }
        }
        result
    }

    /// Tells of a fault that does not make the call fail.
    fn tell(&mut self, fault: Fault, entry: Entry) {
        self.outside.events.write(&fault.at(entry));
    }

    /// Whether a call about a set is carried out.
    fn admit(&self, set: SetId, call: Call) -> Outcome<bool> {
        machine::admit(self.state(set), call, || format!("snapshot set {set}"))
    }

    /// The pair of which a volume is the S-VOL: one of ours, or one that the instance of the
    /// S-VOLs names.
    fn by_secondary(&mut self, volume: VolumeId) -> Outcome<Option<Pair>> {
        let records = self.records()?;
        let ours = records.into_iter().flat_map(|record| record.pairs);
        match ours.into_iter().find(|pair| pair.secondary.volume == volume) {
            Some(pair) => Ok(Some(pair)),
            None => Ok(self.raid.by_secondary(volume)?),
        }
    }

    /// Takes a pair out of the records of finished sets: its S-VOL is no shadow copy any more.
    fn forget(&mut self, pair: &Pair) -> Outcome<()> {
        for mut record in self.records()? {
            if record.phase != crate::journal::Phase::Created || !record.pairs.contains(pair) {
                continue;
            }
            record.pairs.retain(|known| known != pair);
            let journal = &mut self.outside.journal;
            let done = if record.pairs.is_empty() {
                journal.remove(record.set)
            } else {
                journal.put(&record)
            };
            done.map_err(|error| Fault::journal(&error))?;
            if let Some(set) = self.set.as_mut().filter(|set| set.id == record.set)
                && record.pairs.is_empty()
            {
                set.state = State::Deleted;
            }
        }
        Ok(())
    }
}
