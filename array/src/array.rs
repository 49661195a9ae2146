//! One storage system: orders in, volumes read and written.
//!
//! Three locks, never held across another's work for long:
//! * `changes` puts orders that change something, and the copy job's own transitions, in a row;
//! * the store's barrier makes each of them, and every host write, happen at one instant;
//! * `state` holds what is true now; who only asks takes it shared and for a moment.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use model::{
    CciError, Code, LdevId, LuPath, MuNumber, PairEnd, PortAddress, PortName, Role, VolumeId,
};
use protocol::{
    RequestId, codec,
    orders::{EndStatus, LocalEnd, Order, OrderAnswer, OrderError, PairChange, PairTarget, Reply},
};

use crate::{
    clock::{Clock, SystemClock},
    copier::Copier,
    directory::{Directory, DirectoryError},
    executed::Executed,
    guards::GuardRecord,
    hosts::{
        Writers,
        groups::{HostGroup, Portal},
        reservations::{self, Reservations},
    },
    inventory::{Head, Inventory, Ldev},
    keeper::Keeper,
    labels::Labels,
    pairs::{Pair, Phase, Registry, View, pair},
    ports::Ports,
    store::{
        Batch, Content, Link, LinkChange, LinkId, PoolFigures, PoolStore, Progress, Records,
        Report, Row, SplitTimes, Store, StoreError, Table,
        disk::{Files, Media},
    },
    users::{Authority, sessions::Sessions},
};

/// A storage system over its directory.
pub struct Array {
    pub(crate) head: Head,
    pub(crate) ldevs: HashMap<LdevId, Ldev>,
    pub(crate) ports: Ports,
    pub(crate) store: Box<dyn Store>,
    pub(crate) copier: Copier,
    pub(crate) keeper: Keeper,
    portal: Option<Portal>,
    groups: Vec<HostGroup>,
    pub(crate) writers: Writers,
    labels: Labels,
    authority: Authority,
    sessions: Mutex<Sessions>,
    pub(crate) epoch: AtomicU64,
    /// Grows when something may have made room in a pool.
    room: AtomicU64,
    state: RwLock<State>,
    changes: Mutex<Executed>,
    clock: Box<dyn Clock>,
    /// Keeps others out as long as the array is open.
    directory: Option<Directory>,
}

/// What changes while the array runs.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) guards: HashMap<LdevId, GuardRecord>,
    pub(crate) reservations: Reservations,
}

impl State {
    /// The pair that has this end now.
    pub(crate) fn pair_at(&self, end: LocalEnd) -> Option<(LinkId, Pair)> {
        self.registry.at(end).map(|(id, pair)| (id, *pair))
    }
}

/// The state, to be changed. Who saw the old one is told by the epoch.
pub(crate) struct StateMut<'a> {
    state: RwLockWriteGuard<'a, State>,
    epoch: &'a AtomicU64,
}

