//! The directory of an array: what lies in it, how it is made, and who may use it.
//!
//! | name | what it is |
//! |---|---|
//! | `FORMAT` | says that this is such a directory, and in which format; written last |
//! | `meta.redb` | all metadata ([`crate::store::Records`]) |
//! | `ldev/NNNNN.data` | the data of one LDEV, sparse, made at its first write |
//! | `lock` | held by the one process that uses the directory |
//! | `arrayd.sock` | the control socket while the array runs |

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;

use crate::{
    inventory::Inventory,
    store::{Records, Row, StoreError, sync_dir},
};

/// The format this release writes and reads.
///
/// 1: first.
pub const FORMAT: u32 = 1;

const FORMAT_NAME: &str = "FORMAT";
const FORMAT_HEAD: &str = "array directory of arrayd\nformat ";

/// A directory that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// `init` wants a directory that is empty or not there yet.
    #[error("{}: not empty; name a new or an empty directory", .0.display())]
    NotEmpty(PathBuf),
    /// There is nothing of an array in it.
    #[error("{}: not an array directory; make one with: arrayd init {} --from FILE.toml", .0.display(), .0.display())]
    NotAnArray(PathBuf),
    /// `init` was interrupted.
    #[error(
        "{}: half made: arrayd init did not come to its end; remove the directory and run init again",
        .0.display()
    )]
    HalfMade(PathBuf),
    /// Another process uses it.
    #[error("{}: in use by another arrayd; stop that one first", .0.display())]
    InUse(PathBuf),
    /// Damage, or a failure of the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A locked array directory. The lock ends with the value, or with the process.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes an array directory from an inventory. Interrupted, it leaves a directory that
    /// [`Directory::open`] refuses as half made.
    ///
    /// # Errors
    /// A directory that is not empty, or the disk's answer.
    pub fn init(path: &Path, inventory: &Inventory) -> Result<(), DirectoryError> {
        std::fs::create_dir_all(path).map_err(StoreError::io(path, "make"))?;
        let mut entries = path.read_dir().map_err(StoreError::io(path, "read"))?;
        if entries.next().is_some() {
            return Err(DirectoryError::NotEmpty(path.to_owned()));
        }
        let _lock = lock(path)?;
        let data = path.join("ldev");
        std::fs::create_dir(&data).map_err(StoreError::io(&data, "make"))?;
        let records = Records::create(&path.join("meta.redb"))?;
        records.commit(&inventory.rows().collect::<Vec<Row>>())?;
        drop(records);
        sync_dir(path)?;
        write_format(path)?;
        Ok(())
    }

    /// Locks an array directory and verifies its format.
    ///
    /// # Errors
    /// Every variant of [`DirectoryError`] but `NotEmpty`.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let format = path.join(FORMAT_NAME);
        let text = match std::fs::read(&format) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(if path.join("meta.redb").exists() || path.join("ldev").exists() {
                    DirectoryError::HalfMade(path.to_owned())
                } else {
                    DirectoryError::NotAnArray(path.to_owned())
                });
            }
            Err(error) => return Err(StoreError::io(format, "read")(error).into()),
        };
        check_format(&format, &text)?;
        Ok(Self { _lock: lock(path)?, path: path.to_owned() })
    }

    /// The file with all metadata.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.path.join("meta.redb")
    }

    /// The directory of the data files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path.join("ldev")
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The control socket of the array in `path`.
#[must_use]
pub fn socket(path: &Path) -> PathBuf {
    path.join("arrayd.sock")
}

fn lock(path: &Path) -> Result<File, DirectoryError> {
    let name = path.join("lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&name)
        .map_err(StoreError::io(&name, "open"))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(DirectoryError::InUse(path.to_owned())),
        Err(errno) => Err(StoreError::io(name, "lock")(errno.into()).into()),
    }
}

fn write_format(path: &Path) -> Result<(), StoreError> {
    let (made, name) = (path.join("FORMAT.new"), path.join(FORMAT_NAME));
    let mut file = File::create_new(&made).map_err(StoreError::io(&made, "create"))?;
    file.write_all(format!("{FORMAT_HEAD}{FORMAT}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(StoreError::io(&made, "write"))?;
    std::fs::rename(&made, &name).map_err(StoreError::io(&name, "rename"))?;
    sync_dir(path)
}

fn check_format(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let number = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_prefix(FORMAT_HEAD))
        .and_then(|rest| rest.strip_suffix('\n'))
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u32>().ok());
    match number {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        _ => Err(StoreError::damaged(path, "it does not say which format this is")),
    }
}
