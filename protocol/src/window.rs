//! The replay window: each sequence number is taken once.

/// Remembers which of the last 1,024 sequence numbers of a session were seen.
///
/// Bit `n % 1024` stands for number `n`; what falls out behind the window counts as seen.
#[derive(Debug, Clone)]
pub struct Window {
    highest: u64,
    seen: [u64; Self::WORDS],
}

impl Window {
    /// How far behind the highest number one may come and still be taken.
    pub const SIZE: u64 = 1024;
    const WORDS: usize = 16;

    /// A window that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: 0, seen: [0; Self::WORDS] }
    }

    /// Takes a number: `true` the first time, `false` for a replay, for 0, and for what is too
    /// old to tell. To be asked only after the seal was verified: a forged number must not move
    /// the window.
    pub fn take(&mut self, number: u64) -> bool {
        if number == 0 || self.highest.saturating_sub(number) >= Self::SIZE {
            return false;
        }
        if number > self.highest {
            if number - self.highest >= Self::SIZE {
                self.seen = [0; Self::WORDS];
            } else {
                for passed in self.highest + 1..=number {
                    let (word, bit) = Self::place(passed);
                    self.seen[word] &= !bit;
                }
            }
            self.highest = number;
        }
        let (word, bit) = Self::place(number);
        let first = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        first
    }

    const fn place(number: u64) -> (usize, u64) {
        // Below 1024, so it fits any usize.
        let at = number % Self::SIZE;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_set(
            steps in prop::collection::vec(
                prop_oneof![
                    8 => (-1100_i64..40).boxed(),
                    1 => (0_i64..5000).boxed(),
                    1 => Just(i64::MIN).boxed(),
                ],
                1..400,
            ),
        ) {
            let (mut window, mut set, mut highest) = (Window::new(), BTreeSet::new(), 0_u64);
            for step in steps {
                let number = highest.saturating_add_signed(step);
                let expected =
                    number > 0 && number + Window::SIZE > highest && set.insert(number);
                highest = highest.max(if number > 0 { number } else { 0 });
                prop_assert_eq!(window.take(number), expected, "number {}", number);
            }
        }
    }

    #[test]
    fn the_far_end_of_the_numbers_is_no_trap() {
        let mut window = Window::new();
        assert!(window.take(u64::MAX));
        assert!(!window.take(u64::MAX));
        assert!(window.take(u64::MAX - 1023));
        assert!(!window.take(u64::MAX - 1024));
        assert!(!window.take(1));
    }
}
