//! PERSISTENT RESERVE and RESERVE, as hosts that share a logical unit meet them.

use crate::{
    device::fake::{Host, System, poll},
    medium::Failure,
    sense::Sense,
    service::Service,
    task::Status::{self, CheckCondition, Good, ReservationConflict},
};

const REGISTER: u8 = 0;
const RESERVE: u8 = 1;
const RELEASE: u8 = 2;
const CLEAR: u8 = 3;
const PREEMPT: u8 = 4;
const PREEMPT_AND_ABORT: u8 = 5;
const IGNORE: u8 = 6;

const TYPES: [u8; 6] = [1, 3, 5, 6, 7, 8];

fn cdb(action: u8, kind: u8) -> [u8; 10] {
    [0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0]
}

fn list(key: u64, action_key: u64, flags: u8) -> Vec<u8> {
    let mut list = [key.to_be_bytes(), action_key.to_be_bytes(), [0; 8]].concat();
    list[20] = flags;
    list
}

fn out(host: &Host, action: u8, kind: u8, key: u64, action_key: u64) -> Status {
    host.status(&cdb(action, kind), &list(key, action_key, 0))
}

fn registered(system: &System, name: &str, port: u16, key: u64) -> Host {
    let host = system.ready(name, port);
    assert_eq!(out(&host, REGISTER, 0, 0, key), Good);
    host
}

/// READ KEYS: the generation and the keys.
fn keys(host: &Host) -> (u32, Vec<u64>) {
    let data = host.data(&[0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[]);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    assert_eq!(number(&data[4..8]), data.len() as u64 - 8);
    let generation = u32::try_from(number(&data[..4])).unwrap();
    (generation, data[8..].chunks(8).map(number).collect())
}

/// READ RESERVATION: the key and the type.
fn held(host: &Host) -> Option<(u64, u8)> {
    let data = host.data(&[0x5e, 1, 0, 0, 0, 0, 0, 1, 0, 0], &[]);
    let key = data.get(8..16)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    Some((key, data[21]))
}

fn all(host: &Host) -> Vec<Sense> {
    std::iter::from_fn(|| host.test(0)).collect()
}

fn writes(host: &Host) -> bool {
    host.write(0, &[1; 512]).status == Good
}

fn reads(host: &Host) -> bool {
    host.status(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[]) == Good
}

#[test]
fn each_type_lets_in_whom_the_standard_says() {
    // Type, and whether a registrant and a stranger may read and write (SPC-4 table 62).
    for (kind, registrant, stranger) in [
        (1, (true, false), (true, false)),
        (3, (false, false), (false, false)),
        (5, (true, true), (true, false)),
        (6, (true, true), (false, false)),
        (7, (true, true), (true, false)),
        (8, (true, true), (false, false)),
    ] {
        let (system, _) = System::new(100);
        let holder = registered(&system, "a", 1, 10);
        let (other, third) = (registered(&system, "b", 2, 20), system.ready("c", 1));
        assert_eq!(out(&holder, RESERVE, kind, 10, 0), Good);
        assert_eq!((reads(&holder), writes(&holder)), (true, true), "type {kind}");
        assert_eq!((reads(&other), writes(&other)), registrant, "type {kind}");
        assert_eq!((reads(&third), writes(&third)), stranger, "type {kind}");
        let key = if kind > 6 { 0 } else { 10 };
        assert_eq!(held(&third), Some((key, kind)));
        for host in [&holder, &other, &third] {
            assert_eq!(host.test(0), None);
            assert_eq!(host.data(&[0x12, 0, 0, 0, 5, 0], &[]).len(), 5);
        }
        // The same initiator by another port is another nexus.
        assert!(!writes(&system.ready("a", 2)), "type {kind}");
    }
}

#[test]
fn only_who_is_registered_with_the_key_it_names_reserves_and_releases() {
    let (system, _) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), system.ready("b", 1));
    for action in [RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT] {
        assert_eq!(out(&other, action, 1, 0, 10), ReservationConflict, "{action}");
        assert_eq!(out(&host, action, 1, 11, 10), ReservationConflict, "{action}");
    }
    assert_eq!(keys(&host), (1, vec![10]));
    assert_eq!(out(&host, REGISTER, 0, 11, 12), ReservationConflict);
    assert_eq!(out(&host, REGISTER, 0, 10, 12), Good, "a new key");
    assert_eq!(out(&host, IGNORE, 0, 99, 13), Good);
    assert_eq!(out(&other, REGISTER, 0, 0, 0), Good, "nothing to do");
    assert_eq!(keys(&host), (3, vec![13]));
    assert_eq!(out(&host, RESERVE, 2, 13, 0), CheckCondition, "no such type");
    assert_eq!(out(&host, RESERVE, 0x11, 13, 0), CheckCondition, "no such scope");
    assert_eq!(out(&host, RESERVE, 1, 13, 0), Good);
    assert_eq!(out(&host, RESERVE, 1, 13, 0), Good, "already so");
    assert_eq!(out(&host, RESERVE, 3, 13, 0), ReservationConflict, "another type");
    assert_eq!(host.refusal(&cdb(RELEASE, 3), &list(13, 0, 0)), Sense::INVALID_RELEASE);
    assert_eq!(out(&host, RELEASE, 1, 13, 0), Good);
    assert_eq!(out(&host, RELEASE, 1, 13, 0), Good, "already so");
    assert_eq!(held(&host), None);
}

