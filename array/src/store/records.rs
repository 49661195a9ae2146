//! The metadata of an array: small records in redb, each with a checksum of its own.
//!
//! A value is framed so that a record that was altered, moved to another key or to another table
//! is noticed whatever the library below thinks of its pages:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0-3 | CRC-32C of table number (1 byte), key (8 bytes LE) and payload, LE |
//! | 4.. | payload |
//!
//! Leaf records have a table of their own, with the key (branch, leaf, generation) in the checksum
//! (4, 4 and 8 bytes LE), and an index in the order of generations beside it.

use std::{
    any::Any,
    cell::Cell,
    fmt::Display,
    io,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{
    StoreError,
    disk::{Backend, Media, Room},
    leaf::{Generation, Leaf},
};

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
    /// By sequence number: executed changes and their answers.
    Executed,
    /// By pool number: the pools.
    Pools,
    /// By pool number, times 256, plus member: the members of pools.
    Members,
    /// By volume number: what each volume holds.
    Volumes,
    /// By branch number: the branches of maps.
    Branches,
    /// By pool number, times 2^40, plus member, times 2^32, plus segment: mapped pages.
    Space,
    /// By sequence number: ranges of records that may be no longer needed.
    Reclaim,
    /// By volume number, times 2^32, plus piece: pages still to be fetched from another pool.
    Fetch,
    /// By position: the host groups.
    HostGroups,
    /// By LDEV number: persistent reservations that survive a loss of power.
    Reservations,
}

impl Table {
    /// Every table; the position is the number in the checksum.
    pub const ALL: [Self; 15] = [
        Self::Head,
        Self::Ldevs,
        Self::Paths,
        Self::Guards,
        Self::Pairs,
        Self::Executed,
        Self::Pools,
        Self::Members,
        Self::Volumes,
        Self::Branches,
        Self::Space,
        Self::Reclaim,
        Self::Fetch,
        Self::HostGroups,
        Self::Reservations,
    ];

    /// What it is called in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Ldevs => "ldevs",
            Self::Paths => "paths",
            Self::Guards => "guards",
            Self::Pairs => "pairs",
            Self::Executed => "executed",
            Self::Pools => "pools",
            Self::Members => "members",
            Self::Volumes => "volumes",
            Self::Branches => "branches",
            Self::Space => "space",
            Self::Reclaim => "reclaim",
            Self::Fetch => "fetch",
            Self::HostGroups => "host_groups",
            Self::Reservations => "reservations",
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

/// Which leaf record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafKey {
    /// The branch.
    pub branch: u32,
    /// The leaf of its map.
    pub leaf: u32,
    /// The generation from which on it holds.
    pub generation: Generation,
}

impl LeafKey {
    /// The lowest key above this one.
    #[must_use]
    pub fn following(self) -> Option<Self> {
        let Self { branch, leaf, generation } = self;
        if let Some(generation) = generation.checked_add(1) {
            return Some(Self { generation, ..self });
        }
        match leaf.checked_add(1) {
            Some(leaf) => Some(Self { branch, leaf, generation: 0 }),
            None => Some(Self { branch: branch.checked_add(1)?, leaf: 0, generation: 0 }),
        }
    }
}

/// One leaf record to be written, or removed where the value is `None`.
pub type LeafRow = (LeafKey, Option<Vec<u8>>);

/// A record that was found: its key, and its payload if its checksum holds.
pub type RawRow = (u64, Option<Vec<u8>>);

/// A leaf record that was found, and what it says.
pub type FoundLeaf = (LeafKey, Result<Leaf, StoreError>);

/// Leaf records: (branch, leaf, generation) to [`Leaf::encode`], framed.
const LEAVES: TableDefinition<'static, (u32, u32, u64), &[u8]> = TableDefinition::new("leaves");
/// The same keys in the order of (branch, generation, leaf).
const BY_GENERATION: TableDefinition<'static, (u32, u64, u32), ()> =
    TableDefinition::new("leaves by generation");

/// The records of one array directory.
pub struct Records {
    path: PathBuf,
    database: Database,
    room: Room,
}

