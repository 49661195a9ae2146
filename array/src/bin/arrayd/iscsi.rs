//! The iSCSI portal, beside the orders: its own runtime, so that hosts' I/O and orders do not wait
//! for each other.

use std::{
    io,
    net::SocketAddr,
    num::NonZero,
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
use scsi::iscsi::{Limits, Portal, Runtimes};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

/// The most threads that serve connections: each takes requests in, carries out what needs no
/// waiting, and sends answers.
const NET_THREADS: usize = 4;

/// A thread that serves connections until it is dropped.
struct NetThread {
    handle: Handle,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

/// A runtime of one thread, so that what is ready wakes that thread and no other.
fn single() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl NetThread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = single()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("iscsi-{number}")).spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { handle, _end: end })
    }
}

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
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(NET_THREADS);
        let runtime = single()?;
        let others = (1..threads).map(NetThread::start).collect::<io::Result<Vec<_>>>()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let portal = Arc::new(Portal::new(hosts, Limits::default()));
        let thread = thread::Builder::new().name("portal".into()).spawn(move || {
            let stopped = async {
                let _ = stopped.await;
            };
            let own = std::iter::once(runtime.handle());
            let shared = own.chain(others.iter().map(|other| &other.handle)).cloned();
            let served = portal.serve(listener, Runtimes::new(shared), stopped);
            if let Err(error) = runtime.block_on(served) {
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
