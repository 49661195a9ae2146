//! Disks that fail, and files that are not what they should be.

use std::{io, sync::Arc};

use model::LdevId;
use protocol::{RequestId, orders::Order};

use crate::{
    array::Array,
    clock::SystemClock,
    store::disk::{Act, Bytes, Fault, Faulty, Memory},
    testing::{TestArray, create, end, quick_split, target},
};

const TOML: &str = "
serial = 62496
[[pool]]
id = 0
[[pool.file]]
path = \"p\"
size = \"130 MiB\"
[[ldev]]
ldev = \"17-18\"
emulation = \"OPEN-V\"
size = \"20 MiB\"
";
const SIZE: usize = 20 << 20;

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

fn made() -> Memory {
    let media = Memory::default();
    let inventory = crate::config::parse(TOML).unwrap();
    Array::create_on(&media, "a".as_ref(), &inventory).unwrap();
    media
}

fn open(media: Memory) -> Result<Array, String> {
    let opened = Array::open_on(Arc::new(media), "a".as_ref(), Box::new(SystemClock));
    opened.map_err(|error| error.to_string())
}

/// A pair, split, with blocks of both volumes' own and shared ones; and what both hold.
fn with_a_pair(media: &Memory) -> Vec<Vec<u8>> {
    let array = TestArray::opened(Arc::new(media.clone()));
    let write = |volume, offset: usize, byte: u8, length: usize| {
        array.write(ldev(volume), offset as u64, &vec![byte; length]).unwrap();
    };
    write(17, 0, 1, 300_000);
    write(17, 17 << 20, 2, 100_000);
    let run = |change| {
        let pairs = vec![target(17, 0, Some(18))];
        array.execute(RequestId::random(), &Order::Change { change, pairs }).unwrap();
    };
    run(create());
    while array.step() != crate::copier::Stepped::Idle {}
    run(quick_split());
    write(17, 5000, 3, 70_000);
    write(18, 200_000, 4, 4096);
    array.flush(ldev(17)).unwrap();
    // Everything is at rest: no segment is marked as being written.
    drop(array);
    let array = open(media.clone()).unwrap();
    array.store.resum().unwrap();
    let whole = |volume| {
        let mut bytes = vec![0; SIZE];
        array.read(ldev(volume), 0, &mut bytes).unwrap();
        bytes
    };
    vec![whole(17), whole(18)]
}

#[test]
fn files_of_a_pool_that_are_missing_short_foreign_or_newer_are_refused_by_name() {
    let media = made();
    drop(with_a_pair(&media));
    let other = made();
    let refusal = |change: &dyn Fn(&Memory, Bytes)| {
        let changed = media.fork();
        change(&changed, media.contents()["a/p".as_ref() as &std::path::Path].clone());
        open(changed).err().expect("it is refused")
    };
    let missing = refusal(&|media, _| media.remove("a/p".as_ref()));
    assert!(missing.contains("a/p") && missing.contains("missing"), "{missing}");
    let short = refusal(&|media, mut bytes| {
        bytes.set_len(bytes.len() / 2);
        media.put("a/p".as_ref(), bytes);
    });
    assert!(short.contains("a/p") && short.contains("belong there"), "{short}");
    let foreign = refusal(&|media, _| {
        media.put("a/p".as_ref(), other.contents()["a/p".as_ref() as &std::path::Path].clone());
    });
    assert!(foreign.contains("a/p") && foreign.contains("another array"), "{foreign}");
    let newer = refusal(&|media, mut bytes| {
        for copy in [0, 4096] {
            let mut header = [0; 36];
            assert!(bytes.read(copy, &mut header));
            header[8] = 9;
            let sum = crc32c::crc32c(&header[..32]).to_le_bytes();
            header[32..].copy_from_slice(&sum);
            bytes.write(copy, &header);
        }
        media.put("a/p".as_ref(), bytes);
    });
    assert!(newer.contains("a/p") && newer.contains("format 9"), "{newer}");
    let no_header = refusal(&|media, mut bytes| {
        bytes.write(0, &[0; 8192]);
        media.put("a/p".as_ref(), bytes);
    });
    assert!(no_header.contains("a/p") && no_header.contains("not the file of a pool"));
    let no_intent = refusal(&|media, _| media.remove("a/pool-0-0.intent".as_ref()));
    assert!(no_intent.contains("pool-0-0.intent") && no_intent.contains("missing"), "{no_intent}");
}

fn faulty() -> (Faulty, Array) {
    let faults = Faulty::new(Arc::new(made()));
    let array = TestArray::opened(Arc::new(faults.clone()));
    (faults, array)
}

fn once(name: &str, act: Act) -> Fault {
    Fault { name: name.into(), act, kind: io::ErrorKind::Other, after: 0, times: 1 }
}

#[test]
fn a_disk_that_fails_once_fails_that_request_only() {
    let (faults, array) = faulty();
    array.write(ldev(17), 0, &[1; 8192]).unwrap();
    faults.fail(once("/p", Act::Write));
    assert!(array.write(ldev(17), 65_536, &[2; 4096]).is_err());
    faults.fail(once("/p", Act::Read));
    let mut bytes = [0; 4096];
    assert!(array.read(ldev(17), 0, &mut bytes).is_err());
    array.read(ldev(17), 0, &mut bytes).unwrap();
    assert_eq!(bytes, [1; 4096]);
    array.write(ldev(17), 65_536, &[2; 4096]).unwrap();
    array.flush(ldev(17)).unwrap();
    assert!(array.check(&mut |_| {}).unwrap().is_clean());
}

