//! S-VOLs of a backup on this host for as long as something reads them.

use std::path::PathBuf;

use super::{
    copy::{self, Work},
    provider,
};
use crate::{
    catalogue::{Backup, BackupId},
    console::Console,
    failure::{Outcome, Stop},
};

/// S-VOLs that are shown and on this host. Their generation is kept meanwhile, so other backups go
/// on in other generations; a command that dies leaves it so (`drmcgctl -unlock`).
#[derive(Debug)]
pub struct Reading {
    id: BackupId,
    /// The block device of each volume, in the order of the backup's.
    pub devices: Vec<PathBuf>,
}

/// Shows the S-VOLs of a backup and brings them to this host.
///
/// # Errors
/// KAVX0205-E for a backup that is not there, and what [`Work::begin`] and [`copy::bring`] say; then
/// all is as it was.
pub fn begin(console: &mut Console<'_>, id: BackupId) -> Outcome<Reading> {
    let work = Work::begin(console, id)?;
    let backup = work.there()?;
    let mut provider = provider::load(console, backup.generation)?;
    work.store.update(id, |backup| backup.reading = true)?;
    match copy::bring(console, &mut provider, backup) {
        Ok(devices) => Ok(Reading { id, devices: in_order(backup, &devices) }),
        Err(failed) => {
            let reading = Reading { id, devices: Vec::new() };
            if let Err(Stop::Failure(left)) = reading.give_back(console, &work, &mut provider) {
                console.tell(&left)?;
            }
            Err(failed)
        }
    }
}

impl Reading {
    /// Hides the S-VOLs again, unless they have been mounted since, and keeps the generation no
    /// longer.
    ///
    /// # Errors
    /// KAVX0110-E where an S-VOL is in use; what the provider and the catalogue say.
    pub fn end(self, console: &mut Console<'_>) -> Outcome {
        let work = Work::begin(console, self.id)?;
        let mut provider = provider::load(console, work.backup().generation)?;
        self.give_back(console, &work, &mut provider)
    }

    fn give_back(
        &self,
        console: &Console<'_>,
        work: &Work,
        provider: &mut ::provider::Provider,
    ) -> Outcome {
        let backup = work.backup();
        if backup.mounted.is_empty() {
            copy::take_away(console, provider, backup)?;
        }
        work.store.update(self.id, |backup| backup.reading = false)?;
        Ok(())
    }
}

/// The device of each volume of a backup, in its order.
pub(super) fn in_order(backup: &Backup, devices: &[(model::VolumeId, PathBuf)]) -> Vec<PathBuf> {
    let of = |secondary| devices.iter().find(|(volume, _)| *volume == secondary);
    backup
        .volumes
        .iter()
        .filter_map(|volume| of(volume.secondary))
        .map(|(_, at)| at.clone())
        .collect()
}
