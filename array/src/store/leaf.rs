//! Leaves: what 256 pages of a volume are mapped to, and the record of it.
//!
//! A record is, in this order, little endian; *varint* is LEB128 of up to 64 bits:
//!
//! | bytes | meaning |
//! |---|---|
//! | varint | `since`: pages of this birth or younger belong to this record |
//! | entries | in ascending order of pages, to the end of the record |
//!
//! and an entry:
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | pages passed over since the last entry |
//! | 1 | flags: 1 whole mask, 2 has a base, 4 follows the last entry's page, 8 same birth as the last entry, 16 has a page |
//! | varint | page, if 16 and not 4: member in bits 32-39, number in bits 0-31 |
//! | varint | birth, if not 8 |
//! | 2 | mask, if 16 and not 1 |
//! | varint, varint, 2 | page, birth and mask of the base, if 2 |

use std::fmt;

/// Bytes of a page.
pub const PAGE: usize = 64 << 10;
/// Bytes of a block.
pub const BLOCK: usize = 4 << 10;
/// Blocks of a page.
pub const BLOCKS: usize = PAGE / BLOCK;
/// Pages of a leaf.
pub const LEAF: usize = 256;
/// The mask of a page with all of its blocks.
pub const WHOLE: u16 = u16::MAX;

/// A generation: it grows by one with every order that marks.
pub type Generation = u64;

/// A page of a pool: which member, and which of its pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(u64);

impl PageId {
    /// The page `number` of `member`.
    #[must_use]
    pub const fn new(member: u8, number: u32) -> Self {
        Self((member as u64) << 32 | number as u64)
    }

    /// The member.
    #[must_use]
    pub const fn member(self) -> u8 {
        (self.0 >> 32) as u8
    }

    /// The page of that member.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// Both in one number, below 2^40.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.member(), self.number())
    }
}

/// Some blocks of a page, written since a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The page.
    pub page: PageId,
    /// The generation in which it was taken into use.
    pub birth: Generation,
    /// Bit n: block n is there.
    pub mask: u16,
}

impl Piece {
    /// What a page is mapped to whose record is lost: an error, older than any record.
    pub const LOST: Self = Self { page: PageId(0xff_ffff_ffff), birth: 0, mask: WHOLE };

    /// Whether it stands for a page that is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.page == Self::LOST.page
    }

    /// Whether block `n` is there.
    #[must_use]
    pub const fn has(&self, n: usize) -> bool {
        self.mask >> n & 1 == 1
    }
}

/// What one page of a volume is mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// The younger page; blocks that it lacks are the base's.
    pub top: Option<Piece>,
    /// The older page below it; blocks that it lacks too are zeros. Never without a top.
    pub base: Option<Piece>,
    /// For an entry without pages: the generation in which they were given up, or 0.
    pub cleared: Generation,
}

impl Entry {
    /// The generation of the last change.
    #[must_use]
    pub fn birth(&self) -> Generation {
        self.top.map_or(self.cleared, |top| top.birth)
    }

    /// The piece that has block `n`; `None` where it is zeros.
    #[must_use]
    pub fn piece(&self, n: usize) -> Option<&Piece> {
        [&self.top, &self.base].into_iter().flatten().find(|piece| piece.has(n))
    }

    /// Both pieces.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        [self.top, self.base].into_iter().flatten()
    }

    /// Whether `page` is one of its two.
    #[must_use]
    pub fn refers_to(&self, page: PageId) -> bool {
        self.pieces().any(|piece| piece.page == page)
    }

    /// Which blocks are more than zeros.
    #[must_use]
    pub fn mask(&self) -> u16 {
        self.pieces().fold(0, |mask, piece| mask | piece.mask)
    }
}

/// A leaf in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Pages of this birth or younger belong to this record; older ones to an earlier record.
    pub since: Generation,
    /// The entries, one for each page.
    pub entries: Box<[Entry; LEAF]>,
}

impl Leaf {
    /// A leaf without pages.
    #[must_use]
    pub fn empty(since: Generation) -> Self {
        Self { since, entries: Box::new([Entry::default(); LEAF]) }
    }

    /// In the place of a record that is lost.
    #[must_use]
    pub fn lost(since: Generation) -> Self {
        let entry = Entry { top: Some(Piece::LOST), base: None, cleared: 0 };
        Self { since, entries: Box::new([entry; LEAF]) }
    }

    /// The pieces that belong to this record, with the position of their entry.
    pub fn owned(&self) -> impl Iterator<Item = (usize, Piece)> {
        let since = self.since;
        let entries = self.entries.iter().enumerate();
        entries
            .flat_map(|(at, entry)| entry.pieces().map(move |piece| (at, piece)))
            .filter(move |(_, piece)| piece.birth >= since)
    }

