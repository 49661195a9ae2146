//! One member of a pool: a file or block device with pages and their checksums.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0-4095 | the header, below |
//! | 4096-8191 | a copy of it |
//! | 8192-1048575 | unused |
//! | from 1 MiB | segments of 64 MiB + 64 KiB, each: checksums (64 KiB), then 1,024 pages (64 KiB each) |
//!
//! The checksums of a segment: 4 bytes LE a block, 16 blocks a page, pages in their order. A
//! checksum means something only for a block that a map entry has.
//!
//! The header:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0-7 | `HORCPOOL` |
//! | 8-11 | version of this layout, LE: 1 |
//! | 12-27 | the array's own random number |
//! | 28-29 | pool, LE |
//! | 30 | member |
//! | 31 | zero |
//! | 32-35 | CRC-32C of bytes 0-31, LE |

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use smallvec::SmallVec;

use super::{
    StoreError,
    disk::{Disk, Media},
    intent::Intent,
    leaf::{BLOCK, PAGE, PageId},
    run::{Fault, Slice, bytes_of},
    space::{SEGMENT, Space},
    sums::{GROUP, GROUP_BYTES, Group, Sums, checksum},
};

/// Where the first segment begins.
const START: u64 = 1 << 20;
/// Bytes of the checksums of a segment.
const SUMS: u64 = (SEGMENT / GROUP) as u64 * GROUP_BYTES as u64;
/// Bytes of a segment.
pub const SEGMENT_BYTES: u64 = SUMS + SEGMENT as u64 * PAGE as u64;

const MAGIC: &[u8; 8] = b"HORCPOOL";
/// The layout this release writes and reads.
const VERSION: u32 = 1;

/// Who a member belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The array's own random number.
    pub array: [u8; 16],
    /// The pool.
    pub pool: u16,
    /// Which of its members.
    pub member: u8,
}

impl Owner {
    fn header(&self) -> [u8; BLOCK] {
        let mut header = [0; BLOCK];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..28].copy_from_slice(&self.array);
        header[28..30].copy_from_slice(&self.pool.to_le_bytes());
        header[30] = self.member;
        let sum = crc32c::crc32c(&header[..32]).to_le_bytes();
        header[32..36].copy_from_slice(&sum);
        header
    }
}

/// A member in use.
#[derive(Debug)]
pub struct Member {
    path: PathBuf,
    number: u8,
    disk: Arc<dyn Disk>,
    sums: Sums,
    intent: Intent,
    segments: AtomicU32,
    /// Whether anything was written since the last flush began.
    dirty: AtomicBool,
    /// Groups whose space below is known to be there.
    ready: Mutex<Vec<u64>>,
    /// The group to look at next, and those whose space has been given back.
    punched: Mutex<(u32, Vec<bool>)>,
}

/// How many whole segments fit `bytes`.
#[must_use]
pub fn segments_in(bytes: u64) -> u32 {
    u32::try_from(bytes.saturating_sub(START) / SEGMENT_BYTES).unwrap_or(u32::MAX).min(1 << 22)
}

/// The bytes of a member of so many segments.
#[must_use]
pub const fn length_of(segments: u32) -> u64 {
    START + segments as u64 * SEGMENT_BYTES
}

