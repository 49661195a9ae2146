//! Restoring what redundancy allows of an array that does not run: the second header of a file,
//! the index of leaf records, the accounts of free pages, files of intents; and giving up by name
//! what is lost, so that no volume shows older bytes in its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::Path,
};

use protocol::codec;

use super::{
    StoreError,
    branches::BranchRow,
    disk::{Files, Media},
    leaf::Leaf,
    member::{self, Owner},
    pool::{self, MemberRow},
    records::{LeafKey, LeafRow, Records, Row, Table},
    space::{self, Bits, SEGMENT, SegmentId},
};

/// What was repaired, and what is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What is as it was again.
    pub mended: Vec<String>,
    /// What is gone.
    pub lost: Vec<String>,
}

impl Repaired {
    /// Whether nothing had to be done.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.mended.is_empty() && self.lost.is_empty()
    }
}

/// Everything of a `meta.redb` that can be read.
struct Salvaged {
    rows: Vec<Row>,
    leaves: BTreeMap<LeafKey, Leaf>,
}

/// Repairs the array directory `dir`, which the caller has locked. The old `meta.redb` stays as
/// `meta.redb.damaged` where a new one is made.
///
/// # Errors
/// What cannot be done without, by name; then nothing has changed.
pub fn repair(dir: &Path) -> Result<Repaired, StoreError> {
    let mut done = Repaired::default();
    let path = dir.join("meta.redb");
    let mut records = Records::open_unverified(&Files, &path)?;
    let mut salvaged = Salvaged { rows: Vec::new(), leaves: BTreeMap::new() };
    let mut accounts = BTreeMap::new();
    for table in Table::ALL {
        for (key, payload) in records.salvage(table)? {
            match payload {
                Some(payload) if table == Table::Space => {
                    accounts.insert(key, payload);
                }
                Some(payload) => salvaged.rows.push(Row::put(table, key, payload)),
                None => give_up(&records, table, key, &mut done)?,
            }
        }
    }
    let index_is_whole = salvage_leaves(&records, &mut salvaged, &mut done)?;
    if !index_is_whole {
        done.mended.push("meta.redb: the index of leaf records was made anew".into());
    }
    let mapped = map_pages(&salvaged);
    if accounts != mapped {
        let what = "meta.redb: the accounts of free pages were made anew";
        done.mended.push(what.into());
    }
    if records.is_intact() && done.is_whole() {
        drop(records);
    } else {
        if done.is_whole() {
            done.mended.push("meta.redb: its pages were written anew".into());
        }
        let rows = std::mem::take(&mut salvaged.rows).into_iter();
        let space = mapped.into_iter().map(|(key, bits)| Row::put(Table::Space, key, bits));
        let rows: Vec<Row> = rows.chain(space).collect();
        let leaves = salvaged.leaves.iter().map(|(key, leaf)| (*key, Some(leaf.encode())));
        let leaves: Vec<LeafRow> = leaves.collect();
        drop(records);
        replace(dir, &rows, &leaves)?;
        salvaged.rows = rows;
    }
    mend_files(dir, &salvaged.rows, &mut done)?;
    Ok(done)
}

/// A record that cannot be read: some can be missed, others not.
fn give_up(
    records: &Records,
    table: Table,
    key: u64,
    done: &mut Repaired,
) -> Result<(), StoreError> {
    let what = match table {
        // Made anew from the leaf records.
        Table::Space => return Ok(()),
        Table::Executed => {
            "an answer to a request is forgotten: if its caller asks again, it is executed again"
                .to_owned()
        }
        Table::Guards => format!("the guards of LDEV {key}: set them again with raidvchkset"),
        Table::HostGroups => format!(
            "host group {key} of the description: its initiators see nothing through its port"
        ),
        Table::Reservations => format!("the persistent reservations of LDEV {key}"),
        Table::Reclaim => "a note of pages to give back: they stay in use".to_owned(),
        _ => return Err(records.damaged(table, key, "it is lost, and nothing else tells it")),
    };
    done.lost.push(what);
    Ok(())
}

