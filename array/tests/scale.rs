//! 65,536 pairs in one array. The bounds are wide enough for a busy machine and an unoptimised
//! build; they hold off what grows with the square.

use std::time::{Duration, Instant};

use array::{Array, Directory, config, copier::Stepped};
use model::{LdevId, MuNumber, PairEnd, Serial, VolumeId};
use protocol::{
    RequestId,
    orders::{CreateOptions, LocalEnd, Order, PairChange, PairTarget, Reply, SplitOptions},
};

const PAIRS: u32 = 65_536;
const TOML: &str = "
serial = 1
[[port]]
name = \"CL1-A\"
[[ldev]]
ldev = \"0-131071\"
emulation = \"OPEN-V\"
size = \"16 MiB\"
[[lun]]
port = \"CL1-A\"
target = 0
lun = 0
ldev = \"0-131071\"
";

fn end(ldev: u32) -> LocalEnd {
    LocalEnd { ldev: LdevId::new(ldev).unwrap(), mu: MuNumber::default() }
}

fn targets(count: u32) -> Vec<PairTarget> {
    (0..count)
        .map(|n| {
            let volume =
                VolumeId { serial: Serial::new(1).unwrap(), ldev: LdevId::new(n + PAIRS).unwrap() };
            PairTarget { end: end(n), partner: Some(PairEnd { volume, mu: MuNumber::default() }) }
        })
        .collect()
}

fn timed<T>(what: &str, bound: Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    println!("{what}: {took:?}");
    assert!(took < bound, "{what}: {took:?}");
    done
}

#[test]
fn sixty_five_thousand_pairs_are_created_shown_and_split() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let minute = Duration::from_secs(60);
    let inventory = timed("parse", minute, || config::parse(TOML).unwrap());
    timed("init", minute, || Directory::init(&path, &inventory).unwrap());
    let array = timed("open", minute, || Array::open(&path).unwrap());
    let change = |change, count| {
        let order = Order::Change { change, pairs: targets(count) };
        assert_eq!(array.execute(RequestId::random(), &order), Ok(Reply::Done));
    };
    let create = PairChange::Create(CreateOptions::default());
    timed("create 65,536", minute, || change(create, PAIRS));
    let ends = Order::Status((0..PAIRS).map(end).collect());
    let status = || match array.execute(RequestId::random(), &ends) {
        Ok(Reply::Status(status)) => status,
        other => panic!("{other:?}"),
    };
    let shown = timed("status of 65,536 in COPY", minute, status);
    assert!(shown.iter().all(|end| end.is_some_and(|end| end.status.word() == "COPY")));
    timed("copy 65,536 empty volumes", minute, || while array.step() != Stepped::Idle {});
    let split = PairChange::Split(SplitOptions::default());
    timed("split 8,192", Duration::from_secs(10), || change(split, 8192));
    let shown = timed("status of 65,536", minute, status);
    let count = |word| shown.iter().filter(|end| end.unwrap().status.word() == word).count();
    assert_eq!((count("PSUS"), count("PAIR")), (8192, 57_344));
    drop(array);
    let array = timed("open again", minute, || Array::open(&path).unwrap());
    assert_eq!(array.pair_count(), 65_536);
}
