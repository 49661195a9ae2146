//! The metadata of an array: small records in redb, each with a checksum of its own.
//!
//! A value is framed so that a record that was altered, moved to another key or to another table
//! is noticed whatever the library below thinks of its pages:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0-3 | CRC-32C of table number (1 byte), key (8 bytes LE) and payload, LE |
//! | 4.. | payload |

use std::{
    any::Any,
    cell::Cell,
    fmt::Display,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::StoreError;

/// Bytes of pages that redb keeps in memory; all that matters is in memory beside it anyway.
const CACHE: usize = 32 << 20;

/// The tables. All have 64-bit keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Key 0: the array's identity.
    Head,
    /// By LDEV number: what it is.
    Ldevs,
    /// By position: the LUN paths.
    Paths,
    /// By LDEV number: guards that are set.
    Guards,
    /// By pair number: the pairs.
    Pairs,
    /// Pieces of difference bitmaps.
    Bitmaps,
    /// By sequence number: executed changes and their answers.
    Executed,
}

impl Table {
    /// Every table; the position is the number in the checksum.
    pub const ALL: [Self; 7] = [
        Self::Head,
        Self::Ldevs,
        Self::Paths,
        Self::Guards,
        Self::Pairs,
        Self::Bitmaps,
        Self::Executed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Ldevs => "ldevs",
            Self::Paths => "paths",
            Self::Guards => "guards",
            Self::Pairs => "pairs",
            Self::Bitmaps => "bitmaps",
            Self::Executed => "executed",
        }
    }

    const fn definition(self) -> TableDefinition<'static, u64, &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// One record to be written, or removed where `value` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where.
    pub table: Table,
    /// Under which key.
    pub key: u64,
    /// The payload.
    pub value: Option<Vec<u8>>,
}

impl Row {
    /// A record to be written.
    #[must_use]
    pub const fn put(table: Table, key: u64, value: Vec<u8>) -> Self {
        Self { table, key, value: Some(value) }
    }

    /// A record to be removed.
    #[must_use]
    pub const fn remove(table: Table, key: u64) -> Self {
        Self { table, key, value: None }
    }
}

/// The records of one array directory.
pub struct Records {
    path: PathBuf,
    database: Database,
}

impl Records {
    /// Makes a new file.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(StoreError::io(path, "create"))?;
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_file(file)
            .map_err(|error| storage(path, "create", error.into()))?;
        let records = Self { path: path.to_owned(), database };
        records.transact(&[], true)?;
        Ok(records)
    }

    /// Opens a file and verifies every page of it. An interrupted write is rolled back by redb to
    /// the last commit; with two-phase commits (see [`Records::commit`]) it never goes further.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file is not whole.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let length = std::fs::metadata(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreError::damaged(path, "the file is missing"),
                _ => StoreError::io(path, "open")(error),
            })?
            .len();
        if length == 0 {
            return Err(StoreError::damaged(path, "the file is empty"));
        }
        let database = contain(path, || {
            let mut database = Database::builder()
                .set_cache_size(CACHE)
                .open(path)
                .map_err(|error| storage(path, "open", error.into()))?;
            let whole = database
                .check_integrity()
                .map_err(|error| storage(path, "verify", error.into()))?;
            if !whole {
                log::warn!("{}: free-space records were rebuilt", path.display());
            }
            Ok(database)
        })?;
        Ok(Self { path: path.to_owned(), database })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all rows or none, durably. Commits are two-phase: the older root is given up only
    /// when the newer one is on disk, so that a bad page is an error and never a step back.
    ///
    /// # Errors
    /// When the disk is full or fails; then nothing has changed.
    pub fn commit(&self, rows: &[Row]) -> Result<(), StoreError> {
        self.transact(rows, false)
    }

    fn transact(&self, rows: &[Row], make_tables: bool) -> Result<(), StoreError> {
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "commit to", error);
            let mut transaction = self.database.begin_write().map_err(|e| fail(e.into()))?;
            transaction.set_two_phase_commit(true);
            transaction.set_durability(Durability::Immediate).map_err(|e| fail(e.into()))?;
            for table in Table::ALL {
                let mut rows = rows.iter().filter(|row| row.table == table).peekable();
                if rows.peek().is_none() && !make_tables {
                    continue;
                }
                let mut opened =
                    transaction.open_table(table.definition()).map_err(|e| fail(e.into()))?;
                for row in rows {
                    match &row.value {
                        Some(payload) => {
                            let framed = frame(table, row.key, payload);
                            opened
                                .insert(row.key, framed.as_slice())
                                .map_err(|e| fail(e.into()))?;
                        }
                        None => {
                            opened.remove(row.key).map_err(|e| fail(e.into()))?;
                        }
                    }
                }
            }
            transaction.commit().map_err(|e| fail(e.into()))
        })
    }

    /// Every record of a table in the order of keys, verified.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] at the first record whose checksum does not hold.
    pub fn load(&self, table: Table) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let opened = transaction.open_table(table.definition()).map_err(|e| fail(e.into()))?;
            let mut loaded = Vec::new();
            for entry in opened.iter().map_err(|e| fail(e.into()))? {
                let (key, value) = entry.map_err(|e| fail(e.into()))?;
                let key = key.value();
                let payload = unframe(table, key, value.value())
                    .ok_or_else(|| self.damaged(table, key, "its checksum does not hold"))?;
                loaded.push((key, payload.to_vec()));
            }
            Ok(loaded)
        })
    }

    /// Names a record that is not what it should be.
    pub(crate) fn damaged(&self, table: Table, key: u64, what: &str) -> StoreError {
        StoreError::damaged(&self.path, format!("record {key} of table {}: {what}", table.name()))
    }
}

