//! What is kept of logical units beyond one path: one [`LogicalUnits`] an array, which the targets
//! of all its ports share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    attentions::Attentions,
    gate::Gate,
    mode::Parameters,
    persistent::{Path, Persistent, kept},
    session::Session,
    tasks::{Clock, Moment, Tasks},
};
use crate::{medium::Medium, sense::Sense};

/// The logical units of an array, by LDEV: reservations, mode parameters, unit attentions.
#[derive(Debug, Default)]
pub struct LogicalUnits {
    units: Mutex<HashMap<u32, Arc<Unit>>>,
    sessions: AtomicU64,
    pub(super) clock: Arc<Clock>,
}

impl LogicalUnits {
    /// Of an array that starts.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Forgets an LDEV that is deleted: another one of its number inherits nothing.
    pub fn forget(&self, ldev: u32) {
        self.units().remove(&ldev);
    }

    fn units(&self) -> MutexGuard<'_, HashMap<u32, Arc<Unit>>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a session.
    pub(super) fn session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// That of an LDEV. Where it is met for the first time, the reservations that survived a loss
    /// of power (APTPL) are there again.
    pub(super) fn unit(&self, ldev: u32, medium: &dyn Medium) -> Arc<Unit> {
        let mut units = self.units();
        let unit = units.entry(ldev).or_insert_with(|| {
            let persistent = match kept::open(&medium.kept()) {
                Ok(persistent) => persistent,
                Err(why) => {
                    log::error!("LDEV {ldev}: its persistent reservations are lost: {why}");
                    Persistent::default()
                }
            };
            Arc::new(Unit {
                gate: Arc::default(),
                reserving: tokio::sync::Mutex::default(),
                state: Mutex::new(State {
                    persistent,
                    clock: Arc::clone(&self.clock),
                    ..State::default()
                }),
            })
        });
        Arc::clone(unit)
    }

    /// That of an LDEV, where it has been met.
    pub(super) fn known(&self, ldev: u32) -> Option<Arc<Unit>> {
        self.units().get(&ldev).cloned()
    }

    /// A session has ended.
    pub(super) fn leave(&self, session: u64) {
        let units: Vec<_> = self.units().values().cloned().collect();
        for unit in units {
            unit.state().leave(session);
        }
    }
}

/// What is kept of a logical unit.
#[derive(Debug)]
pub(super) struct Unit {
    /// The order of commands that touch its blocks.
    pub gate: Arc<Gate>,
    /// Held by the one PERSISTENT RESERVE OUT that is being carried out.
    pub reserving: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

impl Unit {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That which changes.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Mode parameters.
    pub mode: Parameters,
    /// The session that holds it by RESERVE.
    pub reserved: Option<u64>,
    /// Persistent reservations.
    pub persistent: Persistent,
    nexuses: BTreeMap<u64, Nexus>,
    /// Those that are gone, and whose tasks the storage has not ended.
    left: Vec<Nexus>,
    clock: Arc<Clock>,
    /// When the tasks of all nexuses were ended last.
    ended: Moment,
}

/// What a logical unit keeps of a nexus.
#[derive(Debug)]
pub(super) struct Nexus {
    /// Which.
    pub path: Path,
    /// What it is to learn.
    pub attentions: Attentions,
    /// Its tasks.
    pub tasks: Arc<Tasks>,
}

impl State {
    /// What is kept of a nexus; one that is new learns that power came on.
    pub fn nexus(&mut self, session: &Session) -> &mut Nexus {
        self.nexuses.entry(session.id).or_insert_with(|| Nexus {
            path: session.path().clone(),
            attentions: Attentions::power_on(),
            tasks: Arc::new(Tasks::since(self.ended)),
        })
    }

    /// A nexus is gone.
    fn leave(&mut self, session: u64) {
        self.left.extend(self.nexuses.remove(&session));
        self.left.retain(|nexus| nexus.tasks.running() > 0);
        if self.reserved == Some(session) {
            self.reserved = None;
        }
    }

    /// Whether the storage still has tasks of an initiator whose nexus is gone.
    pub fn has_left(&mut self, initiator: &str) -> bool {
        self.left.retain(|nexus| nexus.tasks.running() > 0);
        self.left.iter().any(|nexus| nexus.path.initiator.name == initiator)
    }

    /// All nexuses but one.
    pub fn others(&mut self, session: u64) -> impl Iterator<Item = &mut Nexus> {
        self.nexuses.iter_mut().filter(move |(id, _)| **id != session).map(|(_, nexus)| nexus)
    }

    /// Those of some paths learn something.
    pub fn tell(&mut self, paths: &[Path], sense: Sense) {
        for nexus in self.nexuses.values_mut().filter(|nexus| paths.contains(&nexus.path)) {
            nexus.attentions.push(sense);
        }
    }

    /// The tasks of a nexus end, by itself: ABORT TASK SET.
    pub fn abort_own(&mut self, session: &Session) {
        let moment = self.clock.tick();
        self.nexus(session).tasks.abort(moment, false);
    }

    /// The tasks of all nexuses end, by one: CLEAR TASK SET. Gives the others that had any.
    pub fn abort_all(&mut self, session: u64) -> impl Iterator<Item = &mut Nexus> {
        self.ended = self.clock.tick();
        for (id, nexus) in &self.nexuses {
            nexus.tasks.abort(self.ended, *id != session);
        }
        self.others(session).filter(|nexus| nexus.tasks.running() > 0)
    }

    /// The tasks of some paths end.
    pub fn abort(&mut self, paths: &[Path]) {
        let moment = self.clock.tick();
        for nexus in self.nexuses.values().filter(|nexus| paths.contains(&nexus.path)) {
            nexus.tasks.abort(moment, true);
        }
    }

    /// A nexus has learned something otherwise.
    pub fn learned(&mut self, session: u64, sense: Sense) {
        if let Some(nexus) = self.nexuses.get_mut(&session) {
            nexus.attentions.forget(sense);
        }
    }

    /// LOGICAL UNIT RESET by a nexus (SAM-5 6.3.3): tasks end, RESERVE ends, mode parameters are as
    /// they were, and every nexus is told, the one that asked too; persistent reservations stay.
    pub fn reset(&mut self, session: u64) {
        self.reserved = None;
        self.mode = Parameters::default();
        let _ = self.abort_all(session);
        for nexus in self.nexuses.values_mut() {
            nexus.attentions.push(Sense::RESET);
        }
    }
}
