//! A command device as hosts read and write it: the mailbox of `protocol::mailbox` (in band).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use model::LdevId;
use protocol::{
    Kind,
    mailbox::{
        device::{Device, Incoming, NoMailbox},
        layout::{self, Plate},
    },
};
use scsi::medium::{Access, BLOCK, Failure, Identity, Medium, Pending};
use tokio::{sync::Notify, time::timeout};

use crate::{array::Array, orders, store::MAX_IO};

/// How long a read of an answer is held back while the order is being executed, so that hosts need
/// not ask again and again.
const HOLD: Duration = Duration::from_millis(200);

/// The mailbox of one command device.
pub(super) struct Mailbox {
    array: Arc<Array>,
    ldev: LdevId,
    device: Mutex<Device>,
    /// Told whenever an answer has come.
    answered: Notify,
    /// Orders that change something, one after the other.
    changes: mpsc::Sender<Incoming>,
}

impl Mailbox {
    /// A mailbox, and the thread that carries its changes out. The thread ends with it.
    pub(super) fn start(array: Arc<Array>, ldev: LdevId) -> std::io::Result<Arc<Self>> {
        let bytes = array.ldev(ldev).map_or(0, |ldev| ldev.size.bytes());
        let (serial, slots) = (array.head().serial.get(), layout::slots(bytes));
        let plate = Plate { slots, serial, ldev: ldev.get() };
        let (changes, queue) = mpsc::channel::<Incoming>();
        let device = Mutex::new(Device::new(plate));
        let this = Arc::new(Self { array, ldev, device, answered: Notify::new(), changes });
        let weak = Arc::downgrade(&this);
        thread::Builder::new().name("mailbox".into()).spawn(move || {
            for order in queue {
                let Some(mailbox) = weak.upgrade() else { return };
                mailbox.execute(&order);
            }
        })?;
        Ok(this)
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute(&self, order: &Incoming) {
        let answer = orders::carry_out(&self.array, order.id, order.kind, &order.body, order.room);
        self.device().answer(order.slot, order.id, answer);
        self.answered.notify_waiters();
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), NoMailbox> {
        let orders = self.device().write(Instant::now(), offset, data)?;
        for order in orders {
            match order.kind {
                // From memory, so that a status never waits for a disk.
                Kind::Read => self.execute(&order),
                Kind::Change => drop(self.changes.send(order)),
            }
        }
        Ok(())
    }

    /// Waits a while for the answer that a read is about.
    async fn await_answer(&self, offset: u64, length: usize) {
        let answered = async {
            loop {
                let answered = self.answered.notified();
                if !self.device().is_awaited(offset, length) {
                    return;
                }
                answered.await;
            }
        };
        let _ = timeout(HOLD, answered).await;
    }

    fn read(&self, offset: u64, length: usize) -> Vec<Bytes> {
        let device = self.device();
        let mut pieces = Vec::new();
        let (mut at, end) = (offset, offset + length as u64);
        while at < end {
            let mut piece = vec![0; (end - at).min(MAX_IO as u64) as usize];
            device.read(at, &mut piece);
            at += piece.len() as u64;
            pieces.push(piece.into());
        }
        pieces
    }
}

/// The mailbox as a logical unit.
pub(super) struct MailboxMedium(pub(super) Arc<Mailbox>);

impl Medium for MailboxMedium {
    fn identity(&self) -> Identity {
        Identity { thin: false, ..super::medium::identity(&self.0.array, self.0.ldev) }
    }

    fn blocks(&self) -> u64 {
        self.0.array.ldev(self.0.ldev).map_or(0, |ldev| ldev.size.0)
    }

    fn access(&self) -> Access {
        self.0.array.command_device_access(self.0.ldev)
    }

    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>> {
        let mailbox = Arc::clone(&self.0);
        let (offset, length) = (lba * u64::from(BLOCK), blocks as usize * BLOCK as usize);
        Box::pin(async move {
            mailbox.await_answer(offset, length).await;
            Ok(mailbox.read(offset, length))
        })
    }

