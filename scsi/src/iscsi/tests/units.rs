//! Logical units of one session beside each other.

use bytes::Bytes;
use futures_util::future::{join, join_all};
use tokio::task::JoinSet;

use super::{Serving, TARGET, host, pattern, read10, within, write10};
use crate::{
    iscsi::{initiator::Session, portal::Limits},
    task::LunAddress,
};

const MIB: usize = 1 << 20;

fn unit(number: u16) -> LunAddress {
    LunAddress::from_number(number).unwrap()
}

/// Writes so many bytes to a unit, and reads them back.
async fn there_and_back(session: &Session, lun: LunAddress, length: usize) {
    let (blocks, data) = ((length / 512) as u16, Bytes::from(pattern(length, lun.0 as u32)));
    let wrote = within(session.command(lun, &write10(0, blocks), data.clone(), 0)).await.unwrap();
    assert_eq!(wrote.status, 0);
    let cdb = read10(0, blocks);
    let read = session.command(lun, &cdb, Bytes::new(), length as u32);
    assert!(within(read).await.unwrap().data == data);
}

/// A unit that does not answer has as many commands as the session's room holds, and some more.
async fn beside_a_stuck_unit(limits: Limits, writes: bool) {
    let serving = Serving::open(limits.clone()).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    *serving.disk.stuck.lock().unwrap() = Some(unit(3));
    let count = limits.buffered / MIB + 8;
    let mut stuck = JoinSet::new();
    for _ in 0..count {
        let session = session.clone();
        stuck.spawn(async move {
            let data = if writes { Bytes::from(vec![1; MIB]) } else { Bytes::new() };
            let cdb = if writes { write10(0, 2048) } else { read10(0, 2048) };
            let expected = if writes { 0 } else { MIB as u32 };
            session.command(unit(3), &cdb, data, expected).await.unwrap().status
        });
    }
    // They leave before what follows; some of them reach the disk and stay there.
    while serving.disk.begun.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for lun in [0, 1, 2] {
        for length in [512, 4096, 64 << 10, 128 << 10, MIB] {
            there_and_back(&session, unit(lun), length).await;
        }
    }
    assert!(stuck.try_join_next().is_none(), "none of them has been answered");
    serving.disk.release.add_permits(count);
    assert!(within(stuck.join_all()).await.iter().all(|status| *status == 0));
    serving.stop().await;
}

#[tokio::test]
async fn a_unit_that_does_not_answer_its_reads_leaves_the_others_room() {
    beside_a_stuck_unit(Limits { buffered: 8 * MIB, ..Limits::default() }, false).await;
}

#[tokio::test]
async fn nor_does_one_that_does_not_answer_its_writes() {
    beside_a_stuck_unit(Limits { buffered: 8 * MIB, ..Limits::default() }, true).await;
}

#[tokio::test]
async fn a_unit_alone_moves_more_than_its_part_and_more_than_the_room() {
    let limits = Limits { buffered: MIB / 2, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    for length in [128 << 10, 256 << 10, MIB, 8 * MIB] {
        there_and_back(&session, unit(0), length).await;
    }
    serving.stop().await;
}

/// What came later, and has room, waits for what came before it: it must not keep that room away.
#[tokio::test]
async fn commands_of_a_unit_get_their_room_in_turn() {
    let serving = Serving::open(Limits { buffered: 8 * MIB, ..Limits::default() }).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    *serving.disk.stuck.lock().unwrap() = Some(unit(3));
    // The unit's part is 2 MiB: the second does not fit beside the first, the others would.
    let reads = [3 * MIB / 2, 2 * MIB, MIB / 4, 4096].map(|length| {
        let (session, cdb) = (&session, read10(0, (length / 512) as u16));
        async move { session.command(unit(3), &cdb, Bytes::new(), length as u32).await.unwrap() }
    });
    let released = async {
        // Sent last, answered: the target has them all.
        there_and_back(&session, unit(0), 4096).await;
        serving.disk.release.add_permits(4);
    };
    let (replies, ()) = within(join(join_all(reads), released)).await;
    assert!(replies.iter().all(|reply| reply.status == 0));
    serving.stop().await;
}
