//! Nothing stays frozen: real file systems, real processes, killed, stopped and hanging at every
//! step, seen from outside. Needs root and loop devices; without them these tests fail.

mod freezing;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use freezing::{Bench, GRACE, Mounted, Running, lanes};
use rustix::process::Signal;
use shadowcopy::step::Step;

/// Short enough to wait for.
const SHORT: [&str; 4] = ["--file-systems", "500ms", "--writers", "2s"];
const WRITERS: Duration = Duration::from_secs(2);
/// Later than this the writers' limit would have thawed them, not their own.
const THAWED: Duration = Duration::from_millis(1500);
/// What does not take a write for this long is frozen.
const A_MOMENT: Duration = Duration::from_millis(200);
const STEPS: u32 = Step::ALL.len() as u32;

/// A backup with these options that waits at the beginning of a step.
fn paused(bench: &Bench, step: u32, options: &[&str]) -> Running {
    let step = Step::ALL[step as usize].name();
    let mut running = bench.backup(&[&["--pause", step], options].concat());
    assert!(running.until(&format!("{step} begins")), "{:?}", bench.told());
    running
}

/// The coordinator is gone: what its guard has to do, it does at once.
fn the_guard_undoes_it(bench: &Bench, mut running: Running) {
    let since = Instant::now();
    let guard = running.guard();
    // What ends other programs, a terminal's Ctrl-C for instance, does not end the guard.
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        guard.iter().for_each(|guard| guard.harm(signal));
    }
    running.harm(Signal::KILL);
    bench.writable(since, GRACE);
    running.end(GRACE);
    if let Some(guard) = guard {
        guard.ended(GRACE);
    }
    bench.settled();
}

#[test]
fn a_backup_succeeds_says_for_how_long_it_held_writes_and_allocates_nothing_meanwhile() {
    let bench = Bench::new();
    bench.next();
    let told = bench.told();
    let held = told.iter().find_map(|line| line.strip_prefix("finished, held ")).unwrap();
    let held: u64 = held.strip_suffix(" us").unwrap().parse().unwrap();
    assert!((1..10_000_000).contains(&held), "{held}");
    assert_eq!(told.last().unwrap(), "allocated 0 times while frozen");
    bench.writable(Instant::now(), GRACE);
}

#[test]
fn file_systems_are_frozen_when_the_copies_are_made_and_not_after() {
    let bench = Bench::new();
    let mut running = paused(&bench, Step::Commit as u32, &[]);
    assert!(bench.mounts.iter().all(|mounted| !mounted.writable(A_MOMENT)));
    running.go_on();
    assert!(running.end(GRACE).success(), "{:?}", bench.told());
    bench.writable(Instant::now(), GRACE);
    let mut running = paused(&bench, Step::PostCommit as u32, &[]);
    bench.writable(Instant::now(), GRACE);
    running.go_on();
    assert!(running.end(GRACE).success());
    bench.settled();
}

#[test]
fn a_coordinator_killed_at_any_step_leaves_nothing_frozen() {
    lanes(STEPS, |bench, step| {
        the_guard_undoes_it(bench, paused(bench, step, &[]));
        if step > 0 {
            bench.aborted();
        }
        bench.next();
    });
}

#[test]
fn a_copy_that_the_catalogue_has_is_kept_whatever_hangs_or_dies_behind_it() {
    let bench = Bench::new();
    let finished = |bench: &Bench| bench.told().iter().any(|line| line.starts_with("finished"));
    let mut running = bench.backup(&["--crash-consistent", "--hang", "freeze", "--writers", "4s"]);
    assert!(running.until("begin-prepare begins"));
    let guard = running.guard().unwrap();
    assert_eq!(running.end(2 * WRITERS + GRACE).code(), Some(3), "{:?}", bench.told());
    guard.ended(GRACE);
    assert!(finished(&bench) && bench.told().contains(&"recovery writers".to_owned()));
    bench.settled();
    for both in [false, true] {
        let mut running = bench.backup(&["--pause", "catalogue ended"]);
        assert!(running.until("catalogue ended"));
        if both {
            both_killed(running);
            bench.recover();
            bench.settled();
        } else {
            the_guard_undoes_it(&bench, running);
        }
        assert!(finished(&bench));
    }
    bench.next();
}

