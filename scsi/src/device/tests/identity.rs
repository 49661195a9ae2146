//! INQUIRY, VPD pages and what else hosts ask about.

use crate::{
    device::{fake::System, vpd},
    sense::Sense,
    task::{LunAddress, Status},
};

fn vpd(page: u8) -> [u8; 6] {
    [0x12, 1, page, 4, 0, 0]
}

#[test]
fn the_standard_inquiry_data_is_as_the_byte_table_says() {
    let (system, _) = System::new(100);
    let data = system.host("a", 1).data(&[0x12, 0, 0, 1, 4, 0], &[]);
    let mut expected = [0, 0, 6, 0x12, 91, 0x10, 0x10, 2].to_vec();
    expected.extend(b"HITACHI OPEN-V          21140000F42000000010");
    expected.resize(58, 0);
    expected.extend([0x00, 0xa0, 0x09, 0x60, 0x04, 0x60, 0x04, 0xc0]);
    expected.resize(96, 0);
    assert_eq!(data, expected);
    assert_eq!(system.host("a", 1).data(&[0x12, 0, 0, 0, 5, 0], &[]), expected[..5]);
}

#[test]
fn every_listed_page_is_there_says_its_length_and_no_other_is() {
    let (system, _) = System::new(100);
    let host = system.host("a", 1);
    let list = host.data(&vpd(0), &[]);
    assert_eq!(list, [0, 0, 0, 8, 0, 0x80, 0x83, 0x86, 0xb0, 0xb1, 0xb2, 0xc0]);
    for page in 0..=0xff {
        if vpd::PAGES.contains(&page) {
            let data = host.data(&vpd(page), &[]);
            assert_eq!(data[..2], [0, page]);
            assert_eq!(usize::from(data[2]) << 8 | usize::from(data[3]), data.len() - 4);
        } else {
            let sense = Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None);
            assert_eq!(host.refusal(&vpd(page), &[]), sense, "{page:#x}");
        }
    }
    for page in [0x86, 0xb0, 0xb1] {
        assert_eq!(host.data(&vpd(page), &[]).len(), 64, "{page:#x}: as SPC-4 and SBC-3 say");
    }
}

#[test]
fn a_logical_unit_is_the_same_on_every_path_and_the_port_is_not() {
    let (system, _) = System::new(100);
    let of = |port| system.host("a", port).data(&vpd(0x83), &[]);
    let (one, other) = (of(1), of(2));
    let naa = [1, 3, 0, 8, 0x30, 0x00, 0x0f, 0x42, 0, 0, 0, 0x10];
    assert_eq!(one[4..16], naa, "3h, serial number 62496, LDEV 16");
    assert_eq!(&one[16..44], b"\x02\x01\x00\x18HITACHI 0000F42000000010");
    assert_eq!(one[..44], other[..44]);
    assert_eq!(one[44..60], [0x51, 0x94, 0, 4, 0, 0, 0, 1, 0x51, 0x95, 0, 4, 0, 0, 0, 1]);
    assert_eq!(other[44..52], [0x51, 0x94, 0, 4, 0, 0, 0, 2]);
    assert_eq!(&one[60..], b"\x53\x98\x00\x24iqn.2026-01.example:cl1-a,t,0x0001\0\0");
    assert_eq!(of(1)[4..], system.host("b", 1).data(&vpd(0x83), &[])[4..]);
    let serial = |port| system.host("a", port).data(&vpd(0x80), &[]);
    assert_eq!(serial(1), b"\0\x80\0\x100000F42000000010");
    assert_eq!(serial(1), serial(2));
}

#[test]
fn the_vendor_page_names_storage_system_ldev_lun_port_and_command_devices() {
    let (system, disk) = System::new(100);
    system.shelf.put(0x123, &disk);
    let host = system.host("a", 2);
    let page = host.send(0x123, &vpd(0xc0), &[]).data_in.concat();
    let mut expected = vec![0, 0xc0, 0, 52, 0, 0, 0xf4, 0x20, 0, 0, 0, 16, 1, 0x23, 0, 0];
    expected.extend(b"CL2-A           ");
    // Nothing is known of mirrors, SSID, group and RAID group of this one, nor of its place.
    expected.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    expected.extend(b"        ");
    expected.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
    assert_eq!(page, expected);
    disk.parts().identity.product = "OPEN-3-CM".into();
    assert_eq!(host.data(&vpd(0xc0), &[])[14], 1);
}