#[test]
fn parameter_lists_that_are_wrong_change_nothing() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    let good = list(0, 5, 0);
    assert_eq!(host.refusal(&cdb(REGISTER, 0), &good[..23]), Sense::DATA_LENGTH);
    let mut short = cdb(REGISTER, 0);
    short[8] = 20;
    assert_eq!(host.refusal(&short, &good[..20]), Sense::DATA_LENGTH);
    let specified = Sense::INVALID_FIELD_IN_DATA.in_data(20, Some(3));
    assert_eq!(host.refusal(&cdb(REGISTER, 0), &list(0, 5, 8)), specified, "SPEC_I_PT");
    assert_eq!(keys(&host), (0, vec![]));
}

#[test]
fn who_leaves_releases_what_it_held_and_others_learn_it() {
    for kind in TYPES {
        let (system, _) = System::new(100);
        let (host, other) = (registered(&system, "a", 1, 10), registered(&system, "b", 1, 20));
        assert_eq!(out(&host, RESERVE, kind, 10, 0), Good);
        assert_eq!(out(&host, REGISTER, 0, 10, 0), Good);
        let told = [vec![], vec![Sense::RESERVATIONS_RELEASED], vec![]];
        let (expected, left) = match kind {
            1 | 3 => (&told[0], None),
            5 | 6 => (&told[1], None),
            _ => (&told[2], Some((0, kind))),
        };
        assert_eq!((all(&other), held(&other)), (expected.clone(), left), "type {kind}");
        assert_eq!(out(&other, REGISTER, 0, 20, 0), Good);
        assert_eq!((held(&other), keys(&other).1), (None, vec![]));
    }
}

#[test]
fn release_tells_the_registrants_of_the_types_for_them() {
    for kind in TYPES {
        let (system, _) = System::new(100);
        let (host, other) = (registered(&system, "a", 1, 10), registered(&system, "b", 1, 20));
        assert_eq!(out(&host, RESERVE, kind, 10, 0), Good);
        assert_eq!(out(&host, RELEASE, kind, 10, 0), Good);
        let expected = if kind > 3 { vec![Sense::RESERVATIONS_RELEASED] } else { vec![] };
        assert_eq!((all(&other), all(&host)), (expected, vec![]), "type {kind}");
    }
}

