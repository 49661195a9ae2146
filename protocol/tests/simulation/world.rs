//! The simulated world: clients that call one after the other, a network, a server, and the
//! application behind it, which like a storage system keeps what it did across restarts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::client::Client;
use protocol::server::{Received, Request, Server};
use protocol::{CallError, Key, KeyRing, Kind, RequestId};

/// How bad the network is: probabilities, and the longest usual delay.
#[derive(Clone, Copy)]
pub struct Network {
    pub lost: f64,
    pub doubled: f64,
    pub delay_ms: u64,
    /// This part of the datagrams takes ten times as long.
    pub straggles: f64,
}

pub struct Ended {
    pub id: RequestId,
    pub result: Result<Vec<u8>, CallError>,
    pub took: Duration,
}

pub struct World {
    /// The longest a request is worked on.
    pub work_ms: u64,
    pub least_delay: Duration,
    pub ended: Vec<Ended>,
    /// How often each request took effect.
    pub executed: HashMap<RequestId, u32>,
    pub restarts: u32,
    network: Network,
    random: Random,
    start: Instant,
    now: Instant,
    remote: SocketAddr,
    key: Key,
    server: Server,
    clients: BTreeMap<usize, Caller>,
    events: BinaryHeap<Reverse<(Instant, u64)>>,
    pending: HashMap<u64, Event>,
    count: u64,
    /// Datagrams and work of a server that is gone concern nobody.
    run: u32,
}

struct Caller {
    client: Client,
    plan: VecDeque<(RequestId, Kind, Vec<u8>, Duration)>,
    began: Instant,
}

enum Event {
    ToServer(usize, Vec<u8>),
    ToClient(usize, Vec<u8>),
    Worked { run: u32, request: Request },
    Restart,
}

impl World {
    pub fn new(seed: u64, network: Network, remote: &str) -> Self {
        let start = Instant::now();
        let key = Key::from_secret([7; 32]);
        Self {
            work_ms: 40,
            least_delay: Duration::ZERO,
            ended: Vec::new(),
            executed: HashMap::new(),
            restarts: 0,
            network,
            random: Random(seed),
            start,
            now: start,
            remote: remote.parse().unwrap(),
            server: Server::new(KeyRing::new(key.clone())),
            key,
            clients: BTreeMap::new(),
            events: BinaryHeap::new(),
            pending: HashMap::new(),
            count: 0,
            run: 0,
        }
    }

    /// One more call of a client, after those it has.
    pub fn plan(&mut self, client: usize, kind: Kind, size: usize, patience: Duration) {
        let id = RequestId(u128::from(self.random.next()) << 64 | u128::from(self.random.next()));
        let body = body_of(id, size);
        let (remote, key, now) = (self.remote, self.key.clone(), self.now);
        self.clients
            .entry(client)
            .or_insert_with(|| Caller {
                client: Client::new(remote, key),
                plan: VecDeque::new(),
                began: now,
            })
            .plan
            .push_back((id, kind, body, patience));
    }

    pub fn restart_at(&mut self, after: Duration) {
        self.schedule(self.start + after, Event::Restart);
    }

    /// Until nothing happens any more.
    pub fn run(&mut self) {
        let all: Vec<usize> = self.clients.keys().copied().collect();
        for client in all {
            self.begin_next(client);
        }
        loop {
            let event = self.events.peek().map(|Reverse((at, _))| *at);
            let timeouts = self.clients.iter();
            let timeout = timeouts.filter_map(|(n, c)| Some((c.client.next_timeout()?, *n))).min();
            match (event, timeout) {
                (None, None) => return,
                (event, Some((at, client))) if event.is_none_or(|event| at <= event) => {
                    self.now = self.now.max(at);
                    let now = self.now;
                    self.caller(client).client.timeout(now);
                    self.flush(client);
                }
                _ => self.next_event(),
            }
        }
    }

    pub fn assert_all_answered_and_executed_once(&self) {
        for Ended { id, result, took } in &self.ended {
            let answer = result.as_ref().unwrap_or_else(|error| panic!("{id} {took:?}: {error}"));
            assert_eq!(*answer, id.to_bytes());
            assert_eq!(self.executed.get(id), Some(&1), "{id}");
        }
        assert_eq!(self.ended.len(), self.executed.len());
        assert!(self.clients.values().all(|caller| caller.plan.is_empty()));
    }

