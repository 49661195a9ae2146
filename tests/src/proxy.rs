//! A network that misbehaves: a UDP proxy that loses, doubles and reorders.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// What the proxy did to the datagrams it got.
#[derive(Debug, Default)]
pub struct Tally {
    /// Passed on at least once.
    pub passed: AtomicU64,
    /// Lost.
    pub lost: AtomicU64,
    /// Passed on twice.
    pub doubled: AtomicU64,
}

/// A proxy between any number of clients and one server. 30 % of the datagrams of either
/// direction are lost, 30 % are doubled, and all are delayed by a random time, so that they
/// overtake each other.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens at `listen` for clients of `server`.
    ///
    /// # Errors
    /// When `listen` cannot be bound.
    pub fn start(listen: SocketAddr, server: SocketAddr, seed: u64) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(listen)?);
        let address = socket.local_addr()?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (tally, stop) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let wire = Wire { queue: scheduler(), tally: tally.clone() };
        let ended = stop.clone();
        thread::spawn(move || forward(&socket, server, &wire, &ended, seed));
        Ok(Self { address, tally, stop })
    }

    /// Where clients find it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it did so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A datagram that waits for its time.
struct Waiting {
    due: Instant,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[derive(Clone)]
struct Wire {
    queue: mpsc::Sender<Waiting>,
    tally: Arc<Tally>,
}

impl Wire {
    /// Loses, doubles or delays one datagram.
    fn carry(&self, dice: &mut Dice, socket: &Arc<UdpSocket>, to: SocketAddr, bytes: &[u8]) {
        if dice.percent() < 30 {
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let copies = if dice.percent() < 30 { 2 } else { 1 };
        let count = if copies == 2 { &self.tally.doubled } else { &self.tally.passed };
        count.fetch_add(1, Ordering::Relaxed);
        for _ in 0..copies {
            let due = Instant::now() + Duration::from_micros(dice.percent() * 60);
            let waiting = Waiting { due, socket: socket.clone(), to, bytes: bytes.to_vec() };
            drop(self.queue.send(waiting));
        }
    }
}

/// A thread that sends each datagram when its time has come.
fn scheduler() -> mpsc::Sender<Waiting> {
    let (queue, arrivals) = mpsc::channel::<Waiting>();
    thread::spawn(move || {
        let mut heap = BinaryHeap::new();
        loop {
            let rest =
                heap.peek().map_or(Duration::from_secs(1), |Reverse(next): &Reverse<Waiting>| {
                    next.due.saturating_duration_since(Instant::now())
                });
            match arrivals.recv_timeout(rest) {
                Ok(waiting) => heap.push(Reverse(waiting)),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            while heap.peek().is_some_and(|Reverse(next)| next.due <= Instant::now()) {
                if let Some(Reverse(next)) = heap.pop() {
                    drop(next.socket.send_to(&next.bytes, next.to));
                }
            }
        }
    });
    queue
}

/// Clients to server; each client gets a socket of its own towards the server, so that the
/// server sees as many addresses as there are clients.
fn forward(
    socket: &Arc<UdpSocket>,
    server: SocketAddr,
    wire: &Wire,
    stop: &Arc<AtomicBool>,
    seed: u64,
) {
    let mut dice = Dice(seed | 1);
    let mut upstreams: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let upstream = match upstreams.get(&client) {
            Some(upstream) => upstream.clone(),
            None => {
                let Ok(upstream) = UdpSocket::bind((server.ip(), 0)) else {
                    continue;
                };
                drop(upstream.set_read_timeout(Some(Duration::from_secs(2))));
                let upstream = Arc::new(upstream);
                // Clients are many and short-lived; the oldest mapping is worth nothing.
                if upstreams.len() > 64 {
                    upstreams.clear();
                }
                upstreams.insert(client, upstream.clone());
                let back = (socket.clone(), upstream.clone(), wire.clone(), stop.clone());
                let seed = dice.next();
                thread::spawn(move || backward(&back.0, &back.1, client, &back.2, &back.3, seed));
                upstream
            }
        };
        wire.carry(&mut dice, &upstream, server, &buffer[..length]);
    }
}

/// Server to one client, until nothing comes for a while.
fn backward(
    socket: &Arc<UdpSocket>,
    upstream: &Arc<UdpSocket>,
    client: SocketAddr,
    wire: &Wire,
    stop: &AtomicBool,
    seed: u64,
) {
    let mut dice = Dice(seed | 1);
    let mut buffer = vec![0; 65_536];
    let mut quiet = 0;
    while !stop.load(Ordering::Relaxed) && quiet < 30 {
        match upstream.recv_from(&mut buffer) {
            Ok((length, _)) => {
                quiet = 0;
                wire.carry(&mut dice, socket, client, &buffer[..length]);
            }
            Err(_) => quiet += 1,
        }
    }
}

/// A seeded source of chance.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0 to 99.
    pub const fn percent(&mut self) -> u64 {
        (self.next() >> 11) % 100
    }

    /// 0 to `limit` - 1.
    pub const fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}
