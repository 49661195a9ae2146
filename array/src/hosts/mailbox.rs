//! A command device as hosts read and write it: the mailbox of `protocol::mailbox` (in band).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use model::LdevId;
use protocol::{
    Kind, RequestId,
    mailbox::{
        device::{Device, Incoming, NoMailbox},
        layout::{self, Plate},
    },
};
use scsi::medium::{Access, BLOCK, Failure, Identity, Medium, Pending};
use tokio::{sync::Notify, time::timeout};

use super::worker::Worker;
use crate::{array::Array, orders, store::MAX_IO, users::Via};

/// How long a read of an answer is held back while the order is being executed, so that hosts need
/// not ask again and again.
const HOLD: Duration = Duration::from_millis(200);

/// The mailbox of one command device. Dropped, it carries out first what it has taken.
pub(super) struct Mailbox {
    slots: Arc<Slots>,
    /// Carries out orders that change something, one after the other.
    worker: Worker,
    /// Answers orders that only ask: also their answer may wait, while an order has the gates of a
    /// pair closed, for a host's write to end.
    reader: Worker,
}

/// What hosts read and write, and the array that answers.
struct Slots {
    array: Arc<Array>,
    ldev: LdevId,
    device: Mutex<Device>,
    /// Told whenever an answer has come.
    answered: Notify,
}

impl Mailbox {
    /// A mailbox, and the threads that carry its orders out.
    pub(super) fn start(array: Arc<Array>, ldev: LdevId) -> std::io::Result<Arc<Self>> {
        let bytes = array.ldev(ldev).map_or(0, |ldev| ldev.size.bytes());
        let (serial, slots) = (array.head().serial.get(), layout::slots(bytes));
        let plate = Plate { slots, serial, ldev: ldev.get() };
        let (device, answered) = (Mutex::new(Device::new(plate)), Notify::new());
        let slots = Arc::new(Slots { array, ldev, device, answered });
        let (worker, reader) = (Worker::start("mailbox")?, Worker::start("mailbox-read")?);
        Ok(Arc::new(Self { slots, worker, reader }))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), NoMailbox> {
        let orders = self.slots.device().write(Instant::now(), offset, data)?;
        orders.into_iter().for_each(|order| self.take(order));
        Ok(())
    }

    /// Has an order carried out, by a thread on which nothing of the network waits.
    fn take(&self, order: Incoming) {
        let (slots, slot, id) = (Arc::clone(&self.slots), order.slot, order.id);
        let worker = match order.kind {
            Kind::Read => &self.reader,
            Kind::Change => &self.worker,
        };
        if !worker.submit(move || slots.execute(&order)) {
            log::error!("order {id} came when no more are carried out");
            self.slots.answer(slot, id, orders::unanswered());
        }
    }
}

impl Slots {
    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute(&self, order: &Incoming) {
        let via = Via::Ldev(self.ldev);
        let Incoming { id, kind, room, .. } = *order;
        let answer = orders::carry_out(&self.array, via, id, kind, &order.body, room);
        self.answer(order.slot, id, answer);
    }

    fn answer(&self, slot: u32, id: RequestId, answer: Vec<u8>) {
        self.device().answer(slot, id, answer);
        self.answered.notify_waiters();
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
        Identity { thin: false, ..super::medium::identity(&self.0.slots.array, self.0.slots.ldev) }
    }

    fn blocks(&self) -> u64 {
        self.0.slots.array.ldev(self.0.slots.ldev).map_or(0, |ldev| ldev.size.0)
    }

    fn access(&self) -> Access {
        self.0.slots.array.command_device_access(self.0.slots.ldev)
    }

    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>> {
        let mailbox = Arc::clone(&self.0);
        let (offset, length) = (lba * u64::from(BLOCK), blocks as usize * BLOCK as usize);
        Box::pin(async move {
            mailbox.slots.await_answer(offset, length).await;
            Ok(mailbox.slots.read(offset, length))
        })
    }

