//! The copy job: moves what links lack, at the pace of each pair, and takes pairs to the phase
//! that follows. It works in short steps; [`Array::step`] is one, [`run`] makes them as they are
//! due.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use model::CopyPace;

use crate::{
    array::{Array, pair_row},
    pairs::Phase,
    store::{Batch, Flow, Lack, LinkChange, LinkId, StoreError, Swept},
};

/// The most links that one step looks at.
const STEP_LINKS: usize = 8192;
/// How long a pair rests whose step could not be recorded.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Where the copy job stands.
#[derive(Debug, Default)]
pub struct Copier {
    sweeps: Mutex<Sweeps>,
    bell: Mutex<Bell>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Sweeps {
    by_link: HashMap<LinkId, Sweep>,
    /// The link after which the next step begins, so that all get their turn.
    last: Option<LinkId>,
    tokens: u64,
}

/// One sweep over the bitmaps of a link.
#[derive(Debug, Clone, Copy)]
struct Sweep {
    at: u64,
    /// Tells this sweep from a later one of the same link.
    token: u64,
    due: Option<Instant>,
}

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    stopped: bool,
}

/// What a step found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// Something was moved or went on; there may be more.
    Worked,
    /// Every pair rests; the first is due then.
    Resting(Instant),
    /// There is nothing to copy.
    Idle,
}

impl Copier {
    /// Tells the job that there may be something to copy.
    pub fn wake(&self) {
        lock(&self.bell).rung = true;
        self.rung.notify_all();
    }

    /// Ends [`run`] after its present step.
    pub fn stop(&self) {
        lock(&self.bell).stopped = true;
        self.rung.notify_all();
    }

    /// Forgets the sweeps of links that an order has changed.
    pub(crate) fn forget(&self, links: impl IntoIterator<Item = LinkId>) {
        let mut sweeps = lock(&self.sweeps);
        for link in links {
            sweeps.by_link.remove(&link);
        }
    }

