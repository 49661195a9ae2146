//! Windows: files, and the disks of the system, `\\.\PhysicalDriveN`.

use std::{
    ffi::c_void,
    fs::{File, OpenOptions},
    io,
    os::windows::{
        fs::{FileExt, OpenOptionsExt},
        io::AsRawHandle,
    },
    path::Path,
    ptr::{null, null_mut},
};

use windows_sys::Win32::{
    Storage::FileSystem::{FILE_FLAG_NO_BUFFERING, FILE_FLAG_WRITE_THROUGH},
    System::{
        IO::DeviceIoControl,
        Ioctl::{GET_LENGTH_INFORMATION, IOCTL_DISK_GET_LENGTH_INFO},
    },
};

/// How the name of a device begins that is no file.
const DEVICE: &str = r"\\.\";

/// Whether it is a file or a disk of the system. Opening another device would do something.
///
/// # Errors
/// That the file is not there, or cannot be looked at.
pub(crate) fn is_disk(path: &Path) -> io::Result<bool> {
    let name = path.to_string_lossy().to_ascii_lowercase();
    match name.strip_prefix(DEVICE) {
        Some(device) => Ok(device
            .strip_prefix("physicaldrive")
            .is_some_and(|number| number.parse::<u32>().is_ok())),
        None => Ok(std::fs::metadata(path)?.is_file()),
    }
}

/// The same options, past the page cache.
pub(crate) fn direct(options: &OpenOptions) -> OpenOptions {
    let mut options = options.clone();
    options.custom_flags(FILE_FLAG_NO_BUFFERING | FILE_FLAG_WRITE_THROUGH);
    options
}

/// Reads all of a part.
///
/// # Errors
/// The operating system's answer; an unexpected end.
pub(crate) fn read_at(file: &File, mut part: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !part.is_empty() {
        let read = file.seek_read(part, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        part = &mut part[read..];
        offset += read as u64;
    }
    Ok(())
}

/// Writes all of a part.
///
/// # Errors
/// The operating system's answer.
pub(crate) fn write_at(file: &File, mut part: &[u8], mut offset: u64) -> io::Result<()> {
    while !part.is_empty() {
        let written = file.seek_write(part, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        part = &part[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Bytes of a file or disk: a disk is asked by `IOCTL_DISK_GET_LENGTH_INFO`, and a file does not
/// know what that is.
///
/// # Errors
/// The operating system's answer.
pub(crate) fn length(file: &File) -> io::Result<u64> {
    let mut told = GET_LENGTH_INFORMATION { Length: 0 };
    let mut returned = 0;
    // SAFETY: the handle is open; nothing is passed in, and what comes back fits where it goes.
    let known = unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            IOCTL_DISK_GET_LENGTH_INFO,
            null(),
            0,
            (&raw mut told).cast::<c_void>(),
            size_of_val(&told) as u32,
            &raw mut returned,
            null_mut(),
        )
    };
    if known != 0 && returned as usize == size_of_val(&told) {
        return u64::try_from(told.Length).map_err(io::Error::other);
    }
    file.metadata().map(|metadata| metadata.len())
}

/// An extended attribute of a file; there are none that the built-in initiator leaves.
pub(crate) const fn attribute(_path: &Path, _name: &str) -> Option<Vec<u8>> {
    None
}
