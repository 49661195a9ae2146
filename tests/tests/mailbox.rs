//! What the array makes of orders that hosts write by hand, block by block: half of one, one twice,
//! one that is spoiled, and those of many hosts at once.

use std::{fs, io, sync::Arc, time::Duration};

use lab::{Carrier, Lab};
use model::{GuardType, LdevId, MuNumber, PairEnd, Serial, VolumeId};
use protocol::{
    Kind, RequestId, codec,
    mailbox::{
        host::{Blocks, Mailbox},
        layout::{
            Answer, ClientId, Message, PIECE, Piece, State, UNIT, What, answer_area, request_area,
        },
    },
    orders::{
        CreateOptions, LocalEnd, Order, OrderAnswer, OrderError, PairChange, PairTarget, Reply,
    },
};
use scsi::hba::{Disk, Drive, Portal};
use tokio::task::JoinSet;

/// The first LDEV of group `many`, whose pairs are 4096 and 4096 + [`PAIRS`] and so on.
const FIRST: u32 = 4096;
const PAIRS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// The command device as a disk of the built-in initiator.
struct CommandDevice(Drive);

impl CommandDevice {
    fn of(lab: &Lab, host: &str) -> Self {
        let portal = Portal {
            address: format!("{}:3260", lab.ip()),
            initiator: format!("iqn.2026-11.internal.test:{host}"),
            chap: None,
            target_chap: None,
        };
        let target = "iqn.2026-11.internal.raidmanager:62496.cl2-c".to_owned();
        Self(Drive::new(Disk { portal, target, lun: 0 }))
    }

    /// What a slot's answer area begins with, once it says of this message what is to come.
    async fn says(&self, slot: u32, sequence: u32) -> (State, Vec<u8>) {
        loop {
            let area = self.read(answer_area(slot), PIECE.next_multiple_of(UNIT)).await.unwrap();
            let answer = Answer::decode(&area).unwrap();
            if answer.state != State::Working {
                assert_eq!(answer.sequence, sequence, "{answer:?}");
                return (answer.state, answer.body(&area).unwrap().to_vec());
            }
        }
    }

    async fn send(&self, slot: u32, message: &Message, body: &[u8]) {
        for (at, unit) in units(message, body).into_iter().enumerate().rev() {
            self.write(request_area(slot) + (at * UNIT) as u64, unit).await.unwrap();
        }
    }

    async fn claim(&self, slot: u32, client: ClientId) {
        self.send(slot, &Message { what: What::Claim, client, sequence: 1 }, &[]).await;
        assert_eq!(self.says(slot, 1).await.0, State::Taken);
    }
}

impl Blocks for CommandDevice {
    async fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.0.read(offset, length).await.map(Vec::from)
    }

    async fn write(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
        self.0.write(offset, data.into()).await
    }
}

/// A message as the units of its area.
fn units(message: &Message, body: &[u8]) -> Vec<Vec<u8>> {
    let mut area = [&message.encode(body)[..], body].concat();
    area.resize(area.len().next_multiple_of(UNIT), 0);
    area.chunks(UNIT).map(<[u8]>::to_vec).collect()
}

/// An order as one piece, numbered 2: the first after a claim.
fn whole(client: ClientId, id: RequestId, order: &[u8]) -> Message {
    let length = u32::try_from(order.len()).unwrap();
    let piece = Piece { kind: Kind::Change, id, total: length, at: 0, length, room: PIECE as u32 };
    Message { what: What::Piece(piece), client, sequence: 2 }
}

fn start() -> Lab {
    let mut lab = Lab::on(Carrier::InBand);
    lab.many_small_pairs(PAIRS, 1 << 20);
    lab.init_array().ok();
    lab.start_array();
    lab
}

fn volume(number: u32) -> LocalEnd {
    LocalEnd { ldev: LdevId::new(FIRST + number).unwrap(), mu: MuNumber::new(0).unwrap() }
}

/// Creates or dissolves pairs.
fn change(pairs: std::ops::Range<u32>, create: bool) -> Order {
    let options = CreateOptions { no_copy: true, ..CreateOptions::default() };
    let change = if create { PairChange::Create(options) } else { PairChange::Dissolve };
    let pairs = pairs.map(|n| {
        let LocalEnd { ldev, mu } = volume(PAIRS + n);
        let volume_id = VolumeId { serial: Serial::new(62_496).unwrap(), ldev };
        PairTarget { end: volume(n), partner: Some(PairEnd { volume: volume_id, mu }) }
    });
    Order::Change { change, pairs: pairs.collect() }
}

