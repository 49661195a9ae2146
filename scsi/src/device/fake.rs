//! A storage system in memory, for tests: what hosts see of it can be changed at any time, and its
//! I/O can be held up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Arrival, LogicalUnits, Session, Target};
use crate::{
    medium::{Access, Failure, Identity, Inventory, Medium, Pending},
    nexus::{InitiatorPort, Nexus, TargetPort},
    sense::Sense,
    service::Service,
    task::{Command, Completion, LunAddress, Status, TaskAttribute},
};

/// Bytes of a mapped page, as the fake counts them.
const PAGE: usize = 8 * 512;

/// What a disk is made of.
pub(super) struct Parts {
    pub identity: Identity,
    pub access: Access,
    pub bytes: Vec<u8>,
    /// Pages that take space.
    pub mapped: Vec<bool>,
    pub kept: Vec<u8>,
    /// Answered by every read and write, and by what keeps reservations.
    pub failure: Option<Failure>,
    pub flushes: u32,
    /// Writes that were carried out, and those of them that were to be durable.
    pub writes: u32,
    pub durable_writes: u32,
    /// The most blocks that were read at once.
    pub most_read: u32,
    /// While some, writes wait here, and what keeps reservations.
    held: Option<Vec<oneshot::Sender<()>>>,
}

/// A disk.
pub(super) struct Disk(Arc<Mutex<Parts>>);

impl Disk {
    pub fn new(ldev: u32, blocks: usize) -> Arc<Self> {
        let (product, revision) = ("OPEN-V".to_owned(), "2114".to_owned());
        let access =
            Access { hidden: false, sizeless: false, unreadable: false, unwritable: false };
        Arc::new(Self(Arc::new(Mutex::new(Parts {
            identity: Identity { serial: 62_496, ldev, product, revision, thin: true },
            access,
            bytes: vec![0; blocks * 512],
            mapped: vec![false; (blocks * 512).div_ceil(PAGE)],
            kept: Vec::new(),
            failure: None,
            flushes: 0,
            writes: 0,
            durable_writes: 0,
            most_read: 0,
            held: None,
        }))))
    }

    pub fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap()
    }

    /// Holds writes up from now on.
    pub fn hold(&self) {
        self.parts().held = Some(Vec::new());
    }

    /// Holds no more up from now on; the held ones go on when what is given back is dropped.
    pub fn hold_no_more(&self) -> Vec<oneshot::Sender<()>> {
        self.parts().held.take().unwrap_or_default()
    }

    /// Lets the held ones go on.
    pub fn release(&self) {
        drop(self.hold_no_more());
    }

    /// How many are held.
    pub fn holds(&self) -> usize {
        self.parts().held.as_ref().map_or(0, Vec::len)
    }

    fn held(&self) -> Option<oneshot::Receiver<()>> {
        self.parts().held.as_mut().map(|held| {
            let (sender, receiver) = oneshot::channel();
            held.push(sender);
            receiver
        })
    }
}

impl Medium for Disk {
    fn identity(&self) -> Identity {
        self.parts().identity.clone()
    }

    fn blocks(&self) -> u64 {
        self.parts().bytes.len() as u64 / 512
    }

    fn access(&self) -> Access {
        self.parts().access
    }

    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>> {
        let mut parts = self.parts();
        parts.most_read = parts.most_read.max(blocks);
        let at = usize::try_from(lba).unwrap() * 512;
        let bytes = &parts.bytes[at..at + blocks as usize * 512];
        // In pieces that do not end with blocks.
        let pieces = bytes.chunks(700).map(Bytes::copy_from_slice).collect();
        let answer = parts.failure.map_or(Ok(pieces), Err);
        Box::pin(async move { answer })
    }

    fn write(&self, lba: u64, data: Vec<Bytes>, durable: bool) -> Pending<()> {
        let (parts, held) = (Arc::clone(&self.0), self.held());
        let carry_out = move || {
            let mut parts = parts.lock().unwrap();
            if let Some(failure) = parts.failure {
                return Err(failure);
            }
            let (at, data) = (usize::try_from(lba).unwrap() * 512, data.concat());
            assert!(data.len() % 512 == 0 && !data.is_empty());
            parts.bytes[at..at + data.len()].copy_from_slice(&data);
            parts.mapped[at / PAGE..(at + data.len()).div_ceil(PAGE)].fill(true);
            parts.writes += 1;
            parts.durable_writes += u32::from(durable);
            Ok(())
        };
        match held {
            None => {
                let answer = carry_out();
                Box::pin(async move { answer })
            }
            Some(held) => Box::pin(async move {
                let _ = held.await;
                carry_out()
            }),
        }
    }

