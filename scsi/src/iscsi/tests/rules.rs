//! Numbers, tags, task management, text and pings.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;

use super::{LUN, Serving, TARGET, host, pattern, raw::Raw, within, write10};
use crate::{
    iscsi::{
        Initiator,
        pdu::{
            DataOut, NO_TAG, NopOut, Reason, Response, ScsiCommand, ScsiResponse, Snack,
            TaskRequest, TextRequest,
        },
        portal::Limits,
    },
    task::LunAddress,
};

#[tokio::test]
async fn commands_outside_of_the_window_are_as_if_they_had_never_come() {
    let serving = Serving::open(Limits { queue_depth: 4, ..Limits::default() }).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let next = raw.cmd_sn;
    for (itt, cmd_sn) in [(10, next + 4), (11, next.wrapping_sub(1)), (12, next + (1 << 31))] {
        let command = ScsiCommand { cmd_sn, ..raw.command(itt, &[0; 6]) };
        raw.send(command.write(), &[]).await;
    }
    raw.cmd_sn = next;
    assert!(raw.ready(13).await, "the next answer is that of the next number");
    assert_eq!(serving.disk.begun.lock().unwrap().len(), 1);
    serving.stop().await;
}

#[tokio::test]
async fn the_window_closes_when_it_is_full_and_opens_with_each_answer() {
    let serving = Serving::open(Limits { queue_depth: 2, ..Limits::default() }).await;
    let mut raw = Raw::login(&serving, &[]).await;
    for itt in 1..=3 {
        let command = raw.command(itt, &[0xc0, 0, 0, 0, 0, 0]);
        raw.send(command.write(), &[]).await;
    }
    // The third found the window closed. A ping is immediate, and says so.
    let ping = NopOut { immediate: true, itt: 9, ttt: NO_TAG, cmd_sn: 102, ..NopOut::default() };
    raw.send(ping.write(), b"hello").await;
    let pdu = raw.receive().await.unwrap();
    let Some(Response::NopIn(pong)) = Response::read(&pdu.bhs) else { panic!("a pong") };
    assert_eq!((&pdu.data[..], pong.itt), (&b"hello"[..], 9));
    assert_eq!((pong.exp_cmd_sn, pong.max_cmd_sn), (102, 101), "closed");
    serving.disk.release.add_permits(1);
    let Some(Response::ScsiResponse(first)) = raw.response().await else { panic!("an answer") };
    assert_eq!((first.exp_cmd_sn, first.max_cmd_sn), (102, 102), "open again");
    assert_eq!(first.stat_sn, pong.stat_sn + 1);
    serving.disk.release.add_permits(10);
    assert_eq!(serving.disk.begun.lock().unwrap().len(), 2);
    serving.stop().await;
}

#[tokio::test]
async fn a_gap_in_the_numbers_ends_the_connection() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    raw.cmd_sn += 1;
    let command = raw.command(1, &[0; 6]);
    raw.send(command.write(), &[]).await;
    assert!(matches!(raw.response().await, Some(Response::Reject(_))));
    assert!(raw.receive().await.is_none());
    serving.stop().await;
}

#[tokio::test]
async fn a_tag_in_use_snack_unknown_opcodes_and_both_directions_are_refused_and_no_more() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    for cdb in [0xc0, 0x00] {
        let command = raw.command(1, &[cdb, 0, 0, 0, 0, 0]);
        raw.send(command.write(), &[]).await;
    }
    raw.send(Snack { itt: 1, ..Snack::default() }.write(), &[]).await;
    raw.send([0x1e; 48], &[]).await;
    for expected in [Reason::TaskInProgress, Reason::Snack, Reason::NotSupported] {
        let pdu = raw.receive().await.unwrap();
        let Some(Response::Reject(reject)) = Response::read(&pdu.bhs) else { panic!("a reject") };
        assert_eq!((reject.reason, pdu.data.len()), (expected as u8, 48));
    }
    let both = ScsiCommand { read: true, write: true, expected: 5, ..raw.command(2, &[0; 6]) };
    raw.send(both.write(), &[]).await;
    let Some(Response::ScsiResponse(answer)) = raw.response().await else { panic!("an answer") };
    assert_eq!((answer.status, answer.itt), (2, 2));
    serving.disk.release.add_permits(1);
    let Some(Response::ScsiResponse(answer)) = raw.response().await else { panic!("an answer") };
    assert_eq!((answer.status, answer.itt), (0, 1));
    assert!(raw.ready(3).await);
    serving.stop().await;
}

