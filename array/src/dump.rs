//! `arrayd dump`: every record of an array that does not run, as text; for those who want to see
//! what a directory says, whole or damaged.

use std::{fmt::Debug, io::Write, path::Path};

use model::{LdevId, LuPath};
use protocol::codec;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    guards::GuardRecord,
    hosts::groups::{HostGroup, Portal},
    inventory::{Head, Ldev},
    labels::Labels,
    pairs::Pair,
    store::{StoreError, Table, raw},
    users::Authority,
};

/// Writes every record of the array directory `dir`, one a line: table, key, what it says.
///
/// # Errors
/// When the file cannot be opened, or `out` takes no more.
pub fn dump(dir: &Path, out: &mut dyn Write) -> Result<(), StoreError> {
    let records = raw::open(&dir.join("meta.redb"))?;
    let mut lines = |table: &str, key: &dyn Debug, text: &str| {
        writeln!(out, "{table} {key:?}: {text}").map_err(StoreError::io(Path::new("-"), "write to"))
    };
    for table in Table::ALL {
        for (key, payload) in raw::rows(&records, table)? {
            let text = payload.map_or("does not match its checksum".into(), |payload| {
                explain(table, key, &payload)
            });
            lines(table.name(), &key, &text)?;
        }
    }
    raw::leaves(&records, &mut |key, text| lines("leaves", &key, text))
}

fn explain(table: Table, key: u64, payload: &[u8]) -> String {
    match (table, key) {
        (Table::Head, 0) => text::<Head>(payload),
        (Table::Head, 1) => payload.iter().map(|byte| format!("{byte:02x}")).collect(),
        (Table::Head, Portal::KEY) => text::<Portal>(payload),
        (Table::Head, Labels::KEY) => text::<Labels>(payload),
        (Table::Head, Authority::KEY) => text::<Authority>(payload),
        (Table::Head, _) => text::<u64>(payload),
        (Table::Ldevs, _) => text::<Ldev>(payload),
        (Table::Paths, _) => text::<(LuPath, LdevId)>(payload),
        (Table::Guards, _) => text::<GuardRecord>(payload),
        (Table::Pairs, _) => text::<Pair>(payload),
        (Table::HostGroups, _) => text::<HostGroup>(payload),
        (Table::Reservations, _) => format!("{} bytes", payload.len()),
        (Table::Executed, _) => format!("an answer of {} bytes", payload.len()),
        _ => raw::explain(table, payload),
    }
}

/// A postcard record in Rust's notation.
pub(crate) fn text<T: DeserializeOwned + Serialize + Debug>(payload: &[u8]) -> String {
    codec::decode::<T>(payload)
        .map_or_else(|_| "is no such record".into(), |record| format!("{record:?}"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestArray, create, ldev, quick_split};

    #[test]
    fn every_kind_of_record_is_told() {
        let array = TestArray::new();
        array.array.write(ldev(17), 0, &[1; 70_000]).unwrap();
        array.run(create(), &[(17, 0, 18)]).unwrap();
        array.run(quick_split(), &[(17, 0, 18)]).unwrap();
        array.array.write(ldev(17), 0, &[2; 4096]).unwrap();
        array.array.flush(ldev(17)).unwrap();
        let path = array.path();
        drop(array.array);
        let mut text = Vec::new();
        super::dump(&path, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for wanted in [
            "head 0: Head { serial",
            "ldevs 17: Ldev {",
            "pairs 0: Pair {",
            "pools 0: PoolRow {",
            "members 0: MemberRow {",
            "volumes 18: VolumeRow {",
            ": BranchRow { pool: 0, parent: Some(",
            "space 0: 3 pages mapped",
            ", leaf 0, generation",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in:\n{text}");
        }
        assert!(!text.contains("no such record"), "{text}");
    }
}
