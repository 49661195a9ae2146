//! What guards and pair states do to hosts that are logged in, at once.

use crate::{
    device::fake::{Host, System},
    sense::Sense,
    task::Status,
};

const CAPACITY: [u8; 10] = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const REPORT_LUNS: [u8; 12] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 96, 0];

fn all(host: &Host) -> Vec<Sense> {
    std::iter::from_fn(|| host.test(0)).collect()
}

#[test]
fn a_hidden_unit_is_gone_and_comes_back() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    disk.parts().access.hidden = true;
    system.shelf.changed();
    assert_eq!(host.data(&INQUIRY, &[])[0], 0x7f);
    assert!(!host.data(&INQUIRY, &[]).windows(4).any(|text| text == b"OPEN"));
    assert_eq!(host.data(&REPORT_LUNS, &[]), [0; 8]);
    for cdb in [[0; 10], CAPACITY, [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]] {
        assert_eq!(host.refusal(&cdb, &[]), Sense::NO_SUCH_UNIT);
    }
    let page = host.refusal(&[0x12, 1, 0x83, 1, 0, 0], &[]);
    assert_eq!(page, Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None));
    disk.parts().access.hidden = false;
    system.shelf.changed();
    assert_eq!(all(&host), [Sense::LUNS_CHANGED, Sense::INQUIRY_CHANGED]);
    assert_eq!(host.data(&INQUIRY, &[])[0], 0);
    assert_eq!(host.data(&REPORT_LUNS, &[])[3], 8);
}

#[test]
fn a_sizeless_unit_has_no_capacity_and_hosts_learn_both_ways() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    let long = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0];
    for (sizeless, last) in [(true, 0), (false, 99)] {
        disk.parts().access.sizeless = sizeless;
        system.shelf.changed();
        assert_eq!(all(&host), [Sense::CAPACITY_CHANGED]);
        assert_eq!(host.data(&CAPACITY, &[]), [0, 0, 0, last, 0, 0, 2, 0]);
        assert_eq!(host.data(&long, &[]), [0, 0, 0, 0, 0, 0, 0, last]);
    }
}

#[test]
fn reads_and_writes_are_refused_from_the_command_on_that_follows_the_guard() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    let writes: [(&[u8], usize); 6] = [
        (&[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512),
        (&[0x2e, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512),
        (&[0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512),
        (&[0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], 0),
        (&[0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0], 8),
        (&[0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], 1024),
    ];
    let reads: [&[u8]; 3] = [
        &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        &[0x2f, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        &[0x34, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    ];
    for (unreadable, unwritable) in [(false, true), (true, true), (true, false), (false, false)] {
        let mut parts = disk.parts();
        (parts.access.unreadable, parts.access.unwritable) = (unreadable, unwritable);
        drop(parts);
        for (cdb, bytes) in writes {
            let answer = host.send(0, cdb, &vec![0; bytes]);
            let reads_too = cdb[0] == 0x89 || cdb[0] == 0x2e;
            let expected = match (unreadable && reads_too, unwritable) {
                (true, _) => Some(Sense::ACCESS_DENIED),
                (_, true) => Some(Sense::WRITE_PROTECTED),
                _ => None,
            };
            assert_eq!(answer.sense, expected, "{cdb:x?}");
        }
        for cdb in reads {
            let expected = unreadable.then_some(Sense::ACCESS_DENIED);
            assert_eq!(host.send(0, cdb, &[]).sense, expected, "{cdb:x?}");
        }
        let mode = host.data(&[0x1a, 0, 0x3f, 0, 255, 0], &[]);
        assert_eq!(mode[2] & 0x80 != 0, unwritable, "WP");
        assert_eq!(host.status(&[0; 6], &[]), Status::Good);
    }
}
