//! The store: opening it, finding leaves, and making what is in memory durable.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use protocol::codec;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    LinkId, StoreError,
    branches::{BranchId, BranchRow, Branches, Doubt},
    disk::Media,
    hash::NumberMap,
    leaf::{Generation, Leaf, PageId},
    meta::Meta,
    pool::{self, MemberRow, Place, Pool, PoolRow},
    records::{LeafKey, LeafRow, Records, Row, Table},
    scrub::Scrub,
    space,
    volume::{
        Cell, CellState, Content, HIDDEN, Head, Holds, HoldsRow, Tether, Todo, Volume,
        VolumeNumber, VolumeRow,
    },
};

/// Leaves kept in memory: 64 MiB, the map of 128 GiB.
const CELLS: usize = 8192;
/// How often segments at rest are unmarked.
const SETTLE: Duration = Duration::from_secs(2);
/// Keys of table `head`: the store's own, beside the name plate at 0.
const IDENTITY: u64 = 1;
const GENERATION: u64 = 2;

/// A tie between two volumes, as the layer above knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The volume that is copied.
    pub source: VolumeNumber,
    /// The copy.
    pub target: VolumeNumber,
    /// Whether hosts may write to the target while it is fixed.
    pub writable: bool,
}

/// Volumes in pools, and copies between them.
pub struct PoolStore {
    pub(super) records: Records,
    pub(super) media: Arc<dyn Media>,
    dir: PathBuf,
    array: [u8; 16],
    pools: BTreeMap<u16, Arc<Pool>>,
    volumes: RwLock<NumberMap<VolumeNumber, Arc<Volume>>>,
    pub(super) links: RwLock<HashMap<LinkId, Link>>,
    pub(super) branches: RwLock<Branches>,
    pub(super) heads: Mutex<HashMap<BranchId, Weak<Head>>>,
    pub(super) meta: Mutex<Meta>,
    /// The generation of the next order that marks.
    pub(super) next: AtomicU64,
    /// Puts orders, and the removal of records, in a row.
    pub(super) orders: Mutex<Orders>,
    /// Leaves with pages that lie over a base which nobody else needs any more.
    pub(super) folds: Mutex<BTreeSet<(BranchId, u32)>>,
    /// How many orders wait, for whom the removal of records steps aside.
    pub(super) pressing: AtomicUsize,
    pub(super) scrub: Mutex<Scrub>,
    /// Volumes with a tether.
    pub(super) ties: Mutex<BTreeSet<VolumeNumber>>,
    commit: Mutex<Commit>,
    flushes: AtomicU64,
    kept: Mutex<VecDeque<(Weak<Head>, u32)>>,
    cells: AtomicUsize,
    failed: Mutex<Option<String>>,
}

/// What only one may work on at a time.
#[derive(Debug, Default)]
pub struct Orders {
    /// Records that may be needed no more, by the key of the row that says so.
    pub doubts: BTreeMap<u64, Doubt>,
    /// How far the first of them has been looked through: which of its suspects, and where.
    pub looked: (usize, (Generation, u32)),
    /// Hidden volumes' next number.
    pub next_hidden: VolumeNumber,
    /// Where the time of the last order with a mark went.
    pub times: Option<super::SplitTimes>,
}

#[derive(Debug)]
struct Commit {
    /// Flushes that are done.
    flushed: u64,
    settled: Instant,
}

/// What a commit took along.
struct Taken {
    /// Held until the commit is durable, so that no leaf is loaded from an older record.
    cells: Vec<Arc<Cell>>,
    rows: Vec<Row>,
    leaves: Vec<LeafRow>,
    freed: Vec<(Arc<Pool>, PageId)>,
}

impl PoolStore {
    /// The rows of a new store, and its pools' files.
    ///
    /// # Errors
    /// The disks' answers; a file or device that holds something already.
    pub fn create(
        media: &dyn Media,
        dir: &Path,
        array: [u8; 16],
        pools: &[(u16, PoolRow, Vec<MemberRow>)],
    ) -> Result<Vec<Row>, StoreError> {
        let place = Place { media, dir, array };
        let mut rows = vec![
            Row::put(Table::Head, IDENTITY, array.to_vec()),
            Row::put(Table::Head, GENERATION, codec::encode(&1u64)),
        ];
        for (id, pool, members) in pools {
            rows.push(Row::put(Table::Pools, u64::from(*id), codec::encode(pool)));
            for (number, member) in (0u8..).zip(members) {
                place.make(*id, number, member)?;
                let key = pool::member_key(*id, number);
                rows.push(Row::put(Table::Members, key, codec::encode(member)));
            }
        }
        Ok(rows)
    }

