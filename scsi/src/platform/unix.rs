//! Unix.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// As much as INQUIRY can answer is never in an attribute; more is none of ours.
const MOST: usize = 4096;

/// Whether it is a file or block device. Opening a tape or a watchdog would do something.
///
/// # Errors
/// That it is not there, or cannot be looked at.
pub(crate) fn is_disk(path: &Path) -> io::Result<bool> {
    let metadata = std::fs::metadata(path)?;
    Ok(metadata.is_file() || metadata.file_type().is_block_device())
}

/// The same options, past the page cache.
pub(crate) fn direct(options: &OpenOptions) -> OpenOptions {
    let mut options = options.clone();
    options.custom_flags(i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or(0));
    options
}

/// Reads all of a part.
///
/// # Errors
/// The operating system's answer; an unexpected end.
pub(crate) fn read_at(file: &File, part: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(part, offset)
}

/// Writes all of a part.
///
/// # Errors
/// The operating system's answer.
pub(crate) fn write_at(file: &File, part: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(part, offset)
}

/// Bytes of a file or block device.
///
/// # Errors
/// The operating system's answer.
pub(crate) fn length(mut file: &File) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// An extended attribute of a file.
pub(crate) fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; MOST];
    let length = rustix::fs::getxattr(path, name, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
