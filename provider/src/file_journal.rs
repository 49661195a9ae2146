//! The journal in a directory: a file a set, replaced whole.
//!
//! `GUID.set` is `RMSS`, version 1 as 16 bits, little-endian, and the record as postcard, with the
//! CRC-32C of all of it behind. What does not read so is renamed to `GUID.set.damaged` and told of.
//! `lock` is locked while somebody has the journal: two providers must not take each other's sets
//! for orphans.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use protocol::{codec, durable};

use crate::{
    guid::SetId,
    journal::{Found, Journal, Record},
};

const MAGIC: &[u8] = b"RMSS\x01\x00";
/// Files that could not be read are told of, and kept for whoever wants to know.
const DAMAGED: &str = "damaged";

/// A directory of records.
#[derive(Debug)]
pub struct FileJournal {
    dir: PathBuf,
    _lock: File,
}

impl FileJournal {
    /// Opens a journal, and makes its directory where missing.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] while another provider has it; what the file system says.
    /// All name the directory.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let named =
            |error: &io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(|error| named(&error))?;
        let path = dir.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path);
        let lock = lock.map_err(|error| named(&error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{}: another provider is at work", dir.display()),
            ),
            fs::TryLockError::Error(error) => named(&error),
        })?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    fn file(&self, set: SetId) -> PathBuf {
        let name = set.to_string();
        self.dir.join(format!("{}.set", name.trim_matches(['{', '}'])))
    }
}

impl Journal for FileJournal {
    fn records(&mut self) -> io::Result<Found> {
        let mut found = Found::default();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension() != Some(OsStr::new("set")) {
                continue;
            }
            if let Some(record) = read(&fs::read(&path)?) {
                found.records.push(record);
            } else {
                let aside = path.with_extension(format!("set.{DAMAGED}"));
                fs::rename(&path, &aside)?;
                found.damaged.push(aside.display().to_string());
            }
        }
        found.records.sort_by_key(|record| record.set);
        Ok(found)
    }

    fn put(&mut self, record: &Record) -> io::Result<()> {
        let path = self.file(record.set);
        let draft = path.with_extension("draft");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(codec::encode(record));
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        durable::replace(&draft, &path)
    }

    fn remove(&mut self, set: SetId) -> io::Result<()> {
        durable::remove(&self.file(set))
    }
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
    use model::{MuNumber, PairEnd};

    use super::*;
    use crate::{guid::Guid, journal::Phase, lun::tests::volume, raid::Pair};

    fn record(set: u128, phase: Phase) -> Record {
        let end = |ldev| PairEnd { volume: volume(ldev), mu: MuNumber::default() };
        let pair = Pair {
            group: "snap".parse().unwrap(),
            name: "snapdev1".parse().unwrap(),
            primary: end(18),
            secondary: end(19),
        };
        Record { set: SetId(Guid(set)), phase, pairs: vec![pair] }
    }

    #[test]
    fn records_are_there_until_removed_and_the_latest_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::open(dir.path()).unwrap();
        journal.put(&record(1, Phase::Preparing)).unwrap();
        journal.put(&record(2, Phase::Created)).unwrap();
        journal.put(&record(1, Phase::Committing)).unwrap();
        drop(journal);
        let mut journal = FileJournal::open(dir.path()).unwrap();
        let expected = [record(1, Phase::Committing), record(2, Phase::Created)];
        assert_eq!(journal.records().unwrap().records, expected);
        journal.remove(SetId(Guid(1))).unwrap();
        journal.remove(SetId(Guid(1))).unwrap();
        assert_eq!(journal.records().unwrap().records, expected[1..]);
    }

    #[test]
    fn a_damaged_record_is_set_aside_and_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::open(dir.path()).unwrap();
        journal.put(&record(1, Phase::Preparing)).unwrap();
        let whole = fs::read(journal.file(SetId(Guid(1)))).unwrap();
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(read(&bytes), None, "flipped at {at}");
        }
        fs::write(journal.file(SetId(Guid(1))), &whole[1..]).unwrap();
        journal.put(&record(2, Phase::Created)).unwrap();
        let found = journal.records().unwrap();
        assert_eq!((found.records.len(), found.damaged.len()), (1, 1));
        assert!(found.damaged[0].ends_with(".set.damaged"));
        assert!(journal.records().unwrap().damaged.is_empty());
    }

    #[test]
    fn two_providers_do_not_share_a_journal() {
        let dir = tempfile::tempdir().unwrap();
        let first = FileJournal::open(dir.path()).unwrap();
        let second = FileJournal::open(dir.path()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        FileJournal::open(dir.path()).unwrap();
    }
}
