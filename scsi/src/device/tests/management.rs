//! Task management functions.

use std::pin::Pin;

use crate::{
    device::fake::{Disk, Host, System, command, now, poll},
    sense::Sense,
    service::Service,
    task::{LunAddress, Management, Status, Unmanaged},
};

/// Begins a function; what is given back ends when it is complete.
fn begin(
    host: &Host,
    lun: u16,
    function: Management,
) -> Result<Pin<Box<dyn Future<Output = ()> + Send>>, Unmanaged> {
    let lun = LunAddress::from_number(lun).unwrap();
    Ok(Box::pin(host.target.manage(&host.session, lun, function)?))
}

/// Carries out a function that nothing holds up.
fn manage(host: &Host, lun: u16, function: Management) -> Result<(), Unmanaged> {
    begin(host, lun, function).map(now)
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
    for function in
        [Management::AbortTaskSet, Management::ClearTaskSet, Management::LogicalUnitReset]
    {
        assert_eq!(manage(&host, 0, function), Ok(()));
        assert_eq!(manage(&host, 1, function), Err(Unmanaged::NoSuchUnit));
    }
    assert_eq!(manage(&host, 0, Management::ClearAca), Err(Unmanaged::Rejected));
    assert_eq!(manage(&host, 1, Management::TargetWarmReset), Ok(()));
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
        let apart = [0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0];
        let (mut own, mut others) =
            (host.begin(0, &WRITE, &[1; 512]), other.begin(0, &apart, &[2; 512]));
        assert!(poll(&mut own).is_none() && poll(&mut others).is_none());
        let mut cleared = begin(&host, 0, Management::ClearTaskSet).unwrap();
        assert!(poll(&mut cleared).is_none(), "they touch the storage still");
        disk.release();
        assert_eq!(poll(&mut own).unwrap().status, Status::Good, "it had begun");
        let (status, told) = match tas {
            true => (Status::TaskAborted, vec![]),
            false => (Status::Good, vec![Sense::COMMANDS_CLEARED]),
        };
        assert_eq!(poll(&mut others).unwrap().status, status);
        assert!(poll(&mut cleared).is_some());
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
    assert_eq!(manage(&host, 0, Management::AbortTaskSet), Ok(()));
    disk.release();
    assert_eq!(poll(&mut first).unwrap().status, Status::Good);
    assert_eq!(poll(&mut waits).unwrap().status, Status::TaskAborted);
    assert_eq!(host.read(0, 1), [1; 512]);
}

/// A host, and another that writes block 0 and is held up in the storage as it does.
fn held_up(
    disk: &Disk,
    host: &Host,
) -> Pin<Box<dyn Future<Output = crate::task::Completion> + Send>> {
    disk.hold();
    let mut write = host.begin(0, &WRITE, &[2; 512]);
    assert!(poll(&mut write).is_none());
    write
}

#[test]
fn after_a_reset_no_older_write_of_another_lands_on_a_newer_one() {
    for function in
        [Management::ClearTaskSet, Management::LogicalUnitReset, Management::TargetWarmReset]
    {
        let (system, disk) = System::new(100);
        let (host, other) = (system.ready("a", 1), system.ready("b", 2));
        let mut older = held_up(&disk, &other);
        let mut reset = begin(&host, 0, function).unwrap();
        assert!(poll(&mut reset).is_none(), "{function:?}: the older write is not over");
        // One that came before it, and one that does not wait for its answer.
        let mut newer = host.begin(0, &WRITE, &[1; 512]);
        if function != Management::ClearTaskSet {
            assert_eq!(poll(&mut newer).unwrap().sense, Some(Sense::RESET));
            newer = host.begin(0, &WRITE, &[1; 512]);
        }
        assert!(poll(&mut newer).is_none());
        disk.release();
        assert_eq!(poll(&mut older).unwrap().status, Status::TaskAborted);
        assert!(poll(&mut reset).is_some());
        assert_eq!(poll(&mut newer).unwrap().status, Status::Good);
        assert_eq!(host.read(0, 1), [1; 512], "{function:?}");
    }
}

