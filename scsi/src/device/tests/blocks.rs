//! READ, WRITE, VERIFY, COMPARE AND WRITE, SYNCHRONIZE CACHE.

use crate::{
    device::fake::{Disk, Host, System, command, now, poll},
    medium::Failure,
    sense::Sense,
    service::Service,
    task::{Command, LunAddress, Status, TaskAttribute},
};

fn block(byte: u8) -> Vec<u8> {
    vec![byte; 512]
}

#[test]
fn what_any_write_writes_every_read_reads() {
    let (system, _) = System::new(1000);
    let (host, other) = (system.ready("a", 1), system.ready("b", 2));
    let data: Vec<u8> = (0..1024_u32).map(|n| (n * 7 % 251) as u8).collect();
    let writes: [&[u8]; 7] = [
        &[0x0a, 0, 1, 0, 2, 0],
        &[0x2a, 0, 0, 0, 1, 10, 0, 0, 2, 0],
        &[0xaa, 0, 0, 0, 1, 20, 0, 0, 0, 2, 0, 0],
        &[0x8a, 0, 0, 0, 0, 0, 0, 0, 1, 30, 0, 0, 0, 2, 0, 0],
        &[0x2e, 2, 0, 0, 1, 40, 0, 0, 2, 0],
        &[0xae, 0, 0, 0, 1, 50, 0, 0, 0, 2, 0, 0],
        &[0x8e, 2, 0, 0, 0, 0, 0, 0, 1, 60, 0, 0, 0, 2, 0, 0],
    ];
    for (cdb, lba) in writes.iter().zip((0..).step_by(10)) {
        assert!(host.data(cdb, &data).is_empty());
        let reads: [&[u8]; 4] = [
            &[0x08, 0, 1, lba, 2, 0],
            &[0x28, 0, 0, 0, 1, lba, 0, 0, 2, 0],
            &[0xa8, 0, 0, 0, 1, lba, 0, 0, 0, 2, 0, 0],
            &[0x88, 0, 0, 0, 0, 0, 0, 0, 1, lba, 0, 0, 0, 2, 0, 0],
        ];
        for read in reads {
            assert_eq!(other.data(read, &[]), data, "{cdb:x?} {read:x?}");
        }
    }
    assert_eq!(host.data(&[0x08, 0, 0, 0, 0, 0], &[]).len(), 256 * 512);
}

#[test]
fn what_finds_no_room_is_not_read() {
    let (system, disk) = System::new(4000);
    let host = system.ready("a", 1);
    host.write(0, &[block(1), block(2), block(3)].concat());
    let with_room = |cdb: &[u8], room| {
        let done = now(host.carry_out(Command { room, ..command(0, cdb, &[]) }));
        assert_eq!(done.status, Status::Good);
        (done.data_in.concat(), done.left_out)
    };
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0];
    for (room, blocks) in [(0, 0), (1, 1), (512, 1), (1300, 3), (4000 * 512, 4000)] {
        disk.parts().most_read = 0;
        let (data, left_out) = with_room(&read, room);
        assert_eq!((disk.parts().most_read, left_out), (blocks, 4000 * 512 - room));
        assert!(data == disk.parts().bytes[..room], "{room}");
    }
    assert_eq!(with_room(&read, usize::MAX).1, 0);
    let inquiry = [0x12, 0, 0, 0, 96, 0];
    let whole = host.data(&inquiry, &[]);
    assert_eq!(with_room(&inquiry, 5), (whole[..5].to_vec(), whole.len() - 5));
}

#[test]
fn blocks_beyond_the_end_are_out_of_range_for_every_command_and_no_blocks_are_fine() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    for opcode in [0x28, 0x2a, 0x2e, 0x2f, 0x34, 0x35, 0x41] {
        let cdb = |lba: u32, blocks: u8| {
            let lba = lba.to_be_bytes();
            [opcode, 0, lba[0], lba[1], lba[2], lba[3], 0, 0, blocks, 0]
        };
        let data = if opcode == 0x41 { block(1) } else { vec![1; 512 * 2] };
        for (lba, blocks) in [(100, 1), (99, 2), (101, 0), (0x8000_0000, 0), (u32::MAX, 1)] {
            let sense = host.refusal(&cdb(lba, blocks), &data);
            assert_eq!(sense, Sense::LBA_OUT_OF_RANGE, "{opcode:#x} {lba} {blocks}");
        }
        assert_eq!(host.status(&cdb(100, 0), &data), Status::Good, "{opcode:#x}");
    }
    let far = [0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2, 0, 0];
    assert_eq!(host.refusal(&far, &[]), Sense::LBA_OUT_OF_RANGE);
    assert!(disk.parts().bytes.iter().all(|byte| *byte == 0), "nothing was written");
}