impl Deref for StateMut<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateMut<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for StateMut<'_> {
    fn drop(&mut self) {
        // Before the lock is released: who sees the new number finds the new state.
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

impl Array {
    /// Opens the array in a directory made by [`Directory::init`]. Copies go on when somebody
    /// makes them: [`Array::step`] or [`crate::copier::run`].
    ///
    /// # Errors
    /// See [`DirectoryError`]; damage is told by the name of the file.
    pub fn open(dir: &Path) -> Result<Self, DirectoryError> {
        let directory = Directory::open(dir)?;
        let mut array = Self::open_on(Arc::new(Files), dir, Box::new(SystemClock))?;
        array.directory = Some(directory);
        Ok(array)
    }

    /// Makes a new array on other disks than the file system's, in the directory `dir` of them.
    ///
    /// # Errors
    /// The disks' answers.
    pub fn create_on(
        media: &dyn Media,
        dir: &Path,
        inventory: &Inventory,
    ) -> Result<(), StoreError> {
        Directory::fill(media, dir, inventory)
    }

    /// Opens an array on other disks, with a clock of the caller's. Nothing keeps a second one
    /// from opening it too.
    ///
    /// # Errors
    /// Damage, told by the name of the file; the disks' answers.
    pub fn open_on(
        media: Arc<dyn Media>,
        dir: &Path,
        clock: Box<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let records = Records::open(&*media, &dir.join("meta.redb"))?;
        let inventory = Inventory::load(&records)?;
        let state = load_state(&records, &inventory)?;
        let changes = Executed::load(&records)?;
        let links: Vec<(LinkId, Link)> = state
            .registry
            .iter()
            .map(|(id, pair)| {
                let (source, target) = (pair.primary.ldev.get(), pair.secondary.ldev.get());
                (id, Link { source, target, writable: pair.writable })
            })
            .collect();
        let volumes =
            inventory.ldevs.iter().map(|(id, ldev)| (id.get(), ldev.size.bytes(), ldev.pool));
        let store = PoolStore::open(records, media, dir, volumes, links)?;
        Ok(Self {
            head: inventory.head,
            writers: Writers::new(inventory.ldevs.keys().copied()),
            ldevs: inventory.ldevs,
            ports: Ports::new(inventory.paths),
            store: Box::new(store),
            copier: Copier::default(),
            keeper: Keeper::default(),
            portal: inventory.portal,
            groups: inventory.groups,
            labels: inventory.labels,
            authority: inventory.authority,
            sessions: Mutex::default(),
            epoch: AtomicU64::new(1),
            room: AtomicU64::default(),
            state: RwLock::new(state),
            changes: Mutex::new(changes),
            clock,
            directory: None,
        })
    }

    /// The name plate.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Where it listens for iSCSI, if it does.
    #[must_use]
    pub const fn portal(&self) -> Option<&Portal> {
        self.portal.as_ref()
    }

    /// The host groups.
    #[must_use]
    pub fn host_groups(&self) -> &[HostGroup] {
        &self.groups
    }

    /// SSIDs and RAID groups, as hosts are told.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Who may give orders.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Who is logged in.
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The LU paths of a host group, in ascending order.
    pub fn lu_paths(
        &self,
        port: PortName,
        host_group: u8,
    ) -> impl Iterator<Item = (LuPath, LdevId)> + '_ {
        self.ports.of(PortAddress { port, host_group: Some(host_group) })
    }

    /// The copy job of this array.
    #[must_use]
    pub const fn copier(&self) -> &Copier {
        &self.copier
    }

    /// Its own work besides copying.
    #[must_use]
    pub const fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// How many LDEVs it has.
    #[must_use]
    pub fn ldev_count(&self) -> usize {
        self.ldevs.len()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn pair_count(&self) -> usize {
        self.state().registry.iter().count()
    }

    /// What an LDEV is.
    #[must_use]
    pub fn ldev(&self, ldev: LdevId) -> Option<&Ldev> {
        self.ldevs.get(&ldev)
    }

    /// Carries out an order. One that changes something is executed at most once per id; asked
    /// again, it gives the first answer again.
    ///
    /// # Errors
    /// The refusal, and which item of the order it is about.
    pub fn execute(&self, id: RequestId, order: &Order) -> OrderAnswer {
        match order {
            Order::Change { change, pairs } => self.change(id, change, pairs),
            Order::SetGuard { ldevs, guard, retention_days } => {
                self.set_guard(id, ldevs, *guard, *retention_days)
            }
            question => crate::orders::answer(self, question),
        }
    }

    /// Reads what a volume holds: for a split S-VOL the bytes of its point in time, wherever
    /// they still are.
    ///
    /// # Errors
    /// EX_ENLDEV, EX_ERANGE beyond the end, EX_CMDRJE when the disk fails.
    pub fn read(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Result<Content, CciError> {
        self.read_noting(ldev, offset, buffer).map_err(|error| self.about(ldev, error))
    }

    /// Reads, and has damage that shows looked after.
    pub(crate) fn read_noting(
        &self,
        ldev: LdevId,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<Content, StoreError> {
        self.store.read(ldev, offset, buffer).inspect_err(|error| {
            if let StoreError::Medium { offset, .. } = error {
                self.keeper.met(ldev, *offset);
            }
        })
    }

    /// Writes as a host does. Durable after [`Array::flush`].
    ///
    /// # Errors
    /// Those of [`Array::read`]; EX_INVVOL for a command device and for an S-VOL that is not
    /// writable now.
    pub fn write(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), CciError> {
        self.check_writable(ldev)?;
        let written = self.making_room(|| self.store.write(ldev, offset, data));
        written.map_err(|error| self.about(ldev, error))
    }

    /// Makes bytes zeros, as a host's UNMAP does, and gives back the space of pages that hold
    /// nothing else.
    ///
    /// # Errors
    /// Those of [`Array::write`].
    pub fn zero(&self, ldev: LdevId, offset: u64, length: u64) -> Result<(), CciError> {
        self.check_writable(ldev)?;
        let zeroed = self.making_room(|| self.store.zero(ldev, offset, length));
        zeroed.map_err(|error| self.about(ldev, error))
    }

    /// Maps every page of a volume, so that no later write to it finds its pool full (full
    /// allocation).
    ///
    /// # Errors
    /// Those of [`Array::write`].
    pub fn provision(&self, ldev: LdevId) -> Result<(), CciError> {
        self.check_writable(ldev)?;
        self.store.provision(ldev).map_err(|error| self.about(ldev, error))
    }

    /// Verifies everything that the array stores; for an array that nobody else uses meanwhile.
    ///
    /// # Errors
    /// When its records cannot be read at all.
    pub fn check(&self, see: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
        self.store.check(see)
    }

    /// Makes a file of a pool longer, or takes a further file or block device into it, while the
    /// array runs.
    ///
    /// # Errors
    /// EX_ENOPOL; EX_INVARG for a size that does not fit; EX_CMDRJE when the disk refuses.
    pub fn grow_pool(
        &self,
        pool: u16,
        path: &str,
        bytes: Option<u64>,
        preallocate: bool,
    ) -> Result<(), CciError> {
        let grown = self.store.grow_pool(pool, path, bytes, preallocate);
        self.room.fetch_add(1, Ordering::SeqCst);
        self.keeper.wake();
        grown.map_err(|error| CciError::from(error).object(format!("pool {pool}")))
    }

    /// The pools.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolFigures> {
        self.store.pools()
    }

    /// Where the time of the last order went that fixed points in time.
    #[must_use]
    pub fn last_split(&self) -> Option<SplitTimes> {
        self.store.split_times()
    }

    /// Waits until everything written to a volume is durable.
    ///
    /// # Errors
    /// EX_ENLDEV, EX_CMDRJE when the disk fails.
    pub fn flush(&self, ldev: LdevId) -> Result<(), CciError> {
        let flushed = self.store.flush(ldev);
        flushed.map_err(|error| self.about(ldev, error))
    }

    /// Whether hosts may write to a volume now.
    ///
    /// # Errors
    /// EX_ENLDEV; EX_INVVOL with state and advice.
    pub fn check_writable(&self, ldev: LdevId) -> Result<(), CciError> {
        let Some(known) = self.ldevs.get(&ldev) else {
            return Err(self.about(ldev, StoreError::NoLdev(ldev)));
        };
        if known.command_device {
            return Err(CciError::new(Code::ExInvvol)
                .object(self.volume(ldev).to_string())
                .cause("it is a command device")
                .advice("name a data volume"));
        }
        match self.state().registry.as_svol(ldev) {
            Some((_, pair)) if !pair.svol_writable() => {
                let advice = match pair.phase {
                    Phase::Splitting if pair.writable => {
                        "wait until the split is complete: pairevtwait -s psus -ss ssus"
                    }
                    Phase::Split | Phase::Splitting => {
                        "it was split read-only; resynchronise and split it with -rw, or dissolve the pair: pairsplit -S"
                    }
                    _ => "split the pair first: pairsplit -rw, or dissolve it: pairsplit -S",
                };
                Err(self.svol_error(ldev, pair, "hosts may not write to it now", advice))
            }
            _ => Ok(()),
        }
    }

    /// Whether a copy of the whole volume would be one state of it.
    ///
    /// # Errors
    /// EX_ENLDEV; EX_INVVOL for an S-VOL that follows its P-VOL or was suspended by an error.
    pub fn check_exportable(&self, ldev: LdevId) -> Result<(), CciError> {
        if !self.ldevs.contains_key(&ldev) {
            return Err(self.about(ldev, StoreError::NoLdev(ldev)));
        }
        match self.state().registry.as_svol(ldev) {
            Some((_, pair)) if matches!(pair.phase, Phase::Copying | Phase::Paired) => {
                let cause = "it follows its P-VOL: its bytes are moving";
                let advice = "split the pair first: pairsplit; or export --force what is there";
                Err(self.svol_error(ldev, pair, cause, advice))
            }
            Some((_, pair)) if pair.phase == Phase::Failed => {
                let cause = "the pair was suspended by an error: its bytes are of no one time";
                let advice = "resynchronise and split the pair; or export --force what is there";
                Err(self.svol_error(ldev, pair, cause, advice))
            }
            _ => Ok(()),
        }
    }

    fn svol_error(&self, ldev: LdevId, pair: &Pair, cause: &str, advice: &str) -> CciError {
        CciError::new(Code::ExInvvol)
            .object(self.volume(ldev).to_string())
            .state(format!(
                "{} of LDEV {}, {}",
                Role::SVol,
                pair.primary.ldev,
                pair.phase.status(Role::SVol)
            ))
            .cause(cause)
            .advice(advice)
    }

    /// How a pair end stands; `None` when there is no such LDEV.
    #[must_use]
    pub fn status(&self, end: LocalEnd) -> Option<EndStatus> {
        self.ldevs.contains_key(&end.ldev).then(|| {
            let found = self.state().pair_at(end);
            self.end_status(end, found)
        })
    }

    /// How the mirrors of an LDEV stand that a display shows.
    pub(crate) fn mirrors(&self, ldev: LdevId) -> Vec<EndStatus> {
        let found: Vec<_> = {
            let state = self.state();
            (0..state.registry.shown_mirrors(ldev))
                .filter_map(|mu| MuNumber::new(mu.into()))
                .map(|mu| LocalEnd { ldev, mu })
                .map(|end| (end, state.pair_at(end)))
                .collect()
        };
        found.into_iter().map(|(end, found)| self.end_status(end, found)).collect()
    }

    /// How the end of a pair stands, or one that is in none. Without the state: the store's
    /// figures may have to be waited for.
    pub(crate) fn end_status(&self, end: LocalEnd, found: Option<(LinkId, Pair)>) -> EndStatus {
        let Some((id, pair)) = found else {
            return EndStatus::SMPL;
        };
        let role = pair.role(end);
        let partner = pair.partner(end);
        let difference = self.store.difference(id).unwrap_or_default();
        EndStatus {
            role,
            status: pair.status(role, self.is_short(pair.snapshot)),
            partner: Some(PairEnd { volume: self.volume(partner.ldev), mu: partner.mu }),
            percent: difference.percent(),
            noread: pair.noread,
            svol_writable: pair.svol_writable(),
            ctg: pair.ctg,
        }
    }

    /// Whether a pool is short of space.
    fn is_short(&self, pool: Option<u16>) -> bool {
        let Some(pool) = pool else {
            return false;
        };
        self.pools().iter().any(|figures| figures.id == pool && figures.is_above_threshold())
    }

    /// Gives up the snapshot of a full pool that was made first, and puts its pair into PSUE;
    /// false when there is none. Hosts' writes to P-VOLs come before snapshots.
    ///
    /// `_changes` is held since before the caller saw that nobody else has made room meanwhile.
    pub(crate) fn relieve(
        &self,
        _changes: &MutexGuard<'_, Executed>,
        pool: u16,
    ) -> Result<bool, CciError> {
        let found = {
            let state = self.state();
            let mut pairs = state
                .registry
                .iter()
                .filter(|(_, pair)| pair.snapshot == Some(pool) && pair.phase != Phase::Failed);
            pairs.next().map(|(id, pair)| (id, Pair { phase: Phase::Failed, ..*pair }))
        };
        let Some((id, pair)) = found else {
            return Ok(false);
        };
        let batch =
            Batch { links: vec![(id, LinkChange::Empty)], rows: vec![pair_row(id, Some(&pair))] };
        self.store.commit(&batch)?;
        self.room.fetch_add(1, Ordering::SeqCst);
        self.state_mut().registry.put(id, Some(pair));
        log::error!(
            "pair {} of LDEV {} and LDEV {}: PSUE: pool {pool} is full, the snapshot was given up",
            id.0,
            pair.primary.ldev,
            pair.secondary.ldev
        );
        Ok(true)
    }

    /// Runs a host's write; where its pool is full, snapshots make room for it.
    ///
    /// Writes that find the pool full at the same time stand in a row to give up a snapshot, and
    /// what one gave may do for all of them: where room was made since a write began, it is tried
    /// again first. That happens outside of the row, because a write may wait for its disk.
    pub(crate) fn making_room(
        &self,
        write: impl Fn() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            let room = self.room.load(Ordering::SeqCst);
            let pool = match write() {
                Err(StoreError::Full(pool)) => pool,
                done => return done,
            };
            let changes = self.changes();
            if self.room.load(Ordering::SeqCst) == room
                && !self.relieve(&changes, pool).unwrap_or(false)
            {
                return Err(StoreError::Full(pool));
            }
        }
    }

    pub(crate) const fn volume(&self, ldev: LdevId) -> VolumeId {
        VolumeId { serial: self.head.serial, ldev }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> StateMut<'_> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        StateMut { state, epoch: &self.epoch }
    }

    pub(crate) fn changes(&self) -> MutexGuard<'_, Executed> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error of the store, about a volume.
    pub(crate) fn about(&self, ldev: LdevId, error: StoreError) -> CciError {
        CciError::from(error).object(self.volume(ldev).to_string())
    }

    fn change(&self, id: RequestId, change: &PairChange, pairs: &[PairTarget]) -> OrderAnswer {
        let mut executed = self.changes();
        if let Some(answer) = executed.answer(id) {
            return answer;
        }
        let planned = {
            let state = self.state();
            let view = View {
                serial: self.head.serial,
                ldevs: &self.ldevs,
                guards: &state.guards,
                registry: &state.registry,
                lack: &|id| self.store.lack(id).unwrap_or_default(),
            };
            view.plan(change, pairs)?
        };
        let answer = Ok(Reply::Done);
        let mut batch = Batch { rows: executed.rows(id, &answer), ..Batch::default() };
        for plan in &planned {
            batch.rows.push(pair_row(plan.id, plan.pair.as_ref()));
            batch.links.extend(plan.changes.iter().map(|change| (plan.id, *change)));
        }
        self.commit(&batch)?;
        self.room.fetch_add(1, Ordering::SeqCst);
        {
            let mut state = self.state_mut();
            for plan in &planned {
                state.registry.put(plan.id, plan.pair);
            }
        }
        executed.add(id, &answer);
        log::info!("carried out change {id}: {} pairs: {change:?}", planned.len());
        if matches!(change, PairChange::Fail) {
            for plan in &planned {
                log::warn!("pair {}: PSUE: suspended by pairsplit -E", plan.id.0);
            }
        }
        self.copier.forget(planned.iter().map(|plan| plan.id));
        self.copier.wake();
        self.keeper.wake();
        answer
    }

    fn set_guard(
        &self,
        id: RequestId,
        ldevs: &[LdevId],
        guard: model::Guard,
        retention_days: Option<u32>,
    ) -> OrderAnswer {
        let answer = self.record_guard(id, ldevs, guard, retention_days)?;
        // What was allowed before the guard has landed when the order is answered, and when it is
        // answered again. Such a write may wait for its disk, and others' orders not for that.
        ldevs.iter().for_each(|ldev| self.writers.wait(*ldev));
        Ok(answer)
    }

    /// Makes a guard durable, and shows it to whoever asks from now on.
    fn record_guard(
        &self,
        id: RequestId,
        ldevs: &[LdevId],
        guard: model::Guard,
        retention_days: Option<u32>,
    ) -> OrderAnswer {
        let mut executed = self.changes();
        if let Some(answer) = executed.answer(id) {
            return answer;
        }
        let now = self.now();
        let mut records = Vec::with_capacity(ldevs.len());
        {
            let state = self.state();
            for (n, ldev) in (0..).zip(ldevs) {
                let refused = |error: CciError| OrderError { at: Some(n), error };
                if !self.ldevs.contains_key(ldev) {
                    return Err(refused(self.about(*ldev, StoreError::NoLdev(*ldev))));
                }
                let old = state.guards.get(ldev).copied().unwrap_or_default();
                let new = old
                    .change(guard, retention_days, now)
                    .map_err(|error| refused(error.object(self.volume(*ldev).to_string())))?;
                records.push((*ldev, new));
            }
        }
        let answer = Ok(Reply::Done);
        let mut rows = executed.rows(id, &answer);
        rows.extend(records.iter().map(|(ldev, record)| {
            Row::put(Table::Guards, ldev.get().into(), codec::encode(record))
        }));
        self.commit(&Batch { rows, ..Batch::default() })?;
        self.state_mut().guards.extend(records);
        executed.add(id, &answer);
        log::info!("carried out change {id}: guard of {} LDEVs: {guard:?}", ldevs.len());
        answer
    }

    fn commit(&self, batch: &Batch) -> Result<(), OrderError> {
        self.store.commit(batch).map_err(|error| {
            log::error!("an order could not be made durable: {error}");
            OrderError::from(CciError::from(error))
        })
    }
}

/// The row of a pair, or of its end.
pub(crate) fn pair_row(id: LinkId, pair: Option<&Pair>) -> Row {
    match pair {
        Some(pair) => Row::put(Table::Pairs, pair::key(id), codec::encode(pair)),
        None => Row::remove(Table::Pairs, pair::key(id)),
    }
}

fn load_state(records: &Records, inventory: &Inventory) -> Result<State, StoreError> {
    let mut state = State::default();
    for (key, bytes) in records.load(Table::Pairs)? {
        let id = u32::try_from(key).ok().map(LinkId);
        let pair = id.zip(codec::decode::<Pair>(&bytes).ok());
        let (id, pair) =
            pair.ok_or_else(|| records.damaged(Table::Pairs, key, "it is not such a record"))?;
        state.registry.put(id, Some(pair));
    }
    let has = |ldev| inventory.ldevs.contains_key(&ldev);
    if let Some((id, what)) = state.registry.contradiction(has) {
        return Err(records.damaged(Table::Pairs, pair::key(id), &what));
    }
    let size = |ldev| inventory.ldevs.get(&ldev).map(|ldev| ldev.size);
    for (id, pair) in state.registry.iter() {
        if size(pair.primary.ldev) != size(pair.secondary.ldev) {
            let what = "its volumes are of different sizes";
            return Err(records.damaged(Table::Pairs, pair::key(id), what));
        }
    }
    for (key, bytes) in records.load(Table::Guards)? {
        let ldev = u32::try_from(key).ok().and_then(LdevId::new).filter(|ldev| has(*ldev));
        let guard = ldev.zip(codec::decode::<GuardRecord>(&bytes).ok());
        let (ldev, guard) =
            guard.ok_or_else(|| records.damaged(Table::Guards, key, "it is not such a record"))?;
        state.guards.insert(ldev, guard);
    }
    state.reservations = reservations::load(records)?;
    Ok(state)
}
