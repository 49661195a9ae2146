//! Bytes of a LUN at any offset and of any length, by its blocks.
//!
//! Where a LUN has become smaller, what it does not have any more is EIO and no end: whoever finds
//! an end takes what is behind it for zeros.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    cdb::{lba_status, read},
    facts::Facts,
    learn::pieces,
    lun::Lun,
    target::{Command, Target},
    turns::Turns,
    unflushed::Content,
};

/// Bytes that one GET LBA STATUS may answer.
const STATUS_ROOM: u32 = 8 + 64 * 16;

/// Bytes that all reads and writes move at once; who comes then waits. What a waiting write holds
/// is bounded by the kernel, which has no more requests of a loop device under way than it was
/// told, and one of each thread that reads or writes by itself.
const UNDER_WAY: u32 = 64 << 20;

/// What to look for from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// Blocks that are mapped.
    Data,
    /// Blocks that are not, or the end.
    Hole,
}

/// A LUN by bytes.
pub struct Volume<T: Target> {
    lun: Arc<Lun<T>>,
    turns: Turns,
    under_way: Semaphore,
    read_only: bool,
}

impl<T: Target> Volume<T> {
    /// `read_only` refuses every change, whatever the LUN would take.
    #[must_use]
    pub fn new(lun: Arc<Lun<T>>, read_only: bool) -> Self {
        let under_way = Semaphore::new(UNDER_WAY as usize);
        Self { lun, turns: Turns::default(), under_way, read_only }
    }

    /// The LUN.
    #[must_use]
    pub const fn lun(&self) -> &Arc<Lun<T>> {
        &self.lun
    }

    /// Whether it can be written now.
    #[must_use]
    pub fn writable(&self) -> bool {
        !self.read_only && !self.lun.facts().protected
    }

