//! The data path.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use array::{Array, Directory, config};
use protocol::orders::{CreateOptions, PairChange, ResyncOptions};

use crate::{
    peers,
    report::{Limit, Report, median, ms},
    splits::{GIB, Running, ldev, run, scattered, split, target},
};

const BLOCKS: u64 = 400_000;

/// One kind of work.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    fio: &'static str,
    block: usize,
    write: bool,
    random: bool,
    /// With nothing in the operating system's memory.
    cold: bool,
}

const MIB: usize = 1 << 20;

const WORKS: [Work; 6] = [
    work("sequential write, 1 MiB", "write", MIB, false),
    work("sequential read from the disk, 1 MiB", "read", MIB, true),
    work("sequential read from memory, 1 MiB", "read", MIB, false),
    work("random write, 4 KiB", "randwrite", 4096, false),
    work("random read from the disk, 4 KiB", "randread", 4096, true),
    work("random read from memory, 4 KiB", "randread", 4096, false),
];

const fn work(name: &'static str, fio: &'static str, block: usize, cold: bool) -> Work {
    let kind = fio.as_bytes();
    // "write", "read", "randwrite", "randread".
    let write = kind[kind.len() - 2] == b't';
    Work { name, fio, block, write, random: kind.len() > 5, cold }
}

impl Work {
    fn count(&self) -> u64 {
        if self.random && self.cold {
            BLOCKS / 40
        } else if self.random {
            BLOCKS
        } else {
            GIB / self.block as u64
        }
    }

    /// Does it, with a flush at the end of writes; bytes a second.
    fn ours(&self, array: &Array, round: u64) -> f64 {
        let mut buffer: Vec<u8> = (0..self.block).map(|n| (n * 31) as u8 | 1).collect();
        let began = Instant::now();
        for n in 0..self.count() {
            let at = if self.random { scattered(n + round * BLOCKS) } else { n };
            let at = at % (GIB / self.block as u64) * self.block as u64;
            if self.write {
                array.write(ldev(1), at, &buffer).expect("a write");
            } else {
                array.read(ldev(1), at, &mut buffer).expect("a read");
            }
        }
        if self.write {
            array.flush(ldev(1)).expect("a flush");
        }
        (self.count() * self.block as u64) as f64 / began.elapsed().as_secs_f64()
    }
}

pub fn against_plain_files(dir: &Path, report: &mut Report) {
    let toml = "serial = 1\n[[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"1 GiB\"\n";
    let running = Running::new(&dir.join("data"), toml);
    let file = dir.join("plain");
    if !peers::fio_lays_out(&file) {
        report.figure("plain files through fio's psync", "fio is not installed");
    }
    WORKS[0].ours(&running.array, 0);
    for work in WORKS {
        let mut figures = Vec::new();
        if !work.write && !work.cold {
            WORKS[2].ours(&running.array, 0);
            peers::fio(&file, "read", MIB, GIB, 0, false);
        }
        for round in 0..5 {
            if work.cold {
                forget(&dir.join("data/pool-0.data"));
            }
            let ours = work.ours(&running.array, round);
            let size = work.count() * work.block as u64;
            let Some(plain) = peers::fio(&file, work.fio, work.block, size, round, work.cold)
            else {
                continue;
            };
            figures.push((ours, plain));
        }
        // The round in the middle: what was measured side by side stays together.
        figures.sort_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
        if let Some((ours, plain)) = figures.get(figures.len() / 2) {
            let figure = format!("{:.0} / {:.0} MB/s", ours / 1e6, plain / 1e6);
            let what = format!("{}: ours / fio psync", work.name);
            report.judged(what, figure, ours / plain, Limit::AtLeast(0.80));
        }
    }
    drop(running);
    let _ = std::fs::remove_file(file);
    let _ = std::fs::remove_dir_all(dir.join("data"));
}

