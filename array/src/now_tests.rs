//! Reads that wait for nothing: where they answer, they answer what any read does.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use model::LdevId;
use protocol::{
    RequestId,
    orders::{Order, PairChange},
};

use crate::{
    array::Array,
    store::{
        Content,
        disk::{Act, Faulty, Media, Memory},
    },
    testing::{TestArray, create, quick_split, resync, target},
};

const TOML: &str = "
serial = 62496
[[pool]]
id = 0
[[pool.file]]
path = \"p\"
size = \"66 MiB\"
[[ldev]]
ldev = \"0-31\"
emulation = \"OPEN-V\"
size = \"1 MiB\"
";
const PAGE: u64 = 65_536;
const BLOCK: usize = 4096;

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

fn run(array: &Array, change: PairChange) {
    let pairs = vec![target(0, 0, Some(16))];
    array.execute(RequestId::random(), &Order::Change { change, pairs }).unwrap();
}

fn now(array: &Array, number: u32, offset: u64, length: usize) -> Option<(Content, Vec<u8>)> {
    let mut bytes = vec![0xee; length];
    let found = array.store.read_now(ldev(number), offset, &mut bytes)?;
    Some((found, bytes))
}

fn made() -> Memory {
    let media = Memory::default();
    let inventory = crate::config::parse(TOML).unwrap();
    Array::create_on(&media, "a".as_ref(), &inventory).unwrap();
    media
}

#[test]
fn what_is_in_memory_is_read_at_once_and_nothing_else() {
    let media = made();
    let array = TestArray::opened(Arc::new(media.clone()));
    assert!(now(&array, 0, 0, BLOCK).is_none(), "the map is not in memory");
    array.write(ldev(0), PAGE, &[7; 2 * BLOCK]).unwrap();
    let (found, bytes) = now(&array, 0, PAGE, 3 * BLOCK).unwrap();
    assert!(found == Content::Bytes && bytes == [vec![7; 2 * BLOCK], vec![0; BLOCK]].concat());
    let (found, bytes) = now(&array, 0, 0, BLOCK).unwrap();
    assert!(found == Content::Zeros && bytes == [0; BLOCK]);
    assert!(now(&array, 0, PAGE + 512, BLOCK).is_none(), "no whole blocks");
    assert!(now(&array, 0, 1 << 20, BLOCK).is_none(), "beyond the end");
    assert!(now(&array, 0, u64::MAX, BLOCK).is_none());
    assert!(now(&array, 99, 0, BLOCK).is_none(), "no such volume");
    array.flush(ldev(0)).unwrap();
    drop(array);
    let array = TestArray::opened(Arc::new(media));
    assert!(now(&array, 0, PAGE, BLOCK).is_none(), "after a start nothing is in memory");
    array.read(ldev(0), PAGE, &mut [0; BLOCK]).unwrap();
    assert!(now(&array, 0, PAGE, BLOCK).unwrap().1 == [7; BLOCK]);
}

#[test]
fn a_volume_that_follows_another_one_is_left_to_the_read_that_waits() {
    let array = TestArray::opened(Arc::new(made()));
    array.write(ldev(0), 0, &[7; BLOCK]).unwrap();
    run(&array, create());
    while array.step() != crate::copier::Stepped::Idle {}
    let mut bytes = [0; BLOCK];
    array.read(ldev(16), 0, &mut bytes).unwrap();
    assert!(bytes == [7; BLOCK] && now(&array, 16, 0, BLOCK).is_none());
    assert!(now(&array, 0, 0, BLOCK).is_some(), "the P-VOL is its own");
    run(&array, quick_split());
    array.read(ldev(16), 0, &mut bytes).unwrap();
    assert!(now(&array, 16, 0, BLOCK).unwrap().1 == [7; BLOCK]);
}

#[test]
fn damage_and_failing_disks_are_left_to_the_read_that_tells_of_them() {
    let media = made();
    let faults = Faulty::new(Arc::new(media.clone()));
    let array = TestArray::opened(Arc::new(faults.clone()));
    array.write(ldev(0), 0, &[7; 2 * BLOCK]).unwrap();
    faults.fail_always("p", Act::Read, io::ErrorKind::Other);
    assert!(now(&array, 0, 0, BLOCK).is_none());
    faults.heal();
    assert!(now(&array, 0, 0, BLOCK).is_some());
    // One bit of the first block, wherever it is.
    let disk = media.open("a/p".as_ref()).unwrap();
    let mut bytes = vec![0; BLOCK];
    let place = (0..disk.size().unwrap()).step_by(BLOCK).find(|place| {
        disk.read(*place, &mut bytes).unwrap();
        bytes == [7; BLOCK]
    });
    disk.write(place.unwrap() + 100, &[6]).unwrap();
    assert!(now(&array, 0, 0, BLOCK).is_none() && now(&array, 0, 0, 2 * BLOCK).is_none());
    assert!(array.read(ldev(0), 0, &mut [0; BLOCK]).is_err());
    assert!(now(&array, 0, BLOCK as u64, BLOCK).is_some(), "the next block is whole");
}

/// Writers stamp blocks with ascending numbers while a pair is split again and again. Whatever is
/// read without waiting is one stamp, no older than the last that was acknowledged before; and what
/// the S-VOL shows between two orders stays as it is.
#[test]
fn reads_between_writes_and_splits_see_all_that_was_acknowledged_and_nothing_torn() {
    const WRITERS: usize = 4;
    let array = TestArray::opened(Arc::new(made()));
    run(&array, create());
    let acked: [AtomicU64; WRITERS] = Default::default();
    let stop = AtomicBool::new(false);
    // Each writer has a block in every page, so that all of them share pages and stripes.
    let place = |writer: usize, page: u64| page * PAGE + (writer * BLOCK) as u64;
    let stamp_of = |bytes: &[u8]| {
        let first: [u8; 8] = bytes[..8].try_into().unwrap();
        assert!(bytes.chunks_exact(8).all(|word| word == first), "a torn block");
        u64::from_le_bytes(first)
    };
    let (mut answered, mut of_svol) = (0, 0);
    thread::scope(|scope| {
        for (writer, acked) in acked.iter().enumerate() {
            let (array, stop) = (&array, &stop);
            scope.spawn(move || {
                let mut number = 0_u64;
                while !stop.load(SeqCst) {
                    number += 1;
                    let data = number.to_le_bytes().repeat(BLOCK / 8);
                    for page in 0..4 {
                        array.write(ldev(0), place(writer, page), &data).unwrap();
                    }
                    acked.store(number, SeqCst);
                }
            });
        }
        for round in 0..200 {
            run(&array, if round % 2 == 0 { quick_split() } else { resync() });
            let mut shown = vec![0; BLOCK];
            array.read(ldev(16), 0, &mut shown).unwrap();
            for turn in 0..40 {
                let (writer, page) = (turn % WRITERS, turn as u64 % 4);
                let before = acked[writer].load(SeqCst);
                if let Some((_, bytes)) = now(&array, 0, place(writer, page), BLOCK) {
                    answered += 1;
                    assert!(stamp_of(&bytes) >= before, "an acknowledged write is not there");
                }
                if let Some((_, bytes)) = now(&array, 16, 0, BLOCK) {
                    of_svol += 1;
                    assert!(round % 2 == 0 && bytes == shown, "the S-VOL is fixed");
                }
            }
        }
        stop.store(true, SeqCst);
    });
    assert!(answered > 0 && of_svol > 0, "{answered}, {of_svol}");
}
