//! A backup of the catalogue, and its S-VOLs.

use std::path::PathBuf;

use commands::parse::Typed;
use model::VolumeId;
use provider::{Provider, lun::LunInfo, provider::StateChange};

use super::{provider as loaded, recovery, truth};
use crate::{
    catalogue::{Backup, BackupId, Claim, Kept, Store, error::must_be_there},
    console::Console,
    failure::{Checked, Failure, Outcome},
    host::{access, users},
    message,
    volume::{discover::Here, lun},
};

/// A backup to work with, and the right to do so.
#[derive(Debug)]
pub struct Work {
    /// The catalogue.
    pub store: Store,
    /// As the catalogue knows it, and whether its command died.
    pub kept: Kept,
    /// Until it is dropped nobody else works with the pairs.
    pub claim: Claim,
}

impl Work {
    /// Begins to work with a backup. What died is recovered first, and the catalogue is made true.
    ///
    /// # Errors
    /// KAVX0204-E while another command is at work, KAVX0201-E for one that is not there; what the
    /// catalogue says.
    pub fn begin(console: &mut Console<'_>, id: BackupId) -> Outcome<Self> {
        Self::of(console, id, None)
    }

    /// The same for whoever restores it, and ends a restore that is under way.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_restore(console: &mut Console<'_>, id: BackupId) -> Outcome<Self> {
        Self::of(console, id, Some(id))
    }

    fn of(console: &mut Console<'_>, id: BackupId, restores: Option<BackupId>) -> Outcome<Self> {
        let store = console.catalogue();
        let claim = store.claim(console.command)?;
        store.get(id)?;
        recovery::recover(console, &store, None)?;
        truth::settle(console, &store, restores)?;
        let kept = store.get(id)?;
        Ok(Self { store, kept, claim })
    }

    /// The backup.
    #[must_use]
    pub const fn backup(&self) -> &Backup {
        &self.kept.backup
    }

    /// The backup, if its S-VOLs hold it.
    ///
    /// # Errors
    /// KAVX0205-E.
    pub fn there(&self) -> Outcome<&Backup> {
        must_be_there(&self.kept.backup, self.kept.died)?;
        Ok(&self.kept.backup)
    }

    /// Refuses a backup that is mounted, locked, read or being restored.
    ///
    /// # Errors
    /// KAVX0205-E.
    pub fn free(&self) -> Outcome {
        let backup = self.backup();
        let refused = |state: &str, action: &str| {
            let failure = Failure::new(message::BACKUP_STATE).word(backup.id);
            let failure = failure.state(state).cause("its S-VOLs must keep what they hold");
            Err(failure.action(action).into())
        };
        if backup.restoring.is_some() {
            must_be_there(backup, self.kept.died)?;
        }
        match (backup.mounted.is_empty(), backup.is_kept()) {
            (false, _) => refused("mounted", "drmumount it first"),
            (true, true) => refused("locked, or being read", "drmcgctl -unlock it first"),
            (true, false) => Ok(()),
        }
    }
}

/// The backup ID among the words of a command.
///
/// # Errors
/// KAVX0050-E where there is none, or more.
pub fn id(command: &str, typed: &Typed) -> Outcome<BackupId> {
    let [word] = typed.operands() else {
        return Err(Failure::usage(command, "backupID", "it takes one backup ID").into());
    };
    Ok(word.parse().map_err(|error: crate::catalogue::record::BadBackupId| {
        Failure::usage(command, word.as_str(), error.to_string())
    })?)
}

/// The S-VOLs and P-VOLs of a backup, each pair once.
#[must_use]
pub fn volumes(backup: &Backup) -> Vec<(VolumeId, VolumeId)> {
    let mut found = Vec::new();
    for volume in &backup.volumes {
        let both = (volume.secondary, volume.primary);
        if !found.contains(&both) {
            found.push(both);
        }
    }
    found
}

/// The same as the provider takes them: copies and originals.
#[must_use]
pub fn luns(backup: &Backup) -> (Vec<LunInfo>, Vec<LunInfo>) {
    volumes(backup).into_iter().map(|(copy, own)| (lun::of(copy), lun::of(own))).unzip()
}

/// Refuses a volume that is in use on this host: its bytes are about to change.
///
/// # Errors
/// KAVX0113-E naming who uses it.
pub fn unused(volume: VolumeId) -> Checked {
    let here = Here::now()?;
    match users::of(&here, volume).into_iter().next() {
        None => Ok(()),
        Some(user) => Err(in_use(volume, user)),
    }
}

/// KAVX0113-E for a volume and its user.
#[must_use]
pub fn in_use(volume: VolumeId, user: String) -> Box<Failure> {
    Failure::new(message::IN_USE)
        .object(volume.to_string())
        .state("in use")
        .cause(user)
        .action("drmumount the backup on it, or unmount it, then repeat the command")
        .into()
}

/// Shows the S-VOLs and brings them to this host; the block device of each.
///
/// # Errors
/// What the provider refuses, KAVX0110-E. What was done until then is for [`take_away`].
pub fn bring(
    console: &Console<'_>,
    provider: &mut Provider,
    backup: &Backup,
) -> Outcome<Vec<(VolumeId, PathBuf)>> {
    let (copies, _) = luns(backup);
    provider.locate_luns(&copies).map_err(|refused| loaded::refused(&refused))?;
    let bring = |(copy, _): (VolumeId, VolumeId)| Ok((copy, access::bring(&console.home, copy)?));
    volumes(backup).into_iter().map(bring).collect()
}

/// Undoes [`bring`], as far as it was done: the S-VOLs leave this host and hide.
///
/// # Errors
/// KAVX0110-E where one is in use; what the provider refuses.
pub fn take_away(console: &Console<'_>, provider: &mut Provider, backup: &Backup) -> Outcome {
    for (copy, _) in volumes(backup) {
        access::release(&console.home, copy)?;
    }
    let (copies, originals) = luns(backup);
    let mask = StateChange(StateChange::DO_MASK_LUNS);
    let hidden = provider.on_lun_state_change(&copies, &originals, mask);
    Ok(hidden.map_err(|refused| loaded::refused(&refused))?)
}
