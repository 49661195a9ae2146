//! The server's side of the protocol, as a value: datagrams and answers in, datagrams and
//! requests out. No socket, no clock, no thread.
//!
//! Whatever does not open, belongs to no session or was seen before is dropped without an answer,
//! and leaves everything as it was.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::call::Kind;
use crate::frame::{Answer, MIN_CHUNK, Part, Progress, Status, Welcome};
use crate::key::{Key, KeyId, KeyRing};
use crate::ledger::{Known, Ledger, ReplyTo};
use crate::reassembly::{Gathered, Reassembly};
use crate::request_id::RequestId;
use crate::sessions::Sessions;
use crate::strangers::Strangers;
use crate::wire::{Header, Nonces, Packet, open, seal};

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// The whole datagram.
    pub datagram: Vec<u8>,
}

/// A request to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name; [`Server::answer`] or [`Server::forget`] want it back.
    pub id: RequestId,
    /// What it does.
    pub kind: Kind,
    /// Who sent it.
    pub from: SocketAddr,
    /// How many bytes the answer may have.
    pub room: usize,
    /// The request.
    pub body: Vec<u8>,
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing; also for all that was dropped.
    Nothing,
    /// A datagram goes out.
    Reply(Transmit),
    /// A request is to be executed, and its answer handed to [`Server::answer`].
    Execute(Request),
    /// Someone with another key, worth a line in the log now.
    Stranger(IpAddr, KeyId),
}

/// One server.
#[derive(Debug)]
pub struct Server {
    keys: KeyRing,
    nonces: Nonces,
    allowed: Option<HashSet<IpAddr>>,
    sessions: Sessions,
    reassembly: Reassembly,
    ledger: Ledger,
    strangers: Strangers,
}

impl Server {
    /// The most bytes of requests held at a time, in the making and in execution. Beyond it new
    /// requests are dropped; their clients resend them.
    pub const MAX_HELD: usize = 64 << 20;

    /// A server that accepts these keys.
    ///
    /// # Panics
    /// When the operating system has no random source.
    #[must_use]
    pub fn new(keys: KeyRing) -> Self {
        let epoch = getrandom::u64().expect("the operating system has a random source");
        Self {
            keys,
            nonces: Nonces::new(),
            allowed: None,
            sessions: Sessions::new(epoch),
            reassembly: Reassembly::default(),
            ledger: Ledger::default(),
            strangers: Strangers::default(),
        }
    }

    /// From now on drops what other hosts send. Loopback is always allowed.
    pub fn allow_only(&mut self, hosts: impl IntoIterator<Item = IpAddr>) {
        self.allowed = Some(hosts.into_iter().map(|host| host.to_canonical()).collect());
    }

    /// Also looks at what that host sends.
    pub fn allow(&mut self, host: IpAddr) {
        if let Some(allowed) = &mut self.allowed {
            allowed.insert(host.to_canonical());
        }
    }