/// Reads every leaf record that the table or its index knows of. Lost ones are replaced by ones
/// whose pages are errors; whether both agreed.
fn salvage_leaves(
    records: &Records,
    salvaged: &mut Salvaged,
    done: &mut Repaired,
) -> Result<bool, StoreError> {
    let mut known = BTreeSet::new();
    let table = records.each_leaf(&mut |key, _| {
        known.insert(key);
        Ok(())
    });
    let mut indexed = BTreeSet::new();
    let index = records.each_indexed(&mut |key| {
        indexed.insert(key);
    });
    if let (Err(error), Err(_)) = (&table, &index) {
        let what = format!("neither the leaf records nor their index can be read: {error}");
        return Err(StoreError::damaged(records.path(), what));
    }
    let agreed = table.is_ok() && index.is_ok() && known == indexed;
    for key in known.union(&indexed) {
        let found = records.leaf(key.branch, key.leaf, key.generation);
        let leaf = match found {
            Ok(Some((generation, leaf))) if generation == key.generation => leaf,
            _ => {
                done.lost.push(format!(
                    "leaf {} of branch {}, generation {}: 16 MiB of what was mapped there are medium errors until they are written anew",
                    key.leaf, key.branch, key.generation
                ));
                Leaf::lost(key.generation)
            }
        };
        salvaged.leaves.insert(*key, leaf);
    }
    Ok(agreed)
}

/// The records of mapped pages, from what leaf records refer to.
fn map_pages(salvaged: &Salvaged) -> BTreeMap<u64, Vec<u8>> {
    let branches: BTreeMap<u64, BranchRow> = salvaged
        .rows
        .iter()
        .filter(|row| row.table == Table::Branches)
        .filter_map(|row| Some((row.key, codec::decode(row.value.as_deref()?).ok()?)))
        .collect();
    let mut mapped: BTreeMap<u64, Bits> = BTreeMap::new();
    for (key, leaf) in &salvaged.leaves {
        let Some(branch) = branches.get(&u64::from(key.branch)) else {
            continue;
        };
        let pieces = leaf.entries.iter().flat_map(|entry| entry.pieces());
        for piece in pieces.filter(|piece| !piece.is_lost()) {
            let bits = mapped.entry(pool::space_key(branch.pool, SegmentId::of(piece.page)));
            let within = piece.page.number() % SEGMENT;
            bits.or_default()[(within / 64) as usize] |= 1 << (within % 64);
        }
    }
    mapped.into_iter().map(|(key, bits)| (key, space::encode(&bits))).collect()
}

/// Puts a new `meta.redb` in the place of the old one.
fn replace(dir: &Path, rows: &[Row], leaves: &[LeafRow]) -> Result<(), StoreError> {
    let (new, old) = (dir.join("meta.redb.new"), dir.join("meta.redb"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::io(&new, "remove")(error));
        }
        _ => {}
    }
    let records = Records::create(&Files, &new)?;
    records.commit(rows, leaves)?;
    drop(records);
    let kept = dir.join("meta.redb.damaged");
    match std::fs::remove_file(&kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::io(&kept, "remove")(error));
        }
        _ => {}
    }
    // At no instant is there none.
    std::fs::hard_link(&old, &kept).map_err(StoreError::io(&kept, "keep the old file as"))?;
    std::fs::rename(&new, &old).map_err(StoreError::io(&old, "rename to"))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(StoreError::io(dir, "flush the names in"))
}

