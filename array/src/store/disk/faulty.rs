//! Disks that fail when a test says so, over any others.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, Media};

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// [`Disk::read`].
    Read,
    /// [`Disk::write`].
    Write,
    /// [`Disk::flush`].
    Flush,
    /// [`Disk::set_len`].
    Grow,
    /// [`Disk::reserve`].
    Reserve,
}

/// A fault: which disks, by the end of their names, and what of them fails.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The end of the path; empty for every disk.
    pub name: String,
    /// What fails.
    pub act: Act,
    /// With which error.
    pub kind: io::ErrorKind,
    /// How often it works before it fails.
    pub after: u64,
    /// How often it fails; then the disk is well again.
    pub times: u64,
}

/// Media whose disks fail on demand.
#[derive(Clone)]
pub struct Faulty {
    below: Arc<dyn Media>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl Faulty {
    /// Over other media; nothing fails yet.
    #[must_use]
    pub fn new(below: Arc<dyn Media>) -> Self {
        Self { below, faults: Arc::default() }
    }

    /// Makes something fail from now on.
    pub fn fail(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// Makes an act of every disk whose name ends so fail until [`Faulty::heal`].
    pub fn fail_always(&self, name: &str, act: Act, kind: io::ErrorKind) {
        self.fail(Fault { name: name.into(), act, kind, after: 0, times: u64::MAX });
    }

    /// Makes everything work again.
    pub fn heal(&self) {
        lock(&self.faults).clear();
    }

    fn wrap(&self, path: &Path, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        let name = path.to_string_lossy().into_owned();
        Arc::new(FaultyDisk { name, disk, faults: Arc::clone(&self.faults) })
    }
}

impl Media for Faulty {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        Ok(self.wrap(path, self.below.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        Ok(self.wrap(path, self.below.open(path)?))
    }
}

#[derive(Debug)]
struct FaultyDisk {
    name: String,
    disk: Arc<dyn Disk>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl FaultyDisk {
    fn pass(&self, act: Act) -> io::Result<()> {
        let mut faults = lock(&self.faults);
        let mine = |fault: &&mut Fault| fault.act == act && self.name.ends_with(&fault.name);
        for fault in faults.iter_mut().filter(mine) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Err(io::Error::new(fault.kind, "a fault of the test"));
            }
        }
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.pass(Act::Read)?;
        self.disk.read(offset, buffer)
    }

    fn read_now(&self, offset: u64, buffer: &mut [u8]) -> bool {
        // Faults of reads count and strike in `read`.
        let faulty = lock(&self.faults)
            .iter()
            .any(|fault| fault.act == Act::Read && self.name.ends_with(&fault.name));
        !faulty && self.disk.read_now(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.pass(Act::Write)?;
        self.disk.write(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.pass(Act::Flush)?;
        self.disk.flush()
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.pass(Act::Grow)?;
        self.disk.set_len(length)
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        self.pass(Act::Reserve)?;
        self.disk.reserve(offset, length)
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.disk.discard(offset, length)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
