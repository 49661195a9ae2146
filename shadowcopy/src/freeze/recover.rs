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

    /// Has the provider bring the pairs of the set back to PAIR, hidden, as
    /// [`crate::copies::Copies::abort`] does: a set that was finished is deleted
    /// ([`provider::Provider::delete`]).
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
/// order; has writers go on; and, unless the catalogue has the copy, brings the pairs back and tells
/// it. Those of live processes are left alone. `step` is how far it had come, as far as that is known.
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
        match ledger.state(record.backup) {
            Ok(Some(state)) if state.is_there() => {}
            Ok(known) => {
                faults.extend(aftermath.abort_copies(&record).err());
                let step = step.unwrap_or(Step::BeginPrepare);
                let told = known.map(|_| ledger.abort(record.backup, &ended(&record, step)));
                faults.extend(told.and_then(Result::err));
            }
            Err(cause) => faults.push(format!("the catalogue: {cause}")),
        }
        if faults.is_empty() {
            faults.extend(held.remove().err().map(|error| error.to_string()));
        }
        recovered.backups.push((record, faults));
    }
    Ok(recovered)
}

/// What is known of a backup that died.
fn ended(record: &Record, step: Step) -> Findings {
    let cause = "the command ended in this step or later, and could not undo it itself";
    let state = State::Aborted { step, cause: cause.to_owned() };
    Findings { state, ..Findings::new(record.set) }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use provider::guid::{Guid, SetId};

    use super::*;
    use crate::catalogue::BackupId;

    /// Notes what it is told, and fails in one call.
    #[derive(Default)]
    struct Others {
        told: Vec<String>,
        fails: &'static str,
    }

    impl Others {
        fn told(&mut self, what: &str) -> Result<(), String> {
            self.told.push(what.to_owned());
            if self.fails == what { Err(format!("{what} fails")) } else { Ok(()) }
        }
    }

    impl Aftermath for Others {
        fn thaw_writers(&mut self, _: &Record) -> Result<(), String> {
            self.told("writers")
        }

        fn abort_copies(&mut self, _: &Record) -> Result<(), String> {
            self.told("copies")
        }
    }

    /// What it has of every backup, and what it is told.
    struct Book {
        state: Result<Option<State>, String>,
        told: Vec<State>,
    }

    impl Ledger for Book {
        fn finish(&mut self, _: BackupId, _: &Findings) -> Result<(), String> {
            unreachable!("a recovery finishes nothing")
        }

        fn abort(&mut self, _: BackupId, findings: &Findings) -> Result<(), String> {
            self.told.push(findings.state.clone());
            Ok(())
        }

        fn state(&mut self, _: BackupId) -> Result<Option<State>, String> {
            self.state.clone()
        }
    }

    /// A backup that died: of this boot, with a file system that is mounted no more, or of another.
    fn left(run: &Path, set: u128, boot: &str) {
        let record = Record {
            set: SetId(Guid(set)),
            backup: BackupId::FIRST,
            boot: boot.to_owned(),
            file_systems: vec![("/not/mounted".into(), (4095, 1))],
        };
        drop(journal::Held::write(run, &record).unwrap());
    }

    fn run_it(run: &Path, others: &mut Others) -> (Recovered, Vec<State>) {
        run_with(run, others, Ok(Some(State::Running)))
    }

    fn run_with(
        run: &Path,
        others: &mut Others,
        state: Result<Option<State>, String>,
    ) -> (Recovered, Vec<State>) {
        let mut book = Book { state, told: Vec::new() };
        let within = Duration::from_secs(1);
        (recover(run, Some(Step::Commit), within, &mut book, others).unwrap(), book.told)
    }

    #[test]
    fn a_copy_that_the_catalogue_has_or_may_have_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let unreadable = Err("unreadable".to_owned());
        left(dir.path(), 1, "another boot");
        let mut others = Others::default();
        let (recovered, states) = run_with(dir.path(), &mut others, unreadable);
        assert_eq!(recovered.backups[0].1, ["the catalogue: unreadable"]);
        assert!(states.is_empty());
        for kept in [State::Consistent, State::CrashConsistent("late".into())] {
            left(dir.path(), 1, "another boot");
            let (recovered, states) = run_with(dir.path(), &mut others, Ok(Some(kept)));
            assert!(recovered.backups[0].1.is_empty() && states.is_empty());
        }
        assert_eq!(others.told, ["writers"; 3]);
        left(dir.path(), 1, "another boot");
        let (recovered, states) = run_with(dir.path(), &mut others, Ok(None));
        assert_eq!(others.told.last().unwrap(), "copies", "nobody knows the backup");
        assert!(recovered.backups[0].1.is_empty() && states.is_empty());
    }

    #[test]
    fn what_died_is_undone_once() {
        let dir = tempfile::tempdir().unwrap();
        left(dir.path(), 1, "another boot");
        left(dir.path(), 2, &boot_id().unwrap());
        let mut others = Others::default();
        let (recovered, states) = run_it(dir.path(), &mut others);
        assert_eq!(others.told, ["writers", "copies", "writers", "copies"]);
        assert!(recovered.backups.iter().all(|(_, faults)| faults.is_empty()));
        assert_eq!(recovered.notes.len(), 1, "nothing is frozen since another boot");
        let at_commit = |state: &State| matches!(state, State::Aborted { step: Step::Commit, .. });
        assert!(states.len() == 2 && states.iter().all(at_commit), "{states:?}");
        let (again, _) = run_it(dir.path(), &mut others);
        assert!(again.backups.is_empty());
    }

    #[test]
    fn what_could_not_be_undone_is_tried_again_and_the_rest_is_done_now() {
        let dir = tempfile::tempdir().unwrap();
        left(dir.path(), 1, "another boot");
        let mut others = Others { fails: "writers", ..Others::default() };
        let (recovered, states) = run_it(dir.path(), &mut others);
        assert_eq!(recovered.backups[0].1, ["writers fails"]);
        assert_eq!((others.told.len(), states.len()), (2, 1));
        let (again, _) = run_it(dir.path(), &mut Others::default());
        assert!(again.backups[0].1.is_empty());
    }

    #[test]
    fn one_that_lives_is_left_alone_and_a_damaged_one_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("damaged"), "x").unwrap();
        let record = Record {
            set: SetId(Guid(1)),
            backup: BackupId::FIRST,
            boot: String::new(),
            file_systems: Vec::new(),
        };
        let _held = journal::Held::write(dir.path(), &record).unwrap();
        let (recovered, states) = run_it(dir.path(), &mut Others::default());
        assert!(recovered.backups.is_empty() && states.is_empty());
        assert_eq!(recovered.damaged, [dir.path().join("damaged.damaged")]);
        assert!(run_it(dir.path(), &mut Others::default()).0.damaged.is_empty());
    }
}