    /// Room for so many bytes under way.
    async fn room(&self, bytes: u64, deadline: Instant) -> Result<SemaphorePermit<'_>, Errno> {
        let bytes = u32::try_from(bytes).unwrap_or(UNDER_WAY).min(UNDER_WAY);
        let room = self.under_way.acquire_many(bytes);
        self.lun.wait(deadline, room).await?.map_err(|_| Errno::IO)
    }

    /// Reads up to `length` bytes; fewer at the end, none behind it.
    ///
    /// # Errors
    /// EIO where the LUN ended later before, those of [`Lun::command`].
    pub async fn read(&self, offset: u64, length: u64) -> Result<Bytes, Errno> {
        let (facts, deadline) = (self.lun.facts(), self.lun.deadline());
        let end = offset.saturating_add(length).min(facts.extent);
        if offset >= end {
            return Ok(Bytes::new());
        }
        within(&facts, end)?;
        let (from, to) = blocks(&facts, offset, end);
        let skip = (offset - from) as usize;
        let wanted = (end - offset) as usize;
        let _room = self.room(to - from, deadline).await?;
        let data = self.read_blocks(&facts, from..to, deadline).await?;
        Ok(data.slice(skip..skip + wanted))
    }

    async fn read_blocks(
        &self,
        facts: &Facts,
        Range { start: from, end: to }: Range<u64>,
        deadline: Instant,
    ) -> Result<Bytes, Errno> {
        let block = u64::from(facts.block);
        let most = u64::from(facts.most_transfer) / block * block;
        let mut parts = Vec::with_capacity(1);
        let mut at = from;
        while at < to {
            let length = (to - at).min(most);
            let count = u32::try_from(length / block).map_err(|_| Errno::INVAL)?;
            let room = u32::try_from(length).map_err(|_| Errno::INVAL)?;
            let data =
                self.lun.command(&Command::get(&read(at / block, count), room), deadline).await?;
            if data.len() as u64 != length {
                log::error!("READ gave {} bytes of {length}", data.len());
                return Err(Errno::IO);
            }
            parts.push(data);
            at += length;
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => parts.concat().into(),
        })
    }

    /// Writes; the number of bytes, which is smaller at the end.
    ///
    /// # Errors
    /// EROFS where nothing may be written, ENOSPC behind the end, EIO where the LUN ended later
    /// before, those of [`Lun::change`].
    pub async fn write(&self, offset: u64, mut data: Bytes) -> Result<u64, Errno> {
        let (facts, deadline) = (self.changing()?, self.lun.deadline());
        let end = offset.saturating_add(data.len() as u64).min(facts.extent);
        if data.is_empty() {
            return Ok(0);
        }
        if offset >= end {
            return Err(Errno::NOSPC);
        }
        within(&facts, end)?;
        let written = end - offset;
        data.truncate(written as usize);
        let (from, to) = blocks(&facts, offset, end);
        let _turn = self.lun.wait(deadline, self.turns.take(from..to)).await?;
        let _room = self.room(to - from, deadline).await?;
        let data = match (from, to) == (offset, end) {
            true => data,
            false => self.whole(&facts, offset, &data, deadline).await?,
        };
        self.leave(&facts, from, Content::Bytes(data), deadline).await?;
        Ok(written)
    }

    /// Makes bytes zeros and, where the LUN can, gives their space back.
    ///
    /// # Errors
    /// Those of [`Volume::write`]; EOPNOTSUPP where the LUN has no WRITE SAME.
    pub async fn zero(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let (facts, deadline) = (self.changing()?, self.lun.deadline());
        let end = offset.saturating_add(length).min(facts.extent);
        if offset >= end {
            return Ok(());
        }
        within(&facts, end)?;
        let block = u64::from(facts.block);
        let (from, to) = blocks(&facts, offset, end);
        let _turn = self.lun.wait(deadline, self.turns.take(from..to)).await?;
        // The blocks that lie whole within, and what is left of those at the edges.
        let (first, last) = (offset.next_multiple_of(block), end / block * block);
        let edges = match first <= last {
            true => [(offset, first), (last, end)],
            false => [(offset, end), (end, end)],
        };
        for (start, stop) in edges {
            if start < stop {
                let zeros = Bytes::from(vec![0; (stop - start) as usize]);
                let (from, _) = blocks(&facts, start, stop);
                let data = self.whole(&facts, start, &zeros, deadline).await?;
                self.leave(&facts, from, Content::Bytes(data), deadline).await?;
            }
        }
        if first < last {
            self.leave(&facts, first, Content::Zeros(last - first), deadline).await?;
        }
        Ok(())
    }

    fn changing(&self) -> Result<Arc<Facts>, Errno> {
        if self.read_only {
            return Err(Errno::ROFS);
        }
        Ok(self.lun.facts())
    }

    /// Whole blocks around data that begins or ends within one. Their turn is ours.
    async fn whole(
        &self,
        facts: &Facts,
        offset: u64,
        data: &[u8],
        deadline: Instant,
    ) -> Result<Bytes, Errno> {
        let block = u64::from(facts.block);
        let end = offset + data.len() as u64;
        let (from, to) = blocks(facts, offset, end);
        let mut whole = BytesMut::zeroed((to - from) as usize);
        let mut edges = vec![from, to - block];
        edges.dedup();
        for at in edges {
            if at < offset || at + block > end {
                let old = self.read_blocks(facts, at..at + block, deadline).await?;
                let place = (at - from) as usize;
                whole[place..place + block as usize].copy_from_slice(&old);
            }
        }
        let place = (offset - from) as usize;
        whole[place..place + data.len()].copy_from_slice(data);
        Ok(whole.freeze())
    }

    async fn leave(
        &self,
        facts: &Facts,
        at: u64,
        content: Content,
        deadline: Instant,
    ) -> Result<(), Errno> {
        let mut at = at;
        let zeros = matches!(content, Content::Zeros(_));
        let mut left = content.len();
        for (cdb, data) in pieces(facts, at, content) {
            let (length, content) = match zeros {
                true => {
                    let length = left.min(facts.most_same);
                    (length, Content::Zeros(length))
                }
                false => (data.len() as u64, Content::Bytes(data.clone())),
            };
            let leaves = Some((at, content));
            self.lun
                .change(&Command { cdb: cdb.to_vec(), data, read: 0, leaves }, deadline)
                .await?;
            at += length;
            left -= length;
        }
        Ok(())
    }

    /// The first byte from an offset on that is mapped, or is not; `None` where there is none.
    ///
    /// # Errors
    /// ENXIO behind the end or where there is no more data, EOPNOTSUPP where the LUN cannot tell.
    pub async fn seek(&self, offset: u64, what: Seek) -> Result<u64, Errno> {
        let (facts, deadline) = (self.lun.facts(), self.lun.deadline());
        let block = u64::from(facts.block);
        if offset >= facts.extent {
            return Err(Errno::NXIO);
        }
        let mut at = offset;
        while at < facts.size {
            let command = Command::get(&lba_status(at / block, STATUS_ROOM), STATUS_ROOM);
            let answer = self.lun.command(&command, deadline).await?;
            let before = at;
            for status in answer.get(8..).unwrap_or_default().as_chunks::<16>().0 {
                let number =
                    |bytes: &[u8]| bytes.iter().fold(0, |n: u64, b| n << 8 | u64::from(*b));
                let (lba, count) = (number(&status[..8]), number(&status[8..12]));
                let mapped = status[12] & 0xf == 0;
                let end = (lba + count).saturating_mul(block).min(facts.size);
                if lba.saturating_mul(block) > at || end <= at {
                    continue;
                }
                if mapped == (what == Seek::Data) {
                    return Ok(at);
                }
                at = end;
            }
            if at == before {
                // It tells nothing of what it was asked for.
                return Err(Errno::OPNOTSUPP);
            }
        }
        match what {
            Seek::Hole => Ok(facts.extent),
            // What the LUN does not have any more is nobody's zeros.
            Seek::Data if facts.size < facts.extent => Ok(at),
            Seek::Data => Err(Errno::NXIO),
        }
    }
}

