//! Making a pool larger while it is in use.

use protocol::codec;

use super::{
    StoreError,
    engine::{PoolStore, load, lock},
    member::segments_in,
    pool::{MemberRow, member_key},
    records::{Row, Table},
};

/// Members of a pool at most.
const MEMBERS: u8 = 64;

impl PoolStore {
    /// Makes a member longer, or takes a further file or block device into the pool.
    ///
    /// # Errors
    /// [`StoreError::Pool`] for a pool that is not there or a size that does not fit; the disk's
    /// answer.
    pub fn grow(
        &self,
        pool: u16,
        path: &str,
        bytes: Option<u64>,
        preallocate: bool,
    ) -> Result<(), StoreError> {
        let refused = |what: String| StoreError::Pool { pool, what };
        let known = self.pools().get(&pool);
        let known = known.ok_or_else(|| refused("there is no such pool".into()))?;
        let _orders = lock(&self.orders);
        let place = self.place();
        let wanted = segments_in(bytes.or_else(|| place.size_of(path)).unwrap_or(0));
        let members: Vec<(u64, MemberRow)> = load(&self.records, Table::Members)?;
        let mine = |key: u64| key >> 8 == u64::from(pool);
        let old = members.iter().find(|(key, row)| mine(*key) && row.path == path);
        if let Some((key, row)) = old {
            if wanted <= row.segments {
                let has = super::member::length_of(row.segments);
                return Err(refused(format!("{path} has {has} bytes already")));
            }
            let number = (key & 0xff) as u8;
            // First the file, then the record: a crash between them leaves a longer file, no more.
            known.lengthen(number, wanted, preallocate)?;
            let row = MemberRow { segments: wanted, preallocate, ..row.clone() };
            self.persist(vec![Row::put(Table::Members, *key, codec::encode(&row))])?;
            known.open_up(number, wanted);
            return Ok(());
        }
        if members.iter().any(|(_, row)| row.path == path) {
            return Err(refused(format!("{path} belongs to another pool")));
        }
        if wanted == 0 {
            return Err(refused(format!("{path} would have less than 66 MiB")));
        }
        let taken = members.iter().filter(|(key, _)| mine(*key)).map(|(key, _)| (key & 0xff) as u8);
        let number = taken.max().map_or(0, |last| last + 1);
        if number >= MEMBERS {
            return Err(refused(format!("it has {MEMBERS} files already")));
        }
        let row = MemberRow { path: path.into(), segments: wanted, preallocate };
        place.make(pool, number, &row)?;
        let key = member_key(pool, number);
        self.persist(vec![Row::put(Table::Members, key, codec::encode(&row))])?;
        known.add(place, number, &row)
    }
}
