//! A volume that goes into an archive: a block device or a file.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Advice, SeekFrom as Sought, fadvise, seek},
    io::Errno,
};

use super::content::{CHUNK, Packer};

/// Zeros are left out in units of this size; it divides [`CHUNK`].
const UNIT: usize = 16 << 10;

/// A volume to read.
#[derive(Debug)]
pub struct Source {
    file: File,
    size: u64,
    /// Where it was opened.
    pub path: PathBuf,
}

impl Source {
    /// Opens a block device or a file. What the host has of it in memory from before is dropped:
    /// an S-VOL changes under the host's feet.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.seek(SeekFrom::End(0))?;
        // Best effort: what nobody has mounted or mapped goes.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        Ok(Self { file, size, path: path.to_owned() })
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Puts all of it, but for zeros, into an archive. `done` hears how many bytes of the volume
    /// are behind, holes included.
    ///
    /// # Errors
    /// Which side failed, and how.
    pub fn pack<W: Write>(
        &self,
        into: &mut Packer<W>,
        mut done: impl FnMut(u64),
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        while offset < self.size {
            let (start, end) = self.extent(offset);
            offset = start;
            while offset < end {
                // Chunks lie where they would without holes, so that units are whole.
                let room = CHUNK as u64 - offset % CHUNK as u64;
                let length = room.min(end - offset);
                let chunk = &mut buffer[..usize::try_from(length).unwrap_or(CHUNK)];
                self.file.read_exact_at(chunk, offset).map_err(Broken::Reading)?;
                stored(chunk, |at, bytes| into.data(offset + at as u64, bytes))
                    .map_err(Broken::Writing)?;
                offset += length;
                done(offset);
            }
        }
        done(self.size);
        Ok(())
    }

    /// The next bytes, from `offset` on, that are no hole: from where to where.
    fn extent(&self, offset: u64) -> (u64, u64) {
        match seek(&self.file, Sought::Data(offset)) {
            // Units begin where they would without holes.
            Ok(start) => {
                let start = (start - start % UNIT as u64).max(offset);
                let hole = seek(&self.file, Sought::Hole(start.max(offset)));
                let hole = hole.ok().filter(|hole| *hole > start).unwrap_or(self.size);
                (start, hole.next_multiple_of(UNIT as u64).min(self.size))
            }
            Err(Errno::NXIO) => (self.size, self.size),
            // A file system, or a device, that knows no holes.
            Err(_) => (offset, self.size),
        }
    }
}

/// Which side of a copy failed.
#[derive(Debug)]
pub enum Broken {
    /// The volume.
    Reading(io::Error),
    /// The archive.
    Writing(io::Error),
}

/// Calls with every run of units that are not all zero: where it begins, and its bytes.
fn stored<E>(chunk: &[u8], mut with: impl FnMut(usize, &[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut run = None;
    let units = chunk.chunks(UNIT).zip((0..).step_by(UNIT));
    for (unit, at) in units {
        match (is_zero(unit), run) {
            (false, None) => run = Some(at),
            (true, Some(from)) => {
                with(from, &chunk[from..at])?;
                run = None;
            }
            _ => {}
        }
    }
    run.map_or(Ok(()), |from| with(from, &chunk[from..]))
}

/// By comparing it with itself, one word on: as fast as memory.
fn is_zero(bytes: &[u8]) -> bool {
    let head = bytes.len().min(16);
    bytes[..head].iter().all(|byte| *byte == 0) && bytes[..bytes.len() - head] == bytes[head..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_cover_every_byte_that_is_not_zero(
            set in proptest::collection::vec(0_usize..CHUNK, 0..20), length in 0_usize..=CHUNK,
        ) {
            let mut chunk = vec![0; length];
            for at in set.into_iter().filter(|at| *at < length) {
                chunk[at] = 1;
            }
            let mut rebuilt = vec![0; length];
            stored(&chunk, |at, bytes| {
                assert!(at % UNIT == 0 && !bytes.is_empty());
                rebuilt[at..at + bytes.len()].copy_from_slice(bytes);
                Ok::<(), ()>(())
            }).unwrap();
            prop_assert!(rebuilt == chunk);
        }
    }

    #[test]
    fn one_bit_anywhere_is_not_zero() {
        for length in [0, 1, 15, 16, 17, 33, UNIT] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes), "{length}");
            for at in (0..length).step_by(7).chain(length.checked_sub(1)) {
                bytes[at] = 0x80;
                assert!(!is_zero(&bytes), "{at} of {length}");
                bytes[at] = 0;
            }
        }
    }
}
