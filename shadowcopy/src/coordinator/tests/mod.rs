//! Every failure at every call, and what has to follow from it.

mod fake;

use std::{collections::BTreeSet, thread};

use proptest::prelude::*;

use self::fake::{Bad, Cardboard, Traps, World};
use crate::{
    catalogue::{State, record::Participant},
    coordinator::{Finished, Policy},
    step::Step,
    writer::FaultKind,
};

const WRITERS: [&str; 2] = ["db", "web"];

/// Every call that can be trapped, and the step it is in.
const CALLS: [(&str, Step); 21] = [
    ("db describe", Step::Describe),
    ("web describe", Step::Describe),
    ("ice arm", Step::Describe),
    ("copies begin-prepare", Step::BeginPrepare),
    ("db prepare", Step::PrepareWriters),
    ("web prepare", Step::PrepareWriters),
    ("copies end-prepare", Step::EndPrepare),
    ("ice writers-freeze", Step::FreezeWriters),
    ("db freeze", Step::FreezeWriters),
    ("web freeze", Step::FreezeWriters),
    ("copies pre-commit", Step::PreCommit),
    ("ice freeze", Step::FreezeFileSystems),
    ("copies commit", Step::Commit),
    ("ice thaw", Step::ThawFileSystems),
    ("copies post-commit", Step::PostCommit),
    ("web thaw", Step::ThawWriters),
    ("db thaw", Step::ThawWriters),
    ("ice writers-thaw", Step::ThawWriters),
    ("web post", Step::PostWriters),
    ("db post", Step::PostWriters),
    ("copies final-commit", Step::FinalCommit),
];

/// Only what is on a thread of its own may hang or panic.
fn on_a_thread(call: &str) -> bool {
    !call.starts_with("ice") && !call.starts_with("ledger")
}

/// EndPrepareSnapshots may take as long as it likes.
fn may_hang(call: &str) -> bool {
    on_a_thread(call) && call != "copies end-prepare"
}