#[tokio::test]
async fn commands_of_a_unit_begin_in_order_and_do_not_hold_up_other_units() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[("ImmediateData", "No")]).await;
    // A write that waits for its data; behind it one to the same unit, one to another, and one
    // that may go ahead.
    let command = raw.command(1, &write10(1, 1));
    raw.send(ScsiCommand { write: true, expected: 512, ..command }.write(), &[]).await;
    let Some(Response::R2t(r2t)) = raw.response().await else { panic!("an R2T") };
    let command = raw.command(2, &[0, 0, 0, 0, 0, 2]);
    raw.send(command.write(), &[]).await;
    let other = LunAddress::from_number(1).unwrap();
    let command = ScsiCommand { lun: other, ..raw.command(3, &[0; 6]) };
    raw.send(command.write(), &[]).await;
    let command = ScsiCommand { attribute: 3, ..raw.command(4, &[0; 6]) };
    raw.send(command.write(), &[]).await;
    let mut order = Vec::new();
    for _ in 0..2 {
        let Some(Response::ScsiResponse(answer)) = raw.response().await else { panic!("answers") };
        order.push(answer.itt);
    }
    let data = DataOut { last: true, itt: 1, ttt: r2t.ttt, ..DataOut::default() };
    raw.send(data.write(), &[5; 512]).await;
    for _ in 0..2 {
        let Some(Response::ScsiResponse(answer)) = raw.response().await else { panic!("answers") };
        order.push(answer.itt);
    }
    assert_eq!(order, [3, 4, 1, 2]);
    serving.stop().await;
}

#[tokio::test]
async fn an_aborted_task_says_nothing_and_the_abort_is_answered_when_it_is_over() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    for (function, referenced) in [(1, 1), (2, NO_TAG), (4, NO_TAG), (5, NO_TAG), (6, NO_TAG)] {
        // One runs, one waits for its data.
        let running = raw.command(1, &[0xc0, 0, 0, 0, 0, 0]);
        raw.send(running.write(), &[]).await;
        let cmd_sn = raw.cmd_sn;
        let request = TaskRequest {
            immediate: true,
            function,
            lun: LUN,
            itt: 7,
            referenced,
            cmd_sn,
            ref_cmd_sn: running.cmd_sn,
            ..TaskRequest::default()
        };
        raw.send(request.write(), &[]).await;
        let other =
            ScsiCommand { lun: LunAddress::from_number(2).unwrap(), ..raw.command(8, &[0; 6]) };
        raw.send(other.write(), &[]).await;
        // The task still runs, so another unit's answer is first.
        let answer = raw.response().await;
        let Some(Response::ScsiResponse(answer)) = answer else { panic!("{answer:?}") };
        assert_eq!(answer.itt, 8);
        serving.disk.release.add_permits(1);
        let answer = raw.response().await;
        let Some(Response::TaskResponse(answer)) = answer else { panic!("{answer:?}") };
        assert_eq!((answer.response, answer.itt), (0, 7), "function {function}");
        assert!(raw.ready(1).await, "the tag is free again");
        let told = serving.disk.aborted.swap(0, Ordering::SeqCst);
        assert_eq!(told, 1, "the service knows that nobody waits for it");
    }
    serving.stop().await;
}

#[tokio::test]
async fn an_abort_begins_nothing_that_it_is_about() {
    let serving = Serving::open(Limits::default()).await;
    // As their order is by chance, several times.
    for round in 0..20 {
        let mut raw = Raw::login(&serving, &[("ImmediateData", "No")]).await;
        let command = raw.command(100, &write10(1, 1));
        raw.send(ScsiCommand { write: true, expected: 512, ..command }.write(), &[]).await;
        for itt in 1..8 {
            // They are whole, and wait for the write.
            let command = raw.command(itt, &[0; 6]);
            raw.send(command.write(), &[]).await;
        }
        let function = [2, 5][round % 2];
        let reset = TaskRequest { immediate: true, function, itt: 200, ..TaskRequest::default() };
        raw.send(TaskRequest { lun: LUN, ..reset }.write(), &[]).await;
        assert!(matches!(raw.response().await, Some(Response::R2t(_))));
        assert!(matches!(raw.response().await, Some(Response::TaskResponse(_))));
        assert!(serving.disk.begun.lock().unwrap().is_empty(), "round {round}");
        assert!(raw.ready(1).await);
        serving.disk.begun.lock().unwrap().clear();
    }
    serving.stop().await;
}

