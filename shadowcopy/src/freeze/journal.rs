//! What may be frozen, for whoever comes after a crash: a file a backup, `RUN/GUID`.
//!
//! It is `DRMF`, version 1 as 16 bits, little-endian, and the record as postcard, with the CRC-32C
//! of all of it behind. It is there, durable, before anything is frozen, and goes when the
//! catalogue has the outcome. While coordinator or guard live, it is locked (`flock`): the lock
//! belongs to the open file that both have. It is locked under a draft name before it gets its own,
//! so nobody finds it unlocked before its time.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use protocol::codec;
use provider::guid::SetId;
use rustix::{
    fs::{FlockOperation, flock, fstat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::ioctl::sync_directory;
use crate::catalogue::BackupId;

const MAGIC: &[u8] = b"DRMF\x01\x00";
const DRAFT: &str = "draft";
const DAMAGED: &str = "damaged";

/// A backup that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The snapshot set.
    pub set: SetId,
    /// The backup.
    pub backup: BackupId,
    /// `/proc/sys/kernel/random/boot_id`: nothing stays frozen over a boot.
    pub boot: String,
    /// The file systems in the order in which they freeze: mount point, major and minor number of
    /// the device.
    pub file_systems: Vec<(PathBuf, (u32, u32))>,
}

/// A journal that this process holds.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    /// Writes the journal of a backup; durable when it returns.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(run: &Path, record: &Record) -> io::Result<Self> {
        fs::create_dir_all(run)?;
        let path = run.join(record.set.to_string().trim_matches(['{', '}']));
        let draft = path.with_extension(DRAFT);
        let file = File::create(&draft)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(codec::encode(record));
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        (&file).write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        sync_directory(run)?;
        Ok(Self { path, file })
    }

    /// Takes it away: the backup is over.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        self.path.parent().map_or(Ok(()), sync_directory)
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What is in a directory of journals.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that nobody holds; they are held by this process now.
    pub left: Vec<(Held, Record)>,
    /// Those of backups under way.
    pub held: Vec<Record>,
    /// What cannot be read, though nobody holds it; see [`set_aside`].
    pub damaged: Vec<PathBuf>,
}

/// Looks into a directory of journals; none there is fine.
///
/// # Errors
/// What the file system says.
pub fn find(run: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let entries = match fs::read_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if kind.is_some_and(|kind| kind != DRAFT) {
            continue;
        }
        let mut file = match File::options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let free = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => true,
            Err(Errno::WOULDBLOCK) => false,
            Err(error) => return Err(error.into()),
        };
        if free && kind.is_some() {
            // Whoever wrote it died before anything was frozen.
            fs::remove_file(&path)?;
            continue;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        match (read(&bytes), free) {
            // Its backup ended while this looked.
            _ if fstat(&file)?.st_nlink == 0 => {}
            (Some(record), true) => found.left.push((Held { path, file }, record)),
            (Some(record), false) if kind.is_none() => found.held.push(record),
            (None, true) => found.damaged.push(path),
            (_, false) => {}
        }
    }
    Ok(found)
}

/// Gives a damaged journal another name, which it has from then on: it is told of once.
///
/// # Errors
/// What the file system says.
pub fn set_aside(journal: &Path) -> io::Result<PathBuf> {
    let aside = journal.with_extension(DAMAGED);
    fs::rename(journal, &aside)?;
    Ok(aside)
}

fn read(bytes: &[u8]) -> Option<Record> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*sum) {
        return None;
    }
    codec::decode(content.strip_prefix(MAGIC)?).ok()
}

#[cfg(test)]
mod tests {
    use provider::guid::Guid;

    use super::*;

    fn record(set: u128) -> Record {
        Record {
            set: SetId(Guid(set)),
            backup: BackupId::FIRST,
            boot: "1f0c0f5e".into(),
            file_systems: vec![("/srv/pg".into(), (7, 1))],
        }
    }

    #[test]
    fn a_journal_is_found_once_nobody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        assert!(find(&run).unwrap().left.is_empty(), "no directory is no journal");
        let held = Held::write(&run, &record(1)).unwrap();
        let inherited = held.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(find(&run).unwrap().held, [record(1)]);
        drop(held);
        assert_eq!(find(&run).unwrap().held, [record(1)], "whoever inherits it holds it");
        drop(inherited);
        let found = find(&run).unwrap();
        assert_eq!(found.left[0].1, record(1));
        assert_eq!(find(&run).unwrap().held, [record(1)], "one who found it holds it");
        found.left[0].0.remove().unwrap();
        drop(found);
        let found = find(&run).unwrap();
        assert!(found.left.is_empty() && found.held.is_empty());
    }

    #[test]
    fn a_draft_goes_when_its_writer_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let draft = dir.path().join("x.draft");
        let file = File::create(&draft).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        find(dir.path()).unwrap();
        assert!(draft.exists());
        drop(file);
        find(dir.path()).unwrap();
        assert!(!draft.exists());
    }

    #[test]
    fn a_damaged_journal_is_set_aside_and_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = Held::write(dir.path(), &record(1)).unwrap().path;
        let whole = fs::read(&path).unwrap();
        assert_eq!(read(&whole), Some(record(1)));
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(read(&bytes), None, "flipped at {at}");
        }
        fs::write(&path, &whole[1..]).unwrap();
        let damaged = find(dir.path()).unwrap().damaged;
        assert_eq!(damaged, [path]);
        assert!(set_aside(&damaged[0]).unwrap().is_file());
        assert!(find(dir.path()).unwrap().damaged.is_empty());
    }
}
