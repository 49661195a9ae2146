//! A database on an attached P-VOL that is written to and backed up again and again, and what its
//! copies are held to.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lab::{Lab, lab::until};
use provider::guid::{Guid, SetId};
use shadowcopy::{
    catalogue::BackupId,
    writer::{Artifact, Begun, Outcome, Writer},
};

use crate::attached::{self, Attached, Loop, Mounted, loop_device, tool};

const MIB: u64 = 1 << 20;
/// Longer than any call takes that works.
const LONG: Duration = Duration::from_secs(60);
/// How many backups are made in a row.
pub const BACKUPS: u32 = 20;
/// What the file systems' part of a backup may take, in the median.
const BUDGET: Duration = Duration::from_millis(200);

/// An ext4 on an attached P-VOL, with a pair.
pub struct Bench {
    volume: Mounted,
    _disk: Loop,
    _pvol: Attached,
    pub lab: Lab,
}

impl Bench {
    pub fn new() -> Self {
        let mut lab = attached::lab(768 * MIB);
        lab.start(&[50, 51]).ok();
        let pvol = Attached::new(&lab, "62496:18", "pvol");
        let disk = loop_device(&pvol.file, true);
        tool("mkfs.ext4", &["-q", disk.path()]).ok();
        let volume = Mounted::new(disk.path(), &lab.path("volume"), "rw");
        lab.cci(51, "paircreate -g snap -vr").ok();
        lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
        lab.cci(51, "pairsplit -g snap -rw").ok();
        Self { volume, _disk: disk, _pvol: pvol, lab }
    }

    /// A directory on the volume.
    pub fn path(&self, name: &str) -> PathBuf {
        self.volume.path.join(name)
    }

    /// Where a server puts what does not belong on the volume.
    pub fn aside(&self, name: &str) -> PathBuf {
        self.lab.path(name)
    }

    /// One backup with one writer, step by step as the coordinator goes.
    pub fn backup(&self, id: BackupId, writer: &mut dyn Writer) -> Evidence {
        let metadata = writer.describe(LONG).unwrap();
        for path in &metadata.paths {
            assert!(path.starts_with(&self.volume.path), "{} is elsewhere", path.display());
        }
        self.lab.cci(51, "pairresync -g snap").ok();
        let mounts = vec![self.volume.path.clone()];
        writer.prepare(&Begun { id, set: SetId(Guid(7)), mounts }, LONG).unwrap();
        self.lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();

        let froze = Instant::now();
        writer.freeze(LONG).unwrap();
        let hold = Instant::now();
        let frozen = tool("fsfreeze", &["-f", self.volume.name()]);
        let split = self.lab.cci(51, "pairsplit -g snap -rw");
        let thawed = tool("fsfreeze", &["-u", self.volume.name()]);
        let held = hold.elapsed();
        let thaw = Instant::now();
        writer.thaw(LONG).unwrap();
        for outcome in [frozen, split, thawed] {
            outcome.ok();
        }
        self.lab.cci(51, "pairevtwait -g snap -s psus -ss ssus -t 60").ok();
        let artifacts = writer.post(Outcome::Copied, LONG).unwrap();
        Evidence { froze, thaw, held, artifacts }
    }

    /// The directory `name` of the S-VOL, mounted read-only, as an ordinary directory.
    pub fn copy(&self, name: &str) -> PathBuf {
        let svol = Attached::new(&self.lab, "62496:19", "svol");
        let copy = self.lab.path("copy");
        {
            let disk = loop_device(&svol.file, true);
            let mounted = Mounted::new(disk.path(), &self.lab.path("backup"), "ro");
            if copy.exists() {
                fs::remove_dir_all(&copy).unwrap();
            }
            let from = mounted.path.join(name).display().to_string();
            tool("cp", &["-a", &from, copy.to_str().unwrap()]).ok();
        }
        svol.detach(&self.lab).ok();
        copy
    }
}

/// What a backup leaves.
pub struct Evidence {
    /// Just before the writer froze.
    pub froze: Instant,
    /// Just after the file systems thawed.
    pub thaw: Instant,
    /// How long the file systems were frozen, with the programs that did it.
    pub held: Duration,
    pub artifacts: Vec<Artifact>,
}

/// Prints the times for which file systems were frozen; the median is within the budget.
pub fn report(what: &str, mut held: Vec<Duration>) {
    held.sort();
    let milliseconds: Vec<u128> = held.iter().map(Duration::as_millis).collect();
    let median = held[held.len() / 2];
    println!("{what}: file systems frozen for {milliseconds:?} ms, median {median:?}");
    assert!(median <= BUDGET, "{what}: {median:?} is more than {BUDGET:?}");
}

/// A transaction: its number, when it was begun and when it was acknowledged.
#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    begun: Instant,
    acknowledged: Instant,
}

/// Clients that each commit one number after the other.
pub struct Ledger {
    entries: Arc<Mutex<Vec<Entry>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Ledger {
    /// `connect` makes a client, which commits a number.
    pub fn start<C>(clients: u64, connect: impl Fn() -> C) -> Self
    where
        C: FnMut(u64) + Send + 'static,
    {
        let entries = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let run = |client: u64| {
            let (entries, stop) = (Arc::clone(&entries), Arc::clone(&stop));
            let mut commit = connect();
            thread::spawn(move || {
                for number in (client..).step_by(usize::try_from(clients).unwrap()) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let begun = Instant::now();
                    commit(number);
                    let acknowledged = Instant::now();
                    entries.lock().unwrap().push(Entry { number, begun, acknowledged });
                }
            })
        };
        let clients = (0..clients).map(run).collect();
        Self { entries, stop, clients }
    }

    /// The transactions that a copy must hold, and may not.
    #[track_caller]
    pub fn judge(&self, found: &BTreeSet<u64>, evidence: &Evidence) {
        let after = |entry: &Entry| entry.begun > evidence.thaw;
        until("there is a transaction after the thaw", || {
            self.entries.lock().unwrap().iter().any(after)
        });
        let entries = self.entries.lock().unwrap().clone();
        let before = entries.iter().filter(|entry| entry.acknowledged < evidence.froze);
        let before: Vec<&Entry> = before.collect();
        assert!(!before.is_empty(), "nothing was written before the freeze");
        let lost: Vec<_> = before.iter().filter(|entry| !found.contains(&entry.number)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let early = entries.iter().filter(|entry| after(entry) && found.contains(&entry.number));
        let early: Vec<&Entry> = early.collect();
        assert!(early.is_empty(), "begun after the thaw: {early:?}");
        let known: BTreeSet<u64> = entries.iter().map(|entry| entry.number).collect();
        assert!(found.is_subset(&known), "nobody wrote {:?}", found.difference(&known));
    }

    /// Waits until so many more transactions are through.
    pub fn goes_on(&self, more: usize) {
        let now = self.entries.lock().unwrap().len();
        until("the load goes on", || self.entries.lock().unwrap().len() >= now + more);
    }

    /// Ends the load.
    pub fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.drain(..).for_each(|client| client.join().unwrap());
        self.entries.lock().unwrap().len()
    }
}

/// The numbers that a query printed, one a line.
pub fn numbers(printed: &str) -> BTreeSet<u64> {
    printed.lines().map(|line| line.trim().parse().unwrap()).collect()
}
