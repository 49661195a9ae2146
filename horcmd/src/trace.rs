//! How much the daemon logs: `HORCM_TRCLVL`, `HORCM_TRCBUF`, `HORCM_TRCSZ`, and `horcctl -l -b -s`.
//!
//! CCI writes a trace file beside its log; ours is one file, and the level decides how much goes
//! into it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use log::LevelFilter;

/// The largest file the settings may ask for, in KB: 64 MiB.
const MAX_SIZE_KB: u32 = 65_536;

/// The settings in force; changed while the daemon runs.
#[derive(Debug)]
pub struct TraceSettings {
    level: AtomicU8,
    buffered: AtomicBool,
    size_kb: AtomicU32,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            level: AtomicU8::new(Self::DEFAULT_LEVEL),
            buffered: AtomicBool::new(false),
            size_kb: AtomicU32::new(Self::DEFAULT_SIZE_KB),
        }
    }
}

impl TraceSettings {
    /// The level unless told otherwise (`cci` 1.10).
    pub const DEFAULT_LEVEL: u8 = 4;
    /// The size unless told otherwise: 1 MB (`cci` 1.10).
    pub const DEFAULT_SIZE_KB: u32 = 1024;

    /// Reads the variables through `get`. Words that say nothing sensible leave the default; a
    /// negative level is level 0.
    #[must_use]
    pub fn from_words(get: impl Fn(&str) -> Option<String>) -> Self {
        let settings = Self::default();
        let number = |name| get(name).and_then(|word| word.trim().parse::<i64>().ok());
        let level = number("HORCM_TRCLVL").map(|level| level.clamp(0, 15));
        settings.set(
            level.and_then(|level| u8::try_from(level).ok()),
            get("HORCM_TRCBUF").map(|_| true),
            number("HORCM_TRCSZ").and_then(|size| u32::try_from(size).ok()),
        );
        settings
    }

    /// Changes what is given; levels above 15 and sizes out of 1 KB to 64 MB are cut to that.
    pub fn set(&self, level: Option<u8>, buffered: Option<bool>, size_kb: Option<u32>) {
        if let Some(level) = level {
            self.level.store(level.min(15), Ordering::Relaxed);
        }
        if let Some(buffered) = buffered {
            self.buffered.store(buffered, Ordering::Relaxed);
        }
        if let Some(size) = size_kb {
            self.size_kb.store(size.clamp(1, MAX_SIZE_KB), Ordering::Relaxed);
        }
    }

    /// Level, buffered, size in KB.
    #[must_use]
    pub fn get(&self) -> (u8, bool, u32) {
        (
            self.level.load(Ordering::Relaxed),
            self.buffered.load(Ordering::Relaxed),
            self.size_kb.load(Ordering::Relaxed),
        )
    }

    /// What the level means for the log: 0 errors only, 1-3 warnings, 4-7 events, 8-11 requests,
    /// 12-15 everything.
    #[must_use]
    pub fn filter(&self) -> LevelFilter {
        match self.get().0 {
            0 => LevelFilter::Error,
            1..=3 => LevelFilter::Warn,
            4..=7 => LevelFilter::Info,
            8..=11 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_environment_are_taken_within_bounds() {
        let words = |name: &str| match name {
            "HORCM_TRCLVL" => Some("-3".to_owned()),
            "HORCM_TRCBUF" => Some(String::new()),
            "HORCM_TRCSZ" => Some("99999999".to_owned()),
            _ => None,
        };
        let settings = TraceSettings::from_words(words);
        assert_eq!(settings.get(), (0, true, MAX_SIZE_KB));
        assert_eq!(settings.filter(), LevelFilter::Error);
        let settings = TraceSettings::from_words(|_| Some("nonsense".to_owned()));
        assert_eq!(settings.get(), (4, true, 1024));
        assert_eq!(settings.filter(), LevelFilter::Info);
    }
}
