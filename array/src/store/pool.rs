//! A pool: members with pages, and which of them are free.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    disk::Media,
    leaf::{PageId, Piece},
    member::{Member, Owner, length_of},
    run::{Fault, Slice},
    space::{SEGMENT, SegmentId, Space},
};

/// A pool's record; postcard, fields in order, under its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRow {
    /// Its name.
    pub name: String,
    /// Percent of its pages from which on it counts as short of space.
    pub threshold: u8,
}

/// A member's record; postcard, fields in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// The file or block device; relative to the array directory, or absolute.
    pub path: String,
    /// How many segments of it are in use.
    pub segments: u32,
    /// Whether its space is to be reserved when it grows.
    pub preallocate: bool,
}

/// The key of a member's record.
#[must_use]
pub const fn member_key(pool: u16, member: u8) -> u64 {
    (pool as u64) << 8 | member as u64
}

/// The key of a segment's record.
#[must_use]
pub const fn space_key(pool: u16, segment: SegmentId) -> u64 {
    (pool as u64) << 40 | (segment.member as u64) << 32 | segment.number as u64
}

/// The pool and segment of such a key.
#[must_use]
pub fn space_of(key: u64) -> Option<(u16, SegmentId)> {
    let pool = u16::try_from(key >> 40).ok()?;
    let member = (key >> 32) as u8;
    Some((pool, SegmentId { member, number: key as u32 }))
}

/// How a pool stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolFigures {
    /// Its number.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// All its pages.
    pub pages: u64,
    /// Pages that volumes and their copies refer to.
    pub mapped: u64,
    /// Pages that can be given out at once.
    pub free: u64,
    /// Percent from which on it counts as short of space.
    pub threshold: u8,
}

impl PoolFigures {
    /// Whether it is short of space.
    #[must_use]
    pub const fn is_above_threshold(&self) -> bool {
        self.mapped * 100 > self.pages * self.threshold as u64
    }
}

/// Groups of 64 pages that are looked at in one step: 1 GiB.
const PUNCHED: u32 = 256;

/// A pool in use.
#[derive(Debug)]
pub struct Pool {
    id: u16,
    row: PoolRow,
    members: RwLock<Vec<Option<Arc<Member>>>>,
    space: Mutex<Space>,
    /// Members whose space is reserved in full.
    reserved: RwLock<BTreeSet<u8>>,
    /// Bytes written since the last flush, about.
    unflushed: AtomicU64,
}

/// Where the array lives, for paths of members.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Its disks.
    pub media: &'a dyn Media,
    /// Its directory.
    pub dir: &'a Path,
    /// The array's own random number.
    pub array: [u8; 16],
}

impl Place<'_> {
    fn member(&self, row: &MemberRow) -> PathBuf {
        self.dir.join(&row.path)
    }

    fn intent(&self, owner: Owner) -> PathBuf {
        self.dir.join(format!("pool-{}-{}.intent", owner.pool, owner.member))
    }

    /// Makes a member that is to be used with `row`.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn make(&self, pool: u16, member: u8, row: &MemberRow) -> Result<(), StoreError> {
        let owner = Owner { array: self.array, pool, member };
        let path = self.member(row);
        let disk = match self.media.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.media.open(&path),
            created => created,
        };
        let disk = disk.map_err(StoreError::io(&path, "create"))?;
        let size = disk.size().map_err(StoreError::io(&path, "measure"))?;
        if size > 0 && super::member::verify(&*disk, &path, owner).is_err() {
            let mut head = vec![0; (size as usize).min(1 << 20)];
            disk.read(0, &mut head).map_err(StoreError::io(&path, "read"))?;
            if head.iter().any(|byte| *byte != 0) {
                return Err(StoreError::damaged(
                    path,
                    "it holds something already; empty it (or wipe the device) before it becomes part of a pool",
                ));
            }
        }
        Member::format(&*disk, &path, owner, row.segments, row.preallocate)?;
        let marks = self.intent(owner);
        match self.media.create(&marks) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let disk = self.media.open(&marks).map_err(StoreError::io(&marks, "open"))?;
                let cleared = disk.set_len(0).and_then(|()| disk.flush());
                cleared.map_err(StoreError::io(&marks, "clear"))
            }
            made => made.map(drop).map_err(StoreError::io(&marks, "create")),
        }
    }

    /// The size of an existing block device or file; `None` when there is none.
    #[must_use]
    pub fn size_of(&self, path: &str) -> Option<u64> {
        self.media.open(&self.dir.join(path)).ok()?.size().ok()
    }
}

