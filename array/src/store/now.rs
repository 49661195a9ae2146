//! Reading without waiting, for a thread that has others to serve.
//!
//! The same locks as a read takes, in the same order, but only those that are free; the map and
//! the checksums only as far as they are in memory; the bytes only where the disk has them at
//! hand. So what it answers is what a read answers, and everything out of the ordinary is left to
//! the read: bytes that are still to be fetched, volumes that follow another one, damage.

use super::{
    Content,
    data::{Slices, aligned, gather, mask_of, parts},
    engine::PoolStore,
    leaf::PAGE,
    volume::{SPAN, VolumeNumber},
};

impl PoolStore {
    /// Reads what a volume holds, whole blocks of the store under one stripe, if nothing has to be
    /// waited for; `None` otherwise, and the buffer holds anything then.
    pub fn read_at_now(
        &self,
        number: VolumeNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Option<Content> {
        let volume = self.volume_now(number)?;
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= volume.size)?;
        let under = |byte: u64| byte / (SPAN * PAGE as u64);
        if under(offset) != under(end.saturating_sub(1).max(offset)) {
            return None;
        }
        let holds = volume.gate.try_read().ok()?;
        let head = holds.head().filter(|_| holds.tether.is_none())?;
        let _stripe = volume.stripe(offset / PAGE as u64).try_read().ok()?;
        let mut slices = Slices::new();
        let mut found = Content::Zeros;
        for part in parts(offset, 0..buffer.len()) {
            if !aligned(&part) {
                return None;
            }
            let entry = head.entry_now(part.page)?;
            let bytes = &mut buffer[part.buffer.clone()];
            if entry.mask() & mask_of(&part.blocks()) == 0 {
                bytes.fill(0);
            } else {
                found = Content::Bytes;
                gather(&entry, &part.blocks(), part.buffer.start, bytes, &mut slices);
            }
        }
        head.pool.read_now(&slices, buffer).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        array::Array,
        store::{Records, disk::Memory},
    };

    const TOML: &str = "
serial = 1
[[ldev]]
ldev = 1
emulation = \"OPEN-V\"
size = \"3 MiB\"
";

    #[test]
    fn whoever_holds_a_lock_is_not_waited_for() {
        let (media, inventory) = (Memory::default(), crate::config::parse(TOML).unwrap());
        Array::create_on(&media, "a".as_ref(), &inventory).unwrap();
        let records = Records::open(&media, "a/meta.redb".as_ref()).unwrap();
        let volumes = [(1, 3 << 20, 0)];
        let store = PoolStore::open(records, Arc::new(media), "a".as_ref(), volumes, []).unwrap();
        store.write_at(1, 0, &[7; 2 << 20]).unwrap();
        let mut buffer = [0; 4096];
        let mut now = |offset| store.read_at_now(1, offset, &mut buffer).is_some();
        assert!(now(0) && now(1 << 20) && now(2 << 20));
        assert!(store.read_at_now(1, (1 << 20) - 4096, &mut [0; 8192]).is_none(), "two stripes");
        let volume = store.volume_now(1).unwrap();
        {
            let _order = volume.gate.write().unwrap();
            assert!(!now(0));
        }
        {
            let _writer = volume.stripe(0).write().unwrap();
            assert!(!now(0) && now(1 << 20), "of one stripe only");
        }
        {
            let holds = volume.gate.read().unwrap();
            let head = holds.head().unwrap();
            let cell = head.cached(0).unwrap();
            let _changes = cell.state.write().unwrap();
            assert!(!now(0));
        }
        let _reader = volume.stripe(0).read().unwrap();
        assert!(now(0), "readers go side by side");
    }
}
