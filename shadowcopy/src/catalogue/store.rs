//! The directory of the catalogue.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    BackupId, artifact,
    claim::{self, Claim, Holder},
    error::Error,
    files,
    incoming::{self, Incoming},
    record::{Backup, State},
    sealed::{self, Unreadable},
};
use crate::writer::Artifact;

/// Directories of a catalogue.
pub(super) const BACKUPS: &str = "backups";
pub(super) const ARTIFACTS: &str = "artifacts";
pub(super) const DAMAGED: &str = "damaged";

/// The catalogue at a directory, which need not exist yet.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A backup of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub backup: Backup,
    /// It says `running`, but its command ended without saying how.
    pub died: bool,
}

/// All of the catalogue.
#[derive(Debug, Default)]
pub struct Listing {
    /// By ID.
    pub backups: Vec<Kept>,
    /// Records that could not be read, and why. Damaged ones were set aside.
    pub troubles: Vec<Error>,
}

impl Listing {
    /// The bare records, as the choice of a generation takes them.
    #[must_use]
    pub fn records(&self) -> Vec<Backup> {
        self.backups.iter().map(|kept| kept.backup.clone()).collect()
    }
}

/// A backup with all that belongs to it, on its way elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The record.
    pub backup: Backup,
    /// The writers' files, each with its writer's name.
    pub artifacts: Vec<(String, Artifact)>,
}

