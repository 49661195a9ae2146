//! One command at a time works with the pairs of a catalogue.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::BackupId;

/// Who holds the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; `None` where it has not yet said.
    pub pid: Option<u32>,
    /// Its command.
    pub command: String,
    /// The backup it makes, if it makes one.
    pub backup: Option<BackupId>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{} with process id {pid}", self.command),
            None => f.write_str("another command"),
        }
    }
}

/// The right to work with the pairs, until it is dropped or the process ends, whatever ends it.
#[derive(Debug)]
pub struct Claim {
    file: File,
}

impl Claim {
    /// Says which backup the command makes.
    pub(super) fn making(&self, id: BackupId) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(io::SeekFrom::End(0))?;
        writeln!(file, "{id}")
    }
}

/// The claim, or who holds it.
///
/// # Errors
/// What the file system says.
pub fn take(path: &Path, command: &str) -> io::Result<Result<Claim, Holder>> {
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            writeln!(file, "{} {command}", std::process::id())?;
            Ok(Ok(Claim { file }))
        }
        Err(TryLockError::WouldBlock) => Ok(Err(holder(&mut file)?)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Who holds the claim, if anybody does.
///
/// # Errors
/// What the file system says.
pub fn held(path: &Path) -> io::Result<Option<Holder>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => holder(&mut file).map(Some),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn holder(file: &mut File) -> io::Result<Holder> {
    let mut text = String::new();
    file.rewind()?;
    file.take(200).read_to_string(&mut text)?;
    let mut lines = text.lines();
    let (pid, command) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let backup = lines.next().and_then(|line| line.parse().ok());
    Ok(Holder { pid: pid.parse().ok(), command: command.to_owned(), backup })
}
