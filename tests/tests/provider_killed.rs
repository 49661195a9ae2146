//! `kill -9` of the process that the shadow-copy provider runs in, anywhere.

mod providing;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use ::provider::{Provider, error::Refused, guid::SetId, journal::Phase};
use lab::{
    Lab, bytes as patterns,
    lab::{PVOL, SVOL},
    proxy::Dice,
    run,
};
use providing::{Told, described, hosts::Hosts, join, load, seeds_pair, set};

/// The calls of a whole life of a shadow copy, one after the other.
const CALLS: usize = 9;

fn call(provider: &mut Provider, id: SetId, number: usize) -> Result<(), Refused> {
    match number {
        0 => join(provider, id, described(PVOL)),
        1 => provider.end_prepare(id),
        2 => provider.pre_commit(id),
        3 => provider.commit(id),
        4 => provider.post_commit(id, 1),
        5 => provider.pre_final_commit(id),
        6 => provider.post_final_commit(id),
        7 => provider.locate_luns(&[described(SVOL)]),
        _ => provider.on_lun_empty(&described(SVOL)),
    }
}

/// Not a test of its own: the process that the tests below kill. It makes shadow copies, says
/// which call it has made, and stops before call `PROVIDER_STOP`, if there is such a call.
#[test]
fn the_process_to_be_killed() {
    let Some(home) = std::env::var_os("PROVIDER_HOME") else { return };
    let home = PathBuf::from(home);
    let stop: usize = std::env::var("PROVIDER_STOP").unwrap().parse().unwrap();
    let seed: u128 = std::env::var("PROVIDER_SEED").unwrap().parse().unwrap();
    let mut provider = load(&home, &home.with_file_name("sets"), "2", &Told::default()).unwrap();
    for round in 0..u128::MAX {
        for number in 0..CALLS {
            if number == stop {
                println!("stopped");
                loop {
                    thread::park();
                }
            }
            call(&mut provider, set(seed << 64 | round), number).unwrap();
        }
        println!("round");
    }
}

/// Starts that process and kills it when it has stopped, or after its first round and `after`.
fn kill_one(lab: &Lab, stop: usize, seed: u64, after: Duration) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_process_to_be_killed", "--nocapture"]);
    command.env("PROVIDER_HOME", lab.root()).env("PROVIDER_STOP", stop.to_string());
    command.env("PROVIDER_SEED", seed.to_string());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.find(|line| {
        let line = line.as_ref().unwrap();
        line.ends_with("stopped") || line.ends_with("round")
    });
    assert!(ready.is_some(), "it ended by itself");
    // The moment is the thing under test: any moment will do.
    thread::sleep(after);
    run::kill(child.id());
    child.wait().unwrap();
}

/// What a new provider makes of what a killed one left: pairs as before, unless there is a shadow
/// copy, and a whole life of the next one. The last order of one that was killed while it worked
/// (not `at_rest`) may still be carried out behind the new one's back.
fn judge(lab: &Lab, hosts: &Hosts, seed: u64, place: &str, at_rest: bool) -> bool {
    let told = Told::default();
    let mut provider = load(&lab.root(), &lab.path("sets"), "2", &told).unwrap();
    let records = provider.records().unwrap();
    let is_copy = !records.is_empty();
    for record in records {
        assert_eq!(record.phase, Phase::Created, "{place}");
        let state = lab.cci(50, "pairvolchk -g snap -ss").code;
        assert!(!at_rest || state == Some(24), "{place}: {state:?} is not PVOL_PSUS");
        provider.on_lun_empty(&described(SVOL)).unwrap();
    }
    if at_rest {
        let waited = lab.cci(51, "pairevtwait -g snap -s pair -t 60");
        assert_eq!(waited.code, Some(0), "{place}: {waited}");
        assert!(hosts.is_hidden(2), "{place}");
    }
    let bytes = patterns::pattern(seed, 4096);
    lab.write(PVOL, 0, &bytes).ok();
    let id = set(u128::from(seed) << 64 | u128::from(u64::MAX));
    for number in 0..CALLS {
        call(&mut provider, id, number).unwrap_or_else(|refused| panic!("{place}: {refused}"));
        if number == 7 {
            assert_eq!(lab.read(SVOL, 0, 4096), bytes, "{place}");
        }
    }
    assert_eq!(told.events(), [], "{place}");
    is_copy
}

#[test]
fn killed_before_each_call_the_next_provider_brings_back_what_was_left() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    for stop in 0..CALLS {
        let seed = u64::try_from(stop).unwrap() + 1;
        kill_one(&lab, stop, seed, Duration::ZERO);
        let is_copy = judge(&lab, &hosts, seed, &format!("killed before call {stop}"), true);
        assert_eq!(is_copy, stop > 6, "from the seventh on there is a shadow copy");
    }
}

#[test]
fn killed_at_forty_random_moments_it_leaves_nothing_behind() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut dice = Dice(0x5eed_0011);
    for point in 0..40 {
        let after = Duration::from_micros(dice.below(60_000));
        kill_one(&lab, CALLS, 100 + point, after);
        judge(&lab, &hosts, 100 + point, &format!("point {point}: killed after {after:?}"), false);
    }
}