#[test]
fn signals_do_not_end_a_guard_that_recovers() {
    let bench = Bench::new();
    let hold = bench.path().join("hold");
    assert!(Command::new("mkfifo").arg(&hold).status().unwrap().success());
    let mut running = paused(&bench, Step::Commit as u32, &[]);
    let guard = running.guard().unwrap();
    running.harm(Signal::KILL);
    running.end(GRACE);
    let since = Instant::now();
    while !bench.told().contains(&"recovery waits".to_owned()) {
        assert!(since.elapsed() < GRACE, "{:?}", bench.told());
        thread::sleep(Duration::from_millis(1));
    }
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        guard.harm(signal);
    }
    std::fs::write(hold, "x").unwrap();
    guard.ended(GRACE);
    bench.aborted();
}

#[test]
fn the_guard_needs_no_journal_and_no_path_to_thaw() {
    let bench = Bench::new();
    let mut running = paused(&bench, Step::Commit as u32, &[]);
    let guard = running.guard().unwrap();
    std::fs::remove_dir_all(bench.run()).unwrap();
    running.harm(Signal::KILL);
    bench.writable(Instant::now(), GRACE);
    running.end(GRACE);
    guard.ended(GRACE);
    assert!(!bench.told().iter().any(|line| line.starts_with("recovery")));
}

#[test]
fn a_coordinator_stopped_at_any_step_leaves_nothing_frozen() {
    lanes(STEPS, |bench, step| {
        // A step is only reached where a busy disk freezes in time.
        let running = paused(bench, step, &["--file-systems", "1s", "--writers", "4s"]);
        let since = Instant::now();
        running.harm(Signal::STOP);
        bench.writable(since, 2 * THAWED);
        stopped(bench, running, since + 2 * WRITERS);
        bench.next();
    });
}

/// One that was stopped while writers were frozen is killed at their limit; another one is killed
/// by hand.
fn stopped(bench: &Bench, mut running: Running, limit: Instant) {
    let told = bench.told();
    let frozen = told.iter().any(|line| line == "first freeze");
    let thawed = told.iter().any(|line| line == "first thaw");
    let guard = running.guard();
    if !frozen || thawed {
        running.harm(Signal::KILL);
    }
    running.end((limit + GRACE).saturating_duration_since(Instant::now()));
    if let Some(guard) = guard {
        guard.ended(GRACE);
    }
    bench.settled();
}

#[test]
fn a_guard_killed_at_any_step_leaves_nothing_frozen() {
    lanes(STEPS - 1, |bench, step| {
        let mut running = paused(bench, step + 1, &[]);
        running.guard().unwrap().harm(Signal::KILL);
        running.go_on();
        let status = running.end(GRACE);
        bench.writable(Instant::now(), GRACE);
        bench.settled();
        // Once writers have thawed the guard is not needed any more.
        let needed = Step::ALL[step as usize + 1] <= Step::ThawWriters;
        assert_eq!(status.success(), !needed, "{:?}", bench.told());
        bench.next();
    });
}

#[test]
fn a_guard_stopped_at_any_step_leaves_nothing_frozen() {
    lanes(STEPS - 1, |bench, step| {
        let mut running = paused(bench, step + 1, &["--file-systems", "400ms"]);
        let guard = running.guard().unwrap();
        guard.harm(Signal::STOP);
        running.go_on();
        running.end(GRACE);
        bench.writable(Instant::now(), GRACE);
        guard.ended(GRACE);
        bench.recovered();
        bench.settled();
        bench.next();
    });
}

#[test]
fn what_stays_frozen_when_both_are_killed_thaws_with_the_recovery() {
    lanes(STEPS - 1, |bench, step| {
        let step = step + 1;
        let running = paused(bench, step, &[]);
        both_killed(running);
        let step = Step::ALL[step as usize];
        if step == Step::Commit || step == Step::ThawFileSystems {
            let frozen = |mounted: &Mounted| !mounted.writable(A_MOMENT);
            assert!(bench.mounts.iter().all(frozen), "killed at {step}");
        } else {
            bench.writable(Instant::now(), GRACE);
        }
        bench.recover();
        bench.writable(Instant::now(), GRACE);
        bench.aborted();
        bench.next();
    });
}

/// The guard first: it must not have the time to do anything.
fn both_killed(mut running: Running) {
    let guard = running.guard();
    if let Some(guard) = &guard {
        guard.harm(Signal::KILL);
    }
    running.harm(Signal::KILL);
    running.end(GRACE);
    if let Some(guard) = guard {
        guard.ended(GRACE);
    }
}

