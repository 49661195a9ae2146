//! Both sides together, over blocks that lose, tear and forget.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    device::{Device, LEASE, NoMailbox},
    host::{Blocks, Mailbox, MailboxError},
    layout::{
        AREA, Answer, ClientId, HEAD, Message, PIECE, Piece, Plate, State, UNIT, What, answer_area,
        request_area,
    },
};
use crate::{call::Kind, request_id::RequestId};

const PATIENCE: Duration = Duration::from_secs(30);

fn plate(slots: u32) -> Plate {
    Plate { slots, serial: 62_496, ldev: 16 }
}

/// An array: answers an order with its bytes turned around.
#[derive(Clone)]
struct Lab {
    device: Arc<Mutex<Device>>,
    executed: Arc<Mutex<HashSet<RequestId>>>,
    slots: u32,
    /// Writes until the array starts anew, in the midst of them.
    restart: Arc<AtomicUsize>,
    /// Writes until one loses its second half.
    torn: Arc<AtomicUsize>,
    answers: Arc<AtomicBool>,
}

impl Lab {
    fn new(slots: u32) -> Self {
        Self {
            device: Arc::new(Mutex::new(Device::new(plate(slots)))),
            executed: Arc::default(),
            slots,
            restart: Arc::new(AtomicUsize::new(usize::MAX)),
            torn: Arc::new(AtomicUsize::new(usize::MAX)),
            answers: Arc::new(AtomicBool::new(true)),
        }
    }
}

fn due(counter: &AtomicUsize) -> bool {
    counter.fetch_sub(1, Ordering::SeqCst) == 0
}

impl Blocks for Lab {
    async fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        assert!(offset.is_multiple_of(UNIT as u64) && length.is_multiple_of(UNIT), "aligned");
        // Others have their turn between any two steps.
        tokio::task::yield_now().await;
        if !self.answers.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let mut bytes = vec![1; length];
        self.device.lock().unwrap().read(offset, &mut bytes);
        Ok(bytes)
    }

    async fn write(&self, offset: u64, mut data: Vec<u8>) -> io::Result<()> {
        assert!(offset.is_multiple_of(UNIT as u64) && data.len().is_multiple_of(UNIT), "aligned");
        tokio::task::yield_now().await;
        if due(&self.torn) {
            data.truncate(data.len() / 2);
        }
        let mut device = self.device.lock().unwrap();
        // As a kernel divides a long write.
        for (n, part) in data.chunks(2 * UNIT).enumerate() {
            let at = offset + (n * 2 * UNIT) as u64;
            for order in device
                .write(Instant::now(), at, part)
                .map_err(|NoMailbox| io::Error::from(io::ErrorKind::PermissionDenied))?
            {
                let restarts = due(&self.restart);
                self.executed.lock().unwrap().insert(order.id);
                let answer = order.body.iter().rev().copied().take(order.room).collect();
                if restarts {
                    *device = Device::new(plate(self.slots));
                } else {
                    device.answer(order.slot, order.id, answer);
                }
            }
        }
        Ok(())
    }
}

fn order(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ seed).collect()
}

async fn call(mailbox: &Mailbox<Lab>, order: &[u8]) {
    let id = RequestId::random();
    let answer = mailbox.call(id, Kind::Change, order, PATIENCE).await.unwrap();
    let wanted: Vec<u8> = order.iter().rev().copied().take(PIECE).collect();
    assert!(answer == wanted, "{} bytes", order.len());
}

#[tokio::test]
async fn orders_of_any_size_go_there_and_answers_come_back() {
    let mailbox = Mailbox::new(Lab::new(7));
    for length in [1, UNIT - HEAD, UNIT - HEAD + 1, PIECE, PIECE + 1, 300_000, 8 << 20] {
        call(&mailbox, &order(length, 5)).await;
    }
    let id = RequestId::random();
    let large = mailbox.call(id, Kind::Read, &order((8 << 20) + 1, 0), PATIENCE).await;
    assert!(matches!(large, Err(MailboxError::TooLarge)));
    mailbox.close().await.unwrap();
    let mut head = vec![0; UNIT];
    for slot in 0..7 {
        mailbox.blocks().device.lock().unwrap().read(answer_area(slot), &mut head);
        assert_eq!(Answer::decode(&head).unwrap().state, State::Free, "slot {slot}");
    }
}