/// A guard of so many LDEVs; an order of more than a unit when they are many.
fn guard(count: usize) -> Order {
    let ldevs = vec![LdevId::new(FIRST).unwrap(); count];
    let guard = model::Guard::of(GuardType::Wtd);
    Order::SetGuard { ldevs, guard, retention_days: None }
}

/// How many changes the array says it has carried out.
fn carried_out(lab: &Lab) -> usize {
    let log = fs::read_to_string(lab.path("arrayd.log")).unwrap();
    log.lines().filter(|line| line.contains("carried out change ")).count()
}

fn done(answer: &[u8]) -> Result<Reply, OrderError> {
    codec::decode::<OrderAnswer>(answer).unwrap()
}

/// An order as a carrier carries it, of nobody.
fn given(order: &Order) -> Vec<u8> {
    codec::encode(&(None::<protocol::login::Token>, order))
}

#[tokio::test]
async fn half_an_order_is_no_order_until_the_rest_comes() {
    let lab = start();
    let (client, id) = (ClientId::random(), RequestId::random());
    let order = given(&guard(5000));
    assert!(order.len() > 2 * UNIT && order.len() < PIECE, "{}", order.len());
    let message = whole(client, id, &order);
    let half = units(&message, &order);
    let host = CommandDevice::of(&lab, "half");
    host.claim(5, client).await;
    // Everything but its head; then the connection goes away.
    for (at, unit) in half.iter().enumerate().skip(1) {
        host.write(request_area(5) + (at * UNIT) as u64, unit.clone()).await.unwrap();
    }
    drop(host);
    let host = CommandDevice::of(&lab, "half");
    assert_eq!(host.says(5, 1).await.0, State::Taken, "nothing has come but the claim");
    // Somebody else goes on meanwhile.
    let other = Mailbox::new(CommandDevice::of(&lab, "other"));
    let create = given(&change(0..1, true));
    let answer = other.call(RequestId::random(), Kind::Change, &create, PATIENCE).await.unwrap();
    assert_eq!(done(&answer), Ok(Reply::Done));
    assert_eq!(carried_out(&lab), 1);
    host.write(request_area(5), half[0].clone()).await.unwrap();
    let (state, answer) = host.says(5, 2).await;
    assert_eq!((state, done(&answer)), (State::Done, Ok(Reply::Done)));
    assert_eq!(carried_out(&lab), 2);
}

#[tokio::test]
async fn a_spoiled_order_is_told_so_and_changes_nothing() {
    let lab = start();
    let host = CommandDevice::of(&lab, "spoiled");
    let (client, id) = (ClientId::random(), RequestId::random());
    host.claim(0, client).await;
    let order = given(&change(0..PAIRS, true));
    let message = whole(client, id, &order);
    let right = units(&message, &order).concat();
    // A bit of the order, of the checksum, of what it is; an order that is cut short.
    for spoil in [64, right.len() - UNIT + 64 + order.len() - 1, 60, 6, 40] {
        let mut wrong = right.clone();
        wrong[spoil] ^= 0x40;
        host.write(request_area(0), wrong).await.unwrap();
        let area = host.read(answer_area(0), UNIT).await.unwrap();
        let state = Answer::decode(&area).unwrap().state;
        assert_eq!(state, State::Bad, "byte {spoil}");
        assert_eq!(carried_out(&lab), 0, "byte {spoil}");
    }
    // One whose head is no head is no message at all: the answer stands as it does.
    let mut wrong = right.clone();
    wrong[0] ^= 1;
    host.write(request_area(0), wrong).await.unwrap();
    assert_eq!(carried_out(&lab), 0);
    host.write(request_area(0), right).await.unwrap();
    let (state, answer) = host.says(0, 2).await;
    assert_eq!((state, done(&answer)), (State::Done, Ok(Reply::Done)));
    assert_eq!(carried_out(&lab), 1);
}

