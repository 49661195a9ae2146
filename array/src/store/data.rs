//! Reading and writing volumes.

use std::{
    io,
    ops::Range,
    sync::{Arc, PoisonError, RwLockReadGuard, TryLockError, atomic::Ordering},
};

use smallvec::SmallVec;

use super::{
    Content as Found, StoreError,
    engine::PoolStore,
    leaf::{BLOCK, Entry, LEAF, PAGE, PageId, Piece},
    run::{Fault, Slice},
    volume::{Cell, Content, Head, Holds, SPAN, Tether, Volume, VolumeNumber},
};

/// The part of a read or write that lies in one page.
pub(super) struct Part {
    /// The page of the volume.
    pub page: u64,
    /// The bytes within the page.
    within: Range<usize>,
    /// The bytes within the buffer.
    pub buffer: Range<usize>,
}

impl Part {
    /// The blocks that the bytes lie in.
    pub const fn blocks(&self) -> Range<usize> {
        self.within.start / BLOCK..self.within.end.div_ceil(BLOCK)
    }
}

/// The parts of a request, page by page.
pub(super) fn parts(offset: u64, bytes: Range<usize>) -> impl Iterator<Item = Part> {
    chunks(offset, bytes, PAGE as u64).map(|(at, buffer)| {
        let start = (at % PAGE as u64) as usize;
        Part { page: at / PAGE as u64, within: start..start + buffer.len(), buffer }
    })
}

/// The parts of a request that each lie under one stripe.
fn spans(offset: u64, length: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    chunks(offset, 0..length, SPAN * PAGE as u64)
}

/// A request in pieces that do not cross a multiple of `unit`: where each begins on the volume,
/// and its bytes of the buffer. `offset` is where byte `bytes.start` goes.
fn chunks(
    offset: u64,
    bytes: Range<usize>,
    unit: u64,
) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = bytes.len() - done;
        if left == 0 {
            return None;
        }
        let at = offset + done as u64;
        let count = usize::try_from(unit - at % unit).unwrap_or(left).min(left);
        let start = bytes.start + done;
        done += count;
        Some((at, start..start + count))
    })
}

/// The mask of a range of blocks.
pub(super) const fn mask_of(blocks: &Range<usize>) -> u16 {
    (((1u32 << blocks.end) - 1) & !((1u32 << blocks.start) - 1)) as u16
}

/// Runs of blocks from which on a whole page is copied sooner than they are.
const SCATTERED: usize = 3;

/// A map entry, found.
struct Place {
    leaf: u32,
    at: usize,
    cell: Arc<Cell>,
}

/// The slices of a request; most have one.
pub(super) type Slices = SmallVec<[Slice; 1]>;

/// A write of one page, worked out.
struct Planned {
    place: Place,
    page: u64,
    /// What the page is mapped to afterwards, if that changes.
    entry: Option<Entry>,
    /// A page that was taken for it, to be given back if the write fails.
    taken: Option<PageId>,
}