#[tokio::test]
async fn many_hosts_share_few_slots_and_none_sees_the_answer_of_another() {
    let lab = Lab::new(2);
    let host = |seed: u8| {
        let lab = lab.clone();
        tokio::spawn(async move {
            let mailbox = Mailbox::new(lab);
            for n in 0..5u8 {
                let order = order(1000 + usize::from(n) * 40_000, seed * 16 + n);
                let id = RequestId::random();
                loop {
                    // All slots may be taken for a moment: as a caller does, it tries again.
                    match mailbox.call(id, Kind::Change, &order, PATIENCE).await {
                        Ok(answer) => {
                            let wanted: Vec<u8> = order.iter().rev().copied().take(PIECE).collect();
                            break assert!(answer == wanted);
                        }
                        Err(MailboxError::NoSlot) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
                mailbox.close().await.unwrap();
            }
        })
    };
    for host in (0..6).map(host).collect::<Vec<_>>() {
        host.await.unwrap();
    }
    assert_eq!(lab.executed.lock().unwrap().len(), 30);
}

#[tokio::test]
async fn an_array_that_starts_anew_in_the_midst_is_asked_again_under_the_same_id() {
    for after in 0..3 {
        let lab = Lab::new(4);
        let mailbox = Mailbox::new(lab.clone());
        call(&mailbox, b"before").await;
        lab.restart.store(after, Ordering::SeqCst);
        for n in 0..4 {
            call(&mailbox, &order(100_000, n)).await;
        }
        assert_eq!(lab.executed.lock().unwrap().len(), 5, "no order under two names");
    }
}

#[tokio::test]
async fn half_a_message_is_noticed_and_sent_again() {
    for write in 0..12 {
        let lab = Lab::new(4);
        let mailbox = Mailbox::new(lab.clone());
        lab.torn.store(write, Ordering::SeqCst);
        call(&mailbox, &order(200_000, 1)).await;
        call(&mailbox, &order(60_000, 2)).await;
    }
}

#[tokio::test]
async fn who_gets_no_answer_is_told_so_in_time() {
    let lab = Lab::new(4);
    let mailbox = Mailbox::new(lab.clone());
    call(&mailbox, b"before").await;
    lab.answers.store(false, Ordering::SeqCst);
    let silent = mailbox.call(RequestId(1), Kind::Read, b"x", Duration::from_millis(50)).await;
    assert!(matches!(silent, Err(MailboxError::Silent)));
}

/// What a device says of a slot.
fn stands(device: &Device, slot: u32) -> (State, u32) {
    let mut head = [0; HEAD];
    device.read(answer_area(slot), &mut head);
    let head = Answer::decode(&head).unwrap();
    (head.state, head.sequence)
}

fn message(what: What, client: u8, sequence: u32, body: &[u8]) -> Vec<u8> {
    let message = Message { what, client: ClientId([client; 16]), sequence };
    [&message.encode(body)[..], body].concat()
}

fn piece(total: u32, at: u32, length: u32) -> What {
    What::Piece(Piece { kind: Kind::Change, id: RequestId(7), total, at, length, room: 9999 })
}

#[test]
fn a_slot_is_its_owners_until_it_was_silent_for_long() {
    let (mut device, now) = (Device::new(plate(2)), Instant::now());
    let claim = |client| message(What::Claim, client, 1, &[]);
    let at = request_area(1);
    device.write(now, at, &claim(1)).unwrap();
    assert_eq!(stands(&device, 1), (State::Taken, 1));
    device.write(now + LEASE, at, &claim(2)).unwrap();
    let order = device.write(now + LEASE, at, &message(piece(3, 0, 3), 1, 2, b"abc")).unwrap();
    assert_eq!(order[0].body, b"abc", "the first is still its owner");
    let late = now + LEASE * 3;
    device.write(late, at, &claim(2)).unwrap();
    assert_eq!(stands(&device, 1), (State::Working, 2), "what is executed stays");
    device.answer(1, RequestId(7), b"cba".to_vec());
    device.write(late, at, &claim(2)).unwrap();
    let again = device.write(late, at, &message(piece(3, 0, 3), 1, 3, b"abc")).unwrap();
    assert!(again.is_empty(), "the second is the owner now");
}

#[test]
fn a_message_written_twice_is_one_and_a_wrong_one_changes_nothing() {
    let (mut device, now) = (Device::new(plate(1)), Instant::now());
    let at = request_area(0);
    let mut write = |bytes: &[u8]| device.write(now, at, bytes).unwrap().len();
    write(&message(What::Claim, 1, 1, &[]));
    // Its second half comes first in order, and is of an order that nobody began.
    assert_eq!(write(&message(piece(6, 3, 3), 1, 2, b"def")), 0);
    assert_eq!(write(&message(piece(6, 0, 3), 1, 3, b"abc")), 0);
    assert_eq!(write(&message(piece(6, 0, 3), 1, 3, b"abc")), 0, "again");
    let mut spoiled = message(piece(6, 3, 3), 1, 4, b"def");
    spoiled[HEAD] ^= 1;
    assert_eq!(write(&spoiled), 0);
    assert_eq!(write(&message(piece(6, 3, 3), 1, 5, b"def")), 1);
    assert_eq!(write(&message(piece(6, 3, 3), 1, 5, b"def")), 0, "executed once");
    assert_eq!(stands(&device, 0), (State::Working, 5));
    assert!(device.is_awaited(answer_area(0), UNIT));
    device.answer(0, RequestId(8), b"of another order".to_vec());
    assert_eq!(stands(&device, 0), (State::Working, 5));
    device.answer(0, RequestId(7), b"fedcba".to_vec());
    assert!(!device.is_awaited(answer_area(0), UNIT));
    let mut area = vec![0; AREA];
    device.read(answer_area(0), &mut area);
    assert_eq!(Answer::decode(&area).unwrap().body(&area), Some(&b"fedcba"[..]));
    // Read piece by piece it is the same, also over the border of two areas.
    for step in [1, 63, 64, 65, 4096] {
        let mut pieces = Vec::new();
        for from in (0..2 * AREA).step_by(step) {
            let mut part = vec![7; step.min(2 * AREA - from)];
            device.read(request_area(0) + from as u64, &mut part);
            pieces.extend(part);
        }
        assert!(pieces[AREA..] == area[..] && pieces[..AREA].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn only_request_areas_take_writes_and_nothing_is_kept_for_nobody() {
    let (mut device, now) = (Device::new(plate(2)), Instant::now());
    for at in [0, 4096, answer_area(0), request_area(2), u64::MAX - 5000] {
        assert_eq!(device.write(now, at, &[1; 4096]), Err(NoMailbox), "{at}");
    }
    assert_eq!(device.write(now, request_area(0), &vec![1; AREA + 1]), Err(NoMailbox));
    device.write(now, request_area(0), &vec![1; AREA]).unwrap();
    assert_eq!(stands(&device, 0), (State::Free, 0));
    let mut page = [1; 128];
    device.read(0, &mut page);
    assert_eq!(Plate::decode(&page), Some(plate(2)));
}

#[test]
fn what_owners_left_half_sent_is_given_up_and_what_is_executed_counts() {
    let (mut device, now) = (Device::new(plate(40)), Instant::now());
    let body = vec![1; PIECE];
    let total = 8 << 20;
    let pieces = total / PIECE as u32;
    let fill = |device: &mut Device, slot: u32, pieces: u32, now: Instant| {
        let client = slot as u8 + 1;
        let at = request_area(slot);
        device.write(now, at, &message(What::Claim, client, 1, &[])).unwrap();
        for n in 0..pieces {
            let piece = piece(total, n * PIECE as u32, PIECE as u32);
            device.write(now, at, &message(piece, client, n + 2, &body)).unwrap();
        }
    };
    for slot in 0..9 {
        fill(&mut device, slot, pieces, now);
    }
    assert_eq!(stands(&device, 0).0, State::Taken);
    assert_eq!(stands(&device, 8).0, State::Busy, "64 MiB are held");
    let later = now + LEASE + Duration::from_secs(1);
    fill(&mut device, 9, 1, later);
    assert_eq!(stands(&device, 9), (State::Taken, 2), "their owners are gone");

    let mut device = Device::new(plate(40));
    let rest = total - pieces * PIECE as u32;
    for slot in 0..9 {
        fill(&mut device, slot, pieces, now);
        let last = piece(total, pieces * PIECE as u32, rest);
        let last = message(last, slot as u8 + 1, pieces + 2, &body[..rest as usize]);
        let taken = device.write(now, request_area(slot), &last).unwrap().len();
        assert_eq!(taken, usize::from(slot < 8), "slot {slot}");
        // Given back while it is executed, it would hold nothing any more.
        let release = message(What::Release, slot as u8 + 1, pieces + 3, &[]);
        device.write(later, request_area(slot), &release).unwrap();
    }
    assert_eq!(stands(&device, 0), (State::Working, pieces + 2));
}