impl Pool {
    /// Opens a pool with all its members.
    ///
    /// # Errors
    /// Those of [`Member::open`].
    pub fn open(
        place: Place<'_>,
        id: u16,
        row: PoolRow,
        members: &[(u8, MemberRow)],
    ) -> Result<Self, StoreError> {
        let mut space = Space::default();
        let mut opened = Vec::new();
        let reserved = members.iter().filter(|(_, member)| member.preallocate);
        let reserved = reserved.map(|(number, _)| *number).collect();
        for (number, member) in members {
            let owner = Owner { array: place.array, pool: id, member: *number };
            let path = place.member(member);
            let intent = place.intent(owner);
            let disk = Member::open(place.media, &path, &intent, owner, member.segments)?;
            space.grow(*number, member.segments);
            opened.resize(opened.len().max(usize::from(*number) + 1), None);
            opened[usize::from(*number)] = Some(Arc::new(disk));
        }
        Ok(Self {
            id,
            row,
            members: RwLock::new(opened),
            space: Mutex::new(space),
            reserved: RwLock::new(reserved),
            unflushed: AtomicU64::new(0),
        })
    }

    /// Adds a member that [`Place::make`] made.
    ///
    /// # Errors
    /// Those of [`Member::open`].
    pub fn add(&self, place: Place<'_>, number: u8, row: &MemberRow) -> Result<(), StoreError> {
        let owner = Owner { array: place.array, pool: self.id, member: number };
        let (path, intent) = (place.member(row), place.intent(owner));
        let disk = Member::open(place.media, &path, &intent, owner, row.segments)?;
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        let count = members.len().max(usize::from(number) + 1);
        members.resize(count, None);
        members[usize::from(number)] = Some(Arc::new(disk));
        if row.preallocate {
            self.reserved.write().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
        self.space().grow(number, row.segments);
        Ok(())
    }

    /// Makes a member longer, to `segments`; its new pages are not given out yet.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn lengthen(&self, number: u8, segments: u32, preallocate: bool) -> Result<(), StoreError> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        match members.get(usize::from(number)) {
            Some(Some(member)) => member.grow(segments, preallocate),
            _ => Ok(()),
        }
    }

    /// Gives out the pages of a member up to `segments` from now on.
    pub fn open_up(&self, number: u8, segments: u32) {
        let mut space = self.space();
        let before = space.members().find(|(member, _)| *member == number).map_or(0, |(_, n)| n);
        space.grow(number, segments.saturating_sub(before));
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Its free-space account.
    pub fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its members.
    #[must_use]
    pub fn members(&self) -> Vec<(u8, Arc<Member>)> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        (0..).zip(members.iter()).filter_map(|(n, m)| Some((n, Arc::clone(m.as_ref()?)))).collect()
    }

    /// Gives out a page that has room on its disk; `None` when the pool has none.
    ///
    /// # Errors
    /// The disk's answer, such as `StorageFull` from the file system of a sparse file.
    pub fn take(&self) -> io::Result<Option<PageId>> {
        let Some(page) = self.space().take() else {
            return Ok(None);
        };
        let prepared = self.prepare(page);
        if prepared.is_err() {
            self.space().give_back(page);
        }
        prepared.map(|()| Some(page))
    }

    /// Makes sure that a page has room on its disk.
    ///
    /// # Errors
    /// The disk's answer, such as `StorageFull` from the file system of a sparse file.
    pub fn prepare(&self, page: PageId) -> io::Result<()> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        match members.get(usize::from(page.member())) {
            Some(Some(member)) => member.prepare(page),
            _ => Err(no_such_page()),
        }
    }

    /// Gives the space of some unused pages back to the file systems below; that of members whose
    /// space was reserved stays theirs.
    pub fn punch(&self) {
        for (number, member) in self.members() {
            let kept = self.reserved.read().unwrap_or_else(PoisonError::into_inner);
            if !kept.contains(&number) {
                member.punch_some(PUNCHED, &self.space);
            }
        }
    }

    /// How it stands.
    #[must_use]
    pub fn figures(&self) -> PoolFigures {
        let space = self.space();
        PoolFigures {
            id: self.id,
            name: self.row.name.clone(),
            pages: space.pages(),
            mapped: space.mapped(),
            free: space.free(),
            threshold: self.row.threshold,
        }
    }

    /// Reads slices into `buffer` and verifies them.
    ///
    /// # Errors
    /// `InvalidData` for a damaged block; the disk's answer.
    pub fn read(&self, slices: &[Slice], buffer: &mut [u8]) -> Result<(), Fault> {
        slices
            .chunk_by(Slice::joins)
            .try_for_each(|run| self.with(run, |member| member.read(run, buffer)))
    }

    /// Reads and verifies slices as [`Pool::read`] does, if nothing has to be waited for; false
    /// otherwise, and where anything is wrong.
    pub fn read_now(&self, slices: &[Slice], buffer: &mut [u8]) -> bool {
        let Ok(members) = self.members.try_read() else {
            return false;
        };
        slices.chunk_by(Slice::joins).all(|run| {
            let member = run.first().and_then(|first| members.get(first.page.member() as usize));
            member.is_some_and(|member| {
                member.as_ref().is_some_and(|member| member.read_now(run, buffer))
            })
        })
    }

    /// Reads one block of a piece and verifies it.
    ///
    /// # Errors
    /// Those of [`Pool::read`].
    pub fn read_block(&self, piece: Piece, block: usize, buffer: &mut [u8]) -> io::Result<()> {
        let slice = Slice::new(piece.page, piece.birth, &(block..block + 1), 0);
        self.read(&[slice], buffer).map_err(|fault| fault.error)
    }

    /// Writes slices from `data`.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn write(&self, slices: &[Slice], data: &[u8]) -> Result<(), Fault> {
        let bytes: usize = slices.iter().map(|slice| slice.bytes().len()).sum();
        self.unflushed.fetch_add(bytes as u64, Ordering::Relaxed);
        slices
            .chunk_by(Slice::joins)
            .try_for_each(|run| self.with(run, |member| member.write(run, data)))
    }

    fn with(
        &self,
        run: &[Slice],
        act: impl FnOnce(&Member) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        match members.get(usize::from(first.page.member())) {
            Some(Some(member)) => act(member),
            _ => Err(Fault { at: first.at, error: no_such_page() }),
        }
    }

    /// Bytes written since the last flush, about.
    #[must_use]
    pub fn unflushed(&self) -> u64 {
        self.unflushed.load(Ordering::Relaxed)
    }

    /// Makes everything written before durable.
    ///
    /// # Errors
    /// The disk's answer; what is on the disk is not known then.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.unflushed.store(0, Ordering::Relaxed);
        self.members().iter().try_for_each(|(_, member)| member.flush())
    }

    /// The bytes that a member of so many segments needs.
    #[must_use]
    pub const fn bytes_of(segments: u32) -> u64 {
        length_of(segments)
    }

    /// The pages of so many segments.
    #[must_use]
    pub const fn pages_of(segments: u32) -> u64 {
        segments as u64 * SEGMENT as u64
    }
}

fn no_such_page() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the pool has no such page")
}
