//! The directory of an array: what lies in it, how it is made, and who may use it.
//!
//! | name | what it is |
//! |---|---|
//! | `FORMAT` | says that this is such a directory, and in which format; written last |
//! | `meta.redb` | all metadata ([`crate::store::Records`]) |
//! | `pool-N.data` | a pool's pages, where its file was not described otherwise |
//! | `pool-N-M.intent` | which parts of file M of pool N may have writes in flight |
//! | `lock` | held by the one process that uses the directory |
//! | `arrayd.sock` | the control socket while the array runs |
//!
//! It is its owner's alone (mode 0700): the metadata holds CHAP secrets, and the pools what hosts
//! wrote. One that others may enter, as earlier releases made it, is closed when it is opened.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;

use crate::{
    inventory::Inventory,
    store::{
        MemberRow, Place, PoolRow, PoolStore, Records, Row, StoreError,
        disk::{Files, Media},
        segments_in,
    },
};

/// The format this release writes and reads.
///
/// * 1: a file for each LDEV. Was never released; this release refuses it.
/// * 2: pools.
pub const FORMAT: u32 = 2;

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
        close(path, 0o700);
        let _lock = lock(path)?;
        Self::fill(&Files, path, inventory)?;
        sync_dir(path)?;
        write_format(path)?;
        Ok(())
    }

    /// Makes what is in an array directory, but for what says that it is one.
    pub(crate) fn fill(
        media: &dyn Media,
        path: &Path,
        inventory: &Inventory,
    ) -> Result<(), StoreError> {
        let array = protocol::RequestId::random().to_bytes();
        let place = Place { media, dir: path, array };
        let mut pools = Vec::new();
        for pool in &inventory.pools {
            let row = PoolRow { name: pool.name.clone(), threshold: pool.threshold };
            let mut members = Vec::new();
            for member in &pool.members {
                let bytes = member.bytes.or_else(|| place.size_of(&member.path));
                let segments = segments_in(bytes.unwrap_or(0));
                if segments == 0 {
                    let what = "it is no block device of at least 66 MiB; give its size";
                    return Err(StoreError::damaged(path.join(&member.path), what));
                }
                let (path, preallocate) = (member.path.clone(), member.preallocate);
                members.push(MemberRow { path, segments, preallocate });
            }
            pools.push((pool.id, row, members));
        }
        let mut rows: Vec<Row> = inventory.rows().collect();
        rows.extend(PoolStore::create(media, path, array, &pools)?);
        let records = Records::create(media, &path.join("meta.redb"))?;
        records.commit(&rows, &[])
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
                return Err(if path.join("meta.redb").exists() {
                    DirectoryError::HalfMade(path.to_owned())
                } else {
                    DirectoryError::NotAnArray(path.to_owned())
                });
            }
            Err(error) => return Err(StoreError::io(format, "read")(error).into()),
        };
        check_format(&format, &text)?;
        let this = Self { _lock: lock(path)?, path: path.to_owned() };
        close(path, 0o700);
        close(&this.records(), 0o600);
        Ok(this)
    }

    /// The file with all metadata.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.path.join("meta.redb")
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

/// Takes what others than the owner may do with a file away. Where that fails, the array is used
/// all the same: it may be somebody else's mount point.
fn close(path: &Path, mode: u32) {
    let open = |metadata: std::fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
    if !path.metadata().is_ok_and(open) {
        return;
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        Ok(()) => log::info!("{}: closed to other users: mode {mode:04o}", path.display()),
        Err(error) => log::warn!(
            "{}: other users may get at CHAP secrets and data, and its mode cannot be changed: \
             {error}; make it mode {mode:04o}",
            path.display()
        ),
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
        Some(1) => Err(StoreError::damaged(
            path,
            "format 1 is older than the first release; export its LDEVs with the arrayd that made it and import them into a new array",
        )),
        _ => Err(StoreError::damaged(path, "it does not say which format this is")),
    }
}

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(StoreError::io(dir, "flush the names in"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const TOML: &str = "serial = 1\n[[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n";

    #[test]
    fn nobody_but_its_owner_gets_at_an_array_new_or_old() {
        let dir = tempfile::tempdir().unwrap();
        let (path, given) = (dir.path().join("new"), dir.path().join("given"));
        std::fs::create_dir(&given).unwrap();
        std::fs::set_permissions(&given, Permissions::from_mode(0o755)).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for path in [&path, &given] {
            Directory::init(path, &config::parse(TOML).unwrap()).unwrap();
            assert_eq!(mode(path), 0o700);
            for name in ["meta.redb", "pool-0.data"] {
                assert_eq!(mode(&path.join(name)), 0o600, "{name}");
            }
        }
        let records = path.join("meta.redb");
        std::fs::set_permissions(&records, Permissions::from_mode(0o644)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let bytes = std::fs::read(&records).unwrap();
        drop(Directory::open(&path).unwrap());
        assert_eq!((mode(&path), mode(&records)), (0o700, 0o600));
        assert!(std::fs::read(&records).unwrap() == bytes, "nothing else has changed");
    }
}