    /// Opens a store: `volumes` are the LDEVs that are more than command devices, with their
    /// sizes in bytes and pools; `links` what the pairs say.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the records contradict each other or a pool is not whole;
    /// the disks' answers.
    pub fn open(
        records: Records,
        media: Arc<dyn Media>,
        dir: &Path,
        volumes: impl IntoIterator<Item = (VolumeNumber, u64, u16)>,
        links: impl IntoIterator<Item = (LinkId, Link)>,
    ) -> Result<Self, StoreError> {
        let heads = records.load(Table::Head)?;
        let head = |key| heads.iter().find(|(k, _)| *k == key).map(|(_, bytes)| bytes.as_slice());
        let missing = |key| records.damaged(Table::Head, key, "it is missing or no such record");
        let array: [u8; 16] =
            head(IDENTITY).and_then(|b| b.try_into().ok()).ok_or_else(|| missing(IDENTITY))?;
        let next: Generation = head(GENERATION)
            .and_then(|bytes| codec::decode(bytes).ok())
            .filter(|next| (1..1 << 60).contains(next))
            .ok_or_else(|| missing(GENERATION))?;
        let place = Place { media: &*media, dir, array };
        let pools = open_pools(&records, place)?;
        let branches: Vec<(u32, BranchRow)> = load(&records, Table::Branches)?;
        let bad = |what: &str| records.damaged(Table::Branches, 0, what);
        let young = |row: &BranchRow| row.parent.is_some_and(|(_, at)| at >= next);
        if branches.iter().any(|(_, row)| young(row) || !pools.contains_key(&row.pool)) {
            return Err(bad("a branch is of the future or of no pool"));
        }
        let branches = Branches::load(&branches).ok_or_else(|| bad("the branches are no tree"))?;
        let doubts: Vec<(u64, Doubt)> = load(&records, Table::Reclaim)?;
        let store = Self {
            media,
            dir: dir.to_owned(),
            array,
            pools,
            volumes: RwLock::default(),
            links: RwLock::new(links.into_iter().collect()),
            branches: RwLock::new(branches),
            heads: Mutex::default(),
            meta: Mutex::default(),
            next: AtomicU64::new(next),
            orders: Mutex::new(Orders {
                doubts: doubts.into_iter().collect(),
                looked: Orders::UNSEEN,
                next_hidden: HIDDEN,
                times: None,
            }),
            folds: Mutex::default(),
            pressing: AtomicUsize::new(0),
            scrub: Mutex::default(),
            ties: Mutex::default(),
            commit: Mutex::new(Commit { flushed: 0, settled: Instant::now() }),
            flushes: AtomicU64::new(0),
            kept: Mutex::default(),
            cells: AtomicUsize::new(0),
            failed: Mutex::new(None),
            records,
        };
        store.open_volumes(volumes)?;
        store.count_changes()?;
        Ok(store)
    }

