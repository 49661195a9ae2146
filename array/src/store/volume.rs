//! Volumes in use: what each holds, and the leaves of its map that are in memory.
//!
//! Locks, in the order in which they may be taken together:
//! 1. a volume's *gate*: shared for the length of every read and write; an order that changes what
//!    the volume holds, or marks it, takes it alone. Nobody but an order waits for a gate while it
//!    holds another one;
//! 2. a *stripe* of its pages: shared to read a page, alone to write it. Nobody has two of one
//!    volume;
//! 3. the map's uncommitted changes ([`super::meta`]);
//! 4. a leaf.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    branches::BranchId,
    hash::NumberMap,
    leaf::{Entry, Generation, LEAF, Leaf, PAGE},
    pool::Pool,
};

/// Names a volume: an LDEV by its number, a hidden one from [`HIDDEN`] on.
pub type VolumeNumber = u32;
/// The first number of hidden volumes: points in time that copies to other pools are made from.
pub const HIDDEN: VolumeNumber = 1 << 24;
/// Stripes of a volume.
const STRIPES: usize = 64;
/// Pages that share a stripe, one after the other: no more than one request moves, no fewer than
/// it pays to move at once.
pub const SPAN: u64 = 16;

/// The durable part of a volume; postcard, fields in order, under its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRow {
    /// Bytes.
    pub size: u64,
    /// The pool of its own pages.
    pub pool: u16,
    /// What it holds.
    pub holds: HoldsRow,
    /// Its tie to a volume of another pool.
    pub tether: Option<TetherRow>,
}

/// What a volume holds, in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldsRow {
    /// Zeros.
    Nothing,
    /// What that volume holds.
    Alias(VolumeNumber),
    /// What the head of that branch maps.
    Own(BranchId),
}

/// A tie to a volume of another pool, in the record of the one that fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TetherRow {
    /// The branch that is filled.
    pub branch: BranchId,
    /// The hidden volume that it is filled from.
    pub origin: VolumeNumber,
    /// The hidden volume that was forked from the branch when it was fixed.
    pub pin: Option<VolumeNumber>,
}

/// A volume.
#[derive(Debug)]
pub struct Volume {
    /// Its number.
    pub number: VolumeNumber,
    /// Bytes.
    pub size: u64,
    /// The pool of its own pages.
    pub pool: Arc<Pool>,
    /// What it holds, behind the gate.
    pub gate: RwLock<Holds>,
    stripes: OnceLock<Box<[RwLock<()>; STRIPES]>>,
}

/// What a volume holds.
#[derive(Debug, Clone)]
pub struct Holds {
    /// Where its content is.
    pub content: Content,
    /// Pages that it lacks, if it is tied to a volume of another pool.
    pub tether: Option<Arc<Tether>>,
    /// Whether hosts may write to it.
    pub writable: bool,
}

/// Where a volume's content is.
#[derive(Debug, Clone)]
pub enum Content {
    /// It holds what that volume holds.
    Alias(Arc<Volume>),
    /// It has a map of its own.
    Own(Arc<Head>),
}

/// A branch that is filled from a volume of another pool.
#[derive(Debug)]
pub struct Tether {
    /// The branch that is filled.
    pub head: Arc<Head>,
    /// What it is filled from; it never changes.
    pub origin: Arc<Volume>,
    /// What the branch held when it was fixed, if it is.
    pub pin: Option<Arc<Volume>>,
    /// What it lacks.
    pub todo: Mutex<Todo>,
}

/// Pages that are still to be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Todo {
    words: Vec<u64>,
    count: u64,
}

impl Todo {
    /// Pages of one record: 512 bytes, bit n of byte m is page 8m+n of the piece.
    pub const PIECE: u64 = 4096;

    /// None of so many pages.
    #[must_use]
    pub fn none(pages: u64) -> Self {
        Self { words: vec![0; pages.div_ceil(64) as usize], count: 0 }
    }

