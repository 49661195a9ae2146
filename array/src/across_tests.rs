//! Pairs whose volumes are in different pools: bytes really move.

use std::sync::Arc;

use model::LdevId;
use protocol::{
    RequestId,
    orders::{CreateOptions, Order, PairChange},
};

use crate::{
    array::Array,
    clock::SystemClock,
    copier::Stepped,
    store::disk::Memory,
    testing::{create, end, quick_split, restore, resync, split, target},
};

const TOML: &str = "
serial = 62496
[[pool]]
id = 0
[[pool]]
id = 1
[[pool.file]]
path = \"small\"
size = \"66 MiB\"
[[ldev]]
ldev = \"17-19\"
pool = 0
emulation = \"OPEN-V\"
size = \"32 MiB\"
[[ldev]]
ldev = \"20-23\"
pool = 1
emulation = \"OPEN-V\"
size = \"32 MiB\"
";
const SIZE: usize = 32 << 20;
const PAGE: u64 = 65_536;

struct Lab {
    media: Memory,
    array: Array,
}

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap()
}

impl Lab {
    fn new() -> Self {
        let media = Memory::default();
        let inventory = crate::config::parse(TOML).unwrap();
        Array::create_on(&media, "a".as_ref(), &inventory).unwrap();
        let array = Self::open(&media);
        Self { media, array }
    }

    fn open(media: &Memory) -> Array {
        let media = Arc::new(media.clone());
        Array::open_on(media, "a".as_ref(), Box::new(SystemClock)).unwrap()
    }

    /// What a crash leaves of what was made durable, opened.
    fn crash(self) -> Self {
        let media = self.media.fork();
        std::mem::forget(self.array);
        Self { array: Self::open(&media), media }
    }

    fn run(&self, change: PairChange, p: u32, mu: u32, s: u32) {
        let order = Order::Change { change, pairs: vec![target(p, mu, Some(s))] };
        self.array.execute(RequestId::random(), &order).unwrap();
    }

    fn write(&self, number: u32, page: u64, byte: u8, pages: usize) {
        let data = vec![byte; pages * PAGE as usize];
        for (n, data) in (0..).zip(data.chunks(1 << 20)) {
            self.array.write(ldev(number), page * PAGE + (n << 20), data).unwrap();
        }
    }

    fn read(&self, number: u32) -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        for (n, bytes) in (0..).zip(bytes.chunks_mut(1 << 20)) {
            self.array.read(ldev(number), n << 20, bytes).unwrap();
        }
        bytes
    }

    fn state(&self, number: u32, mu: u32) -> &'static str {
        self.array.status(end(number, mu)).unwrap().status.word()
    }

    fn mapped(&self, pool: u16) -> u64 {
        self.array.pools().iter().find(|figures| figures.id == pool).unwrap().mapped
    }

    /// Copies all there is; how many steps that took.
    fn copy(&self) -> usize {
        (0..1000).find(|_| self.array.step() == Stepped::Idle).expect("it ends")
    }

    fn tidy(&self) {
        self.array.flush(ldev(17)).unwrap();
        while self.array.store.tidy().unwrap() {}
        self.array.flush(ldev(17)).unwrap();
        assert!(self.array.check(&mut |_| {}).unwrap().is_clean());
    }
}

#[test]
fn a_copy_moves_the_bytes_shows_its_progress_and_goes_on_after_a_crash() {
    let mut lab = Lab::new();
    lab.write(17, 0, 1, 200);
    let wanted = lab.read(17);
    lab.run(create(), 17, 0, 20);
    assert_eq!((lab.state(17, 0), lab.mapped(1)), ("COPY", 0));
    let percent = |lab: &Lab| lab.array.status(end(17, 0)).unwrap().percent;
    let mut seen = vec![percent(&lab)];
    assert!(lab.read(20) == wanted, "it is one with its P-VOL from the start");
    for _ in 0..2 {
        assert_eq!(lab.array.step(), Stepped::Worked);
        seen.push(percent(&lab));
    }
    assert!(seen.is_sorted() && seen[0] < seen[2] && seen[2] < 100, "{seen:?}");
    lab.array.flush(ldev(17)).unwrap();
    lab = lab.crash();
    assert_eq!(lab.state(17, 0), "COPY");
    assert!(percent(&lab) >= seen[2], "what was fetched is not fetched again");
    lab.copy();
    assert_eq!((lab.state(17, 0), lab.mapped(1), percent(&lab)), ("PAIR", 200, 100));
    assert!(lab.read(20) == wanted);
}