#[test]
fn the_steps_come_in_their_order_and_writers_thaw_in_reverse() {
    let world = World::default();
    let finished = world.backup(Policy::Abort, &WRITERS);
    assert_eq!(finished.findings.state, State::Consistent);
    assert!(!finished.unfinished && finished.copies.is_some());
    let calls = world.calls();
    let steps: Vec<&str> = calls.iter().filter_map(|call| call.strip_suffix(" begins")).collect();
    assert_eq!(steps, Step::ALL.map(Step::name));
    let evidence: Vec<Step> = finished.findings.evidence.iter().map(|(step, _)| *step).collect();
    assert_eq!(evidence, Step::ALL);
    let frozen = |call: &String| call.contains("freeze") || call.contains("commit");
    let around_the_split: Vec<&str> = calls
        .iter()
        .filter(|call| frozen(call) || call.contains("thaw"))
        .filter(|call| !call.ends_with(" begins") && !call.ends_with(" ended"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        around_the_split,
        [
            "ice writers-freeze",
            "db freeze",
            "web freeze",
            "copies pre-commit",
            "ice freeze",
            "copies commit",
            "ice thaw",
            "copies post-commit",
            "web thaw",
            "db thaw",
            "ice writers-thaw",
            "copies final-commit",
        ]
    );
    assert_eq!(calls.last().unwrap(), "ice disarm");
    let handed_over: Vec<(usize, &[u8])> = finished
        .findings
        .artifacts
        .iter()
        .map(|(writer, artifact)| (*writer, artifact.bytes.as_slice()))
        .collect();
    assert_eq!(handed_over, [(0, &b"db"[..]), (1, b"web")]);
}

#[test]
fn every_failure_at_every_call_is_undone() {
    // Those that hang take their time, so all go on at once.
    thread::scope(|scope| {
        for (call, step) in CALLS {
            for bad in [Bad::Fails, Bad::Hangs, Bad::Panics] {
                let possible = match bad {
                    Bad::Hangs => may_hang(call),
                    Bad::Panics => on_a_thread(call),
                    _ => true,
                };
                if possible {
                    scope.spawn(move || failure_is_undone(call, step, bad));
                }
            }
        }
    });
}

fn failure_is_undone(call: &'static str, step: Step, bad: Bad) {
    let traps = vec![(call, bad)];
    let world = World::new(traps.clone());
    let finished = world.backup(Policy::Abort, &WRITERS);
    let State::Aborted { step: at, cause } = &finished.findings.state else {
        panic!("{call} {bad:?}: {:?}", finished.findings.state);
    };
    assert_eq!(*at, step, "{call} {bad:?}: {cause}");
    undone(&world.calls(), &traps, &finished);
}

/// What has to be true of a backup that was given up.
fn undone(calls: &[String], traps: &Traps, finished: &Finished<fake::Shelf>) {
    let place = |call: &str| calls.iter().position(|known| known == call);
    let told = format!("{traps:?}: {calls:#?}");
    // Who hangs or died is not called again.
    let silent: BTreeSet<&str> = traps
        .iter()
        .filter(|(call, bad)| matches!(bad, Bad::Hangs | Bad::Panics) && place(call).is_some())
        .map(|(call, _)| call.split(' ').next().unwrap())
        .collect();
    let answers = |who: &str| !silent.contains(who);
    for writer in WRITERS.into_iter().filter(|writer| answers(writer)) {
        for (first, second) in [("freeze", "thaw"), ("prepare", "post")] {
            let first = place(&format!("{writer} {first}"));
            let second = place(&format!("{writer} {second}"));
            assert_eq!(first.is_some(), second.is_some(), "{writer} {told}");
            assert!(first <= second, "{writer} {told}");
        }
    }
    for call in ["thaw", "post"] {
        if let (Some(web), Some(db)) = (place(&format!("web {call}")), place(&format!("db {call}")))
        {
            assert!(web < db, "in reverse order: {told}");
        }
    }
    assert_eq!(place("ice freeze").is_some(), place("ice thaw").is_some(), "{told}");
    let writers_thaw = WRITERS.iter().filter_map(|writer| place(&format!("{writer} thaw"))).min();
    if let (Some(ice), Some(writer)) = (place("ice thaw"), writers_thaw) {
        assert!(ice < writer, "file systems thaw before writers do: {told}");
    }
    if answers("copies") {
        assert_eq!(
            place("copies begin-prepare").is_some(),
            place("copies abort").is_some(),
            "{told}"
        );
    }
    assert_eq!(calls.iter().filter(|call| *call == "ledger abort").count(), 1, "{told}");
    // The guard has to undo what was not undone here, and nothing else.
    let armed = place("copies begin-prepare").is_some();
    assert_eq!(armed && finished.unfinished, place("ice abandon").is_some(), "{told}");
    assert_eq!(armed && !finished.unfinished, place("ice disarm").is_some(), "{told}");
    let frozen = |writer: &&&str| !answers(writer) && place(&format!("{writer} freeze")).is_some();
    let left = (armed && !answers("copies"))
        || WRITERS.iter().any(|writer| {
            frozen(&writer)
                && !traps.iter().any(|(call, _)| call.starts_with(writer) && call.ends_with("post"))
        });
    assert!(!left || finished.unfinished, "{told}");
}

#[test]
fn a_limit_that_passed_makes_a_copy_that_counts_for_nothing() {
    for call in ["db freeze", "copies pre-commit", "ice freeze", "copies commit", "web thaw"] {
        let world = World::new(vec![(call, Bad::Late)]);
        let finished = world.backup(Policy::Abort, &WRITERS);
        let state = &finished.findings.state;
        assert!(
            matches!(state, State::Aborted { cause, .. } if cause.contains("limit")),
            "{state:?}"
        );
        undone(&world.calls(), &vec![], &finished);
        let late = |writer: &Participant| writer.kind == Some(FaultKind::Timeout);
        let writers = finished.findings.writers.iter().filter(|writer| late(writer)).count();
        let expected = match call {
            // Its own time had not passed; that for the turn of the other one had.
            "db freeze" => 1,
            // The limit of file systems counts first, and is no fault of writers.
            "copies commit" => 0,
            _ => WRITERS.len(),
        };
        assert_eq!(writers, expected, "{call}");
    }
}

#[test]
fn crash_consistent_keeps_what_writers_did_not_hold_and_says_so() {
    for (call, bad) in [
        ("db describe", Bad::Fails),
        ("db prepare", Bad::Hangs),
        ("web freeze", Bad::Fails),
        ("web freeze", Bad::Panics),
        ("ice freeze", Bad::NotFreezable),
        ("db thaw", Bad::Fails),
        ("db thaw", Bad::Late),
        ("web post", Bad::Fails),
    ] {
        let world = World::new(vec![(call, bad)]);
        let state = world.backup(Policy::CrashConsistent, &WRITERS).findings.state;
        assert!(matches!(state, State::CrashConsistent(_)), "{call} {bad:?}: {state:?}");
        let state = World::new(vec![(call, bad)]).backup(Policy::Abort, &WRITERS).findings.state;
        assert!(matches!(state, State::Aborted { .. }), "{call} {bad:?}: {state:?}");
    }
}

#[test]
fn crash_consistent_keeps_nothing_that_came_late_or_is_no_copy() {
    for (call, bad) in [
        ("copies commit", Bad::Late),
        ("ice freeze", Bad::Late),
        ("copies pre-commit", Bad::Late),
        ("ice freeze", Bad::Fails),
        ("ice thaw", Bad::Fails),
        ("copies commit", Bad::Fails),
        ("copies commit", Bad::Hangs),
        ("copies post-commit", Bad::Fails),
        ("copies final-commit", Bad::Fails),
        ("ledger finish", Bad::Fails),
    ] {
        let world = World::new(vec![(call, bad)]);
        let finished = world.backup(Policy::CrashConsistent, &WRITERS);
        let state = &finished.findings.state;
        assert!(matches!(state, State::Aborted { .. }), "{call} {bad:?}: {state:?}");
        undone(&world.calls(), &vec![(call, bad)], &finished);
    }
}

#[test]
fn a_writer_that_cannot_thaw_is_left_to_the_guard_and_one_that_did_not_hold_is_not() {
    for (bad, left) in [(Bad::Fails, true), (Bad::Inconsistent, false)] {
        for policy in [Policy::Abort, Policy::CrashConsistent] {
            let finished = World::new(vec![("db thaw", bad)]).backup(policy, &WRITERS);
            assert_eq!(finished.unfinished, left, "{bad:?} {policy:?}");
        }
    }
    let world = World::new(vec![("db freeze", Bad::Fails), ("db thaw", Bad::Fails)]);
    let finished = world.backup(Policy::Abort, &WRITERS);
    assert!(finished.unfinished);
    assert_eq!(finished.findings.notes, ["db: told to fail in thaw"]);
}

#[test]
fn what_the_catalogue_has_is_kept_and_what_it_does_not_tell_is_left_to_the_recovery() {
    let called = |world: &World, call: &str| world.calls().iter().any(|known| known == call);
    let world = World::new(vec![("ledger finish", Bad::FailsBehind)]);
    let finished = world.backup(Policy::Abort, &WRITERS);
    assert_eq!(finished.findings.state, State::Consistent);
    assert_eq!(finished.findings.notes, ["the catalogue: told to fail"]);
    assert!(called(&world, "ice disarm") && !called(&world, "copies abort"));
    for finish in [Bad::Fails, Bad::FailsBehind] {
        let world = World::new(vec![("ledger finish", finish), ("ledger state", Bad::Fails)]);
        let finished = world.backup(Policy::Abort, &WRITERS);
        assert!(matches!(finished.findings.state, State::Aborted { step: Step::Catalogue, .. }));
        assert!(finished.unfinished && called(&world, "ice abandon"));
        assert!(!called(&world, "copies abort") && !called(&world, "ledger abort"));
    }
}

#[test]
fn a_writer_outside_of_the_set_and_two_of_one_name_are_refused() {
    let writer = |world: &World, name, path: &str| {
        Box::new(Cardboard { name, world: world.clone(), path: path.into() }) as Box<_>
    };
    for (names, path, cause) in [
        (["db", "web"], "/var/lib/pg", "web: /var/lib/pg lies on /, which is not in the set"),
        (["db", "db"], "/srv/pg", "db is named twice"),
    ] {
        let world = World::default();
        let writers =
            vec![writer(&world, names[0], "/srv/pg/data"), writer(&world, names[1], path)];
        let finished = world.run(Policy::CrashConsistent, writers);
        let State::Aborted { step: Step::Describe, cause: told } = &finished.findings.state else {
            panic!("{:?}", finished.findings.state);
        };
        assert!(told.contains(cause), "{told}");
        assert!(!world.calls().iter().any(|call| call.starts_with("copies")), "nothing is begun");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn several_failures_at_once_are_undone_as_well(
        chosen in prop::collection::btree_set(0..CALLS.len(), 1..5),
        kinds in prop::collection::vec(0..8_u8, 5),
        crash_consistent in any::<bool>(),
    ) {
        let traps: Traps = chosen.into_iter().zip(kinds).map(|(at, kind)| {
            let call = CALLS[at].0;
            let bad = match kind {
                0 if may_hang(call) => Bad::Hangs,
                1 | 4 if on_a_thread(call) => Bad::Panics,
                2 | 3 => Bad::Late,
                _ => Bad::Fails,
            };
            (call, bad)
        }).collect();
        let world = World::new(traps.clone());
        let policy = if crash_consistent { Policy::CrashConsistent } else { Policy::Abort };
        let finished = world.backup(policy, &WRITERS);
        match &finished.findings.state {
            State::Aborted { .. } => undone(&world.calls(), &traps, &finished),
            State::CrashConsistent(_) => prop_assert!(crash_consistent),
            state => {
                // A call that came late where nothing was frozen is none the worse for it.
                let harmless = |(_, bad): &(_, Bad)| *bad == Bad::Late;
                prop_assert!(traps.iter().all(harmless), "{traps:?}: {state:?}");
            }
        }
    }
}
