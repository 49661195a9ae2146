//! How the writers' limit is shared out.

use std::time::Duration;

use crate::limits::Limits;

/// The time in which writers are frozen. Freezing them may take half of the limit. Everything up
/// to the end of post-commit must be over at three quarters of it, for the rest is needed to thaw
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it began.
    pub began: Duration,
    /// How long it is.
    pub limit: Duration,
}

impl Window {
    /// What is left of the time for freezing writers.
    #[must_use]
    pub fn to_freeze(&self, now: Duration) -> Duration {
        (self.began + self.limit / 2).saturating_sub(now)
    }

    /// What is left of the time for all but the thawing of writers.
    #[must_use]
    pub fn to_hold(&self, now: Duration) -> Duration {
        (self.began + self.limit * 3 / 4).saturating_sub(now)
    }

    /// What is left for thawing writers; at least an eighth of the limit, for they are thawed
    /// however late it is.
    #[must_use]
    pub fn to_thaw(&self, now: Duration) -> Duration {
        (self.began + self.limit).saturating_sub(now).max(self.limit / 8)
    }

    /// Whether the limit has passed.
    #[must_use]
    pub fn passed(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) > self.limit
    }
}

/// Limits that VSS allows, and that every writer allows.
pub(super) fn bounded(limits: Limits, asked: impl Iterator<Item = Duration>) -> Limits {
    Limits {
        writers: asked.fold(limits.writers, Duration::min).min(Limits::MOST_WRITERS),
        file_systems: limits.file_systems.min(Limits::MOST_FILE_SYSTEMS),
        writer_call: limits.writer_call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_quarter_of_the_limit_is_kept_for_thawing() {
        let window = Window { began: s(100), limit: s(60) };
        assert_eq!(window.to_freeze(s(110)), s(20));
        assert_eq!(window.to_freeze(s(131)), s(0));
        assert_eq!(window.to_hold(s(110)), s(35));
        assert_eq!(window.to_thaw(s(145)), s(15));
        assert_eq!(window.to_thaw(s(500)), Duration::from_millis(7500));
        assert!(!window.passed(s(160)));
        assert!(window.passed(s(161)));
    }

    #[test]
    fn the_least_limit_counts_and_vss_has_the_last_word() {
        let limits = Limits { writers: s(30), file_systems: s(11), writer_call: s(600) };
        let bound = |asked: &[u64]| bounded(limits, asked.iter().map(|seconds| s(*seconds)));
        assert_eq!(bound(&[]).writers, s(30));
        assert_eq!(bound(&[40, 20, 25]).writers, s(20));
        assert_eq!(bound(&[]).file_systems, s(10));
        let long = Limits { writers: s(90), ..limits };
        assert_eq!(bounded(long, std::iter::empty()).writers, s(60));
    }
}
