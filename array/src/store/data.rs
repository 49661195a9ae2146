//! Reading and writing volumes.

use std::{
    io,
    ops::Range,
    sync::{Arc, PoisonError, RwLockReadGuard, TryLockError, atomic::Ordering},
};

use super::{
    Content as Found, StoreError,
    engine::PoolStore,
    leaf::{BLOCK, BLOCKS, Entry, LEAF, PAGE, Piece},
    volume::{Cell, Content, Head, Holds, Tether, Volume, VolumeNumber},
};

/// The part of a read or write that lies in one page.
struct Part {
    /// The page of the volume.
    page: u64,
    /// The bytes within the page.
    within: Range<usize>,
    /// The bytes within the buffer.
    buffer: Range<usize>,
}

impl Part {
    /// The blocks that the bytes lie in.
    const fn blocks(&self) -> Range<usize> {
        self.within.start / BLOCK..self.within.end.div_ceil(BLOCK)
    }

    const fn is_whole(&self) -> bool {
        self.within.end - self.within.start == PAGE
    }
}

fn parts(offset: u64, length: usize) -> impl Iterator<Item = Part> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let start = (at % PAGE as u64) as usize;
        let count = (PAGE - start).min(length - done);
        let buffer = done..done + count;
        done += count;
        Some(Part { page: at / PAGE as u64, within: start..start + count, buffer })
    })
}

/// The mask of a range of blocks.
const fn mask_of(blocks: &Range<usize>) -> u16 {
    (((1u32 << blocks.end) - 1) & !((1u32 << blocks.start) - 1)) as u16
}

