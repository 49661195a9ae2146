//! The first store: sparse files, real copying, difference bitmaps in redb (ADR 003).
//!
//! One barrier orders everything that changes: host writes, changes of links and steps of
//! copying each hold it alone, for at most a few MiB of I/O and one commit; reads share it. Who
//! only asks (status, differences) takes none of it.
//!
//! The order of a host's write, which makes it right at whatever instant the power goes:
//! 1. slots that somebody still has to fetch from here are fetched and flushed,
//! 2. one commit clears their bits and sets those of the links that must know of the write,
//! 3. the bytes are written.
//!
//! A step of copying writes the slots, flushes the files on both sides, and clears the bits in one
//! commit. The source is flushed too: else a power failure could take back a write that the copy
//! has kept, with no bit to tell of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::{Blocks, LdevId};

use super::{
    Batch, Content, Difference, Disks, Fuse, Link, LinkId, MAX_IO, Records, Row, SLOT, Store,
    StoreError, Swept, Table,
    bits::{Bits, CHUNK_SLOTS},
    disks::Disk,
    links::{Fetch, Flip, Links, Map, Plan},
};

/// Bytes that one step of copying moves at most, over all of its links.
const STEP_BYTES: u64 = 4 << 20;
/// Slots that one step looks at at most, holes among them.
const STEP_SLOTS: u64 = 1 << 14;

/// What the store knows of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Its size.
    pub size: Blocks,
    /// Whether it has a data file.
    pub has_file: bool,
}

struct Held {
    size: Blocks,
    has_file: AtomicBool,
    /// The volume's record, with and without a file, as the layer above spells it.
    record: Box<dyn Fn(bool) -> Row + Send + Sync>,
}

/// Volumes as sparse files, links as bitmaps in the records beside them.
pub struct FileStore {
    records: Records,
    disks: Disks,
    volumes: HashMap<LdevId, Held>,
    links: RwLock<Links>,
    barrier: RwLock<()>,
    /// How many wait at the barrier; copying lets them go first.
    waiting: AtomicUsize,
}

/// Data of one slot on its way.
enum SlotData {
    Zeros,
    Bytes(Vec<u8>),
}

impl FileStore {
    /// A store over the records and the data files below `dir`.
    ///
    /// `record` spells the record of a volume, which the store rewrites when the volume gets its
    /// file; `links` are those that the pairs of the layer above imply.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a bitmap does not fit its link.
    pub(crate) fn open(
        records: Records,
        dir: &Path,
        volumes: impl IntoIterator<Item = (LdevId, Volume)>,
        record: impl Fn(LdevId, bool) -> Row + Clone + Send + Sync + 'static,
        links: impl IntoIterator<Item = (LinkId, Link)>,
        fuse: Fuse,
    ) -> Result<Self, StoreError> {
        let volumes = volumes
            .into_iter()
            .map(|(ldev, volume)| {
                let record = record.clone();
                let held = Held {
                    size: volume.size,
                    has_file: volume.has_file.into(),
                    record: Box::new(move |has_file| record(ldev, has_file)),
                };
                (ldev, held)
            })
            .collect();
        let mut loaded: HashMap<LinkId, Link> = links.into_iter().collect();
        for (key, bytes) in records.load(Table::Bitmaps)? {
            let (id, map, chunk) = split_key(key)
                .ok_or_else(|| records.damaged(Table::Bitmaps, key, "no such bitmap"))?;
            let fits =
                loaded.get_mut(&id).is_some_and(|link| link.map_mut(map).load_chunk(chunk, &bytes));
            if !fits {
                return Err(records.damaged(Table::Bitmaps, key, "it does not fit its pair"));
            }
        }
        let mut links = Links::default();
        for (id, link) in loaded {
            if !link.is_sound() {
                let key = bitmap_key(id, Map::ToTarget, 0);
                return Err(records.damaged(
                    Table::Bitmaps,
                    key,
                    "the bitmaps of the pair contradict each other",
                ));
            }
            links.put(id, Some(link));
        }
        Ok(Self {
            disks: Disks::new(dir, fuse),
            records,
            volumes,
            links: RwLock::new(links),
            barrier: RwLock::new(()),
            waiting: AtomicUsize::new(0),
        })
    }

