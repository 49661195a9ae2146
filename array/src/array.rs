//! One storage system: orders in, volumes read and written.
//!
//! Three locks, never held across another's work for long:
//! * `changes` puts orders that change something, and the copy job's own transitions, in a row;
//! * the store's barrier makes each of them, and every host write, happen at one instant;
//! * `state` holds what is true now; who only asks takes it shared and for a moment.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use model::{CciError, Code, LdevId, PairEnd, Role, VolumeId};
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
    inventory::{Head, Inventory, Ldev},
    pairs::{Pair, Phase, Registry, View, pair},
    ports::Ports,
    store::{
        Batch, Content, FileStore, Fuse, Link, LinkId, Records, Row, SLOT, Store, StoreError,
        Table, Volume,
    },
};

/// A storage system over its directory.
pub struct Array {
    pub(crate) head: Head,
    pub(crate) ldevs: HashMap<LdevId, Ldev>,
    pub(crate) ports: Ports,
    pub(crate) store: Box<dyn Store>,
    pub(crate) copier: Copier,
    state: RwLock<State>,
    changes: Mutex<Executed>,
    clock: Box<dyn Clock>,
    _directory: Directory,
}

/// What changes while the array runs.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) guards: HashMap<LdevId, GuardRecord>,
}

impl Array {
    /// Opens the array in a directory made by [`Directory::init`], verifying all of it. Copies
    /// go on when somebody makes them: [`Array::step`] or [`crate::copier::run`].
    ///
    /// # Errors
    /// See [`DirectoryError`]; damage is told by the name of the file.
    pub fn open(dir: &Path) -> Result<Self, DirectoryError> {
        Self::open_seen(dir, &mut || {})
    }

    /// The same; `seen` is told of each LDEV verified.
    ///
    /// # Errors
    /// Those of [`Array::open`].
    pub fn open_seen(dir: &Path, seen: &mut dyn FnMut()) -> Result<Self, DirectoryError> {
        Self::open_watched(dir, Box::new(SystemClock), Fuse::default(), seen)
    }

    /// The same with a clock and a fuse of the caller's.
    pub(crate) fn open_watched(
        dir: &Path,
        clock: Box<dyn Clock>,
        fuse: Fuse,
        seen: &mut dyn FnMut(),
    ) -> Result<Self, DirectoryError> {
        let directory = Directory::open(dir)?;
        let records = Records::open(&directory.records())?;
        let inventory = Inventory::load(&records)?;
        let state = load_state(&records, &inventory)?;
        let changes = Executed::load(&records)?;
        let links = state.registry.iter().map(|(id, pair)| {
            let bytes = inventory.ldevs.get(&pair.primary.ldev).map_or(0, |ldev| ldev.size.bytes());
            let (source, target) = (pair.primary.ldev, pair.secondary.ldev);
            let slots = bytes.div_ceil(SLOT);
            (id, Link::new(source, target, pair.flow(), pair.writable, slots))
        });
        let volumes = inventory.ldevs.iter().map(|(id, ldev)| {
            let (size, has_file) = (ldev.size, ldev.has_file);
            (*id, Volume { size, has_file })
        });
        let ldevs = inventory.ldevs.clone();
        let spell = {
            let ldevs = std::sync::Arc::new(inventory.ldevs.clone());
            move |id: LdevId, has_file| {
                ldevs.get(&id).map_or(Row::remove(Table::Ldevs, id.get().into()), |ldev| {
                    Ldev { has_file, ..*ldev }.row(id)
                })
            }
        };
        let store = FileStore::open(records, &directory.data(), volumes, spell, links, fuse)?;
        store.verify(seen)?;
        Ok(Self {
            head: inventory.head,
            ldevs,
            ports: Ports::new(inventory.paths),
            store: Box::new(store),
            copier: Copier::default(),
            state: RwLock::new(state),
            changes: Mutex::new(changes),
            clock,
            _directory: directory,
        })
    }

    /// The name plate.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The copy job of this array.
    #[must_use]
    pub const fn copier(&self) -> &Copier {
        &self.copier
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
        let found = self.store.read(ldev, offset, buffer);
        found.map_err(|error| self.about(ldev, error))
    }

    /// Writes as a host does. Durable after [`Array::flush`].
    ///
    /// # Errors
    /// Those of [`Array::read`]; EX_INVVOL for a command device and for an S-VOL that is not
    /// writable now.
    pub fn write(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), CciError> {
        self.check_writable(ldev)?;
        let written = self.store.write(ldev, offset, data);
        self.copier.wake();
        written.map_err(|error| self.about(ldev, error))
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
        self.ldevs.contains_key(&end.ldev).then(|| self.end_status(&self.state(), end))
    }

    pub(crate) fn end_status(&self, state: &State, end: LocalEnd) -> EndStatus {
        let Some((id, pair)) = state.registry.at(end) else {
            return EndStatus::SMPL;
        };
        let role = pair.role(end);
        let partner = pair.partner(end);
        let difference = self.store.difference(id).unwrap_or_default();
        EndStatus {
            role,
            status: pair.phase.status(role),
            partner: Some(PairEnd { volume: self.volume(partner.ldev), mu: partner.mu }),
            percent: difference.percent(),
            noread: pair.noread,
            svol_writable: pair.svol_writable(),
            ctg: pair.ctg,
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

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
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
                difference: &|id| self.store.difference(id).unwrap_or_default(),
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
        answer
    }

    fn set_guard(
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
    Ok(state)
}