#[test]
fn a_quick_split_shows_its_instant_at_once_and_fetches_it_afterwards() {
    let mut lab = Lab::new();
    lab.write(17, 0, 1, 300);
    lab.run(create(), 17, 0, 20);
    lab.copy();
    lab.write(17, 40, 2, 60);
    let wanted = lab.read(17);
    lab.run(quick_split(), 17, 0, 20);
    assert_eq!(lab.state(17, 0), "PSUS");
    // Neither side sees the other's writes, on pages that are still to be fetched or not.
    lab.write(17, 30, 3, 40);
    assert!(lab.read(20) == wanted);
    lab.array.write(ldev(20), 50 * PAGE + 512, &[4; 512]).unwrap();
    lab.write(20, 210, 5, 2);
    let mut own = wanted;
    own[50 * 65_536 + 512..][..512].fill(4);
    own[210 * 65_536..][..2 * 65_536].fill(5);
    assert!(lab.read(20) == own);
    lab.array.flush(ldev(17)).unwrap();
    lab = lab.crash();
    assert!(lab.read(20) == own);
    assert_eq!(lab.copy(), 1, "60 pages are one step: nothing else is fetched");
    lab.tidy();
    assert!(lab.read(20) == own);
}

#[test]
fn a_resync_fetches_what_either_side_changed_and_nothing_else() {
    let lab = Lab::new();
    lab.write(17, 0, 1, 512);
    lab.run(create(), 17, 0, 20);
    lab.copy();
    lab.run(split(), 17, 0, 20);
    lab.copy();
    assert_eq!(lab.state(17, 0), "PSUS");
    lab.write(17, 5, 2, 3);
    lab.write(20, 100, 3, 4);
    lab.array.zero(ldev(17), 300 * PAGE, 2 * PAGE).unwrap();
    let changed = lab.array.status(end(17, 0)).unwrap().percent;
    assert_eq!(changed, 98, "9 of 512 pages differ");
    lab.run(resync(), 17, 0, 20);
    let link = lab.array.store.busy()[0];
    assert_eq!(lab.array.store.lack(link).unwrap().to_target, 9);
    lab.copy();
    assert_eq!(lab.state(17, 0), "PAIR");
    let wanted = lab.read(17);
    lab.run(split(), 17, 0, 20);
    lab.copy();
    lab.write(17, 0, 9, 512);
    assert!(lab.read(20) == wanted);
}

#[test]
fn a_restore_gives_the_p_vol_the_s_vols_bytes_at_once_and_moves_them_afterwards() {
    let mut lab = Lab::new();
    lab.write(17, 0, 1, 512);
    lab.run(create(), 17, 0, 20);
    lab.copy();
    lab.run(split(), 17, 0, 20);
    lab.copy();
    lab.write(17, 0, 2, 100);
    lab.write(20, 50, 3, 100);
    let wanted = lab.read(20);
    lab.run(restore(), 17, 0, 20);
    assert_eq!(lab.state(17, 0), "RCPY");
    assert!(lab.read(17) == wanted && lab.read(20) == wanted);
    let link = lab.array.store.busy()[0];
    assert_eq!(lab.array.store.lack(link).unwrap().to_source, 150);
    // Hosts write to the P-VOL meanwhile, to what it has and to what it lacks.
    lab.array.write(ldev(17), 20 * PAGE + 4096, &[7; 4096]).unwrap();
    lab.write(17, 400, 8, 3);
    let wanted = lab.read(17);
    lab.array.flush(ldev(17)).unwrap();
    lab = lab.crash();
    assert!(lab.read(17) == wanted);
    lab.copy();
    assert_eq!(lab.state(17, 0), "PAIR");
    lab.tidy();
    assert!(lab.read(17) == wanted);
    lab.run(split(), 17, 0, 20);
    lab.copy();
    lab.write(17, 0, 9, 512);
    assert!(lab.read(20) == wanted);
}

