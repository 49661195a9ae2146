//! What is done after a crash, by the guard, by the next command, or at boot.

use std::{io, os::fd::OwnedFd, path::Path, path::PathBuf, time::Duration};

use rustix::{
    fs::{fstat, major, minor},
    io::Errno,
};

use super::{
    hand::{Ask, Hand},
    ioctl::open_mount,
    journal::{self, Found, Held, Record},
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

/// What of a backup may be frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// Nothing, so what is frozen is somebody else's.
    Nothing,
    /// All that its journal names.
    Named,
    /// A file system is still being frozen, for a coordinator that therefore cannot be ended: only
    /// a thaw that is tried all the time comes at the right one.
    Stuck,
}

/// What a guard knows of its backup when the coordinator is gone.
#[derive(Debug)]
pub struct Died {
    /// How far it had come.
    pub step: Step,
    /// What may be frozen.
    pub frozen: Frozen,
    /// The open file of its journal, which is locked all the time.
    pub journal: OwnedFd,
}

/// Undoes what backups left that died: thaws their file systems, each `within` a time, in reverse
/// order; has writers go on; and, unless the catalogue has the copy, brings the pairs back and tells
/// it. Those of live processes are left alone. A guard says what it knows of its own.
///
/// # Errors
/// That the directory of journals cannot be read.
pub fn recover(
    run: &Path,
    died: Option<Died>,
    within: Duration,
    ledger: &mut dyn Ledger,
    aftermath: &mut dyn Aftermath,
) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut left = Vec::new();
    let guarding = died.is_some();
    if let Some(Died { step, frozen, journal }) = died {
        match Held::inherited(run, journal) {
            Ok(None) => {}
            Ok(Some((held, record, thawed))) => {
                left.push((held, record, if thawed { Frozen::Nothing } else { frozen }, step));
            }
            Err(error) => recovered.notes.push(format!("{}: {error}", run.display())),
        }
    }
    let found = match journal::find(run) {
        Err(error) if guarding => {
            recovered.notes.push(format!("{}: {error}", run.display()));
            Found::default()
        }
        found => found?,
    };
    let others = found.left.into_iter();
    left.extend(others.map(|(held, record, thawed)| {
        let frozen = if thawed { Frozen::Nothing } else { Frozen::Named };
        (held, record, frozen, Step::BeginPrepare)
    }));
    // All thaws before anything else is done that may take its time, or fail.
    let (boot, mounts) = (boot_id().ok(), Mounts::now());
    let thaw_one = |(held, record, frozen, step): (Held, Record, Frozen, Step)| {
        let mut faults = Vec::new();
        let of_this_boot = boot.as_ref().is_none_or(|boot| *boot == record.boot);
        match (frozen, &mounts) {
            (Frozen::Nothing, _) => {}
            (Frozen::Stuck, _) => faults.push(
                "a file system hangs in freezing, so the command cannot be ended; it thaws as soon \
                 as that is over"
                    .to_owned(),
            ),
            (Frozen::Named, _) if !of_this_boot => {}
            (Frozen::Named, Ok(mounts)) => {
                thaw(&record, mounts, within, &mut faults, &mut recovered.notes);
            }
            (Frozen::Named, Err(error)) => faults.push(format!("/proc/self/mountinfo: {error}")),
        }
        (held, record, step, faults)
    };
    let left: Vec<_> = left.into_iter().map(thaw_one).collect();
    for (held, record, step, mut faults) in left {
        let thawed = faults.is_empty();
        undo(&record, step, ledger, aftermath, &mut faults);
        if faults.is_empty() {
            faults.extend(held.remove().err().map(|error| error.to_string()));
        } else if thawed {
            faults.extend(held.thawed().err().map(|error| error.to_string()));
        }
        recovered.backups.push((record, faults));
    }
    recovered.notes.extend(found.faults);
    let drafts = found.drafts.iter().filter_map(|draft| draft.remove().err());
    recovered.notes.extend(drafts.map(|error| format!("{}: {error}", run.display())));
    for damaged in found.damaged {
        // One that keeps its name is told of again.
        let aside = journal::set_aside(&damaged);
        recovered.damaged.push(aside.unwrap_or(damaged));
    }
    Ok(recovered)
}