#[test]
fn a_call_that_hangs_or_fails_at_any_step_gives_the_backup_up() {
    const CALLS: [&str; 10] = [
        "describe",
        "prepare",
        "freeze",
        "thaw",
        "post",
        "begin-prepare",
        "pre-commit",
        "commit",
        "post-commit",
        "final-commit",
    ];
    lanes(20, |bench, number| {
        let how = if number < 10 { "--hang" } else { "--fail" };
        let call = CALLS[number as usize % 10];
        let limits = [&SHORT[..], &["--call", "300ms"]].concat();
        let mut running = bench.backup(&[&limits[..], &[how, call]].concat());
        running.until("begin-prepare begins");
        let guard = running.guard();
        running.until("freeze-file-systems ended");
        bench.writable(Instant::now(), THAWED);
        let status = running.end(WRITERS + GRACE);
        if let Some(guard) = guard {
            guard.ended(GRACE);
        }
        assert!(!status.success(), "{how} {call}: {:?}", bench.told());
        bench.aborted();
        bench.next();
    });
}

#[test]
fn a_file_system_that_hangs_while_it_freezes_thaws_when_it_comes_back() {
    let mut bench = Bench::new();
    // The inner one lies on the outer one, which somebody freezes.
    let place = bench.mounts[0].point.join("in");
    std::fs::create_dir(&place).unwrap();
    let inner = Mounted::new(&place, bench.path(), "ext4", 8 << 20);
    let outer = std::mem::replace(&mut bench.mounts, vec![inner]).swap_remove(0);
    let options = [&["--pause", "freeze-file-systems"][..], &SHORT].concat();
    let mut running = bench.backup(&options);
    assert!(running.until("freeze-file-systems begins"));
    let guard = running.guard().unwrap();
    outer.fsfreeze("-f");
    running.go_on();
    assert!(running.until("freeze-file-systems failed"));
    assert!(!bench.mounts[0].writable(A_MOMENT), "it is in the middle of freezing");
    outer.fsfreeze("-u");
    bench.writable(Instant::now(), GRACE);
    assert!(!running.end(GRACE).success());
    guard.ended(GRACE);
    bench.aborted();
    bench.next();
    // The inner one goes first.
    bench.mounts.clear();
    drop(outer);
}

#[test]
fn while_one_hangs_in_freezing_somebody_else_may_freeze_another() {
    let mut bench = Bench::new();
    let place = bench.mounts[0].point.join("in");
    std::fs::create_dir(&place).unwrap();
    let inner = Mounted::new(&place, bench.path(), "ext4", 8 << 20);
    let place = bench.path().join("late");
    std::fs::create_dir(&place).unwrap();
    let late = Mounted::new(&place, bench.path(), "ext4", 8 << 20);
    let outer = std::mem::replace(&mut bench.mounts, vec![inner, late]).swap_remove(0);
    let mut running = paused(&bench, Step::FreezeFileSystems as u32, &SHORT);
    let guard = running.guard().unwrap();
    outer.fsfreeze("-f");
    running.go_on();
    let since = Instant::now();
    // File systems thaw before writers do.
    while !bench.told().contains(&"first thaw".to_owned()) && since.elapsed() < GRACE {}
    bench.mounts[1].fsfreeze("-f");
    let frozen = !bench.mounts[1].writable(A_MOMENT);
    // Nobody could end the coordinator before.
    outer.fsfreeze("-u");
    assert!(frozen, "it is not ours to thaw");
    bench.mounts[1].fsfreeze("-u");
    bench.writable(Instant::now(), GRACE);
    assert!(!running.end(GRACE).success());
    guard.ended(GRACE);
    bench.aborted();
    // What lies on it goes first.
    bench.mounts.clear();
    drop(outer);
}

