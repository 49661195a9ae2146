//! The intent file of a member: which segments may have writes in flight.
//!
//! A segment is marked durably before the first write to it, and unmarked when all of it has been
//! flushed and nobody has written to it for a while. After a crash a block of a marked segment
//! may not match its checksum although nothing is wrong with it; anywhere else it is damage.
//!
//! The file is a row of sectors of 512 bytes:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0-503 | bit n of byte m of sector s: segment 4032s + 8m + n |
//! | 504-507 | zero |
//! | 508-511 | CRC-32C of the sector's number (8 bytes LE) and bytes 0-507, LE |
//!
//! A sector whose checksum does not hold marks all of its segments: that costs certainty, but
//! shows no false damage.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use super::disk::{Disk, SECTOR};

/// Segments of a sector.
const PER_SECTOR: usize = 504 * 8;

/// A segment's state: marked, written to since the last look, and how many write now.
const MARKED: u32 = 1 << 31;
const RECENT: u32 = 1 << 30;
const WRITERS: u32 = RECENT - 1;

/// The marks of one member.
#[derive(Debug)]
pub struct Intent {
    disk: Arc<dyn Disk>,
    states: RwLock<Vec<AtomicU32>>,
    /// Segments that a crash left marked and nobody has looked through yet.
    suspects: RwLock<Vec<bool>>,
    writing: Mutex<()>,
}

/// Fills a new intent file: any of so many segments may have had writes in flight.
///
/// # Errors
/// The disk's answer.
pub fn mark_all(disk: &dyn Disk, segments: u32) -> io::Result<()> {
    for number in 0..(segments as usize).div_ceil(PER_SECTOR) {
        let mut sector = [0xff; SECTOR];
        sector[504..508].fill(0);
        let check = sum(number, &sector[..508]);
        sector[508..].copy_from_slice(&check);
        disk.write((number * SECTOR) as u64, &sector)?;
    }
    disk.flush()
}

