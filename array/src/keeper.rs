//! What the array does by itself besides copying: giving back what nothing needs any more, making
//! maps durable that nobody flushes, looking through what a crash left in flight, verifying what is
//! stored, and suspending pairs that damage was found in.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use model::LdevId;

use crate::{
    array::Array,
    store::{PoolFigures, StoreError},
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// How long a change of a map may stay in memory alone if no host asks for a flush.
const AT_REST: Duration = Duration::from_secs(5);

/// How often a pool that is short of space is looked through for pages that only an old record has.
const BETWEEN_TRIMS: Duration = Duration::from_secs(600);

/// Which part of a pool is kept free of snapshots.
const RESERVE: u64 = 100;

/// Wakes and ends the work.
#[derive(Debug, Default)]
pub struct Keeper {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    stopped: bool,
    /// Damaged blocks that reads have met: the LDEV and the byte.
    met: Vec<(LdevId, u64)>,
}

/// Damaged blocks remembered at most until they are looked at.
const MET: usize = 64;

impl Keeper {
    /// Tells that there may be something to give back.
    pub fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rung = true;
        self.rung.notify_all();
    }

    /// Tells that a read has met a damaged block.
    pub(crate) fn met(&self, ldev: LdevId, offset: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.met.len() < MET && !state.met.contains(&(ldev, offset)) {
            state.met.push((ldev, offset));
            state.rung = true;
            self.rung.notify_all();
        }
    }

    fn take_met(&self) -> Vec<(LdevId, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.met)
    }

    /// Ends [`run`] after its present step.
    pub fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.rung.notify_all();
    }

    /// Waits for work, but not for long; false when it shall end.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| !state.rung && !state.stopped;
        let waited = self.rung.wait_timeout_while(state, EVERY, idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.rung = false;
        !state.stopped
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }
}

/// Gives up snapshots of pools that are all but full, one by one until each has a reserve again,
/// before a host's write meets an end of the pool.
fn relieve(array: &Array) -> Result<(), StoreError> {
    for pool in array.pools() {
        let reserve = (pool.pages / RESERVE).max(16);
        let short = || array.pools().iter().any(|now| now.id == pool.id && now.free < reserve);
        while short() {
            let changes = array.changes();
            // A host's write may have made room meanwhile.
            if !short() || !array.relieve(&changes, pool.id).unwrap_or(false) {
                break;
            }
            drop(changes);
            while array.store.tidy()? {}
        }
    }
    Ok(())
}

/// Works until [`Keeper::stop`].
pub fn run(array: &Array) {
    if let Err(error) = array.store.resum() {
        log::error!("cannot look through what was being written when the array stopped: {error}");
    }
    let mut last_trim: Option<Instant> = None;
    let mut last_error: Option<String> = None;
    let (mut settled, mut paced) = (Instant::now(), Instant::now());
    while array.keeper.wait() {
        for (ldev, offset) in array.keeper.take_met() {
            array.suspend_damaged(ldev, offset);
        }
        let tidied = loop {
            match array.store.tidy() {
                Ok(true) if !array.keeper.is_stopped() => {}
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if !array.store.busy().is_empty() {
            array.copier().wake();
        }
        let relieved = tidied.and_then(|()| relieve(array));
        let short = array.pools().iter().any(PoolFigures::is_above_threshold);
        let trimmed = relieved.and_then(|()| {
            if short && last_trim.is_none_or(|last| last.elapsed() > BETWEEN_TRIMS) {
                last_trim = Some(Instant::now());
                array.store.trim()?;
            }
            if paced.elapsed() >= EVERY {
                paced = Instant::now();
                array.store.fold()?;
                array.scrub()?;
                array.store.punch();
            }
            if settled.elapsed() < AT_REST {
                return Ok(());
            }
            settled = Instant::now();
            array.store.settle()
        });
        match trimmed {
            Err(error @ StoreError::Failed(_)) => {
                log::error!("housekeeping ends until arrayd is started again: {error}");
                return;
            }
            // A damaged record, a full disk: the rest goes on, and this is tried again.
            Err(error) if last_error.as_ref() != Some(&error.to_string()) => {
                log::error!("housekeeping: {error}");
                last_error = Some(error.to_string());
            }
            Err(_) => {}
            Ok(()) => last_error = None,
        }
    }
}