    /// That every data file is there in its full length. `seen` is told after each volume.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first file that is not.
    pub fn verify(&self, mut seen: impl FnMut()) -> Result<(), StoreError> {
        let mut ldevs: Vec<_> = self.volumes.iter().collect();
        ldevs.sort_unstable_by_key(|(ldev, _)| **ldev);
        for (ldev, held) in ldevs {
            if held.has_file.load(Ordering::Acquire) {
                self.disks.verify(*ldev, held.size)?;
            }
            seen();
        }
        Ok(())
    }

    fn links(&self) -> RwLockReadGuard<'_, Links> {
        self.links.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn links_mut(&self) -> RwLockWriteGuard<'_, Links> {
        self.links.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.barrier.write().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.barrier.read().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    /// The barrier for copying. A lock that is not fair would let a copy at full pace take it
    /// again and again; who waits goes first, for as long as one of their turns may last.
    fn last(&self) -> RwLockWriteGuard<'_, ()> {
        for _ in 0..100 {
            if self.waiting.load(Ordering::SeqCst) == 0 {
                break;
            }
            std::thread::park_timeout(Duration::from_micros(100));
        }
        self.barrier.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, ldev: LdevId) -> Result<&Held, StoreError> {
        self.volumes.get(&ldev).ok_or(StoreError::NoLdev(ldev))
    }

    fn within(&self, ldev: LdevId, offset: u64, length: usize) -> Result<&Held, StoreError> {
        let held = self.held(ldev)?;
        let size = held.size.bytes();
        let end = offset.saturating_add(length as u64);
        if end > size {
            return Err(StoreError::Range { ldev, size, offset, end });
        }
        Ok(held)
    }

    /// The file of a volume, if it has one.
    fn disk(&self, ldev: LdevId) -> Result<Option<Arc<Disk>>, StoreError> {
        let held = self.held(ldev)?;
        held.has_file.load(Ordering::Acquire).then(|| self.disks.open(ldev, held.size)).transpose()
    }

    /// The file of a volume, made now if it has none; then `made` remembers to record it.
    fn disk_to_write(
        &self,
        ldev: LdevId,
        made: &mut BTreeMap<LdevId, Arc<Disk>>,
    ) -> Result<Arc<Disk>, StoreError> {
        if let Some(disk) = made.get(&ldev) {
            return Ok(Arc::clone(disk));
        }
        if let Some(disk) = self.disk(ldev)? {
            return Ok(disk);
        }
        let disk = self.disks.create(ldev, self.held(ldev)?.size)?;
        made.insert(ldev, Arc::clone(&disk));
        Ok(disk)
    }

    /// Commits bits and new files, then makes both true in memory.
    fn commit_bits(
        &self,
        flips: &[Flip],
        made: &BTreeMap<LdevId, Arc<Disk>>,
    ) -> Result<(), StoreError> {
        let mut rows = self.bit_rows(flips);
        for ldev in made.keys() {
            rows.push((self.held(*ldev)?.record)(true));
        }
        if !rows.is_empty() {
            self.disks.fuse.burn(self.records.path())?;
            self.records.commit(&rows)?;
        }
        for ldev in made.keys() {
            self.held(*ldev)?.has_file.store(true, Ordering::Release);
        }
        if !flips.is_empty() {
            let mut links = self.links_mut();
            flips.iter().for_each(|flip| links.flip(*flip));
        }
        Ok(())
    }

    /// The stored pieces that `flips` change, as they are after them.
    fn bit_rows(&self, flips: &[Flip]) -> Vec<Row> {
        let links = self.links();
        let mut changed: HashMap<(LinkId, Map), (Bits, BTreeSet<u64>)> = HashMap::new();
        for flip in flips {
            let Some(link) = links.get(flip.link) else {
                continue;
            };
            let (bits, chunks) = changed
                .entry((flip.link, flip.map))
                .or_insert_with(|| (link.map(flip.map).clone(), BTreeSet::new()));
            bits.put(flip.slot, flip.on);
            chunks.insert(flip.slot / CHUNK_SLOTS);
        }
        changed
            .iter()
            .flat_map(|((id, map), (bits, chunks))| {
                chunks.iter().map(|chunk| Row {
                    table: Table::Bitmaps,
                    key: bitmap_key(*id, *map, *chunk),
                    value: bits.chunk(*chunk),
                })
            })
            .collect()
    }

    fn slot_bytes(&self, ldev: LdevId, slot: u64) -> Result<u64, StoreError> {
        let size = self.held(ldev)?.size.bytes();
        Ok(SLOT.min(size.saturating_sub(slot * SLOT)))
    }

    /// What the file of `ldev` has in a slot.
    fn load_slot(&self, ldev: LdevId, slot: u64) -> Result<SlotData, StoreError> {
        let (start, length) = (slot * SLOT, self.slot_bytes(ldev, slot)?);
        let Some(disk) = self.disk(ldev)? else {
            return Ok(SlotData::Zeros);
        };
        if disk.data_after(start)?.is_none_or(|data| data >= start + length) {
            return Ok(SlotData::Zeros);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        disk.read(start, &mut bytes)?;
        Ok(if is_zero(&bytes) { SlotData::Zeros } else { SlotData::Bytes(bytes) })
    }

    /// Puts data into a slot of a file, keeping the file sparse; tells the bytes moved.
    fn store_slot(
        &self,
        ldev: LdevId,
        slot: u64,
        data: &SlotData,
        made: &mut BTreeMap<LdevId, Arc<Disk>>,
    ) -> Result<u64, StoreError> {
        let start = slot * SLOT;
        match data {
            SlotData::Bytes(bytes) => {
                self.disk_to_write(ldev, made)?.write(start, bytes)?;
                Ok(bytes.len() as u64)
            }
            SlotData::Zeros => {
                let length = self.slot_bytes(ldev, slot)?;
                let disk =
                    made.get(&ldev).cloned().map_or_else(|| self.disk(ldev), |d| Ok(Some(d)))?;
                if let Some(disk) = disk
                    && disk.data_after(start)?.is_some_and(|data| data < start + length)
                {
                    disk.punch(start, length)?;
                }
                Ok(0)
            }
        }
    }

    /// Fetches one slot; tells from and to which file, and how many bytes moved.
    fn fetch(
        &self,
        fetch: Fetch,
        made: &mut BTreeMap<LdevId, Arc<Disk>>,
    ) -> Result<(LdevId, LdevId, u64), StoreError> {
        let (from, to) = {
            let links = self.links();
            let link = links.get(fetch.link).ok_or_else(|| {
                StoreError::damaged(self.records.path(), "a pair vanished while it was copied")
            })?;
            let (from, to) = match fetch.map {
                Map::ToSource => (link.target, link.source),
                Map::ToTarget | Map::Changed => (link.source, link.target),
            };
            (links.resolve(from, fetch.slot), to)
        };
        let data = self.load_slot(from, fetch.slot)?;
        let moved = self.store_slot(to, fetch.slot, &data, made)?;
        Ok((from, to, moved))
    }

    fn write_piece(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        let _alone = self.alone();
        let mut plan = Plan::default();
        {
            let links = self.links();
            if !links.takes_writes(ldev) {
                return Err(StoreError::Protected(ldev));
            }
            for slot in slots_of(offset, data.len()) {
                links.before_write(ldev, slot, &mut plan);
            }
        }
        let mut made = BTreeMap::new();
        let mut touched = BTreeSet::new();
        for fetch in &plan.fetches {
            touched.insert(self.fetch(*fetch, &mut made)?.1);
        }
        for to in touched {
            if let Some(disk) =
                made.get(&to).cloned().map_or_else(|| self.disk(to), |d| Ok(Some(d)))?
            {
                disk.sync()?;
            }
        }
        if is_zero(data) && self.disk(ldev)?.is_none() && !made.contains_key(&ldev) {
            return self.commit_bits(&plan.flips, &made);
        }
        let disk = self.disk_to_write(ldev, &mut made)?;
        self.commit_bits(&plan.flips, &made)?;
        if is_zero(data) { disk.punch(offset, data.len() as u64) } else { disk.write(offset, data) }
    }

    /// Copies from one link until it or the step is used up.
    fn sweep(
        &self,
        id: LinkId,
        from: u64,
        step: &mut StepBudget,
        work: &mut StepWork,
    ) -> Result<(Option<u64>, u64), StoreError> {
        let mut at = from;
        let mut moved = 0;
        let mut flips = Vec::new();
        let mut files = BTreeSet::new();
        let next = loop {
            let found = {
                let links = self.links();
                links.get(id).and_then(|link| {
                    let each = [Map::ToSource, Map::ToTarget]
                        .map(|map| link.map(map).next(at).map(|slot| (slot, map)));
                    each.into_iter().flatten().min_by_key(|(slot, _)| *slot)
                })
            };
            let Some((slot, map)) = found else {
                break None;
            };
            if step.is_spent() {
                break Some(slot);
            }
            let (source, target, bytes) =
                self.fetch(Fetch { link: id, map, slot }, &mut work.made)?;
            files.extend([source, target]);
            step.slots += 1;
            step.bytes += bytes;
            moved += bytes;
            flips.push(Flip { link: id, map, slot, on: false });
            at = slot + 1;
        };
        work.links.insert(id, (flips, files));
        Ok((next, moved))
    }
}

