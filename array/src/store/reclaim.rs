//! Giving back what nothing needs any more: records whose marks are gone, and their pages.
//!
//! A record that goes hands the pages that its successor shares on to it, and frees the others.
//! Every page so belongs to exactly one record at every time, however often maps were forked.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use protocol::codec;

use super::{
    StoreError,
    branches::{BranchId, Doubt, Gone},
    engine::{Orders, PoolStore, lock},
    leaf::{Entry, Generation, LEAF, Leaf, PageId},
    records::{LeafKey, Row, Table},
    volume::Head,
};

/// Records looked at in one step.
const STEP: usize = 128;
/// Leaves folded in one step.
const FOLDS: usize = 4;
/// How long the removal of records steps aside for an order.
const ASIDE: Duration = Duration::from_micros(200);

impl PoolStore {
    /// Looks through some records that may be needed no more; false when there are none.
    ///
    /// # Errors
    /// The disk's answer, or damaged records.
    pub fn reclaim(&self) -> Result<bool, StoreError> {
        if self.pressing.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(ASIDE);
            return Ok(true);
        }
        let mut orders = lock(&self.orders);
        let Some((key, doubt)) = orders.doubts.first_key_value().map(|(k, d)| (*k, *d)) else {
            drop(orders);
            return if self.is_short() { self.fold() } else { Ok(false) };
        };
        let suspects = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.suspects(&doubt)
        };
        // From here on no head puts a new record over one that this doubt is about: the mark
        // that would make it do so is gone. Those that did so before are durable after this.
        self.flush_all()?;
        let (part, from) = orders.looked;
        let mut rows = Vec::new();
        if let Some(suspects) = suspects.get(part) {
            let from = from.max((suspects.from, 0));
            let found = self.records.changed(doubt.branch, from, suspects.upto, STEP)?;
            // What is changed here is read again after the commit only: one record of a leaf at
            // a time.
            let mut seen = HashSet::new();
            let mut next = None;
            for (generation, leaf) in &found {
                if !seen.insert(*leaf) {
                    next = Some((*generation, *leaf));
                    break;
                }
                self.judge(doubt.branch, *leaf, *generation, suspects.before)?;
            }
            let full = found.last().filter(|_| found.len() == STEP);
            let next =
                next.or(full.map(|(generation, leaf)| (*generation, leaf.saturating_add(1))));
            orders.looked = next.map_or((part + 1, (0, 0)), |next| (part, next));
        } else {
            orders.doubts.remove(&key);
            orders.looked = Orders::UNSEEN;
            rows.push(Row::remove(Table::Reclaim, key));
            rows.extend(self.bury(doubt.branch, &mut orders));
        }
        self.persist(rows)?;
        Ok(!orders.doubts.is_empty())
    }

    /// Whether a pool is short of space.
    fn is_short(&self) -> bool {
        self.pools().values().any(|pool| pool.figures().is_above_threshold())
    }

    /// Brings pages and the bases below them together in some leaves, where nobody else needs the
    /// base any more: two pages become one, and a first write after the next mark finds no base to
    /// settle. That costs reading and writing, so it is done at a low pace. False when there is
    /// nothing more to fold.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn fold(&self) -> Result<bool, StoreError> {
        let batch: Vec<(BranchId, u32)> = {
            let mut folds = lock(&self.folds);
            std::iter::from_fn(|| folds.pop_first()).take(FOLDS).collect()
        };
        for (branch, leaf) in batch {
            let head = self.head_of(branch);
            let volume = head.and_then(|head| self.volume(head.owner.load(Ordering::SeqCst)));
            let Some(volume) = volume else {
                continue;
            };
            let first = u64::from(leaf) * LEAF as u64;
            for page in first..(first + LEAF as u64).min(volume.pages()) {
                // The gate is taken anew for each page, so that no order waits long for it.
                let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
                match holds.head().filter(|head| head.branch == branch) {
                    Some(head) => self.fold_page(&volume, head, page)?,
                    None => break,
                }
            }
        }
        Ok(!lock(&self.folds).is_empty())
    }

    /// Makes room in a full pool; whether there is some now.
    pub(super) fn reclaim_for(&self, pool: u16) -> Result<bool, StoreError> {
        let Some(pool) = self.pools().get(&pool) else {
            return Ok(false);
        };
        self.flush_all()?;
        while pool.figures().free == 0 {
            if !self.reclaim()? {
                self.trim()?;
                return Ok(pool.figures().free > 0);
            }
        }
        Ok(true)
    }

    /// Frees pages of records that are needed, but not all of them: a page that both a branch and
    /// every branch forked from it have written anew since. It looks at every record of branches
    /// with marks, so it is for pools that are short of space.
    ///
    /// # Errors
    /// The disk's answer, or damaged records.
    pub fn trim(&self) -> Result<(), StoreError> {
        let _orders = lock(&self.orders);
        // What one record lets go of may be what kept a page in an older one.
        while self.trim_once()? > 0 {}
        Ok(())
    }

    /// How many pages records have let go of.
    fn trim_once(&self) -> Result<u64, StoreError> {
        self.flush_all()?;
        let mut forked: Vec<BranchId> = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.iter().map(|(id, _)| id).filter(|id| branches.last_mark(*id) > 0).collect()
        };
        // The younger first: what they let go of, their parents may let go of too.
        forked.sort_unstable();
        let mut freed = 0;
        for branch in forked.into_iter().rev() {
            let last = {
                let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
                branches.last_mark(branch)
            };
            let mut from = (0, 0);
            loop {
                let found = self.records.changed(branch, from, last, STEP)?;
                for (generation, leaf) in &found {
                    freed += self.trim_record(branch, *leaf, *generation)?;
                }
                self.persist(Vec::new())?;
                match found.last().filter(|_| found.len() == STEP) {
                    Some((generation, leaf)) => from = (*generation, leaf.saturating_add(1)),
                    None => break,
                }
            }
        }
        Ok(freed)
    }

    fn trim_record(
        &self,
        branch: BranchId,
        leaf: u32,
        generation: Generation,
    ) -> Result<u64, StoreError> {
        let next = self.records.next_leaf(branch, leaf, generation)?;
        let mut used: HashSet<PageId> = HashSet::new();
        let entries = next.iter().flat_map(|(_, heir)| heir.entries.iter());
        used.extend(entries.flat_map(Entry::pieces).map(|piece| piece.page));
        let (pool, children) = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            if next.is_none() && branches.has_head(branch) {
                return Ok(0);
            }
            let row = branches.get(branch).copied();
            let pool = row.and_then(|row| self.pools().get(&row.pool).cloned());
            let end = next.as_ref().map_or(Generation::MAX, |(next, _)| *next);
            (pool, branches.forked(branch, generation..end))
        };
        for child in children {
            if self.looks_through(child, leaf)? {
                return Ok(0);
            }
            self.collect(child, leaf, &mut used)?;
        }
        let found = self.records.leaf(branch, leaf, generation)?;
        let (Some((_, mut record)), Some(pool)) = (found.filter(|(g, _)| *g == generation), pool)
        else {
            return Ok(0);
        };
        let loose = |entry: &Entry| entry.pieces().any(|piece| !used.contains(&piece.page));
        if !record.entries.iter().any(loose) {
            return Ok(0);
        }
        let since = record.since;
        let mut dropped = 0;
        let mut meta = self.meta();
        for entry in record.entries.iter_mut() {
            for piece in entry.pieces().filter(|piece| !used.contains(&piece.page)) {
                if piece.birth >= since {
                    meta.free(&pool, piece.page);
                }
                dropped += 1;
            }
            // Nobody reads this entry any more; what is left of it only keeps its page.
            let kept = entry.pieces().find(|piece| used.contains(&piece.page));
            if kept != entry.top || entry.base.is_some_and(|base| !used.contains(&base.page)) {
                *entry = Entry { top: kept, base: None, cleared: 0 };
            }
        }
        meta.frozen.insert(LeafKey { branch, leaf, generation }, Arc::new(record));
        Ok(dropped)
    }

    /// Whether a branch, or one forked from it, still finds a leaf in the record that it was forked
    /// from.
    fn looks_through(&self, branch: BranchId, leaf: u32) -> Result<bool, StoreError> {
        let first = self.records.next_leaf(branch, leaf, 0)?.map(|(generation, _)| generation);
        let (head, children) = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            let children = branches.forked(branch, 0..first.unwrap_or(Generation::MAX));
            (branches.has_head(branch), children)
        };
        if first.is_none() && head {
            return Ok(true);
        }
        for child in children {
            if self.looks_through(child, leaf)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds the pages that records of a branch, and of those forked from it, refer to.
    fn collect(
        &self,
        branch: BranchId,
        leaf: u32,
        used: &mut HashSet<PageId>,
    ) -> Result<(), StoreError> {
        let mut after = 0;
        while let Some((generation, record)) = self.records.next_leaf(branch, leaf, after)? {
            let pieces = record.entries.iter().flat_map(Entry::pieces);
            used.extend(pieces.map(|piece| piece.page));
            after = generation;
        }
        let children = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.forked(branch, 0..Generation::MAX)
        };
        children.into_iter().try_for_each(|child| self.collect(child, leaf, used))
    }

    /// Removes a record, or the one before it, if nothing needs it.
    fn judge(
        &self,
        branch: BranchId,
        leaf: u32,
        generation: Generation,
        before: bool,
    ) -> Result<(), StoreError> {
        let (generation, next) = if before {
            let next = self.records.leaf(branch, leaf, generation)?;
            match self.records.leaf(branch, leaf, generation.saturating_sub(1))? {
                Some((generation, _)) => (generation, next),
                None => return Ok(()),
            }
        } else {
            (generation, self.records.next_leaf(branch, leaf, generation)?)
        };
        let (needed, pool) = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            let pool = branches.get(branch).and_then(|row| self.pools().get(&row.pool));
            (branches.needs(branch, generation, next.as_ref().map(|(g, _)| *g)), pool.cloned())
        };
        let Some(pool) = pool.filter(|_| !needed) else {
            return Ok(());
        };
        let key = LeafKey { branch, leaf, generation };
        let Some((found, record)) = self.records.leaf(branch, leaf, generation)? else {
            return Ok(());
        };
        if found != generation {
            return Ok(());
        }
        let head = self.head_of(branch);
        let heir = match (&head, &next) {
            (Some(head), Some(_)) => Some(self.cell(head, leaf)?),
            _ => None,
        };
        let mut meta = self.meta();
        let frees = |successor: Option<&Leaf>| {
            let kept =
                |at: usize, page| successor.is_some_and(|leaf| leaf.entries[at].refers_to(page));
            let owned = record.owned();
            owned.filter(|(at, p)| !kept(*at, p.page)).map(|(_, p)| p.page).collect::<Vec<_>>()
        };
        let free = match next {
            None => frees(None),
            Some((next_generation, stored)) => {
                let key = LeafKey { branch, leaf, generation: next_generation };
                let live = heir.filter(|cell| {
                    let state = cell.state.read().unwrap_or_else(PoisonError::into_inner);
                    state.generation == Some(next_generation)
                });
                if let Some(cell) = live {
                    let mut state = cell.state.write().unwrap_or_else(PoisonError::into_inner);
                    let heir = Arc::make_mut(&mut state.leaf);
                    heir.since = heir.since.min(record.since);
                    let free = frees(Some(heir));
                    let folds = heir.entries.iter().any(|entry| is_foldable(entry, heir.since));
                    drop(state);
                    if folds {
                        lock(&self.folds).insert((branch, leaf));
                    }
                    meta.dirty.insert((branch, leaf), cell);
                    free
                } else {
                    let mut heir = meta.frozen.get(&key).map_or(stored, |leaf| Leaf::clone(leaf));
                    heir.since = heir.since.min(record.since);
                    let free = frees(Some(&heir));
                    meta.frozen.insert(key, Arc::new(heir));
                    free
                }
            }
        };
        for page in free {
            meta.free(&pool, page);
        }
        meta.frozen.remove(&key);
        meta.removed.insert(key);
        Ok(())
    }

    /// Takes out a branch that nobody has, and casts doubt on what it alone kept of its parent.
    fn bury(&self, branch: BranchId, orders: &mut Orders) -> Vec<Row> {
        // Another doubt may still have records of it to look at.
        if orders.doubts.values().any(|doubt| doubt.branch == branch) {
            return Vec::new();
        }
        let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
        if !branches.is_dead(branch) || branches.get(branch).is_none() {
            return Vec::new();
        }
        let doubt = branches.remove(branch);
        let mut rows = vec![Row::remove(Table::Branches, u64::from(branch))];
        if let Some(doubt) = doubt {
            let last = branches.last_mark(doubt.branch);
            drop(branches);
            if let Some(head) = self.head_of(doubt.branch) {
                let _meta = self.meta();
                if let Gone::Mark(mark) = doubt.gone {
                    head.unmark(mark, last);
                }
            }
            rows.push(orders.doubt(doubt));
        }
        rows
    }

    /// The head of a branch, if a volume owns it.
    pub(super) fn head_of(&self, branch: BranchId) -> Option<Arc<Head>> {
        lock(&self.heads).get(&branch).and_then(std::sync::Weak::upgrade)
    }
}

/// Whether an entry has a base that belongs to its own record, of this `since`.
fn is_foldable(entry: &Entry, since: Generation) -> bool {
    entry.base.is_some_and(|base| base.birth >= since)
}

impl Orders {
    /// Nothing of the first doubt has been looked at.
    pub const UNSEEN: (usize, (Generation, u32)) = (0, (0, 0));

    /// Notes records that may be needed no more; the row that keeps the note.
    pub fn doubt(&mut self, doubt: Doubt) -> Row {
        let key = self.doubts.last_key_value().map_or(0, |(key, _)| key + 1);
        self.doubts.insert(key, doubt);
        Row::put(Table::Reclaim, key, codec::encode(&doubt))
    }
}