    fn write(&self, lba: u64, data: Vec<Bytes>, _durable: bool) -> Pending<()> {
        // A message is taken when its beginning is written, so the rest must be there with it.
        let written = self.0.write(lba * u64::from(BLOCK), &data.concat());
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
        self.0.slots.array.reservations(self.0.slots.ldev)
    }

    fn keep(&self, reservations: Vec<u8>) -> Pending<()> {
        let slots = Arc::clone(&self.0.slots);
        let keep = move || slots.array.keep_reservations(slots.ldev, reservations);
        let kept = self.0.worker.ask(keep);
        Box::pin(async move { kept.await.map_err(|_| Failure::Broken) })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        thread,
    };

    use protocol::{
        codec,
        mailbox::host::{self, Blocks},
        orders::{Order, OrderAnswer, Reply},
    };

    use super::*;
    use crate::{
        copier::Stepped,
        testing::{Hooked, TestArray, create, end, ldev, quick_split, target},
    };

    fn start(array: &TestArray) -> Arc<Mailbox> {
        Mailbox::start(Arc::clone(&array.array), ldev(16)).unwrap()
    }

    /// An order of somebody who has not logged in.
    fn from_nobody(order: &Order) -> Vec<u8> {
        codec::encode(&(None::<protocol::login::Token>, order))
    }

    /// With how often it was written to.
    struct Path(MailboxMedium, Arc<AtomicUsize>);

    fn path(mailbox: Arc<Mailbox>) -> Path {
        Path(MailboxMedium(mailbox), Arc::default())
    }

    impl Blocks for Path {
        async fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
            let blocks = u32::try_from(length / BLOCK as usize).unwrap();
            let read = self.0.read(offset / u64::from(BLOCK), blocks).await;
            read.map(|pieces| pieces.concat()).map_err(io::Error::other)
        }

