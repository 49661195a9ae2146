//! Difference bitmaps: one bit a slot of 256 KiB.

/// Bytes in a slot, the unit in which ShadowImage tracks and copies differences.
pub const SLOT: u64 = 256 * 1024;

/// Slots in one stored piece of a bitmap: 1 KiB, 2 GiB of a volume.
pub const CHUNK_SLOTS: u64 = 8192;

const WORD: u64 = u64::BITS as u64;
const TAG_MIXED: u8 = 0;
const TAG_FULL: u8 = 1;

/// A bitmap over the slots of one volume. While all bits are alike it takes no memory of its own:
/// most bitmaps of most pairs are empty, and those of new pairs are full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    slots: u64,
    count: u64,
    /// Empty while all bits are alike.
    words: Vec<u64>,
}

impl Bits {
    /// No bit set.
    #[must_use]
    pub const fn empty(slots: u64) -> Self {
        Self { slots, count: 0, words: Vec::new() }
    }

    /// Every bit set.
    #[must_use]
    pub const fn full(slots: u64) -> Self {
        Self { slots, count: slots, words: Vec::new() }
    }

    /// How many slots it covers.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        self.slots
    }

    /// How many bits are set.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bit of `slot`; false beyond the end.
    #[must_use]
    pub fn get(&self, slot: u64) -> bool {
        slot < self.slots && self.word(slot / WORD) >> (slot % WORD) & 1 == 1
    }

    /// Sets or clears the bit of `slot`; beyond the end nothing happens.
    pub fn put(&mut self, slot: u64, on: bool) {
        if slot >= self.slots || self.get(slot) == on {
            return;
        }
        self.unpack();
        let mask = 1 << (slot % WORD);
        if on {
            self.words[index(slot / WORD)] |= mask;
            self.count += 1;
        } else {
            self.words[index(slot / WORD)] &= !mask;
            self.count -= 1;
        }
        self.pack();
    }

    /// The first set bit at or after `from`.
    #[must_use]
    pub fn next(&self, from: u64) -> Option<u64> {
        if from >= self.slots || self.count == 0 {
            return None;
        }
        let first = from / WORD;
        (first..self.word_count()).find_map(|w| {
            let mut word = self.word(w);
            if w == first {
                word &= u64::MAX << (from % WORD);
            }
            (word != 0).then(|| w * WORD + u64::from(word.trailing_zeros()))
        })
    }

    /// Adds the bits of `other`.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine | theirs);
    }

    /// Takes away the bits of `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine & !theirs);
    }

    /// Whether some bit is set in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.count > 0
            && other.count > 0
            && (0..self.word_count()).any(|w| self.word(w) & other.word(w) != 0)
    }

    /// How many stored pieces it makes.
    #[must_use]
    pub const fn chunks(&self) -> u64 {
        self.slots.div_ceil(CHUNK_SLOTS)
    }

    /// One stored piece; `None` when none of its bits is set.
    ///
    /// | bytes | meaning |
    /// |---|---|
    /// | 0 | 1: every bit of the piece is set, nothing follows; 0: the words follow |
    /// | 1.. | words of 64 bits, little-endian, slot 0 of the piece in bit 0 of the first |
    #[must_use]
    pub fn chunk(&self, chunk: u64) -> Option<Vec<u8>> {
        let words = self.chunk_words(chunk);
        if words.clone().all(|w| self.word(w) == 0) {
            return None;
        }
        if words.clone().all(|w| self.word(w) == self.mask(w)) {
            return Some(vec![TAG_FULL]);
        }
        let mut bytes = vec![TAG_MIXED];
        words.for_each(|w| bytes.extend_from_slice(&self.word(w).to_le_bytes()));
        Some(bytes)
    }

    /// Puts a stored piece back; `false` when it has not the shape that [`Bits::chunk`] gives.
    #[must_use]
    pub fn load_chunk(&mut self, chunk: u64, bytes: &[u8]) -> bool {
        if chunk >= self.chunks() {
            return false;
        }
        let words = self.chunk_words(chunk);
        let Some((&tag, rest)) = bytes.split_first() else {
            return false;
        };
        let fresh: Vec<u64> = match tag {
            TAG_FULL if rest.is_empty() => words.clone().map(|w| self.mask(w)).collect(),
            TAG_MIXED => {
                rest.chunks(8).map_while(|b| b.try_into().ok().map(u64::from_le_bytes)).collect()
            }
            _ => return false,
        };
        let shaped = rest.len() % 8 == 0
            && fresh.len() as u64 == words.end - words.start
            && words.clone().zip(&fresh).all(|(w, word)| word & !self.mask(w) == 0);
        if shaped {
            self.unpack();
            for (w, word) in words.zip(fresh) {
                let old = std::mem::replace(&mut self.words[index(w)], word);
                self.count =
                    self.count - u64::from(old.count_ones()) + u64::from(word.count_ones());
            }
            self.pack();
        }
        shaped
    }

    const fn word_count(&self) -> u64 {
        self.slots.div_ceil(WORD)
    }

    fn chunk_words(&self, chunk: u64) -> std::ops::Range<u64> {
        const PER_CHUNK: u64 = CHUNK_SLOTS / WORD;
        let start = (chunk * PER_CHUNK).min(self.word_count());
        start..(start + PER_CHUNK).min(self.word_count())
    }

    /// The bits of word `w` that stand for slots.
    const fn mask(&self, w: u64) -> u64 {
        let left = self.slots - w * WORD;
        if left >= WORD { u64::MAX } else { (1 << left) - 1 }
    }

    fn word(&self, w: u64) -> u64 {
        match self.words.get(index(w)) {
            Some(word) => *word,
            None if self.count == 0 => 0,
            None => self.mask(w),
        }
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        debug_assert_eq!(self.slots, other.slots, "paired volumes have one size");
        if other.count == 0 {
            return;
        }
        let words: Vec<u64> = (0..self.word_count().min(other.word_count()))
            .map(|w| with(self.word(w), other.word(w)))
            .collect();
        self.count = words.iter().map(|w| u64::from(w.count_ones())).sum();
        self.words = words;
        self.pack();
    }

    fn unpack(&mut self) {
        if self.words.is_empty() {
            self.words = (0..self.word_count()).map(|w| self.word(w)).collect();
        }
    }

    fn pack(&mut self) {
        if self.count == 0 || self.count == self.slots {
            self.words = Vec::new();
        }
    }
}