    /// As a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        put(&mut bytes, self.since);
        let (mut next, mut last) = (0, Piece { page: PageId(u64::MAX), birth: 0, mask: 0 });
        for (at, entry) in self.entries.iter().enumerate() {
            if *entry == Entry::default() {
                continue;
            }
            let birth = entry.birth();
            let follows = entry.top.is_some_and(|top| last.page.0.wrapping_add(1) == top.page.0);
            let same = birth == last.birth;
            let whole = entry.top.is_some_and(|top| top.mask == WHOLE);
            bytes.push((at - next) as u8);
            bytes.push(
                u8::from(whole)
                    | u8::from(entry.base.is_some()) << 1
                    | u8::from(follows) << 2
                    | u8::from(same) << 3
                    | u8::from(entry.top.is_some()) << 4,
            );
            if let Some(top) = entry.top.filter(|_| !follows) {
                put(&mut bytes, top.page.0);
            }
            if !same {
                put(&mut bytes, birth);
            }
            if let Some(top) = entry.top.filter(|_| !whole) {
                bytes.extend(top.mask.to_le_bytes());
            }
            if let Some(base) = entry.base {
                put(&mut bytes, base.page.0);
                put(&mut bytes, base.birth);
                bytes.extend(base.mask.to_le_bytes());
            }
            next = at + 1;
            last.birth = birth;
            if let Some(top) = entry.top {
                last.page = top.page;
            }
        }
        bytes
    }

    /// From a record; `None` when it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = bytes;
        let mut leaf = Self::empty(take(&mut input)?);
        let (mut next, mut page, mut last_birth) = (0, u64::MAX, 0);
        while let Some((gap, rest)) = input.split_first() {
            let (flags, rest) = rest.split_first()?;
            input = rest;
            let at = next + usize::from(*gap);
            let entry = leaf.entries.get_mut(at)?;
            let has = |flag: u8| flags & flag != 0;
            if *flags > 31 || (!has(16) && has(1 | 2 | 4)) {
                return None;
            }
            if has(16) {
                page = if has(4) { page.wrapping_add(1) } else { take(&mut input)? };
                if page >> 40 != 0 {
                    return None;
                }
            }
            last_birth = if has(8) { last_birth } else { take(&mut input)? };
            if has(16) {
                let mask = if has(1) { WHOLE } else { take_mask(&mut input)? };
                entry.top = Some(Piece { page: PageId(page), birth: last_birth, mask });
            } else {
                entry.cleared = last_birth;
            }
            if has(2) {
                let page = PageId(take(&mut input)?);
                let birth = take(&mut input)?;
                let mask = take_mask(&mut input)?;
                if page.0 >> 40 != 0 {
                    return None;
                }
                entry.base = Some(Piece { page, birth, mask });
            }
            next = at + 1;
        }
        Some(leaf)
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_mask(input: &mut &[u8]) -> Option<u16> {
    let (mask, rest) = input.split_first_chunk::<2>()?;
    *input = rest;
    Some(u16::from_le_bytes(*mask))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece() -> impl Strategy<Value = Piece> {
        let page = prop_oneof![0..1u64 << 40, 0..8u64];
        (page, prop_oneof![0..4u64, any::<u64>()], prop_oneof![Just(WHOLE), any::<u16>()])
            .prop_map(|(page, birth, mask)| Piece { page: PageId(page), birth, mask })
    }

    fn entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            4 => Just(Entry::default()),
            1 => any::<u64>().prop_map(|cleared| Entry { cleared, ..Entry::default() }),
            4 => (piece(), prop::option::of(piece()))
                .prop_map(|(top, base)| Entry { top: Some(top), base, cleared: 0 }),
        ]
    }

    proptest! {
        #[test]
        fn leaves_come_back(since in any::<u64>(), entries in prop::collection::vec(entry(), LEAF)) {
            let leaf = Leaf { since, entries: entries.try_into().unwrap() };
            prop_assert_eq!(Leaf::decode(&leaf.encode()), Some(leaf));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Leaf::decode(&bytes);
        }
    }

    #[test]
    fn a_volume_written_in_order_takes_two_bytes_a_page() {
        let mut leaf = Leaf::empty(9);
        for (n, entry) in (0..).zip(leaf.entries.iter_mut()) {
            entry.top = Some(Piece { page: PageId::new(1, 70_000 + n), birth: 9, mask: WHOLE });
        }
        assert!(leaf.encode().len() < 2 * LEAF + 16, "{}", leaf.encode().len());
    }
}