    fn open_volumes(
        &self,
        ldevs: impl IntoIterator<Item = (VolumeNumber, u64, u16)>,
    ) -> Result<(), StoreError> {
        let rows: HashMap<u32, VolumeRow> =
            load(&self.records, Table::Volumes)?.into_iter().collect();
        let bad =
            |number: u32, what: &str| self.records.damaged(Table::Volumes, u64::from(number), what);
        let mut all: Vec<(u32, VolumeRow)> = Vec::new();
        for (number, size, pool) in ldevs {
            let fresh = VolumeRow { size, pool, holds: HoldsRow::Nothing, tether: None };
            let row = rows.get(&number).copied().unwrap_or(fresh);
            if (row.size, row.pool) != (size, pool) {
                return Err(bad(number, "its size or pool is another than its LDEV's"));
            }
            all.push((number, row));
        }
        let hidden = rows.iter().filter(|(number, _)| **number >= HIDDEN);
        all.extend(hidden.map(|(number, row)| (*number, *row)));
        if rows.len() > all.len() {
            return Err(bad(0, "there is a volume without an LDEV"));
        }
        let by_number: HashMap<u32, VolumeRow> = all.iter().copied().collect();
        let read_only: HashSet<u32> = {
            let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
            links.values().filter(|link| !link.writable).map(|link| link.target).collect()
        };
        let mut opened = NumberMap::default();
        let mut owners = HashSet::new();
        for (number, _) in &all {
            let volume = self.open_volume(*number, &by_number, &mut opened, &mut owners, 0)?;
            let mut gate = volume.gate.write().unwrap_or_else(PoisonError::into_inner);
            gate.writable = !read_only.contains(number);
        }
        let last = opened.keys().copied().max().unwrap_or(0);
        let mut orders = lock(&self.orders);
        orders.next_hidden = orders.next_hidden.max(last.saturating_add(1));
        drop(orders);
        *self.volumes.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// Opens a volume after those that it refers to.
    fn open_volume(
        &self,
        number: u32,
        rows: &HashMap<u32, VolumeRow>,
        opened: &mut NumberMap<u32, Arc<Volume>>,
        owners: &mut HashSet<BranchId>,
        depth: usize,
    ) -> Result<Arc<Volume>, StoreError> {
        if let Some(volume) = opened.get(&number) {
            return Ok(Arc::clone(volume));
        }
        let bad = |what: &str| self.records.damaged(Table::Volumes, u64::from(number), what);
        let row = rows.get(&number).ok_or_else(|| bad("another volume refers to it"))?;
        if depth > 64 {
            return Err(bad("it is its own source"));
        }
        let pool = self.pools.get(&row.pool).ok_or_else(|| bad("it is of no pool"))?;
        let mut head = |id: BranchId| {
            let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
            let known = branches.get(id).is_some_and(|branch| branch.pool == row.pool);
            if !known || !owners.insert(id) {
                return Err(bad("its branch does not exist, or is another's"));
            }
            branches.set_head(id, true);
            Ok(self.head(&branches, id, pool))
        };
        let mut tether_head = None;
        if let Some(tether) = row.tether {
            tether_head = Some(head(tether.branch)?);
        }
        let content = match (row.holds, &tether_head) {
            (HoldsRow::Own(id), Some(head)) if head.branch == id => Content::Own(Arc::clone(head)),
            (HoldsRow::Own(id), _) => Content::Own(head(id)?),
            (HoldsRow::Nothing, _) => Content::Own(self.fresh_head(number, pool)),
            (HoldsRow::Alias(source), _) => {
                let source = self.open_volume(source, rows, opened, owners, depth + 1)?;
                if source.size != row.size {
                    return Err(bad("it follows a volume of another size"));
                }
                Content::Alias(source)
            }
        };
        let tether = match row.tether.zip(tether_head) {
            None => None,
            Some((tether, head)) => {
                let origin = self.open_volume(tether.origin, rows, opened, owners, depth + 1)?;
                let mut pin = None;
                if let Some(number) = tether.pin {
                    pin = Some(self.open_volume(number, rows, opened, owners, depth + 1)?);
                }
                let todo = Mutex::new(self.load_todo(number, row.size)?);
                self.note_tie(number, true);
                Some(Arc::new(Tether { head, origin, pin, todo }))
            }
        };
        let holds = Holds { content, tether, writable: true };
        let volume = Arc::new(Volume::new(number, row.size, Arc::clone(pool), holds));
        opened.insert(number, Arc::clone(&volume));
        Ok(volume)
    }

    fn load_todo(&self, number: u32, size: u64) -> Result<Todo, StoreError> {
        let mut todo = Todo::none(size.div_ceil(super::leaf::PAGE as u64));
        for (key, bytes) in self.records.load(Table::Fetch)? {
            let ours = key >> 32 == u64::from(number);
            if ours && !todo.load(key & 0xffff_ffff, &bytes) {
                return Err(self.records.damaged(Table::Fetch, key, "it is not such a record"));
            }
        }
        Ok(todo)
    }

    /// A head for an existing branch.
    pub(super) fn head(&self, branches: &Branches, id: BranchId, pool: &Arc<Pool>) -> Arc<Head> {
        let fork = branches.get(id).and_then(|row| row.parent).map(|(_, at)| at);
        let marks = branches.marks(id).chain(fork);
        let current = self.next.load(Ordering::SeqCst);
        let head =
            Arc::new(Head::new(id, Arc::clone(pool), branches.last_mark(id), current, marks));
        lock(&self.heads).insert(id, Arc::downgrade(&head));
        head
    }

    /// A head for a branch that does not exist yet; it gets a row with its first leaf.
    pub(super) fn fresh_head(&self, owner: VolumeNumber, pool: &Arc<Pool>) -> Arc<Head> {
        let mut branches = self.branches.write().unwrap_or_else(PoisonError::into_inner);
        let id = branches.next_id();
        branches.add(id, BranchRow { pool: pool.id(), parent: None });
        branches.set_head(id, true);
        let head = self.head(&branches, id, pool);
        *lock(&head.fresh) = Some(owner);
        head
    }

    /// Counts for every branch with marks what has changed since them.
    fn count_changes(&self) -> Result<(), StoreError> {
        for volume in self.volumes().values() {
            let gate = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
            let tethered = gate.tether.as_ref().map(|tether| &tether.head);
            for head in gate.head().into_iter().chain(tethered) {
                let first = lock(&head.changed).first_key_value().map(|(mark, _)| *mark);
                let Some(first) = first else {
                    continue;
                };
                let changed = self.records.changed(
                    head.branch,
                    (first + 1, 0),
                    Generation::MAX,
                    usize::MAX,
                )?;
                let leaves: HashSet<u32> = changed.into_iter().map(|(_, leaf)| leaf).collect();
                for leaf in leaves {
                    let found = self.records.leaf(head.branch, leaf, Generation::MAX)?;
                    for entry in found.iter().flat_map(|(_, leaf)| leaf.entries.iter()) {
                        head.count(&super::leaf::Entry::default(), entry);
                    }
                }
            }
        }
        Ok(())
    }

    /// All volumes.
    pub(super) fn volumes(&self) -> std::sync::RwLockReadGuard<'_, NumberMap<u32, Arc<Volume>>> {
        self.volumes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes hidden volumes in, and others out.
    pub(super) fn put_volumes(
        &self,
        made: BTreeMap<VolumeNumber, Arc<Volume>>,
        gone: &BTreeSet<VolumeNumber>,
    ) {
        if made.is_empty() && gone.is_empty() {
            return;
        }
        let mut volumes = self.volumes.write().unwrap_or_else(PoisonError::into_inner);
        volumes.extend(made);
        volumes.retain(|number, _| !gone.contains(number));
    }

    /// A volume.
    pub(super) fn volume(&self, number: VolumeNumber) -> Option<Arc<Volume>> {
        self.volumes().get(&number).cloned()
    }

    /// A volume, if nobody is at the list of them.
    pub(super) fn volume_now(&self, number: VolumeNumber) -> Option<Arc<Volume>> {
        self.volumes.try_read().ok()?.get(&number).cloned()
    }

    /// The pools.
    #[must_use]
    pub const fn pools(&self) -> &BTreeMap<u16, Arc<Pool>> {
        &self.pools
    }

    /// Where members of pools are found.
    pub(super) fn place(&self) -> Place<'_> {
        Place { media: &*self.media, dir: &self.dir, array: self.array }
    }