/// Bitmaps of volumes that fit a file fit the address space.
fn index(word: u64) -> usize {
    usize::try_from(word).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection, prelude::*};

    use super::*;

    fn set_bits(bits: &Bits) -> BTreeSet<u64> {
        std::iter::successors(bits.next(0), |slot| bits.next(slot + 1)).collect()
    }

    fn of(slots: u64, set: &BTreeSet<u64>) -> Bits {
        let mut bits = Bits::empty(slots);
        set.iter().for_each(|slot| bits.put(*slot, true));
        bits
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_and_survives_storage(
            slots in 1u64..20_000,
            a in collection::btree_set(0u64..20_000, 0..60),
            b in collection::btree_set(0u64..20_000, 0..60),
            from_full in any::<bool>(),
        ) {
            let within = |set: BTreeSet<u64>| set.into_iter().filter(|s| *s < slots).collect();
            let (mut a, b): (BTreeSet<u64>, BTreeSet<u64>) = (within(a), within(b));
            let mut bits = of(slots, &a);
            if from_full {
                bits = Bits::full(slots);
                a.iter().for_each(|slot| bits.put(*slot, false));
                a = (0..slots).filter(|s| !a.contains(s)).collect();
            }
            let other = of(slots, &b);
            prop_assert_eq!(&set_bits(&bits), &a);
            prop_assert_eq!(bits.count(), a.len() as u64);
            prop_assert_eq!(bits.meets(&other), !a.is_disjoint(&b));
            let (mut sum, mut rest) = (bits.clone(), bits.clone());
            sum.add(&other);
            rest.subtract(&other);
            prop_assert_eq!(set_bits(&sum), &a | &b);
            prop_assert_eq!(set_bits(&rest), &a - &b);
            let mut back = Bits::empty(slots);
            for chunk in 0..bits.chunks() {
                if let Some(bytes) = bits.chunk(chunk) {
                    prop_assert!(back.load_chunk(chunk, &bytes));
                }
            }
            prop_assert_eq!(back, bits);
        }
    }

    #[test]
    fn pieces_of_another_shape_are_refused() {
        let mut bits = Bits::empty(70);
        assert!(!bits.load_chunk(0, &[]));
        assert!(!bits.load_chunk(0, &[2]));
        assert!(!bits.load_chunk(0, &[1, 0]));
        assert!(!bits.load_chunk(1, &[1]));
        assert!(!bits.load_chunk(0, &[0; 9]), "one word where two belong");
        assert!(!bits.load_chunk(0, &[0xff; 17]), "a bit beyond the last slot");
        assert!(bits.is_empty());
        assert!(bits.load_chunk(0, &[1]));
        assert_eq!(bits.count(), 70);
    }
}