#[test]
fn a_pair_that_is_gone_leaves_both_volumes_whole_and_no_page_behind() {
    let lab = Lab::new();
    lab.write(17, 0, 1, 100);
    lab.run(create(), 17, 0, 20);
    lab.copy();
    lab.write(17, 0, 2, 50);
    let wanted = lab.read(17);
    lab.run(quick_split(), 17, 0, 20);
    lab.run(PairChange::Dissolve, 17, 0, 20);
    lab.write(17, 0, 3, 100);
    assert!(lab.read(20) == wanted, "what it lacks is fetched without a pair too");
    lab.tidy();
    assert!(lab.read(20) == wanted);
    assert_eq!((lab.mapped(0), lab.mapped(1)), (100, 100), "nothing is hidden any more");
    lab.array.zero(ldev(17), 0, SIZE as u64).unwrap();
    lab.array.zero(ldev(20), 0, SIZE as u64).unwrap();
    lab.tidy();
    assert_eq!((lab.mapped(0), lab.mapped(1)), (0, 0));
}

#[test]
fn a_pool_that_is_full_during_a_copy_suspends_the_pair_and_a_resync_goes_on() {
    let lab = Lab::new();
    // 1,024 pages: two volumes of 512 fill it.
    lab.write(21, 0, 1, 512);
    lab.write(22, 0, 1, 400);
    lab.write(17, 0, 2, 512);
    lab.run(create(), 17, 0, 20);
    lab.copy();
    assert_eq!(lab.state(17, 0), "PSUE");
    let whole = lab.read(17);
    assert!(lab.read(21) == lab.read(21) && whole[0] == 2);
    lab.array.zero(ldev(21), 0, SIZE as u64).unwrap();
    lab.tidy();
    lab.run(resync(), 17, 0, 20);
    lab.copy();
    assert_eq!(lab.state(17, 0), "PAIR");
    assert!(lab.read(20) == whole);
}

#[test]
fn a_copy_of_a_volume_that_is_taken_for_equal_moves_nothing() {
    let lab = Lab::new();
    lab.write(17, 0, 1, 64);
    lab.write(20, 0, 1, 64);
    lab.array.flush(ldev(17)).unwrap();
    let nocopy = CreateOptions { no_copy: true, ..CreateOptions::default() };
    lab.run(PairChange::Create(nocopy), 17, 0, 20);
    assert!(lab.array.store.busy().is_empty());
    lab.write(17, 3, 2, 1);
    let wanted = lab.read(17);
    lab.run(quick_split(), 17, 0, 20);
    assert_eq!(lab.copy(), 1);
    assert!(lab.read(20) == wanted);
}

#[test]
fn a_pair_that_stays_in_pair_catches_up_so_that_old_pages_are_let_go() {
    let lab = Lab::new();
    lab.write(17, 0, 1, 512);
    lab.run(create(), 17, 0, 20);
    lab.copy();
    for round in 0..6 {
        lab.write(17, round * 80, 2, 70);
        lab.tidy();
        lab.copy();
        lab.tidy();
    }
    assert_eq!(lab.state(17, 0), "PAIR");
    assert!(lab.mapped(0) < 512 + 512 / 8, "{}", lab.mapped(0));
    let wanted = lab.read(17);
    lab.run(split(), 17, 0, 20);
    lab.copy();
    lab.write(17, 0, 9, 512);
    assert!(lab.read(20) == wanted);
}

#[test]
fn zeros_in_place_of_a_page_that_was_not_fetched_yet_are_a_change_too() {
    let lab = Lab::new();
    lab.write(17, 0, 1, 64);
    lab.run(create(), 17, 0, 20);
    lab.run(quick_split(), 17, 0, 20);
    lab.array.zero(ldev(20), 7 * PAGE, PAGE).unwrap();
    lab.copy();
    lab.run(resync(), 17, 0, 20);
    lab.copy();
    let wanted = lab.read(17);
    lab.run(split(), 17, 0, 20);
    lab.copy();
    assert!(lab.read(20) == wanted);
}
