//! UNMAP, WRITE SAME, GET LBA STATUS, READ CAPACITY.

use crate::{
    device::fake::{System, poll},
    sense::Sense,
    task::Status,
};

fn unmap(extents: &[(u64, u32)]) -> Vec<u8> {
    let size = u16::try_from(16 * extents.len()).unwrap();
    let mut list = [(size + 6).to_be_bytes(), size.to_be_bytes(), [0; 2], [0; 2]].concat();
    for (lba, blocks) in extents {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    list
}

fn unmap_cdb(list: &[u8]) -> [u8; 10] {
    let [high, low] = u16::try_from(list.len()).unwrap().to_be_bytes();
    [0x42, 0, 0, 0, 0, 0, 0, high, low, 0]
}

#[test]
fn what_comes_after_an_unmap_comes_after_each_of_its_extents() {
    let (system, disk) = System::new(100);
    let (host, other) = (system.ready("a", 1), system.ready("b", 1));
    disk.hold();
    let write = |lba| [0x2a, 0, 0, 0, 0, lba, 0, 0, 1, 0];
    let mut first = other.begin(0, &write(8), &[1; 512]);
    let held = disk.hold_no_more();
    // The second time it waits for itself.
    let list = unmap(&[(8, 1), (40, 1), (8, 1)]);
    let mut unmap = host.begin(0, &unmap_cdb(&list), &list);
    let mut newer = other.begin(0, &write(40), &[2; 512]);
    assert!(poll(&mut first).is_none() && poll(&mut unmap).is_none());
    assert!(poll(&mut newer).is_none());
    drop(held);
    for command in [&mut first, &mut unmap, &mut newer] {
        assert_eq!(poll(command).unwrap().status, Status::Good);
    }
    assert_eq!((host.read(8, 1), host.read(40, 1)), (vec![0; 512], vec![2; 512]));
}

#[test]
fn unmapped_blocks_are_zeros_and_the_others_stay() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    host.write(0, &[7; 64 * 512]);
    let list = unmap(&[(8, 16), (0, 0), (40, 1), (100, 0)]);
    assert_eq!(host.status(&unmap_cdb(&list), &list), Status::Good);
    let data = host.read(0, 64);
    for (lba, block) in data.chunks(512).enumerate() {
        let unmapped = (8..24).contains(&lba) || lba == 40;
        assert!(block.iter().all(|byte| *byte == if unmapped { 0 } else { 7 }), "{lba}");
    }
    assert_eq!(disk.parts().mapped[..4], [true, false, false, true]);
    let status = host.data(&[0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 40, 0, 0], &[]);
    let expected = [
        [0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4].as_slice(),
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 16, 1, 0, 0, 0],
    ];
    assert_eq!(status, expected.concat());
}

#[test]
fn an_unmap_with_one_wrong_descriptor_changes_nothing() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    host.write(0, &[7; 64 * 512]);
    let before = disk.parts().bytes.clone();
    let beyond = unmap(&[(0, 8), (99, 2)]);
    assert_eq!(host.refusal(&unmap_cdb(&beyond), &beyond), Sense::LBA_OUT_OF_RANGE);
    let many = unmap(&vec![(0, 1); 257]);
    let invalid = Sense::INVALID_FIELD_IN_DATA.in_data(2, None);
    assert_eq!(host.refusal(&unmap_cdb(&many), &many), invalid);
    let much = unmap(&[(0, 1 << 20), (0, 1)]);
    assert_eq!(host.refusal(&unmap_cdb(&much), &much), invalid);
    let good = unmap(&[(0, 8)]);
    assert_eq!(host.refusal(&unmap_cdb(&good), &good[..20]), Sense::DATA_LENGTH);
    assert_eq!(host.refusal(&unmap_cdb(&good[..7]), &good[..7]), Sense::DATA_LENGTH);
    assert_eq!(host.status(&unmap_cdb(&[]), &[]), Status::Good);
    assert_eq!(host.status(&unmap_cdb(&good[..8]), &good[..8]), Status::Good, "no descriptor");
    assert!(disk.parts().bytes == before);
}