/// All but the file systems.
fn undo(
    record: &Record,
    step: Step,
    ledger: &mut dyn Ledger,
    aftermath: &mut dyn Aftermath,
    faults: &mut Vec<String>,
) {
    faults.extend(aftermath.thaw_writers(record).err());
    match ledger.state(record.backup) {
        Ok(Some(state)) if state.is_there() => {}
        Ok(known) => {
            faults.extend(aftermath.abort_copies(record).err());
            let told = known.map(|_| ledger.abort(record.backup, &ended(record, step)));
            faults.extend(told.and_then(Result::err));
        }
        Err(cause) => faults.push(format!("the catalogue: {cause}")),
    }
}

/// What is known of a backup that died.
fn ended(record: &Record, step: Step) -> Findings {
    let cause = "the command ended in this step or later, and could not undo it itself";
    let state = State::Aborted { step, cause: cause.to_owned() };
    Findings { state, ..Findings::new(record.set) }
}

fn thaw(
    record: &Record,
    mounts: &Mounts,
    within: Duration,
    faults: &mut Vec<String>,
    notes: &mut Vec<String>,
) {
    for (mount, device) in record.file_systems.iter().rev() {
        let known = FileSystem { mount: mount.clone(), device: *device };
        let mut points = order::points(mounts, &known).peekable();
        if points.peek().is_none() {
            notes.push(format!(
                "{}: not mounted any more; if it hangs when it is mounted again, use fsfreeze -u",
                mount.display()
            ));
            continue;
        }
        let Some(opened) = points.find_map(|point| open(point, *device)) else {
            faults.push(format!(
                "{}: it cannot be opened, or something is mounted over it; unmount that, or use \
                 fsfreeze -u",
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
    use std::{fs, os::fd::AsFd as _};

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
        drop(Held::write(run, &record(set, boot)).unwrap());
    }

    fn record(set: u128, boot: &str) -> Record {
        Record {
            set: SetId(Guid(set)),
            backup: BackupId::FIRST,
            boot: boot.to_owned(),
            file_systems: vec![("/not/mounted".into(), (4095, 1))],
        }
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
        (recover(run, None, within, &mut book, others).unwrap(), book.told)
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
        let aborted = |state: &State| matches!(state, State::Aborted { .. });
        assert!(states.len() == 2 && states.iter().all(aborted), "{states:?}");
        let (again, _) = run_it(dir.path(), &mut others);
        assert!(again.backups.is_empty());
    }

    #[test]
    fn a_guard_recovers_what_it_holds_and_thaws_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let record = record(1, &boot_id().unwrap());
        for (frozen, fails, notes) in
            [(Frozen::Nothing, "", 0), (Frozen::Named, "copies", 1), (Frozen::Named, "", 0)]
        {
            let held = match journal::find(dir.path()).unwrap().left.pop() {
                Some((held, ..)) => held,
                None => Held::write(dir.path(), &record).unwrap(),
            };
            let journal = held.as_fd().try_clone_to_owned().unwrap();
            let died = Died { step: Step::Commit, frozen, journal };
            let mut book = Book { state: Ok(Some(State::Running)), told: Vec::new() };
            let mut others = Others { fails, ..Others::default() };
            let within = Duration::from_secs(1);
            let done = recover(dir.path(), Some(died), within, &mut book, &mut others).unwrap();
            assert_eq!(done.notes.len(), notes, "{:?}", done.notes);
            assert_eq!(done.backups[0].1.is_empty(), fails.is_empty());
            assert!(matches!(book.told[0], State::Aborted { step: Step::Commit, .. }));
        }
        assert!(journal::unfinished(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn what_is_mounted_and_cannot_be_opened_may_be_frozen() {
        let mounts = Mounts::parse(b"1 0 4095:1 / /not/there rw - ext4 /dev/x rw\n");
        for (mounts, faulty) in [(mounts, 1), (Mounts::default(), 0)] {
            let (mut faults, mut notes) = (Vec::new(), Vec::new());
            thaw(&record(1, ""), &mounts, Duration::ZERO, &mut faults, &mut notes);
            assert_eq!((faults.len(), notes.len()), (faulty, 1 - faulty), "{faults:?} {notes:?}");
        }
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
