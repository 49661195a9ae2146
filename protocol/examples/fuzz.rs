//! Throws random, altered and well-sealed but senseless datagrams at the server, the client and
//! the decoders of both vocabularies, and says how fast that went and how much memory it took.
//!
//! `cargo run --release -p protocol --example fuzz -- 10000000 1`: how many, and the seed.
//! It ends with an error when anything panics or the memory passes 256 MiB.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzzing::{Random, Run};
use protocol::client::Client;
use protocol::codec;
use protocol::frame::{Answer, Cut, Label, Outcome, Part, Progress, SessionId, Status, Welcome};
use protocol::server::{Received, Server};
use protocol::wire::{Header, Nonces, Packet, open, seal};
use protocol::{Key, KeyRing, Kind, RequestId, horcm, login, orders};

fn main() -> ExitCode {
    let run = match Run::of_arguments() {
        Ok(run) => run,
        Err(code) => return code,
    };
    let mut fuzz = Fuzz::new(run.random());
    for n in 0..run.count {
        fuzz.step(n);
    }
    let outcome = format!(
        "{} opened sessions, {} were executed, {} ended calls, {} bodies decoded",
        fuzz.welcomed, fuzz.executed, fuzz.ended, fuzz.decoded,
    );
    run.end("datagrams", outcome)
}

struct Fuzz {
    random: Random,
    now: Instant,
    key: Key,
    nonces: Nonces,
    server: Server,
    client: Client,
    session: SessionId,
    sequence: u64,
    /// The latest real datagrams, to be altered.
    corpus: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    /// Requests being executed for long.
    slow: Vec<RequestId>,
    welcomed: u64,
    executed: u64,
    ended: u64,
    decoded: u64,
}

impl Fuzz {
    const CORPUS: usize = 64;

    fn new(random: Random) -> Self {
        let key = Key::from_secret([1; 32]);
        Self {
            random,
            now: Instant::now(),
            nonces: Nonces::new(),
            server: Server::new(KeyRing::new(key.clone())),
            client: Client::new(remote(), key.clone()),
            session: SessionId(0),
            sequence: 0,
            corpus: Vec::new(),
            bodies: sample_bodies(),
            slow: Vec::new(),
            key,
            welcomed: 0,
            executed: 0,
            ended: 0,
            decoded: 0,
        }
    }

    fn step(&mut self, n: u64) {
        self.now += Duration::from_micros(self.random.below(50));
        if n.is_multiple_of(64) {
            self.calls();
        }
        let datagram = match self.random.below(16) {
            0..=3 => self.noise(),
            4..=9 => self.altered(),
            10..=12 => self.sealed_frame(),
            13 => self.replayed(),
            _ => return self.decode(),
        };
        self.deliver(&datagram);
    }

    /// Real calls of a real client, so that there is something to disturb.
    fn calls(&mut self) {
        let size = if self.random.below(8) == 0 { 5000 } else { 40 };
        let (id, body) = (id(&mut self.random), self.random.bytes(size));
        // An id that is under way is refused, which is as good a step as another.
        let _ = self.client.start(self.now, id, Kind::Change, body, Duration::from_millis(50));
        self.client.timeout(self.now);
        self.flush();
        if self.slow.len() > 1000 {
            for id in std::mem::take(&mut self.slow) {
                if let Some(transmit) = self.server.answer(id, vec![1]) {
                    self.client_gets(&transmit.datagram);
                }
            }
        }
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.client.poll_transmit() {
            self.keep(&datagram);
            self.server_gets(&datagram);
        }
        while self.client.poll_done().is_some() {
            self.ended += 1;
        }
    }

    fn deliver(&mut self, datagram: &[u8]) {
        self.server_gets(datagram);
        self.client.receive(self.now, datagram);
        self.flush();
    }

    fn server_gets(&mut self, datagram: &[u8]) {
        let from = SocketAddr::from(([192, 0, 2, self.random.below(256) as u8], 9));
        match self.server.receive(self.now, from, datagram) {
            Received::Nothing | Received::Stranger(..) => {}
            Received::Reply(transmit) => self.client_gets(&transmit.datagram),
            Received::Execute(request) => {
                self.executed += 1;
                match self.random.below(8) {
                    0 => self.slow.push(request.id),
                    1 => self.server.forget(request.id),
                    _ => {
                        let len = self.random.below(200) as usize;
                        let body = self.random.bytes(len);
                        if let Some(transmit) = self.server.answer(request.id, body) {
                            self.client_gets(&transmit.datagram);
                        }
                    }
                }
            }
        }
    }

    fn client_gets(&mut self, datagram: &[u8]) {
        self.keep(datagram);
        self.client.receive(self.now, datagram);
    }

    fn keep(&mut self, datagram: &[u8]) {
        if self.corpus.len() < Self::CORPUS {
            self.corpus.push(datagram.to_vec());
        } else {
            let at = self.random.below(Self::CORPUS as u64) as usize;
            self.corpus[at] = datagram.to_vec();
        }
    }

