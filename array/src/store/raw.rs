//! Records as they stand, for [`crate::dump`].

use std::path::Path;

use super::{
    StoreError,
    branches::{BranchRow, Doubt},
    disk::Files,
    leaf::{Entry, Leaf, Piece},
    pool::{MemberRow, PoolRow},
    records::{LeafKey, RawRow, Records, Table},
    space,
    volume::VolumeRow,
};
use crate::dump::text;

/// Opens a file of records, however damaged its records are.
///
/// # Errors
/// When it cannot be opened at all.
pub fn open(path: &Path) -> Result<Records, StoreError> {
    Records::open_unverified(&Files, path)
}

/// Every record of a table.
///
/// # Errors
/// When the table cannot be read to its end.
pub fn rows(records: &Records, table: Table) -> Result<Vec<RawRow>, StoreError> {
    records.salvage(table)
}

/// What a record of the store says.
#[must_use]
pub fn explain(table: Table, payload: &[u8]) -> String {
    match table {
        Table::Pools => text::<PoolRow>(payload),
        Table::Members => text::<MemberRow>(payload),
        Table::Volumes => text::<VolumeRow>(payload),
        Table::Branches => text::<BranchRow>(payload),
        Table::Reclaim => text::<Doubt>(payload),
        Table::Space => space::decode(payload).map_or("is no such record".into(), |bits| {
            let count: u32 = bits.iter().map(|word| word.count_ones()).sum();
            format!("{count} pages mapped")
        }),
        Table::Fetch => {
            let count: u32 = payload.iter().map(|byte| byte.count_ones()).sum();
            format!("{count} pages to fetch")
        }
        _ => format!("{} bytes", payload.len()),
    }
}

/// Every leaf record: its key, and its entries.
///
/// # Errors
/// When the table cannot be read to its end, or what `see` says.
pub fn leaves(
    records: &Records,
    see: &mut dyn FnMut(LeafName, &str) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    records.each_leaf(&mut |key, leaf| {
        let text = leaf.map_or_else(|error| error.to_string(), |leaf| entries(&leaf));
        see(LeafName(key), &text)
    })
}

/// The name of a leaf record, for people.
pub struct LeafName(LeafKey);

impl std::fmt::Debug for LeafName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LeafKey { branch, leaf, generation } = self.0;
        write!(f, "branch {branch}, leaf {leaf}, generation {generation}")
    }
}

/// `since`, then for each entry: page of the leaf, what it is mapped to, the base below it.
fn entries(leaf: &Leaf) -> String {
    let piece = |piece: Piece| match piece.is_lost() {
        true => "lost".to_owned(),
        false => format!("{:?} born {} mask {:04x}", piece.page, piece.birth, piece.mask),
    };
    let entry = |(at, entry): (usize, &Entry)| {
        let top = match entry.top {
            Some(top) => piece(top),
            None if entry.cleared > 0 => format!("zeros since {}", entry.cleared),
            None => return None,
        };
        let base = entry.base.map_or(String::new(), |base| format!(" over {}", piece(base)));
        Some(format!("[{at}] {top}{base}"))
    };
    let entries: Vec<String> = leaf.entries.iter().enumerate().filter_map(entry).collect();
    format!("since {}: {}", leaf.since, entries.join(", "))
}
