//! What others can do to a server and a client with datagrams: nothing, and no answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::client::Client;
use protocol::frame::{Cut, Label, Part, Welcome};
use protocol::server::{Received, Request, Server};
use protocol::wire::{Header, Nonces, Packet, open, seal};
use protocol::{Key, KeyRing, Kind, RequestId};

const PATIENCE: Duration = Duration::from_secs(5);

struct Pair {
    now: Instant,
    key: Key,
    from: SocketAddr,
    client: Client,
    server: Server,
}

impl Pair {
    fn new() -> Self {
        let key = Key::from_secret([1; 32]);
        Self {
            now: Instant::now(),
            from: "192.0.2.9:4000".parse().unwrap(),
            client: Client::new("192.0.2.1:31000".parse().unwrap(), key.clone()),
            server: Server::new(KeyRing::new(key.clone())),
            key,
        }
    }

    fn receive(&mut self, datagram: &[u8]) -> Received {
        self.server.receive(self.now, self.from, datagram)
    }

    /// Begins a call; the Hello it leads to, and the Welcome, when there was no session yet.
    fn hello(&mut self, id: u128) -> (Vec<u8>, Vec<u8>) {
        self.client
            .start(self.now, RequestId(id), Kind::Change, b"body".to_vec(), PATIENCE)
            .unwrap();
        let hello = self.client.poll_transmit().unwrap();
        let Received::Reply(welcome) = self.receive(&hello) else { panic!("no welcome") };
        (hello, welcome.datagram)
    }

    /// A request on its way to the server in a session.
    fn request(&mut self, id: u128) -> Vec<u8> {
        let (_, welcome) = self.hello(id);
        self.client.receive(self.now, &welcome);
        self.client.poll_transmit().unwrap()
    }

    fn execute(&mut self, datagram: &[u8]) -> Request {
        match self.receive(datagram) {
            Received::Execute(request) => request,
            other => panic!("not executed: {other:?}"),
        }
    }
}

#[test]
fn an_altered_datagram_changes_nothing_and_gets_no_answer() {
    let mut pair = Pair::new();
    let request = pair.request(1);
    let mut strangers = 0;
    for at in 0..request.len() {
        for bit in 0..8 {
            let mut altered = request.clone();
            altered[at] ^= 1 << bit;
            match pair.receive(&altered) {
                Received::Nothing => {}
                // A changed key id is another key, as far as anyone can tell.
                Received::Stranger(..) if (8..16).contains(&at) => strangers += 1,
                other => panic!("byte {at} bit {bit}: {other:?}"),
            }
        }
    }
    assert_eq!(strangers, 1, "told once a minute");
    assert_eq!(pair.execute(&request).body, b"body", "the window did not move");
}

#[test]
fn a_truncated_or_lengthened_datagram_gets_no_answer() {
    let mut pair = Pair::new();
    let request = pair.request(1);
    for len in 0..request.len() {
        assert_eq!(pair.receive(&request[..len]), Received::Nothing);
    }
    let mut longer = request.clone();
    longer.push(0);
    assert_eq!(pair.receive(&longer), Received::Nothing);
    assert_eq!(pair.receive(&[0; 70_000]), Received::Nothing);
    pair.execute(&request);
}

#[test]
fn a_wrongly_keyed_datagram_gets_no_answer() {
    let mut pair = Pair::new();
    let request = pair.request(1);
    let mut stranger = Pair::new();
    stranger.server = Server::new(KeyRing::new(Key::from_secret([2; 32])));
    assert!(matches!(stranger.receive(&request), Received::Stranger(host, key)
        if host == stranger.from.ip() && key == pair.key.id()));
    assert_eq!(stranger.receive(&request), Received::Nothing);

    // The right key id over the wrong key.
    let mut forged = request.clone();
    let other = Key::from_secret([2; 32]);
    let (sealed, _) = seal(&other, &mut Nonces::new(), Packet::Hello, 0, |_| ());
    forged.truncate(16);
    forged.extend_from_slice(&sealed[16..]);
    forged[5] = Packet::Hello as u8;
    assert_eq!(pair.receive(&forged), Received::Nothing);
}