impl Member {
    /// Makes a new disk a member. Whatever it held is gone.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn format(
        disk: &dyn Disk,
        path: &Path,
        owner: Owner,
        segments: u32,
        preallocate: bool,
    ) -> Result<(), StoreError> {
        let length = length_of(segments);
        let header = owner.header();
        disk.size()
            .and_then(|size| if size < length { disk.set_len(length) } else { Ok(()) })
            .and_then(|()| if preallocate { disk.reserve(0, length) } else { Ok(()) })
            .and_then(|()| disk.write(0, &header))
            .and_then(|()| disk.write(BLOCK as u64, &header))
            .and_then(|()| disk.flush())
            .map_err(StoreError::io(path, "make a pool of"))
    }

    /// Opens a member and its intent file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it is another's, shortened or no member at all;
    /// [`StoreError::Newer`]; the disk's answer.
    pub fn open(
        media: &dyn Media,
        path: &Path,
        intent: &Path,
        owner: Owner,
        segments: u32,
    ) -> Result<Self, StoreError> {
        let disk = media.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::damaged(path, "the file of the pool is missing"),
            _ => StoreError::io(path, "open")(error),
        })?;
        verify(&*disk, path, owner)?;
        let size = disk.size().map_err(StoreError::io(path, "measure"))?;
        if size < length_of(segments) {
            let what = format!("it has {size} bytes, but {} belong there", length_of(segments));
            return Err(StoreError::damaged(path, what));
        }
        let marks = media.open(intent).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::damaged(
                intent,
                "the file is missing; without it nobody knows what a crash left in flight",
            ),
            _ => StoreError::io(intent, "open")(error),
        })?;
        let intent = Intent::open(marks, segments).map_err(StoreError::io(intent, "read"))?;
        Ok(Self {
            path: path.to_owned(),
            number: owner.member,
            disk,
            sums: Sums::default(),
            intent,
            segments: AtomicU32::new(segments),
            dirty: AtomicBool::new(false),
            ready: Mutex::default(),
            punched: Mutex::default(),
        })
    }

    /// Makes it longer.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn grow(&self, segments: u32, preallocate: bool) -> Result<(), StoreError> {
        let length = length_of(segments);
        self.disk
            .size()
            .and_then(|size| if size < length { self.disk.set_len(length) } else { Ok(()) })
            .and_then(|()| if preallocate { self.disk.reserve(0, length) } else { Ok(()) })
            .and_then(|()| self.disk.flush())
            .and_then(|()| self.intent.grow(segments))
            .map_err(StoreError::io(&self.path, "grow"))?;
        self.segments.store(segments, Ordering::SeqCst);
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many segments it has.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.segments.load(Ordering::SeqCst)
    }

    /// Its marks.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Makes sure that the file system below has room for a page and its checksums, a group of
    /// pages at a time: a sparse file on a full file system then fails here, and never a flush.
    ///
    /// # Errors
    /// `StorageFull`, or the disk's answer.
    pub fn prepare(&self, page: PageId) -> io::Result<()> {
        let group = page.number() / GROUP;
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, bit) = (group as usize / 64, 1 << (group % 64));
        if ready.len() <= word {
            ready.resize(word + 1, 0);
        }
        if ready[word] & bit == 0 {
            let first = PageId::new(self.number, group * GROUP);
            self.disk.reserve(sums_offset(first), GROUP_BYTES as u64)?;
            self.disk.reserve(offset(first), u64::from(GROUP) * PAGE as u64)?;
            ready[word] |= bit;
        }
        Ok(())
    }

    /// Writes a run from `data`, the bytes of the whole request.
    ///
    /// # Errors
    /// The disk's answer; any of the blocks may be unreadable then.
    pub fn write(&self, run: &[Slice], data: &[u8]) -> Result<(), Fault> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let fault = |error| Fault { at: first.at, error };
        let segment = first.page.number() / SEGMENT;
        // Before anything is written: afterwards no block may lack its checksum.
        let mut groups: SmallVec<[Arc<Group>; 2]> = SmallVec::new();
        for slice in run {
            if !groups.last().is_some_and(|group| group.has(slice.page)) {
                groups.push(self.group(slice.page).map_err(fault)?);
            }
        }
        self.intent.enter(segment).map_err(fault)?;
        let place = offset(first.page) + (first.blocks().start * BLOCK) as u64;
        let written = self.disk.write(place, &data[bytes_of(run)]);
        if written.is_ok() {
            for slice in run {
                let Some(group) = groups.iter().find(|group| group.has(slice.page)) else {
                    continue;
                };
                let blocks = data[slice.bytes()].chunks_exact(BLOCK);
                for (block, data) in slice.blocks().zip(blocks) {
                    let sum = checksum(slice.page, slice.birth, block, data);
                    self.sums.set(group, slice.page, block, sum);
                }
            }
        }
        // After the write, so that a flush which began before it leaves this for the next one.
        self.dirty.store(true, Ordering::SeqCst);
        self.intent.leave(segment);
        written.map_err(fault)
    }

    fn group(&self, page: PageId) -> io::Result<Arc<Group>> {
        self.sums.group(&*self.disk, page, sums_offset(page))
    }

    /// Reads a run into `buffer`, the bytes of the whole request, and verifies it.
    ///
    /// # Errors
    /// `InvalidData` for a block that is damaged; the disk's answer.
    pub fn read(&self, run: &[Slice], buffer: &mut [u8]) -> Result<(), Fault> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let place = offset(first.page) + (first.blocks().start * BLOCK) as u64;
        let bytes = bytes_of(run);
        if let Err(error) = self.disk.read(place, &mut buffer[bytes.clone()]) {
            return Err(self.first_unreadable(place, first.at, &mut buffer[bytes], error));
        }
        let mut group = self.group(first.page).map_err(|error| Fault { at: first.at, error })?;
        for slice in run {
            if !group.has(slice.page) {
                group = self.group(slice.page).map_err(|error| Fault { at: slice.at, error })?;
            }
            for (block, found) in mismatches(&group, slice, buffer) {
                if !self.intent.is_suspect(slice.page.number() / SEGMENT) {
                    let at = slice.at + (block - slice.blocks().start) * BLOCK;
                    return Err(Fault { at, error: self.damage(slice.page, block) });
                }
                self.sums.set(&group, slice.page, block, found);
                self.dirty.store(true, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// Reads a run as [`Member::read`] does, if nothing has to be waited for: its checksums are in
    /// memory, and it is where the disk reads from at once. False otherwise, and where anything
    /// is wrong: `read` tells what.
    pub fn read_now(&self, run: &[Slice], buffer: &mut [u8]) -> bool {
        let Some(first) = run.first() else {
            return true;
        };
        let Some(mut group) = self.sums.group_now(first.page) else {
            return false;
        };
        let place = offset(first.page) + (first.blocks().start * BLOCK) as u64;
        if !self.disk.read_now(place, &mut buffer[bytes_of(run)]) {
            return false;
        }
        run.iter().all(|slice| {
            if !group.has(slice.page) {
                let Some(next) = self.sums.group_now(slice.page) else {
                    return false;
                };
                group = next;
            }
            mismatches(&group, slice, buffer).next().is_none()
        })
    }

    /// Which block of a request the disk does not give.
    fn first_unreadable(
        &self,
        place: u64,
        at: usize,
        buffer: &mut [u8],
        error: io::Error,
    ) -> Fault {
        for (n, block) in buffer.chunks_exact_mut(BLOCK).enumerate() {
            if let Err(error) = self.disk.read(place + (n * BLOCK) as u64, block) {
                return Fault { at: at + n * BLOCK, error };
            }
        }
        // Well again, but this request was told otherwise.
        Fault { at, error }
    }

    fn damage(&self, page: PageId, block: usize) -> io::Error {
        let path = self.path.display();
        let number = page.number();
        let what = format!("{path}: block {block} of page {number} does not match its checksum");
        io::Error::new(io::ErrorKind::InvalidData, what)
    }

    /// Makes everything written before durable, with its checksums.
    ///
    /// # Errors
    /// The disk's answer; what is on the disk is not known then.
    pub fn flush(&self) -> Result<(), StoreError> {
        if !self.dirty.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let place = |group: u32| sums_offset(PageId::new(self.number, group * GROUP));
        self.sums
            .write(&*self.disk, place)
            .and_then(|()| self.disk.flush())
            .map_err(StoreError::io(&self.path, "flush"))
    }

    /// Unmarks what is at rest, or all where no more writes will come; for the moment after a
    /// flush.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn settle(&self, last: bool) -> Result<(), StoreError> {
        self.intent
            .settle(last, |segment| self.sums.is_dirty(segment * SEGMENT, SEGMENT))
            .map_err(StoreError::io(&self.path, "note the state of"))
    }

    /// Gives the space of a group of pages back to the file system below. The caller keeps others
    /// from using them meanwhile.
    fn punch(&self, group: u32) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(word) = ready.get_mut(group as usize / 64) {
            *word &= !(1 << (group % 64));
        }
        let first = PageId::new(self.number, group * GROUP);
        // Space that stays taken is no error.
        let _ = self.disk.discard(offset(first), u64::from(GROUP) * PAGE as u64);
    }

    /// Gives the space of some unused groups of pages back to the file system below, and goes on
    /// behind them with the next call.
    pub fn punch_some(&self, groups: u32, space: &Mutex<Space>) {
        let lock = || space.lock().unwrap_or_else(PoisonError::into_inner);
        let mut punched = self.punched.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.segments() * (SEGMENT / GROUP);
        punched.1.resize(all as usize, false);
        for _ in 0..groups.min(all) {
            let group = punched.0 % all;
            punched.0 = (group + 1) % all;
            let first = PageId::new(self.number, group * GROUP);
            if !lock().claim(first) {
                punched.1[group as usize] = false;
                continue;
            }
            if !std::mem::replace(&mut punched.1[group as usize], true) {
                self.punch(group);
            }
            lock().release(first);
        }
    }
}

