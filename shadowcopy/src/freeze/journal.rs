//! What may be frozen, for whoever comes after a crash: a file a backup, `RUN/GUID`.
//!
//! It is `DRMF`, version 1 as 16 bits, little-endian, and the record as postcard, with the CRC-32C
//! of all of it behind; then one byte, 1 until it is known that all has thawed, and 0 from then on.
//! It is there, durable, before anything is frozen, and goes when the catalogue has the outcome.
//! While coordinator or guard live, it is locked (`flock`): the lock belongs to the open file that
//! both have. It is locked under a draft name before it gets its own, so nobody finds it unlocked
//! before its time.

use std::{
    ffi::OsString,
    fs::{self, DirEntry, File},
    io::{self, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::{FileExt as _, MetadataExt as _},
        },
    },
    path::{Path, PathBuf},
};

use protocol::codec;
use provider::guid::SetId;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::ioctl::sync_directory;
use crate::catalogue::BackupId;

const MAGIC: &[u8] = b"DRMF\x01\x00";
const DRAFT: &str = "draft";
const DAMAGED: &str = "damaged";
/// The last byte.
const FROZEN: u8 = 1;
const THAWED: u8 = 0;

/// A [`Record`] as it is stored: a mount point is bytes, not text.
type Stored = (SetId, BackupId, String, Vec<(Vec<u8>, (u32, u32))>);

/// A backup that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let path = path(run, record);
        let draft = path.with_extension(DRAFT);
        // A guard reads it by the same open file.
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&draft)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(codec::encode(&stored(record)));
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.push(FROZEN);
        (&file).write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        sync_directory(run)?;
        Ok(Self { path, file })
    }

    /// The journal whose open file, and with it the lock, this process has from the one that wrote
    /// it; `None` where it is gone, for the backup is over. And whether all has thawed.
    ///
    /// # Errors
    /// What the file system says, or that it is damaged.
    pub fn inherited(run: &Path, journal: OwnedFd) -> io::Result<Option<(Self, Record, bool)>> {
        let file = File::from(journal);
        let Some(bytes) = whole(&file)? else { return Ok(None) };
        let (record, thawed) = read(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its journal is damaged"))?;
        Ok(Some((Self { path: path(run, &record), file }, record, thawed)))
    }

    /// Notes that all has thawed: whoever freezes from now on is somebody else.
    ///
    /// # Errors
    /// What the file system says.
    pub fn thawed(&self) -> io::Result<()> {
        let last = self.file.metadata()?.len().saturating_sub(1);
        self.file.write_all_at(&[THAWED], last)?;
        self.file.sync_data()
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
    /// Those that nobody holds, and whether all has thawed; they are held by this process now.
    pub left: Vec<(Held, Record, bool)>,
    /// Those of backups under way.
    pub held: Vec<Record>,
    /// Those whose writers died before anything was frozen; they are held by this process now.
    pub drafts: Vec<Held>,
    /// What is none, though nobody holds it; see [`set_aside`].
    pub damaged: Vec<PathBuf>,
    /// What cannot be read, and why.
    pub faults: Vec<String>,
}

/// Looks into a directory of journals; none there is fine. One that cannot be read does not hide
/// the others.
///
/// # Errors
/// That the directory cannot be read.
pub fn find(run: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in entries(run)? {
        let looked = entry.and_then(|entry| {
            let path = entry.path();
            look(&entry, &mut found).map_err(|error| (path, error))
        });
        if let Err((path, error)) = looked {
            found.faults.push(format!("{}: {error}", path.display()));
        }
    }
    Ok(found)
}

type Entry = Result<DirEntry, (PathBuf, io::Error)>;

fn entries(run: &Path) -> io::Result<Vec<Entry>> {
    match fs::read_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            Ok(entries?.map(|entry| entry.map_err(|error| (run.to_owned(), error))).collect())
        }
    }
}

fn look(entry: &DirEntry, found: &mut Found) -> io::Result<()> {
    let path = entry.path();
    let kind = path.extension().and_then(|kind| kind.to_str());
    if kind.is_some_and(|kind| kind != DRAFT) || !entry.file_type()?.is_file() {
        return Ok(());
    }
    // What is frozen must thaw, even where nothing can be written.
    let opened = File::options().read(true).write(true).open(&path).or_else(|_| File::open(&path));
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let free = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => true,
        Err(Errno::WOULDBLOCK) => false,
        Err(error) => return Err(error.into()),
    };
    let draft = kind.is_some();
    // Its backup may have ended while this looked.
    let Some(bytes) = whole(&file)? else { return Ok(()) };
    match (read(&bytes), free) {
        (_, true) if draft => found.drafts.push(Held { path, file }),
        (Some((record, thawed)), true) => found.left.push((Held { path, file }, record, thawed)),
        (Some((record, _)), false) if !draft => found.held.push(record),
        (None, true) => found.damaged.push(path),
        (_, false) => {}
    }
    Ok(())
}

