//! The file systems of a set, as the coordinator freezes them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use provider::guid::SetId;
use rustix::mm::{MlockAllFlags, mlockall, munlockall};

use super::{
    armed::{Armed, Thawed, failed},
    guard::wire::Order,
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
};

/// The file systems of a set, frozen by ioctl, with a journal and a guard.
pub struct FileSystems {
    run: PathBuf,
    set: SetId,
    backup: BackupId,
    mounts: Vec<PathBuf>,
    armed: Option<Armed>,
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
        keep_out(&table, &run, &found)?;
        let mut opened = Vec::with_capacity(found.len());
        for known in &found {
            let file_system =
                open_mount(&known.mount).map_err(|error| named(&known.mount, error))?;
            opened.push(file_system);
        }
        let journal = self.journal(&run, &found)?;
        let armed = Armed::start(limits, &run, journal, found.into_iter().zip(opened).collect());
        armed.map_err(|(journal, error)| {
            let _ = journal.remove();
            failed(None, error.to_string())
        })
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
        let others = journal::unfinished(run).map_err(here)?;
        for other in others.iter().filter(|other| other.set != self.set) {
            let shared = found
                .iter()
                .find(|known| other.file_systems.iter().any(|(_, device)| *device == known.device));
            if let Some(known) = shared {
                let _ = held.remove();
                return Err(Fault {
                    mount: Some(known.mount.clone()),
                    kind: FaultKind::Busy,
                    cause: format!(
                        "backup {} freezes it, or has died and left it; wait for its end, or run \
                         drm recover",
                        other.backup
                    ),
                });
            }
        }
        Ok(held)
    }

    fn armed(&mut self) -> Result<&mut Armed, Fault> {
        self.armed.as_mut().ok_or_else(|| failed(None, "the guard has not been started"))
    }
}

/// The journal must be there when what is frozen is in the way. Devices are those of the table:
/// subvolumes of a btrfs have numbers of their own, and freeze together.
fn keep_out(table: &Mounts, run: &Path, found: &[FileSystem]) -> Result<(), Fault> {
    let below = table.storing(run).map(|mount| mount.device);
    match found.iter().find(|known| Some(known.device) == below) {
        None => Ok(()),
        Some(known) => {
            let cause = format!(
                "{} lies on it; set HORCMROOT to a place outside of the set",
                run.display()
            );
            Err(failed(Some(&known.mount), cause))
        }
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

    fn left(&self) -> Duration {
        self.armed.as_ref().map_or(Duration::ZERO, Armed::left)
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
        Err(Fault { mount: member.map(|number| armed.mount(number)), kind, cause })
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

    fn abandon(&mut self) {
        if let Some(armed) = self.armed.take() {
            armed.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_on_another_subvolume_or_bind_mount_of_the_set_is_in_the_way() {
        let table = Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 0:33 /data /srv/data rw - btrfs /dev/sdb rw\n\
              3 1 0:33 /root /srv/horcm rw - btrfs /dev/sdb rw\n",
        );
        let found = order::of(&table, &["/srv/data".into()]).unwrap();
        let fault = keep_out(&table, Path::new("/srv/horcm/drm/run"), &found).unwrap_err();
        assert_eq!(fault.mount.as_deref(), Some(Path::new("/srv/data")));
        keep_out(&table, Path::new("/HORCM/drm/run"), &found).unwrap();
    }

    #[test]
    fn a_journal_in_a_container_whose_root_is_written_to_the_set_is_in_the_way() {
        let table = Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 8:2 / /srv rw - ext4 /dev/sdb rw\n\
              3 1 0:40 / /run/c rw - overlay overlay rw,lowerdir=/l,upperdir=/srv/c/diff\n",
        );
        let found = order::of(&table, &["/srv".into()]).unwrap();
        assert!(keep_out(&table, Path::new("/run/c/HORCM/drm/run"), &found).is_err());
        keep_out(&table, Path::new("/run/HORCM/drm/run"), &found).unwrap();
    }
}
