//! `torture`: crash points without end, for `cargo xtask torture`.

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use array::torture::{self, Flips, Mutation};
use clap::{Arg, ArgAction, Command, value_parser};

/// Crash points of a session.
const POINTS: usize = 400;

fn main() -> ExitCode {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").help(help).value_parser(value_parser!(u64))
    };
    let matches = Command::new("torture")
        .about("Crash an array on recording disks at random points and judge what is left")
        .arg(number("minutes", "How long").default_value("1"))
        .arg(number("seed", "The first session").default_value("1"))
        .arg(number("session", "Only this session, as a failure names it"))
        .arg(number("flips", "Flip so many bits of arrays at rest instead"))
        .arg(
            Arg::new("skip-flush")
                .long("skip-flush")
                .help("Leave a flush of each session out: the failures that follow must be seen")
                .action(ArgAction::SetTrue),
        )
        .get_matches();
    let get = |name: &str| matches.get_one::<u64>(name).copied();
    let skip = matches.get_flag("skip-flush");
    let mutation = if skip { Mutation::SkipFlush } else { Mutation::None };
    let seed = get("seed").unwrap_or(1);
    if let Some(flips) = get("flips") {
        array::store::quiet_contained_panics();
        return rot(seed, flips);
    }
    let campaign = Campaign {
        next: AtomicU64::new(get("session").unwrap_or(seed)),
        last: get("session").unwrap_or(u64::MAX),
        points: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        shown: Mutex::new(Instant::now()),
    };
    let until = Instant::now() + Duration::from_secs(60 * get("minutes").unwrap_or(1));
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| campaign.work(until, mutation));
        }
    });
    let (points, failed) =
        (campaign.points.load(Ordering::SeqCst), campaign.failed.load(Ordering::SeqCst));
    let next = campaign.next.load(Ordering::SeqCst).min(campaign.last.saturating_add(1));
    println!(
        "{points} crash points in {} s, sessions {} to {}: {failed} failures",
        began.elapsed().as_secs(),
        get("session").unwrap_or(seed),
        next.saturating_sub(1)
    );
    match (skip, failed) {
        (false, 0) => ExitCode::SUCCESS,
        (true, 0) => {
            println!("the flushes that were left out were not noticed");
            ExitCode::FAILURE
        }
        (true, _) => {
            println!("noticed, as it must be");
            ExitCode::SUCCESS
        }
        (false, _) => ExitCode::FAILURE,
    }
}

/// Flips bits, a few hundred of each session's files.
fn rot(seed: u64, flips: u64) -> ExitCode {
    const EACH: u64 = 250;
    let (began, next) = (Instant::now(), AtomicU64::new(0));
    let all = Mutex::new(Flips::default());
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let done = next.fetch_add(EACH, Ordering::SeqCst);
                    let Some(left) = flips.checked_sub(done).filter(|left| *left > 0) else {
                        return;
                    };
                    let some = torture::flip(seed + done / EACH, left.min(EACH) as usize);
                    all.lock().unwrap_or_else(PoisonError::into_inner).add(some);
                }
            });
        }
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    for wrong in all.wrong.iter().take(10) {
        println!("other bytes: {wrong}");
    }
    println!(
        "{} flipped bits in {} s: {} refused at opening, {} found by the check, {} where nothing \
         is stored, {} unnoticed",
        all.count(),
        began.elapsed().as_secs(),
        all.refused,
        all.found,
        all.nothing,
        all.wrong.len()
    );
    if all.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Campaign {
    next: AtomicU64,
    last: u64,
    points: AtomicU64,
    failed: AtomicU64,
    shown: Mutex<Instant>,
}

impl Campaign {
    fn work(&self, until: Instant, mutation: Mutation) {
        while Instant::now() < until {
            let seed = self.next.fetch_add(1, Ordering::SeqCst);
            if seed > self.last {
                return;
            }
            let outcome = torture::run(seed, POINTS, mutation);
            let points = self.points.fetch_add(outcome.points as u64, Ordering::SeqCst);
            let failed = self.failed.fetch_add(outcome.failures.len() as u64, Ordering::SeqCst);
            if mutation == Mutation::None {
                for failure in outcome.failures.iter().take(3) {
                    println!("{failure}\n  repeat it: cargo xtask torture --session {seed}");
                }
            }
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if shown.elapsed() > Duration::from_secs(10) {
                *shown = Instant::now();
                println!("{points} crash points, {failed} failures");
            }
        }
    }
}
