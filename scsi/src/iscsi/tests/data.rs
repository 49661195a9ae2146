//! Data goes there and back as it is, whatever was negotiated.

use bytes::Bytes;

use super::{Serving, host, pattern, raw::Raw, read, within, write, write10};
use crate::{
    iscsi::{
        keys::Parameters,
        pdu::{DataOut, NO_TAG, Reason, Response, ScsiCommand},
        portal::Limits,
    },
    sense::Sense,
};

#[tokio::test]
async fn data_of_many_sizes_goes_there_and_back_under_many_limits() {
    let serving = Serving::open(Limits::default()).await;
    for (initial_r2t, immediate_data, digests, first_burst, max_burst) in [
        (false, true, false, 65536, 1 << 20),
        (false, false, false, 8192, 8192),
        (true, true, true, 512, 16384),
        (true, false, false, 4096, 4096),
        (false, true, true, 1000, 5000),
    ] {
        let mut initiator = host();
        initiator.wishes = Parameters {
            initial_r2t,
            immediate_data,
            first_burst,
            max_burst,
            header_digest: digests,
            data_digest: digests,
            ..Parameters::wishes()
        };
        let session = within(initiator.login(serving.address, super::TARGET)).await.unwrap();
        assert_eq!(session.parameters().first_burst, first_burst);
        assert_eq!(session.parameters().data_digest, digests);
        for (n, blocks) in [1_u16, 2, 3, 15, 16, 17, 128, 129, 600, 4096].into_iter().enumerate() {
            let data = Bytes::from(pattern(usize::from(blocks) * 512, max_burst + n as u32));
            let wrote = write(&session, 7, blocks, data.clone()).await;
            assert_eq!((wrote.status, wrote.residual), (0, 0));
            let length = u32::from(blocks) * 512;
            let read = read(&session, 7, blocks, length).await;
            assert_eq!((read.status, read.residual), (0, 0));
            assert!(read.data == data, "{blocks} blocks, first burst {first_burst}");
        }
        within(session.logout()).await.unwrap();
    }
    serving.stop().await;
}

#[tokio::test]
async fn many_commands_at_a_time_are_all_answered_and_none_is_mixed_up() {
    let serving = Serving::open(Limits { buffered: 1 << 20, ..Limits::default() }).await;
    let session = within(host().login(serving.address, super::TARGET)).await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..300_u32 {
        let session = session.clone();
        all.spawn(async move {
            let blocks = (n % 40 + 1) as u16;
            let data = Bytes::from(pattern(usize::from(blocks) * 512, n));
            let lba = n * 64;
            let wrote = write(&session, lba, blocks, data.clone()).await;
            assert_eq!(wrote.status, 0);
            let read = read(&session, lba, blocks, 40 * 512).await;
            assert!(read.data == data, "command {n}");
            assert_eq!(read.residual, 40 * 512 - data.len() as i64);
        });
    }
    while let Some(done) = within(all.join_next()).await {
        done.unwrap();
    }
    drop(session);
    serving.disk.closed(1).await;
    serving.stop().await;
}

#[tokio::test]
async fn errors_bring_their_sense_data_and_residuals() {
    let serving = Serving::open(Limits::default()).await;
    let session = within(host().login(serving.address, super::TARGET)).await.unwrap();
    let beyond = read(&session, u32::MAX, 1, 512).await;
    assert_eq!((beyond.status, beyond.residual), (2, 512));
    assert_eq!(beyond.sense, Sense::LBA_OUT_OF_RANGE.fixed().to_vec());
    // Less and more data than the command asks for.
    let data = Bytes::from(pattern(10_000, 3));
    let under = write(&session, 0, 1, data).await;
    assert_eq!((under.status, under.residual), (0, 10_000 - 512));
    let over = write(&session, 100, 2, Bytes::from(vec![9; 200])).await;
    assert_eq!(over.residual, 200 - 1024);
    let over = read(&session, 100, 2, 200).await;
    assert_eq!((over.data, over.residual), (Bytes::from(vec![9; 200]), 200 - 1024));
    serving.stop().await;
}

