//! End to end: our initiator and a raw one against our portal, over loopback.
//!
//! * [`disk`]: a service that is a vector, and counts who opens and closes it.
//! * [`raw`]: an initiator that sends whatever it is told.
//! * `data`, `rules`, `logins`, `ends`, `room`, `units`: the tests.

mod data;
mod disk;
mod ends;
mod logins;
mod raw;
mod room;
mod rules;
mod units;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use self::disk::{Disk, House};
use super::{
    directory::Authentication,
    initiator::{Initiator, Reply, Session},
    portal::{Limits, Portal},
    runtimes::Runtimes,
};
use crate::task::LunAddress;

const TARGET: &str = "iqn.2026-11.test:cl1-a";
const HOST: &str = "iqn.2026-11.test:host";
const LUN: LunAddress = LunAddress(0);

/// A portal with one target, which serves while this is there.
struct Serving {
    address: SocketAddr,
    disk: Arc<Disk>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    async fn start(limits: Limits, authentication: Authentication) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let disk = Arc::new(Disk::default());
        let house = House { disk: Arc::clone(&disk), authentication };
        let portal = Arc::new(Portal::new(Arc::new(house), limits));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(portal.serve(listener, Runtimes::new([]), stopped));
        Self { address, disk, stop: Some(stop), task }
    }

    async fn open(limits: Limits) -> Self {
        Self::start(limits, Authentication::None).await
    }

    /// Stops, when every session is closed.
    async fn stop(mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        within(self.task).await.unwrap().unwrap();
        self.disk.assert_closed();
    }
}

fn host() -> Initiator {
    Initiator::new(HOST).unwrap()
}

/// What has to happen soon. The time is for a test that fails, not for one that passes.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

fn read10(lba: u32, blocks: u16) -> [u8; 10] {
    let (l, b) = (lba.to_be_bytes(), blocks.to_be_bytes());
    [0x28, 0, l[0], l[1], l[2], l[3], 0, b[0], b[1], 0]
}

fn write10(lba: u32, blocks: u16) -> [u8; 10] {
    let mut cdb = read10(lba, blocks);
    cdb[0] = 0x2a;
    cdb
}

/// Bytes that are different everywhere.
fn pattern(length: usize, seed: u32) -> Vec<u8> {
    (0..length as u32)
        .map(|n| (n.wrapping_add(seed)).wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

async fn read(session: &Session, lba: u32, blocks: u16, expected: u32) -> Reply {
    let cdb = read10(lba, blocks);
    within(session.command(LUN, &cdb, Bytes::new(), expected)).await.unwrap()
}

async fn write(session: &Session, lba: u32, blocks: u16, data: Bytes) -> Reply {
    let cdb = write10(lba, blocks);
    within(session.command(LUN, &cdb, data, 0)).await.unwrap()
}