    /// Waits for work; false when the job shall end.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut bell = lock(&self.bell);
        while !bell.stopped && !bell.rung {
            bell = match until {
                None => self.rung.wait(bell).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.rung.wait_timeout(bell, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        bell.rung = false;
        !bell.stopped
    }
}

/// Copies until [`Copier::stop`].
pub fn run(array: &Array) {
    let mut until = Some(Instant::now());
    while array.copier.wait(until) {
        until = match array.step_at(Some(Instant::now())) {
            Stepped::Worked => Some(Instant::now()),
            Stepped::Resting(due) => Some(due),
            Stepped::Idle => None,
        };
    }
}

impl Array {
    /// One step of copying, whatever the paces say.
    pub fn step(&self) -> Stepped {
        self.step_at(None)
    }

    /// One step; with a time, pairs that rest at that time are left alone.
    fn step_at(&self, now: Option<Instant>) -> Stepped {
        let chosen = match self.choose(now) {
            Ok(chosen) => chosen,
            Err(stepped) => return stepped,
        };
        let wanted: Vec<(LinkId, u64)> = chosen.iter().map(|(id, sweep)| (*id, sweep.at)).collect();
        let began = Instant::now();
        match self.store.copy(&wanted) {
            Ok(swept) => self.settle(&chosen, swept, began),
            Err(error) => {
                log::error!("the copy job cannot record what it copied: {error}");
                self.suspend_in_memory(&wanted, &error);
            }
        }
        Stepped::Worked
    }

    /// The links whose turn it is, each with its sweep.
    fn choose(&self, now: Option<Instant>) -> Result<Vec<(LinkId, Sweep)>, Stepped> {
        let mut links: Vec<LinkId> = {
            let state = self.state();
            let active = |id: &LinkId| {
                let pair = state.registry.get(*id);
                pair.is_some_and(|pair| pair.flow() != Flow::Detached)
            };
            let moving = state.registry.moving().iter().copied();
            moving.chain(self.store.busy()).filter(active).collect()
        };
        links.sort_unstable();
        links.dedup();
        let mut sweeps = lock(&self.copier.sweeps);
        let start = sweeps.last.map_or(0, |last| links.partition_point(|link| *link <= last));
        links.rotate_left(start);
        let mut chosen = Vec::new();
        let mut first_due: Option<Instant> = None;
        for link in links {
            sweeps.tokens += 1;
            let token = sweeps.tokens;
            let sweep = *sweeps.by_link.entry(link).or_insert(Sweep { at: 0, token, due: None });
            match (sweep.due, now) {
                (Some(due), Some(now)) if due > now => {
                    first_due = Some(first_due.map_or(due, |first| first.min(due)));
                }
                _ if chosen.len() < STEP_LINKS => chosen.push((link, sweep)),
                _ => break,
            }
        }
        match (chosen.is_empty(), first_due) {
            (false, _) => Ok(chosen),
            (true, Some(due)) => Err(Stepped::Resting(due)),
            (true, None) => Err(Stepped::Idle),
        }
    }

    /// Notes how far the sweeps came, and takes pairs whose copy is complete or has failed to
    /// their next phase.
    fn settle(&self, chosen: &[(LinkId, Sweep)], swept: Vec<Swept>, began: Instant) {
        let executed = self.changes();
        let spent = began.elapsed();
        let total: u64 = swept.iter().map(|swept| swept.moved).sum();
        let mut done = Vec::new();
        let mut failed = Vec::new();
        {
            let state = self.state();
            let mut sweeps = lock(&self.copier.sweeps);
            sweeps.last = swept.last().map(|swept| swept.link);
            for ((link, sweep), swept) in chosen.iter().zip(swept) {
                let current = sweeps.by_link.get_mut(link);
                let Some(current) = current.filter(|current| current.token == sweep.token) else {
                    continue;
                };
                let Some(pair) = state.registry.get(*link) else {
                    sweeps.by_link.remove(link);
                    continue;
                };
                if let Some(error) = swept.failed {
                    failed.push((*link, error));
                    sweeps.by_link.remove(link);
                    continue;
                }
                match swept.next {
                    Some(next) => {
                        current.at = next;
                        current.due = rest(pair.pace, spent, swept.moved, total);
                    }
                    None => {
                        sweeps.by_link.remove(link);
                        done.push(*link);
                    }
                }
            }
        }
        self.advance(&done);
        for (link, error) in failed {
            self.suspend(link, &error);
        }
        drop(executed);
    }

    /// Takes pairs whose sweep is complete to the phase that follows, all at once. A COPY is
    /// complete after one sweep, however many writes come meanwhile: the S-VOL holds what the
    /// P-VOL holds, and goes on fetching. A split or a restore must have nothing left.
    fn advance(&self, done: &[LinkId]) {
        let mut batch = Batch::default();
        let mut next = Vec::new();
        {
            let state = self.state();
            for link in done {
                let Some(pair) = state.registry.get(*link) else {
                    continue;
                };
                let lack = self.store.lack(*link).unwrap_or_default();
                let complete = match pair.phase {
                    Phase::Copying => true,
                    Phase::Restoring => lack.to_source == 0,
                    _ => !lack.is_any(),
                };
                if let Some(phase) = pair.phase.settled().filter(|_| complete) {
                    let pair = crate::pairs::Pair { phase, ..*pair };
                    batch.rows.push(pair_row(*link, Some(&pair)));
                    next.push((*link, pair));
                }
            }
        }
        if next.is_empty() {
            return;
        }
        match self.store.commit(&batch) {
            Ok(()) => {
                let mut state = self.state_mut();
                for (link, pair) in next {
                    state.registry.put(link, Some(pair));
                }
            }
            Err(error) => {
                log::error!("a finished copy could not be recorded: {error}");
                let links: Vec<(LinkId, u64)> = next.iter().map(|(link, _)| (*link, 0)).collect();
                self.suspend_in_memory(&links, &error);
            }
        }
    }

    /// Puts a pair, and those that still need bytes through it, into PSUE.
    pub(crate) fn suspend(&self, link: LinkId, error: &StoreError) {
        let mut links = vec![link];
        let mut at = 0;
        {
            let state = self.state();
            while let Some(pair) = links.get(at).and_then(|link| state.registry.get(*link)) {
                at += 1;
                let below = state.registry.as_pvol(pair.secondary.ldev);
                let waiting = below.filter(|(id, pair)| {
                    let busy = self.store.lack(*id).is_some_and(Lack::is_any);
                    pair.flow() == Flow::Fixed && busy
                });
                links.extend(waiting.map(|(id, _)| id));
            }
        }
        let mut batch = Batch::default();
        let mut next = Vec::new();
        {
            let state = self.state();
            // Those that wait are let go before what they wait for is given up.
            for link in links.iter().rev() {
                if let Some(pair) = state.registry.get(*link) {
                    let phase = Phase::Failed;
                    let pair = crate::pairs::Pair { phase, ..*pair };
                    batch.rows.push(pair_row(*link, Some(&pair)));
                    batch.links.push((*link, LinkChange::Detach));
                    next.push((*link, pair));
                }
            }
        }
        if let Err(other) = self.store.commit(&batch) {
            log::error!("a suspended pair could not be recorded: {other}");
            let links: Vec<(LinkId, u64)> = next.iter().map(|(link, _)| (*link, 0)).collect();
            self.suspend_in_memory(&links, error);
            return;
        }
        let mut state = self.state_mut();
        for (link, pair) in next {
            log::error!(
                "pair {} of LDEV {} and LDEV {}: PSUE: {error}",
                link.0,
                pair.primary.ldev,
                pair.secondary.ldev
            );
            state.registry.put(link, Some(pair));
        }
    }

    /// When even the metadata cannot be written: shows PSUE rather than a copy that does not
    /// come forward. The records still hold the copy, which goes on after a restart.
    fn suspend_in_memory(&self, links: &[(LinkId, u64)], error: &StoreError) {
        let mut state = self.state_mut();
        for (link, _) in links {
            if let Some(pair) = state.registry.get(*link).copied() {
                log::error!("pair {}: PSUE until arrayd is started again: {error}", link.0);
                let phase = Phase::Failed;
                state.registry.put(*link, Some(crate::pairs::Pair { phase, ..pair }));
            }
        }
        let mut sweeps = lock(&self.copier.sweeps);
        for (link, _) in links {
            if let Some(sweep) = sweeps.by_link.get_mut(link) {
                sweep.due = Some(Instant::now() + AFTER_FAILURE);
            }
        }
    }
}

/// Until when a pair rests so that it works its pace in fifteenths of the time: its share of the
/// step, times what is left of fifteen.
fn rest(pace: CopyPace, spent: Duration, moved: u64, total: u64) -> Option<Instant> {
    let left = u32::from(CopyPace::MAX.get() - pace.get());
    if moved == 0 || left == 0 {
        return None;
    }
    let share = spent.as_secs_f64() * (moved as f64 / total.max(1) as f64);
    let rest = share * f64::from(left) / f64::from(pace.get());
    Some(Instant::now() + Duration::from_secs_f64(rest))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