/// The backups that have not ended, whether they live or not; takes no lock, which would be in the
/// way of a recovery.
///
/// # Errors
/// What the file system says.
pub fn unfinished(run: &Path) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for entry in entries(run)? {
        let entry = entry.map_err(|(_, error)| error)?;
        if entry.path().extension().is_some() || !entry.file_type()?.is_file() {
            continue;
        }
        let file = match File::open(entry.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let record = whole(&file)?.and_then(|bytes| read(&bytes));
        records.extend(record.map(|(record, _)| record));
    }
    Ok(records)
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

fn path(run: &Path, record: &Record) -> PathBuf {
    run.join(record.set.to_string().trim_matches(['{', '}']))
}

/// What is in a journal; `None` where it has been removed.
fn whole(file: &File) -> io::Result<Option<Vec<u8>>> {
    let metadata = file.metadata()?;
    if metadata.nlink() == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(metadata.len()).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

fn stored(record: &Record) -> Stored {
    let known = record.file_systems.iter();
    let file_systems = known.map(|(mount, device)| (mount.as_os_str().as_bytes().into(), *device));
    (record.set, record.backup, record.boot.clone(), file_systems.collect())
}

/// What the bytes of a journal say: the record, and whether all has thawed; `None` for what is none.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(Record, bool)> {
    let (state, sealed) = bytes.split_last()?;
    let (content, sum) = sealed.split_last_chunk::<4>()?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*sum) {
        return None;
    }
    let stored: Stored = codec::decode(content.strip_prefix(MAGIC)?).ok()?;
    let (set, backup, boot, known) = stored;
    let known = known.into_iter();
    let file_systems = known.map(|(mount, device)| (OsString::from_vec(mount).into(), device));
    Some((Record { set, backup, boot, file_systems: file_systems.collect() }, *state == THAWED))
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
            // A name that is no text.
            file_systems: vec![(OsString::from_vec(b"/srv/\xff".to_vec()).into(), (7, 1))],
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
    fn who_inherits_a_journal_holds_it_all_the_time_and_notes_that_all_has_thawed() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::write(dir.path(), &record(1)).unwrap();
        let inherit = || held.as_fd().try_clone_to_owned().unwrap();
        let inherited = inherit();
        let (guards, known, thawed) = Held::inherited(dir.path(), inherited).unwrap().unwrap();
        assert_eq!((known, thawed), (record(1), false));
        guards.thawed().unwrap();
        assert_eq!(unfinished(dir.path()).unwrap(), [record(1)]);
        let again = inherit();
        drop(held);
        assert_eq!(find(dir.path()).unwrap().held, [record(1)], "it was never free");
        guards.remove().unwrap();
        assert!(Held::inherited(dir.path(), again).unwrap().is_none(), "the backup is over");
        drop(Held::write(dir.path(), &record(1)).unwrap().thawed());
        assert!(find(dir.path()).unwrap().left[0].2, "nothing of it is frozen");
    }

    #[test]
    fn what_cannot_be_read_hides_no_journal_and_looking_takes_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("link")).unwrap();
        drop(Held::write(dir.path(), &record(1)).unwrap());
        let found = find(dir.path()).unwrap();
        assert_eq!((found.left.len(), found.faults.len(), found.damaged.len()), (1, 0, 0));
        drop(found);
        let looked = unfinished(dir.path()).unwrap();
        assert_eq!(looked, [record(1)]);
        assert_eq!(find(dir.path()).unwrap().left.len(), 1);
    }

    #[test]
    fn a_draft_is_found_when_its_writer_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let draft = dir.path().join("x.draft");
        let file = File::create(&draft).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(find(dir.path()).unwrap().drafts.is_empty());
        drop(file);
        assert_eq!(find(dir.path()).unwrap().drafts.len(), 1);
    }

    #[test]
    fn a_damaged_journal_is_set_aside_and_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = Held::write(dir.path(), &record(1)).unwrap().path;
        let whole = fs::read(&path).unwrap();
        assert_eq!(read(&whole), Some((record(1), false)));
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        for at in 0..whole.len() - 1 {
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
