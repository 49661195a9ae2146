//! 32 LUNs of one session beside each other: what they do together is to be as much as one of them
//! does with as many commands at a time, and none is to get much less of it than another.

use std::fmt::Write as _;

use lab::{Lab, tgt::Tgt};

use crate::{
    TURNS,
    side::{Load, Side, Unit},
};

/// How many there are.
pub const LUNS: u32 = 32;
/// Bytes of each.
pub const BYTES: u64 = 64 << 20;
/// What 32 LUNs do together / what one does with QD32, at least.
const TOGETHER: f64 = 0.9;
/// The slowest / the fastest, at least.
const SPREAD: f64 = 0.8;

/// What a target did, the best of some turns.
#[derive(Default, Clone, Copy)]
struct Found {
    /// One LUN with QD32.
    alone: f64,
    /// 32 LUNs with QD1.
    together: f64,
    /// The slowest / the fastest of them.
    spread: f64,
}

fn sum(rates: &[f64]) -> f64 {
    rates.iter().sum()
}

fn spread(rates: &[f64]) -> f64 {
    let slowest = rates.iter().copied().fold(f64::MAX, f64::min);
    slowest / rates.iter().copied().fold(f64::MIN_POSITIVE, f64::max)
}

async fn measure(side: &Side, units: &[Unit], writes: bool, turn: u64, found: &mut Found) {
    let alone = side.run(&[(units[0], Load::random(writes, 32))], turn).await;
    // As many bytes in all as of the one, so that no more of them are on their way to the disk.
    let small = |unit: &Unit| Unit { blocks: unit.blocks / LUNS, ..*unit };
    let each: Vec<_> = units.iter().map(|unit| (small(unit), Load::random(writes, 1))).collect();
    let together = side.run(&each, turn + 100).await;
    found.alone = found.alone.max(sum(&alone));
    if sum(&together) > found.together {
        (found.together, found.spread) = (sum(&together), spread(&together));
    }
}

/// How much one LUN does with QD1 while the others read streams of 1 MiB.
async fn beside_streams(side: &Side, units: &[Unit], turn: u64) -> f64 {
    let mut loads = vec![(units[0], Load::random(false, 1))];
    loads.extend(units[1..].iter().map(|unit| (*unit, Load::stream(false, 1))));
    side.run(&loads, turn).await[0]
}

/// The table.
pub async fn compare(lab: &Lab, portal: &str, name: &str, pid: u32, tgt: &Tgt) -> String {
    tgt.more_luns(lab, LUNS, BYTES);
    let ours = Side::log_in(portal, name, pid).await;
    let theirs = Side::log_in(tgt.listen(), &Tgt::target(3), tgt.pid()).await;
    let units = |first: u32| -> Vec<Unit> {
        (first..first + LUNS).map(|lun| Unit::new(lun, BYTES)).collect()
    };
    let sides = [(&ours, units(32)), (&theirs, units(1))];
    for (side, units) in &sides {
        for unit in units {
            side.fill(*unit).await;
        }
    }
    let mut table = String::from(
        "| workload | target | 1 LUN, QD32 | 32 LUNs, QD1 each | ratio | limit | slowest / fastest LUN | limit |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (what, writes) in [("4 KiB random read", false), ("4 KiB random write", true)] {
        let mut found = [Found::default(); 2];
        for turn in 0..TURNS as u64 {
            for ((side, units), found) in sides.iter().zip(&mut found) {
                measure(side, units, writes, turn, found).await;
            }
        }
        for (target, Found { alone, together, spread }) in ["arrayd", "tgt"].iter().zip(found) {
            let ratio = together / alone;
            let limits = match *target {
                "arrayd" => [(ratio, TOGETHER), (spread, SPREAD)].map(|(found, limit)| {
                    format!("{limit:.1}{}", if found >= limit { "" } else { " MISSED" })
                }),
                _ => Default::default(),
            };
            let _ = writeln!(
                table,
                "| {what} | {target} | {alone:.0} /s | {together:.0} /s | {ratio:.2} | {} | {spread:.2} | {} |",
                limits[0], limits[1]
            );
        }
    }
    let mut best = [0.0_f64; 2];
    for turn in 0..TURNS as u64 {
        for ((side, units), best) in sides.iter().zip(&mut best) {
            *best = best.max(beside_streams(side, units, turn).await);
        }
    }
    let [ours, theirs] = best;
    let _ = writeln!(
        table,
        "\n4 KiB random read, QD1, on one LUN while 31 others of its session read streams of 1 MiB: arrayd {ours:.0} /s, tgt {theirs:.0} /s."
    );
    table
}
