//! What fuzz programs share: how many inputs and which seed, chance that is the same for the same
//! seed, and what is told at the end.

#![forbid(unsafe_code)]

use std::{fmt::Display, fs, process::ExitCode, time::Instant};

/// More than this, in KiB, and something grows with its input.
const MOST_MEMORY_KIB: u64 = 256 << 10;

/// A run of a fuzz program.
#[derive(Debug)]
pub struct Run {
    /// How many inputs.
    pub count: u64,
    seed: u64,
    began: Instant,
}

impl Run {
    /// The run that the arguments ask for, `COUNT SEED`.
    ///
    /// # Errors
    /// Exit code 2, after a line about usage, for anything else.
    pub fn of_arguments() -> Result<Self, ExitCode> {
        let mut words = std::env::args();
        let program = words.next().unwrap_or_default();
        let mut numbers = words.map(|word| word.parse::<u64>());
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(count)), Some(Ok(seed)), None) => {
                Ok(Self { count, seed, began: Instant::now() })
            }
            _ => {
                eprintln!("usage: {program} COUNT SEED");
                Err(ExitCode::from(2))
            }
        }
    }

    /// Chance by the run's seed.
    #[must_use]
    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }

    /// Tells what `inputs` were thrown, how fast, what came of them and how much memory it took.
    /// Fails when that was too much.
    #[must_use]
    pub fn end(&self, inputs: &str, outcome: impl Display) -> ExitCode {
        let Self { count, seed, began } = self;
        let seconds = began.elapsed().as_secs_f64();
        let rate = *count as f64 / seconds;
        println!(
            "{count} {inputs}, seed {seed}, {seconds:.1} s, {rate:.0} a second; {outcome}; no panic"
        );
        match peak_memory_kib() {
            Some(peak) => {
                println!("peak memory {} MiB of {} allowed", peak >> 10, MOST_MEMORY_KIB >> 10);
                if peak > MOST_MEMORY_KIB { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
            None => ExitCode::SUCCESS,
        }
    }
}

/// The most memory this process ever had; `None` where the system does not tell.
fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Chance that is the same for the same seed.
#[derive(Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// Chance by a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// 0 to `bound` - 1; 0 where the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound.max(1))
    }

    /// An index into `length` things; 0 where there are none.
    pub fn index(&mut self, length: usize) -> usize {
        self.0.usize(..length.max(1))
    }

    /// Any bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill(&mut bytes);
        bytes
    }

    /// Flips, cuts, doubles or puts in some bytes.
    pub fn alter(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.index(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.push(self.any() as u8),
                2 if at < bytes.len() => {
                    bytes.remove(at);
                }
                3 => bytes.insert(at, self.any() as u8),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
    }
}
