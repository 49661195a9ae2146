//! Changing links: many at one instant, in one transaction.
//!
//! 1. *Plan*: what every volume holds afterwards, worked out on the side.
//! 2. *Gates*: those of the volumes that are marked, or whose own content goes, are taken alone;
//!    writes on their way end first.
//! 3. *Instant*: the heads are marked. Gates of volumes that were only marked open again: their
//!    hosts go on, and what they write goes to new pages.
//! 4. *Commit*: everything written before the instant is made durable, then the rows.
//! 5. *Publish*: the volumes hold what was planned; the last gates open.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLockWriteGuard, atomic::Ordering},
    time::{Duration, Instant},
};

use protocol::codec;

use super::{
    Batch, LinkChange, LinkId, StoreError,
    branches::{BranchId, BranchRow},
    data::ldev_of,
    engine::{Link, Orders, PoolStore, generation_row, lock},
    leaf::Generation,
    pool::Pool,
    records::{Row, Table},
    volume::{Content, Head, Holds, HoldsRow, TetherRow, Volume, VolumeNumber, VolumeRow},
};

/// Where the time of an order with a mark went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SplitTimes {
    /// Until all gates were closed: writes on their way had to end.
    pub gates: Duration,
    /// To mark behind them.
    pub instant: Duration,
    /// From the first gate closed to the last one opened that hosts of a P-VOL wait for.
    pub released: Duration,
    /// To make the data and the rows durable.
    pub commit: Duration,
    /// All of it.
    pub total: Duration,
    /// How many volumes were marked.
    pub marked: usize,
}

/// What a volume is to hold.
#[derive(Clone)]
struct Next {
    holds: NextHolds,
    tether: Option<TetherRow>,
    writable: bool,
}

impl Next {
    /// The branch that it goes on with.
    fn branch(&self) -> Option<BranchId> {
        match &self.holds {
            NextHolds::Own(head) => Some(head.branch),
            _ => None,
        }
    }
}

#[derive(Clone)]
enum NextHolds {
    /// Zeros, on a branch that is yet to begin.
    Nothing,
    Alias(VolumeNumber),
    /// A branch that exists, with its head.
    Own(Arc<Head>),
    /// A new branch, forked from one at this order's instant.
    Fork(BranchId, BranchId),
}

/// An order as it is worked out.
struct Plan<'a> {
    store: &'a PoolStore,
    next: BTreeMap<VolumeNumber, Next>,
    /// Branches that are forked, each with the volume whose head it is.
    marked: BTreeMap<BranchId, VolumeNumber>,
    links: BTreeMap<LinkId, Option<Link>>,
    /// Heads that lose their volume.
    orphans: Vec<Arc<Head>>,
}