#[test]
fn of_a_write_that_comes_short_the_whole_blocks_are_written() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    host.write(0, &[b'a'; 1024]);
    for opcode in [0x2a, 0x2e] {
        let two = [opcode, 0, 0, 0, 0, 0, 0, 0, 2, 0];
        assert_eq!(host.status(&two, &[]), Status::Good);
        assert_eq!(host.status(&two, &[b'c'; 200]), Status::Good);
        assert_eq!(host.read(0, 2), [b'a'; 1024]);
    }
    assert_eq!(host.status(&[0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0], &[b'b'; 700]), Status::Good);
    assert_eq!(host.read(0, 2), [[b'b'; 512], [b'a'; 512]].concat());
}

#[test]
fn verify_compares_as_bytchk_says_and_tells_where_it_differs() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    host.write(0, &[block(1), block(1), block(2)].concat());
    let verify = |bytchk: u8, blocks| [0x2f, bytchk << 1, 0, 0, 0, 0, 0, 0, blocks, 0];
    assert_eq!(host.status(&verify(0, 3), &[]), Status::Good);
    assert_eq!(host.status(&verify(1, 3), &[block(1), block(1), block(2)].concat()), Status::Good);
    let mut wrong = [block(1), block(1)].concat();
    wrong[700] = 9;
    let miscompare = Sense::MISCOMPARE.with_information(700);
    assert_eq!(host.refusal(&verify(1, 2), &wrong), miscompare);
    assert_eq!(host.status(&verify(3, 2), &block(1)), Status::Good);
    let miscompare = Sense::MISCOMPARE.with_information(1024);
    assert_eq!(host.refusal(&verify(3, 3), &block(1)), miscompare);
    assert_eq!(host.refusal(&verify(1, 2), &block(1)), Sense::INVALID_FIELD_IN_CDB);
    disk.parts().failure = Some(Failure::Damaged { lba: 2 });
    let damaged = Sense::UNRECOVERED_READ.with_information(2);
    assert_eq!(host.refusal(&verify(0, 3), &[]), damaged);
}

#[test]
fn what_is_only_looked_at_is_read_in_steps() {
    let (system, disk) = System::new(5000);
    let host = system.ready("a", 1);
    let long =
        |opcode: u8, flags: u8| [opcode, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x13, 0x88, 0, 0];
    let (verify, each, same) = (long(0x8f, 0), long(0x8f, 2), long(0x8f, 6));
    let (write, or) = (long(0x8e, 2), long(0x8b, 0));
    let data: Vec<u8> = (0..5000 * 512_u32).map(|n| (n * 7 % 251) as u8).collect();
    assert_eq!(host.status(&write, &data), Status::Good);
    let ones = vec![1; data.len()];
    assert_eq!(host.status(&or, &ones), Status::Good);
    let mut data: Vec<u8> = data.iter().map(|byte| byte | 1).collect();
    assert!(disk.parts().bytes == data);
    assert_eq!(host.status(&each, &data), Status::Good);
    data[4500 * 512 + 9] ^= 4;
    let miscompare = Sense::MISCOMPARE.with_information(4500 * 512 + 9);
    assert_eq!(host.refusal(&each, &data), miscompare);
    assert_eq!(host.status(&verify, &[]), Status::Good);
    disk.parts().bytes.fill(3);
    disk.parts().bytes[4999 * 512] = 0;
    let miscompare = Sense::MISCOMPARE.with_information(4999 * 512);
    assert_eq!(host.refusal(&same, &block(3)), miscompare);
    assert_eq!(disk.parts().most_read, 2048);
    let scratch = |cdb: &[u8]| host.target.needs(&host.session, LunAddress(0), cdb).scratch;
    let mib = 1 << 20;
    let all = [verify, each, same, write, or].map(|cdb| scratch(&cdb));
    assert_eq!(all, [mib, mib, mib, mib, 2 * mib]);
    assert_eq!(scratch(&compare_and_write(0, 200)), 200 * 512);
    assert_eq!(scratch(&[0x28, 0, 0, 0, 0, 0, 0, 1, 0, 0]), 0);
}