impl PoolStore {
    /// Reads what a volume holds.
    ///
    /// # Errors
    /// No such volume, beyond its end, [`StoreError::Medium`] for a damaged block, the disk's
    /// answer.
    pub fn read_at(
        &self,
        number: VolumeNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<Found, StoreError> {
        let volume = self.known(number, offset, buffer.len())?;
        self.with_root(&volume, |root, holds, head| {
            let mut found = Found::Zeros;
            for (at, bytes) in spans(offset, buffer.len()) {
                if self.read_span(root, holds, head, at, &mut buffer[bytes])? == Found::Bytes {
                    found = Found::Bytes;
                }
            }
            Ok(found)
        })
    }

    /// Whether pages are stored from byte `offset` on, and how many bytes more are like that.
    /// Looks at no more than some leaves.
    ///
    /// # Errors
    /// Those of [`PoolStore::read_at`].
    pub fn mapped_at(&self, number: VolumeNumber, offset: u64) -> Result<(bool, u64), StoreError> {
        const LOOK: u64 = 16 * LEAF as u64;
        let volume = self.known(number, offset, 1)?;
        let first = offset / PAGE as u64;
        let end = volume.pages().min(first + LOOK);
        self.with_root(&volume, |_, holds, head| {
            let stored = |page| match lacking(holds, page) {
                Some(_) => Ok(true),
                None => Ok(self.locate(head, page)?.1.mask() != 0),
            };
            let like = stored(first)?;
            let mut page = first + 1;
            while page < end && stored(page)? == like {
                page += 1;
            }
            Ok((like, (page * PAGE as u64).min(volume.size) - offset))
        })
    }

    /// Writes for a host. Durable after [`PoolStore::flush_all`].
    ///
    /// # Errors
    /// Those of [`PoolStore::read_at`]; [`StoreError::Protected`]; [`StoreError::Full`]. On an
    /// error some of the bytes may have been written.
    pub fn write_at(
        &self,
        number: VolumeNumber,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        self.change(number, offset, data.len() as u64, |root, holds, head, from| {
            let rest = &data[from as usize..];
            for (at, bytes) in spans(offset + from, rest.len()) {
                let start = from + bytes.start as u64;
                let written = self.write_span(root, holds, head, at, &rest[bytes]);
                written.map_err(|(done, error)| (start + done as u64, error))?;
            }
            Ok(())
        })
    }

    /// Makes bytes of a volume zeros and gives back the pages that hold nothing else.
    ///
    /// # Errors
    /// Those of [`PoolStore::write_at`].
    pub fn zero_at(
        &self,
        number: VolumeNumber,
        offset: u64,
        length: u64,
    ) -> Result<(), StoreError> {
        const STEP: usize = SPAN as usize * PAGE;
        static ZEROS: [u8; STEP] = [0; STEP];
        self.change(number, offset, length, |root, holds, head, from| {
            let mut done = from;
            while done < length {
                let at = offset + done;
                let count = (length - done).min(STEP as u64 - at % STEP as u64);
                let zeroed = self.write_span(root, holds, head, at, &ZEROS[..count as usize]);
                zeroed.map_err(|(at, error)| (done + at as u64, error))?;
                done += count;
            }
            Ok(())
        })
    }

    /// Maps every page of a volume, so that no later write to it can find its pool full (full
    /// allocation). What it holds stays as it is.
    ///
    /// # Errors
    /// Those of [`PoolStore::write_at`]; some pages may be mapped then.
    pub fn provision(&self, number: VolumeNumber) -> Result<(), StoreError> {
        // As many leaves as fit memory beside their neighbours between two commits.
        const STEP: u64 = 2048 * LEAF as u64;
        let volume = self.known(number, 0, 0)?;
        for first in (0..volume.pages()).step_by(STEP as usize) {
            {
                let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
                let head = holds.head().filter(|_| holds.writable);
                let head = head.ok_or(StoreError::Protected(ldev_of(number)))?;
                for page in first..(first + STEP).min(volume.pages()) {
                    let stripe =
                        volume.stripe(page).write().unwrap_or_else(PoisonError::into_inner);
                    let (place, entry) = self.locate(head, page)?;
                    if entry.top.is_none() {
                        let taken = head.pool.space().take();
                        let page = taken.ok_or(StoreError::Full(head.pool.id()))?;
                        let birth = head.current.load(Ordering::SeqCst);
                        let top = Some(Piece { page, birth, mask: 0 });
                        let new = Entry { top, ..Entry::default() };
                        self.meta().update(head, (place.leaf, &place.cell), place.at, new);
                    }
                    drop(stripe);
                }
            }
            self.flush_all()?;
        }
        Ok(())
    }

    /// Runs a change behind the gate. Where the pool is full, makes room and goes on from the
    /// byte that `act` came to.
    fn change(
        &self,
        number: VolumeNumber,
        offset: u64,
        length: u64,
        act: impl Fn(&Volume, &Holds, &Arc<Head>, u64) -> Result<(), (u64, StoreError)>,
    ) -> Result<(), StoreError> {
        let length_fits = usize::try_from(length).unwrap_or(usize::MAX);
        let volume = self.known(number, offset, length_fits)?;
        self.check_failed()?;
        let mut from = 0;
        loop {
            let done = {
                let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
                match holds.head().filter(|_| holds.writable) {
                    Some(head) => act(&volume, &holds, head, from),
                    None => return Err(StoreError::Protected(ldev_of(number))),
                }
            };
            match done {
                Ok(()) => return Ok(()),
                Err((at, StoreError::Full(pool))) => {
                    if !self.reclaim_for(pool)? {
                        return Err(StoreError::Full(pool));
                    }
                    from = at;
                }
                Err((_, error)) => return Err(error),
            }
        }
    }

    fn known(
        &self,
        number: VolumeNumber,
        offset: u64,
        length: usize,
    ) -> Result<Arc<Volume>, StoreError> {
        let ldev = ldev_of(number);
        let volume = self.volume(number).ok_or(StoreError::NoLdev(ldev))?;
        let end = offset.saturating_add(length as u64);
        if end > volume.size {
            return Err(StoreError::Range { ldev, size: volume.size, offset, end });
        }
        Ok(volume)
    }

    /// Runs `act` on the volume whose map says what `volume` holds, behind its gate.
    fn with_root<T>(
        &self,
        volume: &Arc<Volume>,
        mut act: impl FnMut(&Volume, &Holds, &Arc<Head>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        {
            let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(head) = holds.head() {
                return act(volume, &holds, head);
            }
        }
        loop {
            let path = climb(volume);
            let Some((root, followers)) = path.split_last() else {
                continue;
            };
            let holds = root.gate.read().unwrap_or_else(PoisonError::into_inner);
            let Some(head) = holds.head() else {
                continue;
            };
            // While an order changes one of those below, it holds the gate of the root too, or
            // that of the one it changes.
            if followers.iter().zip(&path[1..]).all(|(below, above)| follows(below, above)) {
                return act(root, &holds, head);
            }
        }
    }

    fn locate(&self, head: &Arc<Head>, page: u64) -> Result<(Place, Entry), StoreError> {
        let (leaf, at) = ((page / LEAF as u64) as u32, (page % LEAF as u64) as usize);
        let cell = self.cell(head, leaf)?;
        let entry = {
            let state = cell.state.read().unwrap_or_else(PoisonError::into_inner);
            state.leaf.entries[at]
        };
        Ok((Place { leaf, at, cell }, entry))
    }

    /// Reads what lies under one stripe, from byte `offset` of the volume on.
    fn read_span(
        &self,
        root: &Volume,
        holds: &Holds,
        head: &Arc<Head>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<Found, StoreError> {
        let stripe = root.stripe(offset / PAGE as u64);
        let _stripe = stripe.read().unwrap_or_else(PoisonError::into_inner);
        let wrong = |fault: Fault| medium(root.number, offset, fault);
        let mut slices = Slices::new();
        let mut found = Found::Zeros;
        for part in parts(offset, 0..buffer.len()) {
            let bytes = &mut buffer[part.buffer.clone()];
            if let Some(tether) = lacking(holds, part.page) {
                let at = part.page * PAGE as u64 + part.within.start as u64;
                if self.read_at(tether.origin.number, at, bytes)? == Found::Bytes {
                    found = Found::Bytes;
                }
                continue;
            }
            let (_, entry) = self.locate(head, part.page)?;
            if entry.mask() & mask_of(&part.blocks()) == 0 {
                bytes.fill(0);
                continue;
            }
            found = Found::Bytes;
            if aligned(&part) {
                gather(&entry, &part.blocks(), part.buffer.start, bytes, &mut slices);
            } else {
                let from_here = |fault: Fault| Fault { at: part.buffer.start + fault.at, ..fault };
                let read = read_unaligned(head, &entry, &part, bytes);
                read.map_err(from_here).map_err(wrong)?;
            }
        }
        head.pool.read(&slices, buffer).map_err(wrong)?;
        Ok(found)
    }

    /// Writes what lies under one stripe, from byte `offset` of the volume on. An error comes
    /// with the byte of `data` up to which everything is written.
    fn write_span(
        &self,
        root: &Volume,
        holds: &Holds,
        head: &Arc<Head>,
        offset: u64,
        data: &[u8],
    ) -> Result<(), (usize, StoreError)> {
        let stripe = root.stripe(offset / PAGE as u64);
        let _stripe = stripe.write().unwrap_or_else(PoisonError::into_inner);
        self.put(root, holds, head, offset, data)
    }

    /// Fetches a page from the origin. The caller holds its stripe.
    pub(super) fn fetch_page(
        &self,
        volume: &Volume,
        tether: &Arc<Tether>,
        page: u64,
    ) -> Result<(), StoreError> {
        let offset = page * PAGE as u64;
        let mut bytes = vec![0; (volume.size - offset).min(PAGE as u64) as usize];
        self.read_at(tether.origin.number, offset, &mut bytes)?;
        let holds = Holds {
            content: Content::Own(Arc::clone(&tether.head)),
            tether: None,
            writable: false,
        };
        let put = self.put(volume, &holds, &tether.head, offset, &bytes);
        put.map_err(|(_, error)| error)?;
        self.meta().fetched(volume.number, tether, page);
        Ok(())
    }

    /// Puts bytes into a head's map. The caller holds the stripe of all of them.
    fn put(
        &self,
        volume: &Volume,
        holds: &Holds,
        head: &Arc<Head>,
        offset: u64,
        data: &[u8],
    ) -> Result<(), (usize, StoreError)> {
        let mut slices = Slices::new();
        let mut planned: SmallVec<[Planned; 1]> = SmallVec::new();
        let mut stopped = None;
        for part in parts(offset, 0..data.len()) {
            let bytes = &data[part.buffer.clone()];
            match self.plan(volume, holds, head, &part, bytes, &mut slices) {
                Ok(plan) => planned.extend(plan),
                Err(error) => {
                    stopped = Some((part.buffer.start, error));
                    break;
                }
            }
        }
        if let Err(fault) = head.pool.write(&slices, data) {
            for page in planned.iter().filter_map(|plan| plan.taken) {
                head.pool.space().give_back(page);
            }
            return Err((0, medium(volume.number, offset, fault)));
        }
        if planned.iter().any(|plan| plan.entry.is_some()) {
            let mut meta = self.meta();
            for Planned { place, entry, .. } in &planned {
                if let Some(entry) = entry {
                    meta.update(head, (place.leaf, &place.cell), place.at, *entry);
                }
            }
        }
        if let Some(tether) = &holds.tether {
            let mut meta = self.meta();
            for plan in &planned {
                meta.fetched(volume.number, tether, plan.page);
            }
        }
        stopped.map_or(Ok(()), Err)
    }

    /// Works out a write within one page: adds what is to be written to `slices`, and tells what
    /// the map says afterwards. Whole zeros, and edges of blocks, are done at once.
    fn plan(
        &self,
        volume: &Volume,
        holds: &Holds,
        head: &Arc<Head>,
        part: &Part,
        data: &[u8],
        slices: &mut Slices,
    ) -> Result<Option<Planned>, StoreError> {
        let page_at = part.page * PAGE as u64;
        let whole_page = part.within.start == 0
            && part.within.end as u64 >= (volume.size - page_at).min(PAGE as u64);
        let lacking = lacking(holds, part.page);
        if let Some(tether) = lacking.filter(|_| !whole_page) {
            self.fetch_page(volume, tether, part.page)?;
        }
        let (place, entry) = self.locate(head, part.page)?;
        let page = part.page;
        let blocks = part.blocks();
        let mask = mask_of(&blocks);
        if is_zero(data) {
            // Zeros in place of what was not even fetched are a change that has to be noted.
            let instead = whole_page && lacking.is_some();
            if entry.mask() & mask == 0 && !instead {
                return Ok(Some(Planned { place, page, entry: None, taken: None }));
            }
            if whole_page || (entry.mask() & !mask == 0 && aligned(part)) {
                let cleared = head.current.load(Ordering::SeqCst);
                let entry = Some(Entry { cleared, ..Entry::default() });
                return Ok(Some(Planned { place, page, entry, taken: None }));
            }
        }
        let at = page_at + (blocks.start * BLOCK) as u64;
        let wrong = |fault| medium(volume.number, at, fault);
        let whole = whole_blocks(head, &entry, part, data).map_err(wrong)?;
        let owned = {
            let state = place.cell.state.read().unwrap_or_else(PoisonError::into_inner);
            let floor = head.floor.load(Ordering::SeqCst);
            state
                .generation
                .is_some_and(|generation| generation > floor)
                .then_some(state.leaf.since)
        };
        let top = entry.top.filter(|top| owned.is_some_and(|since| top.birth >= since));
        let (top, new, taken) = match top {
            Some(top) => {
                if top.mask == 0 {
                    head.pool.prepare(top.page).map_err(|error| wrong(Fault { at: 0, error }))?;
                }
                let wider = Piece { mask: top.mask | mask, ..top };
                let new = Entry { top: Some(wider), base: over(&wider, entry.base), cleared: 0 };
                (top, (wider.mask != top.mask).then_some(new), None)
            }
            None => {
                let (top, new) = self.take_over(volume, head, &entry, part)?;
                (top, Some(new), Some(top.page))
            }
        };
        match whole {
            None => slices.push(Slice::new(top.page, top.birth, &blocks, part.buffer.start)),
            Some(whole) => {
                let slice = Slice::new(top.page, top.birth, &blocks, 0);
                if let Err(fault) = head.pool.write(&[slice], &whole) {
                    if let Some(page) = taken {
                        head.pool.space().give_back(page);
                    }
                    return Err(wrong(fault));
                }
            }
        }
        Ok(Some(Planned { place, page, entry: new, taken }))
    }

    /// Copies the blocks of a page into its base, or what it lacks from there, whichever is less,
    /// if both belong to the head's own record; the other one goes.
    pub(super) fn fold_page(
        &self,
        volume: &Volume,
        head: &Arc<Head>,
        page: u64,
    ) -> Result<(), StoreError> {
        let stripe = volume.stripe(page).write().unwrap_or_else(PoisonError::into_inner);
        let (place, entry) = self.locate(head, page)?;
        let since = {
            let state = place.cell.state.read().unwrap_or_else(PoisonError::into_inner);
            let floor = head.floor.load(Ordering::SeqCst);
            state.generation.filter(|generation| *generation > floor).map(|_| state.leaf.since)
        };
        let (Some(since), Some(top), Some(base)) = (since, entry.top, entry.base) else {
            return Ok(());
        };
        if top.birth < since || base.birth < since {
            return Ok(());
        }
        let lacking = base.mask & !top.mask;
        // Blocks of the base that the page covers are nobody's: until the map says otherwise,
        // they may hold anything.
        let (stays, copied) = if top.mask.count_ones() < lacking.count_ones() {
            (base, top.mask)
        } else {
            (top, lacking)
        };
        if let Err(fault) = copy_blocks(head, &entry, &stays, copied) {
            // A damaged block stays where it is, and its base with it.
            log::warn!("{}", medium(volume.number, page * PAGE as u64, fault));
            return Ok(());
        }
        let merged = Piece { mask: top.mask | base.mask, ..stays };
        let new = Entry { top: Some(merged), base: None, cleared: 0 };
        self.meta().update(head, (place.leaf, &place.cell), place.at, new);
        drop(stripe);
        Ok(())
    }

    /// Takes a new page for blocks that are about to be written, because others need the one that
    /// is there; and what the map says once they are.
    fn take_over(
        &self,
        volume: &Volume,
        head: &Arc<Head>,
        entry: &Entry,
        part: &Part,
    ) -> Result<(Piece, Entry), StoreError> {
        let offset = part.page * PAGE as u64;
        let wrong = |error| medium(volume.number, offset, Fault { at: 0, error });
        if self.records.is_short() {
            let what = "the file system of the array directory has no space in reserve";
            return Err(wrong(io::Error::new(io::ErrorKind::StorageFull, what)));
        }
        let taken = head.pool.take().map_err(wrong)?;
        let page = taken.ok_or(StoreError::Full(head.pool.id()))?;
        let birth = head.current.load(Ordering::SeqCst);
        let mut top = Piece { page, birth, mask: mask_of(&part.blocks()) };
        let mut below = entry.top;
        if let (Some(upper), Some(lower)) = (entry.top, entry.base) {
            // A page over a page over a page would not end: the blocks of one of the two are
            // copied, of whichever has fewer that are needed, or all where they are scattered.
            let of_upper = upper.mask & !top.mask;
            let of_lower = lower.mask & !upper.mask & !top.mask;
            let upper_less = of_upper.count_ones() <= of_lower.count_ones();
            let (some, stays) = if upper_less { (of_upper, lower) } else { (of_lower, upper) };
            let scattered = runs_of(some).count() > SCATTERED;
            let (copied, stays) =
                if scattered { (entry.mask(), None) } else { (some, Some(stays)) };
            if let Err(fault) = copy_blocks(head, entry, &top, copied) {
                head.pool.space().give_back(page);
                return Err(medium(volume.number, offset, fault));
            }
            top.mask |= copied;
            below = stays;
        }
        let base = over(&top, below);
        Ok((top, Entry { top: Some(top), base, cleared: 0 }))
    }
}

/// Copies blocks of what a page is mapped to to another page of the head's pool.
fn copy_blocks(head: &Head, from: &Entry, to: &Piece, mask: u16) -> Result<(), Fault> {
    let mut bytes = vec![0; PAGE];
    let (mut read, mut written) = (Slices::new(), Slices::new());
    for run in runs_of(mask) {
        let at = run.start * BLOCK;
        gather(from, &run, at, &mut bytes[at..run.end * BLOCK], &mut read);
        written.push(Slice::new(to.page, to.birth, &run, at));
    }
    head.pool.read(&read, &mut bytes)?;
    head.pool.write(&written, &bytes)
}

/// The runs of blocks in a mask.
fn runs_of(mask: u16) -> impl Iterator<Item = Range<usize>> {
    let mut left = u32::from(mask);
    std::iter::from_fn(move || {
        (left != 0).then(|| {
            let start = left.trailing_zeros();
            let end = start + (left >> start).trailing_ones();
            left &= !((1 << end) - 1);
            start as usize..end as usize
        })
    })
}

/// The volumes from `volume` up to the one with a map.
pub(super) fn climb(volume: &Arc<Volume>) -> Vec<Arc<Volume>> {
    let mut path = vec![Arc::clone(volume)];
    while let Some(last) = path.last() {
        let holds = last.gate.read().unwrap_or_else(PoisonError::into_inner);
        let Content::Alias(above) = &holds.content else {
            break;
        };
        let above = Arc::clone(above);
        drop(holds);
        path.push(above);
    }
    path
}

/// Whether `below` follows `above` now. False also when an order has it: the caller lets go of
/// what it holds and looks again.
fn follows(below: &Volume, above: &Arc<Volume>) -> bool {
    let holds: RwLockReadGuard<'_, Holds> = match below.gate.try_read() {
        Ok(holds) => holds,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return false,
    };
    matches!(&holds.content, Content::Alias(source) if Arc::ptr_eq(source, above))
}

/// The tether of a volume that still lacks a page.
fn lacking(holds: &Holds, page: u64) -> Option<&Arc<Tether>> {
    let tether = holds.tether.as_ref()?;
    let todo = tether.todo.lock().unwrap_or_else(PoisonError::into_inner);
    todo.has(page).then_some(tether)
}

/// What is left of an older piece below a younger one.
const fn over(top: &Piece, below: Option<Piece>) -> Option<Piece> {
    match below {
        Some(below) if below.mask & !top.mask != 0 => Some(below),
        _ => None,
    }
}

pub(super) const fn aligned(part: &Part) -> bool {
    part.within.start.is_multiple_of(BLOCK) && part.within.end.is_multiple_of(BLOCK)
}

/// Adds what a page has of these blocks to `slices`; what it does not have becomes zeros. `at` is
/// the byte of the request where `buffer` begins.
pub(super) fn gather(
    entry: &Entry,
    blocks: &Range<usize>,
    at: usize,
    buffer: &mut [u8],
    slices: &mut Slices,
) {
    let mut first = blocks.start;
    while first < blocks.end {
        let piece = entry.piece(first);
        let same = |n: &usize| entry.piece(*n).map(|p| p.page) == piece.map(|p| p.page);
        let end = (first + 1..blocks.end).find(|n| !same(n)).unwrap_or(blocks.end);
        let start = (first - blocks.start) * BLOCK;
        match piece {
            Some(p) => slices.push(Slice::new(p.page, p.birth, &(first..end), at + start)),
            None => buffer[start..start + (end - first) * BLOCK].fill(0),
        }
        first = end;
    }
}

/// Reads bytes of a page that do not begin and end with blocks.
fn read_unaligned(head: &Head, entry: &Entry, part: &Part, buffer: &mut [u8]) -> Result<(), Fault> {
    let blocks = part.blocks();
    let mut bounce = vec![0; blocks.len() * BLOCK];
    let mut slices = Slices::new();
    gather(entry, &blocks, 0, &mut bounce, &mut slices);
    let start = part.within.start - blocks.start * BLOCK;
    let inside = |fault: Fault| Fault { at: fault.at.saturating_sub(start), ..fault };
    head.pool.read(&slices, &mut bounce).map_err(inside)?;
    buffer.copy_from_slice(&bounce[start..start + buffer.len()]);
    Ok(())
}

/// The whole blocks that a write touches, as they are after it; `None` when `data` is all of
/// them.
fn whole_blocks(
    head: &Head,
    entry: &Entry,
    part: &Part,
    data: &[u8],
) -> Result<Option<Vec<u8>>, Fault> {
    if aligned(part) {
        return Ok(None);
    }
    let blocks = part.blocks();
    let mut bytes = vec![0; blocks.len() * BLOCK];
    let mut edges = Vec::with_capacity(2);
    if !part.within.start.is_multiple_of(BLOCK) {
        edges.push(blocks.start);
    }
    if !part.within.end.is_multiple_of(BLOCK) && edges.last() != Some(&(blocks.end - 1)) {
        edges.push(blocks.end - 1);
    }
    for block in edges {
        if let Some(piece) = entry.piece(block) {
            let at = (block - blocks.start) * BLOCK;
            let read = head.pool.read_block(*piece, block, &mut bytes[at..at + BLOCK]);
            read.map_err(|error| Fault { at, error })?;
        }
    }
    let start = part.within.start - blocks.start * BLOCK;
    bytes[start..start + data.len()].copy_from_slice(data);
    Ok(Some(bytes))
}

/// Whether all bytes are zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| *word == [0; 16]) && rest.iter().all(|byte| *byte == 0)
}

/// The LDEV that a volume is, for errors.
pub(super) fn ldev_of(number: VolumeNumber) -> model::LdevId {
    model::LdevId::new(number).unwrap_or_default()
}

/// An error of the data of a volume, in a request that begins at `offset`.
fn medium(volume: VolumeNumber, offset: u64, fault: Fault) -> StoreError {
    match fault.error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            let what = fault.error.to_string();
            StoreError::Medium { volume, offset: offset + fault.at as u64, what }
        }
        _ => StoreError::Data { volume, source: fault.error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_its_runs() {
        let runs = |mask| runs_of(mask).collect::<Vec<_>>();
        assert!(runs(0).is_empty());
        assert_eq!(runs(u16::MAX).len(), 1);
        assert_eq!(runs(0b1000_0000_0110_0001), [0..1, 5..7, 15..16]);
    }

    #[test]
    fn a_request_is_cut_where_pages_and_stripes_end() {
        let page = PAGE as u64;
        let cut: Vec<_> = parts(page - 512, 0..PAGE + 1024).map(|p| (p.page, p.within)).collect();
        assert_eq!(cut, [(0, PAGE - 512..PAGE), (1, 0..PAGE), (2, 0..512)]);
        let cut: Vec<_> = spans(15 * page, 2 * PAGE).collect();
        assert_eq!(cut, [(15 * page, 0..PAGE), (16 * page, PAGE..2 * PAGE)]);
    }
}
