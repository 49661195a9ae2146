//! Whether a connection stays awake for what comes next.
//!
//! A host that waits for each answer sends its next command within microseconds of it. To sleep
//! until then and to be woken takes longer than that, most of all in a virtual machine, and the
//! host waits for it with every command. So a connection on which things come quickly stays awake
//! for a moment; when nothing has come by then it sleeps, until they come quickly again.
//!
//! Whoever is awake has its thread serve other connections, and lets other threads run.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::task::yield_now;

/// What comes so soon came quickly: the time to be woken in, and some.
const QUICK: Duration = Duration::from_micros(200);
/// For how long a connection stays awake.
const MOMENT: Duration = Duration::from_micros(100);
/// So many things come quickly, one after the other, before one is awaited awake.
const STREAK: u32 = 16;

/// How quickly things have come of late.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many came quickly, one after the other.
    streak: u32,
    /// When the last came.
    last: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { streak: 0, last: Instant::now() }
    }

    /// A command came, or ended.
    pub(super) fn beat(&mut self) {
        self.beat_at(Instant::now());
    }

    fn beat_at(&mut self, now: Instant) {
        let quick = now - self.last < QUICK;
        self.streak = if quick { self.streak.saturating_add(1) } else { 0 };
        self.last = now;
    }

    /// Whether things come quickly.
    pub(super) const fn is_quick(&self) -> bool {
        self.streak >= STREAK
    }

    /// Keeps its task awake for a moment, in vain if it gets to its end.
    pub(super) async fn stay_awake(&mut self) {
        let began = Instant::now();
        while began.elapsed() < MOMENT {
            // The runtime asks the system what has come, then comes back.
            yield_now().await;
            thread::yield_now();
        }
        self.streak = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_that_come_quickly_are_awaited_awake_until_one_fails_to() {
        let mut pace = Pace::new();
        let beat = |pace: &mut Pace, apart: Duration| pace.beat_at(pace.last + apart);
        let quick = |pace: &mut Pace| (0..STREAK).for_each(|_| beat(pace, QUICK / 2));
        (0..STREAK).for_each(|_| beat(&mut pace, QUICK));
        assert!(!pace.is_quick());
        quick(&mut pace);
        assert!(pace.is_quick());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let began = Instant::now();
        runtime.block_on(pace.stay_awake());
        assert!(began.elapsed() >= MOMENT && !pace.is_quick());
        quick(&mut pace);
        beat(&mut pace, QUICK);
        assert!(!pace.is_quick());
    }
}