        async fn write(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::SeqCst);
            // As they come from a network: in pieces that end anywhere.
            let pieces = data.chunks(300).map(Bytes::copy_from_slice).collect();
            let written = self.0.write(offset / u64::from(BLOCK), pieces, false).await;
            written.map_err(io::Error::other)
        }
    }

    #[tokio::test]
    async fn orders_are_carried_out_through_the_blocks_of_the_command_device() {
        let array = TestArray::new();
        let mailbox = start(&array);
        let host = host::Mailbox::new(path(mailbox));
        let plate = host.plate().await.unwrap();
        assert_eq!((plate.serial, plate.ldev, plate.slots), (62_496, 16, 7));
        let call = async |kind, order: &Order| {
            let order = from_nobody(order);
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
    async fn an_order_longer_than_the_pieces_it_comes_in_is_taken_the_first_time() {
        let array = TestArray::new();
        let path = path(start(&array));
        let writes = Arc::clone(&path.1);
        let host = host::Mailbox::new(path);
        let describe = from_nobody(&Order::Describe((17..1000).map(ldev).collect()));
        assert!(describe.len() > 900);
        let mut counts = Vec::new();
        for _ in 0..2 {
            let call = host.call(RequestId::random(), Kind::Read, &describe, HOLD * 100);
            let answer = codec::decode::<OrderAnswer>(&call.await.unwrap()).unwrap();
            assert!(matches!(answer, Ok(Reply::Described(all)) if all.len() == 983));
            counts.push(writes.swap(0, Ordering::SeqCst));
        }
        assert_eq!(counts, [2, 1], "the slot is claimed once, and each order written once");
    }

    #[tokio::test]
    async fn a_change_that_nobody_carries_out_is_answered_with_an_error() {
        let array = TestArray::new();
        let mut mailbox = Arc::into_inner(start(&array)).unwrap();
        mailbox.worker = Worker::ended();
        let host = host::Mailbox::new(path(Arc::new(mailbox)));
        let change = Order::Change { change: create(), pairs: vec![target(17, 0, Some(18))] };
        let (id, patience) = (RequestId::random(), Duration::from_secs(10));
        let change = from_nobody(&change);
        let answer = timeout(patience, host.call(id, Kind::Change, &change, patience)).await;
        let answer = answer.expect("it is not waited for");
        let answer = codec::decode::<OrderAnswer>(&answer.expect("it is answered")).unwrap();
        assert_eq!(answer.unwrap_err().error.code, model::Code::ExCmdrje);
    }

    #[test]
    fn a_mailbox_ends_when_it_has_carried_out_what_it_took() {
        let array = TestArray::new();
        let mailbox = start(&array);
        let slots = Arc::downgrade(&mailbox.slots);
        let changes = array.array.changes();
        let order = Order::Change { change: create(), pairs: vec![target(17, 0, Some(18))] };
        mailbox.take(Incoming {
            slot: 0,
            id: RequestId::random(),
            kind: Kind::Change,
            body: from_nobody(&order),
            room: 1000,
        });
        let ending = std::thread::spawn(move || drop(mailbox));
        drop(changes);
        ending.join().unwrap();
        assert!(slots.upgrade().is_none(), "its thread is gone");
        assert_ne!(array.state(17, 0), "SMPL");
    }

    #[tokio::test]
    async fn reservations_are_kept_where_waiting_for_a_disk_holds_nothing_up() {
        let array = TestArray::new();
        let medium = MailboxMedium(start(&array));
        let (release, held) = std::sync::mpsc::channel::<()>();
        assert!(medium.0.worker.submit(move || held.recv().unwrap()));
        let kept = medium.keep(vec![1, 2]);
        assert!(array.array.reservations(ldev(16)).is_empty());
        release.send(()).unwrap();
        kept.await.unwrap();
        assert_eq!(array.array.reservations(ldev(16)), [1, 2]);
    }

    #[test]
    fn a_question_that_waits_for_a_write_and_a_split_holds_nothing_else_up() {
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        let array = Arc::new(TestArray::hooked(Hooked::new(move |data| {
            if data.iter().all(|byte| *byte == 9) {
                begun.send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
            }
        })));
        let run = |change| {
            let order = Order::Change { change, pairs: vec![target(17, 0, Some(18))] };
            array.execute(RequestId::random(), &order).unwrap();
        };
        run(create());
        while array.step() != Stepped::Idle {}
        let mailbox = Mailbox::start(Arc::clone(&array), ldev(16)).unwrap();
        let ask = Order::Status(vec![end(17, 0)]);
        let ask = Incoming {
            slot: 0,
            id: RequestId::random(),
            kind: Kind::Read,
            body: from_nobody(&ask),
            room: 1000,
        };
        let patience = Duration::from_secs(20);
        let (asked, taken) = mpsc::channel();
        let (changed, changes) = mpsc::channel();
        // In another stripe than the write.
        let open = || array.host_read_now(ldev(17), 1 << 20, &mut [0; 4096]).is_some();
        // Its map is in memory then.
        array.host_write(ldev(17), 0, &[1; 4096]).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| array.host_write(ldev(17), 0, &[9; 4096]).unwrap());
            begins.recv().unwrap();
            let opened = open();
            scope.spawn(|| run(quick_split()));
            // The split waits for the write, and whoever comes now for the split.
            while open() {
                thread::yield_now();
            }
            scope.spawn(|| {
                mailbox.take(ask);
                let _ = asked.send(());
            });
            let taken = taken.recv_timeout(patience);
            let status = scope.spawn(|| array.status(end(17, 0)));
            scope.spawn(|| {
                // The question may come in between.
                for _ in 0..1000 {
                    drop(array.state_mut());
                    thread::yield_now();
                }
                let _ = changed.send(());
            });
            let changed = changes.recv_timeout(patience);
            let waits = !status.is_finished();
            release.send(()).unwrap();
            assert!(opened, "the write alone keeps nobody waiting");
            assert!(taken.is_ok(), "the network waits for the answer");
            assert!(changed.is_ok() && waits, "the state is kept from others");
        });
    }

    #[tokio::test]
    async fn what_is_no_slot_takes_no_writes() {
        let array = TestArray::new();
        let mailbox = start(&array);
        let medium = MailboxMedium(mailbox);
        let write = medium.write(0, vec![vec![1; 4096].into()], false).await;
        assert_eq!(write, Err(Failure::Unwritable));
        assert_eq!(medium.zero(200, 1).await, Err(Failure::Unwritable));
    }
}
