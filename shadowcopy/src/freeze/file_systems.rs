//! The file systems of a set, as the coordinator freezes them.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use provider::guid::SetId;
use rustix::{
    fs::fstat,
    io::Errno,
    mm::{MlockAllFlags, mlockall, munlockall},
};

use super::{
    guard::{link::Link, wire::Order},
    hand::{Ask, Hand},
    ioctl::open_mount,
    journal::{self, Record},
    order::{self, FileSystem},
    since_boot::{boot_id, now},
};
use crate::{
    catalogue::BackupId,
    freezer::{Fault, FaultKind, Freezer, Held},
    limits::Limits,
    mountinfo::Mounts,
    worker::Worker,
};

/// A guard that was stopped or is dead is found out within this part of the file systems' limit.
const PATIENCE: u32 = 4;

/// The file systems of a set, frozen by ioctl, with a journal and a guard.
pub struct FileSystems {
    run: PathBuf,
    set: SetId,
    backup: BackupId,
    mounts: Vec<PathBuf>,
    armed: Option<Armed>,
}

struct Armed {
    limits: Limits,
    journal: journal::Held,
    guard: Link,
    /// In the order in which they freeze.
    members: Vec<Member>,
    /// When the first began to freeze.
    frozen: Option<Duration>,
    /// Whether the guard's timer for file systems runs.
    timed: bool,
    /// When the limits pass.
    file_systems: Duration,
    writers: Duration,
}

struct Member {
    mount: PathBuf,
    worker: Worker<Hand>,
    state: State,
    /// Made beforehand, for nothing is made while something is frozen.
    not_freezable: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Thawed,
    Frozen,
    /// Its FIFREEZE or FITHAW hangs: left to its thread, and to the guard.
    Hanging,
}

/// What became of a thaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thawed {
    Held,
    /// This one had been thawed by somebody else.
    Before(usize),
    /// This one does not thaw.
    Not(usize, Option<Errno>),
}

impl FileSystems {
    /// The file systems mounted at `mounts`. `run` is the directory of journals,
    /// `$HORCMROOT/drm/run`; it must not lie on any of them.
    #[must_use]
    pub const fn new(run: PathBuf, set: SetId, backup: BackupId, mounts: Vec<PathBuf>) -> Self {
        Self { run, set, backup, mounts, armed: None }
    }

    fn prepare(&self, limits: Limits) -> Result<Armed, Fault> {
        let named = |path: &Path, error: io::Error| failed(Some(path), error.to_string());
        let here = |error: io::Error| failed(None, error.to_string());
        fs::create_dir_all(&self.run).map_err(|error| named(&self.run, error))?;
        let run = fs::canonicalize(&self.run).map_err(|error| named(&self.run, error))?;
        let points = self
            .mounts
            .iter()
            .map(|mount| fs::canonicalize(mount).map_err(|error| named(mount, error)));
        let points: Vec<PathBuf> = points.collect::<Result<_, _>>()?;
        let table = Mounts::now().map_err(here)?;
        let found = order::of(&table, &points)
            .map_err(|point| failed(Some(&point), "nothing is mounted there"))?;
        let mut opened = Vec::with_capacity(found.len());
        for known in &found {
            let file_system =
                open_mount(&known.mount).map_err(|error| named(&known.mount, error))?;
            self.keep_out(&run, &known.mount, &file_system)?;
            opened.push(file_system);
        }
        let journal = self.journal(&run, &found)?;
        let armed = Self::start(limits, &run, journal, found, opened);
        armed.map_err(|(journal, error)| {
            let _ = journal.remove();
            failed(None, error.to_string())
        })
    }

    /// The journal must be there when what is frozen is in the way.
    fn keep_out(&self, run: &Path, mount: &Path, file_system: &OwnedFd) -> Result<(), Fault> {
        let same =
            fstat(file_system).and_then(|stat| Ok(stat.st_dev == rustix::fs::stat(run)?.st_dev));
        match same {
            Ok(false) => Ok(()),
            Ok(true) => Err(failed(
                Some(mount),
                format!(
                    "{} lies on it; set HORCMROOT to a place outside of the set",
                    self.run.display()
                ),
            )),
            Err(error) => Err(failed(Some(mount), io::Error::from(error).to_string())),
        }
    }

