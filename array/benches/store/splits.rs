//! What a point in time costs.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use array::{Array, Directory, config, copier, keeper};
use model::{LdevId, MuNumber, PairEnd, Serial, SplitMode, VolumeId};
use protocol::{
    RequestId,
    orders::{
        CreateOptions, CtgRequest, LocalEnd, Order, PairChange, PairTarget, ResyncOptions,
        SplitOptions,
    },
};

use crate::{
    peers,
    report::{Curve, Limit, Report, median, ms},
};

pub const GIB: u64 = 1 << 30;

/// An array with its threads, in a directory of its own.
pub struct Running {
    pub array: Arc<Array>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Running {
    pub fn new(dir: &Path, toml: &str) -> Self {
        Directory::init(dir, &config::parse(toml).expect("the description is right"))
            .expect("the directory is new");
        let array = Arc::new(Array::open(dir).expect("the array is new"));
        let start = |work: fn(&Array)| {
            let array = Arc::clone(&array);
            thread::spawn(move || work(&array))
        };
        let threads = vec![start(copier::run), start(keeper::run)];
        Self { array, threads }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.array.copier().stop();
        self.array.keeper().stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

pub fn ldev(number: u32) -> LdevId {
    LdevId::new(number).expect("a small number")
}

pub fn target(p: u32, mu: u32, s: u32) -> PairTarget {
    let serial = Serial::new(1).expect("a serial number");
    let volume = VolumeId { serial, ldev: ldev(s) };
    let mu = MuNumber::new(mu).expect("below 1,024");
    let partner = Some(PairEnd { volume, mu: MuNumber::default() });
    PairTarget { end: LocalEnd { ldev: ldev(p), mu }, partner }
}

pub fn run(array: &Array, change: PairChange, pairs: Vec<PairTarget>) {
    let order = Order::Change { change, pairs };
    array.execute(RequestId::random(), &order).expect("the order is right");
}

pub fn split() -> PairChange {
    PairChange::Split(SplitOptions {
        writable: true,
        mode: Some(SplitMode::Quick),
        pace: None,
        fresh: false,
    })
}

/// Numbers that look random, and are the same in every run.
pub fn scattered(n: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

/// Splits and resynchronises, with a few blocks written between; the median of the splits.
fn split_time(array: &Array, p: u32, s: u32, span: u64) -> Duration {
    let mut times = Vec::new();
    for n in 0..31u64 {
        for k in 0..8 {
            let at = scattered(n * 8 + k) % (span / 4096) * 4096;
            array.write(ldev(p), at, &[n as u8 | 1; 4096]).expect("a write");
        }
        array.flush(ldev(p)).expect("a flush");
        let began = Instant::now();
        run(array, split(), vec![target(p, 0, s)]);
        times.push(began.elapsed());
        run(array, PairChange::Resync(ResyncOptions::default()), vec![target(p, 0, s)]);
        // What the resync gave up is given back behind it; the next split is timed at rest.
        thread::sleep(Duration::from_millis(50));
    }
    median(times)
}

pub fn by_size_and_history(dir: &Path, report: &mut Report) {
    let toml = "serial = 1\n[[pool]]\nid = 0\n[[pool.file]]\npath = \"p\"\nsize = \"3000 GiB\"\n\
        [[ldev]]\nldev = \"1-2\"\nemulation = \"OPEN-V\"\nsize = \"1 GiB\"\n\
        [[ldev]]\nldev = \"3-4\"\nemulation = \"OPEN-V\"\nsize = \"1024 GiB\"\n";
    let running = Running::new(&dir.join("splits"), toml);
    let array = &running.array;
    let mib = vec![0x5a; 1 << 20];
    let mut medians = Vec::new();
    for (p, span, name) in [(1, GIB, "1 GiB"), (3, 1024 * GIB, "1 TiB")] {
        for n in 0..GIB >> 20 {
            array.write(ldev(p), n << 20, &mib).expect("a write");
        }
        array.flush(ldev(p)).expect("a flush");
        run(array, PairChange::Create(CreateOptions::default()), vec![target(p, 0, p + 1)]);
        let fresh = split_time(array, p, p + 1, GIB);
        report.figure(format!("ours: split, {name}, 1 GiB freshly written"), ms(fresh));
        let mut points = vec![(1, fresh)];
        medians.push(fresh);
        let mut done = 0u64;
        for rewrites in [10_000u64, 60_000, 200_000] {
            while done < rewrites {
                done += 1;
                // Some of them all over a large volume, so that its map grows too.
                let within = if done.is_multiple_of(20) { span } else { GIB };
                let at = scattered(done) % (within / 4096) * 4096;
                array.write(ldev(p), at, &mib[..4096]).expect("a write");
            }
            array.flush(ldev(p)).expect("a flush");
            points.push((rewrites, split_time(array, p, p + 1, GIB)));
        }
        let last = points.last().map_or(fresh, |(_, time)| *time);
        report.figure(format!("ours: split, {name}, after 200,000 random rewrites"), ms(last));
        medians.push(last);
        let name = if p == 1 { "ours, 1 GiB" } else { "ours, 1 TiB" };
        report.curve(Curve { name, points });
    }
    let slowest = medians.iter().max().copied().unwrap_or_default();
    let fastest = medians.iter().min().copied().unwrap_or_default();
    let ratio = slowest.as_secs_f64() / fastest.as_secs_f64();
    let figure = format!("{} / {}", ms(slowest), ms(fastest));
    report.judged("ours: slowest split / fastest split", figure, ratio, Limit::AtMost(1.5));
    drop(running);
    let _ = std::fs::remove_dir_all(dir.join("splits"));
    peers::reflink(dir, report);
    peers::qcow2(dir, report);
}

pub fn consistency_group(dir: &Path, report: &mut Report) {
    const PAIRS: u32 = 8192;
    let toml =
        "serial = 1\n[[ldev]]\nldev = \"0-16383\"\nemulation = \"OPEN-V\"\nsize = \"16 MiB\"\n";
    let running = Running::new(&dir.join("group"), toml);
    let array = &running.array;
    let targets = || (0..PAIRS).map(|n| target(n, 0, n + PAIRS)).collect::<Vec<_>>();
    let group = Some(CtgRequest::Any);
    run(array, PairChange::Create(CreateOptions { group, ..CreateOptions::default() }), targets());
    let stop = AtomicBool::new(false);
    let mut best: Vec<(Duration, array::store::SplitTimes)> = Vec::new();
    let mut writes = 0u64;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..8u64)
            .map(|writer| {
                let stop = &stop;
                scope.spawn(move || {
                    let block = [writer as u8 | 1; 4096];
                    let mut n = writer;
                    while !stop.load(Ordering::Relaxed) {
                        n += 8;
                        let at = scattered(n);
                        let (lun, block_at) = (at % u64::from(PAIRS), at >> 20 & 0xff);
                        array.write(ldev(lun as u32), block_at * 4096, &block).expect("a write");
                    }
                    n / 8
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(1));
        for _ in 0..5 {
            let began = Instant::now();
            run(array, split(), targets());
            if let Some(times) = array.last_split() {
                best.push((began.elapsed(), times));
            }
            run(array, PairChange::Resync(ResyncOptions::default()), targets());
        }
        stop.store(true, Ordering::Relaxed);
        writes = writers.into_iter().filter_map(|writer| writer.join().ok()).sum();
    });
    best.sort_by_key(|(_, times)| times.released);
    let (order, times) = best[best.len() / 2];
    let worst = best.last().map_or(Duration::ZERO, |(_, times)| times.released);
    report.figure("8,192 pairs, 8 writers: gates closed after", ms(times.gates));
    report.figure("8,192 pairs, 8 writers: marked within", ms(times.instant));
    report.figure("8,192 pairs, 8 writers: made durable within", ms(times.commit));
    report.figure("8,192 pairs, 8 writers: the whole order", ms(order));
    report.figure("8,192 pairs, 8 writers: slowest barrier to release", ms(worst));
    report.figure("8,192 pairs, 8 writers: writes meanwhile", writes.to_string());
    let ratio = times.released.as_secs_f64() / 0.050;
    let what = "8,192 pairs, 8 writers: barrier to release / 50 ms";
    report.judged(what, ms(times.released), ratio, Limit::AtMost(1.0));
    drop(running);
    let _ = std::fs::remove_dir_all(dir.join("group"));
}

pub fn snapshots(dir: &Path, report: &mut Report) {
    const COUNT: u32 = 1024;
    let toml = "serial = 1\n[[ldev]]\nldev = \"1-1025\"\nemulation = \"OPEN-V\"\nsize = \"1 GiB\"\n\
        [[pool]]\nid = 0\n[[pool.file]]\npath = \"p\"\nsize = \"100 GiB\"\n";
    let running = Running::new(&dir.join("snapshots"), toml);
    let array = &running.array;
    let mib = vec![0x5a; 1 << 20];
    for n in 0..64 {
        array.write(ldev(1), n << 20, &mib).expect("a write");
    }
    array.flush(ldev(1)).expect("a flush");
    let before = array.pools()[0].mapped;
    let create = PairChange::Create(CreateOptions { pool: Some(0), ..CreateOptions::default() });
    let mut times = Vec::new();
    for n in 0..COUNT {
        array.write(ldev(1), scattered(n.into()) % 1024 * 65_536, &mib[..4096]).expect("a write");
        let began = Instant::now();
        run(array, create, vec![target(1, n, n + 2)]);
        run(array, split(), vec![target(1, n, n + 2)]);
        times.push(began.elapsed());
    }
    let (first, last) = (median(times[..64].to_vec()), median(times[960..].to_vec()));
    report.figure("a snapshot, the first 64", ms(first));
    let ratio = last.as_secs_f64() / first.as_secs_f64();
    report.judged(
        "a snapshot, the last 64 of 1,024 / the first",
        ms(last),
        ratio,
        Limit::AtMost(2.0),
    );
    let began = Instant::now();
    for n in 0..COUNT {
        run(array, PairChange::Dissolve, vec![target(1, n * 379 % COUNT, n * 379 % COUNT + 2)]);
    }
    let deleted = began.elapsed();
    report.figure("deleting 1,024 snapshots, all", ms(deleted));
    while array.pools()[0].mapped > before.max(1) + 1024 && began.elapsed().as_secs() < 60 {
        thread::sleep(Duration::from_millis(10));
    }
    report.figure("until their space was free again", ms(began.elapsed()));
    drop(running);
    let _ = std::fs::remove_dir_all(dir.join("snapshots"));
}
