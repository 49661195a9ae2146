//! What is to be copied, and where to.

use std::path::PathBuf;

use model::{MuNumber, VolumeId};
use provider::{
    journal::{Journal, Phase},
    raid::{Pair, Raid},
    session::Session,
};

use super::{copy, provider as loaded, recovery};
use crate::{
    catalogue::{Backup, Store, generation, record::Volume},
    configured,
    console::Console,
    failure::{Checked, Failure, Outcome},
    message,
    volume::{MountedVolume, discover::Here, place},
};

/// The volumes of a backup and their pairs in one generation.
#[derive(Debug)]
pub struct Target {
    /// The volumes.
    pub volumes: Vec<MountedVolume>,
    /// The pair of each.
    pub pairs: Vec<Pair>,
    /// The generation.
    pub generation: MuNumber,
}

/// The volumes mounted at these points, which are absolute and without links. No file is touched:
/// the catalogue may lie on one of them.
///
/// # Errors
/// KAVX0100-E for what cannot be copied.
pub fn volumes(
    console: &Console<'_>,
    store: &Store,
    points: &[PathBuf],
) -> Checked<Vec<MountedVolume>> {
    let here = Here::now()?;
    let volumes = here.volumes(points)?;
    keep_apart(console, store, &here, &volumes)?;
    Ok(volumes)
}

impl Target {
    /// The generation that volumes are copied to: the one that was `asked` for, else the one whose
    /// turn it is. Nothing is changed.
    ///
    /// # Errors
    /// KAVX0101-E where no generation can be used, KAVX0113-E where an S-VOL is in use; what RAID
    /// Manager says.
    pub fn find(
        console: &Console<'_>,
        store: &Store,
        volumes: Vec<MountedVolume>,
        asked: Option<MuNumber>,
    ) -> Outcome<Self> {
        let mut ids: Vec<VolumeId> = volumes.iter().map(|volume| volume.volume).collect();
        ids.dedup();
        let settings = loaded::settings(&console.environment)?;
        let instance = settings.exporting().map_err(|fault| loaded::fault(&fault))?.instance;
        let defined = configured::defined(&console.home, instance)?;
        let mirrors = configured::common(&defined, &ids, instance)?;
        let backups = store.list()?.records();
        let generation =
            generation::choose(asked, &mirrors, &ids, &backups).map_err(Failure::from)?;
        let mut raid = Session::new(console.home.clone(), &settings);
        let mut pairs = Vec::new();
        for volume in &volumes {
            let pair = raid.by_primary(volume.volume, generation)?.ok_or_else(|| {
                Failure::new(message::GENERATION)
                    .object(format!("{} MU# {generation}", volume.volume))
                    .cause("the configuration was changed a moment ago")
            })?;
            copy::unused(pair.secondary.volume)?;
            pairs.push(pair);
        }
        if asked.is_none() {
            unnamed(console, &backups, &pairs)?;
        }
        Ok(Self { volumes, pairs, generation })
    }

    /// As the catalogue keeps them.
    #[must_use]
    pub fn records(&self) -> Vec<Volume> {
        let record = |(volume, pair): (&MountedVolume, &Pair)| Volume {
            mount: volume.mount.clone(),
            device: volume.device.clone(),
            file_system: volume.file_system.clone(),
            group: pair.group.clone(),
            name: pair.name.clone(),
            primary: pair.primary.volume,
            secondary: pair.secondary.volume,
        };
        self.volumes.iter().zip(&self.pairs).map(record).collect()
    }
}

/// Refuses S-VOLs that hold a shadow copy which none of these records names: its record may be
/// damaged, and nobody knows whether it was locked.
///
/// # Errors
/// KAVX0101-E naming the shadow copy set; what the provider's journal says.
pub(super) fn unnamed(console: &Console<'_>, backups: &[Backup], pairs: &[Pair]) -> Outcome {
    let found = loaded::journal(&console.home)?.records().map_err(|error| {
        Failure::new(message::PROVIDER)
            .word("EV_EOPDEV")
            .object(loaded::journal_path(&console.home).display().to_string())
            .cause(error.to_string())
    })?;
    let created = found.records.iter().filter(|set| set.phase == Phase::Created);
    for set in created.filter(|set| backups.iter().all(|backup| backup.set != set.set)) {
        let taken = |pair: &&Pair| {
            set.pairs.iter().any(|known| known.secondary.volume == pair.secondary.volume)
        };
        if let Some(pair) = pairs.iter().find(taken) {
            return Err(Failure::new(message::GENERATION)
                .object(pair.to_string())
                .state(format!("holds shadow copy set {}", set.set))
                .cause("the catalog has no record of it that can be read")
                .action(format!(
                    "drmdbimport its record from an export, or shadowadmin delete shadows -shadow={}",
                    set.set
                ))
                .into());
        }
    }
    Ok(())
}

/// What must not lie on a volume of the set.
fn keep_apart<D: Fn(&str) -> scsi::disks::HostDisk>(
    console: &Console<'_>,
    store: &Store,
    here: &Here<D>,
    volumes: &[MountedVolume],
) -> Checked {
    let root = console.home.root();
    let elsewhere = "set HORCMROOT to a directory on a disk that is not copied itself";
    place::apart(
        here,
        volumes,
        "the backup catalog",
        store.path(),
        "set DRM_DB_PATH to a directory on a disk that is not copied itself",
    )?;
    for (what, path) in [
        ("the journal of snapshot sets", loaded::journal_path(&console.home)),
        ("the journal of the coordinator", recovery::run_path(&console.home)),
    ] {
        place::apart(here, volumes, what, &path, elsewhere)?;
    }
    // An attachment writes its log there: frozen with the rest, nothing would thaw any more.
    if here.any_attached(volumes) {
        place::apart(here, volumes, "the log of horcm attach", &root.join("log"), elsewhere)?;
    }
    Ok(())
}
