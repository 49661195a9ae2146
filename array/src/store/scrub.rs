//! The scrubber: reads everything that is stored, a little at a time, and compares it with its
//! checksums while there may still be another copy of it.
//!
//! It goes by the records, which are of the last commit; what looks damaged is looked at again
//! with the page held still, before anybody hears of it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use super::{
    Damage, StoreError,
    check::verify,
    data::ldev_of,
    engine::{PoolStore, lock},
    leaf::{BLOCK, LEAF, Leaf, PageId, Piece},
    pool::Pool,
    records::LeafKey,
    volume::HIDDEN,
};

/// Where the scrubber is, and what it has told already.
#[derive(Debug, Default)]
pub struct Scrub {
    next: Option<LeafKey>,
    told: BTreeSet<(u16, PageId, usize)>,
}

impl PoolStore {
    /// Verifies the pages of one leaf record, and goes on to the next one with the next call; what
    /// is newly found to be damaged, and where it shows.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn scrub(&self) -> Result<Vec<Damage>, StoreError> {
        let from = lock(&self.scrub).next;
        let Some((key, leaf)) = self.records.leaf_from(from)? else {
            lock(&self.scrub).next = None;
            return Ok(Vec::new());
        };
        lock(&self.scrub).next = key.following();
        // A damaged record: reads of it say so, and `check` lists it.
        let Ok(leaf) = leaf else {
            return Ok(Vec::new());
        };
        let pool = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.get(key.branch).and_then(|row| self.pools().get(&row.pool)).cloned()
        };
        let Some(pool) = pool else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (at, piece) in leaf.owned() {
            if !verify(&pool, piece).is_empty() {
                found.extend(self.look_again(&pool, key, at, piece)?);
            }
        }
        found.retain(|(page, block)| lock(&self.scrub).told.insert((pool.id(), *page, *block)));
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let pages: HashSet<(u16, PageId)> =
            found.iter().map(|(page, _)| (pool.id(), *page)).collect();
        let places = self.places(&pages)?;
        let mut damage = Vec::new();
        for (page, block) in found {
            let shown = places.get(&(pool.id(), page)).into_iter().flatten();
            let shown: Vec<_> = shown
                .filter(|(volume, _)| *volume < HIDDEN)
                .map(|(volume, at)| (ldev_of(*volume), at + (block * BLOCK) as u64))
                .collect();
            damage.push(Damage { pool: pool.id(), page: page.get(), block, shown });
        }
        Ok(damage)
    }

    /// The blocks of a piece that are damaged indeed: nobody writes to the page or gives it back
    /// meanwhile.
    fn look_again(
        &self,
        pool: &Arc<Pool>,
        key: LeafKey,
        at: usize,
        piece: Piece,
    ) -> Result<Vec<(PageId, usize)>, StoreError> {
        let _orders = lock(&self.orders);
        self.flush_all()?;
        let head = self.head_of(key.branch);
        let owner = head.as_ref().and_then(|head| self.volume(head.owner.load(Ordering::SeqCst)));
        let page = u64::from(key.leaf) * LEAF as u64 + at as u64;
        let stripe = owner
            .as_ref()
            .map(|volume| volume.stripe(page).write().unwrap_or_else(PoisonError::into_inner));
        let same = |now: &Piece| (now.page, now.birth) == (piece.page, piece.birth);
        let found = |leaf: &Leaf| leaf.entries[at].pieces().find(same);
        let current = head.as_ref().map(|head| self.cell(head, key.leaf)).transpose()?;
        let current = current.and_then(|cell| {
            let state = cell.state.read().unwrap_or_else(PoisonError::into_inner);
            (state.generation == Some(key.generation)).then(|| Arc::clone(&state.leaf))
        });
        let still = match current {
            Some(leaf) => found(&leaf),
            None => match self.records.leaf(key.branch, key.leaf, key.generation)? {
                Some((generation, leaf)) if generation == key.generation => found(&leaf),
                _ => None,
            },
        };
        let damaged = still.map_or_else(Vec::new, |now| verify(pool, now));
        drop(stripe);
        Ok(damaged.into_iter().map(|block| (piece.page, block)).collect())
    }
}
