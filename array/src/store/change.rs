//! Changing links: many at one instant, in one transaction.
//!
//! 1. *Plan*: what every volume holds afterwards, worked out on the side.
//! 2. *Gates*: those of the volumes that are marked, or whose own content goes, are taken alone;
//!    writes on their way end first.
//! 3. *Instant*: the heads are marked. Gates of volumes that were only marked open again: their
//!    hosts go on, and what they write goes to new pages.
//! 4. *Commit*: everything written before the instant is made durable, then the rows.
//! 5. *Publish*: the volumes hold what was planned; the last gates open.
//!
//! A target in another pool than its source has a *tether* ([`super::across`]): while it follows,
//! its own branch is filled from a point in time of the source; once it is fixed, it is read from
//! there where it is not filled yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, RwLockWriteGuard, atomic::Ordering},
    time::{Duration, Instant},
};

use protocol::codec;

use super::{
    Batch, LinkChange, LinkId, StoreError,
    across::Owed,
    branches::{BranchId, BranchRow},
    data::ldev_of,
    engine::{Link, Orders, PoolStore, generation_row, lock, todo_row},
    leaf::Generation,
    pool::Pool,
    records::{Row, Table},
    volume::{
        Content, Head, Holds, HoldsRow, Tether, TetherRow, Todo, Volume, VolumeNumber, VolumeRow,
    },
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
pub(super) struct Next {
    pub holds: NextHolds,
    pub tether: NextTether,
    pub writable: bool,
}

/// The tether that a volume is to have.
#[derive(Clone)]
pub(super) enum NextTether {
    None,
    /// The one that it has.
    Kept(Arc<Tether>),
    New(NewTether),
}

/// A tether that an order makes.
#[derive(Clone)]
pub(super) struct NewTether {
    pub filled: Filled,
    /// The hidden volumes.
    pub origin: VolumeNumber,
    pub pin: Option<VolumeNumber>,
    pub owed: Owed,
}

/// The branch that is filled.
#[derive(Clone)]
pub(super) enum Filled {
    Head(Arc<Head>),
    /// One that is yet to begin, in the volume's pool.
    New(BranchId),
}

impl Filled {
    pub fn branch(&self) -> BranchId {
        match self {
            Self::Head(head) => head.branch,
            Self::New(branch) => *branch,
        }
    }
}

impl NextTether {
    /// The branch that is filled.
    fn filled(&self) -> Option<Filled> {
        match self {
            Self::None => None,
            Self::Kept(tether) => Some(Filled::Head(Arc::clone(&tether.head))),
            Self::New(new) => Some(new.filled.clone()),
        }
    }

    /// The hidden volumes that it needs.
    fn points(&self) -> impl Iterator<Item = VolumeNumber> {
        let (origin, pin) = match self {
            Self::None => (None, None),
            Self::Kept(tether) => {
                (Some(tether.origin.number), tether.pin.as_ref().map(|pin| pin.number))
            }
            Self::New(new) => (Some(new.origin), new.pin),
        };
        origin.into_iter().chain(pin)
    }

    /// Whether pages are, or may be, lacking.
    fn lacks(&self) -> bool {
        match self {
            Self::None => false,
            Self::Kept(tether) => lock(&tether.todo).count() > 0,
            Self::New(new) => !matches!(new.owed, Owed::Nothing),
        }
    }
}

impl Next {
    /// The branches that it goes on with.
    fn branches(&self) -> impl Iterator<Item = BranchId> {
        let own = match &self.holds {
            NextHolds::Own(head) => Some(head.branch),
            _ => None,
        };
        own.into_iter().chain(self.tether.filled().map(|filled| filled.branch()))
    }
}

#[derive(Clone)]
pub(super) enum NextHolds {
    /// Zeros, on a branch that is yet to begin.
    Nothing,
    /// What its tether fills.
    Filled,
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
    /// Hidden volumes that the order makes.
    hidden: BTreeMap<VolumeNumber, Arc<Volume>>,
    next_hidden: VolumeNumber,
    /// Branches that are forked, each with the volume whose head it is.
    marked: BTreeMap<BranchId, VolumeNumber>,
    links: BTreeMap<LinkId, Option<Link>>,
    /// Heads that lose their volume.
    orphans: Vec<Arc<Head>>,
}

impl<'a> Plan<'a> {
    fn new(store: &'a PoolStore, orders: &Orders) -> Self {
        Self {
            store,
            next: BTreeMap::new(),
            hidden: BTreeMap::new(),
            next_hidden: orders.next_hidden,
            marked: BTreeMap::new(),
            links: BTreeMap::new(),
            orphans: Vec::new(),
        }
    }

    fn volume(&self, number: VolumeNumber) -> Result<Arc<Volume>, StoreError> {
        let ldev = ldev_of(number);
        let hidden = self.hidden.get(&number).cloned();
        hidden.or_else(|| self.store.volume(number)).ok_or(StoreError::NoLdev(ldev))
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
            tether: holds.tether.clone().map_or(NextTether::None, NextTether::Kept),
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
        if next.tether.lacks() {
            return Err(StoreError::Busy(ldev_of(root)));
        }
        let parent = match (&next.holds, next.tether.filled()) {
            (NextHolds::Own(head), _) => head.branch,
            (NextHolds::Filled, Some(filled)) => filled.branch(),
            (NextHolds::Fork(branch, _), _) => *branch,
            _ => return Ok(NextHolds::Nothing),
        };
        Ok(self.fork_branch(parent, root))
    }

    /// A new branch from that one, whose head `owner` has.
    fn fork_branch(&mut self, parent: BranchId, owner: VolumeNumber) -> NextHolds {
        self.marked.insert(parent, owner);
        let mut branches = self.store.branches.write().unwrap_or_else(PoisonError::into_inner);
        NextHolds::Fork(branches.next_id(), parent)
    }

    /// A hidden volume that holds `holds`, a fork of a branch of `like`.
    fn hide(&mut self, like: VolumeNumber, holds: NextHolds) -> Result<VolumeNumber, StoreError> {
        let like = self.volume(like)?;
        let number = self.next_hidden;
        self.next_hidden += 1;
        // Until it is published nobody looks at it.
        let content = Content::Alias(Arc::clone(&like));
        let placeholder = Holds { content, tether: None, writable: false };
        let volume = Volume::new(number, like.size, Arc::clone(&like.pool), placeholder);
        self.hidden.insert(number, Arc::new(volume));
        let next = Next { holds, tether: NextTether::None, writable: false };
        self.next.insert(number, next);
        Ok(number)
    }

    /// A point in time of what a volume holds, to be copied from.
    fn point(&mut self, number: VolumeNumber) -> Result<VolumeNumber, StoreError> {
        let (root, _) = self.root(number)?;
        let holds = self.fork(number)?;
        self.hide(root, holds)
    }

    /// A mark of a branch that a tether fills, so that what changes after it is known.
    fn pin(&mut self, filled: &Filled, owner: VolumeNumber) -> Result<VolumeNumber, StoreError> {
        let holds = self.fork_branch(filled.branch(), owner);
        self.hide(owner, holds)
    }

    /// What `of` has changed since `point`, beside what `owed` says already.
    fn changed(&self, owed: Owed, of: VolumeNumber, point: VolumeNumber) -> Owed {
        let now = match self.root(of) {
            Ok((_, Next { holds: NextHolds::Own(head), .. })) => head.branch,
            _ => return Owed::All,
        };
        owed.and_since(self.store, now, point)
    }

    /// Whether the target's pages are in another pool than the source's.
    fn is_across(&self, link: &Link) -> Result<bool, StoreError> {
        Ok(self.volume(link.source)?.pool.id() != self.volume(link.target)?.pool.id())
    }

    /// Gives up what a volume holds itself, and what its tether fills.
    fn give_up(&mut self, number: VolumeNumber) -> Result<(), StoreError> {
        let next = self.holds(number)?;
        if let NextHolds::Own(head) = next.holds {
            self.orphans.push(head);
        }
        if let Some(Filled::Head(head)) = next.tether.filled() {
            self.orphans.push(head);
        }
        Ok(())
    }

    fn set(&mut self, number: VolumeNumber, holds: NextHolds, writable: bool) {
        self.next.insert(number, Next { holds, tether: NextTether::None, writable });
    }

    /// The target follows a source of another pool from now on: `filled` is to become what the
    /// source holds.
    fn follow_across(
        &mut self,
        link: &Link,
        filled: Option<Filled>,
        owed: Owed,
    ) -> Result<(), StoreError> {
        let origin = self.point(link.source)?;
        let filled = filled.unwrap_or_else(|| {
            let branches = self.store.branches.write();
            Filled::New(branches.unwrap_or_else(PoisonError::into_inner).next_id())
        });
        let tether = NextTether::New(NewTether { filled, origin, pin: None, owed });
        let next = Next { holds: NextHolds::Alias(link.source), tether, writable: false };
        self.next.insert(link.target, next);
        Ok(())
    }

    /// What a target holds that is fixed now.
    fn fix(&mut self, link: &Link, writable: bool, pinned: bool) -> Result<(), StoreError> {
        let target = self.holds(link.target)?;
        if !matches!(target.holds, NextHolds::Alias(_)) {
            // It was before.
            self.next.insert(link.target, Next { writable, ..target });
            return Ok(());
        }
        let Some(filled) = target.tether.filled() else {
            let root = self.root(link.source)?.0;
            if self.volume(root)?.pool.id() == self.volume(link.target)?.pool.id() {
                let holds = self.fork(link.source)?;
                self.set(link.target, holds, writable);
                return Ok(());
            }
            // What it follows follows a volume of another pool itself, and has nothing to fork.
            let origin = self.point(link.source)?;
            let branches = self.store.branches.write();
            let branch = branches.unwrap_or_else(PoisonError::into_inner).next_id();
            let (filled, owed) = (Filled::New(branch), Owed::All);
            let tether = NextTether::New(NewTether { filled, origin, pin: None, owed });
            self.next.insert(link.target, Next { holds: NextHolds::Filled, tether, writable });
            return Ok(());
        };
        if !writable || !pinned {
            let (_, root) = self.root(link.source)?;
            if let (NextTether::Kept(tether), Filled::Head(head)) = (&root.tether, &filled)
                && root.tether.lacks()
                && self.store.parent_of(&tether.origin) == Some(head.branch)
            {
                // The source is being restored from this very branch: given up on the way, the
                // target holds again what is restored.
                self.set(link.target, NextHolds::Own(Arc::clone(head)), writable);
                return Ok(());
            }
        }
        let (origin, owed) = match &target.tether {
            // Followed in this very order: the same instant.
            NextTether::New(new) => (new.origin, new.owed.clone()),
            NextTether::Kept(tether) => {
                let owed = Owed::of(tether);
                let owed = self.changed(owed, link.source, tether.origin.number);
                (self.point(link.source)?, owed)
            }
            NextTether::None => return Err(StoreError::Busy(ldev_of(link.target))),
        };
        let pin = if pinned { Some(self.pin(&filled, link.target)?) } else { None };
        let holds = match &filled {
            Filled::Head(head) => NextHolds::Own(Arc::clone(head)),
            Filled::New(_) => NextHolds::Filled,
        };
        let tether = NextTether::New(NewTether { filled, origin, pin, owed });
        self.next.insert(link.target, Next { holds, tether, writable });
        Ok(())
    }

    /// The target follows its source again.
    fn follow(&mut self, link: &Link) -> Result<(), StoreError> {
        let target = self.holds(link.target)?;
        let follows = matches!(target.holds, NextHolds::Alias(_));
        if !self.is_across(link)? {
            if !follows {
                self.give_up(link.target)?;
            }
            self.set(link.target, NextHolds::Alias(link.source), false);
            return Ok(());
        }
        let owed = match &target.tether {
            NextTether::Kept(tether) if follows => {
                self.changed(Owed::of(tether), link.source, tether.origin.number)
            }
            NextTether::Kept(tether) => match &tether.pin {
                Some(pin) => {
                    let owed =
                        Owed::of(tether).and_since(self.store, tether.head.branch, pin.number);
                    self.changed(owed, link.source, tether.origin.number)
                }
                None => Owed::All,
            },
            _ => Owed::All,
        };
        let filled = match (&target.holds, target.tether.filled()) {
            (_, Some(filled)) => Some(filled),
            (NextHolds::Own(head), None) if lock(&head.fresh).is_none() => {
                Some(Filled::Head(Arc::clone(head)))
            }
            _ => {
                self.give_up(link.target)?;
                None
            }
        };
        self.follow_across(link, filled, owed)
    }

    /// The source becomes what the target holds, and the target follows it.
    fn restore(&mut self, link: &Link) -> Result<(), StoreError> {
        let target = self.holds(link.target)?;
        if matches!(target.holds, NextHolds::Alias(_)) {
            return Ok(());
        }
        let source = self.holds(link.source)?;
        if matches!(source.tether, NextTether::New(_)) {
            // Another restore of this very order.
            return Err(StoreError::Busy(ldev_of(link.source)));
        }
        if !self.is_across(link)? {
            if target.tether.lacks() {
                return Err(StoreError::Busy(ldev_of(link.target)));
            }
            self.give_up(link.source)?;
            self.set(link.source, target.holds, source.writable);
            self.set(link.target, NextHolds::Alias(link.source), false);
            return Ok(());
        }
        let NextHolds::Own(own) = &target.holds else {
            return Err(StoreError::Busy(ldev_of(link.target)));
        };
        let owed = match &target.tether {
            NextTether::Kept(tether) => match &tether.pin {
                Some(pin) => {
                    let theirs = Owed::Nothing.and_since(self.store, own.branch, pin.number);
                    self.changed(theirs, link.source, tether.origin.number)
                }
                None => Owed::All,
            },
            _ => Owed::All,
        };
        // This one refuses while the target still takes bytes itself.
        let origin = self.point(link.target)?;
        let filled = match (&source.holds, source.tether.filled()) {
            (NextHolds::Own(head), _) if lock(&head.fresh).is_none() => {
                Filled::Head(Arc::clone(head))
            }
            (NextHolds::Own(_), None) => {
                self.give_up(link.source)?;
                let branches = self.store.branches.write();
                Filled::New(branches.unwrap_or_else(PoisonError::into_inner).next_id())
            }
            _ => return Err(StoreError::Busy(ldev_of(link.source))),
        };
        // The base of what the source changes from here on, though it lacks pages now: those that
        // it fetches count as changed.
        let base = self.fork_branch(filled.branch(), link.source);
        let base = self.hide(link.source, base)?;
        let holds = match &filled {
            Filled::Head(head) => NextHolds::Own(Arc::clone(head)),
            Filled::New(_) => NextHolds::Filled,
        };
        let tether = NextTether::New(NewTether { filled, origin, pin: None, owed });
        self.next.insert(link.source, Next { holds, tether, writable: source.writable });
        let filled = Filled::Head(Arc::clone(own));
        let owed = Owed::Nothing;
        let tether = NextTether::New(NewTether { filled, origin: base, pin: None, owed });
        let holds = NextHolds::Alias(link.source);
        self.next.insert(link.target, Next { holds, tether, writable: false });
        Ok(())
    }

    fn apply(&mut self, id: LinkId, change: LinkChange) -> Result<(), StoreError> {
        let known = match self.links.get(&id) {
            Some(link) => *link,
            None => self.store.link(id),
        };
        if let LinkChange::Share { source, target, equal } = change {
            let link = Link { source: source.get(), target: target.get(), writable: false };
            self.links.insert(id, Some(link));
            let across = self.is_across(&link)?;
            if let NextHolds::Own(head) = self.holds(link.target)?.holds
                && across
                && equal
                && !self.holds(link.target)?.tether.lacks()
                && lock(&head.fresh).is_none()
            {
                return self.follow_across(&link, Some(Filled::Head(head)), Owed::Nothing);
            }
            self.give_up(link.target)?;
            if across {
                return self.follow_across(&link, None, Owed::All);
            }
            self.set(link.target, NextHolds::Alias(link.source), false);
            return Ok(());
        }
        let Some(mut link) = known else {
            return Ok(());
        };
        match change {
            LinkChange::Share { .. } => {}
            LinkChange::Mark { writable } => {
                link.writable = writable;
                self.fix(&link, writable, true)?;
            }
            LinkChange::Follow => self.follow(&link)?,
            LinkChange::Restore => self.restore(&link)?,
            LinkChange::Detach => {
                link.writable = false;
                self.fix(&link, false, true)?;
            }
            LinkChange::Release => {
                link.writable = true;
                self.fix(&link, true, false)?;
            }
            LinkChange::Discard | LinkChange::Empty => {
                let writable = change == LinkChange::Discard;
                self.give_up(link.target)?;
                self.set(link.target, NextHolds::Nothing, writable);
                link.writable = writable;
            }
        }
        let gone = matches!(change, LinkChange::Release | LinkChange::Discard);
        self.links.insert(id, (!gone).then_some(link));
        Ok(())
    }

    /// Hidden volumes that this order gives up: those of tethers that it changes.
    fn dropped(&self) -> Result<BTreeSet<VolumeNumber>, StoreError> {
        let kept: BTreeSet<VolumeNumber> =
            self.next.values().flat_map(|next| next.tether.points()).collect();
        let mut dropped = BTreeSet::new();
        for number in self.next.keys().filter(|number| !self.hidden.contains_key(number)) {
            let volume = self.volume(*number)?;
            let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
            let tether = holds.tether.clone().map_or(NextTether::None, NextTether::Kept);
            dropped.extend(tether.points().filter(|point| !kept.contains(point)));
        }
        Ok(dropped)
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
        let mut plan = Plan::new(self, &orders);
        for (id, change) in &batch.links {
            plan.apply(*id, *change)?;
        }
        self.carry_out(&mut orders, plan, batch.rows.clone(), began)
    }

    /// The branch that a hidden volume was forked from.
    pub(super) fn parent_of(&self, point: &Volume) -> Option<BranchId> {
        let head = {
            let holds = point.gate.read().unwrap_or_else(PoisonError::into_inner);
            holds.head()?.branch
        };
        let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
        Some(branches.get(head)?.parent?.0)
    }

    /// Lets a volume go on without its tether, which has nothing more to fetch.
    ///
    /// # Errors
    /// The disk's answer.
    pub(super) fn untie(&self, number: VolumeNumber) -> Result<(), StoreError> {
        let mut orders = lock(&self.orders);
        let mut plan = Plan::new(self, &orders);
        let next = plan.holds(number)?;
        let targeted = {
            let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
            links.values().any(|link| link.target == number)
        };
        if !targeted && !next.tether.lacks() && matches!(next.holds, NextHolds::Own(_)) {
            plan.next.insert(number, Next { tether: NextTether::None, ..next });
            self.carry_out(&mut orders, plan, Vec::new(), Instant::now())?;
        }
        Ok(())
    }

    /// Lets a target that follows be filled from a new point in time of its source, if that is
    /// still wanted when no order is under way.
    ///
    /// # Errors
    /// The disk's answer.
    pub(super) fn renew(&self, id: LinkId) -> Result<(), StoreError> {
        let mut orders = lock(&self.orders);
        if self.link(id).is_some_and(|link| self.is_far_behind(link.target)) {
            let mut plan = Plan::new(self, &orders);
            plan.apply(id, LinkChange::Follow)?;
            self.carry_out(&mut orders, plan, Vec::new(), Instant::now())?;
        }
        Ok(())
    }

    fn carry_out(
        &self,
        orders: &mut Orders,
        plan: Plan<'_>,
        mut rows: Vec<Row>,
        began: Instant,
    ) -> Result<(), StoreError> {
        let dropped = plan.dropped()?;
        let Plan { next, hidden, next_hidden, marked, links, mut orphans, .. } = plan;
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
        if super::probe::without_barrier() {
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
            let filled = gate.holds.tether.as_ref().map(|tether| &tether.head);
            let mut heads: Vec<&Arc<Head>> = gate.holds.head().into_iter().chain(filled).collect();
            heads.dedup_by_key(|head| head.branch);
            for head in heads.into_iter().filter(|head| marked.contains_key(&head.branch)) {
                head.mark(generation);
            }
        }
        let instant = closing.elapsed() - gates;
        drop(passing);
        let released = closing.elapsed();
        #[cfg(test)]
        super::probe::pass(super::probe::Spot::Instant);

        rows.push(generation_row(generation + 1));
        let tethered = next.values().any(|next| matches!(next.tether, NextTether::New(_)));
        if tethered || !dropped.is_empty() {
            // What was fetched so far becomes durable as the old tethers have it, and what changed
            // up to the instant becomes readable as records.
            self.persist(vec![generation_row(generation + 1)])?;
        }
        let todos = self.work_out(&next, generation, &mut rows)?;
        self.grow_tree(&next, &marked, generation, &mut rows);
        for number in &dropped {
            if let Some(volume) = self.volume(*number) {
                let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
                orphans.extend(holds.head().cloned());
            }
            rows.push(Row::remove(Table::Volumes, u64::from(*number)));
        }
        let kept: BTreeSet<BranchId> = next.values().flat_map(Next::branches).collect();
        let mut gone = BTreeSet::new();
        for head in orphans.iter().filter(|head| !kept.contains(&head.branch)) {
            if gone.insert(head.branch) {
                rows.extend(self.abandon(head, orders));
            }
        }
        for (number, next) in &next {
            let volume = hidden.get(number).cloned().or_else(|| self.volume(*number));
            let volume = volume.ok_or(StoreError::NoLdev(ldev_of(*number)))?;
            rows.push(volume_row(&volume, next));
        }
        #[cfg(test)]
        super::probe::pass(super::probe::Spot::Commit);
        self.persist(rows)?;
        orders.next_hidden = next_hidden;
        self.put_volumes(hidden, &dropped);
        self.publish(&next, todos, held)?;
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

    /// What the new tethers have to fetch, and the rows of that.
    fn work_out(
        &self,
        next: &BTreeMap<VolumeNumber, Next>,
        generation: Generation,
        rows: &mut Vec<Row>,
    ) -> Result<BTreeMap<VolumeNumber, Todo>, StoreError> {
        let mut todos = BTreeMap::new();
        for (number, next) in next {
            let had = lock(&self.ties).contains(number);
            let pages = self.volume(*number).map_or(0, |volume| volume.pages());
            let todo = match &next.tether {
                NextTether::New(new) => self.owed(&new.owed, pages, generation)?,
                NextTether::Kept(_) => continue,
                NextTether::None if had => Todo::none(pages),
                NextTether::None => continue,
            };
            for piece in 0..pages.div_ceil(Todo::PIECE) {
                rows.push(todo_row(*number, piece, &todo));
            }
            if matches!(next.tether, NextTether::New(_)) {
                todos.insert(*number, todo);
            }
        }
        Ok(todos)
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
            // Marked before its first page was written: the branch must be there to be forked. Its
            // gate is open already, so whichever commit comes first has to take it along.
            if let Some(head) = self.head_of(*branch) {
                let mut meta = self.meta();
                if lock(&head.fresh).take().is_some() {
                    meta.born.push((*number, head));
                }
            }
        }
        let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
        for (number, next) in next {
            if let Some(Filled::New(id)) = next.tether.filled() {
                let pool = self.volume(*number).map_or(0, |volume| volume.pool.id());
                let row = BranchRow { pool, parent: None };
                branches.add(id, row);
                rows.push(Row::put(Table::Branches, u64::from(id), codec::encode(&row)));
            }
        }
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

    /// Makes what is durable true in memory.
    fn publish(
        &self,
        next: &BTreeMap<VolumeNumber, Next>,
        mut todos: BTreeMap<VolumeNumber, Todo>,
        held: Vec<Gate<'_>>,
    ) -> Result<(), StoreError> {
        let mut held: BTreeMap<VolumeNumber, Gate<'_>> =
            held.into_iter().map(|gate| (gate.volume.number, gate)).collect();
        // Hidden volumes have the highest numbers, and come before those that refer to them.
        for (number, next) in next.iter().rev() {
            let ldev = ldev_of(*number);
            let known = |number: VolumeNumber| self.volume(number).ok_or(StoreError::NoLdev(ldev));
            let volume = known(*number)?;
            let tether = match &next.tether {
                NextTether::None => None,
                NextTether::Kept(tether) => Some(Arc::clone(tether)),
                NextTether::New(new) => Some(Arc::new(Tether {
                    head: match &new.filled {
                        Filled::Head(head) => Arc::clone(head),
                        Filled::New(branch) => self.open_head(*branch, &volume.pool),
                    },
                    origin: known(new.origin)?,
                    pin: new.pin.map(known).transpose()?,
                    todo: Mutex::new(todos.remove(number).unwrap_or_default()),
                })),
            };
            let content = match (&next.holds, &tether) {
                (NextHolds::Filled, Some(tether)) => Content::Own(Arc::clone(&tether.head)),
                (NextHolds::Nothing | NextHolds::Filled, _) => {
                    Content::Own(self.fresh_head(*number, &volume.pool))
                }
                (NextHolds::Alias(source), _) => Content::Alias(known(*source)?),
                (NextHolds::Own(head), _) => {
                    // Not written yet, it will be born as what it belongs to now.
                    if let Some(owner) = &mut *lock(&head.fresh) {
                        *owner = *number;
                    }
                    Content::Own(Arc::clone(head))
                }
                (NextHolds::Fork(branch, _), _) => {
                    Content::Own(self.open_head(*branch, &volume.pool))
                }
            };
            let filled = tether.as_ref().map(|tether| &tether.head);
            let own = match &content {
                Content::Own(head) => Some(head),
                Content::Alias(_) => None,
            };
            for head in own.into_iter().chain(filled) {
                head.owner.store(*number, Ordering::SeqCst);
            }
            self.note_tie(*number, tether.is_some());
            let holds = Holds { content, tether, writable: next.writable };
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

/// Whether a volume has a map of its own, or a tether that fills one.
fn owns(volume: &Volume) -> bool {
    let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
    holds.head().is_some() || holds.tether.is_some()
}

fn volume_row(volume: &Volume, next: &Next) -> Row {
    let holds = match (&next.holds, next.tether.filled()) {
        (NextHolds::Filled, Some(filled)) => HoldsRow::Own(filled.branch()),
        (NextHolds::Nothing | NextHolds::Filled, _) => HoldsRow::Nothing,
        (NextHolds::Alias(source), _) => HoldsRow::Alias(*source),
        (NextHolds::Own(head), _) if lock(&head.fresh).is_some() => HoldsRow::Nothing,
        (NextHolds::Own(head), _) => HoldsRow::Own(head.branch),
        (NextHolds::Fork(branch, _), _) => HoldsRow::Own(*branch),
    };
    let mut points = next.tether.points();
    let tether = next.tether.filled().zip(points.next()).map(|(filled, origin)| TetherRow {
        branch: filled.branch(),
        origin,
        pin: points.next(),
    });
    let (size, pool) = (volume.size, volume.pool.id());
    let row = VolumeRow { size, pool, holds, tether };
    Row::put(Table::Volumes, u64::from(volume.number), codec::encode(&row))
}