/// The blocks of a slice that do not match their checksums, and the checksums that they have.
fn mismatches<'a>(
    group: &'a Group,
    slice: &'a Slice,
    buffer: &'a [u8],
) -> impl Iterator<Item = (usize, u32)> + 'a {
    let blocks = slice.blocks().zip(buffer[slice.bytes()].chunks_exact(BLOCK));
    blocks.filter_map(|(block, data)| {
        let found = checksum(slice.page, slice.birth, block, data);
        (found != group.get(slice.page, block)).then_some((block, found))
    })
}

/// Verifies that a disk is the member that `owner` says.
///
/// # Errors
/// See [`Member::open`].
pub fn verify(disk: &dyn Disk, path: &Path, owner: Owner) -> Result<(), StoreError> {
    let mut found = None;
    for offset in [0, BLOCK as u64] {
        let mut header = [0; BLOCK];
        match disk.read(offset, &mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(StoreError::io(path, "read")(error)),
        }
        if crc32c::crc32c(&header[..32]).to_le_bytes() == header[32..36] {
            found = found.or(Some(header));
        }
    }
    let Some(header) = found.filter(|header| header[..8] == *MAGIC) else {
        return Err(StoreError::damaged(path, "it is not the file of a pool"));
    };
    let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if version > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    if header[12..28] != owner.array {
        return Err(StoreError::damaged(path, "it belongs to another array"));
    }
    let (pool, member) = (u16::from_le_bytes([header[28], header[29]]), header[30]);
    if (pool, member) != (owner.pool, owner.member) {
        let what = format!(
            "it is file {member} of pool {pool}, where file {} of pool {} belongs",
            owner.member, owner.pool
        );
        return Err(StoreError::damaged(path, what));
    }
    Ok(())
}

/// Writes a header anew that does not match its copy; whether that was needed.
///
/// # Errors
/// Those of [`verify`], where neither is whole.
pub fn mend_header(disk: &dyn Disk, path: &Path, owner: Owner) -> Result<bool, StoreError> {
    verify(disk, path, owner)?;
    let mut mended = false;
    for offset in [0, BLOCK as u64] {
        let mut header = [0; BLOCK];
        disk.read(offset, &mut header).map_err(StoreError::io(path, "read"))?;
        if header[..36] != owner.header()[..36] {
            disk.write(offset, &owner.header())
                .and_then(|()| disk.flush())
                .map_err(StoreError::io(path, "write"))?;
            mended = true;
        }
    }
    Ok(mended)
}

const fn segment_offset(page: PageId) -> u64 {
    START + (page.number() / SEGMENT) as u64 * SEGMENT_BYTES
}

/// Where a page lies.
const fn offset(page: PageId) -> u64 {
    segment_offset(page) + SUMS + (page.number() % SEGMENT) as u64 * PAGE as u64
}

/// Where the checksums of a page's group lie.
const fn sums_offset(page: PageId) -> u64 {
    segment_offset(page) + (page.number() % SEGMENT / GROUP) as u64 * GROUP_BYTES as u64
}
