//! The checksums of a member's blocks, as far as they are in memory.
//!
//! A checksum is CRC-32C over the place of the block and the birth of its page, then its bytes:
//! a block that landed elsewhere, or was left over from an earlier use of the page, does not
//! match either. They are kept and written in groups of 64 pages.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crc_fast::{CrcAlgorithm, Digest};

use super::{
    disk::Disk,
    hash::NumberMap,
    leaf::{BLOCK, BLOCKS, Generation, PageId},
};

/// Pages of a group.
pub const GROUP: u32 = 64;
/// Bytes of a group on disk.
pub const GROUP_BYTES: usize = GROUP as usize * BLOCKS * 4;
/// Groups that a member keeps in memory if it can: 16 MiB, the checksums of 16 GiB.
const KEPT: usize = 4096;
const SHARDS: usize = 16;

/// The checksum of one block.
#[must_use]
pub fn checksum(page: PageId, birth: Generation, block: usize, data: &[u8]) -> u32 {
    let mut place = [0; 24];
    place[..8].copy_from_slice(&page.get().to_le_bytes());
    place[8..16].copy_from_slice(&birth.to_le_bytes());
    place[16..].copy_from_slice(&(block as u64).to_le_bytes());
    debug_assert_eq!(data.len(), BLOCK);
    // The register after those bytes; what goes on from there is vectorised.
    let state = u64::from(!crc32c::crc32c(&place));
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, state);
    digest.update(data);
    digest.finalize() as u32
}

/// The checksums of 64 pages.
#[derive(Debug)]
pub struct Group {
    number: u32,
    sums: Box<[AtomicU32]>,
    dirty: AtomicBool,
    used: AtomicBool,
}

impl Group {
    /// Whether a page is of this group.
    pub const fn has(&self, page: PageId) -> bool {
        page.number() / GROUP == self.number
    }

    /// The checksum of a block of a page of this group.
    pub fn get(&self, page: PageId, block: usize) -> u32 {
        self.sums[at(page, block)].load(Ordering::Relaxed)
    }
}

fn at(page: PageId, block: usize) -> usize {
    (page.number() % GROUP) as usize * BLOCKS + block
}

type Shard = NumberMap<u32, Arc<Group>>;

/// The checksums of one member.
#[derive(Debug, Default)]
pub struct Sums {
    shards: [Mutex<Shard>; SHARDS],
    dirty: Mutex<Vec<Arc<Group>>>,
}

impl Sums {
    /// The group of a page, read from `disk` at `offset` if it is not in memory.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn group(&self, disk: &dyn Disk, page: PageId, offset: u64) -> io::Result<Arc<Group>> {
        let number = page.number() / GROUP;
        let mut shard = lock(&self.shards[number as usize % SHARDS]);
        if let Some(group) = shard.get(&number) {
            if !group.used.load(Ordering::Relaxed) {
                group.used.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(group));
        }
        let mut bytes = [0; GROUP_BYTES];
        disk.read(offset, &mut bytes)?;
        let sums = bytes
            .chunks_exact(4)
            .map(|sum| AtomicU32::new(u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]])));
        let group = Arc::new(Group {
            number,
            sums: sums.collect(),
            dirty: AtomicBool::new(false),
            used: AtomicBool::new(true),
        });
        if shard.len() >= KEPT / SHARDS {
            make_room(&mut shard);
        }
        shard.insert(number, Arc::clone(&group));
        Ok(group)
    }

    /// The group of a page, if it is in memory and nobody is at it.
    pub fn group_now(&self, page: PageId) -> Option<Arc<Group>> {
        let number = page.number() / GROUP;
        let shard = self.shards[number as usize % SHARDS].try_lock().ok()?;
        let group = shard.get(&number)?;
        if !group.used.load(Ordering::Relaxed) {
            group.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(group))
    }

    /// Sets the checksum of a block; [`Sums::write`] writes it.
    pub fn set(&self, group: &Arc<Group>, page: PageId, block: usize, sum: u32) {
        group.sums[at(page, block)].store(sum, Ordering::Relaxed);
        // Whoever clears it sees the sum, or this sees that it is cleared.
        if !group.dirty.swap(true, Ordering::AcqRel) {
            lock(&self.dirty).push(Arc::clone(group));
        }
    }

    /// Writes all groups that have changed; `offset` tells where a group lies.
    ///
    /// # Errors
    /// The disk's answer; what could not be written will be tried again.
    pub fn write(&self, disk: &dyn Disk, offset: impl Fn(u32) -> u64) -> io::Result<()> {
        let mut dirty = std::mem::take(&mut *lock(&self.dirty));
        dirty.sort_unstable_by_key(|group| group.number);
        let mut failed = None;
        for group in dirty {
            if failed.is_none() {
                group.dirty.swap(false, Ordering::AcqRel);
                let bytes: Vec<u8> = group
                    .sums
                    .iter()
                    .flat_map(|sum| sum.load(Ordering::Relaxed).to_le_bytes())
                    .collect();
                match disk.write(offset(group.number), &bytes) {
                    Ok(()) => continue,
                    Err(error) => failed = Some(error),
                }
                if group.dirty.swap(true, Ordering::SeqCst) {
                    continue;
                }
            }
            lock(&self.dirty).push(group);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether anything between these pages is still to be written.
    #[must_use]
    pub fn is_dirty(&self, first: u32, pages: u32) -> bool {
        let groups = first / GROUP..(first + pages).div_ceil(GROUP);
        groups.into_iter().any(|number| {
            let shard = lock(&self.shards[number as usize % SHARDS]);
            shard.get(&number).is_some_and(|group| group.dirty.load(Ordering::SeqCst))
        })
    }
}

/// Lets go of groups that were not used since the last time, sparing those in use: somebody may
/// be about to change them.
fn make_room(shard: &mut Shard) {
    for _ in 0..2 {
        shard.retain(|_, group| {
            Arc::strong_count(group) > 1 || group.used.swap(false, Ordering::Relaxed)
        });
        if shard.len() < KEPT / SHARDS {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_crc_32c_over_the_place_and_then_the_bytes() {
        let (page, birth, block) = (PageId::new(3, 70_001), 0x0102_0304_0506, 13);
        let data: Vec<u8> = (0..BLOCK).map(|n| (n % 251) as u8).collect();
        let mut whole = page.get().to_le_bytes().to_vec();
        whole.extend(u64::to_le_bytes(birth));
        whole.extend(u64::to_le_bytes(block as u64));
        whole.extend(&data);
        assert_eq!(checksum(page, birth, block, &data), crc32c::crc32c(&whole));
    }
}