#[tokio::test]
async fn a_command_at_the_head_waits_for_room_without_holding_its_unit_up() {
    let serving = Serving::open(Limits { buffered: 1024, ..Limits::default() }).await;
    let mut raw = Raw::login(&serving, &[("ImmediateData", "No")]).await;
    let mut tags = Vec::new();
    for itt in [1, 2] {
        let command = raw.command(itt, &write10(itt, 1));
        raw.send(ScsiCommand { write: true, expected: 512, ..command }.write(), &[]).await;
        let Some(Response::R2t(r2t)) = raw.response().await else { panic!("an R2T") };
        tags.push((itt, r2t.ttt));
    }
    // No room is left for this.
    let read =
        ScsiCommand { attribute: 3, read: true, expected: 512, ..raw.command(3, &[0x12; 6]) };
    raw.send(read.write(), &[]).await;
    for (itt, ttt) in tags {
        let data = DataOut { last: true, itt, ttt, ..DataOut::default() };
        raw.send(data.write(), &[5; 512]).await;
    }
    let mut answered = Vec::new();
    while answered.len() < 3 {
        match raw.response().await {
            Some(Response::ScsiResponse(ScsiResponse { itt, .. })) => answered.push(itt),
            Some(Response::DataIn(header)) => answered.push(header.itt),
            other => panic!("{other:?}"),
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3]);
    serving.stop().await;
}

#[tokio::test]
async fn the_initiator_manages_tasks_and_pings_while_the_window_is_closed() {
    let serving = Serving::open(Limits { queue_depth: 2, ..Limits::default() }).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    // More than find room anywhere on the way.
    let mut commands: Vec<_> = (0..600)
        .map(|_| Box::pin(session.command(LUN, &[0xc0, 0, 0, 0, 0, 0], Bytes::new(), 0)))
        .collect();
    for command in &mut commands {
        assert!(command.as_mut().now_or_never().is_none());
    }
    assert_eq!(within(session.ping(Bytes::from_static(b"hello"))).await.unwrap(), "hello");
    serving.disk.release.add_permits(2);
    assert_eq!(within(session.manage(LUN, 5)).await.unwrap(), 0);
    drop(commands);
    within(session.logout()).await.unwrap();
    serving.disk.release.add_permits(600);
    serving.stop().await;
}

#[tokio::test]
async fn management_of_what_is_not_there_is_answered_as_the_standard_says() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let next = raw.cmd_sn;
    let missing = LunAddress::from_number(9).unwrap();
    for (function, lun, ref_cmd_sn, response) in [
        (1, LUN, next - 1, 1),
        (1, LUN, next + 50, 1),
        (3, LUN, 0, 255),
        (5, missing, 0, 2),
        (8, LUN, 0, 4),
        (99, LUN, 0, 5),
    ] {
        let request = TaskRequest {
            immediate: true,
            function,
            lun,
            itt: 7,
            referenced: 3,
            cmd_sn: next,
            ref_cmd_sn,
            ..TaskRequest::default()
        };
        raw.send(request.write(), &[]).await;
        let Some(Response::TaskResponse(answer)) = raw.response().await else { panic!("answers") };
        assert_eq!(answer.response, response, "function {function}");
    }
    // A command that has not come yet counts as come, and as aborted.
    let request = TaskRequest {
        immediate: true,
        function: 1,
        lun: LUN,
        itt: 7,
        referenced: 3,
        cmd_sn: next + 1,
        ref_cmd_sn: next,
        ..TaskRequest::default()
    };
    raw.send(request.write(), &[]).await;
    let Some(Response::TaskResponse(answer)) = raw.response().await else { panic!("an answer") };
    assert_eq!((answer.response, answer.exp_cmd_sn), (0, next + 1));
    let late = raw.command(3, &[0; 6]);
    raw.send(late.write(), &[]).await;
    assert!(raw.ready(4).await, "the late one is ignored");
    serving.stop().await;
}

