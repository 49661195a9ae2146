//! The iSCSI portal, beside the orders: its own runtime, so that hosts' I/O and orders do not wait
//! for each other.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
};

use array::{
    Array,
    hosts::{
        portal::Hosts,
        queue::{Queues, THREADS},
    },
};
use scsi::iscsi::{Limits, Portal};
use tokio::{net::TcpListener, sync::oneshot};

/// A portal that serves; stopped, it lets hosts know and ends what they submitted.
pub struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Served {
    /// Serves the ports of an array at an address.
    pub fn start(array: &Arc<Array>, address: SocketAddr) -> io::Result<Self> {
        let queues = Arc::new(Queues::start(Arc::clone(array), THREADS)?);
        let hosts = Arc::new(Hosts::new(array, queues)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("iscsi")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let portal = Arc::new(Portal::new(hosts, Limits::default()));
        let thread = thread::Builder::new().name("portal".into()).spawn(move || {
            let stopped = async {
                let _ = stopped.await;
            };
            if let Err(error) = runtime.block_on(portal.serve(listener, stopped)) {
                log::error!("the iSCSI portal ends until arrayd is started again: {error}");
            }
        })?;
        Ok(Self { address, stop, thread })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}