#[test]
fn a_block_whose_overwrite_failed_is_an_error_until_it_is_written_again() {
    let (faults, array) = faulty();
    array.write(ldev(17), 0, &[1; 8192]).unwrap();
    array.flush(ldev(17)).unwrap();
    faults.fail(once("/p", Act::Write));
    assert!(array.write(ldev(17), 0, &[2; 4096]).is_err());
    let mut bytes = [0; 4096];
    if array.read(ldev(17), 0, &mut bytes).is_ok() {
        assert!(bytes == [1; 4096] || bytes == [2; 4096], "never anything else");
    }
    array.write(ldev(17), 0, &[3; 4096]).unwrap();
    array.read(ldev(17), 0, &mut bytes).unwrap();
    assert_eq!(bytes, [3; 4096]);
}

#[test]
fn after_a_flush_that_failed_nothing_more_is_promised() {
    let (faults, array) = faulty();
    array.write(ldev(17), 0, &[1; 4096]).unwrap();
    array.flush(ldev(17)).unwrap();
    array.write(ldev(17), 0, &[2; 4096]).unwrap();
    faults.fail(once("/p", Act::Flush));
    assert!(array.flush(ldev(17)).is_err());
    // The disk may have dropped what it had; that it is well again proves nothing.
    let refused = array.flush(ldev(17)).unwrap_err();
    assert!(refused.advice.unwrap().contains("start it again"));
    assert!(array.write(ldev(17), 0, &[3; 4096]).is_err());
    let mut bytes = [0; 4096];
    array.read(ldev(17), 0, &mut bytes).unwrap();
}

#[test]
fn metadata_that_cannot_be_written_changes_no_pair() {
    for act in [Act::Write, Act::Flush] {
        let (faults, array) = faulty();
        array.write(ldev(17), 0, &[1; 4096]).unwrap();
        array.flush(ldev(17)).unwrap();
        let pairs = vec![target(17, 0, Some(18))];
        let order = Order::Change { change: create(), pairs };
        faults.fail_always("meta.redb", act, io::ErrorKind::StorageFull);
        assert!(array.execute(RequestId::random(), &order).is_err());
        assert_eq!(array.status(end(17, 0)).unwrap().status.word(), "SMPL");
        let mut bytes = [0; 4096];
        array.read(ldev(17), 0, &mut bytes).unwrap();
        assert_eq!(bytes, [1; 4096]);
    }
}

/// The byte of the pool's file where the first block of nothing but `byte` begins.
fn block_of(media: &Memory, byte: u8) -> u64 {
    let file = media.contents()["a/p".as_ref() as &std::path::Path].clone();
    let mut block = [0; 4096];
    let mut written = file.written().into_iter();
    let found = written.find(|at| file.read(*at, &mut block) && block == [byte; 4096]);
    found.expect("it was written")
}

fn rot(media: &Memory, at: u64) {
    let path: &std::path::Path = "a/p".as_ref();
    let mut file = media.contents()[path].clone();
    assert!(file.flip(at + 77, 3));
    media.put(path, file);
}

fn status(array: &Array) -> &'static str {
    array.status(end(17, 0)).unwrap().status.word()
}

#[test]
fn the_scrubber_finds_what_rots_and_suspends_the_pair_whose_s_vol_shows_it() {
    let media = made();
    let wanted = with_a_pair(&media);
    // The P-VOL alone has what it wrote after the split.
    let own = block_of(&media, 3);
    rot(&media, own);
    let array = open(media.clone()).unwrap();
    for _ in 0..20 {
        array.scrub().unwrap();
    }
    assert_eq!(status(&array), "PSUS", "the S-VOL is whole");
    drop(array);
    rot(&media, block_of(&media, 2));
    let array = open(media).unwrap();
    let mut passes = 0;
    while status(&array) == "PSUS" {
        array.scrub().unwrap();
        passes += 1;
        assert!(passes < 50, "it does not come by");
    }
    assert_eq!(status(&array), "PSUE");
    never_wrong(&array, &wanted);
}

#[test]
fn a_read_that_meets_a_damaged_block_is_a_medium_error_there_and_the_pair_is_suspended() {
    let media = made();
    drop(with_a_pair(&media));
    rot(&media, block_of(&media, 2));
    let array = Arc::new(open(media).unwrap());
    let mut bytes = vec![0; 1 << 20];
    let offset = 16 << 20;
    let error = array.read(ldev(17), offset + (1 << 20), &mut bytes).unwrap_err();
    assert!(error.cause.as_deref().unwrap_or_default().contains("checksum"), "{error:?}");
    // Its neighbours are well.
    array.read(ldev(17), (17 << 20) + 32 * 4096, &mut bytes[..4096]).unwrap();
    let keeper = std::thread::spawn({
        let array = Arc::clone(&array);
        move || crate::keeper::run(&array)
    });
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while status(&array) != "PSUE" {
        assert!(std::time::Instant::now() < end, "nobody suspends the pair");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    array.keeper().stop();
    keeper.join().unwrap();
}

/// Reads everything; an error is fine, other bytes are not.
fn never_wrong(array: &Array, wanted: &[Vec<u8>]) {
    let mut buffer = vec![0; 65_536];
    for (volume, wanted) in [17, 18].into_iter().zip(wanted) {
        for (n, wanted) in wanted.chunks(buffer.len()).enumerate() {
            let read = array.read(ldev(volume), (n * 65_536) as u64, &mut buffer[..wanted.len()]);
            assert!(read.is_err() || buffer[..wanted.len()] == *wanted);
        }
    }
}