    /// Writes the journal, unless another backup has one of the file systems.
    fn journal(&self, run: &Path, found: &[FileSystem]) -> Result<journal::Held, Fault> {
        let here = |error: io::Error| failed(Some(run), error.to_string());
        let record = Record {
            set: self.set,
            backup: self.backup,
            boot: boot_id().map_err(here)?,
            file_systems: found.iter().map(|known| (known.mount.clone(), known.device)).collect(),
        };
        // Two that begin at once see each other's.
        let held = journal::Held::write(run, &record).map_err(here)?;
        let others = journal::find(run).map_err(here)?;
        let left = others.left.iter().map(|(_, record)| (record, "was left by"));
        let at_work = others.held.iter().map(|record| (record, "is being frozen by"));
        for (other, how) in at_work.chain(left).filter(|(other, _)| other.set != self.set) {
            let shared = found
                .iter()
                .find(|known| other.file_systems.iter().any(|(_, device)| *device == known.device));
            if let Some(known) = shared {
                let _ = held.remove();
                return Err(Fault {
                    mount: Some(known.mount.clone()),
                    kind: FaultKind::Busy,
                    cause: format!(
                        "it {how} backup {}; wait for its end, or run drm recover",
                        other.backup
                    ),
                });
            }
        }
        Ok(held)
    }

    fn start(
        limits: Limits,
        run: &Path,
        journal: journal::Held,
        found: Vec<FileSystem>,
        opened: Vec<OwnedFd>,
    ) -> Result<Armed, (journal::Held, io::Error)> {
        let mounts: Vec<_> = opened.iter().map(AsFd::as_fd).collect();
        let patience = limits.file_systems / PATIENCE;
        let guard = match Link::start(run, journal.as_fd(), &mounts, patience) {
            Ok(guard) => guard,
            Err(error) => return Err((journal, error)),
        };
        let members = found.into_iter().zip(opened).map(|(known, file_system)| {
            let cause = "this kind of file system cannot be frozen; the policy crash-consistent \
                         copies it all the same"
                .to_owned();
            let fault =
                Fault { mount: Some(known.mount.clone()), kind: FaultKind::NotFreezable, cause };
            let worker = Hand::new(file_system)?;
            Ok(Member {
                mount: known.mount,
                worker,
                state: State::Thawed,
                not_freezable: Some(fault),
            })
        });
        match members.collect() {
            Ok(members) => Ok(Armed {
                limits,
                journal,
                guard,
                members,
                frozen: None,
                timed: false,
                file_systems: Duration::ZERO,
                writers: Duration::ZERO,
            }),
            Err(error) => {
                guard.end();
                Err((journal, error))
            }
        }
    }

    fn armed(&mut self) -> Result<&mut Armed, Fault> {
        self.armed.as_mut().ok_or_else(|| failed(None, "the guard has not been started"))
    }
}

impl Freezer for FileSystems {
    fn arm(&mut self, limits: Limits) -> Result<(), Fault> {
        self.armed = Some(self.prepare(limits)?);
        Ok(())
    }

    fn writers_freeze(&mut self) -> Result<(), Fault> {
        let armed = self.armed()?;
        armed.sync(armed.limits.writer_call)?;
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).map_err(|error| {
            failed(None, format!("memory cannot be locked: {}", io::Error::from(error)))
        })?;
        armed.writers = now() + armed.limits.writers;
        armed.tell(Order::WritersFreeze(armed.writers))
    }

    fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        self.armed()?.freeze(within)
    }

    fn thaw(&mut self) -> Result<Held, Fault> {
        let Some(armed) = &mut self.armed else { return Ok(Held(Duration::ZERO)) };
        let thawed = armed.thaw();
        let held =
            armed.frozen.take().map_or(Duration::ZERO, |frozen| now().saturating_sub(frozen));
        let settled = armed.settle();
        let limit = armed.limits.file_systems;
        let late = || format!("the limit of {} ms has passed", limit.as_millis());
        let (member, kind, cause) = match thawed {
            Thawed::Not(member, error) => {
                let cause = error.map_or_else(late, |error| io::Error::from(error).to_string());
                (Some(member), FaultKind::Failed, format!("it does not thaw: {cause}"))
            }
            Thawed::Before(member) => {
                let cause = "it was thawed before its time, so writes were not held";
                (Some(member), FaultKind::Timeout, cause.to_owned())
            }
            Thawed::Held if held > limit => (None, FaultKind::Timeout, late()),
            Thawed::Held => return settled.map(|()| Held(held)),
        };
        Err(Fault { mount: member.map(|number| armed.members[number].mount.clone()), kind, cause })
    }

    fn writers_thaw(&mut self) -> Result<(), Fault> {
        let armed = self.armed()?;
        let late = now() > armed.writers;
        armed.tell(Order::WritersThawed)?;
        let _ = munlockall();
        if late {
            let cause =
                format!("writers were frozen longer than {} ms", armed.limits.writers.as_millis());
            return Err(Fault { mount: None, kind: FaultKind::Timeout, cause });
        }
        Ok(())
    }

    fn disarm(&mut self) {
        let Some(armed) = self.armed.take() else { return };
        // A journal that stays has the next command thaw what is not frozen, which does no harm.
        let _ = armed.journal.remove();
        armed.guard.end();
    }
}

