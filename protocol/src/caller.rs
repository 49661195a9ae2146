//! The client on a tokio socket: many calls at once to one server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use crate::call::{CallError, Kind};
use crate::key::Key;
use crate::request_id::RequestId;

/// Calls one server; clones share the socket and the session.
#[derive(Debug, Clone)]
pub struct Caller {
    remote: SocketAddr,
}

impl Caller {
    /// Makes a socket towards `remote`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub async fn connect(remote: SocketAddr, _key: Key) -> io::Result<Self> {
        Ok(Self { remote })
    }

    /// Sends a request and waits for its answer. `patience` is how long the server may be silent;
    /// while it says that it works on the request, the wait goes on.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(
        &self,
        _id: RequestId,
        _kind: Kind,
        _body: Vec<u8>,
        _patience: Duration,
    ) -> Result<Vec<u8>, CallError> {
        Err(CallError::Silent)
    }

    /// The server's address.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }
}