#[test]
fn write_same_fills_as_many_blocks_as_it_says_or_all_to_the_end() {
    let (system, _) = System::new(9000);
    let host = system.ready("a", 1);
    let pattern: Vec<u8> = (0..512_u32).map(|n| (n % 253) as u8).collect();
    let ten = |lba: u16, blocks: u16| {
        let (lba, blocks) = (lba.to_be_bytes(), blocks.to_be_bytes());
        [0x41, 0, 0, 0, lba[0], lba[1], 0, blocks[0], blocks[1], 0]
    };
    assert_eq!(host.status(&ten(1, 5000), &pattern), Status::Good);
    let read = |lba: u16, blocks: u16| {
        let (lba, blocks) = (lba.to_be_bytes(), blocks.to_be_bytes());
        host.data(&[0x28, 0, 0, 0, lba[0], lba[1], 0, blocks[0], blocks[1], 0], &[])
    };
    assert_eq!(read(1, 5000), pattern.repeat(5000));
    assert!(read(0, 1).iter().chain(&read(5001, 3999)).all(|byte| *byte == 0));
    assert_eq!(host.status(&ten(8990, 0), &pattern), Status::Good);
    assert_eq!(read(8990, 10), pattern.repeat(10));
    assert!(read(8989, 1).iter().all(|byte| *byte == 0));
}

#[test]
fn write_same_of_zeros_gives_space_back_with_or_without_data() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    for cdb in [
        &[0x41, 8, 0, 0, 0, 8, 0, 0, 8, 0][..],
        &[0x93, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
        &[0x93, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
    ] {
        host.write(0, &[7; 24 * 512]);
        let no_data = cdb[0] == 0x93 && cdb[1] & 1 == 1;
        let block = [0; 512];
        let data = if no_data { &[][..] } else { &block };
        assert_eq!(host.status(cdb, data), Status::Good, "{cdb:x?}");
        assert_eq!(host.read(8, 8), [0; 8 * 512]);
        assert_eq!(host.read(16, 8), [7; 8 * 512]);
        assert_eq!(disk.parts().mapped[..3], [true, false, true]);
    }
    let unmap = [0x41, 8, 0, 0, 0, 0, 0, 0, 1, 0];
    for wrong in [0, 256, 1024] {
        let sense = host.refusal(&unmap, &vec![0; wrong]);
        assert_eq!(sense, Sense::INVALID_FIELD_IN_CDB, "{wrong} bytes");
    }
    disk.parts().identity.thin = false;
    let refused = Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(3));
    assert_eq!(host.refusal(&unmap, &[0; 512]), refused);
}

#[test]
fn both_read_capacities_say_how_many_blocks_there_are() {
    let (system, _) = System::new(1000);
    let host = system.ready("a", 1);
    assert_eq!(host.data(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]), [0, 0, 3, 231, 0, 0, 2, 0]);
    let cdb = |allocation| [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, allocation, 0, 0];
    let mut expected = [0, 0, 0, 0, 0, 0, 3, 231, 0, 0, 2, 0, 0, 3, 0xc0].to_vec();
    expected.resize(32, 0);
    assert_eq!(host.data(&cdb(32), &[]), expected);
    assert_eq!(host.data(&cdb(12), &[]), expected[..12]);
    assert!(host.data(&cdb(0), &[]).is_empty());
    let status = |lba: u16| {
        let [high, low] = lba.to_be_bytes();
        host.send(0, &[0x9e, 0x12, 0, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 24, 0, 0], &[])
    };
    assert_eq!(status(999).data_in.concat()[16..20], [0, 0, 0, 1]);
    assert_eq!(status(1000).sense, Some(Sense::LBA_OUT_OF_RANGE));
}