    fn write(&self, lba: u64, data: Vec<Bytes>, _durable: bool) -> Pending<()> {
        let mut offset = lba * u64::from(BLOCK);
        let mut written = Ok(());
        for piece in data {
            written = written.and_then(|()| self.0.write(offset, &piece));
            offset += piece.len() as u64;
        }
        Box::pin(async move { written.map_err(|NoMailbox| Failure::Unwritable) })
    }

    fn zero(&self, _lba: u64, _blocks: u64) -> Pending<()> {
        Box::pin(async { Err(Failure::Unwritable) })
    }

    fn flush(&self) -> Pending<()> {
        Box::pin(async { Ok(()) })
    }

    fn mapped(&self, lba: u64) -> Pending<(bool, u64)> {
        let rest = self.blocks().saturating_sub(lba).max(1);
        Box::pin(async move { Ok((true, rest)) })
    }

    fn kept(&self) -> Vec<u8> {
        self.0.array.reservations(self.0.ldev)
    }

    fn keep(&self, reservations: Vec<u8>) -> Pending<()> {
        let kept = self.0.array.keep_reservations(self.0.ldev, reservations);
        Box::pin(async move { kept.map_err(|_| Failure::Broken) })
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use protocol::{
        RequestId, codec,
        mailbox::host::{self, Blocks},
        orders::{Order, OrderAnswer, Reply},
    };

    use super::*;
    use crate::testing::{TestArray, create, ldev, target};

    struct Path(MailboxMedium);

    impl Blocks for Path {
        async fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
            let blocks = u32::try_from(length / BLOCK as usize).unwrap();
            let read = self.0.read(offset / u64::from(BLOCK), blocks).await;
            read.map(|pieces| pieces.concat()).map_err(io::Error::other)
        }

        async fn write(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
            let written = self.0.write(offset / u64::from(BLOCK), vec![data.into()], false).await;
            written.map_err(io::Error::other)
        }
    }

    #[tokio::test]
    async fn orders_are_carried_out_through_the_blocks_of_the_command_device() {
        let array = TestArray::new();
        let mailbox = Mailbox::start(Arc::clone(&array.array), ldev(16)).unwrap();
        let host = host::Mailbox::new(Path(MailboxMedium(mailbox)));
        let plate = host.plate().await.unwrap();
        assert_eq!((plate.serial, plate.ldev, plate.slots), (62_496, 16, 7));
        let call = async |kind, order: &Order| {
            let order = codec::encode(order);
            let answer = host.call(RequestId::random(), kind, &order, Duration::from_secs(30));
            codec::decode::<OrderAnswer>(&answer.await.unwrap()).unwrap()
        };
        let Ok(Reply::Identity(identity)) = call(Kind::Read, &Order::Identify).await else {
            panic!("it says who it is");
        };
        assert_eq!(identity.serial.get(), 62_496);
        let pairs = vec![target(17, 0, Some(18))];
        let create = Order::Change { change: create(), pairs };
        call(Kind::Change, &create).await.unwrap();
        array.copy_all();
        assert_eq!(array.state(17, 0), "PAIR");
        let other = vec![target(17, 1, Some(40))];
        let refused = Order::Change { change: crate::testing::create(), pairs: other };
        assert!(call(Kind::Change, &refused).await.is_err(), "the sizes differ");
    }

    #[tokio::test]
    async fn what_is_no_slot_takes_no_writes() {
        let array = TestArray::new();
        let mailbox = Mailbox::start(Arc::clone(&array.array), ldev(16)).unwrap();
        let medium = MailboxMedium(mailbox);
        let write = medium.write(0, vec![vec![1; 4096].into()], false).await;
        assert_eq!(write, Err(Failure::Unwritable));
        assert_eq!(medium.zero(200, 1).await, Err(Failure::Unwritable));
    }
}