    fn zero(&self, lba: u64, blocks: u64) -> Pending<()> {
        let mut parts = self.parts();
        let (from, to) = (lba as usize * 512, (lba + blocks) as usize * 512);
        parts.bytes[from..to].fill(0);
        let (first, last) = (from.div_ceil(PAGE), to / PAGE);
        if first < last {
            parts.mapped[first..last].fill(false);
        }
        Box::pin(async { Ok(()) })
    }

    fn flush(&self) -> Pending<()> {
        self.parts().flushes += 1;
        Box::pin(async { Ok(()) })
    }

    fn mapped(&self, lba: u64) -> Pending<(bool, u64)> {
        let parts = self.parts();
        let page = lba as usize * 512 / PAGE;
        let first = parts.mapped[page];
        let same = parts.mapped[page..].iter().take_while(|mapped| **mapped == first).count();
        let blocks = ((page + same) * PAGE).min(parts.bytes.len()) as u64 / 512 - lba;
        Box::pin(async move { Ok((first, blocks)) })
    }

    fn kept(&self) -> Vec<u8> {
        self.parts().kept.clone()
    }

    fn keep(&self, reservations: Vec<u8>) -> Pending<()> {
        let (parts, held) = (Arc::clone(&self.0), self.held());
        Box::pin(async move {
            if let Some(held) = held {
                let _ = held.await;
            }
            let mut parts = parts.lock().unwrap();
            match parts.failure {
                Some(failure) => return Err(failure),
                None => parts.kept = reservations,
            }
            Ok(())
        })
    }
}

/// What is behind all ports; every initiator sees the same, but `nobody`, and `only-1` and the like,
/// who see one LUN.
#[derive(Default)]
pub(super) struct Shelf {
    epoch: AtomicU64,
    disks: Mutex<BTreeMap<u16, Arc<Disk>>>,
}

impl Shelf {
    /// Something may have changed.
    pub fn changed(&self) {
        self.epoch.fetch_add(1, SeqCst);
    }

    pub fn put(&self, lun: u16, disk: &Arc<Disk>) {
        self.disks.lock().unwrap().insert(lun, Arc::clone(disk));
        self.changed();
    }

    pub fn remove(&self, lun: u16) {
        self.disks.lock().unwrap().remove(&lun);
        self.changed();
    }
}

impl Inventory for Shelf {
    fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    fn units(&self, initiator: &str) -> Vec<(u16, u32)> {
        let disks = self.disks.lock().unwrap();
        let all = disks.iter().map(|(lun, disk)| (*lun, disk.identity().ldev));
        let only = initiator.strip_prefix("only-").map(|lun| lun.parse().unwrap());
        let seen = |lun| initiator != "nobody" && only.is_none_or(|only: u16| only == lun);
        all.filter(|(lun, _)| seen(*lun)).collect()
    }

    fn medium(&self, ldev: u32) -> Option<Arc<dyn Medium>> {
        let disks = self.disks.lock().unwrap();
        let disk = disks.values().find(|disk| disk.identity().ldev == ldev)?;
        Some(Arc::clone(disk) as Arc<dyn Medium>)
    }
}

pub(super) fn port(relative: u16) -> TargetPort {
    let name = format!("iqn.2026-01.example:cl{relative}-a");
    TargetPort { name, portal_group: 1, relative }
}

/// A storage system of two ports.
pub(super) struct System {
    pub shelf: Arc<Shelf>,
    targets: [Target; 2],
}

impl System {
    /// With one disk of so many blocks at LUN 0, LDEV 16.
    pub fn new(blocks: usize) -> (Self, Arc<Disk>) {
        let (shelf, disk) = (Arc::new(Shelf::default()), Disk::new(16, blocks));
        shelf.put(0, &disk);
        (Self::over(&shelf), disk)
    }

    /// As it comes up over the same disks.
    pub fn over(shelf: &Arc<Shelf>) -> Self {
        let units = LogicalUnits::new();
        let targets = [1, 2].map(|relative| {
            let (shelf, label) = (Arc::clone(shelf), format!("CL{relative}-A"));
            let all = vec![port(1), port(2)];
            Target::new(shelf, Arc::clone(&units), port(relative), &label, all)
        });
        Self { shelf: Arc::clone(shelf), targets }
    }