impl Armed {
    fn tell(&mut self, order: Order) -> Result<(), Fault> {
        self.guard.tell(order).map_err(|_| failed(None, "the guard process does not answer"))
    }

    /// Writes all out at once.
    fn sync(&mut self, within: Duration) -> Result<(), Fault> {
        let end = now().saturating_add(within);
        self.members.iter().for_each(|member| member.worker.ask(Ask::Sync));
        for member in &self.members {
            match member.worker.wait(end.saturating_sub(now())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    return Err(failed(Some(&member.mount), io::Error::from(error).to_string()));
                }
                Err(_) => {
                    let cause = format!("it was not written out within {} ms", within.as_millis());
                    let mount = Some(member.mount.clone());
                    return Err(Fault { mount, kind: FaultKind::Timeout, cause });
                }
            }
        }
        Ok(())
    }

    fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        let end = now() + within;
        self.sync(within)?;
        self.file_systems = end.min(now() + self.limits.file_systems);
        self.timed = true;
        self.tell(Order::FileSystemsFreeze(self.file_systems))?;
        self.frozen = Some(now());
        let mut passed_over = None;
        for number in 0..self.members.len() {
            let member = &mut self.members[number];
            let left = self.file_systems.saturating_sub(now());
            if left.is_zero() {
                return Err(self.give_up(number, FaultKind::Timeout, None));
            }
            match member.worker.call(Ask::Freeze, left) {
                Ok(Ok(())) => member.state = State::Frozen,
                Ok(Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS)) => {
                    passed_over = passed_over.or_else(|| member.not_freezable.take());
                }
                Ok(Err(error)) => {
                    let busy = error == Errno::BUSY;
                    let kind = if busy { FaultKind::Busy } else { FaultKind::Failed };
                    return Err(self.give_up(number, kind, Some(error)));
                }
                Err(_) => {
                    member.state = State::Hanging;
                    return Err(self.give_up(number, FaultKind::Timeout, None));
                }
            }
        }
        passed_over.map_or(Ok(()), Err)
    }

    /// Thaws what is frozen, and only then says why.
    fn give_up(&mut self, number: usize, kind: FaultKind, error: Option<Errno>) -> Fault {
        self.thaw();
        let cause = match kind {
            FaultKind::Busy => "somebody else holds it frozen; thaw it with fsfreeze -u".to_owned(),
            _ => error.map_or_else(
                || format!("it did not freeze within {} ms", self.limits.file_systems.as_millis()),
                |error| io::Error::from(error).to_string(),
            ),
        };
        Fault { mount: Some(self.members[number].mount.clone()), kind, cause }
    }

    /// Thaws what is frozen, in reverse order.
    fn thaw(&mut self) -> Thawed {
        let end = self.file_systems.max(now() + self.limits.file_systems / PATIENCE);
        let mut result = Thawed::Held;
        for (number, member) in self.members.iter_mut().enumerate().rev() {
            if member.state != State::Frozen {
                continue;
            }
            match member.worker.call(Ask::Thaw, end.saturating_sub(now())) {
                Ok(Ok(())) => member.state = State::Thawed,
                Ok(Err(Errno::INVAL)) => {
                    member.state = State::Thawed;
                    if result == Thawed::Held {
                        result = Thawed::Before(number);
                    }
                }
                Ok(Err(error)) => result = Thawed::Not(number, Some(error)),
                Err(_) => {
                    member.state = State::Hanging;
                    result = Thawed::Not(number, None);
                }
            }
        }
        result
    }

    /// Tells the guard that nothing is frozen any more, where that is so. It is told once.
    fn settle(&mut self) -> Result<(), Fault> {
        let left = self.members.iter().find(|member| member.state != State::Thawed);
        if let Some(member) = left {
            let cause = "it hangs in freezing or thawing; the guard thaws it as soon as it can";
            return Err(failed(Some(&member.mount), cause));
        }
        match std::mem::take(&mut self.timed) {
            true => self.tell(Order::FileSystemsThawed),
            false => Ok(()),
        }
    }
}

fn failed(mount: Option<&Path>, cause: impl Into<String>) -> Fault {
    Fault { mount: mount.map(Path::to_owned), kind: FaultKind::Failed, cause: cause.into() }
}