#[tokio::test]
async fn a_reset_of_a_target_takes_no_answers_from_other_sessions_and_ends_none() {
    let serving = Serving::open(Limits::default()).await;
    let mut other = Raw::login(&serving, &[]).await;
    let command = other.command(1, &[0xc0, 0, 0, 0, 0, 0]);
    other.send(command.write(), &[]).await;
    // An answer behind it says that it runs.
    let ping = NopOut { immediate: true, itt: 5, ttt: NO_TAG, ..NopOut::default() };
    other.send(ping.write(), &[]).await;
    assert!(matches!(other.response().await, Some(Response::NopIn(_))));
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    assert_eq!(within(session.manage(LUN, 6)).await.unwrap(), 0);
    // A cold one ends the session that asked.
    assert_eq!(within(session.manage(LUN, 7)).await.unwrap(), 0);
    serving.disk.closed(1).await;
    assert!(within(session.command(LUN, &[0; 6], Bytes::new(), 0)).await.is_err());
    serving.disk.release.add_permits(1);
    let answer = other.response().await;
    let Some(Response::ScsiResponse(answer)) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.itt, answer.status), (1, 0), "what becomes of it is the service's to say");
    assert!(other.ready(2).await);
    serving.stop().await;
}

#[tokio::test]
async fn targets_are_found_in_one_part_or_many() {
    let serving = Serving::open(Limits::default()).await;
    let found = within(host().discover(serving.address)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, TARGET);
    assert_eq!(found[0].addresses, [format!("{},1", serving.address)]);
    let many = Initiator::new("iqn.2026-11.test:many").unwrap();
    assert_eq!(within(many.discover(serving.address)).await.unwrap().len(), 500);
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    for (which, count) in [("", 1), (TARGET, 1), ("iqn.2026-11.test:other", 0)] {
        assert_eq!(within(session.send_targets(which)).await.unwrap().len(), count, "{which}");
    }
    assert!(within(session.send_targets("All")).await.is_err(), "not in a normal session");
    assert_eq!(serving.disk.counts().0, 1, "discovery opens nothing");
    serving.stop().await;
}

#[tokio::test]
async fn text_answers_unknown_keys_and_takes_a_new_segment_length() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let text = TextRequest { immediate: true, itt: 4, ttt: NO_TAG, ..TextRequest::default() };
    raw.send(TextRequest { more: true, ..text }.write(), b"X-a=1\0MaxRecvData").await;
    let Some(Response::TextResponse(part)) = raw.response().await else { panic!("an answer") };
    assert!(!part.last && part.ttt != NO_TAG);
    let rest = TextRequest { last: true, ttt: part.ttt, ..text };
    raw.send(rest.write(), b"SegmentLength=512\0MaxBurstLength=512\0").await;
    let pdu = raw.receive().await.unwrap();
    assert_eq!(&pdu.data[..], b"X-a=NotUnderstood\0MaxBurstLength=Reject\0");
    let ping = NopOut { immediate: true, itt: 5, ttt: NO_TAG, ..NopOut::default() };
    raw.send(ping.write(), &pattern(600, 1)).await;
    let pong = raw.receive().await.unwrap();
    assert_eq!(pong.data[..], pattern(600, 1)[..512], "no more than the new length");
    serving.stop().await;
}

#[tokio::test]
async fn an_initiator_that_lives_is_asked_and_kept_and_one_that_does_not_is_dropped() {
    let quick = Duration::from_millis(50);
    let limits = Limits { idle: quick, answer_within: quick, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    let mut dead = Raw::login(&serving, &[]).await;
    let Some(Response::NopIn(ping)) = dead.response().await else { panic!("a ping") };
    assert!(ping.itt == NO_TAG && ping.ttt != NO_TAG);
    assert!(dead.receive().await.is_none(), "it did not answer");
    serving.disk.closed(1).await;
    // The other has been asked by now at least once, and has answered by itself.
    let ready = within(session.command(LUN, &[0; 6], Bytes::new(), 0)).await.unwrap();
    assert_eq!(ready.status, 0);
    serving.stop().await;
}
