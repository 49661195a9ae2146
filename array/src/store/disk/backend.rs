//! redb on a [`Disk`], with space in reserve.
//!
//! A write of metadata that fails leaves redb unusable until it is opened again. So real space is
//! reserved well ahead of what it uses: when no more can be had, there is still [`HEADROOM`] left,
//! and [`Room::is_short`] tells those who would fill it to stop.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::Disk;

/// Bytes reserved beyond what redb uses: several commits of the largest kind.
const HEADROOM: u64 = 16 << 20;

/// Whether there is space in reserve.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    short: Arc<AtomicBool>,
}

impl Room {
    /// Whether the file system below has no more space to reserve.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::SeqCst)
    }
}

/// A disk as redb sees it.
#[derive(Debug)]
pub(crate) struct Backend {
    disk: Arc<dyn Disk>,
    reserved: AtomicU64,
    room: Room,
}

impl Backend {
    /// Over a disk, and what tells whether it has space in reserve.
    pub(crate) fn new(disk: Arc<dyn Disk>) -> (Self, Room) {
        let room = Room::default();
        (Self { disk, reserved: AtomicU64::new(0), room: room.clone() }, room)
    }

    /// Keeps space in reserve behind `length` bytes in use.
    fn keep_room(&self, length: u64) -> io::Result<()> {
        let reserved = self.reserved.load(Ordering::SeqCst);
        if length + HEADROOM <= reserved && !self.room.is_short() {
            return Ok(());
        }
        // Twice the room, so that this is not done for every page.
        let wanted = length + 2 * HEADROOM;
        match self.disk.reserve(0, wanted) {
            Ok(()) => {
                self.reserved.store(wanted, Ordering::SeqCst);
                self.room.short.store(false, Ordering::SeqCst);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull && length <= reserved => {
                self.room.short.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, buffer)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.keep_room(length)?;
        self.disk.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.reserved.load(Ordering::SeqCst) == 0 || self.room.is_short() {
            self.keep_room(self.disk.size()?)?;
        }
        self.disk.flush()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use redb::{Database, TableDefinition};

    use super::*;
    use crate::store::disk::{Act, Faulty, Media, Memory};

    const TABLE: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("t");

    fn commit(database: &Database, key: u64) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?.insert(key, vec![7; 100_000].as_slice())?;
        transaction.commit()?;
        Ok(())
    }

    #[test]
    fn when_space_runs_out_commits_go_on_and_somebody_is_told() {
        let media = Faulty::new(Arc::new(Memory::default()));
        let (backend, room) = Backend::new(media.create(Path::new("m")).unwrap());
        let database = Database::builder().create_with_backend(backend).unwrap();
        commit(&database, 0).unwrap();
        assert!(!room.is_short());
        media.fail_always("m", Act::Reserve, io::ErrorKind::StorageFull);
        for key in 1..160 {
            commit(&database, key).unwrap();
        }
        assert!(room.is_short(), "some of what was in reserve was used");
        media.heal();
        commit(&database, 160).unwrap();
        assert!(!room.is_short());
    }
}
