//! Task management functions.

use crate::{
    device::fake::{Host, System, poll},
    sense::Sense,
    service::Service,
    task::{LunAddress, Management, ManagementAnswer, Status},
};

fn manage(host: &Host, lun: u16, function: Management) -> ManagementAnswer {
    host.target.manage(&host.session, LunAddress::from_number(lun).unwrap(), function)
}

fn all(host: &Host) -> Vec<Sense> {
    std::iter::from_fn(|| host.test(0)).collect()
}

const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];

fn tell_aborted(host: &Host, on: bool) {
    let mut list = host.data(&[0x1a, 8, 0x0a, 0, 255, 0], &[]);
    (list[0], list[2]) = (0, 0);
    list[4 + 5] = if on { 0x40 } else { 0 };
    host.data(&[0x15, 0x10, 0, 0, 16, 0], &list);
}

#[test]
fn functions_are_for_units_that_are_there() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    for function in [
        Management::AbortTask,
        Management::AbortTaskSet,
        Management::ClearTaskSet,
        Management::LogicalUnitReset,
    ] {
        assert_eq!(manage(&host, 0, function), ManagementAnswer::Complete);
        assert_eq!(manage(&host, 1, function), ManagementAnswer::NoSuchUnit);
    }
    assert_eq!(manage(&host, 0, Management::ClearAca), ManagementAnswer::Rejected);
    assert_eq!(manage(&host, 1, Management::TargetWarmReset), ManagementAnswer::Complete);
}

#[test]
fn clear_task_set_ends_what_others_run_and_tells_them_one_way_or_the_other() {
    for tas in [true, false] {
        let (system, disk) = System::new(100);
        let (host, other) = (system.ready("a", 1), system.ready("b", 2));
        let idle = system.ready("c", 1);
        tell_aborted(&host, tas);
        assert_eq!((all(&other).len(), all(&idle).len()), (usize::from(!tas), usize::from(!tas)));
        disk.hold();
        let (mut own, mut others) =
            (host.begin(0, &WRITE, &[1; 512]), other.begin(0, &WRITE, &[2; 512]));
        assert!(poll(&mut own).is_none() && poll(&mut others).is_none());
        assert_eq!(manage(&host, 0, Management::ClearTaskSet), ManagementAnswer::Complete);
        disk.release();
        assert_eq!(poll(&mut own).unwrap().status, Status::Good, "it had begun");
        let (status, told) = match tas {
            true => (Status::TaskAborted, vec![]),
            false => (Status::Good, vec![Sense::COMMANDS_CLEARED]),
        };
        assert_eq!(poll(&mut others).unwrap().status, status);
        assert_eq!((all(&other), all(&host), all(&idle)), (told, vec![], vec![]));
    }
}

#[test]
fn what_waits_for_its_turn_when_it_is_aborted_never_touches_the_storage() {
    let (system, disk) = System::new(100);
    let host = system.ready("a", 1);
    disk.hold();
    let compare = [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
    let mut first = host.begin(0, &compare, &[[0; 512], [1; 512]].concat());
    let mut waits = host.begin(0, &WRITE, &[2; 512]);
    assert!(poll(&mut first).is_none() && poll(&mut waits).is_none());
    assert_eq!(manage(&host, 0, Management::AbortTaskSet), ManagementAnswer::Complete);
    disk.release();
    assert_eq!(poll(&mut first).unwrap().status, Status::Good);
    assert_eq!(poll(&mut waits).unwrap().status, Status::TaskAborted);
    assert_eq!(host.read(0, 1), [1; 512]);
}

#[test]
fn a_reset_ends_reserve_and_mode_parameters_and_leaves_persistent_reservations() {
    for function in [Management::LogicalUnitReset, Management::TargetWarmReset] {
        let (system, _) = System::new(100);
        let (host, other) = (system.ready("a", 1), system.ready("b", 2));
        tell_aborted(&host, false);
        assert_eq!(all(&other), [Sense::MODE_CHANGED]);
        host.data(&[0x16, 0, 0, 0, 0, 0], &[]);
        assert_eq!(other.status(&WRITE, &[1; 512]), Status::ReservationConflict);
        assert_eq!(manage(&other, 0, function), ManagementAnswer::Complete);
        assert_eq!((all(&host), all(&other)), (vec![Sense::RESET], vec![Sense::RESET]));
        assert_eq!(other.status(&WRITE, &[1; 512]), Status::Good);
        assert_eq!(host.data(&[0x1a, 8, 0x0a, 0, 255, 0], &[])[4 + 5], 0x40);
        let mut list = vec![0; 24];
        list[15] = 9;
        host.data(&[0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0], &list);
        manage(&other, 0, function);
        assert_eq!((all(&host), all(&other)), (vec![Sense::RESET], vec![Sense::RESET]));
        assert_eq!(host.data(&[0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[]).len(), 16);
    }
}
