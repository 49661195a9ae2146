//! A host that writes and flushes behind the instant of an order that is not durable yet, and
//! crashes in the midst of both: what was flushed is there, and the next order after the crash is
//! exact too.

use std::sync::{Arc, Mutex};

use model::LdevId;
use protocol::{
    RequestId,
    orders::{Order, PairChange},
};

use crate::{
    array::Array,
    clock::SystemClock,
    copier::Stepped,
    store::{
        disk::{Loss, Recorder},
        probe::{Spot, act_at},
    },
    testing::{create, end, quick_split, resync, target},
};

const TOML: &str = "
serial = 62496
[[pool]]
id = 0
[[pool.file]]
path = \"p\"
size = \"66 MiB\"
[[pool]]
id = 1
[[pool.file]]
path = \"q\"
size = \"66 MiB\"
[[ldev]]
ldev = \"0-31\"
pool = 0
emulation = \"OPEN-V\"
size = \"1 MiB\"
[[ldev]]
ldev = \"32-47\"
pool = 1
emulation = \"OPEN-V\"
size = \"1 MiB\"
";
const SIZE: usize = 1 << 20;

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

fn new() -> (Recorder, Array) {
    let recorder = Recorder::new();
    let inventory = crate::config::parse(TOML).unwrap();
    Array::create_on(&recorder, "a".as_ref(), &inventory).unwrap();
    let media = Arc::new(recorder.clone());
    let array = Array::open_on(media, "a".as_ref(), Box::new(SystemClock)).unwrap();
    (recorder, array)
}

fn run(array: &Array, change: PairChange, p: u32, s: u32) {
    let pairs = vec![target(p, 0, Some(s))];
    array.execute(RequestId::random(), &Order::Change { change, pairs }).unwrap();
}

fn read(array: &Array, number: u32) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    array.read(ldev(number), 0, &mut bytes).unwrap();
    bytes
}

fn copy_all(array: &Array) {
    while array.step() != Stepped::Idle {}
}

/// What a host wrote to the start of a page: its number, and the events that had reached the disks
/// when its flush returned.
struct Acked {
    page: u64,
    number: u8,
    position: usize,
}

fn write(array: &Array, recorder: &Recorder, p: u32, page: u64, number: u8) -> Acked {
    array.write(ldev(p), page * 65_536, &[number; 4096]).unwrap();
    array.flush(ldev(p)).unwrap();
    Acked { page, number, position: recorder.position() }
}

/// Opens what a crash left, and looks at it.
fn judge(recorder: &Recorder, (point, loss): (usize, Loss), acked: &[Acked], (p, s): (u32, u32)) {
    let image = recorder.replay().crash(point, loss);
    let array = Array::open_on(Arc::new(image), "a".as_ref(), Box::new(SystemClock)).unwrap();
    let at = format!("LDEV {p} after event {point}, {loss:?} lost");
    let report = array.check(&mut |_| {}).unwrap();
    assert!(report.is_clean(), "{at}: {:?}", report.findings);
    let found = read(&array, p);
    for page in 0..16 {
        let mine = acked.iter().filter(|ack| ack.page == page && ack.position <= point);
        let last = mine.map(|ack| ack.number).max();
        let byte = found[page as usize * 65_536];
        assert!(Some(byte) >= last, "{at}: {byte}, but {last:?} was flushed");
    }
    // The generations go on where they were: the next order fixes its instant as well.
    match array.status(end(p, 0)).map(|status| status.status.word()) {
        None | Some("SMPL") => run(&array, create(), p, s),
        Some("PAIR" | "COPY") => {}
        Some(_) => run(&array, resync(), p, s),
    }
    copy_all(&array);
    let fill = |number: u8, length: usize| {
        for page in 0..16 {
            array.write(ldev(p), page * 65_536, &vec![number; length]).unwrap();
        }
    };
    fill(200, 4096);
    let instant = read(&array, p);
    run(&array, quick_split(), p, s);
    fill(201, 8192);
    array.flush(ldev(p)).unwrap();
    assert!(read(&array, s) == instant, "{at}: the next split is not of its instant");
    copy_all(&array);
    while array.store.tidy().unwrap() {}
    assert!(array.check(&mut |_| {}).unwrap().is_clean(), "{at}, and another order");
}

/// Splits, with a host that wrote the pages `before` and interferes; then crashes at every
/// event.
fn writes_behind_a_split(p: u32, s: u32, before: &[u64]) {
    interfere(Spot::Instant, p, s, before);
    interfere(Spot::Commit, p, s, before);
}

fn interfere(spot: Spot, p: u32, s: u32, before: &[u64]) {
    let (recorder, array) = new();
    let array = Arc::new(array);
    run(&array, create(), p, s);
    copy_all(&array);
    let acked: Vec<Acked> =
        before.iter().map(|page| write(&array, &recorder, p, *page, 1)).collect();
    let acked = Arc::new(Mutex::new(acked));
    let first = recorder.position();
    for round in 0..3u8 {
        let (behind, recorder, acked) =
            (Arc::downgrade(&array), recorder.clone(), Arc::clone(&acked));
        act_at(spot, move || {
            let array = behind.upgrade().unwrap();
            for page in [0, 3, 9] {
                let ack = write(&array, &recorder, p, page, 10 + round);
                acked.lock().unwrap().push(ack);
            }
        });
        run(&array, quick_split(), p, s);
        array.step();
        run(&array, resync(), p, s);
    }
    let acked = acked.lock().unwrap();
    assert_eq!(acked.len(), before.len() + 9, "the host had its turn");
    for point in first..=recorder.position() {
        for loss in [Loss::Nothing, Loss::Everything] {
            judge(&recorder, (point, loss), &acked, (p, s));
        }
    }
}

#[test]
fn a_host_that_flushes_behind_the_instant_of_a_split_loses_nothing() {
    writes_behind_a_split(0, 16, &[0, 1, 2]);
}

#[test]
fn nor_does_one_that_never_wrote_before() {
    writes_behind_a_split(0, 16, &[]);
}

#[test]
fn nor_does_one_whose_pair_crosses_pools() {
    writes_behind_a_split(0, 32, &[0, 1, 2]);
}

#[test]
fn nor_one_of_those_that_never_wrote_before() {
    writes_behind_a_split(0, 32, &[]);
}
