//! Our target beside tgt, on the same machine, by the same initiator, turn by turn: ratios count.
//!
//! `--report FILE` writes the tables; `--only WORDS` leaves out workloads whose names have not
//! these words in them.

mod luns;
mod side;

use std::{env, fmt::Write as _, fs};

use lab::{Lab, tgt::Tgt};

use self::side::{Load, Side, TIME, Unit};

/// How often a workload runs; the best time counts, for others use the machine too.
const TURNS: usize = 3;
/// What is read and written.
const BYTES: u64 = 1 << 30;

struct Workload {
    what: &'static str,
    load: Load,
    /// Limit of ours / tgt.
    limit: f64,
}

const WORKLOADS: [Workload; 6] = [
    Workload { what: "4 KiB random read, QD1", load: Load::random(false, 1), limit: 1.0 },
    Workload { what: "4 KiB random write, QD1", load: Load::random(true, 1), limit: 1.0 },
    Workload { what: "4 KiB random read, QD32", load: Load::random(false, 32), limit: 1.5 },
    Workload { what: "4 KiB random write, QD32", load: Load::random(true, 32), limit: 1.5 },
    Workload { what: "1 MiB stream, read", load: Load::stream(false, 4), limit: 1.0 },
    Workload { what: "1 MiB stream, write", load: Load::stream(true, 4), limit: 1.0 },
];

fn main() {
    let args: Vec<String> = env::args().collect();
    let after = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        Some(args.get(at + 1).unwrap_or_else(|| panic!("{name} needs a word behind it")).as_str())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tables = runtime.expect("a runtime").block_on(compare(after("--only").unwrap_or_default()));
    print!("{tables}");
    if let Some(file) = after("--report") {
        fs::write(file, format!("{TITLE}{tables}")).expect("the report can be written");
    }
}

const TITLE: &str = "# iSCSI

Made by `cargo xtask bench iscsi`: our target and tgt beside each other, one LUN of 1 GiB each on the same file system and in the page cache,
the same initiator, which shares the processors with them. The best of three turns of 2 s each.

";

async fn compare(only: &str) -> String {
    let mut lab = Lab::new();
    lab.with_hosts();
    lab.more_luns(luns::LUNS, luns::BYTES);
    lab.init_array().ok();
    lab.start_array();
    let tgt = Tgt::start(&lab);
    let portal = format!("{}:3260", lab.ip());
    let name = "iqn.2026-11.internal.raidmanager:62496.cl2-c";
    let pid = lab.array_pid().expect("it runs");
    let mut tables = one_lun(&portal, name, pid, &tgt, only).await;
    if "32 LUNs".contains(only) {
        tables += "\n## 32 LUNs of one session\n\n64 MiB of one, or 2 MiB of each.\n\n";
        tables += &luns::compare(&lab, &portal, name, pid, &tgt).await;
    }
    tables
}

/// The table of one LUN under one load.
async fn one_lun(portal: &str, name: &str, pid: u32, tgt: &Tgt, only: &str) -> String {
    let ours = (Side::log_in(portal, name, pid).await, Unit::new(3, BYTES));
    let theirs = Side::log_in(tgt.listen(), &Tgt::target(1), tgt.pid()).await;
    let sides = [ours, (theirs, Unit::new(1, BYTES))];
    for (side, unit) in &sides {
        side.fill(*unit).await;
    }
    let mut table = String::from(
        "| workload | arrayd | tgt | ratio | limit | CPU a 1,000 operations: arrayd | tgt |\n|---|---|---|---|---|---|---|\n",
    );
    for Workload { what, load, limit } in
        WORKLOADS.into_iter().filter(|work| work.what.contains(only))
    {
        let (mut best, mut cpu) = ([0.0_f64; 2], [f64::MAX; 2]);
        for turn in 0..TURNS as u64 {
            for (n, (side, unit)) in sides.iter().enumerate() {
                let before = side.cpu();
                let rate = side.run(&[(*unit, load)], turn).await[0];
                best[n] = best[n].max(rate);
                cpu[n] = cpu[n].min((side.cpu() - before) / (rate * TIME.as_secs_f64()) * 1e6);
            }
        }
        let ratio = best[0] / best[1];
        let verdict = if ratio >= limit { "" } else { " MISSED" };
        let _ = writeln!(
            table,
            "| {what} | {:.0} /s | {:.0} /s | {ratio:.2} | {limit:.1}{verdict} | {:.1} ms | {:.1} ms |",
            best[0], best[1], cpu[0], cpu[1]
        );
    }
    let [ours, theirs] = sides.map(|(side, _)| side.memory());
    let _ = writeln!(table, "| most memory | {ours:.0} MiB | {theirs:.0} MiB | | | | |");
    table
}
