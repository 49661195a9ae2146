//! The client on a tokio socket: many calls at once to one server.
//!
//! A task receives and keeps the time; calls send by themselves and wait for their result.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use crate::blocking::any_port_towards;
pub use crate::call::{CallError, Kind};
use crate::client::Client;
use crate::key::Key;
use crate::request_id::RequestId;
use crate::wire::MAX_DATAGRAM;

/// Calls one server; clones share the socket and the session.
///
/// It lives in the runtime that [`Caller::connect`] ran in; the last clone to go closes it.
#[derive(Debug, Clone)]
pub struct Caller {
    task: Arc<Task>,
}

#[derive(Debug)]
struct Task {
    shared: Arc<Shared>,
    abort: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

#[derive(Debug)]
struct Shared {
    remote: SocketAddr,
    socket: UdpSocket,
    state: Mutex<State>,
    /// Told when a call begins, for the task's next timeout may then be sooner.
    begun: Notify,
}

#[derive(Debug)]
struct State {
    client: Client,
    waiting: HashMap<RequestId, Waiting>,
    /// How many calls there were; numbers them.
    calls: u64,
}

#[derive(Debug)]
struct Waiting {
    call: u64,
    result: oneshot::Sender<Result<Vec<u8>, CallError>>,
}

impl Caller {
    /// Makes a socket towards `remote`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub async fn connect(remote: SocketAddr, key: Key) -> io::Result<Self> {
        let socket = UdpSocket::bind(any_port_towards(remote)).await?;
        socket.connect(remote).await?;
        // A socket that was never waited for counts as not writable, and try_send would fail.
        socket.writable().await?;
        let client = Client::new(remote, key);
        let shared = Arc::new(Shared {
            remote,
            socket,
            state: Mutex::new(State { client, waiting: HashMap::new(), calls: 0 }),
            begun: Notify::new(),
        });
        let abort = tokio::spawn(drive(Arc::clone(&shared))).abort_handle();
        Ok(Self { task: Arc::new(Task { shared, abort }) })
    }

    /// Sends a request and waits for its answer. `patience` is how long the server may be silent;
    /// while it says that it works on the request, the wait goes on. Dropping the future gives
    /// the call up.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(
        &self,
        id: RequestId,
        kind: Kind,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let shared = &self.task.shared;
        let (sender, result) = oneshot::channel();
        let call = {
            let mut state = shared.lock();
            state.client.start(Instant::now(), id, kind, body, patience)?;
            state.calls += 1;
            let call = state.calls;
            state.waiting.insert(id, Waiting { call, result: sender });
            shared.flush(&mut state);
            call
        };
        let _guard = GivesUp { shared, id, call };
        shared.begun.notify_one();
        // The sender goes without a word only when the runtime ends.
        result.await.unwrap_or(Err(CallError::Silent))
    }

    /// The server's address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.task.shared.remote
    }
}

/// Ends the call when its future goes.
struct GivesUp<'a> {
    shared: &'a Shared,
    id: RequestId,
    call: u64,
}

impl Drop for GivesUp<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // Otherwise its result came, and the id may already belong to the next call.
        if state.waiting.get(&self.id).is_some_and(|waiting| waiting.call == self.call) {
            state.waiting.remove(&self.id);
            state.client.abandon(self.id);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is to be sent and hands out what ended.
    fn flush(&self, state: &mut State) {
        while let Some(datagram) = state.client.poll_transmit() {
            match self.socket.try_send(&datagram) {
                // A full socket buffer loses it, as the network may: it is sent again.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => state.client.socket_failed(&error),
            }
        }
        while let Some((id, result)) = state.client.poll_done() {
            if let Some(waiting) = state.waiting.remove(&id) {
                // Nobody waits any more: then nobody misses the result.
                let _ = waiting.result.send(result);
            }
        }
    }
}

async fn drive(shared: Arc<Shared>) {
    let mut buffer = vec![0; MAX_DATAGRAM + 1];
    loop {
        let timeout = shared.lock().client.next_timeout();
        let sleep = async {
            match timeout {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            received = shared.socket.recv(&mut buffer) => {
                let mut state = shared.lock();
                match received {
                    Ok(len) => state.client.receive(Instant::now(), &buffer[..len]),
                    Err(error) => state.client.socket_failed(&error),
                }
                shared.flush(&mut state);
            }
            () = sleep => {
                let mut state = shared.lock();
                state.client.timeout(Instant::now());
                shared.flush(&mut state);
            }
            () = shared.begun.notified() => {}
        }
    }
}
