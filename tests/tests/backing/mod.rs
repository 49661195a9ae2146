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
    time::{Duration, Instant, SystemTime},
};

use lab::lab::until;
use shadowcopy::{
    catalogue::{Backup, State, store::Store},
    step::Step,
    writer::Artifact,
};

use crate::{
    attached::tool,
    volumes::{Host, backup_id},
};

const MIB: u64 = 1 << 20;
/// How many backups are made in a row.
pub const BACKUPS: u32 = 20;
/// What the file systems' part of a backup may take, in the median.
const BUDGET: Duration = Duration::from_millis(200);

/// A host with an ext4 on an attached P-VOL, and a database in its `shadowcopy.toml`.
pub struct Bench {
    host: Host,
}

impl Bench {
    pub fn new() -> Self {
        Self { host: Host::new(768 * MIB) }
    }

    /// A directory on the volume.
    pub fn path(&self, name: &str) -> PathBuf {
        self.host.a.at.join(name)
    }

    /// Where a server puts what does not belong on the volume.
    pub fn aside(&self, name: &str) -> PathBuf {
        self.host.lab.path(name)
    }

    /// Writes `shadowcopy.toml`.
    pub fn configure(&self, text: &str) {
        self.host.lab.write_conf("shadowcopy.toml", text);
    }

    /// One backup of a database, by the command.
    #[track_caller]
    pub fn backup(&self, writer: &str) -> Evidence {
        let id = backup_id(self.host.drm(&format!("drmdbbackup {writer}")).ok());
        let store = self.catalogue();
        let id = id.parse().unwrap();
        let backup = store.get(id).unwrap().backup;
        assert_eq!(backup.state, State::Consistent);
        let artifacts = store.artifacts(id).unwrap().into_iter().map(|(_, file)| file).collect();
        let held = Duration::from_micros(backup.held.unwrap());
        let (froze, thaw) = (froze_after(&backup), thawed_by(&backup));
        Evidence { froze, thaw, held, artifacts, backup }
    }

    fn catalogue(&self) -> Store {
        Store::at(self.host.lab.root().join("drm/db"))
    }

    /// The directory `name` of the backup, mounted by the command, as an ordinary directory.
    pub fn copy(&self, evidence: &Evidence, name: &str) -> PathBuf {
        let (id, copy, place) = (evidence.backup.id, self.aside("copy"), self.aside("mounted"));
        self.host.drm(&format!("drmmount {id} -mount_pt {}", place.display())).ok();
        if copy.exists() {
            fs::remove_dir_all(&copy).unwrap();
        }
        let mounted = self.catalogue().get(id).unwrap().backup.mounted;
        let from = mounted[0].join(name).display().to_string();
        let copied = tool("cp", &["-a", &from, copy.to_str().unwrap()]);
        self.host.drm(&format!("drmumount {id}")).ok();
        copied.ok();
        copy
    }
}

/// When a step ended, counted from when the first began.
fn ended(backup: &Backup, step: Step) -> Duration {
    Duration::from_micros(backup.evidence.iter().find(|(which, _)| *which == step).unwrap().1)
}

/// A moment before the file systems froze. The record began before the first step did.
fn froze_after(backup: &Backup) -> Instant {
    let at = backup.began + ended(backup, Step::PreCommit);
    let now = Instant::now();
    now - SystemTime::now().duration_since(at).unwrap()
}

/// A moment after the file systems had thawed. The record ended after the last step before it.
fn thawed_by(backup: &Backup) -> Instant {
    let since = ended(backup, Step::FinalCommit) - ended(backup, Step::ThawFileSystems);
    let at = backup.ended.unwrap() - since + Duration::from_micros(1);
    let ago = SystemTime::now().duration_since(at).unwrap();
    Instant::now() - ago
}

/// What a backup leaves.
pub struct Evidence {
    /// Before the file systems froze.
    pub froze: Instant,
    /// After the file systems had thawed.
    pub thaw: Instant,
    /// How long the file systems were frozen.
    pub held: Duration,
    pub artifacts: Vec<Artifact>,
    pub backup: Backup,
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
