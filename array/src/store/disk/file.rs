//! Real files and block devices, through the page cache.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use rustix::{fs::FallocateFlags, io::ReadWriteFlags};

use super::{Disk, Media};

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl Media for Files {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        // What hosts wrote, and their secrets, are nobody else's.
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Arc::new(FileDisk { file, device: false }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        let file = File::options().read(true).write(true).open(path)?;
        let kind = file.metadata()?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let what = "it is neither a regular file nor a block device";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(Arc::new(FileDisk { file, device: kind.is_block_device() }))
    }
}

#[derive(Debug)]
struct FileDisk {
    file: File,
    device: bool,
}

impl Disk for FileDisk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn read_now(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let length = buffer.len();
        // Of what is in the page cache in part only that part comes; some file systems refuse.
        let slices = &mut [IoSliceMut::new(buffer)];
        let read = rustix::io::preadv2(&self.file, slices, offset, ReadWriteFlags::NOWAIT);
        read == Ok(length)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(rustix::fs::seek(&self.file, rustix::fs::SeekFrom::End(0))?)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if !self.device {
            return self.file.set_len(length);
        }
        let size = self.size()?;
        if size == length {
            return Ok(());
        }
        let what = format!("a block device of {size} bytes cannot be made {length} bytes long");
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        if self.device {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, length) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, offset, length) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
