//! S-VOLs of a backup that are written anew, from an archive.

use std::path::PathBuf;

use provider::{
    Provider,
    raid::{Pair, Raid, Standing, Use},
    session::Session,
};

use super::{copy, provider as loaded, reading, recovery, target, truth};
use crate::{
    catalogue::{Backup, Carried, Claim, Error, State, Store, record::Volume},
    command::view,
    console::Console,
    failure::{Checked, Failure, Outcome, Stop},
    message,
};

/// S-VOLs that can be written: each is the S-VOL of the pair that the backup names, which is split,
/// and nobody uses it. They are shown and on this host, and hold what they held.
#[derive(Debug)]
pub struct Rewriting {
    backup: Backup,
    /// Whether the catalogue has the backup.
    known: bool,
    pairs: Vec<Pair>,
    store: Store,
    provider: Provider,
    /// The block device of each volume, in the order of the backup's.
    pub devices: Vec<PathBuf>,
    _claim: Claim,
}

impl Rewriting {
    /// Checks all S-VOLs, then shows them and brings them to this host.
    ///
    /// # Errors
    /// KAVX0204-E while another command is at work, KAVX0200-E for an ID that another backup has,
    /// KAVX0205-E where an S-VOL holds a backup that is kept, KAVX0403-E for a pair that is another
    /// or not split, KAVX0113-E for a volume in use; what the provider refuses. Then all is as it was.
    pub fn begin(console: &mut Console<'_>, backup: &Backup) -> Outcome<Self> {
        let store = console.catalogue();
        let claim = store.claim(console.command)?;
        recovery::recover(console, &store, None)?;
        truth::settle(console, &store, None)?;
        let known = allowed(&store, backup)?;
        let pairs = pairs(console, backup)?;
        let mut named = store.list()?.records();
        named.push(backup.clone());
        target::unnamed(console, &named, &pairs)?;
        for pair in &pairs {
            copy::unused(pair.secondary.volume)?;
        }
        let mut provider = loaded::load(console, backup.generation)?;
        let brought = copy::bring(console, &mut provider, backup);
        let backup = backup.clone();
        let devices = Vec::new();
        let mut begun = Self { backup, known, pairs, store, provider, devices, _claim: claim };
        match brought {
            Ok(found) => {
                begun.devices = reading::in_order(&begun.backup, &found);
                Ok(begun)
            }
            Err(failed) => {
                if let Err(Stop::Failure(left)) = begun.end(console) {
                    console.tell(&left)?;
                }
                Err(failed)
            }
        }
    }

    /// Ends the backups that lie on the S-VOLs, in the catalogue and for the provider. The first
    /// byte may be written then.
    ///
    /// # Errors
    /// KAVX0205-E where one has been locked since; what catalogue and provider say.
    pub fn take(&mut self, console: &mut Console<'_>) -> Outcome {
        for id in self.store.overwrite(&self.backup)? {
            console.say(message::OVERWRITTEN, &[&id])?;
        }
        // Until all of it is back, nothing says that it is there.
        if self.known {
            self.store.update_free(self.backup.id, |backup| backup.state = State::Overwritten)?;
        } else {
            let backup = Backup { state: State::Overwritten, ..self.backup.clone() };
            self.store.restored(&Carried { backup, artifacts: Vec::new() })?;
        }
        let adopted = self.provider.adopt(self.backup.set, &self.pairs);
        Ok(adopted.map_err(|refused| loaded::refused(&refused))?)
    }

    /// Says that all of the backup has been written, and is there again.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn keep(&self, carried: &Carried) -> Outcome {
        Ok(self.store.restored(carried)?)
    }

    /// Takes the S-VOLs from this host and hides them. None of them is open any more.
    ///
    /// # Errors
    /// KAVX0110-E where one is in use; what the provider refuses.
    pub fn end(mut self, console: &Console<'_>) -> Outcome {
        copy::take_away(console, &mut self.provider, &self.backup)
    }
}