fn compare_and_write(lba: u8, blocks: u8) -> [u8; 16] {
    [0x89, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, blocks, 0, 0]
}

#[test]
fn compare_and_write_writes_where_all_is_as_expected_and_nothing_otherwise() {
    let (system, _) = System::new(600);
    let host = system.ready("a", 1);
    host.write(3, &[block(1), block(1)].concat());
    let cdb = compare_and_write(3, 2);
    let mut data = [block(1), block(1), block(2), block(3)].concat();
    data[1000] = 7;
    assert_eq!(host.refusal(&cdb, &data), Sense::MISCOMPARE.with_information(1000));
    assert_eq!(host.read(3, 2), [block(1), block(1)].concat());
    data[1000] = 1;
    assert_eq!(host.status(&cdb, &data), Status::Good);
    assert_eq!(host.read(3, 2), [block(2), block(3)].concat());
    for short in [0, 512, 1536, 2049] {
        let sense = host.refusal(&cdb, &vec![2; short]);
        assert_eq!(sense, Sense::INVALID_FIELD_IN_CDB, "{short}");
    }
    let mut more = command(0, &cdb, &[2; 2048]);
    more.offered = 2560;
    let answer = now(host.carry_out(more));
    assert_eq!(answer.sense, Some(Sense::INVALID_FIELD_IN_CDB), "more than it takes");
    assert_eq!(host.status(&compare_and_write(0, 0), &[]), Status::Good);
    assert_eq!(host.status(&compare_and_write(0, 255), &vec![0; 510 * 512]), {
        Status::CheckCondition
    });
}

fn incremented(host: &Host, from: u8) -> crate::task::Completion {
    let data = [block(from), block(from + 1)].concat();
    host.send(0, &compare_and_write(0, 1), &data)
}

#[test]
fn of_two_that_compare_and_write_the_same_one_succeeds() {
    let (system, disk) = System::new(100);
    let (one, other) = (system.ready("a", 1), system.ready("b", 2));
    disk.hold();
    let cdb = compare_and_write(0, 1);
    let mut first = one.begin(0, &cdb, &[block(0), block(1)].concat());
    let mut second = other.begin(0, &cdb, &[block(0), block(2)].concat());
    let mut write = other.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &block(7));
    let mut apart = other.begin(0, &[0x28, 0, 0, 0, 0, 5, 0, 0, 1, 0], &[]);
    assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
    assert!(poll(&mut write).is_none());
    assert_eq!(poll(&mut apart).unwrap().status, Status::Good, "reads go on");
    disk.release();
    assert_eq!(poll(&mut first).unwrap().status, Status::Good);
    assert_eq!(poll(&mut second).unwrap().sense, Some(Sense::MISCOMPARE.with_information(0)));
    assert_eq!(poll(&mut write).unwrap().status, Status::Good);
    assert_eq!(one.read(0, 1), block(7), "the write came after both");
    assert_eq!(incremented(&one, 7).status, Status::Good);
}

#[tokio::test]
async fn a_write_that_the_transport_drops_keeps_its_place_until_the_storage_has_ended_it() {
    let (system, disk) = System::new(100);
    let (one, other) = (system.ready("a", 1), system.ready("b", 2));
    disk.hold();
    let mut write = one.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &block(5));
    assert!(poll(&mut write).is_none());
    drop(write);
    let mut compare = other.begin(0, &compare_and_write(0, 1), &[block(0), block(1)].concat());
    let mut waits = one.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &block(6));
    assert!(poll(&mut compare).is_none() && poll(&mut waits).is_none());
    drop(waits);
    disk.release();
    tokio::task::yield_now().await;
    assert_eq!(poll(&mut compare).unwrap().sense, Some(Sense::MISCOMPARE.with_information(0)));
    tokio::task::yield_now().await;
    assert_eq!(other.read(0, 1), block(5), "what had not begun never was written");
}

#[test]
fn an_ordered_command_goes_after_all_before_it_and_before_all_behind_it() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    disk.hold();
    let mut first = host.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &block(1));
    let mut ordered = command(0, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[]);
    ordered.attribute = TaskAttribute::Ordered;
    let mut ordered = host.carry_out(ordered);
    let mut behind = host.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &block(2));
    assert!(poll(&mut first).is_none() && poll(&mut ordered).is_none());
    assert!(poll(&mut behind).is_none());
    disk.release();
    assert!(poll(&mut first).is_some());
    assert_eq!(poll(&mut ordered).unwrap().data_in.concat(), block(1));
    assert!(poll(&mut behind).is_some());
    assert_eq!(host.read(0, 1), block(2));
    let mut aca = command(0, &[0; 6], &[]);
    aca.attribute = TaskAttribute::Aca;
    let answer = now(host.carry_out(aca));
    assert_eq!(answer.sense.map(|sense| (sense.asc, sense.ascq)), Some((0x49, 0)));
}

