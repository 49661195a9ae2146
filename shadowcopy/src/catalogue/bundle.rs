//! The catalogue in one file: `drmdbexport` and `drmdbimport`.
//!
//! A file of frames ([`crate::archive::frame`]):
//!
//! | kind | payload |
//! |---|---|
//! | 1 | a backup: its record as JSON |
//! | 2 | a file of one of its writers, see [`artifact::encode`]; behind its backup |

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
};

use super::{
    BackupId,
    artifact::{self, Allowance},
    error::Error,
    incoming::Incoming,
    record::Backup,
    store::{Carried, Store},
};
use crate::archive::frame::{Damage, Format, Reader, Writer};

const BACKUP: u8 = 1;
const ARTIFACT: u8 = 2;

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
            Allowance::take_all(&carried.artifacts).map_err(io::Error::other)?;
            writer.frame(BACKUP, &[&serde_json::to_vec(&carried.backup)?])?;
            for (name, file) in &carried.artifacts {
                let (names, bytes) = artifact::encode(name, file);
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
pub fn import(store: &Store, from: impl Read) -> Result<Vec<BackupId>, Refused> {
    let incoming = Incoming::begin(store)?;
    let mut ids = BTreeSet::new();
    each(from, |carried| {
        let new = &carried.backup;
        let other = store.peek(new.id)?.is_some_and(|here| here.set != new.set);
        if other || !ids.insert(new.id) {
            return Err(Error::Taken(new.id).into());
        }
        incoming.add(&store.imported(&carried)?, &carried.artifacts)?;
        Ok::<(), Refused>(())
    })?;
    incoming.take_in()?;
    Ok(ids.into_iter().collect())
}

/// Reads an export, backup by backup; only the end says whether all of it is whole.
///
/// # Errors
/// See [`Damage`]; what `take` says.
pub fn each<E: From<Damage>>(
    from: impl Read,
    mut take: impl FnMut(Carried) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = Reader::new(from, Format::Catalogue)?;
    let mut carried: Option<Carried> = None;
    let mut allowance = Allowance::default();
    loop {
        let position = reader.position();
        let wrong = |what| Damage::At { position, what };
        let Some((kind, payload)) = reader.next_frame()? else { break };
        match (kind, &mut carried) {
            (BACKUP, before) => {
                let backup: Backup = serde_json::from_slice(payload)
                    .map_err(|_| wrong("this is no record of a backup"))?;
                allowance = Allowance::default();
                let before = before.replace(Carried { backup, artifacts: Vec::new() });
                before.map_or(Ok(()), &mut take)?;
            }
            (ARTIFACT, Some(carried)) => {
                let artifact = artifact::decode(payload).map_err(wrong)?;
                allowance.take(&artifact.1).map_err(wrong)?;
                carried.artifacts.push(artifact);
            }
            _ => return Err(wrong("nothing of this kind belongs here").into()),
        }
    }
    carried.map_or(Ok(()), take)
}
