//! Changes of maps that are in memory only, until the next commit takes them all at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use super::{
    branches::BranchId,
    hash::NumberMap,
    leaf::{Entry, Leaf, PageId, Piece},
    pool::Pool,
    records::LeafKey,
    space::SegmentId,
    volume::{Cell, Head, Tether, Todo, VolumeNumber},
};

/// What the next commit writes.
#[derive(Debug, Default)]
pub struct Meta {
    /// Leaves of heads that have changed.
    pub dirty: NumberMap<(BranchId, u32), Arc<Cell>>,
    /// Records that were superseded before they were written, or changed behind a head.
    pub frozen: BTreeMap<LeafKey, Arc<Leaf>>,
    /// Records that nothing needs any more.
    pub removed: BTreeSet<LeafKey>,
    /// Segments whose mapped pages have changed.
    pub segments: BTreeSet<(u16, SegmentId)>,
    /// Pages that nothing refers to once this is durable.
    pub freed: Vec<(Arc<Pool>, PageId)>,
    /// Volumes that got their first page, with the head of their map.
    pub born: Vec<(VolumeNumber, Arc<Head>)>,
    /// Pieces of lists of pages to fetch that have changed.
    pub fetched: BTreeMap<(VolumeNumber, u64), Arc<Tether>>,
}

impl Meta {
    /// Changes one entry of a head's leaf, and settles which pages are in use. A record that a
    /// mark needs stays; a new one takes its place.
    pub fn update(
        &mut self,
        head: &Arc<Head>,
        (leaf, cell): (u32, &Arc<Cell>),
        at: usize,
        new: Entry,
    ) {
        let mut state = cell.state.write().unwrap_or_else(PoisonError::into_inner);
        let floor = head.floor.load(Ordering::SeqCst);
        if state.generation.is_none_or(|generation| generation <= floor) {
            if let Some(generation) = state.generation
                && self.dirty.contains_key(&(head.branch, leaf))
            {
                let key = LeafKey { branch: head.branch, leaf, generation };
                self.frozen.insert(key, Arc::clone(&state.leaf));
            }
            let generation = head.current.load(Ordering::SeqCst);
            state.generation = Some(generation);
            Arc::make_mut(&mut state.leaf).since = generation;
        }
        let leaf_mut = Arc::make_mut(&mut state.leaf);
        let since = leaf_mut.since;
        let Some(entry) = leaf_mut.entries.get_mut(at) else {
            return;
        };
        let old = std::mem::replace(entry, new);
        for piece in old.pieces().filter(|piece| !new.refers_to(piece.page)) {
            if piece.birth >= since {
                self.free(&head.pool, piece.page);
            }
        }
        let fresh = |piece: &Piece| !old.refers_to(piece.page) && !piece.is_lost();
        for piece in new.pieces().filter(fresh) {
            self.map(&head.pool, piece.page, true);
        }
        head.count(&old, &new);
        drop(state);
        let fresh = head.fresh.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.born.extend(fresh.map(|volume| (volume, Arc::clone(head))));
        self.dirty.entry((head.branch, leaf)).or_insert_with(|| Arc::clone(cell));
    }

    /// Notes that nothing refers to a page any more.
    pub fn free(&mut self, pool: &Arc<Pool>, page: PageId) {
        if self.map(pool, page, false) {
            self.freed.push((Arc::clone(pool), page));
        }
    }

    fn map(&mut self, pool: &Pool, page: PageId, on: bool) -> bool {
        let changed = pool.space().map(page, on);
        debug_assert!(changed, "page {page:?} of pool {} has two owners or none", pool.id());
        self.segments.insert((pool.id(), SegmentId::of(page)));
        changed
    }

    /// Notes that a page was fetched, or need not be any more. Its entry has been changed before.
    pub fn fetched(&mut self, volume: VolumeNumber, tether: &Arc<Tether>, page: u64) {
        let mut todo = tether.todo.lock().unwrap_or_else(PoisonError::into_inner);
        if todo.put(page, false) {
            let piece = (volume, page / Todo::PIECE);
            self.fetched.entry(piece).or_insert_with(|| Arc::clone(tether));
        }
    }
}