fn write_cache(host: &Host, on: bool) {
    let mut list = host.data(&[0x1a, 8, 8, 0, 255, 0], &[]);
    (list[0], list[2]) = (0, 0);
    list[4 + 2] = if on { 4 } else { 0 };
    host.data(&[0x15, 0x10, 0, 0, 24, 0], &list);
}

#[test]
fn fua_flushes_and_a_write_cache_that_is_off_are_true_to_the_store() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    let durable = |disk: &Disk| disk.parts().durable_writes;
    host.write(0, &block(1));
    assert_eq!((durable(&disk), disk.parts().flushes), (0, 0));
    host.data(&[0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0], &block(1));
    assert_eq!(durable(&disk), 1, "FUA");
    for cdb in [&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0x91; 1], &[0x1b, 0, 0, 0, 0, 0]] {
        let mut cdb = cdb.to_vec();
        cdb.resize(16, 0);
        host.data(&cdb, &[]);
    }
    assert_eq!(disk.parts().flushes, 3, "START STOP UNIT with START 0 too");
    write_cache(&host, false);
    host.write(0, &block(1));
    host.data(&[0x0a, 0, 0, 0, 1, 0], &block(1));
    assert_eq!(durable(&disk), 3);
    host.data(&[0x41, 0, 0, 0, 0, 0, 0, 0, 8, 0], &block(1));
    assert_eq!(disk.parts().flushes, 5, "WRITE SAME");
    write_cache(&host, true);
    host.write(0, &block(1));
    assert_eq!(durable(&disk), 3);
}

#[test]
fn a_write_cache_that_is_turned_off_is_emptied() {
    let (system, disk) = System::new(100);
    let (host, other) = (system.ready("a", 1), system.ready("b", 1));
    disk.hold();
    let mut cached = other.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &block(1));
    assert!(poll(&mut cached).is_none());
    let mut list = host.data(&[0x1a, 8, 8, 0, 255, 0], &[]);
    (list[0], list[2], list[4 + 2]) = (0, 0, 0);
    let mut off = host.begin(0, &[0x15, 0x10, 0, 0, 24, 0], &list);
    assert!(poll(&mut off).is_none());
    assert_eq!(disk.parts().flushes, 0, "a write that began with the cache is not over");
    disk.release();
    assert_eq!(poll(&mut cached).unwrap().status, Status::Good);
    assert_eq!(poll(&mut off).unwrap().status, Status::Good);
    assert_eq!(disk.parts().flushes, 1);
    for on in [false, true] {
        write_cache(&host, on);
        assert_eq!(disk.parts().flushes, 1, "there is nothing in it");
    }
}

#[test]
fn orwrite_adds_bits_and_takes_none_away() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    host.write(7, &block(0b0101));
    let cdb = [0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 3, 0, 0];
    let data = [block(0b1000), block(0b1100), block(0b0011)].concat();
    host.data(&cdb, &data);
    let found = [block(0b1000), block(0b1101), block(0b0011)].concat();
    assert_eq!(host.read(6, 3), found);
}

#[test]
fn each_failure_of_the_storage_has_the_sense_that_hosts_expect() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    for (failure, sense) in [
        (Failure::Unreadable, Sense::ACCESS_DENIED),
        (Failure::Unwritable, Sense::WRITE_PROTECTED),
        (Failure::Damaged { lba: 7 }, Sense::UNRECOVERED_READ.with_information(7)),
        (Failure::Full, Sense::SPACE_ALLOCATION_FAILED),
        (Failure::Gone, Sense::NOT_READY),
        (Failure::Broken, Sense::INTERNAL_FAILURE),
    ] {
        disk.parts().failure = Some(failure);
        assert_eq!(host.write(0, &block(1)).sense, Some(sense));
        assert_eq!(host.refusal(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[]), sense);
    }
    disk.parts().failure = Some(Failure::Busy);
    assert_eq!(host.write(0, &block(1)).status, Status::TaskSetFull);
}