    /// A leaf of a head, from memory or from its record, or from the record of the branch that it
    /// was forked from.
    pub(super) fn cell(&self, head: &Arc<Head>, leaf: u32) -> Result<Arc<Cell>, StoreError> {
        if let Some(cell) = head.cached(leaf) {
            return Ok(cell);
        }
        let state = self.find(head.branch, leaf)?;
        self.make_room();
        let cell = head.keep(leaf, state);
        self.cells.fetch_add(1, Ordering::Relaxed);
        lock(&self.kept).push_back((Arc::downgrade(head), leaf));
        Ok(cell)
    }

    fn find(&self, branch: BranchId, leaf: u32) -> Result<CellState, StoreError> {
        let path: Vec<(BranchId, Generation)> = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.path(branch).collect()
        };
        for (id, limit) in path {
            if let Some((generation, leaf)) = self.records.leaf(id, leaf, limit)? {
                let generation = (id == branch).then_some(generation);
                return Ok(CellState { generation, leaf: Arc::new(leaf) });
            }
        }
        Ok(CellState { generation: None, leaf: Arc::new(Leaf::empty(0)) })
    }

    /// Lets go of leaves that were not used for long when there are many.
    fn make_room(&self) {
        if self.cells.load(Ordering::Relaxed) < CELLS {
            return;
        }
        let mut kept = lock(&self.kept);
        for _ in 0..64 {
            let Some((head, leaf)) = kept.pop_front() else {
                return;
            };
            match head.upgrade() {
                Some(head) if !head.let_go(leaf) => kept.push_back((Arc::downgrade(&head), leaf)),
                _ => {
                    self.cells.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    pub(super) fn link(&self, id: LinkId) -> Option<Link> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// The uncommitted changes.
    pub(super) fn meta(&self) -> MutexGuard<'_, Meta> {
        lock(&self.meta)
    }

    /// Waits until everything written so far is durable. Who comes while another's flush runs
    /// waits for the next one, which then is for all of them.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn flush_all(&self) -> Result<(), StoreError> {
        let ticket = self.flushes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut commit = lock(&self.commit);
        if commit.flushed >= ticket {
            return self.check_failed();
        }
        let upto = self.flushes.load(Ordering::SeqCst);
        self.persist_in(&mut commit, Vec::new())?;
        commit.flushed = upto;
        Ok(())
    }

    /// Writes rows in one transaction with all changes of maps, after the data they refer to.
    ///
    /// # Errors
    /// The disk's answer; the store takes no changes any more then.
    pub(super) fn persist(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.persist_in(&mut lock(&self.commit), rows)
    }

    fn persist_in(&self, commit: &mut Commit, rows: Vec<Row>) -> Result<(), StoreError> {
        self.check_failed()?;
        let taken = self.take_changes(rows);
        let done = self.pools.values().try_for_each(|pool| pool.flush()).and_then(|()| {
            if taken.rows.is_empty() && taken.leaves.is_empty() {
                return Ok(());
            }
            self.records.commit(&taken.rows, &taken.leaves)
        });
        if let Err(error) = done {
            return Err(self.fail(error));
        }
        for (pool, page) in taken.freed {
            pool.space().give_back(page);
        }
        drop(taken.cells);
        if commit.settled.elapsed() > SETTLE {
            commit.settled = Instant::now();
            self.unmark(false);
        }
        Ok(())
    }

    /// Unmarks segments whose writes are all on the disk.
    fn unmark(&self, last: bool) {
        for (_, member) in self.pools.values().flat_map(|pool| pool.members()) {
            // A mark that stays costs a look at its segment after a crash, no more.
            if let Err(error) = member.settle(last) {
                log::warn!("{error}");
            }
        }
    }

    /// Takes all uncommitted changes as they are at this instant.
    fn take_changes(&self, rows: Vec<Row>) -> Taken {
        let mut leaves: BTreeMap<LeafKey, Option<Arc<Leaf>>> = BTreeMap::new();
        let mut taken =
            Taken { cells: Vec::new(), rows: Vec::new(), leaves: Vec::new(), freed: Vec::new() };
        {
            // Nobody changes a leaf without this lock.
            let mut guard = self.meta();
            let meta = std::mem::take(&mut *guard);
            for (volume, head) in meta.born {
                taken.rows.extend(self.birth_rows(volume, &head));
            }
            if !meta.dirty.is_empty() || !meta.frozen.is_empty() {
                // A host may write behind the instant of an order and flush before the order is
                // durable: births that this commit makes durable must lie below the next one.
                taken.rows.push(generation_row(self.next.load(Ordering::SeqCst)));
            }
            taken.rows.extend(rows);
            leaves.extend(meta.frozen.into_iter().map(|(key, leaf)| (key, Some(leaf))));
            for ((branch, leaf), cell) in meta.dirty {
                let state = cell.state.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(generation) = state.generation {
                    let key = LeafKey { branch, leaf, generation };
                    leaves.insert(key, Some(Arc::clone(&state.leaf)));
                }
                drop(state);
                taken.cells.push(cell);
            }
            leaves.extend(meta.removed.into_iter().map(|key| (key, None)));
            for (pool, segment) in meta.segments {
                let bits = self.pools.get(&pool).and_then(|pool| pool.space().bits(segment));
                let key = pool::space_key(pool, segment);
                taken.rows.push(match bits.filter(|bits| bits.iter().any(|word| *word != 0)) {
                    Some(bits) => Row::put(Table::Space, key, space::encode(&bits)),
                    None => Row::remove(Table::Space, key),
                });
            }
            for ((volume, piece), tether) in meta.fetched {
                let todo = lock(&tether.todo);
                taken.rows.push(todo_row(volume, piece, &todo));
            }
            taken.freed = meta.freed;
        }
        let encoded = leaves.into_iter().map(|(key, leaf)| (key, leaf.map(|leaf| leaf.encode())));
        taken.leaves = encoded.collect();
        taken
    }

    /// The rows of a volume and of the branch that it owns.
    pub(super) fn birth_rows(&self, number: VolumeNumber, head: &Head) -> Vec<Row> {
        let Some(volume) = self.volume(number) else {
            return Vec::new();
        };
        let row = VolumeRow {
            size: volume.size,
            pool: volume.pool.id(),
            holds: HoldsRow::Own(head.branch),
            tether: None,
        };
        let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
        let branch = branches.get(head.branch).copied();
        let branch = branch.unwrap_or(BranchRow { pool: volume.pool.id(), parent: None });
        vec![
            Row::put(Table::Branches, u64::from(head.branch), codec::encode(&branch)),
            Row::put(Table::Volumes, u64::from(number), codec::encode(&row)),
        ]
    }

    /// Refuses everything that changes something once the disk has failed in the middle of it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(super) fn check_failed(&self) -> Result<(), StoreError> {
        match &*lock(&self.failed) {
            Some(cause) => Err(StoreError::Failed(cause.clone())),
            None => Ok(()),
        }
    }

    fn fail(&self, error: StoreError) -> StoreError {
        log::error!("the store takes no more changes until arrayd is started again: {error}");
        lock(&self.failed).get_or_insert_with(|| error.to_string());
        error
    }

    /// Bytes of all pools that were written since the last flush, about.
    #[must_use]
    pub fn unflushed(&self) -> u64 {
        self.pools.values().map(|pool| pool.unflushed()).sum()
    }
}

