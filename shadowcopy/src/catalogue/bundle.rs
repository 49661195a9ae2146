//! The catalogue in one file: `drmdbexport` and `drmdbimport`.
//!
//! A file of frames ([`crate::archive::frame`]):
//!
//! | kind | payload |
//! |---|---|
//! | 1 | a backup: its record as JSON |
//! | 2 | a file of one of its writers, see [`encode_artifact`]; behind its backup |

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::Path,
};

use super::{
    BackupId,
    error::Error,
    files,
    record::Backup,
    store::{Carried, Store, check_name},
};
use crate::{
    archive::frame::{Damage, Format, Reader, Writer},
    writer::Artifact,
};

const BACKUP: u8 = 1;
const ARTIFACT: u8 = 2;

/// The most bytes of an artifact.
pub const MOST_ARTIFACT: usize = 16 << 20;

/// Why an import did not take place. Nothing was changed.
#[derive(Debug)]
pub enum Refused {
    /// The file is not what an export wrote.
    Damaged(Damage),
    /// The catalogue.
    Catalogue(Error),
}

impl From<Damage> for Refused {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Catalogue(error)
    }
}

/// Writes backups, with their artifacts, as one file.
///
/// # Errors
/// What `into` or the catalogue says.
pub fn export<W: Write>(store: &Store, ids: &[BackupId], into: W) -> Result<W, Error> {
    let failed = Error::io("the export");
    let mut carried = ids.iter().map(|id| store.carried(*id));
    let write = || -> io::Result<Result<W, Error>> {
        let mut writer = Writer::new(into, Format::Catalogue)?;
        for carried in &mut carried {
            let carried = match carried {
                Ok(carried) => carried,
                Err(error) => return Ok(Err(error)),
            };
            writer.frame(BACKUP, &[&serde_json::to_vec(&carried.backup)?])?;
            for (name, file) in &carried.artifacts {
                let (names, bytes) = encode_artifact(name, file);
                writer.frame(ARTIFACT, &[&names, bytes])?;
            }
        }
        Ok(Ok(writer.finish()?.0))
    };
    write().map_err(failed)?
}

/// Takes in what an export holds, all of it or nothing. A backup that is there already is brought
/// up to date, but for its lock and its mounts, which are this host's.
///
/// # Errors
/// See [`Refused`]; [`Error::Taken`] where another backup has one of the IDs.
pub fn import(store: &Store, mut from: impl Read) -> Result<Vec<BackupId>, Refused> {
    let _lock = store.lock()?;
    let incoming = store.incoming();
    let beside = incoming.with_extension("unfinished");
    let copied = File::create(&beside).and_then(|mut file| {
        io::copy(&mut from, &mut file)?;
        file.sync_all()
    });
    let checked = copied
        .map_err(Error::io(&beside))
        .map_err(Refused::from)
        .and_then(|()| check(store, &beside));
    let ids = match checked {
        Ok(ids) => ids,
        Err(refused) => {
            let _ = fs::remove_file(&beside);
            return Err(refused);
        }
    };
    // From here on the import takes place, whoever dies: it is finished by the next command.
    fs::rename(&beside, &incoming)
        .and_then(|()| files::sync_directory(store.path()))
        .map_err(Error::io(incoming))?;
    store.finish_import()?;
    Ok(ids)
}

/// What an import would bring; nothing of it may stand in the way of what is there.
fn check(store: &Store, path: &Path) -> Result<Vec<BackupId>, Refused> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut ids = Vec::new();
    each(BufReader::new(file), |carried| {
        let new = &carried.backup;
        let other = store.peek(new.id)?.is_some_and(|here| here.set != new.set);
        if other || ids.contains(&new.id) {
            return Err(Error::Taken(new.id).into());
        }
        ids.push(new.id);
        Ok::<(), Refused>(())
    })?;
    Ok(ids)
}

impl Store {
    /// Puts what an import brought in its place. The lock is held.
    pub(super) fn finish_import(&self) -> Result<(), Error> {
        let incoming = self.incoming();
        let file = match File::open(&incoming) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::Io { path: incoming, error }),
        };
        let put =
            each(BufReader::new(file), |carried| self.import(&carried).map_err(Refused::from));
        match put {
            Ok(()) => fs::remove_file(&incoming)
                .and_then(|()| files::sync_directory(self.path()))
                .map_err(Error::io(incoming)),
            // It was whole when it was put there: the disk damaged it. It must not block the rest.
            Err(Refused::Damaged(_)) => files::set_aside(&incoming, &self.path().join("damaged"))
                .map(drop)
                .map_err(Error::io(incoming)),
            Err(Refused::Catalogue(error)) => Err(error),
        }
    }
}

/// Reads an export, backup by backup.
fn each<E: From<Damage>>(
    from: impl Read,
    mut take: impl FnMut(Carried) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = Reader::new(from, Format::Catalogue)?;
    let mut carried: Option<Carried> = None;
    loop {
        let position = reader.position();
        let wrong = |what| Damage::At { position, what };
        let Some((kind, payload)) = reader.next_frame()? else { break };
        match (kind, &mut carried) {
            (BACKUP, before) => {
                let backup: Backup = serde_json::from_slice(payload)
                    .map_err(|_| wrong("this is no record of a backup"))?;
                let before = before.replace(Carried { backup, artifacts: Vec::new() });
                before.map_or(Ok(()), &mut take)?;
            }
            (ARTIFACT, Some(carried)) => {
                let artifact =
                    decode_artifact(payload).ok_or_else(|| wrong("this is no file of a writer"))?;
                carried.artifacts.push(artifact);
            }
            _ => return Err(wrong("nothing of this kind belongs here").into()),
        }
    }
    carried.map_or(Ok(()), take)
}

/// A file of a writer as a payload: names, then bytes.
///
/// | bytes | what |
/// |---|---|
/// | 0-1 | length w of the writer's name, little-endian |
/// | 2-3 | length n of the file's name |
/// | 4-(3+w) | the writer's name, UTF-8 |
/// | (4+w)-(3+w+n) | the file's name |
/// | behind | the file |
#[must_use]
pub fn encode_artifact<'a>(writer: &str, file: &'a Artifact) -> (Vec<u8>, &'a [u8]) {
    // Names of writers are words; one that was longer than this would be cut.
    let writer = &writer.as_bytes()[..writer.len().min(usize::from(u16::MAX))];
    let name = file.name.as_bytes();
    let mut names = Vec::with_capacity(4 + writer.len() + name.len());
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
    names.extend(length(writer));
    names.extend(length(name));
    names.extend(writer);
    names.extend(name);
    (names, &file.bytes)
}

/// See [`encode_artifact`]. `None` for anything else.
#[must_use]
pub fn decode_artifact(payload: &[u8]) -> Option<(String, Artifact)> {
    let (lengths, rest) = payload.split_at_checked(4)?;
    let length = |at: usize| usize::from(u16::from_le_bytes([lengths[at], lengths[at + 1]]));
    let (writer, rest) = rest.split_at_checked(length(0))?;
    let (name, bytes) = rest.split_at_checked(length(2))?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let (writer, name) = (text(writer)?, text(name)?);
    check_name(&name).ok()?;
    if bytes.len() > MOST_ARTIFACT {
        return None;
    }
    Some((writer, Artifact { name, bytes: bytes.to_vec() }))
}