#[test]
fn clear_removes_all_and_tells_the_others() {
    let (system, _) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), registered(&system, "b", 1, 20));
    assert_eq!(out(&other, RESERVE, 3, 20, 0), Good);
    assert_eq!(out(&host, CLEAR, 0, 10, 0), Good);
    assert_eq!(all(&other), [Sense::RESERVATIONS_PREEMPTED]);
    assert_eq!((held(&host), keys(&host)), (None, (3, vec![])));
}

#[test]
fn preempt_takes_a_reservation_over_and_removes_its_holder() {
    let (system, _) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), registered(&system, "b", 1, 20));
    let third = registered(&system, "c", 1, 30);
    assert_eq!(out(&host, RESERVE, 5, 10, 0), Good);
    assert_eq!(out(&other, PREEMPT, 1, 20, 99), ReservationConflict, "no such key");
    let zero = Sense::INVALID_FIELD_IN_DATA.in_data(8, None);
    assert_eq!(other.refusal(&cdb(PREEMPT, 1), &list(20, 0, 0)), zero);
    assert_eq!(out(&other, PREEMPT, 1, 20, 10), Good);
    assert_eq!((held(&other), keys(&other)), (Some((20, 1)), (4, vec![20, 30])));
    assert_eq!(all(&host), [Sense::REGISTRATIONS_PREEMPTED]);
    assert_eq!(all(&third), [Sense::RESERVATIONS_RELEASED], "the type changed");
    assert_eq!((writes(&other), writes(&host), writes(&third)), (true, false, false));
    // Itself, with another type.
    assert_eq!(out(&other, PREEMPT, 8, 20, 20), Good);
    assert_eq!(all(&third), [Sense::RESERVATIONS_RELEASED]);
    assert_eq!((held(&third), keys(&third).1), (Some((0, 8)), vec![20, 30]));
    // Of all registrants: key 0 leaves only itself.
    assert_eq!(out(&third, PREEMPT, 3, 30, 0), Good);
    assert_eq!((held(&third), keys(&third).1), (Some((30, 3)), vec![30]));
}

#[test]
fn preempt_without_a_reservation_only_removes_registrations() {
    let (system, _) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), registered(&system, "a", 2, 20));
    assert_eq!(out(&other, PREEMPT, 3, 20, 10), Good);
    assert_eq!((held(&other), keys(&other)), (None, (3, vec![20])));
    assert_eq!((all(&host), all(&other)), (vec![Sense::REGISTRATIONS_PREEMPTED], vec![]));
}

#[test]
fn preempt_and_abort_waits_for_what_the_preempted_had_begun() {
    let (system, disk) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), registered(&system, "b", 1, 20));
    assert_eq!(out(&host, RESERVE, 5, 10, 0), Good);
    disk.hold();
    let mut write = host.begin(0, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[1; 512]);
    assert!(poll(&mut write).is_none());
    let mut preempt = other.begin(0, &cdb(PREEMPT_AND_ABORT, 1), &list(20, 10, 0));
    assert!(poll(&mut preempt).is_none());
    disk.release();
    assert_eq!(poll(&mut write).unwrap().status, Status::TaskAborted);
    assert_eq!(poll(&mut preempt).unwrap().status, Good);
    assert_eq!(all(&host), [Sense::REGISTRATIONS_PREEMPTED]);
    assert!(!writes(&host) && writes(&other));
}

