//! Crash points: a random session against an array on recording disks, then the array opened
//! again as a crash at any point may leave it, and compared with plain vectors.
//!
//! | file | what it holds |
//! |---|---|
//! | `model` | what every volume may hold: by sector, every value that a crash may show |
//! | `session` | a session by a seed: what was done, and between which events |
//! | `flips` | bits that rot |
//! | this one | crash points of a session, judged |
//!
//! What is promised: a write that was followed by a flush is there; one that was not may be there
//! or not, sector by sector; an order is there wholly or not at all, and from when it was answered
//! on it is; a split S-VOL holds the instant of its split; one that follows holds what its P-VOL
//! holds; nothing is in use that nobody has, and every block matches its checksum.

mod flips;
mod model;
mod session;

use std::{fmt, sync::Arc};

use crate::{
    array::Array,
    clock::SystemClock,
    store::disk::{Dice, Loss, Memory},
};
pub use flips::{Flips, flip};
use session::{DIR, Session};

/// A crash point at which the array did not keep its promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The session, and which point of it.
    pub seed: u64,
    /// The number of events that reached the disks.
    pub point: usize,
    /// What the crash kept of the unflushed ones.
    pub loss: Loss,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, point, loss, what } = self;
        write!(f, "session {seed}, crash after event {point}, losing {loss:?}: {what}")
    }
}

/// What came of a session.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Crash points that were judged.
    pub points: usize,
    /// Those that failed.
    pub failures: Vec<Failure>,
}

/// Which flush of a session is left out without anybody being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// None: the array as it is.
    None,
    /// One that the seed chooses.
    SkipFlush,
}

/// Plays the session of a seed and judges so many of its crash points.
///
/// # Panics
/// When the array fails without a crash.
#[must_use]
pub fn run(seed: u64, points: usize, mutation: Mutation) -> Outcome {
    let session = Session::play(seed, mutation);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (first, last) = session.range();
    let span = (last - first) as u64 + 1;
    let mut chosen: Vec<usize> = (0..points).map(|_| first + dice.below(span) as usize).collect();
    chosen.sort_unstable();
    let mut replay = session.replay();
    let mut outcome = Outcome::default();
    for point in chosen {
        let loss = match dice.below(6) {
            0 => Loss::Nothing,
            1 => Loss::Everything,
            _ => Loss::Some(dice.below(u64::MAX)),
        };
        let image = replay.crash(point, loss);
        let again = dice.below(8) == 0;
        outcome.points += 1;
        if let Err(what) = judge(&session, &image, point, again) {
            outcome.failures.push(Failure { seed, point, loss, what });
        }
    }
    outcome
}

/// Opens what a crash left and compares it with the model.
fn judge(session: &Session, image: &Memory, point: usize, again: bool) -> Result<(), String> {
    let array = Array::open_on(Arc::new(image.clone()), DIR.as_ref(), Box::new(SystemClock))
        .map_err(|error| format!("it does not open: {error}"))?;
    check(&array)?;
    session.compare(&array, point)?;
    if again {
        // The work that follows a crash changes nothing that anybody sees.
        array.store.resum().map_err(|error| error.to_string())?;
        while array.store.tidy().map_err(|error| format!("giving back: {error}"))? {}
        while array.store.fold().map_err(|error| format!("folding: {error}"))? {}
        array.store.punch();
        check(&array).map_err(|what| format!("after giving back: {what}"))?;
        session.compare(&array, point).map_err(|what| format!("after giving back: {what}"))?;
    }
    Ok(())
}

fn check(array: &Array) -> Result<(), String> {
    let report = array.check(&mut |_| {}).map_err(|error| format!("the check fails: {error}"))?;
    match report.findings.first() {
        Some(finding) => Err(format!("{finding} (of {} findings)", report.findings.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_crash_point_of_some_sessions_breaks_a_promise() {
        for seed in 1..=6 {
            let outcome = run(seed, 150, Mutation::None);
            assert_eq!(outcome.points, 150);
            if let Some(failure) = outcome.failures.first() {
                panic!("{failure}");
            }
        }
    }

    #[test]
    fn a_flush_that_is_left_out_is_noticed() {
        let noticed = (1..=12).any(|seed| !run(seed, 200, Mutation::SkipFlush).failures.is_empty());
        assert!(noticed);
    }
}
