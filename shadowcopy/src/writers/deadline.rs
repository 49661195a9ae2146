//! What is left of the time of a call.

use std::time::{Duration, Instant};

/// When a call has to have answered: a little before whoever called gives up, so that the answer
/// is a reason instead of a silence.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    const AHEAD: Duration = Duration::from_millis(100);

    /// The deadline of a call that begins now and may take `within`. A tenth of it is kept back,
    /// 100 ms at most.
    #[must_use]
    pub fn of(within: Duration) -> Self {
        Self(Instant::now() + within.saturating_sub((within / 10).min(Self::AHEAD)))
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_before_the_caller_gives_up() {
        for (within, least) in [(60_000, 59_000), (1_000, 500), (10, 5)] {
            let left = Deadline::of(Duration::from_millis(within)).left();
            assert!(left < Duration::from_millis(within), "{left:?} of {within} ms");
            // Half a second for a test process that is not scheduled at once.
            let least = Duration::from_millis(least).saturating_sub(Duration::from_millis(500));
            assert!(left >= least, "{left:?} of {within} ms");
        }
        assert_eq!(Deadline::of(Duration::ZERO).left(), Duration::ZERO);
    }
}
