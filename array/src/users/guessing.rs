//! Waiting after wrong passwords.

use std::collections::HashMap;

/// How many wrong passwords in a row are free.
const FREE: u32 = 3;
/// The longest wait, in seconds.
const LONGEST: u64 = 60;

/// The wrong passwords in a row, by name. Only names of users are noted, and one entry for all
/// others, so that inventing names fills nothing.
#[derive(Debug, Default)]
pub struct Guessing {
    wrong: HashMap<String, (u32, u64)>,
}

impl Guessing {
    /// How many seconds a name still has to wait; 0 when it may try. `now` is in seconds.
    #[must_use]
    pub fn wait(&self, name: &str, now: u64) -> u64 {
        self.wrong.get(name).map_or(0, |(_, until)| until.saturating_sub(now))
    }

    /// A wrong password.
    pub fn failed(&mut self, name: &str, now: u64) {
        let (count, until) = self.wrong.entry(name.to_owned()).or_default();
        *count = count.saturating_add(1);
        if *count >= FREE {
            let doublings = (*count - FREE).min(6);
            *until = now + (1_u64 << doublings).min(LONGEST);
        }
    }

    /// The right one.
    pub fn passed(&mut self, name: &str) {
        self.wrong.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_end_with_the_right_password() {
        let mut guessing = Guessing::default();
        let mut now = 1_000;
        let mut waits = Vec::new();
        for _ in 0..11 {
            guessing.failed("ann", now);
            let wait = guessing.wait("ann", now);
            waits.push(wait);
            now += wait;
            assert_eq!(guessing.wait("ann", now), 0);
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(guessing.wait("bob", now), 0, "others do not wait");
        guessing.passed("ann");
        guessing.failed("ann", now);
        assert_eq!(guessing.wait("ann", now), 0);
    }
}
