//! Persistent reservations that survive a loss of power (APTPL): bytes of the device server, kept
//! under the LDEV's number.

use std::collections::HashMap;

use model::LdevId;

use crate::{
    array::Array,
    store::{Batch, Records, Row, StoreError, Table},
};

/// What is kept, by LDEV.
pub(crate) type Reservations = HashMap<LdevId, Vec<u8>>;

/// Reads them all.
pub(crate) fn load(records: &Records) -> Result<Reservations, StoreError> {
    let decode = |(key, bytes): (u64, Vec<u8>)| {
        let ldev = u32::try_from(key).ok().and_then(LdevId::new);
        let ldev = ldev.ok_or_else(|| {
            records.damaged(Table::Reservations, key, "there can be no such LDEV")
        })?;
        Ok((ldev, bytes))
    };
    records.load(Table::Reservations)?.into_iter().map(decode).collect()
}

impl Array {
    /// What is kept of an LDEV; empty where nothing is.
    pub(super) fn reservations(&self, ldev: LdevId) -> Vec<u8> {
        self.state().reservations.get(&ldev).cloned().unwrap_or_default()
    }

    /// Keeps them, durably; empty ones are forgotten.
    pub(super) fn keep_reservations(&self, ldev: LdevId, bytes: Vec<u8>) -> Result<(), StoreError> {
        // Orders and this change the records one after the other.
        let _changes = self.changes();
        let key = u64::from(ldev.get());
        let row = if bytes.is_empty() {
            Row::remove(Table::Reservations, key)
        } else {
            Row::put(Table::Reservations, key, bytes.clone())
        };
        self.store.commit(&Batch { rows: vec![row], ..Batch::default() })?;
        let kept = &mut self.state_mut().reservations;
        if bytes.is_empty() {
            kept.remove(&ldev);
        } else {
            kept.insert(ldev, bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestArray, ldev};

    #[test]
    fn what_is_kept_survives_a_crash_until_it_is_given_up() {
        let array = TestArray::new();
        array.array.keep_reservations(ldev(17), vec![1, 2, 3]).unwrap();
        array.array.keep_reservations(ldev(18), vec![4]).unwrap();
        let array = array.crash();
        assert_eq!(array.array.reservations(ldev(17)), [1, 2, 3]);
        array.array.keep_reservations(ldev(17), Vec::new()).unwrap();
        let array = array.crash();
        assert!(array.array.reservations(ldev(17)).is_empty());
        assert_eq!(array.array.reservations(ldev(18)), [4]);
    }
}
