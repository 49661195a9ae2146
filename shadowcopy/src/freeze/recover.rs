//! What is done after a crash, by the guard, by the next command, or at boot.

use std::{io, os::fd::OwnedFd, path::Path, path::PathBuf, time::Duration};

use rustix::{
    fs::{fstat, major, minor},
    io::Errno,
};

use super::{
    hand::{Ask, Hand},
    ioctl::open_mount,
    journal::{self, Record},
    order::{self, FileSystem},
    since_boot::boot_id,
};
use crate::{
    catalogue::State,
    ledger::{Findings, Ledger},
    mountinfo::Mounts,
    step::Step,
};

/// What of a backup that died is undone by others. Doing it twice is fine.
pub trait Aftermath {
    /// Has writers go on that do not by themselves when the coordinator dies: those with hooks.
    ///
    /// # Errors
    /// What went wrong.
    fn thaw_writers(&mut self, left: &Record) -> Result<(), String>;

    /// Has the provider bring the pairs of the set back to PAIR, hidden.
    ///
    /// # Errors
    /// What went wrong.
    fn abort_copies(&mut self, left: &Record) -> Result<(), String>;
}

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The backups that had died, and what could not be undone; such a one is tried again by the
    /// next recovery.
    pub backups: Vec<(Record, Vec<String>)>,
    /// Of them: what is to be known, though nothing is left to do.
    pub notes: Vec<String>,
    /// Journals that could not be read, as they are called now. What they named may be frozen.
    pub damaged: Vec<PathBuf>,
}

/// Undoes what backups left that died: thaws their file systems, each `within` a time, in reverse
/// order; has writers go on; brings the pairs back; tells the catalogue. Those of live processes
/// are left alone. `step` is how far it had come, as far as that is known.
///
/// # Errors
/// That the journals cannot be read.
pub fn recover(
    run: &Path,
    step: Option<Step>,
    within: Duration,
    ledger: &mut dyn Ledger,
    aftermath: &mut dyn Aftermath,
) -> io::Result<Recovered> {
    let found = journal::find(run)?;
    let damaged = found.damaged.iter().map(|path| journal::set_aside(path));
    let mut recovered =
        Recovered { damaged: damaged.collect::<io::Result<_>>()?, ..Recovered::default() };
    if found.left.is_empty() {
        return Ok(recovered);
    }
    let boot = boot_id()?;
    for (held, record) in found.left {
        let mut faults = Vec::new();
        if record.boot == boot {
            thaw(&record, within, &mut faults, &mut recovered.notes);
        }
        faults.extend(aftermath.thaw_writers(&record).err());
        faults.extend(aftermath.abort_copies(&record).err());
        let mut findings = Findings::new(record.set);
        let cause = "the command ended in this step or later, and could not undo it itself";
        let step = step.unwrap_or(Step::BeginPrepare);
        findings.state = State::Aborted { step, cause: cause.to_owned() };
        faults.extend(ledger.abort(record.backup, &findings).err());
        if faults.is_empty() {
            faults.extend(held.remove().err().map(|error| error.to_string()));
        }
        recovered.backups.push((record, faults));
    }
    Ok(recovered)
}

fn thaw(record: &Record, within: Duration, faults: &mut Vec<String>, notes: &mut Vec<String>) {
    let mounts = match Mounts::now() {
        Ok(mounts) => mounts,
        Err(error) => return faults.push(format!("/proc/self/mountinfo: {error}")),
    };
    for (mount, device) in record.file_systems.iter().rev() {
        let known = FileSystem { mount: mount.clone(), device: *device };
        let Some(opened) = order::points(&mounts, &known).find_map(|point| open(point, *device))
        else {
            notes.push(format!(
                "{}: not mounted any more; if it hangs when it is mounted again, use fsfreeze -u",
                mount.display()
            ));
            continue;
        };
        let done = Hand::new(opened).map(|hand| hand.call(Ask::Thaw, within));
        match done {
            // EINVAL: it was not frozen.
            Ok(Ok(Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTTY))) => {}
            Ok(Ok(Err(error))) => {
                faults.push(format!("{}: {}", mount.display(), io::Error::from(error)));
            }
            Ok(Err(_)) => faults.push(format!(
                "{}: it does not thaw within {} ms",
                mount.display(),
                within.as_millis()
            )),
            Err(error) => faults.push(format!("{}: {error}", mount.display())),
        }
    }
}

/// Opens a mount point, if it is the device's: it may be mounted over.
fn open(point: &Path, device: (u32, u32)) -> Option<OwnedFd> {
    let opened = open_mount(point).ok()?;
    let found = fstat(&opened).ok()?.st_dev;
    // btrfs has device numbers of its own for its files.
    let anonymous = device.0 == 0;
    (anonymous || (major(found), minor(found)) == device).then_some(opened)
}
