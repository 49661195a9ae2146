//! FIFREEZE and FITHAW of `linux/fs.h`.

use std::{
    ffi::c_int,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    ioctl::{NoArg, Opcode, ioctl, opcode},
};

const FIFREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<c_int>(b'X', 120);

/// Opens a mount point so that it can be frozen and thawed without looking up its path again.
/// Reading its directory changes no time stamp, where that is allowed.
pub fn open_mount(point: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open(point, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => Ok(open(point, flags, Mode::empty())?),
        other => Ok(other?),
    }
}

/// Holds writes to the file system of a descriptor, once it is written out.
pub fn freeze(file_system: impl AsFd) -> Result<(), Errno> {
    // SAFETY: FIFREEZE takes no argument, and touches no memory of this process.
    unsafe { ioctl(file_system, NoArg::<FIFREEZE>::new()) }
}

/// Lets writes go on. EINVAL where nothing is frozen.
pub fn thaw(file_system: impl AsFd) -> Result<(), Errno> {
    // SAFETY: FITHAW takes no argument, and touches no memory of this process.
    unsafe { ioctl(file_system, NoArg::<FITHAW>::new()) }
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
