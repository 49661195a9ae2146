//! The blocks of a disk of this host.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    hba::Drive,
    platform::{direct, is_disk, length, read_at, write_at},
};

/// What buffers are aligned to; a multiple of any sector, as I/O past the page cache wants it.
const ALIGNMENT: usize = 4096;

/// A disk that is read and written by whole blocks.
#[derive(Debug, Clone)]
pub enum DiskIo {
    /// A file or block device.
    File(Arc<File>),
    /// A LUN of the built-in initiator.
    Drive(Arc<Drive>),
}

impl DiskIo {
    /// Opens a file or block device past the page cache, which would show yesterday's bytes; where
    /// the file system cannot do that, it keeps none of what others write, or the file is none of
    /// an array.
    ///
    /// # Errors
    /// The operating system's answer; what is neither is unsupported.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !is_disk(path)? {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is no disk"));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = match direct(&options).open(path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => options.open(path)?,
            opened => opened?,
        };
        Ok(Self::File(Arc::new(file)))
    }

    /// Reads whole blocks.
    ///
    /// # Errors
    /// The disk's answer; an unexpected end beyond the last block.
    pub async fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Drive(drive) => drive.read(offset, length).await.map(Vec::from),
            Self::File(file) => {
                let file = Arc::clone(file);
                blocking(move || {
                    let (mut buffer, start) = aligned(length);
                    let part = &mut buffer[start..start + length];
                    read_at(&file, part, offset)?;
                    Ok(part.to_vec())
                })
                .await
            }
        }
    }

    /// Writes whole blocks.
    ///
    /// # Errors
    /// The disk's answer.
    pub async fn write(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Drive(drive) => drive.write(offset, data.into()).await,
            Self::File(file) => {
                let file = Arc::clone(file);
                blocking(move || {
                    let (mut buffer, start) = aligned(data.len());
                    let part = &mut buffer[start..start + data.len()];
                    part.copy_from_slice(&data);
                    write_at(&file, part, offset)
                })
                .await
            }
        }
    }

    /// Makes durable what was written: SYNCHRONIZE CACHE (10) of everything.
    ///
    /// # Errors
    /// The disk's answer.
    pub async fn flush(&self) -> io::Result<()> {
        match self {
            Self::Drive(drive) => {
                let cdb = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                drive.command(&cdb, Bytes::new(), 0).await.map(drop)
            }
            Self::File(file) => {
                let file = Arc::clone(file);
                blocking(move || file.sync_all()).await
            }
        }
    }

    /// Bytes of the disk: READ CAPACITY (16), or the end of the file.
    ///
    /// # Errors
    /// The disk's answer.
    pub async fn size(&self) -> io::Result<u64> {
        match self {
            Self::Drive(drive) => {
                let mut cdb = [0; 16];
                (cdb[0], cdb[1], cdb[13]) = (0x9e, 0x10, 32);
                let data = drive.command(&cdb, Bytes::new(), 32).await?;
                let (last, rest) =
                    data.split_first_chunk::<8>().ok_or(io::ErrorKind::UnexpectedEof)?;
                let block = rest.first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
                let blocks = u64::from_be_bytes(*last).saturating_add(1);
                Ok(blocks.saturating_mul(u32::from_be_bytes(*block).into()))
            }
            Self::File(file) => {
                let file = Arc::clone(file);
                blocking(move || length(&file)).await
            }
        }
    }
}

/// A buffer whose bytes from the second number on are aligned.
fn aligned(length: usize) -> (Vec<u8>, usize) {
    let buffer = vec![0; length + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    (buffer, start)
}

/// Waits for a disk where that keeps nobody else waiting.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}
