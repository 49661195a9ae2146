//! Which pages of a pool are free. Pure bookkeeping without I/O.
//!
//! Two bitmaps: a page is *taken* from the moment it is given out until nothing durable refers to
//! it any more; it is *mapped* while a map entry refers to it. The second is what the records
//! hold, so that a crash between the two loses no page.

use std::collections::BTreeMap;

use super::leaf::PageId;

/// Pages of a segment.
pub const SEGMENT: u32 = 1024;
const WORDS: usize = SEGMENT as usize / 64;

/// Names a segment: a run of 1,024 pages of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The member.
    pub member: u8,
    /// The segment of that member.
    pub number: u32,
}

impl SegmentId {
    /// The segment of a page.
    #[must_use]
    pub const fn of(page: PageId) -> Self {
        Self { member: page.member(), number: page.number() / SEGMENT }
    }
}

/// The bits of one segment.
pub type Bits = [u64; WORDS];

#[derive(Debug, Clone)]
struct Segment {
    taken: Bits,
    mapped: Bits,
    free: u32,
}

const EMPTY: Segment = Segment { taken: [0; WORDS], mapped: [0; WORDS], free: SEGMENT };

/// The pages of a pool.
#[derive(Debug, Default)]
pub struct Space {
    members: BTreeMap<u8, Vec<Segment>>,
    pages: u64,
    free: u64,
    mapped: u64,
    /// Where the search goes on: pages given out one after the other lie one after the other.
    at: (u8, usize),
}

impl Space {
    /// Adds segments to the end of a member.
    pub fn grow(&mut self, member: u8, segments: u32) {
        let list = self.members.entry(member).or_default();
        list.resize(list.len() + segments as usize, EMPTY);
        self.pages += u64::from(segments) * u64::from(SEGMENT);
        self.free += u64::from(segments) * u64::from(SEGMENT);
    }

    /// Loads the mapped pages of a segment; false when there is no such segment.
    pub fn load(&mut self, id: SegmentId, bits: Bits) -> bool {
        let Some(segment) = self.segment(id) else {
            return false;
        };
        let before = (segment.free, count(&segment.mapped));
        segment.taken = bits;
        segment.mapped = bits;
        segment.free = SEGMENT - count(&bits);
        let after = (segment.free, count(&bits));
        self.free = self.free + u64::from(after.0) - u64::from(before.0);
        self.mapped = self.mapped + u64::from(after.1) - u64::from(before.1);
        true
    }

    fn segment(&mut self, id: SegmentId) -> Option<&mut Segment> {
        self.members.get_mut(&id.member)?.get_mut(id.number as usize)
    }

    /// All pages.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// Pages that can be given out at once.
    #[must_use]
    pub const fn free(&self) -> u64 {
        self.free
    }

    /// Pages that map entries refer to.
    #[must_use]
    pub const fn mapped(&self) -> u64 {
        self.mapped
    }

