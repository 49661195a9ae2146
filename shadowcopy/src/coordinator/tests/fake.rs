//! Writers, file systems, provider and catalogue that do as they are told.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use model::VolumeId;
use provider::{
    entry::Entry,
    error::Refused,
    event::Event,
    guid::{Guid, SetId, SnapshotId},
    host::Clock,
    lun::LunInfo,
};

use crate::{
    catalogue::{BackupId, State},
    coordinator::{Around, Finished, Plan, Policy, run},
    copies::Copies,
    freezer::{self, Freezer, Held},
    ledger::{Findings, Ledger},
    limits::Limits,
    mountinfo::Mounts,
    observer::{Moment, Observer},
    places::Places,
    step::Step,
    volume::MountedVolume,
    writer::{Artifact, Begun, Fault, FaultKind, Metadata, Outcome, Writer},
};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    Fails,
    /// It does what it is to do, and fails then.
    FailsBehind,
    /// It never answers.
    Hangs,
    Panics,
    /// It answers well, after longer than any limit.
    Late,
    /// A writer did not hold its writes.
    Inconsistent,
    /// A file system knows no freezing.
    NotFreezable,
}

pub type Traps = Vec<(&'static str, Bad)>;

/// What all of them share: the calls in their order, the traps, the time.
#[derive(Clone, Default)]
pub struct World {
    calls: Arc<Mutex<Vec<String>>>,
    traps: Arc<Traps>,
    now: Arc<Mutex<Duration>>,
}

impl World {
    pub fn new(traps: Traps) -> Self {
        Self { traps: Arc::new(traps), ..Self::default() }
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Notes a call; whether it fails.
    fn call(&self, name: &str) -> Result<(), Bad> {
        self.calls.lock().unwrap().push(name.to_owned());
        let trap = self.traps.iter().find(|(call, _)| *call == name);
        match trap.map(|(_, bad)| *bad) {
            None => Ok(()),
            Some(Bad::Late) => {
                *self.now.lock().unwrap() += Duration::from_secs(61);
                Ok(())
            }
            Some(Bad::Hangs) => loop {
                thread::park();
            },
            Some(Bad::Panics) => std::panic::resume_unwind(Box::new(())),
            Some(bad) => Err(bad),
        }
    }

    /// A backup of two volumes with these writers.
    pub fn backup(&self, policy: Policy, writers: &[&'static str]) -> Finished<Shelf> {
        let boxed = writers.iter().map(|name| {
            let writer = Cardboard { name, world: self.clone(), path: "/srv/pg/data".into() };
            Box::new(writer) as Box<dyn Writer>
        });
        self.run(policy, boxed.collect())
    }

    pub fn run(&self, policy: Policy, writers: Vec<Box<dyn Writer>>) -> Finished<Shelf> {
        let volume = |number: u32, mount: &str| {
            let volume = MountedVolume {
                mount: mount.into(),
                device: "/dev/loop3".into(),
                file_system: "ext4".into(),
                lun: LunInfo::default(),
                volume: VolumeId { serial: "62496".parse().unwrap(), ldev: "18".parse().unwrap() },
            };
            (SnapshotId(Guid(number.into())), volume)
        };
        let plan = Plan {
            id: BackupId::FIRST,
            set: SetId(Guid(1)),
            volumes: vec![volume(1, "/srv/pg"), volume(2, "/srv/files")],
            limits: Limits {
                // What answers at all does so in microseconds, but for a machine with much to do.
                writers: Duration::from_millis(2000),
                file_systems: Duration::from_millis(250),
                writer_call: Duration::from_millis(250),
            },
            policy,
        };
        let mut freezer = Ice { world: self.clone(), frozen: None };
        let around = Around {
            freezer: &mut freezer,
            places: &Table,
            ledger: &mut Book { world: self.clone(), finished: None },
            observer: &mut Watched(self.clone()),
            clock: &Time(self.clone()),
        };
        run(&plan, writers, Shelf(self.clone()), around)
    }
}

pub struct Cardboard {
    pub name: &'static str,
    pub world: World,
    pub path: PathBuf,
}

impl Cardboard {
    fn call(&self, call: &str) -> Result<(), Fault> {
        let called = self.world.call(&format!("{} {call}", self.name));
        called.map_err(|bad| {
            let kind = match bad {
                Bad::Inconsistent => FaultKind::Inconsistent,
                _ => FaultKind::Retryable,
            };
            Fault::new(kind, format!("told to fail in {call}"))
        })
    }
}

impl Writer for Cardboard {
    fn describe(&mut self, _: Duration) -> Result<Metadata, Fault> {
        self.call("describe")?;
        Ok(Metadata {
            name: self.name.into(),
            version: "1".into(),
            limit: None,
            paths: vec![self.path.clone()],
        })
    }

    fn prepare(&mut self, _: &Begun, _: Duration) -> Result<(), Fault> {
        self.call("prepare")
    }

    fn freeze(&mut self, _: Duration) -> Result<(), Fault> {
        self.call("freeze")
    }

    fn thaw(&mut self, _: Duration) -> Result<(), Fault> {
        self.call("thaw")
    }

    fn post(&mut self, outcome: Outcome, _: Duration) -> Result<Vec<Artifact>, Fault> {
        self.call("post")?;
        self.world.call(&format!("{} hears {outcome:?}", self.name)).ok();
        Ok(vec![Artifact { name: "label".into(), bytes: self.name.into() }])
    }
}

struct Ice {
    world: World,
    frozen: Option<Duration>,
}

impl Ice {
    fn call(&self, call: &str) -> Result<(), freezer::Fault> {
        self.world.call(&format!("ice {call}")).map_err(|bad| freezer::Fault {
            mount: Some("/srv/files".into()),
            kind: match bad {
                Bad::NotFreezable => freezer::FaultKind::NotFreezable,
                _ => freezer::FaultKind::Failed,
            },
            cause: "told to fail".into(),
        })
    }
}

impl Freezer for Ice {
    fn arm(&mut self, _: Limits) -> Result<(), freezer::Fault> {
        self.call("arm")
    }

    fn writers_freeze(&mut self) -> Result<(), freezer::Fault> {
        self.call("writers-freeze")
    }

    fn freeze(&mut self, _: Duration) -> Result<(), freezer::Fault> {
        self.frozen = Some(Time(self.world.clone()).now());
        self.call("freeze")
    }

    fn left(&self) -> Duration {
        Duration::from_millis(250)
    }

    fn thaw(&mut self) -> Result<Held, freezer::Fault> {
        // A second call finds nothing left to thaw.
        let Some(frozen) = self.frozen.take() else { return Ok(Held(Duration::ZERO)) };
        self.call("thaw")?;
        Ok(Held(Time(self.world.clone()).now().saturating_sub(frozen)))
    }

    fn writers_thaw(&mut self) -> Result<(), freezer::Fault> {
        self.call("writers-thaw")
    }

    fn disarm(&mut self) {
        self.call("disarm").unwrap();
    }

    fn abandon(&mut self) {
        self.call("abandon").unwrap();
    }
}

pub struct Shelf(World);

impl Shelf {
    fn call(&self, call: &str) -> Result<(), Refused> {
        let called = self.0.call(&format!("copies {call}"));
        called.map_err(|_| {
            let fault = provider::error::Fault::new(Event::Cmdioe).cause("told to fail");
            fault.at(Entry::CommitSnapshots)
        })
    }
}

impl Copies for Shelf {
    fn begin_prepare(&mut self, _: SetId, _: SnapshotId, _: &LunInfo) -> Result<(), Refused> {
        self.call("begin-prepare")
    }

    fn end_prepare(&mut self, _: SetId) -> Result<(), Refused> {
        self.call("end-prepare")
    }

    fn pre_commit(&mut self, _: SetId) -> Result<(), Refused> {
        self.call("pre-commit")
    }

    fn commit(&mut self, _: SetId) -> Result<(), Refused> {
        self.call("commit")
    }

    fn post_commit(&mut self, _: SetId, volumes: usize) -> Result<(), Refused> {
        assert_eq!(volumes, 2);
        self.call("post-commit")
    }

    fn final_commit(&mut self, _: SetId) -> Result<(), Refused> {
        self.call("final-commit")
    }

    fn abort(&mut self, _: SetId) -> Result<(), Refused> {
        self.call("abort")
    }
}

struct Book {
    world: World,
    finished: Option<State>,
}

impl Ledger for Book {
    fn finish(&mut self, _: BackupId, findings: &Findings) -> Result<(), String> {
        let called = self.world.call("ledger finish");
        if matches!(called, Ok(()) | Err(Bad::FailsBehind)) {
            self.finished = Some(findings.state.clone());
        }
        called.map_err(|_| "told to fail".into())
    }

    fn abort(&mut self, _: BackupId, _: &Findings) -> Result<(), String> {
        self.world.call("ledger abort").map_err(|_| "told to fail".into())
    }

    fn state(&mut self, _: BackupId) -> Result<Option<State>, String> {
        self.world.call("ledger state").map_err(|_| "told to fail".to_owned())?;
        Ok(Some(self.finished.clone().unwrap_or(State::Running)))
    }
}

struct Watched(World);

impl Observer for Watched {
    fn tell(&mut self, step: Step, moment: Moment) {
        let line = format!("{step} {}", moment.name());
        self.0.calls.lock().unwrap().push(line);
    }
}

struct Time(World);

impl Clock for Time {
    fn now(&self) -> Duration {
        *self.0.now.lock().unwrap()
    }

    fn sleep(&self, _: Duration) {}
}

struct Table;

impl Places for Table {
    fn mounts(&self) -> io::Result<Mounts> {
        Ok(Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 7:1 / /srv/pg rw - ext4 /dev/loop1 rw\n\
              3 1 7:2 / /srv/files rw - ext4 /dev/loop2 rw\n",
        ))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.into())
    }
}
