//! Disks in memory: sparse, and cheap to copy, for tests that open thousands of crashed ones.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, Media};

const CHUNK: usize = 4096;

/// The bytes of one disk. A clone shares them until one side writes.
#[derive(Debug, Clone, Default)]
pub struct Bytes {
    chunks: HashMap<u64, Arc<[u8; CHUNK]>>,
    length: u64,
}

impl Bytes {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads; false when they end before.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        if offset.saturating_add(buffer.len() as u64) > self.length {
            return false;
        }
        each_chunk(offset, buffer.len(), |chunk, within, at| {
            let target = &mut buffer[at.clone()];
            match self.chunks.get(&chunk) {
                Some(bytes) => target.copy_from_slice(&bytes[within..within + at.len()]),
                None => target.fill(0),
            }
        });
        true
    }

    /// Writes, growing where needed.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        self.length = self.length.max(offset + data.len() as u64);
        each_chunk(offset, data.len(), |chunk, within, at| {
            let bytes = self.chunks.entry(chunk).or_insert_with(|| Arc::new([0; CHUNK]));
            Arc::make_mut(bytes)[within..within + at.len()].copy_from_slice(&data[at]);
        });
    }

    /// Cuts or grows; new bytes are zeros.
    pub fn set_len(&mut self, length: u64) {
        if length < self.length {
            let last = length / CHUNK as u64;
            self.chunks.retain(|chunk, _| *chunk <= last);
            if let Some(bytes) = self.chunks.get_mut(&last) {
                Arc::make_mut(bytes)[(length % CHUNK as u64) as usize..].fill(0);
            }
        }
        self.length = length;
    }

    /// Gives whole chunks back, as a file system does whose blocks are such chunks; they read as
    /// zeros.
    pub fn discard(&mut self, offset: u64, length: u64) {
        let chunk = CHUNK as u64;
        let end = offset.saturating_add(length).min(self.length);
        (offset.div_ceil(chunk)..end / chunk).for_each(|chunk| {
            self.chunks.remove(&chunk);
        });
    }

    /// Turns one bit over; whether there is one.
    pub fn flip(&mut self, byte: u64, bit: u8) -> bool {
        let mut found = [0];
        let there = self.read(byte, &mut found);
        if there {
            self.write(byte, &[found[0] ^ 1 << (bit % 8)]);
        }
        there
    }

    /// Where something was written: the first bytes of 4 KiB chunks, ascending.
    #[must_use]
    pub fn written(&self) -> Vec<u64> {
        let mut chunks: Vec<u64> = self.chunks.keys().map(|chunk| chunk * CHUNK as u64).collect();
        chunks.sort_unstable();
        chunks
    }
}

fn each_chunk(offset: u64, length: usize, mut act: impl FnMut(u64, usize, std::ops::Range<usize>)) {
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let within = (at % CHUNK as u64) as usize;
        let count = (CHUNK - within).min(length - done);
        act(at / CHUNK as u64, within, done..done + count);
        done += count;
    }
}

/// Media in memory. Clones are the same media; [`Memory::fork`] makes others.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    disks: Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Bytes>>>>>,
}

impl Memory {
    /// Media with these disks.
    #[must_use]
    pub fn of(disks: BTreeMap<PathBuf, Bytes>) -> Self {
        let disks = disks.into_iter().map(|(path, bytes)| (path, Arc::new(Mutex::new(bytes))));
        Self { disks: Arc::new(Mutex::new(disks.collect())) }
    }

    /// What every disk holds now.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<PathBuf, Bytes> {
        let disks = lock(&self.disks);
        disks.iter().map(|(path, bytes)| (path.clone(), lock(bytes).clone())).collect()
    }

    /// Puts a disk in, or in place of the one of that name.
    pub fn put(&self, path: &Path, bytes: Bytes) {
        lock(&self.disks).insert(path.to_owned(), Arc::new(Mutex::new(bytes)));
    }

    /// Takes a disk out.
    pub fn remove(&self, path: &Path) {
        lock(&self.disks).remove(path);
    }

    /// Other media with the same bytes.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.contents())
    }
}

impl Media for Memory {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        let mut disks = lock(&self.disks);
        if disks.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes: Arc<Mutex<Bytes>> = Arc::default();
        disks.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(Arc::new(MemoryDisk(bytes)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        let bytes = lock(&self.disks).get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryDisk(bytes)))
    }
}

#[derive(Debug)]
struct MemoryDisk(Arc<Mutex<Bytes>>);

impl Disk for MemoryDisk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if lock(&self.0).read(offset, buffer) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn read_now(&self, offset: u64, buffer: &mut [u8]) -> bool {
        self.0.try_lock().is_ok_and(|bytes| bytes.read(offset, buffer))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        lock(&self.0).write(offset, data);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        lock(&self.0).set_len(length);
        Ok(())
    }

    fn reserve(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        lock(&self.0).discard(offset, length);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