    /// The target of a port, 1 or 2.
    pub fn target(&self, relative: u16) -> Target {
        self.targets[usize::from(relative) - 1].clone()
    }

    /// A host that logs in at a port, 1 or 2.
    pub fn host(&self, name: &str, relative: u16) -> Host {
        let target = self.target(relative);
        let initiator = InitiatorPort { name: name.to_owned(), isid: 0x23d_0001 };
        let session = target.open(Nexus { initiator, target: port(relative) });
        Host { target, session }
    }

    /// The same, when it has learned that power came on.
    pub fn ready(&self, name: &str, relative: u16) -> Host {
        let host = self.host(name, relative);
        assert_eq!(host.test(0), Some(Sense::POWER_ON));
        host
    }
}

/// A host with a session.
pub(super) struct Host {
    pub target: Target,
    pub session: Arc<Session>,
}

/// Polls a future that nothing outside holds up.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    poll(&mut Box::pin(future)).expect("it waits")
}

/// Polls a future once or a few times; `None` while it waits.
pub(super) fn poll<T>(
    future: &mut std::pin::Pin<Box<impl Future<Output = T> + ?Sized>>,
) -> Option<T> {
    for _ in 0..100 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(value);
        }
    }
    None
}

pub(super) fn command(lun: u16, cdb: &[u8], data: &[u8]) -> Command {
    let mut padded = cdb.to_vec();
    padded.resize(padded.len().max(16), 0);
    // In pieces that do not end with blocks.
    let data_out = data.chunks(300).map(Bytes::copy_from_slice).collect();
    let (lun, attribute) = (LunAddress::from_number(lun).unwrap(), TaskAttribute::Simple);
    let (offered, room) = (data.len(), usize::MAX);
    Command { lun, cdb: padded.into(), attribute, data_out, offered, room }
}

impl Host {
    /// Begins a command.
    pub fn begin(
        &self,
        lun: u16,
        cdb: &[u8],
        data: &[u8],
    ) -> std::pin::Pin<Box<dyn Future<Output = Completion> + Send>> {
        self.carry_out(command(lun, cdb, data))
    }

    /// Begins a command that comes now.
    pub fn carry_out(
        &self,
        command: Command,
    ) -> std::pin::Pin<Box<dyn Future<Output = Completion> + Send>> {
        self.carry_out_as(&self.arrive(), command)
    }

    pub fn arrive(&self) -> Arrival {
        self.target.arrive(&self.session)
    }

    /// Begins a command that came earlier.
    pub fn carry_out_as(
        &self,
        arrival: &Arrival,
        command: Command,
    ) -> std::pin::Pin<Box<dyn Future<Output = Completion> + Send>> {
        Box::pin(self.target.execute(&self.session, arrival, command))
    }

    pub fn send(&self, lun: u16, cdb: &[u8], data: &[u8]) -> Completion {
        now(self.begin(lun, cdb, data))
    }

    /// What LUN 0 answers, which is GOOD.
    pub fn data(&self, cdb: &[u8], data: &[u8]) -> Vec<u8> {
        let completion = self.send(0, cdb, data);
        assert_eq!(completion.status, Status::Good, "{cdb:x?}: {:?}", completion.sense);
        completion.data_in.concat()
    }

    /// Why LUN 0 refuses.
    pub fn refusal(&self, cdb: &[u8], data: &[u8]) -> Sense {
        let completion = self.send(0, cdb, data);
        assert_eq!(completion.status, Status::CheckCondition, "{cdb:x?}");
        completion.sense.unwrap()
    }

    pub fn status(&self, cdb: &[u8], data: &[u8]) -> Status {
        self.send(0, cdb, data).status
    }

    /// TEST UNIT READY: what a nexus is to learn.
    pub fn test(&self, lun: u16) -> Option<Sense> {
        self.send(lun, &[0; 6], &[]).sense
    }

    pub fn write(&self, lba: u8, data: &[u8]) -> Completion {
        let blocks = u8::try_from(data.len() / 512).unwrap();
        self.send(0, &[0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0], data)
    }

    pub fn read(&self, lba: u8, blocks: u8) -> Vec<u8> {
        self.data(&[0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0], &[])
    }
}
