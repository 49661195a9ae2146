//! The catalogue says that a backup is there only while its S-VOLs hold it: pairs may have been
//! resynchronised by others, or by a command that died.

use model::{MuNumber, PairEnd};
use provider::{
    journal::{Journal, Phase, Record},
    raid::{Pair, Raid, Use},
    session::Session,
};

use super::provider as loaded;
use crate::{
    catalogue::{Backup, BackupId, Store, record::Volume},
    command::view,
    console::Console,
    failure::Outcome,
    message,
};

/// Marks backups whose S-VOLs do not hold them any more as overwritten, those included whose restore
/// the storage system has ended since its command died, but for the one that the command `restores`. A pair
/// that cannot be asked about is left alone.
///
/// # Errors
/// What the catalogue and the provider's journal say.
pub fn settle(console: &mut Console<'_>, store: &Store, restores: Option<BackupId>) -> Outcome {
    let settings = loaded::settings(&console.environment)?;
    let mut journal = loaded::journal(&console.home)?;
    let found = journal.records().map_err(|error| {
        crate::failure::Failure::new(message::PROVIDER)
            .word("EV_EOPDEV")
            .object(loaded::journal_path(&console.home).display().to_string())
            .cause(error.to_string())
    })?;
    for name in &found.damaged {
        console.say(message::SET_DAMAGED, &[name])?;
    }
    let mut raid = Session::new(console.home.clone(), &settings);
    let listing = store.list()?;
    view::tell(console, listing.troubles);
    for kept in listing.backups {
        let backup = kept.backup;
        let gone = match backup.restoring.is_some() {
            true => restores != Some(backup.id) && is_restored(&backup, &mut raid),
            false => backup.is_there() && !is_held(&backup, &found.records, &mut raid),
        };
        if gone {
            store.update(backup.id, |backup| backup.end())?;
            console.say(message::BACKUP_GONE, &[&backup.id])?;
        }
    }
    Ok(())
}

/// Whether all of its S-VOLs hold it, as far as can be known.
fn is_held(backup: &Backup, sets: &[Record], raid: &mut dyn Raid) -> bool {
    let set = sets.iter().find(|set| set.set == backup.set && set.phase == Phase::Created);
    backup.volumes.iter().all(|volume| {
        let pair = pair(volume, backup.generation);
        let has =
            |set: &Record| set.pairs.iter().any(|known| known.secondary.volume == volume.secondary);
        // A set that is not known here was made elsewhere: then the state is all there is, unless
        // one that was made here has the S-VOL.
        let known = match set {
            Some(set) => has(set),
            None => !sets.iter().any(|set| set.phase == Phase::Created && has(set)),
        };
        known && raid.standing(&pair).map_or(true, |standing| standing.usable(&pair) == Use::Split)
    })
}

/// Whether all of its pairs are PAIR.
fn is_restored(backup: &Backup, raid: &mut dyn Raid) -> bool {
    backup.volumes.iter().all(|volume| {
        let pair = pair(volume, backup.generation);
        raid.standing(&pair).is_ok_and(|standing| standing.usable(&pair) == Use::Ready)
    })
}

/// The pair of a volume of a backup.
#[must_use]
pub fn pair(volume: &Volume, generation: MuNumber) -> Pair {
    Pair {
        group: volume.group.clone(),
        name: volume.name.clone(),
        primary: PairEnd { volume: volume.primary, mu: generation },
        secondary: PairEnd { volume: volume.secondary, mu: MuNumber::default() },
    }
}
