//! Every cut of a write and of the copy job, in every situation a slot can be in: after each, the
//! files alone must give every volume the bytes it has to hold.

use std::collections::BTreeMap;

use protocol::orders::PairChange;

use crate::testing::{
    TestArray, VOLUME_BYTES, create, end, ldev, quick_split, restore, resync, split,
};

const VOLUMES: [u32; 4] = [17, 18, 19, 21];
const L1: (u32, u32, u32) = (17, 0, 18);
const OTHER: (u32, u32, u32) = (17, 1, 19);
const L2: (u32, u32, u32) = (18, 1, 21);

type Contents = BTreeMap<u32, Vec<u8>>;

fn contents(array: &TestArray) -> Contents {
    VOLUMES.map(|volume| (volume, array.read(volume))).into_iter().collect()
}

/// What is cut off.
#[derive(Clone, Copy)]
enum Act {
    /// A host writes into slots 0 and 1 of this volume.
    Write(u32),
    /// The copy job works to its end.
    Copy,
}

const START: usize = 200_000;
const LENGTH: usize = 100_000;

/// Whether a volume holds what its P-VOL holds now.
fn follows(array: &TestArray, (p, mu, s): (u32, u32, u32)) -> bool {
    let status = array.array.status(end(p, mu)).unwrap();
    status.partner.is_some_and(|partner| partner.volume.ldev == ldev(s))
        && matches!(status.status.word(), "COPY" | "PAIR" | "RCPY")
        && !status.svol_writable
}

fn check(array: &TestArray, before: &Contents, act: Act, step: u64) {
    let now = contents(array);
    let mut may_differ = Vec::new();
    if let Act::Write(volume) = act {
        may_differ.push(volume);
        for pair in [L1, OTHER, L2] {
            if may_differ.contains(&pair.0) && follows(array, pair) {
                assert!(now[&pair.0] == now[&pair.2], "cut {step}: {pair:?} do not hold the same");
                may_differ.push(pair.2);
            }
        }
    }
    for volume in VOLUMES {
        let (old, new) = (&before[&volume], &now[&volume]);
        if old == new {
            continue;
        }
        let wrong = (0..old.len()).find(|at| {
            let written = may_differ.contains(&volume)
                && (START..START + LENGTH).contains(at)
                && new[*at] == 0xee;
            new[*at] != old[*at] && !written
        });
        assert_eq!(wrong, None, "cut {step}: first wrong byte of LDEV {volume}");
    }
}

/// Plays `act` after `setup`, cut off after 0, 1, 2 ... steps that reach the disk, until it is
/// not cut off any more.
fn cut_everywhere(setup: impl Fn(&TestArray), act: Act) {
    for step in 0..200 {
        let array = TestArray::new();
        for (n, volume) in (1..).zip(VOLUMES) {
            array.write(volume, 0, n, usize::try_from(VOLUME_BYTES).unwrap());
        }
        setup(&array);
        let before = contents(&array);
        array.fuse.set(step);
        let complete = match act {
            Act::Write(volume) => {
                array.array.write(ldev(volume), START as u64, &[0xee; LENGTH]).is_ok()
            }
            Act::Copy => {
                (0..20).for_each(|_| {
                    array.array.step();
                });
                !["PSUE", "COPY", "RCPY"].contains(&array.state(17, 0))
            }
        };
        let array = array.crash();
        if let (Act::Write(volume), true) = (act, complete) {
            assert!(array.read(volume)[START..START + LENGTH] == [0xee; LENGTH]);
        }
        check(&array, &before, act, step);
        array.copy_all();
        check(&array, &before, act, step);
        check(&array.reopen(), &before, act, step);
        if complete {
            assert!(step > 0, "nothing was cut off");
            return;
        }
    }
    panic!("200 steps are not enough");
}

fn run(array: &TestArray, change: PairChange, pair: (u32, u32, u32)) {
    array.run(change, &[pair]).unwrap();
}

/// P-VOL and S-VOL apart in all slots, nothing copied yet.
fn quick_split_uncopied(array: &TestArray) {
    run(array, create(), L1);
    run(array, quick_split(), L1);
}

#[test]
fn a_write_to_the_pvol_of_an_uncopied_split() {
    cut_everywhere(quick_split_uncopied, Act::Write(17));
}

#[test]
fn a_write_to_the_svol_of_an_uncopied_split() {
    cut_everywhere(quick_split_uncopied, Act::Write(18));
}