#[tokio::test]
async fn an_order_that_comes_again_is_answered_again_and_carried_out_once() {
    let lab = start();
    let id = RequestId::random();
    let order = given(&change(0..PAIRS, true));
    let (one, two) = (CommandDevice::of(&lab, "one"), CommandDevice::of(&lab, "two"));
    // The same message three times, then by other hosts in slots of their own, then by ways that
    // number their messages anew.
    let client = ClientId::random();
    one.claim(1, client).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        one.send(1, &whole(client, id, &order), &order).await;
        answers.push(one.says(1, 2).await);
    }
    for slot in 2..5 {
        let client = ClientId::random();
        two.claim(slot, client).await;
        two.send(slot, &whole(client, id, &order), &order).await;
        answers.push(two.says(slot, 2).await);
    }
    for (state, answer) in answers {
        assert_eq!((state, done(&answer)), (State::Done, Ok(Reply::Done)));
    }
    let mailbox = Mailbox::new(two);
    let answer = mailbox.call(id, Kind::Change, &order, PATIENCE).await.unwrap();
    assert_eq!(done(&answer), Ok(Reply::Done));
    assert_eq!(carried_out(&lab), 1);
    // Under another name it is another order: carried out twice would show.
    let other = mailbox.call(RequestId::random(), Kind::Change, &order, PATIENCE).await.unwrap();
    assert_eq!(done(&other), Ok(Reply::Done));
    assert_eq!(carried_out(&lab), 2);
}

#[tokio::test]
async fn a_slot_is_not_used_by_whom_it_does_not_belong_to() {
    let lab = start();
    let (one, two) = (CommandDevice::of(&lab, "one"), CommandDevice::of(&lab, "two"));
    let (owner, thief) = (ClientId::random(), ClientId::random());
    one.claim(3, owner).await;
    let order = given(&change(0..PAIRS, true));
    let claim = Message { what: What::Claim, client: thief, sequence: 1 };
    for message in [claim, whole(thief, RequestId::random(), &order)] {
        two.send(3, &message, &order).await;
    }
    let release = Message { what: What::Release, client: thief, sequence: 3 };
    two.send(3, &release, &[]).await;
    assert_eq!(carried_out(&lab), 0);
    one.send(3, &whole(owner, RequestId::random(), &order), &order).await;
    let (state, answer) = one.says(3, 2).await;
    assert_eq!((state, done(&answer)), (State::Done, Ok(Reply::Done)));
    // The plate, answers and what is behind the last slot take no writes.
    for offset in [0, answer_area(3), 1 << 30] {
        let refused = two.write(offset, vec![1; UNIT]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{offset}: {refused}");
    }
    assert_eq!(carried_out(&lab), 1);
}

/// Hosts that write to the mailbox beside the two instances, and what each does.
const HOSTS: u32 = 4;
const ROUNDS: usize = 25;

#[tokio::test]
async fn two_instances_and_four_hosts_share_a_mailbox() {
    let mut lab = start();
    lab.start(&[50, 51]).ok();
    let lab = Arc::new(lab);
    let mut all = JoinSet::new();
    for n in 0..HOSTS {
        let mailbox = Mailbox::new(CommandDevice::of(&lab, &format!("host{n}")));
        all.spawn(async move {
            for round in 0..ROUNDS {
                let order = given(&change(n..n + 1, round % 2 == 0));
                let id = RequestId::random();
                let answer = mailbox.call(id, Kind::Change, &order, PATIENCE).await.unwrap();
                assert_eq!(done(&answer), Ok(Reply::Done), "host {n}, round {round}");
            }
            mailbox.close().await.unwrap();
        });
    }
    // Volumes beyond the hosts' own belong to the instances.
    for (instance, pair, side) in [(50, HOSTS, "-vl"), (51, HOSTS + 1, "-vr")] {
        let lab = Arc::clone(&lab);
        all.spawn_blocking(move || {
            for round in 0..ROUNDS {
                let what = format!("-g many -d dev{pair}");
                let line = match round % 2 {
                    0 => format!("paircreate {what} {side} -nocopy"),
                    _ => format!("pairsplit {what} -S"),
                };
                lab.cci(instance, &line).ok();
            }
        });
    }
    all.join_all().await;
    assert_eq!(carried_out(&lab), (HOSTS as usize + 2) * ROUNDS);
    for n in 0..HOSTS + 2 {
        let status = lab.cci(50, &format!("pairvolchk -g many -d dev{n} -ss"));
        assert_eq!(status.code, Some(23), "{status}");
    }
}