#[test]
fn writers_go_on_although_a_command_that_was_killed_hangs_in_freezing() {
    let mut bench = Bench::new();
    let place = bench.mounts[0].point.join("in");
    std::fs::create_dir(&place).unwrap();
    let inner = Mounted::new(&place, bench.path(), "ext4", 8 << 20);
    let outer = std::mem::replace(&mut bench.mounts, vec![inner]).swap_remove(0);
    let step = Step::FreezeFileSystems;
    let mut running = paused(&bench, step as u32, &["--writers", "4s"]);
    let guard = running.guard().unwrap();
    outer.fsfreeze("-f");
    running.go_on();
    let since = Instant::now();
    while bench.mounts[0].writable(A_MOMENT) && since.elapsed() < GRACE {}
    running.harm(Signal::KILL);
    // Two seconds more than the writers' limit.
    let end = Instant::now() + 3 * WRITERS + GRACE;
    let went_on = || bench.told().contains(&"recovery writers".to_owned());
    while !went_on() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    let (went_on, frozen) = (went_on(), !bench.mounts[0].writable(A_MOMENT));
    // Nobody could end the coordinator before.
    outer.fsfreeze("-u");
    assert_eq!([went_on, frozen], [true; 2], "{:?}", bench.told());
    bench.writable(Instant::now(), GRACE);
    running.end(GRACE);
    guard.ended(GRACE);
    bench.recovered();
    bench.aborted();
    bench.next();
    // What lies on it goes first.
    bench.mounts.clear();
    drop(outer);
}

#[test]
fn a_file_system_that_hangs_while_it_thaws_keeps_no_other_frozen() {
    let mut bench = Bench::new();
    let place = bench.mounts[0].point.join("in");
    std::fs::create_dir(&place).unwrap();
    let inner = Mounted::new(&place, bench.path(), "ext4", 8 << 20);
    // Mounted last, it freezes first, and its turn to thaw comes last.
    let place = bench.path().join("late");
    std::fs::create_dir(&place).unwrap();
    let late = Mounted::new(&place, bench.path(), "ext4", 8 << 20);
    let outer = std::mem::replace(&mut bench.mounts, vec![inner, late]).swap_remove(0);
    let mut running = paused(&bench, Step::ThawFileSystems as u32, &[]);
    let guard = running.guard().unwrap();
    outer.fsfreeze("-f");
    running.go_on();
    let thawed = [(1, THAWED), (0, A_MOMENT)].map(|(at, time)| bench.mounts[at].writable(time));
    // Nobody could end the coordinator before.
    outer.fsfreeze("-u");
    assert_eq!(thawed, [true, false], "only the one that cannot thaw is frozen");
    bench.writable(Instant::now(), GRACE);
    assert!(running.end(GRACE).success(), "{:?}", bench.told());
    guard.ended(GRACE);
    bench.settled();
    // What lies on it goes first.
    bench.mounts.clear();
    drop(outer);
}

#[test]
fn one_that_somebody_else_holds_frozen_is_busy_and_stays_so() {
    let bench = Bench::new();
    bench.mounts[0].fsfreeze("-f");
    let mut running = bench.backup(&["--crash-consistent"]);
    assert_eq!(running.end(GRACE).code(), Some(1));
    assert!(!bench.mounts[0].writable(A_MOMENT), "it is not ours to thaw");
    bench.mounts[0].fsfreeze("-u");
    bench.writable(Instant::now(), GRACE);
    bench.aborted();
}

#[test]
fn what_somebody_else_froze_stays_so_when_a_coordinator_dies_that_froze_nothing() {
    let bench = Bench::new();
    for step in [Step::EndPrepare, Step::PostCommit] {
        let mut running = paused(&bench, step as u32, &[]);
        let guard = running.guard().unwrap();
        bench.mounts[0].fsfreeze("-f");
        running.harm(Signal::KILL);
        running.end(GRACE);
        guard.ended(GRACE);
        bench.aborted();
        assert!(!bench.mounts[0].writable(A_MOMENT), "it is not ours to thaw at {step}");
        bench.mounts[0].fsfreeze("-u");
        bench.writable(Instant::now(), GRACE);
    }
}

#[test]
fn what_cannot_be_frozen_is_named_and_the_policy_decides() {
    let mut bench = Bench::new();
    bench.mounts.push(Mounted::memory(bench.path()));
    let mut running = bench.backup(&[]);
    assert_eq!(running.end(GRACE).code(), Some(1));
    bench.aborted();
    let told = bench.told();
    assert!(told.iter().any(|line| line.contains("memory: this kind of file system")), "{told:?}");
    let mut running = paused(&bench, Step::Commit as u32, &["--crash-consistent"]);
    let frozen = |number: usize| !bench.mounts[number].writable(A_MOMENT);
    assert_eq!([0, 1, 2].map(frozen), [true, true, false]);
    running.go_on();
    assert_eq!(running.end(GRACE).code(), Some(3), "{:?}", bench.told());
    bench.writable(Instant::now(), GRACE);
    bench.settled();
}