/// A map entry, found.
struct Place {
    leaf: u32,
    at: usize,
    cell: Arc<Cell>,
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
            for part in parts(offset, buffer.len()) {
                let bytes = &mut buffer[part.buffer.clone()];
                if self.read_part(root, holds, head, &part, bytes)? == Found::Bytes {
                    found = Found::Bytes;
                }
            }
            Ok(found)
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
            for part in parts(offset + from, data.len() - from as usize) {
                let start = from as usize + part.buffer.start;
                let bytes = &data[start..start + part.buffer.len()];
                let written = self.write_part(root, holds, head, &part, bytes);
                written.map_err(|error| (start as u64, error))?;
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
        static ZEROS: [u8; PAGE] = [0; PAGE];
        self.change(number, offset, length, |root, holds, head, from| {
            let mut done = from;
            while done < length {
                let count = (length - done).min(PAGE as u64 * LEAF as u64) as usize;
                for part in parts(offset + done, count) {
                    let at = done + part.buffer.start as u64;
                    let written =
                        self.write_part(root, holds, head, &part, &ZEROS[..part.buffer.len()]);
                    written.map_err(|error| (at, error))?;
                }
                done += count as u64;
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

    fn read_part(
        &self,
        root: &Volume,
        holds: &Holds,
        head: &Arc<Head>,
        part: &Part,
        buffer: &mut [u8],
    ) -> Result<Found, StoreError> {
        let stripe = root.stripe(part.page).read().unwrap_or_else(PoisonError::into_inner);
        if let Some(tether) = lacking(holds, part.page) {
            drop(stripe);
            return self.with_root(&tether.origin, |root, holds, head| {
                let part = Part { page: part.page, within: part.within.clone(), buffer: 0..0 };
                self.read_part(root, holds, head, &part, buffer)
            });
        }
        let (_, entry) = self.locate(head, part.page)?;
        let found = read_blocks(head, &entry, part, buffer);
        found.map_err(|error| medium(root.number, part.page, error))
    }

    /// Writes within one page.
    fn write_part(
        &self,
        root: &Volume,
        holds: &Holds,
        head: &Arc<Head>,
        part: &Part,
        data: &[u8],
    ) -> Result<(), StoreError> {
        let stripe = root.stripe(part.page).write().unwrap_or_else(PoisonError::into_inner);
        let lacking = lacking(holds, part.page);
        if let Some(tether) = lacking.filter(|_| !part.is_whole()) {
            self.fetch_page(root, tether, part.page)?;
        }
        self.put(root, head, part, data)?;
        if let Some(tether) = lacking.filter(|_| part.is_whole()) {
            self.meta().fetched(root.number, tether, part.page);
        }
        drop(stripe);
        Ok(())
    }

    /// Fetches a page from the origin. The caller holds its stripe.
    pub(super) fn fetch_page(
        &self,
        volume: &Volume,
        tether: &Arc<Tether>,
        page: u64,
    ) -> Result<(), StoreError> {
        let length = (volume.size - page * PAGE as u64).min(PAGE as u64) as usize;
        let mut bytes = vec![0; length];
        let part = Part { page, within: 0..length, buffer: 0..length };
        self.with_root(&tether.origin, |root, holds, head| {
            self.read_part(root, holds, head, &part, &mut bytes)
        })?;
        self.put(volume, &tether.head, &part, &bytes)?;
        self.meta().fetched(volume.number, tether, page);
        Ok(())
    }

    /// Puts bytes into a page of a head's map. The caller holds the page's stripe.
    fn put(
        &self,
        volume: &Volume,
        head: &Arc<Head>,
        part: &Part,
        data: &[u8],
    ) -> Result<(), StoreError> {
        let (place, entry) = self.locate(head, part.page)?;
        let blocks = part.blocks();
        let mask = mask_of(&blocks);
        if is_zero(data) {
            let last = volume.size.saturating_sub(part.page * PAGE as u64) as usize;
            if entry.mask() & mask == 0 {
                return Ok(());
            }
            let all = part.within.start == 0 && part.within.end >= last.min(PAGE);
            if all || (entry.mask() & !mask == 0 && aligned(part)) {
                let cleared = head.current.load(Ordering::SeqCst);
                let new = Entry { cleared, ..Entry::default() };
                self.meta().update(head, (place.leaf, &place.cell), place.at, new);
                return Ok(());
            }
        }
        let wrong = |error| medium(volume.number, part.page, error);
        let whole = whole_blocks(head, &entry, part, data).map_err(wrong)?;
        let data = whole.as_deref().unwrap_or(data);
        let owned = {
            let state = place.cell.state.read().unwrap_or_else(PoisonError::into_inner);
            let floor = head.floor.load(Ordering::SeqCst);
            state
                .generation
                .is_some_and(|generation| generation > floor)
                .then_some(state.leaf.since)
        };
        let top = entry.top.filter(|top| owned.is_some_and(|since| top.birth >= since));
        let new = match top {
            Some(top) => {
                if top.mask == 0 {
                    head.pool.prepare(top.page).map_err(wrong)?;
                }
                head.pool.write(top.page, top.birth, blocks.start, data).map_err(wrong)?;
                if top.mask & mask == mask {
                    return Ok(());
                }
                let top = Piece { mask: top.mask | mask, ..top };
                Entry { top: Some(top), base: over(&top, entry.base), cleared: 0 }
            }
            None => self.take_over(volume, head, &entry, part, data)?,
        };
        self.meta().update(head, (place.leaf, &place.cell), place.at, new);
        Ok(())
    }

    /// Copies what a page lacks from its base, if both belong to the head's own record, and lets
    /// the base go.
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
        let (Some(since), Some(mut top), Some(base)) = (since, entry.top, entry.base) else {
            return Ok(());
        };
        if top.birth < since || base.birth < since {
            return Ok(());
        }
        let mut bytes = [0; BLOCK];
        for block in (0..BLOCKS).filter(|block| base.has(*block) && !top.has(*block)) {
            // A damaged block stays where it is, and its base with it.
            let copied = head
                .pool
                .read(base, block, &mut bytes)
                .and_then(|()| head.pool.write(top.page, top.birth, block, &bytes));
            if let Err(error) = copied {
                log::warn!("{}", medium(volume.number, page, error));
                return Ok(());
            }
        }
        top.mask |= base.mask;
        let new = Entry { top: Some(top), base: None, cleared: 0 };
        self.meta().update(head, (place.leaf, &place.cell), place.at, new);
        drop(stripe);
        Ok(())
    }

    /// Writes blocks to a new page, because others need the one that is there.
    fn take_over(
        &self,
        volume: &Volume,
        head: &Arc<Head>,
        entry: &Entry,
        part: &Part,
        data: &[u8],
    ) -> Result<Entry, StoreError> {
        if self.records.is_short() {
            let what = "the file system of the array directory has no space in reserve";
            let source = io::Error::new(io::ErrorKind::StorageFull, what);
            return Err(StoreError::Data { volume: volume.number, source });
        }
        let taken = head.pool.take().map_err(|error| medium(volume.number, part.page, error))?;
        let page = taken.ok_or(StoreError::Full(head.pool.id()))?;
        let blocks = part.blocks();
        let birth = head.current.load(Ordering::SeqCst);
        let mut top = Piece { page, birth, mask: mask_of(&blocks) };
        let written = head.pool.write(page, birth, blocks.start, data);
        let mut base = over(&top, entry.top);
        let settled = written.and_then(|()| {
            if entry.base.is_none() {
                return Ok(());
            }
            // A page over a page over a page would not end: what lies below is copied once.
            base = None;
            for block in (0..BLOCKS).filter(|block| !top.has(*block)) {
                if let Some(piece) = entry.piece(block) {
                    let mut bytes = [0; BLOCK];
                    head.pool.read(*piece, block, &mut bytes)?;
                    head.pool.write(page, birth, block, &bytes)?;
                }
            }
            top.mask |= entry.mask();
            Ok(())
        });
        if let Err(error) = settled {
            head.pool.space().give_back(page);
            return Err(medium(volume.number, part.page, error));
        }
        Ok(Entry { top: Some(top), base, cleared: 0 })
    }
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

const fn aligned(part: &Part) -> bool {
    part.within.start.is_multiple_of(BLOCK) && part.within.end.is_multiple_of(BLOCK)
}

/// Reads bytes of a page, block by block from where they are.
fn read_blocks(head: &Head, entry: &Entry, part: &Part, buffer: &mut [u8]) -> io::Result<Found> {
    let blocks = part.blocks();
    if entry.mask() & mask_of(&blocks) == 0 {
        buffer.fill(0);
        return Ok(Found::Zeros);
    }
    if !aligned(part) {
        let mut bounce = vec![0; blocks.len() * BLOCK];
        let wider = Part {
            page: part.page,
            within: blocks.start * BLOCK..blocks.end * BLOCK,
            buffer: 0..bounce.len(),
        };
        let found = read_blocks(head, entry, &wider, &mut bounce)?;
        let start = part.within.start - wider.within.start;
        buffer.copy_from_slice(&bounce[start..start + buffer.len()]);
        return Ok(found);
    }
    let mut at = blocks.start;
    while at < blocks.end {
        let piece = entry.piece(at);
        let same = |n: &usize| entry.piece(*n).map(|p| p.page) == piece.map(|p| p.page);
        let end = (at + 1..blocks.end).find(|n| !same(n)).unwrap_or(blocks.end);
        let bytes = &mut buffer[(at - blocks.start) * BLOCK..(end - blocks.start) * BLOCK];
        match piece {
            Some(piece) => head.pool.read(*piece, at, bytes)?,
            None => bytes.fill(0),
        }
        at = end;
    }
    Ok(Found::Bytes)
}

/// The whole blocks that a write touches, as they are after it; `None` when `data` is all of
/// them.
fn whole_blocks(
    head: &Head,
    entry: &Entry,
    part: &Part,
    data: &[u8],
) -> io::Result<Option<Vec<u8>>> {
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
            head.pool.read(*piece, block, &mut bytes[at..at + BLOCK])?;
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

/// An error of the data of a volume's page.
pub(super) fn medium(volume: VolumeNumber, page: u64, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            StoreError::Medium { volume, offset: page * PAGE as u64, what: error.to_string() }
        }
        _ => StoreError::Data { volume, source: error },
    }
}