/// Lets the operating system forget what it has of a file in memory.
fn forget(file: &Path) {
    if let Ok(file) = std::fs::File::open(file) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

/// 4 KiB writes in another order each round, and the flush after them.
fn writes(array: &Array, round: u64) -> Duration {
    let block = [0x5a; 4096];
    let began = Instant::now();
    for n in 0..50_000 {
        let at = scattered(n + round * 50_000) % (GIB / 4096) * 4096;
        array.write(ldev(1), at, &block).expect("a write");
    }
    array.flush(ldev(1)).expect("a flush");
    began.elapsed()
}

/// How long the same writes take at each stage of a pair.
#[derive(Default)]
struct Stages {
    simplex: Vec<Duration>,
    paired: Vec<Duration>,
    before: Vec<Duration>,
    first: Vec<Duration>,
    again: Vec<Duration>,
}

impl Stages {
    /// One life of a pair; the volumes are simplex again afterwards.
    fn run(&mut self, array: &Array, round: u64) {
        let pair = || vec![target(1, 0, 2)];
        // What is measured first must not pay for a touch that is none of its own.
        writes(array, round);
        self.simplex.push(writes(array, round));
        run(array, PairChange::Create(CreateOptions::default()), pair());
        self.paired.push(writes(array, round));
        self.before.push(writes(array, round));
        run(array, split(), pair());
        self.first.push(writes(array, round));
        self.again.push(writes(array, round));
        run(array, PairChange::Resync(ResyncOptions::default()), pair());
        run(array, PairChange::Dissolve, pair());
    }
}

pub fn paired_and_split(dir: &Path, report: &mut Report) {
    let toml = "serial = 1\n[[pool]]\nid = 0\n[[pool.file]]\npath = \"p\"\nsize = \"8 GiB\"\n\
        [[ldev]]\nldev = \"1-2\"\nemulation = \"OPEN-V\"\nsize = \"1 GiB\"\n";
    let place = dir.join("paired");
    let (mut new, mut repeated) = (Stages::default(), Stages::default());
    for round in 0..5 {
        let running = Running::new(&place, toml);
        WORKS[0].ours(&running.array, 0);
        new.run(&running.array, round);
        if round == 4 {
            (5..10).for_each(|round| repeated.run(&running.array, round));
        }
        drop(running);
        let _ = std::fs::remove_dir_all(&place);
    }
    let mut row = |what: &str, base: &[Duration], now: &[Duration], limit: Option<f64>| {
        let (base, now) = (median(base.to_vec()), median(now.to_vec()));
        let figure = format!("{} / {}", ms(base), ms(now));
        let ratio = base.as_secs_f64() / now.as_secs_f64();
        match limit {
            Some(limit) => report.judged(what, figure, ratio, Limit::AtLeast(limit)),
            None => report.figure(what, format!("{figure} = {ratio:.2}")),
        }
    };
    row("random 4 KiB writes and flush: PAIR against SMPL", &new.simplex, &new.paired, Some(0.95));
    row("the same, first touch after a split against before", &new.before, &new.first, Some(0.50));
    row("the same, touched again", &new.before, &new.again, Some(0.95));
    let what = "the same, first touch, in pair after pair at once, other blocks each time";
    row(what, &repeated.before, &repeated.first, None);
}

/// 1 TiB with every page mapped; arrayd killed and started again.
pub fn restart(dir: &Path, arrayd: &Path, report: &mut Report) {
    let toml = "serial = 1\n[[pool]]\nid = 0\n[[pool.file]]\npath = \"p\"\nsize = \"1100 GiB\"\n\
        [[ldev]]\nldev = 1\nemulation = \"OPEN-V\"\nsize = \"1024 GiB\"\n\
        [ipcmd]\nlisten = \"127.0.0.1:0\"\n";
    let place = dir.join("restart");
    Directory::init(&place, &config::parse(toml).expect("the description is right"))
        .expect("the directory is new");
    let array = Array::open(&place).expect("the array is new");
    let began = Instant::now();
    array.provision(ldev(1)).expect("the pool is large enough");
    report.figure("mapping every page of 1 TiB", ms(began.elapsed()));
    let records = std::fs::metadata(place.join("meta.redb")).map_or(0, |meta| meta.len());
    report.figure("meta.redb with 1 TiB mapped", format!("{} MiB", records >> 20));
    drop(array);
    let home = dir.join("home");
    let start = || {
        let began = Instant::now();
        let mut child = Command::new(arrayd)
            .arg("run")
            .arg(&place)
            .env("HORCMROOT", &home)
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .spawn()
            .expect("arrayd starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("arrayd says that it is ready");
        (child, began.elapsed())
    };
    let (mut child, _) = start();
    child.kill().expect("it runs");
    let _ = child.wait();
    let (mut child, took) = start();
    // Reads all over it, so that the map is walked.
    for n in 0..2000u64 {
        let offset = (scattered(n) % (1 << 20)) << 20;
        let read = Command::new(arrayd)
            .args(["export", &place.to_string_lossy(), "1", "/dev/null"])
            .args(["--length", "4096", "--offset", &offset.to_string()])
            .env("HORCMROOT", &home)
            .stderr(Stdio::null())
            .status();
        assert!(read.is_ok_and(|status| status.success()), "a read");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let peak = status.ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("VmHWM"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    child.kill().expect("it runs");
    let _ = child.wait();
    let ratio = took.as_secs_f64() / 2.0;
    let what = "arrayd after kill -9, 1 TiB mapped: ready / 2 s";
    report.judged(what, ms(took), ratio, Limit::AtMost(1.0));
    if let Some(peak) = peak {
        let what = "arrayd, 1 TiB mapped, after 2,000 random reads: peak memory / 160 MiB";
        let ratio = peak as f64 / (160.0 * 1024.0);
        report.judged(what, format!("{} MiB", peak >> 10), ratio, Limit::AtMost(1.0));
    }
}