impl Records {
    /// Makes a new file.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    pub fn create(media: &dyn Media, path: &Path) -> Result<Self, StoreError> {
        let disk = media.create(path).map_err(StoreError::io(path, "create"))?;
        let (backend, room) = Backend::new(disk);
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(backend)
            .map_err(|error| storage(path, "create", error.into()))?;
        let records = Self { path: path.to_owned(), database, room };
        records.transact(&[], &[], true)?;
        Ok(records)
    }

    /// Opens a file and verifies every page of it. An interrupted write is rolled back by redb to
    /// the last commit; with two-phase commits (see [`Records::commit`]) it never goes further.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file is not whole.
    pub fn open(media: &dyn Media, path: &Path) -> Result<Self, StoreError> {
        let disk = media.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::damaged(path, "the file is missing"),
            _ => StoreError::io(path, "open")(error),
        })?;
        if disk.size().map_err(StoreError::io(path, "measure"))? == 0 {
            return Err(StoreError::damaged(path, "the file is empty"));
        }
        let (backend, room) = Backend::new(disk);
        let database = contain(path, || {
            let mut database = Database::builder()
                .set_cache_size(CACHE)
                .create_with_backend(backend)
                .map_err(|error| storage(path, "open", error.into()))?;
            let whole = database
                .check_integrity()
                .map_err(|error| storage(path, "verify", error.into()))?;
            if !whole {
                log::warn!("{}: free-space records were rebuilt", path.display());
            }
            Ok(database)
        })?;
        Ok(Self { path: path.to_owned(), database, room })
    }

    /// Opens a file as it is, for [`super::repair`]: its records are verified one by one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when not even that can be done.
    pub(super) fn open_unverified(media: &dyn Media, path: &Path) -> Result<Self, StoreError> {
        let disk = media.open(path).map_err(StoreError::io(path, "open"))?;
        let (backend, room) = Backend::new(disk);
        let database = contain(path, || {
            let mut builder = Database::builder();
            let opened = builder.set_cache_size(CACHE).create_with_backend(backend);
            opened.map_err(|error| storage(path, "open", error.into()))
        })?;
        Ok(Self { path: path.to_owned(), database, room })
    }

    /// Whether redb finds nothing wrong with its pages.
    pub(super) fn is_intact(&mut self) -> bool {
        let path = self.path.clone();
        let verified = contain(&path, || {
            let whole = self.database.check_integrity();
            whole.map_err(|error| storage(&path, "verify", error.into()))
        });
        verified.unwrap_or(false)
    }

    /// Every record of a table, `None` for those whose checksum does not hold.
    ///
    /// # Errors
    /// When the table itself cannot be read to its end.
    pub(super) fn salvage(&self, table: Table) -> Result<Vec<RawRow>, StoreError> {
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let Some(opened) = existing(transaction.open_table(table.definition()), table)
                .map_err(|e| fail(e.into()))?
            else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for entry in opened.iter().map_err(|e| fail(e.into()))? {
                let (key, value) = entry.map_err(|e| fail(e.into()))?;
                let key = key.value();
                found.push((key, unframe(table, key, value.value()).map(<[u8]>::to_vec)));
            }
            Ok(found)
        })
    }

    /// Makes a record that does not match its checksum.
    #[cfg(test)]
    pub(super) fn spoil(&self, table: Table, key: u64) {
        let transaction = self.database.begin_write().unwrap();
        transaction.open_table(table.definition()).unwrap().insert(key, &[9; 30][..]).unwrap();
        transaction.commit().unwrap();
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file system has no more space to keep in reserve. Nothing that makes the
    /// records more should begin then.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.room.is_short()
    }

    /// Writes all rows or none, durably. Commits are two-phase: the older root is given up only
    /// when the newer one is on disk, so that a bad page is an error and never a step back.
    ///
    /// # Errors
    /// When the disk is full or fails; then nothing has changed.
    pub fn commit(&self, rows: &[Row], leaves: &[LeafRow]) -> Result<(), StoreError> {
        self.transact(rows, leaves, false)
    }

    fn transact(
        &self,
        rows: &[Row],
        leaves: &[LeafRow],
        make_tables: bool,
    ) -> Result<(), StoreError> {
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
            if make_tables || !leaves.is_empty() {
                let mut table = transaction.open_table(LEAVES).map_err(|e| fail(e.into()))?;
                let mut index =
                    transaction.open_table(BY_GENERATION).map_err(|e| fail(e.into()))?;
                for (key, payload) in leaves {
                    let LeafKey { branch, leaf, generation } = *key;
                    let at = (branch, leaf, generation);
                    let by = (branch, generation, leaf);
                    match payload {
                        Some(payload) => {
                            let framed = frame_leaf(*key, payload);
                            table.insert(at, framed.as_slice()).map_err(|e| fail(e.into()))?;
                            index.insert(by, ()).map_err(|e| fail(e.into()))?;
                        }
                        None => {
                            table.remove(at).map_err(|e| fail(e.into()))?;
                            index.remove(by).map_err(|e| fail(e.into()))?;
                        }
                    }
                }
            }
            transaction.commit().map_err(|e| fail(e.into()))
        })
    }

    /// The youngest record of a leaf that is no younger than `at_most`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when its checksum does not hold or it is no leaf.
    pub fn leaf(
        &self,
        branch: u32,
        leaf: u32,
        at_most: Generation,
    ) -> Result<Option<(Generation, Leaf)>, StoreError> {
        self.one_leaf(branch, leaf, 0..=at_most, true)
    }

    /// The oldest record of a leaf that is younger than `after`.
    ///
    /// # Errors
    /// Those of [`Records::leaf`].
    pub fn next_leaf(
        &self,
        branch: u32,
        leaf: u32,
        after: Generation,
    ) -> Result<Option<(Generation, Leaf)>, StoreError> {
        self.one_leaf(branch, leaf, after.saturating_add(1)..=Generation::MAX, false)
    }

    fn one_leaf(
        &self,
        branch: u32,
        leaf: u32,
        generations: RangeInclusive<Generation>,
        last: bool,
    ) -> Result<Option<(Generation, Leaf)>, StoreError> {
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let table = transaction.open_table(LEAVES).map_err(|e| fail(e.into()))?;
            let keys = (branch, leaf, *generations.start())..=(branch, leaf, *generations.end());
            let mut found = table.range(keys).map_err(|e| fail(e.into()))?;
            let Some(entry) = (if last { found.next_back() } else { found.next() }) else {
                return Ok(None);
            };
            let (key, value) = entry.map_err(|e| fail(e.into()))?;
            let (branch, leaf, generation) = key.value();
            let key = LeafKey { branch, leaf, generation };
            Ok(Some((generation, self.unframe_leaf(key, value.value())?)))
        })
    }

    /// Leaves of a branch that have a record of these generations, at most `limit`, with the
    /// generation, in ascending order of (generation, leaf), from `from` on.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or the disk's answer.
    pub fn changed(
        &self,
        branch: u32,
        from: (Generation, u32),
        upto: Generation,
        limit: usize,
    ) -> Result<Vec<(Generation, u32)>, StoreError> {
        if from.0 > upto {
            return Ok(Vec::new());
        }
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let index = transaction.open_table(BY_GENERATION).map_err(|e| fail(e.into()))?;
            let keys = (branch, from.0, from.1)..=(branch, upto, u32::MAX);
            let mut found = Vec::new();
            for entry in index.range(keys).map_err(|e| fail(e.into()))?.take(limit) {
                let (_, generation, leaf) = entry.map_err(|e| fail(e.into()))?.0.value();
                found.push((generation, leaf));
            }
            Ok(found)
        })
    }

    /// The first leaf record from a key on, or of all.
    ///
    /// # Errors
    /// When the table itself cannot be read.
    pub fn leaf_from(&self, from: Option<LeafKey>) -> Result<Option<FoundLeaf>, StoreError> {
        let from = from.map_or((0, 0, 0), |key| (key.branch, key.leaf, key.generation));
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let table = transaction.open_table(LEAVES).map_err(|e| fail(e.into()))?;
            let Some(entry) = table.range(from..).map_err(|e| fail(e.into()))?.next() else {
                return Ok(None);
            };
            let (key, value) = entry.map_err(|e| fail(e.into()))?;
            let (branch, leaf, generation) = key.value();
            let key = LeafKey { branch, leaf, generation };
            Ok(Some((key, self.unframe_leaf(key, value.value()))))
        })
    }

    /// Shows every leaf record to `see`, in the order of keys, damaged ones as the error they are.
    ///
    /// # Errors
    /// When the table itself cannot be read, or what `see` says.
    pub fn each_leaf(
        &self,
        see: &mut dyn FnMut(LeafKey, Result<Leaf, StoreError>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let table = transaction.open_table(LEAVES).map_err(|e| fail(e.into()))?;
            for entry in table.iter().map_err(|e| fail(e.into()))? {
                let (key, value) = entry.map_err(|e| fail(e.into()))?;
                let (branch, leaf, generation) = key.value();
                let key = LeafKey { branch, leaf, generation };
                see(key, self.unframe_leaf(key, value.value()))?;
            }
            Ok(())
        })
    }

    /// Shows every key of the index of leaf records to `see`.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn each_indexed(&self, see: &mut dyn FnMut(LeafKey)) -> Result<(), StoreError> {
        contain(&self.path, || {
            let fail = |error: redb::Error| storage(&self.path, "read", error);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let index = transaction.open_table(BY_GENERATION).map_err(|e| fail(e.into()))?;
            for entry in index.iter().map_err(|e| fail(e.into()))? {
                let (branch, generation, leaf) = entry.map_err(|e| fail(e.into()))?.0.value();
                see(LeafKey { branch, leaf, generation });
            }
            Ok(())
        })
    }

    fn unframe_leaf(&self, key: LeafKey, framed: &[u8]) -> Result<Leaf, StoreError> {
        let payload = framed
            .split_first_chunk::<4>()
            .filter(|(sum, payload)| u32::from_le_bytes(**sum) == leaf_checksum(key, payload));
        payload.and_then(|(_, payload)| Leaf::decode(payload)).ok_or_else(|| {
            let LeafKey { branch, leaf, generation } = key;
            let what = format!(
                "the record of leaf {leaf} of branch {branch}, generation {generation}, does not match its checksum"
            );
            StoreError::damaged(&self.path, what)
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
            let Some(opened) = existing(transaction.open_table(table.definition()), table)
                .map_err(|e| fail(e.into()))?
            else {
                return Ok(Vec::new());
            };
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

/// A table that was opened; `None` where it came with a later release than the file.
fn existing<T>(opened: Result<T, TableError>, table: Table) -> Result<Option<T>, TableError> {
    match opened {
        Err(TableError::TableDoesNotExist(_)) if table >= Table::HostGroups => Ok(None),
        opened => opened.map(Some),
    }
}

fn checksum(table: Table, key: u64, payload: &[u8]) -> u32 {
    let number = Table::ALL.iter().position(|t| *t == table).unwrap_or(0);
    let head = crc32c::crc32c(&[u8::try_from(number).unwrap_or(u8::MAX)]);
    let head = crc32c::crc32c_append(head, &key.to_le_bytes());
    crc32c::crc32c_append(head, payload)
}

fn leaf_checksum(key: LeafKey, payload: &[u8]) -> u32 {
    let head = crc32c::crc32c(&key.branch.to_le_bytes());
    let head = crc32c::crc32c_append(head, &key.leaf.to_le_bytes());
    let head = crc32c::crc32c_append(head, &key.generation.to_le_bytes());
    crc32c::crc32c_append(head, payload)
}

fn frame_leaf(key: LeafKey, payload: &[u8]) -> Vec<u8> {
    let mut framed = leaf_checksum(key, payload).to_le_bytes().to_vec();
    framed.extend_from_slice(payload);
    framed
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

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &dyn Display {
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
    use super::{super::disk::Files, *};

    #[test]
    fn rows_survive_and_vanish_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let records = Records::create(&Files, &path).unwrap();
        let rows = [Row::put(Table::Pairs, 7, vec![1, 2]), Row::put(Table::Guards, 7, vec![3])];
        records.commit(&rows, &[]).unwrap();
        drop(records);
        let records = Records::open(&Files, &path).unwrap();
        assert_eq!(records.load(Table::Pairs).unwrap(), [(7, vec![1, 2])]);
        records.commit(&[Row::remove(Table::Pairs, 7)], &[]).unwrap();
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
        let records = Records::create(&Files, &path).unwrap();
        let rows: Vec<Row> = (0..500).map(|n| Row::put(Table::Ldevs, n, vec![7; 64])).collect();
        records.commit(&rows, &[]).unwrap();
        drop(records);
        let whole = std::fs::read(&path).unwrap();
        let mut overwritten = whole.clone();
        overwritten[..4096].fill(0xa5);
        for bytes in [&whole[..whole.len() / 2], &overwritten, &[]] {
            std::fs::write(&path, bytes).unwrap();
            let error = Records::open(&Files, &path).err().expect("damage is noticed");
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("meta.redb"), "{error}");
        }
    }
}
