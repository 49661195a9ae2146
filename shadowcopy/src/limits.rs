//! How long writers and file systems may be frozen.

use std::{fmt, time::Duration};

/// The limits of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the first writer that freezes to the last that has thawed. At most
    /// [`Limits::MOST_WRITERS`]; the least that any writer asks for counts.
    pub writers: Duration,
    /// From the first file system that freezes to the last that has thawed. At most
    /// [`Limits::MOST_FILE_SYSTEMS`].
    pub file_systems: Duration,
    /// One call of a writer where nothing is frozen (describe, prepare, post), or of the provider
    /// (but for EndPrepareSnapshots, which has its own).
    pub writer_call: Duration,
}

impl Limits {
    /// VSS: a writer may be frozen for 60 s.
    pub const MOST_WRITERS: Duration = Duration::from_secs(60);
    /// VSS: writes are held for 10 s.
    pub const MOST_FILE_SYSTEMS: Duration = Duration::from_secs(10);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            writers: Self::MOST_WRITERS,
            file_systems: Self::MOST_FILE_SYSTEMS,
            writer_call: Duration::from_secs(10 * 60),
        }
    }
}

/// A time as people write it was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTime(String);

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a time: write a whole number and ms, s, m or h, as in 30s", self.0)
    }
}

impl std::error::Error for BadTime {}

/// A time: a whole number and its unit, `500ms`, `30s`, `5m`, `1h`.
///
/// # Errors
/// Anything else. A number without a unit too: whoever wrote it had one in mind, and nobody knows
/// which.
pub fn time(text: &str) -> Result<Duration, BadTime> {
    let bad = || BadTime(text.to_owned());
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(3600)));
        for bad in ["", "30", "s", "-1s", "1.5s", "30 s", "30sec", "30S", "99999999999999999999s"] {
            assert_eq!(time(bad), Err(BadTime(bad.to_owned())), "{bad}");
        }
        assert!(time("18446744073709551615h").is_err(), "more than fits");
    }
}