#[test]
fn thick_units_announce_no_unmap_anywhere() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    let thin = |host: &crate::device::fake::Host| {
        let limits = host.data(&vpd(0xb0), &[]);
        let capacity = host.data(&[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], &[]);
        [
            limits[20..36].iter().any(|byte| *byte != 0),
            host.data(&vpd(0xb2), &[])[5] == 0xe4,
            capacity[14] == 0xc0,
            host.data(&[0xa3, 0x0c, 1, 0x42, 0, 0, 0, 0, 0, 64, 0, 0], &[])[1] == 3,
            host.status(&[0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]) == Status::Good,
        ]
    };
    assert_eq!(thin(&host), [true; 5]);
    disk.parts().identity.thin = false;
    assert_eq!(thin(&host), [false; 5]);
}

#[test]
fn block_limits_are_those_that_commands_keep() {
    let (system, _) = System::new(100);
    let limits = system.host("a", 1).data(&vpd(0xb0), &[]);
    assert_eq!(limits[4..8], [0, 255, 0, 8]);
    assert_eq!(limits[8..16], [0, 1, 0, 0, 0, 0, 8, 0]);
    assert_eq!(limits[20..28], [0, 0x10, 0, 0, 0, 0, 1, 0]);
    assert_eq!(limits[28..44], [0, 0, 0, 128, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]);
}

#[test]
fn luns_are_listed_in_order_and_unknown_ones_say_that_they_are_not_there() {
    let (system, disk) = System::new(100);
    system.shelf.put(0x100, &disk);
    let host = system.host("a", 1);
    let report = |select| host.send(9, &[0xa0, 0, select, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]);
    let all = report(0).data_in.concat();
    assert_eq!(all[..16], [0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(all[16..], 0x4100_0000_0000_0000_u64.to_be_bytes());
    assert_eq!(report(2).data_in.concat(), all);
    assert_eq!(report(1).data_in.concat(), [0; 8]);
    assert_eq!(report(0x11).sense, Some(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None)));
    let inquiry = host.send(9, &[0x12, 0, 0, 0, 96, 0], &[]).data_in.concat();
    assert_eq!((inquiry[0], inquiry.len()), (0x7f, 36));
    let sense = host.send(9, &[3, 0, 0, 0, 18, 0], &[]);
    assert_eq!((sense.status, sense.data_in.concat()), {
        (Status::Good, Sense::NO_SUCH_UNIT.fixed().to_vec())
    });
    for cdb in [[0; 6], [0x28, 0, 0, 0, 0, 0], [0xff, 0, 0, 0, 0, 0]] {
        assert_eq!(host.send(9, &cdb, &[]).sense, Some(Sense::NO_SUCH_UNIT));
    }
    let mut well_known = crate::device::fake::command(0, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[]);
    well_known.lun = LunAddress::REPORT_LUNS;
    let answer = host.carry_out(well_known);
    assert_eq!(crate::device::fake::now(answer).data_in.concat(), all);
}

#[test]
fn who_is_in_no_group_sees_nothing() {
    let (system, _) = System::new(100);
    let host = system.host("nobody", 1);
    assert_eq!(host.data(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]), [0; 8]);
    assert_eq!(host.test(0), Some(Sense::NO_SUCH_UNIT));
}

#[test]
fn port_groups_management_and_diagnostics_answer_by_their_byte_tables() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    let groups = host.data(&[0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]);
    assert_eq!(groups, [0, 0, 0, 16, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    let extended = host.data(&[0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]);
    assert_eq!(extended[..8], [0, 0, 0, 20, 0x10, 0, 0, 0]);
    assert_eq!(extended[8..], groups[4..]);
    let functions = |extended| host.data(&[0xa3, 0x0d, extended, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]);
    assert_eq!(functions(0), [0xd8, 0, 0, 0]);
    assert_eq!((functions(0x80).len(), functions(0x80)[3]), (16, 12));
    assert_eq!(host.data(&[0x1c, 1, 0, 1, 0, 0], &[]), [0, 0, 0, 1, 0]);
    assert!(host.data(&[0x1d, 4, 0, 0, 0, 0], &[]).is_empty());
}

#[test]
fn sense_data_comes_in_the_format_that_the_control_page_asks_for() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    let bad = [0x28, 0, 0, 0, 0, 200, 0, 0, 1, 0];
    assert_eq!(host.send(0, &bad, &[]).sense_data(), Sense::LBA_OUT_OF_RANGE.fixed());
    let mut list = host.data(&[0x1a, 8, 0x0a, 0, 255, 0], &[]);
    (list[0], list[2]) = (0, 0);
    list[4 + 2] |= 4;
    host.data(&[0x15, 0x10, 0, 0, 16, 0], &list);
    assert_eq!(host.send(0, &bad, &[]).sense_data(), Sense::LBA_OUT_OF_RANGE.descriptors());
    assert_eq!(host.data(&[0x1a, 8, 0x0a, 0, 255, 0], &[])[6] & 4, 4);
}
