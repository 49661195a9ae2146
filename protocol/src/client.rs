//! The client's side of the protocol, as a value: calls and datagrams in, datagrams and results
//! out. No socket, no clock, no thread.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::call::{CallError, Kind};
use crate::frame::{Answer, Cut, Label, MAX_REQUEST, Outcome, Part, REQUEST_HEAD, SessionId};
use crate::frame::{Status, Welcome};
use crate::key::Key;
use crate::outstanding::{FIRST_RESEND, Outstanding, SLOWEST_RESEND};
use crate::request_id::RequestId;
use crate::wire::{Header, Nonce, Nonces, Packet, open, seal};

/// The client of one server.
///
/// Drive it like this: after [`Client::start`], [`Client::receive`] and [`Client::timeout`], send
/// what [`Client::poll_transmit`] gives and hand out what [`Client::poll_done`] gives; wait for a
/// datagram until [`Client::next_timeout`], then call [`Client::timeout`].
#[derive(Debug)]
pub struct Client {
    key: Key,
    nonces: Nonces,
    /// Bytes of a part, and of an answer: what goes to this server in one datagram.
    chunk: u16,
    session: Option<Session>,
    /// The Hello under way, if any.
    hello: Option<Resend>,
    /// The latest Hellos, any of which may still be answered.
    hellos: VecDeque<Nonce>,
    calls: HashMap<RequestId, Outstanding>,
    out: VecDeque<Vec<u8>>,
    done: VecDeque<Done>,
}

/// A call that ended.
pub type Done = (RequestId, Result<Vec<u8>, CallError>);

#[derive(Debug, Clone, Copy)]
struct Session {
    id: SessionId,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Resend {
    at: Instant,
    interval: Duration,
}

impl Client {
    /// Bytes of a part and of an answer over loopback, whose datagrams are as large as UDP allows.
    pub const LOOPBACK_CHUNK: u16 = 60_000;
    /// Bytes of a part and of an answer elsewhere: whole datagrams fit an Ethernet frame, also
    /// through a tunnel or two.
    pub const NETWORK_CHUNK: u16 = 1200;
    /// How many Hellos may be under way: a server slower than this many resends is no server.
    const MAX_HELLOS: usize = 8;

    /// A client of the server at `remote`.
    ///
    /// # Panics
    /// When the operating system has no random source.
    #[must_use]
    pub fn new(remote: SocketAddr, key: Key) -> Self {
        let loopback = remote.ip().to_canonical().is_loopback();
        Self {
            key,
            nonces: Nonces::new(),
            chunk: if loopback { Self::LOOPBACK_CHUNK } else { Self::NETWORK_CHUNK },
            session: None,
            hello: None,
            hellos: VecDeque::new(),
            calls: HashMap::new(),
            out: VecDeque::new(),
            done: VecDeque::new(),
        }
    }

    /// Begins a call.
    ///
    /// # Errors
    /// [`CallError::TooLarge`] beyond 8 MiB; [`CallError::Io`] with
    /// [`io::ErrorKind::AlreadyExists`] when a call with that id is under way.
    pub fn start(
        &mut self,
        now: Instant,
        id: RequestId,
        kind: Kind,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<(), CallError> {
        if body.len() > MAX_REQUEST {
            return Err(CallError::TooLarge);
        }
        let total = u32::try_from(body.len()).map_err(|_| CallError::TooLarge)?;
        if self.calls.contains_key(&id) {
            let text = format!("request {id} is under way already");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text).into());
        }
        let mut call =
            Outstanding::new(now, kind, body, Cut { total, chunk: self.chunk }, patience);
        if let Some(session) = &mut self.session {
            call.move_to(now, session.next);
            send(&self.key, &mut self.nonces, session, id, &mut call, now, &mut self.out);
        } else if self.hello.is_none() {
            self.say_hello(now, FIRST_RESEND);
        }
        self.calls.insert(id, call);
        Ok(())
    }

    /// Gives up a call; nothing is reported of it any more.
    pub fn abandon(&mut self, id: RequestId) {
        self.calls.remove(&id);
        self.done.retain(|(done, _)| *done != id);
    }

