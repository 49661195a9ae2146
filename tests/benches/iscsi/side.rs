//! A target under load, by the built-in initiator.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lab::proxy::Dice;
use scsi::{
    iscsi::{Initiator, Session},
    task::LunAddress,
};
use tokio::task::JoinSet;

/// How long a load lasts.
pub const TIME: Duration = Duration::from_secs(2);

/// What is done to a logical unit, again and again.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub writes: bool,
    /// Blocks of 512 bytes that one command moves.
    pub blocks: u32,
    /// Commands at a time.
    pub depth: usize,
}

impl Load {
    /// 4 KiB at random places.
    pub const fn random(writes: bool, depth: usize) -> Self {
        Self { writes, blocks: 8, depth }
    }

    /// 1 MiB after the other.
    pub const fn stream(writes: bool, depth: usize) -> Self {
        Self { writes, blocks: 2048, depth }
    }
}

/// A logical unit, and how many of its blocks are used.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    pub lun: LunAddress,
    pub blocks: u32,
}

impl Unit {
    pub fn new(lun: u32, bytes: u64) -> Self {
        let lun = u16::try_from(lun).ok().and_then(LunAddress::from_number).expect("a LUN");
        Self { lun, blocks: (bytes / 512) as u32 }
    }
}

/// A session with a target, and the target's process.
pub struct Side {
    session: Session,
    pid: u32,
}

impl Side {
    pub async fn log_in(address: &str, target: &str, pid: u32) -> Self {
        let initiator = Initiator::new("iqn.2026-11.internal.bench:host").expect("a name");
        let address: SocketAddr = address.parse().expect("an address");
        let session = initiator.login(address, target).await.expect("a session");
        Self { session, pid }
    }

    async fn transfer(session: &Session, unit: Unit, load: Load, lba: u32, data: &Bytes) {
        let [a, b, c, d] = lba.to_be_bytes();
        let [_, _, high, low] = load.blocks.to_be_bytes();
        let opcode = if load.writes { 0x2a } else { 0x28 };
        let cdb = [opcode, 0, a, b, c, d, 0, high, low, 0];
        let (data, read) =
            if load.writes { (data.clone(), 0) } else { (Bytes::new(), load.blocks * 512) };
        let reply = session.command(unit.lun, &cdb, data, read).await.expect("an answer");
        assert_eq!(reply.status, 0, "{cdb:x?}");
        assert_eq!(reply.data.len(), read as usize);
    }

    /// Writes a unit once, so that reads find bytes.
    pub async fn fill(&self, unit: Unit) {
        // Unit attentions first.
        for _ in 0..4 {
            let _ = self.session.command(unit.lun, &[0; 6], Bytes::new(), 0).await;
        }
        let data = Bytes::from(vec![0xa5; 1 << 20]);
        for lba in (0..unit.blocks).step_by(2048) {
            Self::transfer(&self.session, unit, Load::stream(true, 1), lba, &data).await;
        }
    }

    /// Puts each unit under its load at the same time; commands a second, of each.
    pub async fn run(&self, loads: &[(Unit, Load)], seed: u64) -> Vec<f64> {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for (at, (unit, load)) in loads.iter().copied().enumerate() {
            let data = Bytes::from(vec![seed as u8; load.blocks as usize * 512]);
            for n in 0..load.depth as u64 {
                let (session, data) = (self.session.clone(), data.clone());
                tasks.spawn(async move {
                    let mut dice = Dice(seed * 100_000 + at as u64 * 1000 + n + 1);
                    let slots = u64::from(unit.blocks / load.blocks);
                    let mut count = 0_u32;
                    while began.elapsed() < TIME {
                        // A stream goes on where it is; the rest is scattered.
                        let slot = if load.blocks > 8 {
                            u64::from(count) * load.depth as u64 + n
                        } else {
                            dice.next()
                        };
                        let lba = (slot % slots) as u32 * load.blocks;
                        Self::transfer(&session, unit, load, lba, &data).await;
                        count += 1;
                    }
                    (at, count)
                });
            }
        }
        let mut rates = vec![0.0; loads.len()];
        let done = tasks.join_all().await;
        let seconds = began.elapsed().as_secs_f64();
        for (at, count) in done {
            rates[at] += f64::from(count) / seconds;
        }
        rates
    }

    /// Processor time so far in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        // Fields 14 and 15, of which two are before the name's end; 100 ticks a second.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// The most memory so far in MiB.
    pub fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }
}