fn checksum(table: Table, key: u64, payload: &[u8]) -> u32 {
    let number = Table::ALL.iter().position(|t| *t == table).unwrap_or(0);
    let head = crc32c::crc32c(&[u8::try_from(number).unwrap_or(u8::MAX)]);
    let head = crc32c::crc32c_append(head, &key.to_le_bytes());
    crc32c::crc32c_append(head, payload)
}

fn frame(table: Table, key: u64, payload: &[u8]) -> Vec<u8> {
    let mut framed = checksum(table, key, payload).to_le_bytes().to_vec();
    framed.extend_from_slice(payload);
    framed
}

fn unframe(table: Table, key: u64, framed: &[u8]) -> Option<&[u8]> {
    let (sum, payload) = framed.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(table, key, payload)).then_some(payload)
}

/// What redb says, as an error of the file: its complaints about bytes are damage, its
/// complaints about the disk are the disk's.
fn storage(path: &Path, action: &'static str, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) if is_damage(&source) => {
            StoreError::damaged(path, source.to_string())
        }
        redb::Error::Io(source) => StoreError::io(path, action)(source),
        redb::Error::PreviousIo => StoreError::io(path, action)(io::Error::other(
            "an earlier write failed; start arrayd again once the disk is well",
        )),
        redb::Error::DatabaseAlreadyOpen => {
            StoreError::io(path, action)(io::Error::other("another process has it open"))
        }
        other => StoreError::damaged(path, other.to_string()),
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the standard report of a panic from being printed where the panic becomes an error of a
/// damaged file. For the start of a program.
pub fn quiet_contained_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !CONTAINED.get() {
            report(panic);
        }
    }));
}

/// redb asserts what a damaged file can make untrue. Such a panic is an error of that file, not
/// the end of the program.
fn contain<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    CONTAINED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(false);
    result.unwrap_or_else(|panic| {
        Err(StoreError::damaged(
            path,
            format!("its pages contradict each other ({})", message(&*panic)),
        ))
    })
}

fn message(panic: &(dyn Any + Send)) -> &dyn Display {
    if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else {
        &"no reason given"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_and_vanish_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let records = Records::create(&path).unwrap();
        let rows = [Row::put(Table::Pairs, 7, vec![1, 2]), Row::put(Table::Guards, 7, vec![3])];
        records.commit(&rows).unwrap();
        drop(records);
        let records = Records::open(&path).unwrap();
        assert_eq!(records.load(Table::Pairs).unwrap(), [(7, vec![1, 2])]);
        records.commit(&[Row::remove(Table::Pairs, 7)]).unwrap();
        assert!(records.load(Table::Pairs).unwrap().is_empty());
        assert_eq!(records.load(Table::Guards).unwrap(), [(7, vec![3])]);
    }

    #[test]
    fn a_record_under_another_key_or_table_does_not_verify() {
        let framed = frame(Table::Pairs, 7, b"pair");
        assert_eq!(unframe(Table::Pairs, 7, &framed), Some(&b"pair"[..]));
        assert_eq!(unframe(Table::Pairs, 8, &framed), None);
        assert_eq!(unframe(Table::Guards, 7, &framed), None);
        assert_eq!(unframe(Table::Pairs, 7, &framed[..3]), None);
    }

    #[test]
    fn a_shortened_or_overwritten_file_is_damaged_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let records = Records::create(&path).unwrap();
        let rows: Vec<Row> = (0..500).map(|n| Row::put(Table::Ldevs, n, vec![7; 64])).collect();
        records.commit(&rows).unwrap();
        drop(records);
        let whole = std::fs::read(&path).unwrap();
        let mut overwritten = whole.clone();
        overwritten[..4096].fill(0xa5);
        for bytes in [&whole[..whole.len() / 2], &overwritten, &[]] {
            std::fs::write(&path, bytes).unwrap();
            let error = Records::open(&path).err().expect("damage is noticed");
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("meta.redb"), "{error}");
        }
    }
}
