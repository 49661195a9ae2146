//! Snapshot sets of many volumes: several groups of an array, and several arrays.

mod providing;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use ::provider::{Provider, event::Event};
use lab::{
    Lab,
    lab::{PVOL, SVOL},
};
use providing::{arrays::two_arrays, described, described_of, finish, join, provider, set};

/// Instances 50 and 51 with `groups` groups of `each` pairs.
fn many_groups(groups: u32, each: u32) -> Lab {
    const FIRST: u32 = 1024;
    let lab = Lab::new();
    let count = groups * each;
    lab.many_ldevs(FIRST, 2 * count, 16 << 20);
    for (instance, peer, first, mu) in [(50, 51, FIRST, 2), (51, 50, FIRST + count, 0)] {
        let mut text = format!(
            "HORCM_MON\n127.0.0.1 520{instance} 1000 3000\n\
             HORCM_CMD\n\\\\.\\IPCMD-127.0.0.1-31001\nHORCM_LDEV\n"
        );
        for n in 0..count {
            text += &format!("g{} dev{n} 62496 {} {mu}\n", n / each, first + n);
        }
        text += "HORCM_INST\n";
        for group in 0..groups {
            text += &format!("g{group} 127.0.0.1 520{peer}\n");
        }
        lab.write_conf(&format!("horcm{instance}.conf"), &text);
    }
    lab
}

#[test]
fn sixty_four_volumes_of_eight_groups_split_at_one_instant_while_writing() {
    const FIRST: u32 = 1024;
    let mut lab = many_groups(8, 8);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let mut provider = provider(&lab);
    for n in 0..64 {
        join(&mut provider, set(1), described(FIRST + n)).unwrap();
    }
    // One writer goes over a volume of each group in turn, always with the next number.
    let written: Vec<u32> = (0..8).map(|group| FIRST + 8 * group).collect();
    let number = |ldev| u64::from_le_bytes(lab.read(ldev, 4096, 8).try_into().unwrap());
    let stop = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for (at, ldev) in written.iter().cycle().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return at;
                }
                lab.write(*ldev, 4096, &(at as u64 / 8 + 1).to_le_bytes()).ok();
            }
            0
        });
        provider.end_prepare(set(1)).unwrap();
        lab::lab::until("every volume is written to", || number(written[7]) > 0);
        provider.pre_commit(set(1)).unwrap();
        let begun = Instant::now();
        provider.commit(set(1)).unwrap();
        let took = begun.elapsed();
        let seen = number(written[0]);
        lab::lab::until("it went on", || number(written[0]) > seen + 1);
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        took
    });
    provider.post_commit(set(1), 64).unwrap();
    let numbers: Vec<u64> = written.iter().map(|ldev| number(ldev + 64)).collect();
    let falls = numbers.windows(2).all(|two| two[0] >= two[1]);
    assert!(falls && numbers[0] - numbers[7] <= 1, "no single instant: {numbers:?}");
    assert!(number(written[0]) > numbers[0] + 1, "the P-VOLs went on");
    println!("commit of 64 volumes in 8 groups: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    provider.abort(set(1)).unwrap();
}

#[test]
fn a_set_over_two_arrays_is_split_on_both_or_is_none() {
    let (lab, mut other) = two_arrays(62496);
    let mut provider = provider(&lab);
    let join_both = |provider: &mut Provider, id| {
        join(provider, id, described_of(62496, PVOL)).unwrap();
        join(provider, id, described_of(62497, PVOL)).unwrap();
    };
    let write = |lab: &Lab, byte| lab.write(PVOL, 4096, &[byte; 4096]).ok().len();
    let copied = |lab: &Lab| lab.read(SVOL, 4096, 4096);

    write(&lab, 1);
    write(&other, 2);
    join_both(&mut provider, set(1));
    finish(&mut provider, set(1), 2, || {
        write(&lab, 3);
        write(&other, 3);
    });
    assert_eq!(copied(&lab), [1; 4096]);
    assert_eq!(copied(&other), [2; 4096]);
    for serial in [62496, 62497] {
        provider.on_lun_empty(&described_of(serial, SVOL)).unwrap();
    }

    // One array is lost at the commit: there is no copy, and no pair stays split for long.
    join_both(&mut provider, set(2));
    provider.end_prepare(set(2)).unwrap();
    provider.pre_commit(set(2)).unwrap();
    other.kill_array();
    let refused = provider.commit(set(2)).unwrap_err();
    assert_eq!(refused.fault.event, Event::Cmdioe, "{refused}");
    provider.abort(set(2)).unwrap_err();
    other.start_array();
    write(&lab, 5);
    write(&other, 6);
    join_both(&mut provider, set(3));
    finish(&mut provider, set(3), 2, || {});
    assert_eq!(copied(&lab), [5; 4096]);
    assert_eq!(copied(&other), [6; 4096]);
    assert_eq!(provider.records().unwrap().len(), 1, "what was given up is forgotten");
}
