//! A portal: sockets on one side, a [`Directory`] on the other.
//!
//! Connections that have not logged in are few at a time, and few from one address; more wait in
//! the operating system's backlog or are closed. So those who never log in keep others waiting for
//! a login's time at most, and only where they come from many addresses.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    connection::Connection,
    directory::Directory,
    keys::{DEFAULT_SEGMENT, Parameters},
    login::{Established, Login, Status, Step},
    pdu::{LoginRequest, LoginResponse, stamp},
    room::Shared,
    runtimes::Runtimes,
    sessions::{End, Entered, Sessions, Ticket},
    wire::{Decoder, Outbox, Pdu, WireError},
};

/// What a portal allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a login may take.
    pub login: Duration,
    /// Connections that have not logged in.
    pub logins: usize,
    /// Of those, from one address; more are closed at once.
    pub logins_per_address: usize,
    /// Sessions.
    pub sessions: usize,
    /// Sessions of one initiator.
    pub sessions_per_initiator: usize,
    /// Discovery sessions, which anybody may have; they count as logins too, and not as sessions.
    pub discoveries: usize,
    /// Of those, from one address.
    pub discoveries_per_address: usize,
    /// How long a discovery session may last.
    pub discovery: Duration,
    /// Commands of a session that are not answered yet.
    pub queue_depth: u32,
    /// Data of a session that waits for anything, in bytes; one command may always go on.
    pub buffered: usize,
    /// Of that, what a session has whatever others have; once for commands that may go on, and
    /// once for data that comes unasked.
    pub buffered_always: usize,
    /// What all sessions share of the rest; at least twice what one command moves.
    pub buffered_by_all: usize,
    /// How long data that an initiator has announced, or was asked for, may fail to come.
    pub data_within: Duration,
    /// After how long a silence an initiator is asked whether it lives.
    pub idle: Duration,
    /// How long it may take to answer that.
    pub answer_within: Duration,
    /// How long the end of a session waits for its commands.
    pub drain: Duration,
    /// What is wished for in negotiations.
    pub wishes: Parameters,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login: Duration::from_secs(15),
            logins: 256,
            logins_per_address: 64,
            sessions: 1024,
            sessions_per_initiator: 64,
            discoveries: 64,
            discoveries_per_address: 8,
            discovery: Duration::from_secs(60),
            queue_depth: 128,
            buffered: 32 << 20,
            buffered_always: 256 << 10,
            buffered_by_all: 512 << 20,
            data_within: Duration::from_secs(60),
            idle: Duration::from_secs(15),
            answer_within: Duration::from_secs(15),
            drain: Duration::from_secs(30),
            wishes: Parameters::wishes(),
        }
    }
}

/// A portal.
pub struct Portal<D> {
    directory: Arc<D>,
    limits: Limits,
    sessions: Sessions,
    room: Shared,
    logins: Arc<Semaphore>,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    stopping: watch::Sender<bool>,
}

/// The right to try to log in; given back when dropped.
struct Turn {
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// Both halves of a connection, with its framing.
struct Line {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    decoder: Decoder,
    stat_sn: u32,
}

impl<D: Directory> Portal<D> {
    /// A portal to these targets.
    #[must_use]
    pub fn new(directory: Arc<D>, limits: Limits) -> Self {
        let logins = Arc::new(Semaphore::new(limits.logins));
        let (sessions, addresses) = (Sessions::default(), Arc::default());
        let room = Shared::new(limits.buffered_by_all);
        let stopping = watch::Sender::new(false);
        Self { directory, limits, sessions, room, logins, addresses, stopping }
    }