    pub fn median_call(&self) -> Duration {
        let mut all: Vec<Duration> = self.ended.iter().map(|ended| ended.took).collect();
        all.sort();
        all[all.len() / 2]
    }

    pub fn slowest_call(&self) -> Duration {
        self.ended.iter().map(|ended| ended.took).max().unwrap_or_default()
    }

    fn next_event(&mut self) {
        let Some(Reverse((at, number))) = self.events.pop() else { return };
        self.now = self.now.max(at);
        match self.pending.remove(&number).unwrap() {
            Event::ToServer(client, datagram) => {
                let from = SocketAddr::from(([192, 0, 2, 100], client as u16 + 1));
                match self.server.receive(self.now, from, &datagram) {
                    Received::Nothing => {}
                    Received::Reply(transmit) => {
                        assert_eq!(transmit.to, from);
                        self.carry(Event::ToClient(client, transmit.datagram));
                    }
                    Received::Execute(request) => {
                        let work = Duration::from_millis(self.random.below(self.work_ms + 1));
                        let worked = Event::Worked { run: self.run, request };
                        self.schedule(self.now + work, worked);
                    }
                    Received::Stranger(..) => panic!("no stranger here"),
                }
            }
            Event::ToClient(client, datagram) => {
                let now = self.now;
                self.caller(client).client.receive(now, &datagram);
                self.flush(client);
            }
            Event::Worked { run, request } if run == self.run => self.worked(&request),
            Event::Worked { .. } => {}
            Event::Restart => {
                self.restarts += 1;
                self.run += 1;
                self.server = Server::new(KeyRing::new(self.key.clone()));
            }
        }
    }

    /// The application: does it, unless it did it before a restart.
    fn worked(&mut self, request: &Request) {
        assert!(request.body == body_of(request.id, request.body.len()), "a request was altered");
        let again = self.restarts > 0 && self.executed.contains_key(&request.id);
        if !again {
            *self.executed.entry(request.id).or_default() += 1;
        }
        let answer = request.id.to_bytes().to_vec();
        if let Some(transmit) = self.server.answer(request.id, answer) {
            let client = usize::from(transmit.to.port()) - 1;
            self.carry(Event::ToClient(client, transmit.datagram));
        }
    }

    fn caller(&mut self, client: usize) -> &mut Caller {
        self.clients.get_mut(&client).unwrap()
    }

    fn begin_next(&mut self, client: usize) {
        let now = self.now;
        let caller = self.caller(client);
        if let Some((id, kind, body, patience)) = caller.plan.pop_front() {
            caller.began = now;
            caller.client.start(now, id, kind, body, patience).unwrap();
            self.flush(client);
        }
    }

    fn flush(&mut self, client: usize) {
        while let Some(datagram) = self.caller(client).client.poll_transmit() {
            self.carry(Event::ToServer(client, datagram));
        }
        while let Some((id, result)) = self.caller(client).client.poll_done() {
            let took = self.now - self.caller(client).began;
            self.ended.push(Ended { id, result, took });
            self.begin_next(client);
        }
    }

    fn carry(&mut self, event: Event) {
        let copies = if self.random.happens(self.network.doubled) { 2 } else { 1 };
        let (client, datagram, to_server) = match event {
            Event::ToServer(client, datagram) => (client, datagram, true),
            Event::ToClient(client, datagram) => (client, datagram, false),
            _ => unreachable!("only datagrams are carried"),
        };
        for _ in 0..copies {
            if self.random.happens(self.network.lost) {
                continue;
            }
            let slow = if self.random.happens(self.network.straggles) { 10 } else { 1 };
            let delay = Duration::from_micros(
                (100 + self.random.below(self.network.delay_ms * 1000)) * slow,
            );
            let datagram = datagram.clone();
            let event = if to_server {
                Event::ToServer(client, datagram)
            } else {
                Event::ToClient(client, datagram)
            };
            self.schedule(self.now + self.least_delay + delay, event);
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count)));
        self.pending.insert(self.count, event);
    }
}

/// What a request says, told by its id, so that the server can check it.
fn body_of(id: RequestId, size: usize) -> Vec<u8> {
    let bytes = id.to_bytes();
    (0..size).map(|n| bytes[n % 16] ^ (n / 16) as u8 ^ (n / 4096) as u8).collect()
}

/// splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn happens(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= probability && probability > 0.0
    }
}