#[test]
fn a_command_whose_data_comes_after_a_reset_is_aborted_as_well() {
    let (system, _) = System::new(100);
    // One that the unit knows, and one whose first command this is.
    for (host, other) in
        [(system.ready("a", 1), system.ready("b", 2)), (system.ready("c", 1), system.host("d", 2))]
    {
        let gathering: Vec<_> = (0..3).map(|_| other.arrive()).collect();
        assert_eq!(manage(&host, 0, Management::LogicalUnitReset), Ok(()));
        for arrival in gathering {
            let write = command(0, &WRITE, &[2; 512]);
            let done = now(other.carry_out_as(&arrival, write));
            assert_eq!(done.status, Status::TaskAborted);
        }
        assert!(matches!(all(&other)[..], [Sense { asc: 0x29, .. }]), "it is told all the same");
        assert_eq!((all(&host), host.read(0, 1)), (vec![Sense::RESET], vec![0; 512]));
        assert_eq!(other.write(0, &[0; 512]).status, Status::Good, "what comes later is not");
    }
}

#[test]
fn a_target_reset_is_about_the_units_that_its_nexus_sees() {
    let (system, disk) = System::new(100);
    let apart = Disk::new(17, 100);
    system.shelf.put(1, &apart);
    for function in [Management::TargetWarmReset, Management::TargetColdReset] {
        let host = system.ready("only-0", 1);
        let (other, both) = (system.host("only-1", 1), system.ready("b", 1));
        assert_eq!(other.test(1), Some(Sense::POWER_ON));
        apart.hold();
        let mut write = other.begin(1, &WRITE, &[2; 512]);
        assert!(poll(&mut write).is_none());
        let mut shared = held_up(&disk, &both);
        let mut reset = begin(&host, 0, function).unwrap();
        assert!(poll(&mut reset).is_none());
        disk.release();
        assert_eq!(poll(&mut shared).unwrap().status, Status::TaskAborted);
        assert!(poll(&mut reset).is_some(), "{function:?}: it does not wait for the others");
        apart.release();
        assert_eq!(poll(&mut write).unwrap().status, Status::Good, "{function:?}");
        assert_eq!((other.test(1), both.test(0)), (None, Some(Sense::RESET)));
    }
}

#[test]
fn abort_task_stops_what_waits_and_what_goes_on_for_long() {
    let (system, disk) = System::new(10_000);
    let host = system.ready("a", 1);
    disk.hold();
    let compare = [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
    let mut first = host.begin(0, &compare, &[[0; 512], [1; 512]].concat());
    let begin = |cdb: &[u8], data: &[u8]| {
        let arrival = host.arrive();
        let done = host.carry_out_as(&arrival, command(0, cdb, data));
        (arrival, done)
    };
    let (waits, mut write) = begin(&WRITE, &[2; 512]);
    // WRITE SAME of 9,000 blocks, of which 2,048 are written at a time.
    let (goes_on, mut same) = begin(&[0x41, 0, 0, 0, 0, 1, 0, 0x23, 0x28, 0], &[3; 512]);
    assert!(poll(&mut first).is_none() && poll(&mut write).is_none() && poll(&mut same).is_none());
    host.target.abort(&waits);
    host.target.abort(&goes_on);
    disk.release();
    assert_eq!(poll(&mut first).unwrap().status, Status::Good);
    assert_eq!(poll(&mut write).unwrap().status, Status::TaskAborted);
    assert_eq!(poll(&mut same).unwrap().status, Status::TaskAborted);
    let bytes = &disk.parts().bytes;
    assert!(bytes[..512] == [1; 512] && bytes[512..2049 * 512].iter().all(|byte| *byte == 3));
    assert!(bytes[2049 * 512..].iter().all(|byte| *byte == 0), "no more than had begun");
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
        assert_eq!(manage(&other, 0, function), Ok(()));
        assert_eq!((all(&host), all(&other)), (vec![Sense::RESET], vec![Sense::RESET]));
        assert_eq!(other.status(&WRITE, &[1; 512]), Status::Good);
        assert_eq!(host.data(&[0x1a, 8, 0x0a, 0, 255, 0], &[])[4 + 5], 0x40);
        let mut list = vec![0; 24];
        list[15] = 9;
        host.data(&[0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0], &list);
        manage(&other, 0, function).unwrap();
        assert_eq!((all(&host), all(&other)), (vec![Sense::RESET], vec![Sense::RESET]));
        assert_eq!(host.data(&[0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[]).len(), 16);
    }
}