impl Plan<'_> {
    fn volume(&self, number: VolumeNumber) -> Result<Arc<Volume>, StoreError> {
        let ldev = ldev_of(number);
        self.store.volume(number).ok_or(StoreError::NoLdev(ldev))
    }

    /// What a volume holds at this point of the order.
    fn holds(&self, number: VolumeNumber) -> Result<Next, StoreError> {
        if let Some(next) = self.next.get(&number) {
            return Ok(next.clone());
        }
        let volume = self.volume(number)?;
        let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Next {
            holds: match &holds.content {
                Content::Alias(source) => NextHolds::Alias(source.number),
                Content::Own(head) => NextHolds::Own(Arc::clone(head)),
            },
            tether: holds.tether.as_ref().map(|tether| TetherRow {
                branch: tether.head.branch,
                origin: tether.origin.number,
            }),
            writable: holds.writable,
        })
    }

    /// The volume with a map of its own whose content `number` holds.
    fn root(&self, number: VolumeNumber) -> Result<(VolumeNumber, Next), StoreError> {
        let mut at = number;
        for _ in 0..64 {
            let next = self.holds(at)?;
            match next.holds {
                NextHolds::Alias(above) => at = above,
                _ => return Ok((at, next)),
            }
        }
        Err(StoreError::Busy(ldev_of(number)))
    }

    /// A new branch with what `number` holds at the instant.
    fn fork(&mut self, number: VolumeNumber) -> Result<NextHolds, StoreError> {
        let (root, next) = self.root(number)?;
        let parent = match next.holds {
            NextHolds::Own(head) => head.branch,
            NextHolds::Fork(branch, _) => branch,
            NextHolds::Nothing | NextHolds::Alias(_) => return Ok(NextHolds::Nothing),
        };
        self.marked.insert(parent, root);
        let mut branches = self.store.branches.write().unwrap_or_else(PoisonError::into_inner);
        Ok(NextHolds::Fork(branches.next_id(), parent))
    }

    /// Gives up what a volume holds itself.
    fn give_up(&mut self, number: VolumeNumber) -> Result<(), StoreError> {
        if let NextHolds::Own(head) = self.holds(number)?.holds {
            self.orphans.push(head);
        }
        Ok(())
    }

    fn set(&mut self, number: VolumeNumber, holds: NextHolds, writable: bool) {
        self.next.insert(number, Next { holds, tether: None, writable });
    }

    fn apply(&mut self, id: LinkId, change: LinkChange) -> Result<(), StoreError> {
        let known = match self.links.get(&id) {
            Some(link) => *link,
            None => {
                let links = self.store.links.read().unwrap_or_else(PoisonError::into_inner);
                links.get(&id).copied()
            }
        };
        if let LinkChange::Share { source, target, .. } = change {
            let (source, target) = (source.get(), target.get());
            self.give_up(target)?;
            self.set(target, NextHolds::Alias(source), false);
            self.links.insert(id, Some(Link { source, target, writable: false }));
            return Ok(());
        }
        let Some(mut link) = known else {
            return Ok(());
        };
        let follows = matches!(self.holds(link.target)?.holds, NextHolds::Alias(_));
        match change {
            LinkChange::Share { .. } => {}
            LinkChange::Mark { writable } => {
                link.writable = writable;
                let holds =
                    if follows { self.fork(link.source)? } else { self.holds(link.target)?.holds };
                self.set(link.target, holds, writable);
            }
            LinkChange::Follow => {
                if !follows {
                    self.give_up(link.target)?;
                }
                self.set(link.target, NextHolds::Alias(link.source), false);
            }
            LinkChange::Restore => {
                if !follows {
                    let target = self.holds(link.target)?;
                    self.give_up(link.source)?;
                    let writable = self.holds(link.source)?.writable;
                    self.set(link.source, target.holds, writable);
                    self.set(link.target, NextHolds::Alias(link.source), false);
                }
            }
            LinkChange::Detach | LinkChange::Release => {
                let writable = change == LinkChange::Release;
                let holds =
                    if follows { self.fork(link.source)? } else { self.holds(link.target)?.holds };
                self.set(link.target, holds, writable);
                link.writable = writable;
            }
            LinkChange::Discard | LinkChange::Empty => {
                if !follows {
                    self.give_up(link.target)?;
                }
                let writable = change == LinkChange::Discard;
                self.set(link.target, NextHolds::Nothing, writable);
                link.writable = writable;
            }
        }
        let gone = matches!(change, LinkChange::Release | LinkChange::Discard);
        self.links.insert(id, (!gone).then_some(link));
        Ok(())
    }
}

impl PoolStore {
    /// Makes all changes at one instant, durably together with the rows, or none of them.
    ///
    /// # Errors
    /// Why a link cannot be changed so, or the disk's answer.
    pub fn commit_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.links.is_empty() {
            return self.persist(batch.rows.clone());
        }
        let began = Instant::now();
        self.pressing.fetch_add(1, Ordering::SeqCst);
        let mut orders = lock(&self.orders);
        self.pressing.fetch_sub(1, Ordering::SeqCst);
        self.check_failed()?;
        let mut plan = Plan {
            store: self,
            next: BTreeMap::new(),
            marked: BTreeMap::new(),
            links: BTreeMap::new(),
            orphans: Vec::new(),
        };
        for (id, change) in &batch.links {
            plan.apply(*id, *change)?;
        }
        let Plan { next, marked, links, orphans, .. } = plan;
        // Everything that can be made durable before hosts have to wait for it.
        self.flush_all()?;

