//! Thin Image: many snapshots of one P-VOL, and what they do when their pool is short of space.

use std::{
    cell::Cell,
    sync::{Barrier, mpsc},
    time::Duration,
};

use model::{Code, LdevId, Role};
use protocol::{
    RequestId,
    orders::{CreateOptions, Order, PairChange},
};

use crate::{
    array::Array,
    store::{PAGE, StoreError, disk::Dice},
    testing::{TestArray, end, restore, resync, split, target},
};

const SNAPSHOTS: u32 = 1024;
const PAGES: u64 = 16;

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

fn create() -> PairChange {
    PairChange::Create(CreateOptions { pool: Some(0), ..CreateOptions::default() })
}

fn run(array: &Array, change: PairChange, n: u32) -> Result<(), Code> {
    let pairs = vec![target(1, n, Some(1000 + n))];
    let done = array.execute(RequestId::random(), &Order::Change { change, pairs });
    done.map(|_| ()).map_err(|refused| refused.error.code)
}

/// The number in each page.
fn stamps(array: &Array, number: u32) -> Vec<u64> {
    let stamp = |page: u64| {
        let mut bytes = [0; 8];
        array.read(ldev(number), page * PAGE as u64 + 8192, &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    };
    (0..PAGES).map(stamp).collect()
}

fn stamp(array: &Array, number: u32, page: u64, stamp: u64) {
    array.write(ldev(number), page * PAGE as u64 + 8192, &stamp.to_le_bytes()).unwrap();
}

fn mapped(array: &Array) -> u64 {
    while array.store.tidy().unwrap() {}
    array.pools()[0].mapped
}

fn whole(array: &Array) {
    let report = array.check(&mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
}

#[test]
fn a_thousand_and_24_snapshots_are_read_restored_and_deleted_in_any_order() {
    let array = TestArray::described(
        "serial = 62496\n[[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n\
         [[ldev]]\nldev = \"1000-2023\"\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n",
    );
    for page in 0..PAGES {
        stamp(&array, 1, page, 1);
    }
    let mut wanted: Vec<Vec<u64>> = Vec::new();
    for n in 0..SNAPSHOTS {
        stamp(&array, 1, u64::from(n) * 7 % PAGES, u64::from(n) + 2);
        wanted.push(stamps(&array, 1));
        run(&array, create(), n).unwrap();
        run(&array, split(), n).unwrap();
    }
    assert_eq!(mapped(&array), PAGES + u64::from(SNAPSHOTS) - 1, "a page for each write");
    for (n, wanted) in (0u32..).zip(&wanted) {
        assert_eq!(stamps(&array, 1000 + n), *wanted, "snapshot {n}");
    }
    whole(&array);

    let mut dice = Dice(62_496);
    let mut left: Vec<u32> = (0..SNAPSHOTS).collect();
    while !left.is_empty() {
        let n = left.swap_remove(dice.below(left.len() as u64) as usize);
        if dice.below(8) == 0 {
            run(&array, restore(), n).unwrap();
            assert_eq!(stamps(&array, 1), wanted[n as usize], "restored from snapshot {n}");
        }
        run(&array, PairChange::Dissolve, n).unwrap();
        assert_eq!(stamps(&array, 1000 + n), vec![0; PAGES as usize], "the snapshot is gone");
        if left.len().is_multiple_of(128) {
            while array.store.tidy().unwrap() {}
            for n in &left {
                assert_eq!(stamps(&array, 1000 + n), wanted[*n as usize], "snapshot {n}");
            }
            whole(&array);
        }
    }
    assert_eq!(mapped(&array), PAGES, "the P-VOL's own pages, and no more");
    whole(&array);
}

/// A pool of two segments, 2,048 pages of 64 KiB, of which the P-VOL takes 1,600.
const SMALL: &str = "serial = 62496\n[[pool]]\nid = 0\n[[pool.file]]\npath = \"p\"\nsize = \"130 MiB\"\n\
     [[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"100 MiB\"\n\
     [[ldev]]\nldev = \"1000-1001\"\nemulation = \"OPEN-V\"\nsize = \"100 MiB\"\n";

fn fill(array: &Array, byte: u8) {
    let data = vec![byte; 1 << 20];
    (0..100u64).for_each(|mib| array.write(ldev(1), mib << 20, &data).unwrap());
}

fn status(array: &Array, n: u32) -> &'static str {
    array.status(end(1, n)).unwrap().status.word()
}

/// A snapshot in PSUS and one in PAIR.
fn two_snapshots() -> Array {
    let array = TestArray::described(SMALL);
    fill(&array, 1);
    run(&array, create(), 0).unwrap();
    run(&array, split(), 0).unwrap();
    run(&array, create(), 1).unwrap();
    assert_eq!((status(&array, 0), status(&array, 1)), ("PSUS", "PAIR"));
    array
}

#[test]
fn a_pool_short_of_space_shows_pfus_and_pful_and_growing_heals() {
    let array = two_snapshots();
    // Above 80 percent.
    array.write(ldev(1), 0, &vec![2; 8 << 20]).unwrap();
    assert_eq!((status(&array, 0), status(&array, 1)), ("PFUS", "PFUL"));
    assert_eq!(array.status(end(1000, 0)).unwrap().role, Role::SVol);
    array.grow_pool(0, "p", Some(200 << 20), false).unwrap();
    assert_eq!(array.pools()[0].pages, 3072);
    array.grow_pool(0, "q", Some(70 << 20), false).unwrap();
    assert_eq!((status(&array, 0), status(&array, 1)), ("PSUS", "PAIR"));
    fill(&array, 3);
    assert_eq!(mapped(&array), 3200, "the snapshot's own and the P-VOL's");
    let smaller = array.grow_pool(0, "p", Some(100 << 20), false).unwrap_err();
    assert_eq!(smaller.code, Code::ExInvarg);
    assert!(array.grow_pool(7, "r", Some(100 << 20), false).is_err());
    whole(&array);
}

#[test]
fn snapshots_give_way_before_a_write_to_the_pvol_fails() {
    let array = two_snapshots();
    // More than the pool has: the snapshot goes, the P-VOL's host notices nothing.
    fill(&array, 3);
    assert_eq!(status(&array, 0), "PSUE");
    let mut bytes = [0; 8];
    array.read(ldev(1), 50 << 20, &mut bytes).unwrap();
    assert_eq!(bytes, [3; 8]);
    whole(&array);
    run(&array, resync(), 0).unwrap();
    assert!(["PAIR", "PFUL"].contains(&status(&array, 0)), "{}", status(&array, 0));
    assert_eq!(mapped(&array), 1600, "what the snapshot had is free again");
    whole(&array);
}

#[test]
fn writes_that_find_the_pool_full_at_once_cost_one_snapshot() {
    const WRITERS: usize = 8;
    let array = TestArray::described(
        "serial = 62496\n[[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n\
         [[ldev]]\nldev = \"1000-1007\"\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n",
    );
    for n in 0..8 {
        run(&array, create(), n).unwrap();
        run(&array, split(), n).unwrap();
    }
    let given_up = || (0..8).filter(|n| status(&array, *n) == "PSUE").count();
    let together = Barrier::new(WRITERS);
    let write = || {
        let met = Cell::new(false);
        array.making_room(|| {
            if !met.replace(true) {
                together.wait();
                return Err(StoreError::Full(0));
            }
            if given_up() == 0 { Err(StoreError::Full(0)) } else { Ok(()) }
        })
    };
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| write().unwrap());
        }
    });
    assert_eq!(given_up(), 1);
    assert_eq!(status(&array, 0), "PSUE", "the one that was made first");
}

#[test]
fn a_write_that_waits_for_its_disk_once_room_is_made_holds_no_order_up() {
    let array = two_snapshots();
    let (done, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        let (array, tried) = (&array, Cell::new(false));
        array.making_room(|| {
            if !tried.replace(true) {
                return Err(StoreError::Full(0));
            }
            let done = done.clone();
            scope.spawn(move || {
                run(array, PairChange::Dissolve, 0).unwrap();
                let _ = done.send(());
            });
            let ended = ends.recv_timeout(Duration::from_secs(20));
            ended.map_err(|_| StoreError::Failed("the order waits for the write".into()))
        })
    })
    .unwrap();
    assert_eq!((status(&array, 0), status(&array, 1)), ("SMPL", "PAIR"));
}
