//! The scripted array's command device as a disk: an iSCSI portal with one target and one LUN, whose
//! blocks are a mailbox.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use protocol::mailbox::{
    device::Device,
    layout::{Plate, slots},
};
use scsi::{
    device::{LogicalUnits, Target},
    iscsi::{
        Admission, Authentication, Directory, Limits, Portal, Refusal, Runtimes, Scope,
        Target as Offer,
    },
    medium::{Access, BLOCK, Failure, Identity, Inventory, Medium, Pending},
    nexus::TargetPort,
};
use tokio::{net::TcpListener, sync::Notify};

use super::array::State;

/// LDEV number and bytes of the command device.
const LDEV: u32 = 16;
const BYTES: u64 = 36 << 20;
const TARGET: &str = "iqn.2026-11.test:array";

/// A portal that serves until it is dropped, or the array dies.
pub struct DiskPortal {
    listener: TcpListener,
    disk: Arc<Disk>,
}

impl DiskPortal {
    pub async fn bind(at: SocketAddr, state: Arc<Mutex<State>>) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let serial = state.lock().unwrap().serial.get();
        let device = Device::new(Plate { slots: slots(BYTES), serial, ldev: LDEV });
        let disk = Arc::new(Disk { device: device.into(), state, dead: Notify::new() });
        Ok(Self { listener, disk })
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub async fn serve(self) {
        let port = TargetPort { name: TARGET.to_owned(), portal_group: 1, relative: 1 };
        let inventory = Arc::new(One(Arc::clone(&self.disk)));
        let all = vec![port.clone()];
        let target = Target::new(inventory, LogicalUnits::new(), port.clone(), "CL2-C", all);
        let house = House { target: Arc::new(target), port };
        let portal = Arc::new(Portal::new(Arc::new(house), Limits::default()));
        tokio::select! {
            served = portal.serve(self.listener, Runtimes::new([]), std::future::pending()) => served.unwrap(),
            () = self.disk.dead.notified() => {}
        }
    }
}

struct House {
    target: Arc<Target>,
    port: TargetPort,
}

impl Directory for House {
    type Service = Target;

    fn targets(&self, _: &str) -> Vec<Offer> {
        vec![Offer { name: TARGET.to_owned(), portal_group: 1 }]
    }

    fn admit(&self, _: &str, _: &str) -> Result<Admission<Target>, Refusal> {
        Ok(Admission { service: Arc::clone(&self.target), port: self.port.clone() })
    }

    fn authentication(&self, _: Scope<'_>, _: &str) -> Authentication {
        Authentication::None
    }
}

/// The command device as LUN 0.
struct One(Arc<Disk>);

impl Inventory for One {
    fn epoch(&self) -> u64 {
        0
    }

    fn units(&self, _: &str) -> Vec<(u16, u32)> {
        vec![(0, LDEV)]
    }

    fn medium(&self, _: u32) -> Option<Arc<dyn Medium>> {
        Some(Arc::new(Blocks(Arc::clone(&self.0))))
    }
}

struct Disk {
    device: Mutex<Device>,
    state: Arc<Mutex<State>>,
    /// The array died in an order.
    dead: Notify,
}

struct Blocks(Arc<Disk>);

impl Medium for Blocks {
    fn identity(&self) -> Identity {
        let serial = self.0.state.lock().unwrap().serial.get();
        let (product, revision) = ("OPEN-3-CM".to_owned(), "2114".to_owned());
        Identity { serial, ldev: LDEV, product, revision, thin: false }
    }

    fn blocks(&self) -> u64 {
        BYTES / u64::from(BLOCK)
    }

    fn access(&self) -> Access {
        Access { hidden: false, sizeless: false, unreadable: false, unwritable: false }
    }

    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>> {
        let mut bytes = vec![0; (blocks * BLOCK) as usize];
        self.0.device.lock().unwrap().read(lba * u64::from(BLOCK), &mut bytes);
        Box::pin(async move { Ok(vec![bytes.into()]) })
    }

    fn write(&self, lba: u64, data: Vec<Bytes>, _: bool) -> Pending<()> {
        let disk = Arc::clone(&self.0);
        Box::pin(async move {
            let mut device = disk.device.lock().unwrap();
            let written = device.write(Instant::now(), lba * u64::from(BLOCK), &data.concat());
            for order in written.map_err(|_| Failure::Unwritable)? {
                let answer = disk.state.lock().unwrap().answer(order.id, &order.body, order.room);
                match answer {
                    Some(answer) => device.answer(order.slot, order.id, answer),
                    None => {
                        disk.dead.notify_one();
                        return Err(Failure::Gone);
                    }
                }
            }
            Ok(())
        })
    }

    fn zero(&self, _: u64, _: u64) -> Pending<()> {
        Box::pin(async { Err(Failure::Unwritable) })
    }

    fn flush(&self) -> Pending<()> {
        Box::pin(async { Ok(()) })
    }

    fn mapped(&self, lba: u64) -> Pending<(bool, u64)> {
        let rest = self.blocks() - lba;
        Box::pin(async move { Ok((true, rest)) })
    }

    fn kept(&self) -> Vec<u8> {
        Vec::new()
    }

    fn keep(&self, _: Vec<u8>) -> Pending<()> {
        Box::pin(async { Err(Failure::Broken) })
    }
}