        let changing: BTreeSet<VolumeNumber> = next
            .keys()
            .copied()
            .filter(|number| self.volume(*number).is_some_and(|volume| owns(&volume)))
            .collect();
        let roots: BTreeSet<VolumeNumber> = marked.values().copied().collect();
        let held: Vec<Arc<Volume>> =
            changing.iter().filter_map(|number| self.volume(*number)).collect();
        let passing: Vec<Arc<Volume>> =
            roots.difference(&changing).filter_map(|number| self.volume(*number)).collect();
        let closing = Instant::now();
        #[cfg(test)]
        if super::without_barrier() {
            let generation = self.next.load(Ordering::SeqCst);
            for volume in &passing {
                std::thread::yield_now();
                let gate = Gate::close(volume);
                if let Some(head) = gate.holds.head() {
                    head.mark(generation);
                }
            }
        }
        let held: Vec<Gate<'_>> = held.iter().map(|volume| Gate::close(volume)).collect();
        let passing: Vec<Gate<'_>> = passing.iter().map(|volume| Gate::close(volume)).collect();
        let gates = closing.elapsed();
        let generation = self.next.fetch_add(1, Ordering::SeqCst);
        for gate in held.iter().chain(&passing) {
            if let Some(head) = gate.holds.head().filter(|head| marked.contains_key(&head.branch)) {
                head.mark(generation);
            }
        }
        let instant = closing.elapsed() - gates;
        drop(passing);
        let released = closing.elapsed();