#[test]
fn all_target_ports_can_be_registered_at_once() {
    let (system, _) = System::new(100);
    let (host, by_other_port) = (system.ready("a", 1), system.ready("a", 2));
    assert_eq!(host.status(&cdb(REGISTER, 0), &list(0, 10, 4)), Good);
    assert_eq!(keys(&host), (1, vec![10, 10]));
    assert_eq!(out(&by_other_port, RESERVE, 3, 10, 0), Good);
    let full = host.data(&[0x5e, 3, 0, 0, 0, 0, 0, 4, 0, 0], &[]);
    // Of "a,i,0x0000023d0001": 20 bytes with the end.
    let one = |at: usize| (full[at + 12], full[at + 13], full[at + 19], full[at + 23]);
    assert_eq!(full[4..8], [0, 0, 0, 96]);
    assert_eq!((one(8), one(56)), ((3, 3, 2, 24), (2, 0, 1, 24)));
    assert_eq!(&full[32..56], b"\x45\x00\x00\x14a,i,0x0000023d0001\0\0");
    assert_eq!(
        host.data(&[0x5e, 2, 0, 0, 0, 0, 0, 0, 8, 0], &[]),
        [0, 8, 0x15, 0x80, 0xea, 1, 0, 0]
    );
}

#[test]
fn with_aptpl_reservations_survive_a_restart_and_without_it_they_do_not() {
    for aptpl in [true, false] {
        let (system, disk) = System::new(100);
        let host = system.ready("a", 1);
        assert_eq!(host.status(&cdb(REGISTER, 0), &list(0, 10, u8::from(aptpl))), Good);
        assert_eq!(out(&host, RESERVE, 3, 10, 0), Good);
        assert_ne!(disk.parts().kept.is_empty(), aptpl);
        let again = System::over(&system.shelf);
        let (host, other) = (again.ready("a", 1), again.ready("b", 1));
        assert_eq!(held(&host), aptpl.then_some((10, 3)));
        assert_eq!((writes(&host), writes(&other)), (true, !aptpl));
        if aptpl {
            assert_eq!(out(&host, REGISTER, 0, 10, 0), Good);
            assert!(disk.parts().kept.is_empty(), "nothing is left to keep");
        }
    }
}

#[test]
fn what_could_not_be_kept_has_not_happened_and_can_be_asked_for_again() {
    let (system, disk) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), system.ready("b", 1));
    let before = keys(&host);
    disk.parts().failure = Some(Failure::Broken);
    for _ in 0..2 {
        let answer = host.send(0, &cdb(IGNORE, 0), &list(0, 11, 1));
        assert_eq!((answer.status, keys(&other)), (CheckCondition, before.clone()));
    }
    disk.parts().failure = None;
    assert_eq!(host.status(&cdb(IGNORE, 0), &list(0, 11, 1)), Good);
    assert!(!disk.parts().kept.is_empty());
    let again = System::over(&system.shelf);
    assert_eq!(keys(&again.ready("a", 1)).1, [11]);
    disk.parts().failure = Some(Failure::Broken);
    assert_eq!(out(&host, PREEMPT, 1, 11, 12), ReservationConflict, "what is wrong comes first");
    assert_eq!(out(&host, RESERVE, 3, 11, 0), CheckCondition);
    disk.parts().failure = None;
    assert!(writes(&other), "nothing is reserved");
}

#[test]
fn with_aptpl_a_change_is_answered_and_seen_when_it_is_kept() {
    let (system, disk) = System::new(100);
    let (host, other) = (system.ready("a", 1), system.ready("b", 1));
    disk.hold();
    let mut first = host.begin(0, &cdb(REGISTER, 0), &list(0, 10, 1));
    let mut second = other.begin(0, &cdb(REGISTER, 0), &list(0, 20, 1));
    assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
    assert_eq!(keys(&other), (0, vec![]));
    disk.release();
    assert_eq!(poll(&mut first).unwrap().status, Good);
    assert_eq!(keys(&other), (1, vec![10]));
    assert_eq!(poll(&mut second).unwrap().status, Good);
    let again = System::over(&system.shelf);
    assert_eq!(keys(&again.ready("a", 1)).1, [10, 20], "both are kept");
}

