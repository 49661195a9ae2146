//! What memory sessions may hold, each and together.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::{Serving, TARGET, host, raw::Raw, read, read10, within, write, write10};
use crate::{
    iscsi::{
        initiator::{Initiator, InitiatorError},
        pdu::{DataOut, NO_TAG, NopOut, Response, ScsiCommand},
        portal::Limits,
    },
    task::LunAddress,
};

#[tokio::test]
async fn what_commands_need_besides_data_counts_as_well() {
    // A quarter of it for a unit: two of them.
    let serving = Serving::open(Limits { buffered: 8 << 20, ..Limits::default() }).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let ping = NopOut { immediate: true, itt: 50, ttt: NO_TAG, ..NopOut::default() };
    for itt in 0..5 {
        let command = raw.command(itt, &[0xc1, 0, 0, 0, 0, 0]);
        raw.send(command.write(), &[]).await;
    }
    for begun in [2, 3, 4, 5] {
        // The answer says that all before it has been looked at.
        raw.send(ping.write(), &[]).await;
        assert!(matches!(raw.response().await, Some(Response::NopIn(_))));
        assert_eq!(serving.disk.begun.lock().unwrap().len(), begun);
        serving.disk.release.add_permits(1);
        assert!(matches!(raw.response().await, Some(Response::ScsiResponse(_))));
    }
    serving.disk.release.add_permits(1);
    assert!(matches!(raw.response().await, Some(Response::ScsiResponse(_))));
    serving.stop().await;
}

/// Sends writes of 1 MiB without their data; how many of them were asked for it.
async fn hoard(raw: &mut Raw, count: u32) -> u32 {
    for itt in 0..count {
        let write =
            ScsiCommand { write: true, expected: 1 << 20, ..raw.command(itt, &write10(0, 2048)) };
        raw.send(write.write(), &[]).await;
    }
    let ping = NopOut { immediate: true, itt: 99, ttt: NO_TAG, ..NopOut::default() };
    raw.send(ping.write(), &[]).await;
    let mut asked = 0;
    while let Some(Response::R2t(_)) = raw.response().await {
        asked += 1;
    }
    asked
}

const SOLICITED: [(&str, &str); 2] = [("ImmediateData", "No"), ("InitialR2T", "Yes")];

#[tokio::test]
async fn who_hoards_room_leaves_as_much_to_others_and_gives_it_back_at_the_end() {
    let (buffered_always, buffered_by_all) = (64 << 10, 4 << 20);
    let limits = Limits { buffered_always, buffered_by_all, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let mut hoarder = Raw::login(&serving, &SOLICITED).await;
    assert_eq!(hoard(&mut hoarder, 20).await, 2, "and as much is left");
    let data = Bytes::from(vec![6; 1 << 20]);
    let other = Initiator::new("iqn.2026-11.test:other").unwrap();
    let other = within(other.login(serving.address, TARGET)).await.unwrap();
    assert_eq!(write(&other, 0, 2048, data.clone()).await.status, 0);
    // Nearly everything, so that the rest waits, but for little things.
    let mut third = Raw::login_as(&serving, "iqn.2026-11.test:third", &SOLICITED).await;
    let mut fourth = Raw::login_as(&serving, "iqn.2026-11.test:fourth", &SOLICITED).await;
    assert_eq!((hoard(&mut third, 1).await, hoard(&mut fourth, 1).await), (1, 1));
    assert_eq!(read(&other, 0, 128, 65536).await.data, data.slice(..65536));
    let (wrote, ()) = tokio::join!(write(&other, 0, 2048, data), async {
        // The answer says that the write has come.
        within(other.ping(Bytes::new())).await.unwrap();
        drop(hoarder);
    });
    assert_eq!(wrote.status, 0);
    serving.stop().await;
}

#[tokio::test]
async fn a_command_that_starves_leaves_little_ones_what_is_their_session_s() {
    let (buffered_always, buffered_by_all) = (128 << 10, 1 << 20);
    let limits = Limits { buffered_always, buffered_by_all, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let mut hoarder = Raw::login_as(&serving, "iqn.2026-11.test:hoarder", &SOLICITED).await;
    assert_eq!(hoard(&mut hoarder, 1).await, 1);
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    let stuck = LunAddress::from_number(3).unwrap();
    *serving.disk.stuck.lock().unwrap() = Some(stuck);
    let starves = read(&session, 0, 2048, 1 << 20);
    let little = [(); 3].map(|()| async {
        let cdb = read10(0, 128);
        let read = session.command(stuck, &cdb, Bytes::new(), 64 << 10).await.unwrap();
        assert_eq!(read.status, 0);
    });
    let others = async {
        let released = async {
            // Sent last, answered: the target has them all, and two of them fill what is its own.
            within(session.ping(Bytes::new())).await.unwrap();
            serving.disk.release.add_permits(3);
        };
        within(join(join_all(little), released)).await;
        drop(hoarder);
    };
    let (read, ()) = within(join(starves, others)).await;
    assert_eq!(read.data.len(), 1 << 20);
    serving.stop().await;
}

#[tokio::test]
async fn unsolicited_data_that_finds_no_room_is_answered_task_set_full() {
    let room = 64 << 10;
    let limits = Limits {
        buffered: room,
        buffered_always: room,
        buffered_by_all: room,
        ..Limits::default()
    };
    let serving = Serving::open(limits).await;
    let mut raw = Raw::login(&serving, &[("ImmediateData", "Yes"), ("InitialR2T", "No")]).await;
    for itt in 0..3 {
        let command = raw.command(itt, &write10(itt * 128, 128));
        let write = ScsiCommand { write: true, last: false, expected: 65536, ..command };
        raw.send(write.write(), &[]).await;
    }
    let answer = raw.response().await;
    let Some(Response::ScsiResponse(answer)) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.itt, answer.status), (2, 0x28));
    for itt in [2, 1, 0] {
        for n in 0..8 {
            let (offset, last) = (n * 8192, n == 7);
            let data = DataOut { last, itt, ttt: NO_TAG, data_sn: n, offset, ..DataOut::default() };
            raw.send(data.write(), &[7; 8192]).await;
        }
    }
    for _ in 0..2 {
        let answer = raw.response().await;
        let Some(Response::ScsiResponse(answer)) = answer else { panic!("{answer:?}") };
        assert_eq!(answer.status, 0);
    }
    assert!(raw.ready(9).await);
    assert!(
        serving.disk.bytes.lock().unwrap()[..3 << 16].iter().eq(&[
            [7; 2 << 16].to_vec(),
            vec![0; 1 << 16]
        ]
        .concat())
    );
    serving.stop().await;
}

