//! DESIGN 6.3: a consistency group is one instant. Writers stamp numbers over many LUNs, each only
//! after the one before was acknowledged; after a split no S-VOL may hold a number while another
//! lacks an earlier one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use model::LdevId;
use protocol::{
    RequestId,
    orders::{CreateOptions, CtgRequest, Order, PairChange},
};

use crate::{
    array::Array,
    store::probe::WITHOUT_BARRIER,
    testing::{TestArray, quick_split, resync, target},
};

const LUNS: u32 = 64;
const WRITERS: u64 = 8;
const TOML: &str = "
serial = 62496
[[ldev]]
ldev = \"0-127\"
emulation = \"OPEN-V\"
size = \"1 MiB\"
";

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

fn run(array: &Array, change: PairChange) {
    let pairs = (0..LUNS).map(|n| target(n, 0, Some(n + LUNS))).collect();
    array.execute(RequestId::random(), &Order::Change { change, pairs }).unwrap();
}

/// Splits so often under writers at full speed; how many of the copies are of no one instant.
fn torn_copies(splits: u32) -> u32 {
    let array = TestArray::described(TOML);
    let group = Some(CtgRequest::Any);
    run(&array, PairChange::Create(CreateOptions { group, ..CreateOptions::default() }));
    let stop = AtomicBool::new(false);
    let mut torn = 0;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (array, stop) = (&array, &stop);
            scope.spawn(move || {
                let mut number = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let lun = ldev((number % u64::from(LUNS)) as u32);
                    array.write(lun, writer * 4096, &number.to_le_bytes().repeat(512)).unwrap();
                }
            });
        }
        for _ in 0..splits {
            run(&array, quick_split());
            torn += u32::from((0..WRITERS).any(|writer| !is_one_instant(&array, writer)));
            run(&array, resync());
            while array.store.tidy().unwrap() {}
        }
        stop.store(true, Ordering::Relaxed);
    });
    torn
}

/// Whether the S-VOLs hold all numbers of a writer up to one, and none beyond.
fn is_one_instant(array: &Array, writer: u64) -> bool {
    let held: Vec<u64> = (LUNS..2 * LUNS)
        .map(|lun| {
            let mut bytes = [0; 4096];
            array.read(ldev(lun), writer * 4096, &mut bytes).unwrap();
            let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert_eq!(bytes[..], number.to_le_bytes().repeat(512)[..], "a block of one write");
            number
        })
        .collect();
    let last = held.iter().copied().max().unwrap();
    let luns = u64::from(LUNS);
    // The last number of each LUN that is no greater than `last`.
    let wanted =
        |lun: u64| (last + luns - lun).checked_sub(luns).map_or(0, |n| n / luns * luns + lun);
    (0..luns).zip(&held).all(|(lun, held)| *held == wanted(lun))
}

#[test]
fn a_thousand_splits_of_64_luns_are_one_instant_each_and_without_the_barrier_they_are_not() {
    // One test, because the switch is for the whole process.
    assert_eq!(torn_copies(1000), 0);
    WITHOUT_BARRIER.store(true, Ordering::SeqCst);
    let torn = torn_copies(50);
    WITHOUT_BARRIER.store(false, Ordering::SeqCst);
    assert!(torn > 0, "the test cannot fail");
}
