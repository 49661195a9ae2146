//! A volume that comes out of an archive: a block device or a file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use commands::attach::mounted;
use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate, major, minor};

use super::content::CHUNK;
use crate::{host::openers, volume::block::Blocks};

/// A volume to write.
#[derive(Debug)]
pub struct Target {
    file: File,
    /// It was made just now: what is not written is zero already.
    fresh: bool,
    /// Where it was opened.
    pub path: PathBuf,
}

/// Why a volume cannot be written.
#[derive(Debug)]
pub enum Unfit {
    /// The operating system refuses.
    Io(io::Error),
    /// It is neither a block device nor a file.
    Odd,
    /// It is not of this size; its own.
    Size(u64),
    /// Somebody uses it; who.
    Used(String),
}

impl Target {
    /// Opens a block device or a file of this size, for itself alone; makes a file where there is
    /// none. Nothing of it is written.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn open(path: &Path, size: u64) -> Result<Self, Unfit> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let (kind, device) = match fs::metadata(path) {
            Ok(metadata) => (metadata.file_type(), metadata.rdev()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = options.create_new(true).mode(0o600).open(path).map_err(Unfit::Io)?;
                file.set_len(size).map_err(Unfit::Io)?;
                return Ok(Self { file, fresh: true, path: path.to_owned() });
            }
            Err(error) => return Err(Unfit::Io(error)),
        };
        if kind.is_block_device() {
            let blocks = Blocks::new("/sys");
            let openers = openers::of_device(&blocks, (major(device), minor(device)));
            if let Some(user) = openers.users(&blocks).next() {
                return Err(Unfit::Used(user));
            }
            // The kernel gives a device to one user for himself: a mount, a map, swap, us.
            options.custom_flags(i32::try_from(OFlags::EXCL.bits()).unwrap_or(0));
        } else if !kind.is_file() {
            return Err(Unfit::Odd);
        } else {
            let path = path.canonicalize().map_err(Unfit::Io)?;
            if let Some(user) = mounted::holders(&path).first() {
                return Err(Unfit::Used(user.clone()));
            }
        }
        let mut file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => {
                Unfit::Used("a mount, a device map, swap or a program".to_owned())
            }
            _ => Unfit::Io(error),
        })?;
        let own = file.seek(SeekFrom::End(0)).map_err(Unfit::Io)?;
        if own != size {
            return Err(Unfit::Size(own));
        }
        Ok(Self { file, fresh: false, path: path.to_owned() })
    }

    /// Whether it is the same file as another.
    #[must_use]
    pub fn is(&self, other: &fs::Metadata) -> bool {
        let own = self.file.metadata();
        own.is_ok_and(|own| own.dev() == other.dev() && own.ino() == other.ino())
    }

    /// Takes away a file that was made just now, of which nothing is needed.
    pub fn discard(self) {
        if self.fresh {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn data(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Makes a part zero, without writing it where that can be.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn zeros(&self, offset: u64, length: u64) -> io::Result<()> {
        if self.fresh {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(&self.file, flags, offset, length).is_ok() {
            return Ok(());
        }
        let zeros = vec![0; CHUNK];
        let mut done = 0;
        while done < length {
            let part = (length - done).min(CHUNK as u64);
            let zeros = &zeros[..usize::try_from(part).unwrap_or(CHUNK)];
            self.file.write_all_at(zeros, offset + done)?;
            done += part;
        }
        Ok(())
    }

    /// Has all of it on the disk, and nothing of it in memory.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(&self) -> io::Result<()> {
        self.file.sync_all()?;
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_made_and_taken_away_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new");
        let target = Target::open(&path, 1 << 40).unwrap();
        target.zeros(0, 1 << 40).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 40);
        target.discard();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_was_there_is_written_whole_and_never_taken_away() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("old");
        fs::write(&path, vec![7; 100_000]).unwrap();
        let target = Target::open(&path, 100_000).unwrap();
        target.zeros(10, 99_000).unwrap();
        target.data(50, b"abc").unwrap();
        target.finish().unwrap();
        let mut expected = vec![0; 100_000];
        expected[..10].fill(7);
        expected[99_010..].fill(7);
        expected[50..53].copy_from_slice(b"abc");
        assert!(fs::read(&path).unwrap() == expected);
        target.discard();
        assert!(path.exists());
    }

    #[test]
    fn other_sizes_directories_and_files_in_use_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert!(matches!(Target::open(&path, 4), Err(Unfit::Size(5))));
        assert!(matches!(Target::open(place.path(), 4), Err(Unfit::Odd)));
        assert!(matches!(Target::open(&path.join("x"), 4), Err(Unfit::Io(_))));
        let user = File::open(&path).unwrap();
        assert!(matches!(Target::open(&path, 5), Err(Unfit::Used(_))));
        drop(user);
        Target::open(&path, 5).unwrap();
    }
}