    /// All of so many pages.
    #[must_use]
    pub fn all(pages: u64) -> Self {
        let mut words = vec![u64::MAX; pages.div_ceil(64) as usize];
        if let Some(last) = words.last_mut().filter(|_| !pages.is_multiple_of(64)) {
            *last = (1 << (pages % 64)) - 1;
        }
        Self { words, count: pages }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The first of them from `page` on.
    #[must_use]
    pub fn next(&self, page: u64) -> Option<u64> {
        let first = (page / 64) as usize;
        let mut word = self.words.get(first)? & (u64::MAX << (page % 64));
        for (at, following) in (first..).zip(self.words[first..].iter().skip(1)) {
            if word != 0 {
                return Some(at as u64 * 64 + u64::from(word.trailing_zeros()));
            }
            word = *following;
        }
        let last = self.words.len() as u64 - 1;
        (word != 0).then(|| last * 64 + u64::from(word.trailing_zeros()))
    }

    /// Whether a page is one of them.
    #[must_use]
    pub fn has(&self, page: u64) -> bool {
        self.words.get((page / 64) as usize).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Adds a page or takes it out; whether that changed anything.
    pub fn put(&mut self, page: u64, on: bool) -> bool {
        let Some(word) = self.words.get_mut((page / 64) as usize) else {
            return false;
        };
        let bit = 1 << (page % 64);
        if (*word & bit != 0) == on {
            return false;
        }
        *word ^= bit;
        if on {
            self.count += 1;
        } else {
            self.count -= 1;
        }
        true
    }

    /// A piece as a record; `None` where nothing of it is to be fetched.
    #[must_use]
    pub fn encode(&self, piece: u64) -> Option<Vec<u8>> {
        let first = (piece * Self::PIECE / 64) as usize;
        let last = (first + Self::PIECE as usize / 64).min(self.words.len());
        let words = self.words.get(first..last)?;
        if words.iter().all(|word| *word == 0) {
            return None;
        }
        Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// Takes a piece from a record; false when it is none.
    pub fn load(&mut self, piece: u64, bytes: &[u8]) -> bool {
        let first = (piece.saturating_mul(Self::PIECE) / 64) as usize;
        if !bytes.len().is_multiple_of(8)
            || first.saturating_add(bytes.len() / 8) > self.words.len()
        {
            return false;
        }
        for (word, bytes) in self.words[first..].iter_mut().zip(bytes.chunks_exact(8)) {
            let loaded = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.count = self.count + u64::from(loaded.count_ones()) - u64::from(word.count_ones());
            *word = loaded;
        }
        true
    }
}

/// The head of a branch: the part of a map that can change.
#[derive(Debug)]
pub struct Head {
    /// The branch.
    pub branch: BranchId,
    /// The pool of its pages.
    pub pool: Arc<Pool>,
    /// The last mark: records up to it are needed as they are.
    pub floor: AtomicU64,
    /// The birth of pages that are taken into use now. Changes behind the gate only.
    pub current: AtomicU64,
    /// The volume that has it.
    pub owner: AtomicU32,
    /// The volume whose first write makes the branch durable, while nothing has.
    pub fresh: Mutex<Option<VolumeNumber>>,
    cells: RwLock<NumberMap<u32, Arc<Cell>>>,
    /// How many pages were changed last between each mark, or the fork, and the next.
    pub changed: Mutex<BTreeMap<Generation, u64>>,
}

/// A leaf in memory.
#[derive(Debug)]
pub struct Cell {
    /// The leaf.
    pub state: RwLock<CellState>,
    used: AtomicBool,
}

/// A leaf in memory, and where it comes from.
#[derive(Debug, Clone)]
pub struct CellState {
    /// The generation of the branch's own record; `None` when it has none.
    pub generation: Option<Generation>,
    /// What it says.
    pub leaf: Arc<Leaf>,
}

impl Volume {
    /// A volume.
    #[must_use]
    pub fn new(number: VolumeNumber, size: u64, pool: Arc<Pool>, holds: Holds) -> Self {
        if let Some(head) = holds.head() {
            head.owner.store(number, Ordering::SeqCst);
        }
        Self { number, size, pool, gate: RwLock::new(holds), stripes: OnceLock::new() }
    }

    /// The stripe of a page.
    pub fn stripe(&self, page: u64) -> &RwLock<()> {
        let stripes = self.stripes.get_or_init(|| Box::new([const { RwLock::new(()) }; STRIPES]));
        &stripes[(page / SPAN) as usize % STRIPES]
    }

    /// How many pages it has.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.size.div_ceil(PAGE as u64)
    }
}

impl Holds {
    /// Its own map, if it has one.
    #[must_use]
    pub const fn head(&self) -> Option<&Arc<Head>> {
        match &self.content {
            Content::Own(head) => Some(head),
            Content::Alias(_) => None,
        }
    }
}

impl Head {
    /// A head without leaves in memory.
    #[must_use]
    pub fn new(
        branch: BranchId,
        pool: Arc<Pool>,
        floor: Generation,
        current: Generation,
        marks: impl IntoIterator<Item = Generation>,
    ) -> Self {
        Self {
            branch,
            pool,
            floor: AtomicU64::new(floor),
            current: AtomicU64::new(current),
            owner: AtomicU32::new(VolumeNumber::MAX),
            fresh: Mutex::new(None),
            cells: RwLock::default(),
            changed: Mutex::new(marks.into_iter().map(|mark| (mark, 0)).collect()),
        }
    }

    /// A leaf, if it is in memory.
    pub fn cached(&self, leaf: u32) -> Option<Arc<Cell>> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.get(&leaf)?;
        if !cell.used.load(Ordering::Relaxed) {
            cell.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(cell))
    }

    /// What a page is mapped to, if its leaf is in memory and nobody is at it.
    pub fn entry_now(&self, page: u64) -> Option<Entry> {
        let cells = self.cells.try_read().ok()?;
        let cell = cells.get(&((page / LEAF as u64) as u32))?;
        if !cell.used.load(Ordering::Relaxed) {
            cell.used.store(true, Ordering::Relaxed);
        }
        let state = cell.state.try_read().ok()?;
        Some(state.leaf.entries[(page % LEAF as u64) as usize])
    }

    /// Keeps a leaf that was loaded; the one that is there already, where somebody was faster.
    pub fn keep(&self, leaf: u32, state: CellState) -> Arc<Cell> {
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Cell { state: RwLock::new(state), used: AtomicBool::new(true) });
        Arc::clone(cells.entry(leaf).or_insert_with(fresh))
    }

