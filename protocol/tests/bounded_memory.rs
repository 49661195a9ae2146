//! Floods: whatever comes, and whoever sends it, the server's memory stays within its bounds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use protocol::frame::{Cut, Label, Part, SessionId, Welcome};
use protocol::server::{Received, Server};
use protocol::wire::{Header, Nonces, Packet, open, seal};
use protocol::{Key, KeyRing, Kind, RequestId};

/// Counts the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Flood {
    key: Key,
    nonces: Nonces,
    server: Server,
    now: Instant,
    before: usize,
}

impl Flood {
    fn seal(&mut self, packet: Packet, frame: &[u8]) -> Vec<u8> {
        seal(&self.key, &mut self.nonces, packet, frame.len(), |out| out.extend_from_slice(frame)).0
    }

    fn receive(&mut self, from: u32, datagram: &[u8]) -> Received {
        self.now += Duration::from_micros(10);
        let from = SocketAddr::from((std::net::Ipv4Addr::from(from), 9));
        self.server.receive(self.now, from, datagram)
    }

    fn session(&mut self) -> SessionId {
        let hello = self.seal(Packet::Hello, &[]);
        let Received::Reply(welcome) = self.receive(1, &hello) else { panic!("no welcome") };
        let header = Header::read(&welcome.datagram).unwrap();
        Welcome::read(&open(&self.key, &header, &welcome.datagram).unwrap()).unwrap().session
    }

    fn part(&mut self, session: SessionId, sequence: u64, total: u32) -> Received {
        let label = Label { session, sequence, id: RequestId(u128::from(sequence)) };
        let cut = Cut { total, chunk: 1000 };
        let bytes = &vec![0; cut.range(0).len()][..];
        let part = Part { label, kind: Kind::Change, tell: true, room: 0, cut, index: 0, bytes };
        let mut frame = Vec::new();
        part.write(&mut frame);
        let datagram = self.seal(Packet::Request, &frame);
        self.receive(1, &datagram)
    }

    fn held(&self) -> usize {
        IN_USE.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

// One test: the count is the process's.
#[test]
fn floods_of_everything_leave_the_memory_bounded() {
    const MIB: usize = 1 << 20;
    let key = Key::from_secret([1; 32]);
    let before = IN_USE.load(Ordering::Relaxed);
    let server = Server::new(KeyRing::new(key.clone()));
    let mut flood = Flood { key, nonces: Nonces::new(), server, now: Instant::now(), before };

    let stranger = seal(&Key::from_secret([2; 32]), &mut Nonces::new(), Packet::Hello, 0, |_| ());
    for host in 0..200_000 {
        flood.receive(host, &stranger.0);
    }
    assert!(flood.held() < MIB, "strangers: {}", flood.held());

    for _ in 0..200_000 {
        flood.session();
    }
    assert!(flood.held() < 4 * MIB, "hellos: {}", flood.held());

    for _ in 0..20_000 {
        let session = flood.session();
        flood.part(session, 1, 1_000_000);
    }
    assert!(flood.held() < 8 * MIB, "sessions: {}", flood.held());

    let session = flood.session();
    for sequence in 2..100_000 {
        flood.part(session, sequence, 8 << 20);
    }
    assert!(flood.held() < Server::MAX_HELD + 8 * MIB, "parts: {}", flood.held());

    // Whole requests that nobody answers.
    flood.now += Duration::from_secs(60);
    let mut executed = 0;
    for sequence in 100_000..200_000 {
        executed += usize::from(matches!(flood.part(session, sequence, 900), Received::Execute(_)));
    }
    assert_eq!(executed, 4096);
    assert!(flood.held() < Server::MAX_HELD + 10 * MIB, "running: {}", flood.held());

    // And whole requests answered with as much as an answer can be.
    for sequence in 100_000..104_096 {
        flood.server.answer(RequestId(sequence), vec![0; 60_000]);
    }
    assert!(flood.held() < Server::MAX_HELD + 20 * MIB, "answers: {}", flood.held());
}