impl Intent {
    /// Over an intent file, with the marks that it holds.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn open(disk: Arc<dyn Disk>, segments: u32) -> io::Result<Self> {
        let count = segments as usize;
        let mut suspects = vec![false; count];
        let sectors = disk.size()? / SECTOR as u64;
        for (number, chunk) in suspects.chunks_mut(PER_SECTOR).enumerate() {
            // A sector that was never written belongs to segments that were never written.
            if number as u64 >= sectors {
                break;
            }
            let mut sector = [0; SECTOR];
            disk.read((number * SECTOR) as u64, &mut sector)?;
            let whole = sector[508..] == sum(number, &sector[..508]);
            let fresh = sector.iter().all(|byte| *byte == 0);
            for (n, suspect) in chunk.iter_mut().enumerate() {
                *suspect = !fresh && (!whole || sector[n / 8] >> (n % 8) & 1 == 1);
            }
        }
        let state = |suspect: &bool| AtomicU32::new(if *suspect { MARKED } else { 0 });
        let states = suspects.iter().map(state).collect();
        let this = Self {
            disk,
            states: RwLock::new(states),
            suspects: RwLock::new(suspects),
            writing: Mutex::new(()),
        };
        this.grow(segments)?;
        Ok(this)
    }

    /// Makes room for more segments.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn grow(&self, segments: u32) -> io::Result<()> {
        let length = ((segments as usize).div_ceil(PER_SECTOR) * SECTOR) as u64;
        if self.disk.size()? < length {
            self.disk.set_len(length)?;
            self.disk.reserve(0, length)?;
            self.disk.flush()?;
        }
        let count = segments as usize;
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        let more = count.saturating_sub(states.len());
        states.extend((0..more).map(|_| AtomicU32::new(0)));
        let mut suspects = self.suspects.write().unwrap_or_else(PoisonError::into_inner);
        let count = count.max(suspects.len());
        suspects.resize(count, false);
        Ok(())
    }

    /// Announces a write to a segment; [`Intent::leave`] ends it.
    ///
    /// # Errors
    /// When the mark cannot be made durable; then nothing has been announced.
    pub fn enter(&self, segment: u32) -> io::Result<()> {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = states.get(segment as usize) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let before = state.fetch_add(1, Ordering::SeqCst);
        if before & MARKED == 0 {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            if state.load(Ordering::SeqCst) & MARKED == 0 {
                let written = self.store(&states, segment, Some(true));
                if let Err(error) = written.and_then(|()| self.disk.flush()) {
                    state.fetch_sub(1, Ordering::SeqCst);
                    return Err(error);
                }
                state.fetch_or(MARKED, Ordering::SeqCst);
            }
        }
        if before & RECENT == 0 {
            state.fetch_or(RECENT, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Ends a write.
    pub fn leave(&self, segment: u32) {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get(segment as usize) {
            state.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Writes the sector of a segment as the states have it, with the bit of `segment` as told.
    fn store(&self, states: &[AtomicU32], segment: u32, mark: Option<bool>) -> io::Result<()> {
        let number = segment as usize / PER_SECTOR;
        let mut sector = [0; SECTOR];
        let first = number * PER_SECTOR;
        for (n, state) in states.iter().skip(first).take(PER_SECTOR).enumerate() {
            let marked = match mark {
                Some(mark) if first + n == segment as usize => mark,
                _ => state.load(Ordering::SeqCst) & MARKED != 0,
            };
            sector[n / 8] |= u8::from(marked) << (n % 8);
        }
        let sum = sum(number, &sector[..508]);
        sector[508..].copy_from_slice(&sum);
        self.disk.write((number * SECTOR) as u64, &sector)
    }

    /// Unmarks segments that are not `dirty`, and that were not written to since the last call or
    /// will not be again, as `last` says. For the moment after a flush. A lost unmark costs
    /// nothing, so nobody waits for it.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn settle(&self, last: bool, dirty: impl Fn(u32) -> bool) -> io::Result<()> {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        let suspects = self.suspects.read().unwrap_or_else(PoisonError::into_inner);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = None;
        for (number, state) in (0u32..).zip(states.iter()) {
            if state.load(Ordering::SeqCst) & MARKED == 0 || suspects[number as usize] {
                continue;
            }
            let busy = if last { WRITERS } else { RECENT | WRITERS };
            if state.fetch_and(!RECENT, Ordering::SeqCst) & busy != 0 {
                continue;
            }
            if state.compare_exchange(MARKED, 0, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                continue;
            }
            if dirty(number) {
                state.fetch_or(MARKED, Ordering::SeqCst);
                continue;
            }
            let sector = number as usize / PER_SECTOR;
            if let Some(other) = changed.filter(|other| *other as usize / PER_SECTOR != sector) {
                self.store(&states, other, None)?;
            }
            changed = Some(number);
        }
        changed.map_or(Ok(()), |number| self.store(&states, number, None))
    }

    /// Whether a crash left writes in flight in a segment.
    #[must_use]
    pub fn is_suspect(&self, segment: u32) -> bool {
        let suspects = self.suspects.read().unwrap_or_else(PoisonError::into_inner);
        suspects.get(segment as usize).copied().unwrap_or(false)
    }

    /// Every segment that a crash left with writes in flight.
    #[must_use]
    pub fn suspects(&self) -> Vec<u32> {
        let suspects = self.suspects.read().unwrap_or_else(PoisonError::into_inner);
        (0..).zip(suspects.iter()).filter(|(_, is)| **is).map(|(number, _)| number).collect()
    }

    /// Notes that every block of a segment matches its checksum again.
    pub fn clear(&self, segment: u32) {
        let mut suspects = self.suspects.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(suspect) = suspects.get_mut(segment as usize) {
            *suspect = false;
        }
    }
}

fn sum(number: usize, bytes: &[u8]) -> [u8; 4] {
    let head = crc32c::crc32c(&(number as u64).to_le_bytes());
    crc32c::crc32c_append(head, bytes).to_le_bytes()
}