#[test]
fn a_second_backup_of_a_file_system_is_refused_and_does_the_first_no_harm() {
    let bench = Bench::new();
    let mut first = paused(&bench, Step::Commit as u32, &[]);
    let mut second = bench.backup(&[]);
    assert_eq!(second.end(GRACE).code(), Some(1));
    let told = bench.told();
    assert!(told.iter().any(|line| line.contains("backup 0000000001 freezes it")), "{told:?}");
    assert!(!bench.mounts[0].writable(A_MOMENT), "the first one holds it");
    first.go_on();
    assert!(first.end(GRACE).success());
    bench.next();
}

#[test]
fn a_journal_on_what_is_to_be_frozen_is_refused() {
    let bench = Bench::new();
    std::os::unix::fs::symlink(&bench.mounts[1].point, bench.run()).unwrap();
    let mut running = bench.backup(&[]);
    assert_eq!(running.end(GRACE).code(), Some(1));
    let told = bench.told();
    assert!(told.iter().any(|line| line.contains("set HORCMROOT to a place")), "{told:?}");
}

/// A moment after the pairs are PAIR: `number` times 500 microseconds.
fn at_a_moment(bench: &Bench, number: u32, options: &[&str]) -> Running {
    let mut running = bench.backup(options);
    assert!(running.until("end-prepare ended"));
    thread::sleep(Duration::from_micros(500) * number);
    running
}

#[test]
fn coordinators_killed_at_60_moments_of_their_start_leave_nothing_behind() {
    lanes(60, |bench, number| {
        let mut running = bench.backup(&[]);
        thread::sleep(Duration::from_micros(500) * number);
        let since = Instant::now();
        running.harm(Signal::KILL);
        running.end(GRACE);
        // There may be a guard or none, and a journal or none.
        bench.recovered();
        bench.writable(since, GRACE);
        bench.settled();
    });
}

#[test]
fn coordinators_killed_at_200_moments_leave_nothing_frozen() {
    lanes(200, |bench, number| {
        let running = at_a_moment(bench, number, &[]);
        the_guard_undoes_it(bench, running);
    });
}

#[test]
fn coordinators_stopped_at_60_moments_leave_nothing_frozen() {
    lanes(60, |bench, number| {
        let running = at_a_moment(bench, number * 3, &SHORT);
        let since = Instant::now();
        running.harm(Signal::STOP);
        bench.writable(since, THAWED);
        stopped(bench, running, since + WRITERS);
    });
}

/// Harms the guard of a coordinator after a time, which ends with its file systems thawed.
fn ends_without_its_guard(bench: &Bench, mut running: Running, signal: Signal, after: Duration) {
    let guard = running.guard();
    // The moment is the thing under test: any moment will do.
    thread::sleep(after);
    if let Some(guard) = &guard {
        guard.harm(signal);
    }
    running.end(Duration::from_secs(10));
    bench.writable(Instant::now(), GRACE);
    if let Some(guard) = &guard {
        // The coordinator may have taken its leave before.
        guard.harm(Signal::CONT);
        guard.ended(GRACE);
    }
}

#[test]
fn guards_killed_or_stopped_at_120_moments_leave_nothing_frozen() {
    lanes(120, |bench, number| {
        let running = at_a_moment(bench, number, &["--file-systems", "400ms"]);
        let signal = if number % 3 == 0 { Signal::STOP } else { Signal::KILL };
        ends_without_its_guard(bench, running, signal, Duration::ZERO);
        bench.recovered();
        bench.settled();
    });
}

/// FIFREEZE comes back after its limit, when nobody waits for it and no guard is there.
#[test]
fn file_systems_that_freeze_too_slowly_thaw_without_a_guard_as_well() {
    lanes(80, |bench, number| {
        let mut running = bench.backup(&["--file-systems", "10ms"]);
        let step = Step::FreezeFileSystems.name();
        assert!(running.until(&format!("{step} begins")), "{:?}", bench.told());
        let signal = if number % 2 == 0 { Signal::STOP } else { Signal::KILL };
        ends_without_its_guard(bench, running, signal, Duration::from_micros(500) * number);
        // A guard that was stopped has given way to another one.
        bench.recovered();
        bench.settled();
    });
}

#[test]
fn what_100_pairs_of_kills_leave_frozen_thaws_with_the_recovery() {
    lanes(100, |bench, number| {
        let running = at_a_moment(bench, number * 2, &[]);
        both_killed(running);
        bench.recover();
        bench.writable(Instant::now(), GRACE);
        bench.settled();
    });
}