    /// Serves until `stop`; then tells all initiators, and returns when the last session is closed.
    /// Connections are shared by `runtimes`.
    ///
    /// # Errors
    /// The answer of the operating system, where the socket can accept no more.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        runtimes: Runtimes,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = self.accept(&listener) => {
                    // It leaves this runtime, to be taken in by its own; whoever has too many
                    // connections already gets no further than here.
                    if let Some((stream, peer, permit)) = accepted
                        && let Some(turn) = self.turn(peer.ip(), permit)
                        && let Ok(stream) = stream.into_std()
                        && let Some((runtime, place)) = runtimes.place()
                    {
                        let portal = Arc::clone(&self);
                        let served = async move {
                            if let Ok(stream) = TcpStream::from_std(stream) {
                                portal.connection(stream, peer, turn).await;
                            }
                            drop(place);
                        };
                        connections.spawn_on(served, runtime);
                    }
                }
            }
        }
        drop(listener);
        // First this, so that no login that ends now is overlooked.
        self.stopping.send_replace(true);
        self.sessions.end();
        let all_over = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.limits.drain + Duration::from_secs(3), all_over).await;
        connections.shutdown().await;
        Ok(())
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.logins).acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok((stream, peer)) => Some((stream, peer, permit)),
            Err(error) => {
                // Such as too many open files; others have to close some first.
                log::warn!("no connection is accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                None
            }
        }
    }

    fn turn(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<Turn> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_default();
        if *count >= self.limits.logins_per_address {
            return None;
        }
        *count += 1;
        Some(Turn { addresses: Arc::clone(&self.addresses), address, _permit: permit })
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, turn: Turn) {
        let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { return };
        // On a socket for both families an IPv4 address looks like none.
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        let (reader, writer) = stream.into_split();
        let decoder = Decoder::new(DEFAULT_SEGMENT as usize);
        let mut line = Line { reader, writer, decoder, stat_sn: 0 };
        // Whoever is slow or cut off is gone after that, with its socket.
        let mut stopping = self.stopping.subscribe();
        let login = tokio::select! {
            login = timeout(self.limits.login, self.login(&mut line, peer.ip())) => login,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let Ok(Some((established, ticket, mut control, last))) = login else { return };
        // Discovery shows no more than that somebody can speak.
        let turn = established.admission.is_none().then_some(turn);
        if *stopping.borrow() {
            return;
        }
        let Line { reader, mut writer, mut decoder, stat_sn } = line;
        decoder.header_digest = established.parameters.header_digest;
        decoder.data_digest = established.parameters.data_digest;
        decoder.most = established.own_segment as usize;
        let mut connection = Connection::new(
            Arc::clone(&self.directory),
            (&self.limits, &self.room),
            local,
            established,
            stat_sn,
        );
        // The nexus is there before the initiator hears of it.
        let mut outbox = last;
        if let Ok(Ok(())) = timeout(self.limits.login, outbox.flush(&mut writer)).await {
            connection.run(reader, writer, decoder, &mut control).await;
        }
        connection.close();
        // In this order: who waits for the end of this session finds its place free, or where
        // commands go on, its identity.
        let counted = connection.goes_on().then_some(ticket);
        if let Some(ticket) = &counted {
            ticket.is_over();
        }
        drop((control, turn));
        connection.rest().await;
        drop(counted);
    }

    /// Goes through a login up to its last response, which is not sent yet.
    async fn login(&self, line: &mut Line, address: IpAddr) -> Option<LoggedIn<'_, D>> {
        let mut login = Login::new(Arc::clone(&self.directory), self.limits.wishes);
        let mut first = true;
        loop {
            let pdu = line.next().await?;
            if pdu.bhs[0] & 0x3f != LoginRequest::OPCODE {
                return None;
            }
            let request = LoginRequest::read(&pdu.bhs);
            if std::mem::take(&mut first) {
                line.stat_sn = request.exp_stat_sn;
                if request.tsih != 0 {
                    // Sessions have one connection and cannot be taken up again.
                    let there = self.sessions.has(request.tsih);
                    let status = if there { Status::TooManyConnections } else { Status::NoSession };
                    line.refuse(&request, status, self.limits.queue_depth).await;
                    return None;
                }
            }
            match login.step(&request, &pdu.data) {
                Step::Reply(response, text) => {
                    let mut outbox = Outbox::default();
                    line.post(&mut outbox, &request, response, text, self.limits.queue_depth);
                    outbox.flush(&mut line.writer).await.ok()?;
                }
                Step::Refuse(_, status) => {
                    log::info!("a login is refused: {status}");
                    line.refuse(&request, status, self.limits.queue_depth).await;
                    return None;
                }
                Step::Finish(mut response, text, established) => {
                    let Some((ticket, control)) = self.enter(&established, address).await else {
                        let status = Status::OutOfResources;
                        line.refuse(&request, status, self.limits.queue_depth).await;
                        return None;
                    };
                    response.tsih = ticket.tsih;
                    let mut outbox = Outbox::default();
                    line.post(&mut outbox, &request, response, text, self.limits.queue_depth);
                    return Some((*established, ticket, control, outbox));
                }
            }
        }
    }

    /// Becomes a session, when the one that it replaces is over.
    async fn enter(
        &self,
        established: &Established<D::Service>,
        address: IpAddr,
    ) -> Option<(Ticket<'_>, mpsc::UnboundedReceiver<End>)> {
        let target = established.admission.as_ref().map(|admission| &admission.port);
        loop {
            match self.sessions.enter(&established.initiator, target, address, &self.limits) {
                Entered::Full => return None,
                Entered::Ticket(ticket, control) => return Some((ticket, control)),
                Entered::Occupied(other) => {
                    let _ = other.send(End::Reinstated);
                    other.closed().await;
                    // It has left the list before it closed its ears, unless the portal stops.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// What a login leaves: who, its place, its ear, and the last response.
type LoggedIn<'a, D> =
    (Established<<D as Directory>::Service>, Ticket<'a>, mpsc::UnboundedReceiver<End>, Outbox);

impl Line {
    async fn next(&mut self) -> Option<Pdu> {
        loop {
            match self.decoder.next(|_, _| Ok::<_, WireError>(BytesMut::new())) {
                Ok(Some(pdu)) => return Some(pdu),
                Ok(None) => {}
                Err(error) => {
                    log::info!("a login is cut: {error}");
                    return None;
                }
            }
            if self.decoder.fill(&mut self.reader).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn post(
        &mut self,
        outbox: &mut Outbox,
        request: &LoginRequest,
        response: LoginResponse,
        text: Vec<u8>,
        depth: u32,
    ) {
        let mut bhs = response.write();
        // Login takes no command numbers.
        let highest = request.cmd_sn.wrapping_add(depth).wrapping_sub(1);
        stamp(&mut bhs, self.stat_sn, request.cmd_sn, highest);
        self.stat_sn = self.stat_sn.wrapping_add(1);
        outbox.push(bhs, &[], &[Bytes::from(text)]);
    }

    async fn refuse(&mut self, request: &LoginRequest, status: Status, depth: u32) {
        let LoginRequest { csg, isid, tsih, itt, .. } = *request;
        let status = status as u16;
        let response = LoginResponse { csg, isid, tsih, itt, status, ..LoginResponse::default() };
        let mut outbox = Outbox::default();
        self.post(&mut outbox, request, response, Vec::new(), depth);
        // It is closed all the same.
        let _ = outbox.flush(&mut self.writer).await;
    }
}
