//! Backups from elsewhere on their way into the catalogue: all of them, or none.
//!
//! They are written into `<db>/incoming.unfinished`, as they will be. If that fails, it goes; if
//! its command dies, the next one that has the lock takes it away. Under the name `<db>/incoming`
//! they are in the catalogue: then they are only moved to their places, which needs no room, and
//! the next one that has the lock goes on with that.
//!
//! ```text
//! <db>/incoming/0000000001.json              its record
//! <db>/incoming/0000000001/<writer>/<file>   what its writers handed over
//! <db>/incoming/0000000001.old/              what was in the place of those
//! ```

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    artifact,
    error::Error,
    files,
    store::{ARTIFACTS, BACKUPS, DAMAGED, Record, Store, sealing},
};
use crate::writer::Artifact;

const OLD: &str = "old";

/// Backups that are not yet in the catalogue, and its lock.
#[derive(Debug)]
pub(super) struct Incoming<'s> {
    store: &'s Store,
    beside: PathBuf,
    _lock: File,
}

impl<'s> Incoming<'s> {
    /// Takes the lock of the catalogue.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn begin(store: &'s Store) -> Result<Self, Error> {
        let lock = store.lock()?;
        let beside = beside(store.path());
        for directory in [BACKUPS, ARTIFACTS].map(|name| store.path().join(name)) {
            files::make_directory(&directory).map_err(Error::io(directory))?;
        }
        files::make_directory(&beside).map_err(Error::io(&beside))?;
        Ok(Self { store, beside, _lock: lock })
    }

    /// Writes a backup, all that there will be of it.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for names that are none; what the file system says.
    pub(super) fn add(&self, record: &Record, files: &[(String, Artifact)]) -> Result<(), Error> {
        let own = self.beside.join(record.backup.id.to_string());
        files::make_directory(&own).map_err(Error::io(&own))?;
        for (writer, file) in files {
            artifact::write(&own, writer, file)?;
        }
        files::sync_directory(&own).map_err(Error::io(&own))?;
        let path = own.with_extension("json");
        let bytes = sealing(&path, record)?;
        files::write(&path, &bytes).map_err(Error::io(path))
    }

    /// Puts all of them into the catalogue.
    ///
    /// # Errors
    /// What the file system says. If it does so while they are moved to their places, some may be
    /// there; the next one that has the lock tries again.
    pub(super) fn take_in(self) -> Result<(), Error> {
        let incoming = path(self.store.path());
        files::sync_directory(&self.beside)
            .and_then(|()| fs::rename(&self.beside, &incoming))
            .and_then(|()| files::sync_directory(self.store.path()))
            .map_err(Error::io(&incoming))?;
        finish(self.store.path()).map_err(Error::io(incoming))
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.beside);
    }
}

/// Whether there are backups that are in the catalogue and not in their places.
pub(super) fn is_left(root: &Path) -> io::Result<bool> {
    path(root).try_exists()
}

/// Sees to what a command left that died, for whoever has just taken the lock. What cannot be
/// finished is set aside: it must not block all else.
///
/// # Errors
/// What the file system says, if it can be neither finished nor set aside.
pub(super) fn settle(root: &Path) -> Result<(), Error> {
    let beside = beside(root);
    if beside.symlink_metadata().is_ok() {
        // It was a file once. Whoever writes there next is told what is wrong with it.
        let _ = fs::remove_dir_all(&beside).or_else(|_| fs::remove_file(&beside));
    }
    let incoming = path(root);
    if !is_left(root).map_err(Error::io(&incoming))? {
        return Ok(());
    }
    finish(root).or_else(|error| {
        let aside = files::set_aside(&incoming, &root.join(DAMAGED));
        aside.map(drop).map_err(|_| Error::Io { path: incoming, error })
    })
}

/// Moves all to its place. May be done again after any part of it.
fn finish(root: &Path) -> io::Result<()> {
    let incoming = path(root);
    let mut names = Vec::new();
    for entry in fs::read_dir(&incoming)? {
        names.extend(entry?.file_name().into_string());
    }
    for id in names.iter().filter(|name| !name.contains('.')) {
        let (new, place) = (incoming.join(id), root.join(ARTIFACTS).join(id));
        if place.try_exists()? {
            fs::rename(&place, new.with_extension(OLD))?;
        }
        fs::rename(&new, &place)?;
    }
    files::sync_directory(&root.join(ARTIFACTS))?;
    for record in names.iter().filter(|name| name.ends_with(".json")) {
        fs::rename(incoming.join(record), root.join(BACKUPS).join(record))?;
    }
    files::sync_directory(&root.join(BACKUPS))?;
    fs::remove_dir_all(&incoming)?;
    files::sync_directory(root)
}

fn path(root: &Path) -> PathBuf {
    root.join("incoming")
}

fn beside(root: &Path) -> PathBuf {
    root.join("incoming.unfinished")
}