/// EIO for what ends behind the LUN's end of now.
fn within(facts: &Facts, end: u64) -> Result<(), Errno> {
    if end <= facts.size {
        return Ok(());
    }
    log::warn!("the LUN has {} bytes now, of {} before: EIO behind", facts.size, facts.extent);
    Err(Errno::IO)
}

/// The whole blocks around bytes.
fn blocks(facts: &Facts, from: u64, to: u64) -> (u64, u64) {
    let block = u64::from(facts.block);
    (from / block * block, to.next_multiple_of(block))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scsi::sense::Sense;

    use super::*;
    use crate::attach::fake::Array;

    const SIZE: usize = 512 * 40;
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A cheap source of chance, the same in every run.
    fn dice(state: &mut u64, below: u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 33) % below
    }

    #[tokio::test]
    async fn a_volume_is_a_plain_file_to_whoever_writes_it_through_kills_and_cuts() {
        for seed in 1..30 {
            let array = Array::new(SIZE);
            let volume = Volume::new(array.lun(PATIENCE).await, false);
            let (mut file, mut state) = (vec![0; SIZE], seed);
            for byte in 1..80u8 {
                let offset = dice(&mut state, SIZE as u64);
                let length = 1 + dice(&mut state, 9000);
                let end = (offset + length).min(SIZE as u64);
                let range = offset as usize..end as usize;
                match dice(&mut state, 8) {
                    0 => {
                        volume.zero(offset, length).await.unwrap();
                        file[range].fill(0);
                    }
                    1 => {
                        let read = volume.read(offset, length).await.unwrap();
                        assert_eq!(read, file[range], "seed {seed}, step {byte}");
                    }
                    2 => {
                        array.kill();
                        array.start();
                    }
                    3 => array.cut(),
                    4 => {
                        volume.lun().flush().await.unwrap();
                        assert_eq!(array.state().durable, file, "seed {seed}, step {byte}");
                    }
                    _ => {
                        let data = Bytes::from(vec![byte; length as usize]);
                        let written = volume.write(offset, data).await;
                        assert_eq!(written, Ok(end - offset));
                        file[range].fill(byte);
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn neighbours_that_write_one_block_at_once_both_have_their_bytes() {
        let array = Array::new(SIZE);
        let volume = Arc::new(Volume::new(array.lun(PATIENCE).await, false));
        let writers: Vec<_> = (0..64u8)
            .map(|n| {
                let volume = Arc::clone(&volume);
                let data = Bytes::from(vec![n + 1; 100]);
                tokio::spawn(async move { volume.write(u64::from(n) * 100, data).await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let all = volume.read(0, 6400).await.unwrap();
        assert!(all.chunks(100).zip(1..).all(|(chunk, n)| *chunk == [n; 100]));
    }

    #[tokio::test]
    async fn what_a_smaller_lun_does_not_have_any_more_is_an_error_and_no_end() {
        let array = Array::new(SIZE);
        let volume = Volume::new(array.lun(PATIENCE).await, false);
        let size = SIZE as u64;
        for relogin in [false, true] {
            {
                let mut state = array.state();
                state.cached.truncate(512);
                state.news.push(match relogin {
                    true => Sense::POWER_ON,
                    false => Sense::CAPACITY_CHANGED,
                });
            }
            assert_eq!(volume.read(0, 512).await.unwrap(), [0; 512][..]);
            let facts = volume.lun().facts();
            assert_eq!((facts.size, facts.extent), (512, size));
            for offset in [511, 512, size - 1] {
                assert_eq!(volume.read(offset, 2).await, Err(Errno::IO));
                let data = Bytes::from_static(b"ab");
                assert_eq!(volume.write(offset, data).await, Err(Errno::IO));
                assert_eq!(volume.zero(offset, 2).await, Err(Errno::IO));
            }
            assert!(volume.read(size, 1).await.unwrap().is_empty());
            assert_eq!(volume.seek(0, Seek::Data).await, Ok(512));
            assert_eq!(volume.seek(600, Seek::Data).await, Ok(600));
            assert_eq!(volume.seek(600, Seek::Hole).await, Ok(size));
            assert_eq!(volume.seek(size, Seek::Hole).await, Err(Errno::NXIO));
            {
                let mut state = array.state();
                state.cached.resize(SIZE, 0);
                state.news.push(Sense::CAPACITY_CHANGED);
            }
            assert_eq!(volume.read(0, 1).await.unwrap(), [0][..]);
            assert_eq!(volume.read(size - 1, 2).await.unwrap(), [0][..]);
        }
    }

    #[tokio::test]
    async fn writes_to_one_place_wait_for_an_array_as_long_as_one() {
        let patience = Duration::from_millis(120);
        let array = Array::new(SIZE);
        let volume = Arc::new(Volume::new(array.lun(patience).await, false));
        array.kill();
        let began = Instant::now();
        let writers: Vec<_> = (0..8u8)
            .map(|n| {
                let volume = Arc::clone(&volume);
                let data = Bytes::from(vec![n; 512]);
                tokio::spawn(async move { volume.write(0, data).await })
            })
            .collect();
        for writer in writers {
            assert_eq!(writer.await.unwrap(), Err(Errno::IO));
        }
        assert!(began.elapsed() < 4 * patience, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn ends_and_holes_are_where_they_are() {
        let array = Array::new(SIZE);
        let volume = Volume::new(array.lun(PATIENCE).await, false);
        let size = SIZE as u64;
        assert_eq!(volume.write(size - 3, Bytes::from_static(b"abcdef")).await, Ok(3));
        assert_eq!(volume.write(size, Bytes::from_static(b"a")).await, Err(Errno::NOSPC));
        assert_eq!(volume.read(size - 2, 10).await.unwrap(), "bc");
        assert!(volume.read(size + 1, 10).await.unwrap().is_empty());
        assert_eq!(volume.seek(0, Seek::Hole).await, Ok(0));
        assert_eq!(volume.seek(7, Seek::Data).await, Ok(size - 512));
        assert_eq!(volume.seek(size - 5, Seek::Data).await, Ok(size - 5));
        assert_eq!(volume.seek(size - 5, Seek::Hole).await, Ok(size));
        assert_eq!(volume.seek(size, Seek::Data).await, Err(Errno::NXIO));
        volume.zero(0, u64::MAX).await.unwrap();
        assert_eq!(volume.seek(0, Seek::Data).await, Err(Errno::NXIO));
        let read_only = Volume::new(Arc::clone(volume.lun()), true);
        assert_eq!(read_only.write(0, Bytes::from_static(b"a")).await, Err(Errno::ROFS));
        assert_eq!(read_only.zero(0, 1).await, Err(Errno::ROFS));
        array.state().protected = true;
        assert_eq!(volume.write(0, Bytes::from_static(b"a")).await, Err(Errno::ROFS));
    }
}
