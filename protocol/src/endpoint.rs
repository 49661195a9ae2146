//! The server on a tokio socket.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::call::Kind;
use crate::key::{KeyId, KeyRing};
use crate::request_id::RequestId;

/// Listens at one address and hands out requests.
#[derive(Debug)]
pub struct Endpoint {
    local: SocketAddr,
}

impl Endpoint {
    /// Listens at `local`; port 0 takes a free one.
    ///
    /// # Errors
    /// What the operating system says, such as [`io::ErrorKind::AddrInUse`].
    pub async fn bind(local: SocketAddr, _keys: KeyRing) -> io::Result<Self> {
        Ok(Self { local })
    }

    /// The address it listens at.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next request. Safe to cancel.
    pub async fn next(&mut self) -> Incoming {
        std::future::pending().await
    }

    /// Who knocked with another key.
    #[must_use]
    pub fn strangers(&self) -> Strangers {
        Strangers {}
    }

    /// From now on answers these hosts only (HORCM_ALLOW_INST). Loopback and the host's own
    /// addresses are always allowed.
    pub fn allow_only(&mut self, _hosts: Vec<IpAddr>) {}
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
    /// How many bytes the encoded answer may have.
    pub room: usize,
    /// The request.
    pub body: Vec<u8>,
}

impl Incoming {
    /// Answers it. Never blocks.
    pub fn answer(self, _body: Vec<u8>) {}
}

/// Hosts that sent datagrams under a key this server does not hold.
#[derive(Debug, Clone)]
pub struct Strangers {}

impl Strangers {
    /// The foreign key last seen from that host.
    #[must_use]
    pub fn seen(&self, _host: IpAddr) -> Option<KeyId> {
        None
    }
}
