//! A disk that does not answer, beside LDEVs on one that does: in the queues, and in one session.

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use bytes::Bytes;
use model::LdevId;
use scsi::{
    iscsi::{Initiator, Limits, Portal, Runtimes, Session},
    task::LunAddress,
};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use super::{
    portal::Hosts,
    queue::{Io, Queues},
};
use crate::{
    array::Array,
    store::disk::{Disk, Media, Memory},
    testing::TestArray,
};

/// LDEV 1 is in a pool of its own.
const TOML: &str = "
serial = 62496
[[pool]]
id = 0
[[pool.file]]
path = \"p\"
size = \"66 MiB\"
[[pool]]
id = 1
[[pool.file]]
path = \"q\"
size = \"66 MiB\"
[[port]]
name = \"CL1-A\"
[[port.host_group]]
number = 0
initiators = [\"*\"]
[[ldev]]
ldev = 1
pool = 0
emulation = \"OPEN-V\"
size = \"1 MiB\"
[[ldev]]
ldev = \"2-32\"
pool = 1
emulation = \"OPEN-V\"
size = \"1 MiB\"
[[lun]]
port = \"CL1-A\"
target = 0
lun = 0
ldev = \"1-32\"
";
const TARGET: &str = "iqn.2026-11.internal.raidmanager:62496.cl1-a";
/// More than the queues' threads, and than they begin at a time of one LDEV.
const STUCK: usize = 20;
const THREADS: usize = 4;

/// Whether the disk answers, and whoever waits for that.
#[derive(Debug, Default)]
struct Latch(Mutex<bool>, Condvar);

impl Latch {
    fn set(&self, held: bool) {
        *self.0.lock().unwrap() = held;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |held| *held).unwrap());
    }
}

/// Media in memory, of which the disk `p` answers when the test says so.
#[derive(Clone)]
struct Held(Memory, Arc<Latch>);

impl Held {
    fn wrap(&self, path: &Path, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        let latch = path.ends_with("p").then(|| Arc::clone(&self.1));
        Arc::new(HeldDisk(disk, latch.unwrap_or_default()))
    }
}

impl Media for Held {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        Ok(self.wrap(path, self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        Ok(self.wrap(path, self.0.open(path)?))
    }
}

#[derive(Debug)]
struct HeldDisk(Arc<dyn Disk>, Arc<Latch>);

impl Disk for HeldDisk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.1.pass();
        self.0.read(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.pass();
        self.0.write(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.1.pass();
        self.0.flush()
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        self.0.reserve(offset, length)
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.0.discard(offset, length)
    }
}

/// An array whose LDEV 1 holds bytes, and what holds its disk up.
fn made() -> (Arc<Array>, Arc<Latch>) {
    let held = Held(Memory::default(), Arc::default());
    let inventory = crate::config::parse(TOML).unwrap();
    Array::create_on(&held, "a".as_ref(), &inventory).unwrap();
    let latch = Arc::clone(&held.1);
    let array = Arc::new(TestArray::opened(Arc::new(held)));
    array.write(ldev(1), 0, &[1; 65_536]).unwrap();
    (array, latch)
}

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

/// What has to happen soon. The time is for a test that fails, not for one that passes.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("it waits for the disk that is stuck")
}

#[tokio::test]
async fn threads_that_are_stuck_are_replaced() {
    let (array, latch) = made();
    let queues = Queues::start(Arc::clone(&array), THREADS).unwrap();
    latch.set(true);
    let stuck: Vec<_> = (0..STUCK)
        .map(|n| {
            let write = Io::Write { offset: 0, pieces: vec![vec![2; 4096].into()], durable: false };
            let io = if n % 2 == 0 { Io::Read { offset: 0, length: 4096 } } else { write };
            queues.submit(ldev(1), io).unwrap()
        })
        .collect();
    for n in 2..=32 {
        let pieces = vec![vec![n as u8; 4096].into()];
        let write = Io::Write { offset: 0, pieces, durable: false };
        within(queues.submit(ldev(n), write).unwrap()).await.unwrap();
        let read = Io::Read { offset: 0, length: 4096 };
        let read = within(queues.submit(ldev(n), read).unwrap()).await.unwrap();
        assert_eq!(read.concat(), [n as u8; 4096]);
    }
    latch.set(false);
    for pending in stuck {
        within(pending).await.unwrap();
    }
}

/// Reads or writes 4 KiB from a block on.
async fn command(session: &Session, lun: u16, lba: u8, write: bool, byte: u8) -> Vec<u8> {
    let cdb = [if write { 0x2a } else { 0x28 }, 0, 0, 0, 0, lba, 0, 0, 8, 0];
    let data = if write { Bytes::from(vec![byte; 4096]) } else { Bytes::new() };
    let expected = if write { 0 } else { 4096 };
    let lun = LunAddress::from_number(lun).unwrap();
    let reply = session.command(lun, &cdb, data, expected).await.unwrap();
    assert_eq!(reply.status, 0, "LUN {lun:?}");
    reply.data.to_vec()
}

#[tokio::test]
async fn a_lun_whose_disk_is_stuck_does_not_block_the_others_of_its_session() {
    let (array, latch) = made();
    let queues = Arc::new(Queues::start(Arc::clone(&array), THREADS).unwrap());
    let hosts = Arc::new(Hosts::new(&array, queues).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let portal = Arc::new(Portal::new(hosts, Limits::default()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let served = tokio::spawn(portal.serve(listener, Runtimes::new([]), stopped));
    let host = Initiator::new("iqn.2026-11.test:host").unwrap();
    let session = within(host.login(address, TARGET)).await.unwrap();
    for lun in (0..32).filter_map(LunAddress::from_number) {
        // It learns that power came on.
        within(session.command(lun, &[0; 6], Bytes::new(), 0)).await.unwrap();
    }
    latch.set(true);
    let mut stuck = JoinSet::new();
    for n in 0..STUCK as u8 {
        let session = session.clone();
        // Of blocks of its own, or one would wait for the other.
        stuck.spawn(async move { command(&session, 0, 8 * n, n % 2 == 1, 1).await });
    }
    for lun in 1..32 {
        within(command(&session, lun, 0, true, lun as u8)).await;
        assert_eq!(within(command(&session, lun, 0, false, 0)).await, [lun as u8; 4096]);
    }
    latch.set(false);
    within(stuck.join_all()).await;
    let _ = stop.send(());
    within(served).await.unwrap().unwrap();
}