    /// Takes one datagram. What does not open or answers nothing asked is ignored.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let Some(header) = Header::read(datagram) else { return };
        if header.key != self.key.id()
            || !matches!(header.packet, Packet::Welcome | Packet::Answer | Packet::Status)
        {
            return;
        }
        let Some(frame) = open(&self.key, &header, datagram) else { return };
        match header.packet {
            Packet::Welcome => self.welcome(now, &frame),
            Packet::Answer => self.answer(&frame),
            _ => self.status(now, &frame),
        }
    }

    /// The socket failed. Calls in which the server was not heard yet end with it; for the others
    /// it is as if a datagram was lost, for the server may be starting again.
    pub fn socket_failed(&mut self, error: &io::Error) {
        // Windows reports the ICMP message as a reset connection.
        let refused = matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
        );
        let unheard = self.calls.extract_if(|_, call| !call.heard);
        self.done.extend(unheard.map(|(id, _)| {
            let error = if refused {
                CallError::Refused
            } else {
                io::Error::new(error.kind(), error.to_string()).into()
            };
            (id, Err(error))
        }));
    }

    /// When [`Client::timeout`] wants to be called, if nothing comes before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.calls.is_empty() {
            return None;
        }
        let sends = self.session.is_some();
        let calls = self.calls.values().flat_map(|call| {
            [Some(call.deadline()), sends.then(|| call.resend())].into_iter().flatten()
        });
        calls.chain(self.hello.map(|hello| hello.at)).min()
    }

    /// Time has passed: resends what is due and ends what waited too long.
    pub fn timeout(&mut self, now: Instant) {
        let silent = self.calls.extract_if(|_, call| call.deadline() <= now);
        self.done.extend(silent.map(|(id, _)| (id, Err(CallError::Silent))));
        if self.calls.is_empty() {
            self.hello = None;
            return;
        }
        let mut lost = self.session.is_none();
        if let Some(session) = &mut self.session {
            for (id, call) in &mut self.calls {
                if call.resend() <= now {
                    send(&self.key, &mut self.nonces, session, *id, call, now, &mut self.out);
                    lost |= call.seems_unheard();
                }
            }
        }
        match self.hello {
            Some(hello) if hello.at <= now => {
                self.say_hello(now, (hello.interval * 2).min(SLOWEST_RESEND));
            }
            None if lost => self.say_hello(now, FIRST_RESEND),
            _ => {}
        }
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// The next call that ended.
    pub fn poll_done(&mut self) -> Option<Done> {
        self.done.pop_front()
    }

    fn say_hello(&mut self, now: Instant, interval: Duration) {
        let (datagram, nonce) = seal(&self.key, &mut self.nonces, Packet::Hello, 0, |_| ());
        if self.hellos.len() >= Self::MAX_HELLOS {
            self.hellos.pop_front();
        }
        self.hellos.push_back(nonce);
        self.hello = Some(Resend { at: now + interval, interval });
        self.out.push_back(datagram);
    }

    fn welcome(&mut self, now: Instant, frame: &[u8]) {
        let Some(welcome) = Welcome::read(frame) else { return };
        if !self.hellos.contains(&welcome.hello) {
            return;
        }
        self.hellos.clear();
        self.hello = None;
        let mut session = Session { id: welcome.session, next: 1 };
        for (id, call) in &mut self.calls {
            call.heard = true;
            call.move_to(now, session.next);
            send(&self.key, &mut self.nonces, &mut session, *id, call, now, &mut self.out);
        }
        self.session = Some(session);
    }

    fn answer(&mut self, frame: &[u8]) {
        let Some(answer) = Answer::read(frame) else { return };
        if self.outstanding(answer.label).is_none() {
            return;
        }
        let result = match answer.outcome {
            Outcome::Body(body) => Ok(body.to_vec()),
            Outcome::TooLarge => Err(CallError::TooLarge),
        };
        self.calls.remove(&answer.label.id);
        self.done.push_back((answer.label.id, result));
    }

    fn status(&mut self, now: Instant, frame: &[u8]) {
        let Some(Status { label, progress }) = Status::read(frame) else { return };
        let Some(call) = self.outstanding(label) else { return };
        call.heard = true;
        let go_on = call.status(now, label.sequence, progress);
        // Heard in this session: no need of another.
        self.hello = None;
        if go_on
            && let Some(session) = &mut self.session
            && let Some(call) = self.calls.get_mut(&label.id)
        {
            send(&self.key, &mut self.nonces, session, label.id, call, now, &mut self.out);
        }
    }

    /// The call that a frame is about, if it answers a datagram of the session as it is now.
    fn outstanding(&mut self, label: Label) -> Option<&mut Outstanding> {
        let session = self.session.filter(|session| session.id == label.session)?;
        let call = self.calls.get_mut(&label.id)?;
        (call.asked(label.sequence) && label.sequence < session.next).then_some(call)
    }
}

fn send(
    key: &Key,
    nonces: &mut Nonces,
    session: &mut Session,
    id: RequestId,
    call: &mut Outstanding,
    now: Instant,
    out: &mut VecDeque<Vec<u8>>,
) {
    for sending in call.burst(now, session.next) {
        let range = call.cut.range(sending.part);
        // A request has at most 16,384 parts, and a part lies within it.
        let (Ok(index), Some(bytes)) = (u16::try_from(sending.part), call.body.get(range)) else {
            continue;
        };
        let part = Part {
            label: Label { session: session.id, sequence: session.next, id },
            kind: call.kind,
            tell: sending.tell,
            room: call.cut.chunk.into(),
            cut: call.cut,
            index,
            bytes,
        };
        session.next += 1;
        let capacity = REQUEST_HEAD + bytes.len();
        out.push_back(seal(key, nonces, Packet::Request, capacity, |out| part.write(out)).0);
    }
}