#[test]
fn who_is_not_registered_and_registers_nothing_changes_nothing() {
    for action in [REGISTER, IGNORE] {
        let (system, disk) = System::new(100);
        for (name, key) in [("a", 10), ("b", 20)] {
            let host = system.ready(name, 1);
            assert_eq!(host.status(&cdb(REGISTER, 0), &list(0, key, 1)), Good);
        }
        let other = system.ready("c", 1);
        let (before, kept) = (keys(&other), disk.parts().kept.clone());
        assert_eq!(other.status(&cdb(action, 0), &list(0, 0, 0)), Good);
        assert_eq!((keys(&other), disk.parts().kept.clone()), (before, kept));
        assert_eq!(keys(&System::over(&system.shelf).ready("a", 1)).1, [10, 20]);
    }
}

#[test]
fn reservations_outlive_sessions_and_a_session_that_comes_back_holds_them() {
    let (system, _) = System::new(100);
    let host = registered(&system, "a", 1, 10);
    assert_eq!(out(&host, RESERVE, 1, 10, 0), Good);
    host.target.close(&host.session);
    assert!(!writes(&system.ready("b", 1)) && writes(&system.ready("a", 1)));
}

const RESERVE_6: [u8; 6] = [0x16, 0, 0, 0, 0, 0];
const RELEASE_6: [u8; 6] = [0x17, 0, 0, 0, 0, 0];
const RESERVE_10: [u8; 10] = [0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const RELEASE_10: [u8; 10] = [0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn reserve_keeps_all_others_out_until_release_or_the_end_of_the_session() {
    let (system, _) = System::new(100);
    let (host, other) = (system.ready("a", 1), system.ready("a", 2));
    for (reserve, release) in [(&RESERVE_6[..], &RELEASE_6[..]), (&RESERVE_10, &RELEASE_10)] {
        assert_eq!(host.status(reserve, &[]), Good);
        assert_eq!(host.status(reserve, &[]), Good, "already so");
        assert_eq!(other.status(reserve, &[]), ReservationConflict);
        assert_eq!(other.status(&[0; 6], &[]), ReservationConflict);
        assert!(!reads(&other) && !writes(&other) && reads(&host) && writes(&host));
        assert_eq!(other.data(&[0x12, 0, 0, 0, 5, 0], &[]).len(), 5);
        assert_eq!(other.status(release, &[]), Good, "without effect");
        assert!(!reads(&other));
        for host in [&host, &other] {
            assert_eq!(out(host, REGISTER, 0, 0, 1), ReservationConflict);
            assert_eq!(host.status(&[0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[]), ReservationConflict);
        }
        assert_eq!(host.status(release, &[]), Good);
        assert!(reads(&other));
    }
    host.data(&RESERVE_6, &[]);
    host.target.close(&host.session);
    assert!(reads(&other));
}

#[test]
fn among_registrants_reserve_and_release_do_nothing_and_others_are_refused() {
    let (system, _) = System::new(100);
    let (host, other) = (registered(&system, "a", 1, 10), system.ready("b", 1));
    for cdb in [RESERVE_6, RELEASE_6] {
        assert_eq!(host.status(&cdb, &[]), Good);
        assert_eq!(other.status(&cdb, &[]), ReservationConflict);
    }
    assert!(writes(&other), "nothing is reserved");
    assert_eq!(out(&host, RESERVE, 1, 10, 0), Good);
    assert_eq!(host.status(&RESERVE_6, &[]), Good);
    let second = registered(&system, "c", 1, 30);
    for (kind, status) in [(1, ReservationConflict), (5, Good), (8, Good)] {
        assert_eq!(out(&host, PREEMPT, kind, 10, 10), Good);
        all(&second);
        assert_eq!(second.status(&RESERVE_6, &[]), status, "type {kind}");
        assert_eq!(second.status(&RELEASE_6, &[]), status, "type {kind}");
        assert_eq!(other.status(&RESERVE_6, &[]), ReservationConflict);
    }
    assert_eq!(out(&second, IGNORE, 0, 0, 0), Good);
    assert_eq!(out(&host, IGNORE, 0, 0, 0), Good);
    assert_eq!(other.status(&RESERVE_6, &[]), Good, "as nobody is registered any more");
}
