//! Which parts of a request are there.

/// A set of part numbers below a fixed count; its bytes are the bitmap of a Status frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    bits: Vec<u8>,
    count: usize,
    present: usize,
}

impl Parts {
    /// None of `count` parts.
    #[must_use]
    pub fn none(count: usize) -> Self {
        Self { bits: vec![0; count.div_ceil(8)], count, present: 0 }
    }

    /// The set a bitmap shows, or `None` when it is not one of `count` parts.
    #[must_use]
    pub fn from_bytes(bits: &[u8], count: usize) -> Option<Self> {
        if bits.len() != count.div_ceil(8) {
            return None;
        }
        let present = bits.iter().map(|byte| byte.count_ones() as usize).sum();
        let set = Self { bits: bits.to_vec(), count, present };
        let within = (0..count).filter(|part| set.has(*part)).count();
        (within == present).then_some(set)
    }

    /// Its bitmap.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Whether a part is there.
    #[must_use]
    pub fn has(&self, part: usize) -> bool {
        self.bits.get(part / 8).is_some_and(|byte| byte >> (part % 8) & 1 == 1)
    }

    /// Adds a part; `false` when it was there, or is none of the `count`.
    pub fn add(&mut self, part: usize) -> bool {
        if part >= self.count || self.has(part) {
            return false;
        }
        self.bits[part / 8] |= 1 << (part % 8);
        self.present += 1;
        true
    }

    /// How many are there.
    #[must_use]
    pub const fn present(&self) -> usize {
        self.present
    }

    /// Whether all are there.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.present == self.count
    }

    /// The parts that are not there, in order.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count).filter(|part| !self.has(*part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_fills_up_and_travels_as_its_bitmap() {
        let mut parts = Parts::none(10);
        assert!(parts.add(9) && parts.add(0) && !parts.add(9) && !parts.add(10));
        assert_eq!(parts.as_bytes(), [1, 2]);
        assert_eq!(Parts::from_bytes(parts.as_bytes(), 10).as_ref(), Some(&parts));
        assert_eq!(parts.missing().collect::<Vec<_>>(), (1..9).collect::<Vec<_>>());
        for part in 0..10 {
            parts.add(part);
        }
        assert!(parts.complete());
    }

    #[test]
    fn bitmaps_of_another_length_or_with_stray_bits_are_refused() {
        assert_eq!(Parts::from_bytes(&[1], 10), None);
        assert_eq!(Parts::from_bytes(&[1, 2, 0], 10), None);
        assert_eq!(Parts::from_bytes(&[1, 4], 10), None);
    }
}
