//! Our target beside tgt, on the same machine, by the same initiator, turn by turn: ratios count.
//!
//! `--report FILE` writes the table.

use std::{
    env,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lab::{Lab, proxy::Dice, tgt::Tgt};
use scsi::{
    iscsi::{Initiator, Session},
    task::LunAddress,
};
use tokio::task::JoinSet;

/// How long a workload runs at a time, and how often; the best time counts, for others use the
/// machine too.
const TIME: Duration = Duration::from_secs(2);
const TURNS: usize = 3;
/// What is read and written: 1 GiB.
const BLOCKS: u32 = 1 << 21;

#[derive(Clone, Copy)]
struct Workload {
    what: &'static str,
    writes: bool,
    blocks: u32,
    depth: usize,
    /// Limit of ours / tgt.
    limit: f64,
}

const WORKLOADS: [Workload; 6] = [
    Workload { what: "4 KiB random read, QD1", writes: false, blocks: 8, depth: 1, limit: 1.0 },
    Workload { what: "4 KiB random write, QD1", writes: true, blocks: 8, depth: 1, limit: 1.0 },
    Workload { what: "4 KiB random read, QD32", writes: false, blocks: 8, depth: 32, limit: 1.5 },
    Workload { what: "4 KiB random write, QD32", writes: true, blocks: 8, depth: 32, limit: 1.5 },
    Workload { what: "1 MiB stream, read", writes: false, blocks: 2048, depth: 4, limit: 1.0 },
    Workload { what: "1 MiB stream, write", writes: true, blocks: 2048, depth: 4, limit: 1.0 },
];

struct Side {
    session: Session,
    lun: LunAddress,
    pid: u32,
}

impl Side {
    async fn log_in(address: &str, target: &str, lun: u16, pid: u32) -> Self {
        let initiator = Initiator::new("iqn.2026-11.internal.bench:host").expect("a name");
        let address: SocketAddr = address.parse().expect("an address");
        let session = initiator.login(address, target).await.expect("a session");
        let side = Self { session, lun: LunAddress::from_number(lun).expect("a LUN"), pid };
        // Unit attentions first.
        for _ in 0..4 {
            let _ = side.session.command(side.lun, &[0; 6], Bytes::new(), 0).await;
        }
        side
    }

    async fn transfer(session: &Session, lun: LunAddress, work: Workload, lba: u32, data: &Bytes) {
        let [a, b, c, d] = lba.to_be_bytes();
        let [_, _, high, low] = work.blocks.to_be_bytes();
        let opcode = if work.writes { 0x2a } else { 0x28 };
        let cdb = [opcode, 0, a, b, c, d, 0, high, low, 0];
        let (data, read) =
            if work.writes { (data.clone(), 0) } else { (Bytes::new(), work.blocks * 512) };
        let reply = session.command(lun, &cdb, data, read).await.expect("an answer");
        assert_eq!(reply.status, 0, "{cdb:x?}");
        assert_eq!(reply.data.len(), read as usize);
    }

    /// Writes everything once, so that reads find bytes.
    async fn fill(&self) {
        let work = Workload { what: "", writes: true, blocks: 2048, depth: 1, limit: 0.0 };
        let data = Bytes::from(vec![0xa5; 1 << 20]);
        for lba in (0..BLOCKS).step_by(2048) {
            Self::transfer(&self.session, self.lun, work, lba, &data).await;
        }
    }

    /// Operations a second.
    async fn run(&self, work: Workload, seed: u64) -> f64 {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        let data = Bytes::from(vec![seed as u8; work.blocks as usize * 512]);
        for n in 0..work.depth as u64 {
            let (session, lun, data) = (self.session.clone(), self.lun, data.clone());
            tasks.spawn(async move {
                let mut dice = Dice(seed * 1000 + n + 1);
                let slots = u64::from(BLOCKS / work.blocks);
                let mut count = 0_u32;
                while began.elapsed() < TIME {
                    // A stream goes on where it is; the rest is scattered.
                    let slot = if work.blocks > 8 {
                        u64::from(count) * work.depth as u64 + n
                    } else {
                        dice.next()
                    };
                    let lba = (slot % slots) as u32 * work.blocks;
                    Self::transfer(&session, lun, work, lba, &data).await;
                    count += 1;
                }
                count
            });
        }
        let counts = tasks.join_all().await;
        f64::from(counts.into_iter().sum::<u32>()) / began.elapsed().as_secs_f64()
    }

    /// Processor time so far in seconds.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        // Fields 14 and 15, of which two are before the name's end; 100 ticks a second.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// The most memory so far in MiB.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let table = runtime.expect("a runtime").block_on(compare());
    print!("{table}");
    let args: Vec<String> = env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--report") {
        let file = args.get(at + 1).expect("--report FILE");
        fs::write(file, format!("# iSCSI\n\nMade by `cargo xtask bench iscsi`: our target and tgt {TITLE}\n\n{table}"))
            .expect("the report can be written");
    }
}

const TITLE: &str = "beside each other, one LUN of 1 GiB each on the same file system and in the page cache,\nthe same initiator, which shares the processors with them. The best of three turns of 2 s each.";

async fn compare() -> String {
    let mut lab = Lab::new();
    lab.with_hosts();
    lab.init_array().ok();
    lab.start_array();
    let tgt = Tgt::start(&lab);
    let portal = format!("{}:3260", lab.ip());
    let name = "iqn.2026-11.internal.raidmanager:62496.cl2-c";
    let ours = Side::log_in(&portal, name, 3, lab.array_pid().expect("it runs")).await;
    let theirs = Side::log_in(tgt.listen(), &Tgt::target(1), 1, tgt.pid()).await;
    ours.fill().await;
    theirs.fill().await;
    let mut table = String::from(
        "| workload | arrayd | tgt | ratio | limit | CPU a 1,000 operations: arrayd | tgt |\n|---|---|---|---|---|---|---|\n",
    );
    for work in WORKLOADS {
        let (mut best, mut cpu) = ([0.0_f64; 2], [f64::MAX; 2]);
        for turn in 0..TURNS {
            for (n, side) in [&ours, &theirs].into_iter().enumerate() {
                let before = side.cpu();
                let rate = side.run(work, turn as u64).await;
                best[n] = best[n].max(rate);
                cpu[n] = cpu[n].min((side.cpu() - before) / (rate * TIME.as_secs_f64()) * 1e6);
            }
        }
        let ratio = best[0] / best[1];
        let verdict = if ratio >= work.limit { "" } else { " MISSED" };
        let _ = writeln!(
            table,
            "| {} | {:.0} /s | {:.0} /s | {ratio:.2} | {:.1}{verdict} | {:.1} ms | {:.1} ms |",
            work.what, best[0], best[1], work.limit, cpu[0], cpu[1]
        );
    }
    let _ = writeln!(
        table,
        "| most memory | {:.0} MiB | {:.0} MiB | | | | |",
        ours.memory(),
        theirs.memory()
    );
    table
}
