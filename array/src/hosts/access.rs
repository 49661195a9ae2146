//! What hosts may do with an LDEV now, and their I/O within that.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, atomic::Ordering},
};

use model::LdevId;
use scsi::medium::Access;

use crate::{
    array::{Array, State},
    pairs::Phase,
    store::{Content, StoreError},
};

/// Hosts' writes that are under way, by LDEV. A write is inside from before it asks whether it may
/// until it has ended, so that who changes the answer can wait for those that had the old one.
pub(crate) struct Writers(HashMap<LdevId, RwLock<()>>);

impl Writers {
    /// Of these LDEVs; nobody is inside.
    pub fn new(ldevs: impl Iterator<Item = LdevId>) -> Self {
        Self(ldevs.map(|ldev| (ldev, RwLock::default())).collect())
    }

    fn enter(&self, ldev: LdevId) -> Option<RwLockReadGuard<'_, ()>> {
        let inside = self.0.get(&ldev)?;
        Some(inside.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until those have left that are inside now.
    pub fn wait(&self, ldev: LdevId) {
        if let Some(inside) = self.0.get(&ldev) {
            drop(inside.write().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Array {
    /// A number that grows whenever [`Array::access`] may answer otherwise than before.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// What hosts may do with an LDEV, by its guards and its pairs.
    #[must_use]
    pub fn access(&self, ldev: LdevId) -> Access {
        self.access_in(&self.state(), ldev)
    }

    /// The same for a command device, whose mailbox takes writes.
    pub(super) fn command_device_access(&self, ldev: LdevId) -> Access {
        let guard = self.state().guards.get(&ldev).map(|record| record.guard).unwrap_or_default();
        Access {
            hidden: guard.inquiry,
            sizeless: guard.capacity,
            unreadable: guard.read,
            unwritable: guard.write,
        }
    }

    fn access_in(&self, state: &State, ldev: LdevId) -> Access {
        let guard = state.guards.get(&ldev).map(|record| record.guard).unwrap_or_default();
        let (unread, unwritten) = match state.registry.as_svol(ldev) {
            Some((_, pair)) => {
                let follows = matches!(pair.phase, Phase::Copying | Phase::Paired);
                (pair.noread && follows, !pair.svol_writable())
            }
            None => (false, false),
        };
        let command_device = self.ldev(ldev).is_some_and(|ldev| ldev.command_device);
        Access {
            hidden: guard.inquiry,
            sizeless: guard.capacity,
            unreadable: guard.read || unread,
            unwritable: guard.write || unwritten || command_device,
        }
    }

    /// Reads for a host.
    ///
    /// # Errors
    /// [`StoreError::Guarded`] where reading is refused; those of the store.
    pub(super) fn host_read(
        &self,
        ldev: LdevId,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<Content, StoreError> {
        if self.access(ldev).unreadable {
            return Err(StoreError::Guarded(ldev));
        }
        self.read_noting(ldev, offset, buffer)
    }

    /// Reads for a host as [`Array::host_read`] does, if nothing has to be waited for; `None`
    /// otherwise, and where it is refused.
    pub(super) fn host_read_now(
        &self,
        ldev: LdevId,
        offset: u64,
        buffer: &mut [u8],
    ) -> Option<Content> {
        if self.access(ldev).unreadable {
            return None;
        }
        self.store.read_now(ldev, offset, buffer)
    }

    /// Writes for a host. Durable after [`Array::host_flush`].
    ///
    /// # Errors
    /// [`StoreError::Protected`] where writing is refused; those of the store.
    pub(super) fn host_write(
        &self,
        ldev: LdevId,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        self.making_room(|| {
            let _inside = self.enter(ldev)?;
            self.store.write(ldev, offset, data)
        })
    }

    /// Makes zeros for a host, of few enough bytes that a guard may wait for it.
    ///
    /// # Errors
    /// Those of [`Array::host_write`].
    pub(super) fn host_zero(
        &self,
        ldev: LdevId,
        offset: u64,
        length: u64,
    ) -> Result<(), StoreError> {
        self.making_room(|| {
            let _inside = self.enter(ldev)?;
            self.store.zero(ldev, offset, length)
        })
    }

    /// Begins a write of a host, if it may. It never waits for an order while it is inside, since
    /// orders wait for it.
    fn enter(&self, ldev: LdevId) -> Result<Option<RwLockReadGuard<'_, ()>>, StoreError> {
        let inside = self.writers.enter(ldev);
        if self.access(ldev).unwritable { Err(StoreError::Protected(ldev)) } else { Ok(inside) }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, mpsc},
        thread,
        time::Duration,
    };

    use model::{Guard, GuardType};
    use protocol::{
        RequestId,
        orders::{CreateOptions, Order, PairChange},
    };

    use super::*;
    use crate::testing::{Hooked, TestArray, ldev, quick_split};

    const OPEN: Access =
        Access { hidden: false, sizeless: false, unreadable: false, unwritable: false };

    #[test]
    fn each_guard_type_takes_what_its_row_of_the_table_says() {
        let array = TestArray::new().array;
        let rows = [
            (GuardType::Inv, [true, true, true, true]),
            (GuardType::Sz0, [false, true, true, true]),
            (GuardType::Rwd, [false, false, true, true]),
            (GuardType::Wtd, [false, false, false, true]),
            (GuardType::Svd, [false, false, false, false]),
        ];
        for (kind, [hidden, sizeless, unreadable, unwritable]) in rows {
            let before = array.epoch();
            let guard = Order::SetGuard {
                ldevs: vec![ldev(17)],
                guard: Guard::of(kind),
                retention_days: None,
            };
            array.execute(RequestId::random(), &guard).unwrap();
            assert!(array.epoch() > before, "hosts are told of {kind:?}");
            assert_eq!(array.access(ldev(17)), Access { hidden, sizeless, unreadable, unwritable });
            assert_eq!(array.access(ldev(18)), OPEN);
            let read = array.host_read(ldev(17), 0, &mut [0; 512]);
            assert_eq!(read.is_err(), unreadable, "{kind:?}");
            assert_eq!(array.host_write(ldev(17), 0, &[0; 512]).is_err(), unwritable, "{kind:?}");
            assert_eq!(array.host_zero(ldev(17), 0, 512).is_err(), unwritable, "{kind:?}");
        }
    }

    #[test]
    fn no_write_lands_after_the_order_that_forbids_it_was_answered() {
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        let media = Hooked::new(move |data| {
            if data.iter().all(|byte| *byte == 9) {
                begun.send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
            }
        });
        let array = TestArray::hooked(media);
        let (answered, answer) = mpsc::channel();
        let (others, passes) = mpsc::channel();
        let protect = |number| {
            let guard = Guard::of(GuardType::Wtd);
            Order::SetGuard { ldevs: vec![ldev(number)], guard, retention_days: None }
        };
        let id = RequestId::random();
        let forbid = || {
            array.execute(id, &protect(17)).unwrap();
            let _ = answered.send(());
        };
        let early = thread::scope(|scope| {
            let write = scope.spawn(|| array.host_write(ldev(17), 0, &[9; 4096]));
            begins.recv().unwrap();
            scope.spawn(forbid);
            while !array.access(ldev(17)).unwritable {
                thread::yield_now();
            }
            // Sent again because no answer comes.
            scope.spawn(forbid);
            let early = answer.recv_timeout(Duration::from_millis(300));
            let other = scope.spawn(|| {
                array.execute(RequestId::random(), &protect(18)).unwrap();
                let _ = others.send(());
            });
            let passed = passes.recv_timeout(Duration::from_secs(20));
            release.send(()).unwrap();
            write.join().unwrap().unwrap();
            other.join().unwrap();
            assert!(passed.is_ok(), "an order about LDEV 18 waited for the disk of LDEV 17");
            early
        });
        assert!(early.is_err(), "it was answered, and the write was still to come");
        let refused = array.host_write(ldev(17), 0, &[8; 4096]);
        assert!(matches!(refused, Err(StoreError::Protected(_))));
    }

    #[test]
    fn an_s_vol_takes_no_writes_while_it_follows_and_with_noread_gives_no_bytes() {
        let array = TestArray::new();
        let noread = PairChange::Create(CreateOptions { noread: true, ..CreateOptions::default() });
        array.run(noread, &[(17, 0, 18)]).unwrap();
        array.copy_all();
        let closed = Access { unreadable: true, unwritable: true, ..OPEN };
        assert_eq!(array.array.access(ldev(18)), closed);
        assert_eq!(array.array.access(ldev(17)), OPEN, "the P-VOL is open");
        array.run(quick_split(), &[(17, 0, 18)]).unwrap();
        array.copy_all();
        assert_eq!(array.array.access(ldev(18)), OPEN);
    }

    #[test]
    fn a_command_device_is_not_written_like_a_volume() {
        let array = TestArray::new().array;
        assert!(array.access(ldev(16)).unwritable && !array.access(ldev(16)).unreadable);
    }
}
