//! Shadow copies and their records, gone for good.

use provider::{guid::SetId, journal::Journal as _};

use super::{
    copy::{self, Work},
    provider as loaded, recovery, restoring,
};
use crate::{
    catalogue::{Backup, BackupId, State, error::must_be_there},
    console::Console,
    failure::{Failure, Outcome},
    message,
};

/// Deletes a backup: if it is there, its S-VOLs are hidden and follow their P-VOLs again; then its
/// record goes, with what its writers handed over. Doing it again after any part of it is fine.
///
/// # Errors
/// KAVX0205-E for a backup that is locked, mounted or read, KAVX0113-E for one whose S-VOLs are in
/// use; what the catalogue and the provider say.
pub fn backup(console: &mut Console<'_>, id: BackupId) -> Outcome {
    let work = Work::begin(console, id)?;
    work.free()?;
    let backup = work.backup();
    let sets = loaded::records(console)?;
    let taken = sets.iter().any(|set| set.set == backup.set);
    // One that died in here has taken away the first of these, and said so in the catalogue.
    if backup.is_there() || taken {
        for (copy, _) in copy::volumes(backup) {
            copy::unused(copy)?;
        }
        let mut provider = loaded::load(console, backup.generation)?;
        if !taken {
            // One from elsewhere: whoever repeats this finds what is left of it.
            let adopted = provider.adopt(backup.set, &restoring::pairs(backup));
            adopted.map_err(|refused| loaded::refused(&refused))?;
        }
        work.store.update_free(id, |backup| backup.state = State::Overwritten)?;
        if backup.is_there() {
            for lun in copy::luns(backup).0 {
                provider.on_lun_empty(&lun).map_err(|refused| loaded::refused(&refused))?;
            }
        }
        provider.delete(backup.set).map_err(|refused| loaded::refused(&refused))?;
    }
    Ok(work.store.remove(id)?)
}

/// Deletes the record of a backup alone: nothing is asked of RAID Manager, and its S-VOLs stay as
/// they are. So ends a restore that a storage system which is lost keeps from its end.
///
/// # Errors
/// KAVX0205-E for a backup that is locked, mounted, read or still running, KAVX0204-E while another
/// command is at work; what the catalogue says.
pub fn record(console: &Console<'_>, id: BackupId) -> Outcome {
    let store = console.catalogue();
    let claim = store.claim(console.command)?;
    let mut kept = store.get(id)?;
    if kept.backup.state == State::Running {
        must_be_there(&kept.backup, kept.died)?;
    }
    if kept.backup.restoring.is_some() {
        kept.backup = store.update(id, Backup::end)?;
    }
    let work = Work { store, kept, claim };
    work.free()?;
    forget(console, work.backup().set)?;
    Ok(work.store.remove(id)?)
}

/// Deletes a shadow copy set that the catalogue has no record of.
///
/// # Errors
/// As [`backup`]; KAVX0207-E where there is no such set.
pub fn set(console: &mut Console<'_>, set: SetId) -> Outcome {
    let store = console.catalogue();
    let _claim = store.claim(console.command)?;
    recovery::recover(console, &store, None)?;
    let sets = loaded::records(console)?;
    let found = sets.into_iter().find(|known| known.set == set).ok_or_else(|| unknown(set))?;
    for pair in &found.pairs {
        copy::unused(pair.secondary.volume)?;
    }
    let generation = found.pairs.first().map(|pair| pair.primary.mu).unwrap_or_default();
    let mut provider = loaded::load(console, generation)?;
    Ok(provider.delete(set).map_err(|refused| loaded::refused(&refused))?)
}

/// Forgets a shadow copy set that the catalogue has no record of; its S-VOLs stay as they are.
///
/// # Errors
/// As [`record`]; KAVX0207-E where there is no such set.
pub fn set_record(console: &Console<'_>, set: SetId) -> Outcome {
    let store = console.catalogue();
    let _claim = store.claim(console.command)?;
    if !loaded::records(console)?.iter().any(|known| known.set == set) {
        return Err(unknown(set).into());
    }
    forget(console, set)
}

fn forget(console: &Console<'_>, set: SetId) -> Outcome {
    let removed = loaded::journal(&console.home)?.remove(set);
    Ok(removed.map_err(|error| loaded::journal_failed(&console.home, &error))?)
}

fn unknown(set: SetId) -> Failure {
    Failure::new(message::NO_SET).word(set).action("shadowadmin list shadows lists them")
}
