//! Unit attentions, and what a nexus learns when the inventory changes.

use crate::{
    device::fake::{Disk, Host, System},
    sense::Sense,
    task::Status,
};

/// All that waits, by TEST UNIT READY.
fn all(host: &Host, lun: u16) -> Vec<Sense> {
    std::iter::from_fn(|| host.test(lun)).collect()
}

const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 96, 0];
const REPORT_LUNS: [u8; 12] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
const REQUEST_SENSE: [u8; 6] = [3, 0, 0, 0, 18, 0];

#[test]
fn each_new_nexus_learns_once_that_power_came_on() {
    let (system, _) = System::new(100);
    let (host, other) = (system.host("a", 1), system.host("a", 2));
    for host in [&host, &other] {
        host.data(&INQUIRY, &[]);
        host.data(&REPORT_LUNS, &[]);
        let write = host.write(0, &[1; 512]);
        assert_eq!(write.sense, Some(Sense::POWER_ON), "neither of them told it");
        assert_eq!(host.read(0, 1), [0; 512], "and nothing was written");
    }
    assert_eq!(
        host.data(&REQUEST_SENSE, &[]),
        Sense::new(crate::sense::Key::NoSense, 0, 0).fixed()
    );
    let third = system.host("c", 1);
    assert_eq!(third.data(&REQUEST_SENSE, &[]), Sense::POWER_ON.fixed());
    assert_eq!(third.test(0), None, "REQUEST SENSE told it");
    assert_eq!(system.host("a", 1).test(0), Some(Sense::POWER_ON), "a session that comes back");
}

#[test]
fn every_command_but_three_meets_an_attention() {
    let (system, _) = System::new(100);
    for entry in crate::device::opcodes::COMMANDS {
        let mut cdb = entry.usage.to_vec();
        cdb[1..].fill(0);
        cdb[1] = entry.action.unwrap_or(0);
        let answer = system.host("a", 1).send(0, &cdb, &[]);
        let free = [0x03, 0x12, 0xa0].contains(&entry.opcode);
        assert_eq!(answer.sense == Some(Sense::POWER_ON), !free, "{:#x}", entry.opcode);
    }
}

#[test]
fn changes_of_the_inventory_are_learned_with_the_next_command() {
    let (system, disk) = System::new(100);
    let other = Disk::new(17, 50);
    system.shelf.put(1, &other);
    let host = system.ready("a", 1);
    assert_eq!(all(&host, 1), [Sense::POWER_ON]);
    disk.parts().bytes.resize(200 * 512, 0);
    assert_eq!(all(&host, 0), [], "not before the inventory says that it changed");
    system.shelf.changed();
    assert_eq!(all(&host, 0), [Sense::CAPACITY_CHANGED]);
    assert_eq!(all(&host, 1), []);
    disk.parts().identity.product = "OPEN-3-CM".into();
    system.shelf.changed();
    assert_eq!(all(&host, 0), [Sense::INQUIRY_CHANGED]);
    let third = Disk::new(18, 10);
    system.shelf.put(2, &third);
    assert_eq!(all(&host, 0), [Sense::LUNS_CHANGED]);
    assert_eq!(all(&host, 1), [Sense::LUNS_CHANGED]);
    assert_eq!(all(&host, 2), [Sense::POWER_ON, Sense::LUNS_CHANGED]);
    system.shelf.remove(1);
    host.data(&REPORT_LUNS, &[]);
    assert_eq!((all(&host, 0), all(&host, 2)), (vec![], vec![]), "REPORT LUNS told it");
    assert_eq!(host.test(1), Some(Sense::NO_SUCH_UNIT));
    system.shelf.changed();
    assert_eq!(all(&host, 0), [], "nothing is different");
}

#[test]
fn an_ldev_that_is_deleted_leaves_nothing_to_the_next_of_its_number() {
    let (system, disk) = System::new(100);
    let first = Disk::new(17, 50);
    system.shelf.put(1, &first);
    let (host, other) = (system.ready("a", 1), system.ready("b", 1));
    assert_eq!(all(&other, 1), [Sense::POWER_ON]);
    assert_eq!(all(&host, 1), [Sense::POWER_ON]);
    assert_eq!(host.send(1, &[0x16, 0, 0, 0, 0, 0], &[]).status, Status::Good);
    assert_eq!(other.send(1, &[0; 6], &[]).status, Status::ReservationConflict);
    system.shelf.remove(1);
    assert_eq!(other.test(1), Some(Sense::NO_SUCH_UNIT));
    system.shelf.put(1, &Disk::new(17, 50));
    assert_eq!(all(&other, 1), [Sense::POWER_ON, Sense::LUNS_CHANGED]);
    assert_eq!(other.send(1, &[0; 6], &[]).status, Status::Good);
    drop(disk);
}

#[test]
fn mode_parameters_are_shared_and_others_learn_that_they_changed() {
    let (system, _) = System::new(100);
    let (host, other) = (system.ready("a", 1), system.ready("b", 2));
    let mut list = host.data(&[0x5a, 8, 0x0a, 0, 0, 0, 0, 1, 0, 0], &[]);
    (list[0], list[1], list[3]) = (0, 0, 0);
    let select = [0x55, 0x10, 0, 0, 0, 0, 0, 0, 20, 0];
    host.data(&select, &list);
    assert_eq!(all(&other, 0), [], "the same as before");
    list[8 + 4] |= 8;
    assert_eq!(host.refusal(&select, &list[..19]), Sense::DATA_LENGTH);
    host.data(&select, &list);
    assert_eq!((all(&host, 0), all(&other, 0)), (vec![], vec![Sense::MODE_CHANGED]));
    assert_eq!(other.write(0, &[1; 512]).sense, Some(Sense::WRITE_PROTECTED), "SWP");
    assert_eq!(other.data(&[0x1a, 8, 0x0a, 0, 255, 0], &[])[2], 0x90, "WP");
    assert_eq!(other.read(0, 1), [0; 512]);
}