    /// Whether datagrams of that host are looked at.
    #[must_use]
    pub fn allows(&self, host: IpAddr) -> bool {
        let host = host.to_canonical();
        host.is_loopback() || self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host))
    }

    /// Who knocked with another key.
    #[must_use]
    pub fn strangers(&self) -> Strangers {
        self.strangers.clone()
    }

    /// Takes one datagram.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Received {
        if !self.allows(from.ip()) {
            return Received::Nothing;
        }
        let Some(header) = Header::read(datagram) else { return Received::Nothing };
        let Some(key) = self.keys.find(header.key) else {
            return if self.strangers.note(now, from.ip(), header.key) {
                Received::Stranger(from.ip(), header.key)
            } else {
                Received::Nothing
            };
        };
        // Decided before the work of opening: only clients' frames concern a server.
        if !matches!(header.packet, Packet::Hello | Packet::Request) {
            return Received::Nothing;
        }
        let key = key.clone();
        let Some(frame) = open(&key, &header, datagram) else { return Received::Nothing };
        if header.packet == Packet::Hello {
            return self.hello(&key, &header, from, &frame);
        }
        let Some(part) = Part::read(&frame) else { return Received::Nothing };
        if !self.sessions.admit(part.label.session, key.id(), part.label.sequence) {
            return Received::Nothing;
        }
        self.part(now, &key, from, &part)
    }

    /// Answers a request that [`Server::receive`] handed out. `None` when it is not being
    /// executed any more.
    pub fn answer(&mut self, id: RequestId, body: Vec<u8>) -> Option<Transmit> {
        let (reply, kept) = self.ledger.answer(id, body)?;
        // Keys are never taken from a ring, so the key is there.
        let key = self.keys.find(reply.key)?;
        let frame = Answer { label: reply.label, outcome: kept.outcome() };
        Some(send_answer(key, &mut self.nonces, reply.address, &frame))
    }

    /// Gives up a request that [`Server::receive`] handed out: a resend of it is executed.
    pub fn forget(&mut self, id: RequestId) {
        self.ledger.forget(id);
    }

    fn hello(&mut self, key: &Key, header: &Header, from: SocketAddr, frame: &[u8]) -> Received {
        if !frame.is_empty() {
            return Received::Nothing;
        }
        let Some(session) = self.sessions.open(key.id(), header.nonce) else {
            return Received::Nothing;
        };
        let welcome = Welcome { hello: header.nonce, session };
        let (datagram, _) =
            seal(key, &mut self.nonces, Packet::Welcome, Welcome::LEN, |out| welcome.write(out));
        Received::Reply(Transmit { to: from, datagram })
    }

    fn part(&mut self, now: Instant, key: &Key, from: SocketAddr, part: &Part<'_>) -> Received {
        let Part { label, kind, tell, .. } = *part;
        let reply = ReplyTo { address: from, key: key.id(), label };
        match self.ledger.look_up(label.id, reply) {
            Known::No => {}
            _ if !tell => return Received::Nothing,
            Known::Running => {
                let status = Status { label, progress: Progress::Executing };
                return Received::Reply(send_status(key, &mut self.nonces, from, &status));
            }
            Known::Answered(kept) => {
                let frame = Answer { label, outcome: kept.outcome() };
                return Received::Reply(send_answer(key, &mut self.nonces, from, &frame));
            }
        }
        if !self.ledger.has_room() {
            return Received::Nothing;
        }
        let room = Self::MAX_HELD.saturating_sub(self.ledger.running_bytes());
        let body = if part.cut.parts() == 1 {
            if self.reassembly.held() + part.bytes.len() > room {
                return Received::Nothing;
            }
            part.bytes.to_vec()
        } else {
            match self.reassembly.add(now, part, room) {
                Gathered::Whole(body) => body,
                Gathered::Missing(parts) if tell => {
                    let progress = Progress::Gathering(parts.as_bytes());
                    let status = Status { label, progress };
                    return Received::Reply(send_status(key, &mut self.nonces, from, &status));
                }
                Gathered::Missing(_) | Gathered::NoRoom => return Received::Nothing,
            }
        };
        self.ledger.begin(label.id, kind, body.len(), reply);
        Received::Execute(Request {
            id: label.id,
            kind,
            from,
            // Less than the smallest part is no room to answer in: nobody sane asks for it.
            room: (part.room as usize).clamp(usize::from(MIN_CHUNK), crate::frame::MAX_ANSWER),
            body,
        })
    }
}

fn send_answer(key: &Key, nonces: &mut Nonces, to: SocketAddr, frame: &Answer<'_>) -> Transmit {
    let body = match frame.outcome {
        crate::frame::Outcome::Body(body) => body.len(),
        crate::frame::Outcome::TooLarge => 0,
    };
    let capacity = crate::frame::ANSWER_HEAD + body;
    let (datagram, _) = seal(key, nonces, Packet::Answer, capacity, |out| frame.write(out));
    Transmit { to, datagram }
}

fn send_status(key: &Key, nonces: &mut Nonces, to: SocketAddr, frame: &Status<'_>) -> Transmit {
    let (datagram, _) = seal(key, nonces, Packet::Status, 64, |out| frame.write(out));
    Transmit { to, datagram }
}