#[tokio::test]
async fn data_that_was_asked_for_has_to_come() {
    let (idle, data_within) = (Duration::from_millis(50), Duration::from_millis(50));
    let serving = Serving::open(Limits { idle, data_within, ..Limits::default() }).await;
    let mut raw = Raw::login(&serving, &SOLICITED).await;
    assert_eq!(hoard(&mut raw, 1).await, 1);
    // It lives, and says so.
    let ping = NopOut { immediate: true, itt: 50, ttt: NO_TAG, ..NopOut::default() };
    within(async {
        loop {
            raw.send(ping.write(), &[]).await;
            if raw.receive().await.is_none() {
                return;
            }
        }
    })
    .await;
    serving.disk.closed(1).await;
    serving.stop().await;
}

#[tokio::test]
async fn commands_that_outlive_their_session_are_counted_while_they_are_there() {
    let limits = Limits {
        drain: Duration::ZERO,
        sessions_per_initiator: 1,
        buffered_always: 0,
        buffered_by_all: 4 << 20,
        ..Limits::default()
    };
    let serving = Serving::open(limits).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let stuck = raw.command(1, &[0xc1, 0, 0, 0, 0, 0]);
    raw.send(stuck.write(), &[]).await;
    let ping = NopOut { immediate: true, itt: 50, ttt: NO_TAG, ..NopOut::default() };
    raw.send(ping.write(), &[]).await;
    assert!(matches!(raw.response().await, Some(Response::NopIn(_))));
    drop(raw);
    serving.disk.closed(1).await;
    let refused = within(host().login(serving.address, TARGET)).await.unwrap_err();
    assert!(matches!(refused, InitiatorError::Refused(0x0302)), "{refused}");
    let other = "iqn.2026-11.test:other";
    let mut raw = Raw::login_as(&serving, other, &SOLICITED).await;
    assert_eq!(hoard(&mut raw, 4).await, 1, "it leaves 3 MiB");
    drop(raw);
    serving.disk.closed(2).await;
    serving.disk.release.add_permits(1);
    within(async { while host().login(serving.address, TARGET).await.is_err() {} }).await;
    let mut raw = Raw::login_as(&serving, other, &SOLICITED).await;
    assert_eq!(hoard(&mut raw, 4).await, 2, "it leaves 4 MiB");
    serving.stop().await;
}