/// Refuses to overwrite a backup that is kept, and an ID that is another's. Whether the catalogue
/// has the backup already.
fn allowed(store: &Store, backup: &Backup) -> Outcome<bool> {
    let mut known = false;
    for kept in store.list()?.backups {
        let here = &kept.backup;
        if here.id == backup.id && here.set != backup.set {
            return Err(Error::Taken(here.id).into());
        }
        known |= here.id == backup.id;
        if here.is_kept() && here.shares_volumes_with(backup) {
            return Err(Failure::new(message::BACKUP_STATE)
                .word(here.id)
                .state(view::kept_by(here))
                .cause("it lies on the S-VOLs that would be overwritten")
                .action("drmumount it, drmcgctl -unlock it or end its restore with drmfsrestore, or restore elsewhere with -f")
                .into());
        }
    }
    Ok(known)
}

/// The pairs of a backup as they are now, each once.
fn pairs(console: &Console<'_>, backup: &Backup) -> Outcome<Vec<Pair>> {
    let settings = loaded::settings(&console.environment)?;
    let mut raid = Session::new(console.home.clone(), &settings);
    let mut pairs: Vec<Pair> = Vec::new();
    for volume in &backup.volumes {
        // What the catalogue or the provider noted of it may be older than the configuration.
        let found = match settings.local {
            Some(_) => raid.by_primary(volume.primary, backup.generation)?,
            None => raid.by_secondary(volume.secondary)?,
        };
        let pair = same(volume, backup, found)?;
        let standing = raid.standing(&pair)?;
        split(&pair, standing)?;
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// What may be done where the S-VOLs cannot be written.
const ELSEWHERE: &str = "restore the P-VOLs with -pvol, or other volumes with -f";

/// The pair, if it is that of the backup.
fn same(volume: &Volume, backup: &Backup, found: Option<Pair>) -> Checked<Pair> {
    let refused = |state: String| {
        Failure::new(message::RESTORE_FAILED)
            .word(volume.secondary)
            .object(format!("{} MU# {}", volume.primary, backup.generation))
            .state(state)
            .cause("the archive is of a pair that the configuration does not have any more: who uses its S-VOL now cannot be told")
            .action(ELSEWHERE)
    };
    match found {
        None => Err(refused("no pair".to_owned()).into()),
        Some(pair) if pair.secondary.volume != volume.secondary => {
            Err(refused(format!("paired with {}", pair.secondary.volume)).into())
        }
        Some(pair) if pair.primary.volume != volume.primary => {
            Err(refused(format!("its S-VOL is that of {}", pair.primary.volume)).into())
        }
        Some(pair) => Ok(pair),
    }
}

/// Refuses a pair that is not split, or with another volume.
fn split(pair: &Pair, standing: Standing) -> Checked {
    let refused = |cause: &str, action: String| {
        Failure::new(message::RESTORE_FAILED)
            .word(pair.secondary.volume)
            .object(pair.to_string())
            .state(standing.to_string())
            .cause(cause)
            .action(format!("{action}, or {ELSEWHERE}"))
            .into()
    };
    let again = format!("-g {} -d {}, then repeat the command", pair.group, pair.name);
    match standing.usable(pair) {
        Use::Split => Ok(()),
        Use::Foreign => Err(refused(
            "in the storage system it is no pair of these two volumes",
            format!("see whose the S-VOL is (pairdisplay -g {} -l)", pair.group),
        )),
        Use::Unpaired => Err(refused(
            "there is no pair to restore from afterwards, and others may use the S-VOL",
            format!("paircreate -split {again}"),
        )),
        Use::Ready => Err(refused(
            "the S-VOL follows its P-VOL: the next copy would overwrite what is written to it",
            format!("pairsplit {again}"),
        )),
        Use::Copying => Err(refused(
            "the pair is being copied",
            format!("wait until it is PAIR (pairevtwait), pairsplit {again}"),
        )),
        Use::Failed => {
            Err(refused("its copy has failed", format!("pairresync and pairsplit {again}")))
        }
    }
}