        let mut rows = batch.rows.clone();
        rows.push(generation_row(generation + 1));
        self.grow_tree(&next, &marked, generation, &mut rows);
        let kept: BTreeSet<BranchId> = next.values().filter_map(Next::branch).collect();
        for head in orphans.iter().filter(|head| !kept.contains(&head.branch)) {
            rows.extend(self.abandon(head, &mut orders));
        }
        for (number, next) in &next {
            rows.push(self.volume_row(*number, next)?);
        }
        self.persist(rows)?;
        self.publish(&next, held)?;
        {
            let mut known = self.links.write().unwrap_or_else(PoisonError::into_inner);
            for (id, link) in links {
                match link {
                    Some(link) => known.insert(id, link),
                    None => known.remove(&id),
                };
            }
        }
        let total = began.elapsed();
        if !marked.is_empty() {
            let commit = closing.elapsed() - released;
            let marked = marked.len();
            orders.times = Some(SplitTimes { gates, instant, released, commit, total, marked });
        }
        Ok(())
    }

    /// Where the time of the last order with a mark went.
    #[must_use]
    pub fn split_times(&self) -> Option<SplitTimes> {
        lock(&self.orders).times
    }

    /// Adds the new branches.
    fn grow_tree(
        &self,
        next: &BTreeMap<VolumeNumber, Next>,
        marked: &BTreeMap<BranchId, VolumeNumber>,
        generation: Generation,
        rows: &mut Vec<Row>,
    ) {
        for (branch, number) in marked {
            // Marked before its first page was written: the branch must be there to be forked.
            let head = self.head_of(*branch);
            if let Some(head) = head.filter(|head| lock(&head.fresh).take().is_some()) {
                rows.extend(self.birth_rows(*number, &head));
            }
        }
        let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
        let forks = next.values().filter_map(|next| match next.holds {
            NextHolds::Fork(id, parent) => Some((id, parent)),
            _ => None,
        });
        let forks: BTreeMap<BranchId, BranchId> = forks.collect();
        for (id, parent) in forks {
            let pool = branches.get(parent).map_or(0, |row| row.pool);
            let row = BranchRow { pool, parent: Some((parent, generation)) };
            branches.add(id, row);
            rows.push(Row::put(Table::Branches, u64::from(id), codec::encode(&row)));
        }
    }

    /// Takes the head off a branch.
    fn abandon(&self, head: &Arc<Head>, orders: &mut Orders) -> Vec<Row> {
        let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.heads).remove(&head.branch);
        let doubt = branches.set_head(head.branch, false);
        drop(branches);
        // What was never written has no row, and no records to be in doubt.
        if lock(&head.fresh).take().is_some() {
            return Vec::new();
        }
        doubt.map(|doubt| orders.doubt(doubt)).into_iter().collect()
    }

    fn volume_row(&self, number: VolumeNumber, next: &Next) -> Result<Row, StoreError> {
        let ldev = ldev_of(number);
        let volume = self.volume(number).ok_or(StoreError::NoLdev(ldev))?;
        let holds = match &next.holds {
            NextHolds::Nothing => HoldsRow::Nothing,
            NextHolds::Alias(source) => HoldsRow::Alias(*source),
            NextHolds::Own(head) if lock(&head.fresh).is_some() => HoldsRow::Nothing,
            NextHolds::Own(head) => HoldsRow::Own(head.branch),
            NextHolds::Fork(branch, _) => HoldsRow::Own(*branch),
        };
        let (size, pool) = (volume.size, volume.pool.id());
        let row = VolumeRow { size, pool, holds, tether: next.tether };
        Ok(Row::put(Table::Volumes, u64::from(number), codec::encode(&row)))
    }

    /// Makes what is durable true in memory.
    fn publish(
        &self,
        next: &BTreeMap<VolumeNumber, Next>,
        held: Vec<Gate<'_>>,
    ) -> Result<(), StoreError> {
        let mut held: BTreeMap<VolumeNumber, Gate<'_>> =
            held.into_iter().map(|gate| (gate.volume.number, gate)).collect();
        for (number, next) in next {
            let ldev = ldev_of(*number);
            let volume = self.volume(*number).ok_or(StoreError::NoLdev(ldev))?;
            let content = match &next.holds {
                NextHolds::Nothing => Content::Own(self.fresh_head(*number, &volume.pool)),
                NextHolds::Alias(source) => {
                    let source = self.volume(*source);
                    Content::Alias(source.ok_or(StoreError::NoLdev(ldev))?)
                }
                NextHolds::Own(head) => {
                    // Not written yet, it will be born as what it belongs to now.
                    if let Some(owner) = &mut *lock(&head.fresh) {
                        *owner = *number;
                    }
                    Content::Own(Arc::clone(head))
                }
                NextHolds::Fork(branch, _) => Content::Own(self.open_head(*branch, &volume.pool)),
            };
            if let Content::Own(head) = &content {
                head.owner.store(*number, Ordering::SeqCst);
            }
            let holds = Holds { content, tether: None, writable: next.writable };
            match held.get_mut(number) {
                Some(gate) => *gate.holds = holds,
                None => {
                    *volume.gate.write().unwrap_or_else(PoisonError::into_inner) = holds;
                }
            }
        }
        Ok(())
    }

    fn open_head(&self, branch: BranchId, pool: &Arc<Pool>) -> Arc<Head> {
        let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
        branches.set_head(branch, true);
        self.head(&branches, branch, pool)
    }
}

/// A closed gate.
struct Gate<'a> {
    volume: &'a Volume,
    holds: RwLockWriteGuard<'a, Holds>,
}

impl<'a> Gate<'a> {
    fn close(volume: &'a Volume) -> Self {
        Self { volume, holds: volume.gate.write().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// Whether a volume has a map of its own.
fn owns(volume: &Volume) -> bool {
    let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
    holds.head().is_some()
}
