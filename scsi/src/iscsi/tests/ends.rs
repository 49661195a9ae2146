//! However a connection ends, nothing is left of it.

use std::time::Duration;

use bytes::Bytes;

use super::{LUN, Serving, TARGET, host, raw::Raw, read, read10, within, write10};
use crate::iscsi::{
    initiator::InitiatorError,
    pdu::{DataOut, LogoutRequest, NO_TAG, NopOut, Response, ScsiCommand},
    portal::Limits,
};

#[tokio::test]
async fn a_connection_cut_in_any_state_closes_its_session_once() {
    let serving = Serving::open(Limits::default()).await;
    let keys = [("InitialR2T", "No"), ("ImmediateData", "Yes")];
    for state in 0..9 {
        let mut raw = Raw::login(&serving, &keys).await;
        let command = raw.command(1, &write10(0, 200));
        let write = ScsiCommand { write: true, expected: 102_400, ..command };
        match state {
            0 => {}
            // Within a header, an additional header, data, a digest.
            1 => raw.send_bytes(&write.write()[..30]).await,
            2 => {
                let mut bhs = write.write();
                bhs[4] = 200;
                raw.send_bytes(&bhs).await;
            }
            3 => {
                let mut bhs = write.write();
                bhs[6] = 8;
                raw.send_bytes(&[&bhs[..], &[1; 100]].concat()).await;
            }
            // Between immediate and unsolicited data, within that, and before solicited data.
            4 => raw.send(ScsiCommand { last: false, ..write }.write(), &[1; 512]).await,
            5 => {
                raw.send(ScsiCommand { last: false, ..write }.write(), &[1; 512]).await;
                let data = DataOut { itt: 1, ttt: NO_TAG, offset: 512, ..DataOut::default() };
                raw.send(data.write(), &[2; 512]).await;
            }
            6 => {
                raw.send(write.write(), &[]).await;
                assert!(matches!(raw.response().await, Some(Response::R2t(_))));
            }
            // While a command runs, and while much waits to be sent.
            7 => {
                let command = ScsiCommand { cmd_sn: write.cmd_sn, ..raw.command(1, &[0xc0; 6]) };
                raw.send(command.write(), &[]).await;
                let ping = NopOut { immediate: true, itt: 5, ttt: NO_TAG, ..NopOut::default() };
                raw.send(ping.write(), &[]).await;
                assert!(matches!(raw.response().await, Some(Response::NopIn(_))));
                serving.disk.release.add_permits(1);
            }
            _ => {
                raw.cmd_sn -= 1;
                for itt in 0..60 {
                    let read = raw.command(itt, &read10(0, 2000));
                    let read = ScsiCommand { read: true, expected: 1_024_000, ..read };
                    raw.send(read.write(), &[]).await;
                }
            }
        }
        drop(raw);
        serving.disk.closed(state + 1).await;
        assert_eq!(serving.disk.counts(), (state + 1, state + 1), "state {state}");
    }
    assert!(serving.disk.bytes.lock().unwrap().iter().all(|byte| *byte == 0));
    serving.stop().await;
}

#[tokio::test]
async fn an_initiator_that_does_not_read_costs_no_more_than_its_limit() {
    let limits = Limits { buffered: 4 << 20, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let mut slow = Raw::login(&serving, &[("MaxRecvDataSegmentLength", "262144")]).await;
    for itt in 0..100 {
        let read = slow.command(itt, &read10(0, 2048));
        slow.send(ScsiCommand { read: true, expected: 1 << 20, ..read }.write(), &[]).await;
    }
    // Another goes on meanwhile.
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    for _ in 0..100 {
        assert_eq!(read(&session, 0, 8, 4096).await.data.len(), 4096);
    }
    let begun = serving.disk.begun.lock().unwrap().iter().filter(|(code, _)| *code == 0x28).count();
    assert!(begun - 100 < 30, "{begun} reads have begun: only what the socket took, and 4 MiB");
    // When it reads, it gets everything.
    let (mut data, mut good) = (0, 0);
    while good < 100 {
        let pdu = slow.receive().await.unwrap();
        data += pdu.data.len();
        if let Some(Response::DataIn(header)) = Response::read(&pdu.bhs) {
            good += usize::from(header.status_there);
        }
    }
    assert_eq!(data, 100 << 20);
    serving.stop().await;
}

#[tokio::test]
async fn nothing_more_is_read_from_an_initiator_that_takes_no_answers() {
    let serving = Serving::open(Limits { buffered: 1 << 20, ..Limits::default() }).await;
    let mut deaf = Raw::login(&serving, &[("MaxRecvDataSegmentLength", "262144")]).await;
    let ping = NopOut { immediate: true, itt: 5, ttt: NO_TAG, ..NopOut::default() };
    let flood = async {
        for _ in 0..400 {
            deaf.send(ping.write(), &vec![7; 256 << 10]).await;
        }
    };
    // Sockets take some MiB; a target that went on would have taken the 100 in this time.
    let flooded = tokio::time::timeout(Duration::from_secs(2), flood).await;
    assert!(flooded.is_err(), "the initiator cannot send on");
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    assert_eq!(read(&session, 0, 8, 4096).await.data.len(), 4096);
    drop(deaf);
    serving.disk.closed(1).await;
    serving.stop().await;
}

#[tokio::test]
async fn logout_is_answered_and_closes_the_session() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let request = LogoutRequest { immediate: true, itt: 9, cid: 1, ..LogoutRequest::default() };
    for (reason, cid, response) in [(1, 7, 1), (2, 1, 2), (1, 1, 0)] {
        raw.send(LogoutRequest { reason, cid, ..request }.write(), &[]).await;
        let Some(Response::LogoutResponse(answer)) = raw.response().await else {
            panic!("answers")
        };
        assert_eq!((answer.response, answer.itt), (response, 9));
    }
    assert!(raw.receive().await.is_none());
    serving.disk.closed(1).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    within(session.logout()).await.unwrap();
    let after = within(session.command(LUN, &[0; 6], Bytes::new(), 0)).await.unwrap_err();
    assert!(matches!(after, InitiatorError::Lost));
    serving.disk.closed(2).await;
    serving.stop().await;
}

#[tokio::test]
async fn a_portal_that_stops_tells_its_initiators_and_closes_all_sessions() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    let mut unfinished = Raw::connect(&serving).await;
    let disk = std::sync::Arc::clone(&serving.disk);
    serving.stop().await;
    assert!(unfinished.receive().await.is_none());
    assert_eq!(disk.counts(), (2, 2));
    assert!(matches!(raw.response().await, Some(Response::AsyncMessage(m)) if m.event == 2));
    assert!(raw.receive().await.is_none());
    assert!(within(session.command(LUN, &[0; 6], Bytes::new(), 0)).await.is_err());
}