#[tokio::test]
async fn a_digest_that_is_wrong_ends_the_connection() {
    let serving = Serving::open(Limits::default()).await;
    let keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")];
    for (bad_byte, answered) in [(10, false), (60, true)] {
        let mut raw = Raw::login(&serving, &keys).await;
        assert!(raw.ready(1).await, "good digests are accepted");
        let command = raw.command(2, &write10(0, 1));
        let command = ScsiCommand { write: true, expected: 512, ..command };
        let mut bytes = Vec::new();
        raw.outbox.push(command.write(), &[], &[Bytes::from(vec![7; 512])]);
        raw.outbox.flush(&mut bytes).await.unwrap();
        bytes[bad_byte] ^= 1;
        raw.send_bytes(&bytes).await;
        if answered {
            let Some(Response::Reject(reject)) = raw.response().await else { panic!("a reject") };
            assert_eq!(reject.reason, Reason::DataDigest as u8);
        }
        assert!(raw.receive().await.is_none(), "the connection is closed");
    }
    assert!(serving.disk.bytes.lock().unwrap().iter().all(|byte| *byte == 0));
    serving.disk.closed(2).await;
    serving.stop().await;
}

#[tokio::test]
async fn data_out_with_a_wrong_tag_offset_or_end_ends_the_connection() {
    let serving = Serving::open(Limits::default()).await;
    let keys = [("InitialR2T", "Yes"), ("ImmediateData", "No")];
    for case in 0..4 {
        let mut raw = Raw::login(&serving, &keys).await;
        let command = raw.command(2, &write10(0, 2));
        raw.send(ScsiCommand { write: true, expected: 1024, ..command }.write(), &[]).await;
        let Some(Response::R2t(r2t)) = raw.response().await else { panic!("an R2T") };
        assert_eq!((r2t.offset, r2t.length, r2t.r2t_sn, r2t.itt), (0, 1024, 0, 2));
        let good = DataOut { itt: 2, ttt: r2t.ttt, ..DataOut::default() };
        let bad = match case {
            0 => DataOut { ttt: r2t.ttt ^ 1, ..good },
            1 => DataOut { offset: 512, ..good },
            2 => DataOut { ttt: NO_TAG, ..good },
            _ => DataOut { last: true, ..good },
        };
        raw.send(bad.write(), &[1; 512]).await;
        let reject = raw.response().await;
        let Some(Response::Reject(reject)) = reject else { panic!("case {case}: {reject:?}") };
        assert_eq!(reject.reason, Reason::Protocol as u8);
        assert!(raw.receive().await.is_none(), "the connection is closed");
    }
    assert!(serving.disk.begun.lock().unwrap().is_empty(), "no command was carried out");
    serving.stop().await;
}

#[tokio::test]
async fn more_data_in_a_pdu_than_was_declared_ends_the_connection_at_its_header() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[]).await;
    let mut bhs = raw.command(1, &write10(0, 1)).write();
    // 16 MiB less one byte, of which none is ever sent.
    bhs[5..8].copy_from_slice(&[0xff; 3]);
    raw.send_bytes(&bhs).await;
    assert!(matches!(raw.response().await, Some(Response::Reject(_))));
    assert!(raw.receive().await.is_none());
    serving.disk.closed(1).await;
    serving.stop().await;
}

#[tokio::test]
async fn data_out_with_a_wrong_number_fails_its_command_and_no_other() {
    let serving = Serving::open(Limits::default()).await;
    let mut raw = Raw::login(&serving, &[("ImmediateData", "No")]).await;
    for numbers in [[0, 0], [1, 0], [27, 1], [u32::MAX, 0]] {
        let command = raw.command(2, &write10(0, 2));
        raw.send(ScsiCommand { write: true, expected: 1024, ..command }.write(), &[]).await;
        let Some(Response::R2t(r2t)) = raw.response().await else { panic!("an R2T") };
        for (n, data_sn) in (0..).zip(numbers) {
            let last = n == 1;
            let data = DataOut {
                last,
                itt: 2,
                ttt: r2t.ttt,
                data_sn,
                offset: n * 512,
                ..Default::default()
            };
            raw.send(data.write(), &[1; 512]).await;
        }
        let pdu = raw.receive().await.unwrap();
        let Some(Response::ScsiResponse(answer)) = Response::read(&pdu.bhs) else {
            panic!("answer")
        };
        assert_eq!((answer.status, answer.itt, answer.exp_data_sn), (2, 2, 1));
        assert_eq!((pdu.data[4], &pdu.data[14..16]), (0x0b, &[0x47, 0x05][..]));
        assert!(raw.ready(3).await);
    }
    assert!(serving.disk.bytes.lock().unwrap().iter().all(|byte| *byte == 0));
    serving.stop().await;
}