    /// Lets go of a leaf that was not used since the last time and that nobody holds; whether it
    /// is gone.
    pub fn let_go(&self, leaf: u32) -> bool {
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        let Some(cell) = cells.get(&leaf) else {
            return true;
        };
        if Arc::strong_count(cell) > 1 || cell.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        cells.remove(&leaf);
        true
    }

    /// Marks the branch: what is there now stays as it is.
    pub fn mark(&self, generation: Generation) {
        self.floor.store(generation, Ordering::SeqCst);
        self.current.store(generation + 1, Ordering::SeqCst);
        self.changes().entry(generation).or_insert(0);
    }

    /// Forgets a mark that nothing needs any more.
    pub fn unmark(&self, generation: Generation, last: Generation) {
        self.floor.store(last, Ordering::SeqCst);
        let mut changed = self.changes();
        if let Some(count) = changed.remove(&generation)
            && let Some((_, before)) = changed.range_mut(..generation).next_back()
        {
            *before += count;
        }
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<Generation, u64>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts that an entry has changed.
    pub fn count(&self, before: &Entry, after: &Entry) {
        let mut changed = self.changes();
        for (birth, up) in [(before.birth(), false), (after.birth(), true)] {
            // A birth lies after the mark that is its bucket, or on no mark's side at all.
            if let Some((_, count)) = changed.range_mut(..birth).next_back() {
                *count = if up { *count + 1 } else { count.saturating_sub(1) };
            }
        }
    }

    /// How many pages were changed after `mark`; `None` when nobody has counted from there.
    #[must_use]
    pub fn changed_since(&self, mark: Generation) -> Option<u64> {
        let changed = self.changes();
        changed.contains_key(&mark).then(|| changed.range(mark..).map(|(_, count)| count).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_to_fetch_are_stored_by_the_piece() {
        let mut todo = Todo::none(10_000);
        for page in [3, 64, 4095, 4096, 9999] {
            assert!(todo.put(page, true) && !todo.put(page, true));
        }
        assert!(todo.put(9999, false) && !todo.has(9999));
        let mut other = Todo::none(10_000);
        for piece in 0..3 {
            if let Some(bytes) = todo.encode(piece) {
                assert!(other.load(piece, &bytes));
            }
        }
        assert_eq!(other, todo);
        let all: Vec<u64> =
            std::iter::successors(todo.next(0), |page| todo.next(page + 1)).collect();
        assert_eq!(all, [3, 64, 4095, 4096]);
        let mut whole = Todo::all(130);
        assert_eq!((whole.count(), whole.next(129), whole.next(130)), (130, Some(129), None));
        assert!(whole.put(129, false) && whole.next(128) == Some(128));
        assert!(!other.load(2, &[0; 512]) && !other.load(0, &[0; 3]));
        assert!(todo.encode(2).is_none());
    }
}