/// Mends the headers of pool files, and makes files of intents that are missing.
fn mend_files(dir: &Path, rows: &[Row], done: &mut Repaired) -> Result<(), StoreError> {
    let identity = rows.iter().find(|row| row.table == Table::Head && row.key == 1);
    let array = identity.and_then(|row| row.value.as_deref()?.try_into().ok());
    let Some(array) = array else {
        return Err(StoreError::damaged(dir.join("meta.redb"), "the array's own number is lost"));
    };
    for row in rows.iter().filter(|row| row.table == Table::Members) {
        let member = row.value.as_deref().and_then(|bytes| codec::decode::<MemberRow>(bytes).ok());
        let Some(member) = member else {
            continue;
        };
        let owner = Owner { array, pool: (row.key >> 8) as u16, member: (row.key & 0xff) as u8 };
        let path = dir.join(&member.path);
        let disk = Files.open(&path).map_err(StoreError::io(&path, "open"))?;
        if member::mend_header(&*disk, &path, owner)? {
            done.mended.push(format!("{}: a header was written anew", path.display()));
        }
        let intent = dir.join(format!("pool-{}-{}.intent", owner.pool, owner.member));
        match Files.create(&intent) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::io(&intent, "create")(error)),
            Ok(disk) => {
                super::intent::mark_all(&*disk, member.segments)
                    .map_err(StoreError::io(&intent, "write"))?;
                done.lost.push(format!(
                    "{}: nobody knows what a crash left in flight: every block of {} that does not match its checksum is taken as found at the next start",
                    intent.display(),
                    path.display()
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::LdevId;

    use super::*;
    use crate::{Array, Directory, config};

    const TOML: &str =
        "serial = 1\n[[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"64 MiB\"\n";

    fn made() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a");
        Directory::init(&place, &config::parse(TOML).unwrap()).unwrap();
        let array = Array::open(&place).unwrap();
        for n in 0..64u64 {
            array.write(ldev(), n << 20, &vec![n as u8 + 1; 1 << 20]).unwrap();
        }
        array.flush(ldev()).unwrap();
        (dir, place)
    }

    fn ldev() -> LdevId {
        LdevId::new(1).unwrap()
    }

    fn commit(place: &Path, rows: &[Row], leaves: &[LeafRow]) {
        let records = Records::open(&Files, &place.join("meta.redb")).unwrap();
        records.commit(rows, leaves).unwrap();
    }

    fn findings(place: &Path) -> usize {
        let array = Array::open(place).unwrap();
        array.check(&mut |_| {}).unwrap().findings.len()
    }

    #[test]
    fn a_whole_array_is_left_alone() {
        let (_dir, place) = made();
        assert_eq!(repair(&place).unwrap(), Repaired::default());
        assert!(!place.join("meta.redb.damaged").exists());
    }

    #[test]
    fn accounts_and_headers_are_restored_without_loss() {
        let (_dir, place) = made();
        let key = pool::space_key(0, SegmentId { member: 0, number: 0 });
        commit(&place, &[Row::put(Table::Space, key, vec![0x0f; 128])], &[]);
        let file = place.join("pool-0.data");
        let disk = Files.open(&file).unwrap();
        disk.write(0, &[0; 4096]).unwrap();
        let done = repair(&place).unwrap();
        assert!(done.mended.len() == 2 && done.lost.is_empty(), "{done:?}");
        assert_eq!(findings(&place), 0);
        assert_eq!(repair(&place).unwrap(), Repaired::default());
    }

    #[test]
    fn a_lost_map_is_an_error_until_it_is_written_and_the_rest_is_there() {
        let (_dir, place) = made();
        let records = Records::open(&Files, &place.join("meta.redb")).unwrap();
        let mut keys = Vec::new();
        records.each_indexed(&mut |key| keys.push(key)).unwrap();
        drop(records);
        let key = *keys.iter().find(|key| key.leaf == 1).unwrap();
        commit(&place, &[], &[(key, Some(vec![0xff; 40]))]);
        let done = repair(&place).unwrap();
        assert_eq!(done.lost.len(), 1, "{done:?}");
        let array = Array::open(&place).unwrap();
        let mut bytes = vec![0; 1 << 20];
        for n in 0..64u64 {
            let read = array.read(ldev(), n << 20, &mut bytes);
            assert_eq!(read.is_err(), (16..32).contains(&n), "MiB {n}");
            assert!(read.is_err() || bytes.iter().all(|byte| *byte == n as u8 + 1));
        }
        assert!(!array.check(&mut |_| {}).unwrap().is_clean(), "what is lost is told");
        for n in 16..32u64 {
            array.write(ldev(), n << 20, &bytes).unwrap();
        }
        array.flush(ldev()).unwrap();
        assert!(array.check(&mut |_| {}).unwrap().is_clean());
    }

    #[test]
    fn a_missing_file_of_intents_is_made_and_the_loss_is_told() {
        let (_dir, place) = made();
        std::fs::remove_file(place.join("pool-0-0.intent")).unwrap();
        assert!(Array::open(&place).is_err());
        let done = repair(&place).unwrap();
        assert!(done.lost.len() == 1 && done.lost[0].contains("in flight"), "{done:?}");
        assert_eq!(findings(&place), 0);
    }

    #[test]
    fn what_cannot_be_done_without_is_named_and_nothing_changes() {
        let (_dir, place) = made();
        let spoiled = Records::open(&Files, &place.join("meta.redb")).unwrap();
        spoiled.spoil(Table::Volumes, 1);
        drop(spoiled);
        let records = || {
            let records = Records::open_unverified(&Files, &place.join("meta.redb")).unwrap();
            Table::ALL.map(|table| records.salvage(table).unwrap())
        };
        let before = records();
        let refused = repair(&place).unwrap_err().to_string();
        assert!(refused.contains("record 1 of table volumes"), "{refused}");
        assert!(records() == before);
        assert!(!place.join("meta.redb.damaged").exists());
    }
}