#[test]
fn a_replayed_datagram_gets_no_answer_whenever_it_comes() {
    let mut pair = Pair::new();
    let (hello, welcome) = pair.hello(1);
    pair.client.receive(pair.now, &welcome);
    let request = pair.client.poll_transmit().unwrap();
    assert_eq!(pair.receive(&hello), Received::Nothing);
    pair.execute(&request);
    assert_eq!(pair.receive(&request), Received::Nothing, "while it is executed");
    let answer = pair.server.answer(RequestId(1), b"done".to_vec()).unwrap();
    assert_eq!(pair.receive(&request), Received::Nothing, "after its answer");
    assert_eq!(pair.receive(&hello), Received::Nothing);
    assert!(pair.server.answer(RequestId(1), b"again".to_vec()).is_none());

    // To the client, too: one answer, and what comes after is for nobody.
    pair.client.receive(pair.now, &answer.datagram);
    assert!(matches!(pair.client.poll_done(), Some((RequestId(1), Ok(body))) if body == b"done"));
    for datagram in [&answer.datagram, &welcome, &hello, &request] {
        pair.client.receive(pair.now, datagram);
        assert!(pair.client.poll_done().is_none() && pair.client.poll_transmit().is_none());
    }

    // A server that started anew has other sessions.
    pair.server = Server::new(KeyRing::new(pair.key.clone()));
    assert_eq!(pair.receive(&request), Received::Nothing);
}

#[test]
fn a_hello_of_an_earlier_run_opens_a_session_that_nobody_can_use() {
    let mut pair = Pair::new();
    let request = pair.request(1);
    let (hello, _) = Pair::new().hello(1);
    pair.server = Server::new(KeyRing::new(pair.key.clone()));
    assert!(matches!(pair.receive(&hello), Received::Reply(_)));
    assert_eq!(pair.receive(&request), Received::Nothing);
    assert_eq!(pair.receive(&hello), Received::Nothing);
}

#[test]
fn an_old_answer_is_not_taken_for_a_call_repeated_under_its_id() {
    let mut pair = Pair::new();
    let request = pair.request(1);
    pair.execute(&request);
    let answer = pair.server.answer(RequestId(1), b"old".to_vec()).unwrap();
    pair.client.receive(pair.now, &answer.datagram);
    assert!(pair.client.poll_done().is_some());
    pair.client.start(pair.now, RequestId(1), Kind::Read, vec![], PATIENCE).unwrap();
    pair.client.receive(pair.now, &answer.datagram);
    assert!(pair.client.poll_done().is_none());
}

#[test]
fn a_played_back_working_does_not_feed_the_patience() {
    let mut pair = Pair::new();
    let request = pair.request(1);
    pair.execute(&request);
    pair.now += Duration::from_millis(20);
    pair.client.timeout(pair.now);
    let again = pair.client.poll_transmit().unwrap();
    let Received::Reply(working) = pair.receive(&again) else { panic!("no status") };
    let until = pair.now + PATIENCE;
    while pair.now < until {
        pair.client.receive(pair.now, &working.datagram);
        pair.now = pair.client.next_timeout().unwrap();
        pair.client.timeout(pair.now);
        if let Some((_, result)) = pair.client.poll_done() {
            assert!(result.is_err());
            return;
        }
        pair.now += Duration::from_millis(1);
    }
    // The status counted once, when it first came.
    pair.client.timeout(pair.now);
    assert!(pair.client.poll_done().is_some());
}

#[test]
fn frames_that_do_not_belong_get_no_answer_even_from_a_holder_of_the_key() {
    let mut pair = Pair::new();
    let (_, welcome) = pair.hello(1);
    let header = Header::read(&welcome).unwrap();
    let session = Welcome::read(&open(&pair.key, &header, &welcome).unwrap()).unwrap().session;
    let mut nonces = Nonces::new();
    let key = pair.key.clone();
    let mut send = |packet, frame: &[u8]| {
        let (datagram, _) =
            seal(&key, &mut nonces, packet, frame.len(), |out| out.extend_from_slice(frame));
        pair.receive(&datagram)
    };
    let label = Label { session, sequence: 1, id: RequestId(5) };
    let cut = Cut { total: 3, chunk: 512 };
    let part =
        Part { label, kind: Kind::Change, tell: true, room: 0, cut, index: 0, bytes: b"abc" };
    let mut frame = Vec::new();
    part.write(&mut frame);
    for packet in [Packet::Welcome, Packet::Answer, Packet::Status, Packet::Hello] {
        assert_eq!(send(packet, &frame), Received::Nothing);
    }
    for len in 0..frame.len() {
        assert_eq!(send(Packet::Request, &frame[..len]), Received::Nothing);
    }
    assert!(matches!(send(Packet::Request, &frame), Received::Execute(_)));
}

#[test]
fn hosts_that_are_not_allowed_get_no_answer() {
    let mut pair = Pair::new();
    let (hello, _) = Pair::new().hello(1);
    pair.server.allow_only(["192.0.2.10".parse().unwrap()]);
    assert_eq!(pair.receive(&hello), Received::Nothing);
    pair.from = "[::ffff:192.0.2.10]:1".parse().unwrap();
    assert!(matches!(pair.receive(&hello), Received::Reply(_)));
}