#[test]
fn the_copy_behind_a_split() {
    cut_everywhere(quick_split_uncopied, Act::Copy);
}

#[test]
fn a_write_to_a_pvol_that_is_followed() {
    cut_everywhere(
        |array| {
            run(array, create(), L1);
            array.copy_all();
        },
        Act::Write(17),
    );
}

#[test]
fn a_write_that_reaches_a_split_copy_of_the_copy() {
    cut_everywhere(
        |array| {
            run(array, create(), L1);
            run(array, create(), L2);
            run(array, quick_split(), L2);
        },
        Act::Write(17),
    );
}

#[test]
fn a_write_between_two_uncopied_splits() {
    cut_everywhere(
        |array| {
            run(array, create(), L1);
            run(array, create(), L2);
            run(array, quick_split(), L2);
            run(array, quick_split(), L1);
        },
        Act::Write(18),
    );
}

fn split_and_changed(array: &TestArray) {
    run(array, create(), L1);
    array.copy_all();
    run(array, split(), L1);
    array.write(17, 0, 0x71, 600_000);
    array.write(18, 400_000, 0x81, 600_000);
}

#[test]
fn a_write_to_a_pvol_that_is_being_restored() {
    cut_everywhere(
        |array| {
            split_and_changed(array);
            run(array, restore(), L1);
        },
        Act::Write(17),
    );
}

#[test]
fn the_copy_of_a_restore() {
    cut_everywhere(
        |array| {
            split_and_changed(array);
            run(array, restore(), L1);
        },
        Act::Copy,
    );
}

#[test]
fn a_write_to_either_side_of_a_restore_that_was_split() {
    for volume in [17, 18] {
        cut_everywhere(
            |array| {
                split_and_changed(array);
                run(array, restore(), L1);
                run(array, quick_split(), L1);
            },
            Act::Write(volume),
        );
    }
}

#[test]
fn the_copy_of_a_resync() {
    cut_everywhere(
        |array| {
            split_and_changed(array);
            run(array, resync(), L1);
        },
        Act::Copy,
    );
}

#[test]
fn a_mirror_that_slept_through_a_restore_wakes_right() {
    let array = TestArray::new();
    array.write(17, 0, 1, 600_000);
    run(&array, create(), OTHER);
    run(&array, create(), L1);
    array.copy_all();
    run(&array, split(), L1);
    run(&array, split(), OTHER);
    array.write(18, 0, 2, 300_000);
    run(&array, restore(), L1);
    array.copy_all();
    run(&array, resync(), OTHER);
    array.copy_all();
    let array = array.reopen();
    assert!(array.read(17)[..300_000] == [2; 300_000]);
    assert!(array.read(19) == array.read(17));
}

#[test]
fn a_pair_that_others_take_bytes_through_cannot_be_given_up() {
    let array = TestArray::new();
    array.write(17, 0, 1, 600_000);
    run(&array, create(), L1);
    run(&array, create(), L2);
    run(&array, quick_split(), L2);
    for change in [PairChange::Dissolve, PairChange::Fail, create()] {
        let answer = array.run(change, &[L1]);
        if change != create() {
            assert_eq!(answer.unwrap_err().error.code, model::Code::ExInvvol);
        }
    }
    array.copy_all();
    run(&array, PairChange::Dissolve, L1);
    assert!(array.read(21)[..600_000] == [1; 600_000]);
}

#[test]
fn a_volume_left_empty_by_a_cut_off_first_write_is_empty() {
    let array = TestArray::new();
    array.fuse.set(2);
    assert!(array.array.write(ldev(17), 0, &[7; 4096]).is_err());
    let array = array.crash();
    array.write(17, 1 << 20, 1, 1);
    assert!(array.read(17)[..1 << 20].iter().all(|byte| *byte == 0));
}

#[test]
fn a_data_file_left_by_a_cut_off_copy_counts_for_nothing() {
    for step in 0..8 {
        let array = TestArray::new();
        array.write(17, 0, 7, 600_000);
        run(&array, create(), L1);
        array.fuse.set(step);
        array.array.step();
        let array = array.crash();
        array.write(17, 0, 0, 300_000);
        array.copy_all();
        assert!(array.reopen().read(18)[..300_000].iter().all(|byte| *byte == 0), "cut {step}");
    }
}
