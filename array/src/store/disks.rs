//! The data of the volumes: one sparse file each, `ldev/00018.data`.
//!
//! A file is made at the first write to its volume; until then the volume reads as zeros and no
//! file exists. The metadata says which volumes have a file, so that a lost one is noticed.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::{Blocks, LdevId};
use rustix::fs::{FallocateFlags, SeekFrom};

use super::{StoreError, fuse::Fuse};

/// Open files kept at once; volumes used longest ago are closed.
const OPEN_FILES: usize = 256;

/// The data files of an array directory.
pub struct Disks {
    dir: PathBuf,
    open: Mutex<Open>,
    pub(super) fuse: Fuse,
}

#[derive(Default)]
struct Open {
    files: HashMap<LdevId, (Arc<Disk>, u64)>,
    clock: u64,
}

/// One open data file.
pub struct Disk {
    file: File,
    path: PathBuf,
    fuse: Fuse,
}

impl Disks {
    /// The data files below `dir`, which exists.
    pub(crate) fn new(dir: &Path, fuse: Fuse) -> Self {
        Self { dir: dir.to_owned(), open: Mutex::default(), fuse }
    }

    /// The file of a volume.
    #[must_use]
    pub fn path(&self, ldev: LdevId) -> PathBuf {
        self.dir.join(format!("{:05}.data", ldev.get()))
    }

    /// Makes the file of a volume, empty and of full length, durably. One left behind by a write
    /// that did not come to its end holds nothing that counts and is begun anew.
    pub fn create(&self, ldev: LdevId, size: Blocks) -> Result<Arc<Disk>, StoreError> {
        let path = self.path(ldev);
        self.fuse.burn(&path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(StoreError::io(&path, "create"))?;
        file.set_len(size.bytes()).map_err(StoreError::io(&path, "extend"))?;
        file.sync_all().map_err(StoreError::io(&path, "flush"))?;
        sync_dir(&self.dir)?;
        Ok(self.keep(ldev, file, path))
    }

    /// Opens the file of a volume that has one.
    pub fn open(&self, ldev: LdevId, size: Blocks) -> Result<Arc<Disk>, StoreError> {
        if let Some(disk) = self.kept(ldev) {
            return Ok(disk);
        }
        let path = self.path(ldev);
        self.verify(ldev, size)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StoreError::io(&path, "open"))?;
        Ok(self.keep(ldev, file, path))
    }

    /// That the file of a volume that has one is there in its full length.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it is missing or of another length.
    pub fn verify(&self, ldev: LdevId, size: Blocks) -> Result<(), StoreError> {
        let path = self.path(ldev);
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::damaged(path, "the file is missing"))
            }
            Err(error) => Err(StoreError::io(path, "examine")(error)),
            Ok(found) if !found.is_file() => Err(StoreError::damaged(path, "not a plain file")),
            Ok(found) if found.len() != size.bytes() => Err(StoreError::damaged(
                path,
                format!("{} bytes long, not {}", found.len(), size.bytes()),
            )),
            Ok(_) => Ok(()),
        }
    }

    fn kept(&self, ldev: LdevId) -> Option<Arc<Disk>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clock += 1;
        let now = open.clock;
        let (disk, used) = open.files.get_mut(&ldev)?;
        *used = now;
        Some(Arc::clone(disk))
    }

    fn keep(&self, ldev: LdevId, file: File, path: PathBuf) -> Arc<Disk> {
        let disk = Arc::new(Disk { file, path, fuse: self.fuse.clone() });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.files.len() >= OPEN_FILES {
            let oldest = open.files.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(ldev, _)| *ldev) {
                open.files.remove(&oldest);
            }
        }
        open.clock += 1;
        let now = open.clock;
        open.files.insert(ldev, (Arc::clone(&disk), now));
        disk
    }
}

impl Disk {
    /// Reads `buffer.len()` bytes at `offset`.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        self.file.read_exact_at(buffer, offset).map_err(StoreError::io(&self.path, "read"))
    }

    /// Writes `data` at `offset`.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        self.fuse.burn(&self.path)?;
        self.file.write_all_at(data, offset).map_err(StoreError::io(&self.path, "write"))
    }

    /// Makes `length` bytes at `offset` a hole that reads as zeros.
    pub fn punch(&self, offset: u64, length: u64) -> Result<(), StoreError> {
        self.fuse.burn(&self.path)?;
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, how, offset, length) {
            Err(rustix::io::Errno::OPNOTSUPP) => self.write_zeros(offset, length),
            other => other.map_err(|errno| StoreError::io(&self.path, "punch")(errno.into())),
        }
    }

    /// The first byte at or after `offset` that is not in a hole; `None` when only holes follow.
    pub fn data_after(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(found) => Ok(Some(found)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system that knows no holes holds data everywhere.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(offset)),
            Err(errno) => Err(StoreError::io(&self.path, "seek in")(errno.into())),
        }
    }

    /// Waits until everything written is on the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.fuse.burn(&self.path)?;
        self.file.sync_data().map_err(StoreError::io(&self.path, "flush"))
    }

    fn write_zeros(&self, offset: u64, length: u64) -> Result<(), StoreError> {
        let zeros = [0; 64 * 1024];
        let mut done = 0;
        while done < length {
            let piece = usize::try_from(length - done).map_or(zeros.len(), |n| n.min(zeros.len()));
            self.write(offset + done, &zeros[..piece])?;
            done += piece as u64;
        }
        Ok(())
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io(dir, "flush"))
}