impl Drop for PoolStore {
    fn drop(&mut self) {
        match self.flush_all() {
            Ok(()) => self.unmark(true),
            Err(error) => log::error!("what was not flushed before may be lost: {error}"),
        }
    }
}

/// The row of one piece of the pages to fetch.
pub(super) fn todo_row(volume: VolumeNumber, piece: u64, todo: &Todo) -> Row {
    let key = u64::from(volume) << 32 | piece;
    match todo.encode(piece) {
        Some(bytes) => Row::put(Table::Fetch, key, bytes),
        None => Row::remove(Table::Fetch, key),
    }
}

/// The row that holds the next generation.
pub(super) fn generation_row(next: Generation) -> Row {
    Row::put(Table::Head, GENERATION, codec::encode(&next))
}

/// A whole table of postcard records.
pub(super) fn load<K: TryFrom<u64>, T: DeserializeOwned + Serialize>(
    records: &Records,
    table: Table,
) -> Result<Vec<(K, T)>, StoreError> {
    records
        .load(table)?
        .into_iter()
        .map(|(key, bytes)| {
            let id = K::try_from(key).ok().zip(codec::decode(&bytes).ok());
            id.ok_or_else(|| records.damaged(table, key, "it is not such a record"))
        })
        .collect()
}

fn open_pools(records: &Records, place: Place<'_>) -> Result<BTreeMap<u16, Arc<Pool>>, StoreError> {
    let members: Vec<(u64, MemberRow)> = load(records, Table::Members)?;
    let mut pools = BTreeMap::new();
    for (id, row) in load::<u16, PoolRow>(records, Table::Pools)? {
        let of = |key: u64| key >> 8 == u64::from(id);
        let members: Vec<(u8, MemberRow)> = members
            .iter()
            .filter(|(key, _)| of(*key))
            .map(|(key, row)| ((key & 0xff) as u8, row.clone()))
            .collect();
        pools.insert(id, Arc::new(Pool::open(place, id, row, &members)?));
    }
    for (key, bytes) in records.load(Table::Space)? {
        let bits = space::decode(&bytes);
        let found = pool::space_of(key).zip(bits).and_then(|((pool, segment), bits)| {
            let pool: &Arc<Pool> = pools.get(&pool)?;
            pool.space().load(segment, bits).then_some(())
        });
        found.ok_or_else(|| records.damaged(Table::Space, key, "it is not such a record"))?;
    }
    Ok(pools)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
