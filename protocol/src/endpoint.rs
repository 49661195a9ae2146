//! The server on a tokio socket.
//!
//! A task receives, so that resends are told "working" also while the owner of the endpoint does
//! something else; answers are sent from wherever they are given.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::call::Kind;
use crate::key::KeyRing;
use crate::request_id::RequestId;
use crate::server::{Received, Request, Server, Transmit};
use crate::strangers::Strangers;
use crate::wire::MAX_DATAGRAM;

/// Asked of the system for each direction: bursts of many clients fit. It gives what it allows.
const SOCKET_BUFFER: usize = 4 << 20;
/// Pause after a receive error, so that a broken socket does not take the processor.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// Listens at one address and hands out requests.
#[derive(Debug)]
pub struct Endpoint {
    local: SocketAddr,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Incoming>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    server: Mutex<Server>,
}

impl Endpoint {
    /// Listens at `local`; port 0 takes a free one.
    ///
    /// # Errors
    /// What the operating system says, such as [`io::ErrorKind::AddrInUse`].
    pub async fn bind(local: SocketAddr, keys: KeyRing) -> io::Result<Self> {
        let socket = UdpSocket::bind(local).await?;
        let options = socket2::SockRef::from(&socket);
        // Smaller buffers only lose more datagrams, which are sent again.
        let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = options.set_send_buffer_size(SOCKET_BUFFER);
        let local = socket.local_addr()?;
        // A socket that was never waited for counts as not writable, and try_send would fail.
        socket.writable().await?;
        let shared = Arc::new(Shared { socket, server: Mutex::new(Server::new(keys)) });
        // The server bounds how many requests are under way, and so the length of this channel.
        let (sender, requests) = mpsc::unbounded_channel();
        let task = tokio::spawn(drive(Arc::clone(&shared), sender)).abort_handle();
        Ok(Self { local, shared, requests, task })
    }

    /// The address it listens at.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next request. Safe to cancel.
    pub async fn next(&mut self) -> Incoming {
        match self.requests.recv().await {
            Some(incoming) => incoming,
            // The task ends only with its runtime: nothing comes any more.
            None => std::future::pending().await,
        }
    }

    /// Who knocked with another key.
    #[must_use]
    pub fn strangers(&self) -> Strangers {
        self.shared.lock().strangers()
    }

    /// From now on answers these hosts only (HORCM_ALLOW_INST). Loopback and the host's own
    /// addresses are always allowed.
    pub fn allow_only(&mut self, hosts: Vec<IpAddr>) {
        self.shared.lock().allow_only(hosts);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request that waits for its answer. Dropped unanswered it is forgotten: a resend executes it.
#[derive(Debug)]
pub struct Incoming {
    /// Its name.
    pub id: RequestId,
    /// What it does.
    pub kind: Kind,
    /// Who sent it.
    pub from: SocketAddr,
    /// How many bytes the encoded answer may have. A somewhat longer one still arrives, as IP
    /// fragments; one longer than any datagram fails the call with
    /// [`crate::CallError::TooLarge`].
    pub room: usize,
    /// The request.
    pub body: Vec<u8>,
    reply: Reply,
}

impl Incoming {
    /// Answers it. Never blocks: the datagram is with the system when this returns, so that a
    /// daemon may end right after it.
    pub fn answer(self, body: Vec<u8>) {
        let Self { id, mut reply, .. } = self;
        let Some(shared) = reply.shared.take() else { return };
        let transmit = shared.lock().answer(id, body);
        if let Some(transmit) = transmit {
            shared.send(&transmit);
        }
    }
}

/// The way back. Gone without an answer, the request is forgotten; after an answer it holds
/// nothing any more, for a resent read may be under way again under the same id.
#[derive(Debug)]
struct Reply {
    id: RequestId,
    shared: Option<Arc<Shared>>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.lock().forget(self.id);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be sent is lost, as the network may lose it: the client asks again.
    fn send(&self, transmit: &Transmit) {
        if let Err(error) = self.socket.try_send_to(&transmit.datagram, transmit.to) {
            log::debug!("cannot send to {}: {error}", transmit.to);
        }
    }
}

async fn drive(shared: Arc<Shared>, requests: mpsc::UnboundedSender<Incoming>) {
    let mut buffer = vec![0; MAX_DATAGRAM + 1];
    let mut own = OwnAddresses::default();
    loop {
        let (len, from) = match shared.socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // So Windows reports that some client's port is closed. That is no failure.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
            Err(error) => {
                log::warn!("cannot receive: {error}");
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let refused = !shared.lock().allows(from.ip());
        if refused && !own.has(from.ip()) {
            continue;
        }
        let mut server = shared.lock();
        if refused {
            server.allow(from.ip());
        }
        let received = server.receive(Instant::now(), from, &buffer[..len]);
        drop(server);
        match received {
            Received::Nothing => {}
            Received::Reply(transmit) => shared.send(&transmit),
            Received::Execute(Request { id, kind, from, room, body }) => {
                let reply = Reply { id, shared: Some(Arc::clone(&shared)) };
                let incoming = Incoming { id, kind, from, room, body, reply };
                // The endpoint is being dropped: so is the request.
                let _ = requests.send(incoming);
            }
            Received::Stranger(host, key) => log::warn!(
                "{host} sends datagrams under key {key}, which this instance does not hold; \
                 hosts that work together need the same .uds/horcm.key"
            ),
        }
    }
}

/// Which addresses are this host's own. A socket can be bound to those and no others; the answers
/// are kept for a while, for a flood must not make a socket for each datagram.
#[derive(Debug, Default)]
struct OwnAddresses {
    known: HashMap<IpAddr, bool>,
}

impl OwnAddresses {
    const MAX: usize = 1024;

    fn has(&mut self, host: IpAddr) -> bool {
        let host = host.to_canonical();
        if self.known.len() >= Self::MAX {
            self.known.clear();
        }
        *self.known.entry(host).or_insert_with(|| std::net::UdpSocket::bind((host, 0)).is_ok())
    }
}
