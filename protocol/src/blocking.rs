//! The client on a plain socket, for commands: one call at a time, no thread, no runtime.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::call::{CallError, Kind};
use crate::client::Client;
use crate::key::Key;
use crate::request_id::RequestId;
use crate::wire::MAX_DATAGRAM;

/// Calls one server, one request after the other.
#[derive(Debug)]
pub struct BlockingCaller {
    socket: UdpSocket,
    client: Client,
    buffer: Vec<u8>,
}

impl BlockingCaller {
    /// Makes a socket towards `remote`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub fn connect(remote: SocketAddr, key: Key) -> io::Result<Self> {
        let socket = UdpSocket::bind(any_port_towards(remote))?;
        // Connected, so that the host tells when nobody listens, and others' datagrams stay out.
        socket.connect(remote)?;
        Ok(Self { socket, client: Client::new(remote, key), buffer: vec![0; MAX_DATAGRAM + 1] })
    }

    /// Sends a request and waits for its answer, as [`crate::Caller::call`] does.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(
        &mut self,
        id: RequestId,
        kind: Kind,
        body: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, CallError> {
        self.run_as(id, kind, body, patience, None)
    }

    /// The same, and ends at `deadline` at the latest, whatever the server says.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Late`] at the deadline.
    pub fn call_until(
        &mut self,
        id: RequestId,
        kind: Kind,
        body: &[u8],
        patience: Duration,
        deadline: Instant,
    ) -> Result<Vec<u8>, CallError> {
        self.run_as(id, kind, body, patience, Some(deadline))
    }

    fn run_as(
        &mut self,
        id: RequestId,
        kind: Kind,
        body: &[u8],
        patience: Duration,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, CallError> {
        self.client.start(Instant::now(), id, kind, body.to_vec(), patience)?;
        let result = self.run(id, deadline);
        // After a failed socket the call may still be under way.
        self.client.abandon(id);
        result
    }

    fn run(&mut self, id: RequestId, deadline: Option<Instant>) -> Result<Vec<u8>, CallError> {
        loop {
            while let Some(datagram) = self.client.poll_transmit() {
                if let Err(error) = self.socket.send(&datagram) {
                    self.client.socket_failed(&error);
                }
            }
            while let Some((done, result)) = self.client.poll_done() {
                if done == id {
                    return result;
                }
            }
            // A call under way always has a deadline.
            let until = self.client.next_timeout().ok_or(CallError::Silent)?;
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(CallError::Late);
            }
            let until = deadline.map_or(until, |deadline| until.min(deadline));
            let wait = until.saturating_duration_since(now);
            if wait.is_zero() {
                self.client.timeout(Instant::now());
                continue;
            }
            self.socket.set_read_timeout(Some(wait))?;
            match self.socket.recv(&mut self.buffer) {
                Ok(len) => self.client.receive(Instant::now(), &self.buffer[..len]),
                Err(error) if is_timeout(&error) => self.client.timeout(Instant::now()),
                Err(error) => self.client.socket_failed(&error),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// The address to bind for talking to `remote`: any of the host's, of the same family.
pub(crate) fn any_port_towards(remote: SocketAddr) -> SocketAddr {
    if remote.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}