    /// Gives out a page that nobody has.
    pub fn take(&mut self) -> Option<PageId> {
        if self.free == 0 {
            return None;
        }
        let start = self.at;
        let after = self.members.range(start.0..);
        let before = self.members.range(..=start.0);
        let mut found = None;
        'search: for (member, segments) in after.chain(before) {
            let from = if *member == start.0 && found.is_none() { start.1 } else { 0 };
            for number in (from..segments.len()).chain(0..from.min(segments.len())) {
                if segments[number].free > 0 {
                    found = Some((*member, number));
                    break 'search;
                }
            }
        }
        let (member, number) = found?;
        self.at = (member, number);
        let segment = self.members.get_mut(&member)?.get_mut(number)?;
        let word = segment.taken.iter().position(|word| *word != u64::MAX)?;
        let bit = segment.taken[word].trailing_ones();
        segment.taken[word] |= 1 << bit;
        segment.free -= 1;
        self.free -= 1;
        Some(PageId::new(member, number as u32 * SEGMENT + word as u32 * 64 + bit))
    }

    /// Makes a page that nothing durable refers to available again.
    pub fn give_back(&mut self, page: PageId) {
        let (word, bit) = place(page);
        if let Some(segment) = self.segment(SegmentId::of(page))
            && segment.taken[word] & bit != 0
        {
            segment.taken[word] &= !bit;
            segment.free += 1;
            self.free += 1;
        }
    }

    /// Takes 64 pages that lie one after the other out of use, if none of them is in use.
    pub fn claim(&mut self, first: PageId) -> bool {
        let (word, _) = place(first);
        let Some(segment) = self.segment(SegmentId::of(first)) else {
            return false;
        };
        if segment.taken[word] != 0 {
            return false;
        }
        segment.taken[word] = u64::MAX;
        segment.free -= 64;
        self.free -= 64;
        true
    }

    /// Makes pages that were claimed available again.
    pub fn release(&mut self, first: PageId) {
        let (word, _) = place(first);
        if let Some(segment) = self.segment(SegmentId::of(first)) {
            segment.taken[word] = 0;
            segment.free += 64;
            self.free += 64;
        }
    }

    /// Notes that a map entry refers to a page from now on, or no more. False when that was so
    /// already: two owners, which cannot be.
    pub fn map(&mut self, page: PageId, on: bool) -> bool {
        let (word, bit) = place(page);
        let Some(segment) = self.segment(SegmentId::of(page)) else {
            return false;
        };
        let was = segment.mapped[word] & bit != 0;
        if was == on {
            return false;
        }
        segment.mapped[word] ^= bit;
        if on {
            self.mapped += 1;
        } else {
            self.mapped -= 1;
        }
        true
    }

    /// The mapped pages of a segment.
    #[must_use]
    pub fn bits(&self, id: SegmentId) -> Option<Bits> {
        Some(self.members.get(&id.member)?.get(id.number as usize)?.mapped)
    }

    /// Whether a page is mapped.
    #[must_use]
    pub fn is_mapped(&self, page: PageId) -> bool {
        let (word, bit) = place(page);
        self.bits(SegmentId::of(page)).is_some_and(|bits| bits[word] & bit != 0)
    }

    /// How many segments each member has.
    pub fn members(&self) -> impl Iterator<Item = (u8, u32)> {
        self.members.iter().map(|(member, segments)| (*member, segments.len() as u32))
    }
}

fn place(page: PageId) -> (usize, u64) {
    let within = page.number() % SEGMENT;
    ((within / 64) as usize, 1 << (within % 64))
}

fn count(bits: &Bits) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

/// The bits of a segment as a record: 128 bytes, bit n of byte m is page 8m+n.
#[must_use]
pub fn encode(bits: &Bits) -> Vec<u8> {
    bits.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The bits of a record; `None` when it is none.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Bits> {
    if bytes.len() != WORDS * 8 {
        return None;
    }
    let mut bits = [0; WORDS];
    for (word, bytes) in bits.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().ok()?);
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_given_out_once_and_comes_back() {
        let mut space = Space::default();
        space.grow(0, 1);
        space.grow(3, 2);
        let all: Vec<PageId> = std::iter::from_fn(|| space.take()).collect();
        let distinct: std::collections::BTreeSet<&PageId> = all.iter().collect();
        assert_eq!((all.len(), distinct.len(), space.free()), (3072, 3072, 0));
        space.give_back(all[1500]);
        assert_eq!(space.take(), Some(all[1500]));
        assert_eq!(space.take(), None);
        space.grow(0, 1);
        assert_eq!(space.take(), Some(PageId::new(0, 1024)));
    }

    #[test]
    fn pages_are_claimed_together_or_not_at_all() {
        let mut space = Space::default();
        space.grow(0, 1);
        let first = space.take().unwrap();
        assert!(!space.claim(first), "it is in use");
        let next = PageId::new(0, 64);
        assert!(space.claim(next) && !space.claim(next));
        assert_eq!(space.free(), 1024 - 1 - 64);
        assert!(std::iter::from_fn(|| space.take()).all(|page| page.number() / 64 != 1));
        space.release(next);
        assert_eq!((space.free(), space.take()), (64, Some(next)));
        assert!(!space.claim(PageId::new(9, 0)));
    }

    #[test]
    fn mapped_pages_are_counted_and_never_mapped_twice() {
        let mut space = Space::default();
        space.grow(1, 1);
        let page = space.take().unwrap();
        assert!(space.map(page, true) && !space.map(page, true));
        assert_eq!(space.mapped(), 1);
        let bits = space.bits(SegmentId::of(page)).unwrap();
        assert_eq!(decode(&encode(&bits)), Some(bits));
        let mut other = Space::default();
        other.grow(1, 1);
        assert!(other.load(SegmentId::of(page), bits));
        assert!(!other.load(SegmentId { member: 1, number: 1 }, bits));
        assert_eq!((other.mapped(), other.free()), (1, 1023));
        assert!(other.map(page, false) && !other.map(page, false));
        assert!(!other.map(PageId::new(9, 0), true));
    }
}