/// What a record's file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The backup.
    pub backup: Backup,
    /// SHA-256 of each artifact, by writer and name.
    pub artifacts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Store {
    /// The catalogue at this directory. Nothing is touched yet.
    #[must_use]
    pub const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Claims the right to work with the pairs, for as long as the claim lives.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another process has it.
    pub fn claim(&self, command: &str) -> Result<Claim, Error> {
        let _lock = self.lock()?;
        let path = self.root.join("claim");
        claim::take(&path, command).map_err(Error::io(path))?.map_err(Error::Claimed)
    }

    /// Adds a backup under an ID that was never given before; `claim` becomes that backup's. From
    /// here on what lies where it is about to be cannot be locked any more.
    ///
    /// # Errors
    /// [`Error::Kept`] for a backup that lies there and has been locked since the generation was
    /// chosen; [`Error::Full`], or what the file system says. After the latter the ID is not given
    /// again.
    pub fn begin(
        &self,
        claim: &Claim,
        new: impl FnOnce(BackupId) -> Backup,
    ) -> Result<Backup, Error> {
        let _lock = self.lock()?;
        let id = match self.last()? {
            None => BackupId::FIRST,
            Some(last) => last.next().ok_or(Error::Full)?,
        };
        let backup = new(id);
        for id in self.ids()? {
            let old = self.peek(id)?;
            if old.is_some_and(|old| old.is_kept() && old.is_in_the_way_of(&backup)) {
                return Err(Error::Kept(id));
            }
        }
        self.give(id)?;
        claim.making(id).map_err(Error::io(self.root.join("claim")))?;
        self.save(&Record { backup: backup.clone(), artifacts: BTreeMap::new() })?;
        Ok(backup)
    }

    /// Changes a record; nobody else's change gets lost.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Damaged`], or what the file system says; the record is as it
    /// was then.
    pub fn update(&self, id: BackupId, change: impl FnOnce(&mut Backup)) -> Result<Backup, Error> {
        let _lock = self.lock()?;
        let mut record = self.load(id)?;
        change(&mut record.backup);
        self.save(&record)?;
        Ok(record.backup)
    }

    /// Changes the record of a backup that nothing keeps.
    ///
    /// # Errors
    /// [`Error::Kept`]; as [`Self::update`] otherwise.
    pub fn update_free(
        &self,
        id: BackupId,
        change: impl FnOnce(&mut Backup),
    ) -> Result<Backup, Error> {
        let _lock = self.lock()?;
        let mut record = self.load(id)?;
        if record.backup.is_kept() {
            return Err(Error::Kept(id));
        }
        change(&mut record.backup);
        self.save(&record)?;
        Ok(record.backup)
    }

    /// Keeps a backup from being overwritten, or no longer. One that is not there stays as it is.
    ///
    /// # Errors
    /// [`Error::Chosen`] where a backup that runs has chosen its generation; as [`Self::update`]
    /// otherwise.
    pub fn set_locked(&self, id: BackupId, locked: bool) -> Result<Backup, Error> {
        let _lock = self.lock()?;
        let mut record = self.load(id)?;
        if locked && let Some(by) = self.chosen_by(&record.backup)? {
            return Err(Error::Chosen { id, by });
        }
        record.backup.locked = locked && record.backup.is_there();
        self.save(&record)?;
        Ok(record.backup)
    }

    /// The backup that runs and is about to be where this one lies. The lock is held.
    fn chosen_by(&self, backup: &Backup) -> Result<Option<BackupId>, Error> {
        let path = self.root.join("claim");
        let holder = claim::held(&path).map_err(Error::io(path))?;
        let Some(by) = holder.and_then(|holder| holder.backup) else { return Ok(None) };
        let runs = self.peek(by)?.filter(|by| by.state == State::Running);
        Ok(runs.filter(|by| backup.is_in_the_way_of(by)).map(|by| by.id))
    }

    /// Says of every backup that lies where `by` is about to be that it is overwritten. To be
    /// called before the first pair is touched. Gives those that are gone by it.
    ///
    /// # Errors
    /// [`Error::Kept`] for one that is locked, mounted, read or restored; as [`Self::update`] otherwise.
    pub fn overwrite(&self, by: &Backup) -> Result<Vec<BackupId>, Error> {
        let _lock = self.lock()?;
        let mut gone = Vec::new();
        for id in self.ids()? {
            let mut record = match self.load(id) {
                Err(Error::Unknown(_)) => continue,
                loaded => loaded?,
            };
            let old = &record.backup;
            if old.is_in_the_way_of(by) {
                // Somebody may have locked it since the generation was chosen.
                if old.is_kept() {
                    return Err(Error::Kept(id));
                }
                record.backup.state = State::Overwritten;
                self.save(&record)?;
                gone.push(id);
            }
        }
        Ok(gone)
    }

    /// One backup.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Damaged`], or what the file system says.
    pub fn get(&self, id: BackupId) -> Result<Kept, Error> {
        self.settle()?;
        let backup = self.load(id)?.backup;
        Ok(kept(backup, self.holder()?.as_ref()))
    }

    /// All backups, and what could not be read.
    ///
    /// # Errors
    /// The directory itself cannot be read.
    pub fn list(&self) -> Result<Listing, Error> {
        self.settle()?;
        let holder = self.holder()?;
        let mut listing = Listing::default();
        for id in self.ids()? {
            match self.load(id) {
                Ok(record) => listing.backups.push(kept(record.backup, holder.as_ref())),
                // It was there a moment ago: somebody else has set it aside.
                Err(Error::Unknown(_)) => {}
                Err(trouble) => listing.troubles.push(trouble),
            }
        }
        Ok(listing)
    }

    /// Keeps a file of a writer with its backup.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a name that is none; as [`Self::update`] otherwise.
    pub fn put_artifact(&self, id: BackupId, writer: &str, file: &Artifact) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut record = self.load(id)?;
        artifact::write(&self.artifacts_of(id), writer, file)?;
        note(&mut record, writer, file);
        self.save(&record)
    }

    /// The files of a backup's writers, each with its writer's name.
    ///
    /// # Errors
    /// [`Error::Damaged`] where one is not what was handed over; as [`Self::get`] otherwise.
    pub fn artifacts(&self, id: BackupId) -> Result<Vec<(String, Artifact)>, Error> {
        Ok(self.carried(id)?.artifacts)
    }

    /// A backup with all that belongs to it.
    ///
    /// # Errors
    /// As [`Self::artifacts`].
    pub fn carried(&self, id: BackupId) -> Result<Carried, Error> {
        self.settle()?;
        let record = self.load(id)?;
        let mut artifacts = Vec::new();
        for (writer, files) in &record.artifacts {
            for (name, sum) in files {
                let path = artifact::path(&self.artifacts_of(id), writer, name);
                let bytes = fs::read(&path).map_err(Error::io(&path))?;
                if sealed::hex(&Sha256::digest(&bytes)) != *sum {
                    let cause = "it is not what its writer handed over".to_owned();
                    return Err(Error::Damaged { path, cause });
                }
                artifacts.push((writer.clone(), Artifact { name: name.clone(), bytes }));
            }
        }
        Ok(Carried { backup: record.backup, artifacts })
    }

    /// Keeps a backup whose S-VOLs were written anew, from an archive.
    ///
    /// # Errors
    /// [`Error::Taken`] where another backup has its ID; as [`Self::update`] otherwise.
    pub fn restored(&self, carried: &Carried) -> Result<(), Error> {
        let incoming = Incoming::begin(self)?;
        let id = carried.backup.id;
        if self.peek(id)?.is_some_and(|here| here.set != carried.backup.set) {
            return Err(Error::Taken(id));
        }
        let record = self.merged(carried, carried.backup.state.clone())?;
        incoming.add(&record, &carried.artifacts)?;
        incoming.take_in()
    }

    /// A backup of another catalogue as it is to be here. What this one knows of the same backup is
    /// newer: one that has been overwritten here does not come back.
    pub(super) fn imported(&self, carried: &Carried) -> Result<Record, Error> {
        let state = match self.peek(carried.backup.id)? {
            Some(here) if !here.is_there() => here.state,
            _ => carried.backup.state.clone(),
        };
        self.merged(carried, state)
    }

    /// Forgets a backup, with what its writers handed over. Its ID is not given again.
    ///
    /// # Errors
    /// [`Error::Unknown`], or what the file system says; then the record is still there.
    pub fn remove(&self, id: BackupId) -> Result<(), Error> {
        let _lock = self.lock()?;
        let path = self.record_path(id);
        if !path.try_exists().map_err(Error::io(&path))? {
            return Err(Error::Unknown(id));
        }
        // One that was imported is known as given by its record alone.
        if let Some(last) = self.last()? {
            self.give(last)?;
        }
        let artifacts = self.artifacts_of(id);
        match fs::remove_dir_all(&artifacts) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Io { path: artifacts, error });
            }
            _ => {}
        }
        fs::remove_file(&path)
            .and_then(|()| files::sync_directory(&self.root.join(BACKUPS)))
            .map_err(Error::io(path))
    }

    /// Who works with the pairs, if anybody does.
    ///
    /// # Errors
    /// What the file system says.
    pub fn holder(&self) -> Result<Option<Holder>, Error> {
        let path = self.root.join("claim");
        if !path.try_exists().map_err(Error::io(&path))? {
            return Ok(None);
        }
        // Under the lock: a look must not be in the way of a claim.
        let _lock = self.lock()?;
        claim::held(&path).map_err(Error::io(path))
    }

    /// A backup from elsewhere, with what is its own here: locks and mounts.
    fn merged(&self, carried: &Carried, state: State) -> Result<Record, Error> {
        let backup = Backup { state, reading: false, ..carried.backup.clone() };
        let mut record = Record { backup, artifacts: BTreeMap::new() };
        let here = self.peek(carried.backup.id)?;
        record.backup.locked = here.as_ref().is_some_and(|here| here.locked);
        // A restore that has ended here since does not come back.
        if let Some(here) = &here {
            record.backup.restoring.clone_from(&here.restoring);
        }
        record.backup.mounted = here.map(|here| here.mounted).unwrap_or_default();
        for (writer, file) in &carried.artifacts {
            note(&mut record, writer, file);
        }
        Ok(record)
    }

    /// The backup of this ID, if there is one and it can be read.
    pub(super) fn peek(&self, id: BackupId) -> Result<Option<Backup>, Error> {
        match self.load(id) {
            Ok(record) => Ok(Some(record.backup)),
            Err(Error::Unknown(_) | Error::Damaged { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Makes the directory where missing, and holds its lock. Others wait, for moments.
    pub(super) fn lock(&self) -> Result<File, Error> {
        files::make_directory(&self.root).map_err(Error::io(&self.root))?;
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let locked = options.open(&path).and_then(|file| file.lock().map(|()| file));
        let lock = locked.map_err(Error::io(path))?;
        incoming::settle(&self.root)?;
        Ok(lock)
    }

    /// Finishes an import whose command died.
    fn settle(&self) -> Result<(), Error> {
        if incoming::is_left(&self.root).map_err(Error::io(&self.root))? {
            drop(self.lock()?);
        }
        Ok(())
    }

    /// The last ID that was given, by the note of it and by what is there.
    fn last(&self) -> Result<Option<BackupId>, Error> {
        let path = self.root.join("last");
        let noted = match fs::read(&path) {
            Ok(bytes) => match sealed::open(&bytes) {
                Ok(id) => Some(id),
                Err(Unreadable::Newer(version)) => return Err(Error::Newer { path, version }),
                // What is there tells the last one too, unless it was taken away by hand.
                Err(Unreadable::Damaged(_)) => None,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::Io { path, error }),
        };
        let mut last = noted;
        for place in [BACKUPS, DAMAGED, ARTIFACTS] {
            for name in names(&self.root.join(place))? {
                last = last.max(id_of(&name));
            }
        }
        Ok(last)
    }

    fn give(&self, id: BackupId) -> Result<(), Error> {
        let path = self.root.join("last");
        files::write(&path, &sealing(&path, &id)?).map_err(Error::io(path))
    }

    fn ids(&self) -> Result<Vec<BackupId>, Error> {
        let names = names(&self.root.join(BACKUPS))?;
        let records = names.iter().filter(|name| name.ends_with(".json"));
        let mut ids: Vec<_> = records.filter_map(|name| id_of(name)).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn record_path(&self, id: BackupId) -> PathBuf {
        self.root.join(BACKUPS).join(format!("{id}.json"))
    }

    fn artifacts_of(&self, id: BackupId) -> PathBuf {
        self.root.join(ARTIFACTS).join(id.to_string())
    }

    fn load(&self, id: BackupId) -> Result<Record, Error> {
        let path = self.record_path(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Unknown(id));
            }
            Err(error) => return Err(Error::Io { path, error }),
        };
        let wrong = match sealed::open::<Record>(&bytes) {
            Ok(record) if record.backup.id == id => return Ok(record),
            Ok(record) => format!("it is the record of backup {}", record.backup.id),
            Err(Unreadable::Newer(version)) => return Err(Error::Newer { path, version }),
            Err(Unreadable::Damaged(wrong)) => wrong,
        };
        // Who may not move it away is told of it all the same.
        let aside = files::set_aside(&path, &self.root.join(DAMAGED));
        Err(Error::Damaged { path: aside.unwrap_or(path), cause: wrong })
    }

    fn save(&self, record: &Record) -> Result<(), Error> {
        let path = self.record_path(record.backup.id);
        let bytes = sealing(&path, record)?;
        let directory = self.root.join(BACKUPS);
        files::make_directory(&directory)
            .and_then(|()| files::write(&path, &bytes))
            .map_err(Error::io(path))
    }
}

fn kept(backup: Backup, holder: Option<&Holder>) -> Kept {
    let runs = holder.is_some_and(|holder| holder.backup == Some(backup.id));
    let died = backup.state == State::Running && !runs;
    Kept { backup, died }
}

fn note(record: &mut Record, writer: &str, file: &Artifact) {
    let sum = sealed::hex(&Sha256::digest(&file.bytes));
    record.artifacts.entry(writer.to_owned()).or_default().insert(file.name.clone(), sum);
}

pub(super) fn sealing(path: &Path, content: &impl Serialize) -> Result<Vec<u8>, Error> {
    let object = path.display().to_string();
    sealed::seal(content).map_err(|cause| Error::Unwritable { object, cause })
}

/// Names in a directory, none where it is missing.
fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::Io { path: directory.to_owned(), error }),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io(directory))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The ID a name begins with: `0000000001.json`, `0000000001.json.2`, `0000000001`.
fn id_of(name: &str) -> Option<BackupId> {
    let digits = name.split('.').next()?;
    if digits.len() == 10 { digits.parse().ok() } else { None }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