/// What a step of copying has used.
#[derive(Default)]
struct StepBudget {
    slots: u64,
    bytes: u64,
}

impl StepBudget {
    const fn is_spent(&self) -> bool {
        self.slots >= STEP_SLOTS || self.bytes >= STEP_BYTES
    }
}

/// What a step of copying has done and not yet committed.
#[derive(Default)]
struct StepWork {
    /// By link: the bits it may clear and the files that must be flushed before.
    links: HashMap<LinkId, (Vec<Flip>, BTreeSet<LdevId>)>,
    made: BTreeMap<LdevId, Arc<Disk>>,
}

impl Store for FileStore {
    fn read(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Result<Content, StoreError> {
        self.within(ldev, offset, buffer.len())?;
        let mut content = Content::Zeros;
        let mut done = 0;
        while done < buffer.len() {
            // A slot at a time: a long read holds nobody up.
            let _shared = self.shared();
            let at = offset + done as u64;
            let slot = at / SLOT;
            let length = piece(at, SLOT, buffer.len() - done);
            let part = &mut buffer[done..done + length];
            let holder = self.links().resolve(ldev, slot);
            match self.disk(holder)? {
                Some(disk) if disk.data_after(at)?.is_some_and(|d| d < at + length as u64) => {
                    disk.read(at, part)?;
                    content = Content::Bytes;
                }
                _ => part.fill(0),
            }
            done += length;
        }
        Ok(content)
    }

    fn write(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        self.within(ldev, offset, data.len())?;
        let mut done = 0;
        while done < data.len() {
            let length = piece(offset + done as u64, MAX_IO as u64, data.len() - done);
            self.write_piece(ldev, offset + done as u64, &data[done..done + length])?;
            done += length;
        }
        Ok(())
    }

    fn flush(&self, ldev: LdevId) -> Result<(), StoreError> {
        let _shared = self.shared();
        match self.disk(ldev)? {
            Some(disk) => disk.sync(),
            None => Ok(()),
        }
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let _alone = self.alone();
        let slots =
            |ldev| self.volumes.get(&ldev).map_or(0, |held| held.size.bytes().div_ceil(SLOT));
        let (staged, mut rows) = {
            let links = self.links();
            let staged = links.after(&batch.links, slots);
            let rows = staged
                .iter()
                .flat_map(|(id, new)| map_rows(*id, links.get(*id), new.as_ref()))
                .collect::<Vec<_>>();
            (staged, rows)
        };
        rows.extend_from_slice(&batch.rows);
        self.disks.fuse.burn(self.records.path())?;
        self.records.commit(&rows)?;
        let mut links = self.links_mut();
        for (id, link) in staged {
            links.put(id, link);
        }
        Ok(())
    }

    fn difference(&self, link: LinkId) -> Option<Difference> {
        let links = self.links();
        let link = links.get(link)?;
        Some(Difference {
            to_target: link.to_target.count(),
            to_source: link.to_source.count(),
            changed: link.changed.count(),
            total: link.changed.slots(),
        })
    }

    fn busy(&self) -> Vec<LinkId> {
        self.links().busy().iter().copied().collect()
    }

    fn copy(&self, wanted: &[(LinkId, u64)]) -> Result<Vec<Swept>, StoreError> {
        let _alone = self.last();
        let mut step = StepBudget::default();
        let mut work = StepWork::default();
        let mut answers = Vec::new();
        for (link, from) in wanted {
            if step.is_spent() {
                break;
            }
            let (next, moved, failed) = match self.sweep(*link, *from, &mut step, &mut work) {
                Ok((next, moved)) => (next, moved, None),
                Err(error) => (Some(*from), 0, Some(error)),
            };
            answers.push(Swept { link: *link, next, moved, failed });
        }
        let mut flushed: HashMap<LdevId, bool> = HashMap::new();
        let mut flips = Vec::new();
        for swept in &mut answers {
            let Some((done, files)) = work.links.remove(&swept.link) else {
                continue;
            };
            for ldev in files {
                if flushed.get(&ldev) == Some(&true) {
                    continue;
                }
                let disk = match work.made.get(&ldev) {
                    Some(disk) => Ok(Some(Arc::clone(disk))),
                    None => self.disk(ldev),
                };
                let result = disk.and_then(|disk| disk.map_or(Ok(()), |disk| disk.sync()));
                flushed.insert(ldev, result.is_ok());
                if let Err(error) = result {
                    swept.failed = Some(error);
                }
            }
            if swept.failed.is_none() {
                flips.extend(done);
            }
        }
        self.commit_bits(&flips, &work.made)?;
        Ok(answers)
    }
}

/// The rows by which the bitmaps of a link differ from those it had.
fn map_rows(id: LinkId, old: Option<&Link>, new: Option<&Link>) -> Vec<Row> {
    let mut rows = Vec::new();
    for map in Map::ALL {
        let (old, new) = (old.map(|l| l.map(map)), new.map(|l| l.map(map)));
        if old == new || (old.is_none_or(Bits::is_empty) && new.is_none_or(Bits::is_empty)) {
            continue;
        }
        let chunks = old.or(new).map_or(0, Bits::chunks);
        for chunk in 0..chunks {
            let before = old.and_then(|bits| bits.chunk(chunk));
            let value = new.and_then(|bits| bits.chunk(chunk));
            if before != value {
                rows.push(Row { table: Table::Bitmaps, key: bitmap_key(id, map, chunk), value });
            }
        }
    }
    rows
}

/// The key of a stored piece: link in bits 63-32, bitmap in bits 31-30, piece in bits 29-0.
const fn bitmap_key(id: LinkId, map: Map, chunk: u64) -> u64 {
    (id.0 as u64) << 32 | map.number() << 30 | chunk
}

fn split_key(key: u64) -> Option<(LinkId, Map, u64)> {
    let id = LinkId(u32::try_from(key >> 32).ok()?);
    let map = Map::ALL.into_iter().find(|map| map.number() == key >> 30 & 3)?;
    Some((id, map, key & ((1 << 30) - 1)))
}

/// The slots that `length` bytes at `offset` touch.
fn slots_of(offset: u64, length: usize) -> std::ops::Range<u64> {
    offset / SLOT..(offset + length as u64).div_ceil(SLOT)
}

/// How many of `left` bytes at `at` stay within one aligned unit.
fn piece(at: u64, unit: u64, left: usize) -> usize {
    usize::try_from(unit - at % unit).map_or(left, |room| room.min(left))
}

/// Whether there is nothing but zeros. Compared by the page, which is one `memcmp` each.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const PAGE: [u8; 4096] = [0; 4096];
    bytes.chunks(PAGE.len()).all(|chunk| *chunk == PAGE[..chunk.len()])
}
