//! Waiting after wrong passwords.

use std::hash::{BuildHasher, RandomState};

/// How many wrong passwords in a row are free.
const FREE: u32 = 3;
/// The longest wait, in seconds.
const LONGEST: u64 = 60;
/// How many slots there are. With 1024 a login meets a name's slot by chance once in a thousand.
const SLOTS: usize = 1024;

/// The wrong passwords in a row, by the name that was typed, be it a user's or not: whether a name
/// has to wait must not tell whether it is one. Inventing names fills nothing, for there are
/// 1,024 slots and no more; which name has which is by a key of this process, so that nobody
/// can look for a name that shares the slot of another.
#[derive(Debug)]
pub struct Guessing {
    key: RandomState,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Wrong passwords in a row.
    wrong: u32,
    /// When the next may come, in seconds.
    until: u64,
}

impl Default for Guessing {
    fn default() -> Self {
        Self { key: RandomState::new(), slots: vec![Slot::default(); SLOTS] }
    }
}

impl Guessing {
    /// How many seconds a name still has to wait; 0 when it may try. `now` is in seconds.
    #[must_use]
    pub fn wait(&self, name: &str, now: u64) -> u64 {
        self.slots.get(self.place(name)).map_or(0, |slot| slot.until.saturating_sub(now))
    }

    /// A wrong password.
    pub fn failed(&mut self, name: &str, now: u64) {
        let place = self.place(name);
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        slot.wrong = slot.wrong.saturating_add(1);
        if slot.wrong >= FREE {
            let doublings = (slot.wrong - FREE).min(6);
            slot.until = now.saturating_add((1_u64 << doublings).min(LONGEST));
        }
    }

    /// The right one.
    pub fn passed(&mut self, name: &str) {
        let place = self.place(name);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot::default();
        }
    }

    fn place(&self, name: &str) -> usize {
        let hash = self.key.hash_one(name) % SLOTS as u64;
        usize::try_from(hash).unwrap_or_default()
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
        guessing.passed("ann");
        guessing.failed("ann", now);
        assert_eq!(guessing.wait("ann", now), 0);
    }

    #[test]
    fn a_name_makes_few_others_wait_and_invented_ones_fill_nothing() {
        let mut guessing = Guessing::default();
        for _ in 0..FREE {
            guessing.failed("ann", 0);
        }
        let names: Vec<_> = (0..100).map(|n| format!("name{n}")).collect();
        let waiting = names.iter().filter(|name| guessing.wait(name, 0) > 0).count();
        assert!(waiting < 10, "{waiting} of 100 share a slot of {SLOTS}");
        (0..10_000).for_each(|n| guessing.failed(&n.to_string(), 0));
        assert_eq!(guessing.slots.len(), SLOTS);
    }
}
