//! Files that are there whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// What a file is called while it is written.
pub const UNFINISHED: &str = ".unfinished";

/// Makes a directory and what leads to it, where missing; only its owner can enter it.
///
/// # Errors
/// What the file system says.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file: beside it first, then over it, each step on the disk before the next.
///
/// # Errors
/// What the file system says; the file is as it was before.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    let beside = directory.join(name);
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_directory(directory)
}

/// Has the names in a directory on the disk.
///
/// # Errors
/// What the file system says.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Moves a file out of the way, under a name that is free.
///
/// # Errors
/// What the file system says.
pub fn set_aside(path: &Path, into: &Path) -> io::Result<std::path::PathBuf> {
    make_directory(into)?;
    let name = path.file_name().unwrap_or_default();
    for number in 1.. {
        let mut free = name.to_owned();
        free.push(format!(".{number}"));
        let target = into.join(free);
        if !target.try_exists()? {
            fs::rename(path, &target)?;
            return Ok(target);
        }
    }
    unreachable!("numbers do not end")
}