    fn noise(&mut self) -> Vec<u8> {
        let len = self.random.below(300) as usize;
        let mut bytes = self.random.bytes(len);
        if self.random.below(2) == 0 && len >= 16 {
            bytes[..8].copy_from_slice(b"HRCM\x01\x03\0\0");
            bytes[8..16].copy_from_slice(&self.key.id().0);
        }
        bytes
    }

    fn replayed(&mut self) -> Vec<u8> {
        let at = self.random.below(self.corpus.len() as u64) as usize;
        self.corpus.get(at).cloned().unwrap_or_default()
    }

    fn altered(&mut self) -> Vec<u8> {
        let mut bytes = self.replayed();
        self.random.alter(&mut bytes);
        bytes
    }

    /// What a holder of the key could send: any frame, sensible or not, under a true seal.
    fn sealed_frame(&mut self) -> Vec<u8> {
        if self.sequence.is_multiple_of(4096) {
            self.open_session();
        }
        self.sequence += 1;
        let label =
            Label { session: self.session, sequence: self.sequence, id: id(&mut self.random) };
        let mut frame = Vec::new();
        let packet = match self.random.below(8) {
            0 => Packet::Hello,
            1 => {
                let hello = [0; 24];
                Welcome { hello, session: self.session }.write(&mut frame);
                Packet::Welcome
            }
            2 => {
                let body = self.random.bytes(9);
                Answer { label, outcome: Outcome::Body(&body) }.write(&mut frame);
                Packet::Answer
            }
            3 => {
                let parts = self.random.bytes(2);
                Status { label, progress: Progress::Gathering(&parts) }.write(&mut frame);
                Packet::Status
            }
            _ => {
                let total = self.random.below(1500) as u32;
                let cut = Cut { total, chunk: 512 };
                let index = self.random.below(cut.parts() as u64) as u16;
                let bytes = self.random.bytes(cut.range(usize::from(index)).len());
                let kind = if self.random.below(2) == 0 { Kind::Read } else { Kind::Change };
                let (tell, room) = (self.random.below(2) == 0, self.random.any() as u32);
                Part { label, kind, tell, room, cut, index, bytes: &bytes }.write(&mut frame);
                Packet::Request
            }
        };
        if self.random.below(4) == 0 {
            self.random.alter(&mut frame);
        }
        seal(&self.key, &mut self.nonces, packet, frame.len(), |out| {
            out.extend_from_slice(&frame);
        })
        .0
    }

    fn open_session(&mut self) {
        let (hello, _) = seal(&self.key, &mut self.nonces, Packet::Hello, 0, |_| ());
        let Received::Reply(transmit) = self.server.receive(self.now, remote(), &hello) else {
            panic!("a fresh Hello was not answered");
        };
        let header = Header::read(&transmit.datagram).expect("a Welcome has a header");
        let frame = open(&self.key, &header, &transmit.datagram).expect("a Welcome opens");
        self.session = Welcome::read(&frame).expect("a Welcome is one").session;
        self.welcomed += 1;
    }

    fn decode(&mut self) {
        let at = self.random.below(self.bodies.len() as u64) as usize;
        let mut bytes = self.bodies[at].clone();
        match self.random.below(4) {
            0 => {
                let len = self.random.below(200) as usize;
                bytes = self.random.bytes(len);
            }
            _ => self.random.alter(&mut bytes),
        }
        let decoded = [
            codec::decode::<horcm::Asked>(&bytes).is_ok(),
            codec::decode::<horcm::Answer>(&bytes).is_ok(),
            codec::decode::<orders::Given>(&bytes).is_ok(),
            codec::decode::<orders::OrderAnswer>(&bytes).is_ok(),
        ];
        self.decoded += decoded.iter().filter(|ok| **ok).count() as u64;
    }
}

fn remote() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 31000))
}

fn sample_bodies() -> Vec<Vec<u8>> {
    let end = orders::LocalEnd { ldev: model::LdevId::default(), mu: model::MuNumber::default() };
    vec![
        codec::encode(&(Vec::<login::Login>::new(), horcm::Request::Ping)),
        codec::encode(&(Vec::<login::Login>::new(), horcm::Request::Units)),
        codec::encode(&(Vec::<login::Login>::new(), horcm::Request::Groups { from: 7 })),
        codec::encode(&horcm::Request::Control(horcm::Control::Trace {
            level: Some(3),
            buffered: None,
            size_kb: Some(9),
        })),
        codec::encode(&horcm::Answer::Ok(horcm::Reply::Done)),
        codec::encode(&(None::<login::Token>, orders::Order::Identify)),
        codec::encode(&(None::<login::Token>, orders::Order::Status(vec![end; 20]))),
        codec::encode(&(None::<login::Token>, orders::Order::Guards(vec![end.ldev; 20]))),
        codec::encode(&orders::OrderAnswer::Ok(orders::Reply::Status(vec![
            Some(
                orders::EndStatus::SMPL
            );
            20
        ]))),
    ]
}

/// Few enough that requests, parts and answers meet.
fn id(random: &mut Random) -> RequestId {
    RequestId(u128::from(random.below(50_000)))
}
