//! From the names of the configuration to devices: HORCM_DEV's paths to LDEVs, HORCM_LDEV's
//! LDEVs to their first path.
//!
//! HORCM_DEV does not say which storage system a path belongs to, so the units are asked in the
//! order of HORCM_CMD, and the first that has an LU there is it.

use std::sync::Arc;

use model::{CciError, VolumeId};

use crate::{
    batch,
    catalog::{Catalog, Group, Member},
    units::{Unit, Units},
};

/// How many volumes a report names.
const NAMED: usize = 10;

/// What was not found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Missing {
    /// How many volumes.
    pub count: usize,
    /// The first of them, in words.
    pub first: Vec<String>,
}

impl Missing {
    fn note(&mut self, group: &Group, member: &Member, why: &str) {
        self.count += 1;
        if self.first.len() < NAMED {
            let object = group.object(&member.name, None);
            self.first.push(format!("{object}: {why}"));
        }
    }
}

/// Asks for everything not known yet, and notes it in the catalog. Returns what is missing.
///
/// # Errors
/// EX_CMDIOE when a unit that answered before does not now.
pub async fn resolve(catalog: &Catalog, units: &Units) -> Result<Missing, CciError> {
    for unit in units.all() {
        if unit.serial().is_some() {
            find_volumes(catalog, unit).await?;
        }
    }
    let mut missing = Missing::default();
    for (group, member) in catalog.members() {
        match (member.volume(), member.path()) {
            (None, Some(path)) => {
                missing.note(group, member, &format!("no LU at {path}"));
            }
            (Some(volume), _) if units.by_serial(volume.serial).is_err() => {
                let serial = volume.serial;
                let why = format!("no command device leads to Serial# {serial}");
                missing.note(group, member, &why);
            }
            _ => {}
        }
    }
    for unit in units.all() {
        if unit.serial().is_some() {
            find_paths(catalog, unit, &mut missing).await?;
        }
    }
    Ok(missing)
}

async fn find_volumes(catalog: &Catalog, unit: &Arc<Unit>) -> Result<(), CciError> {
    let unknown = || catalog.members().filter(|(_, member)| member.volume().is_none());
    let paths: Vec<_> = unknown().filter_map(|(_, member)| member.path()).collect();
    let (Some(serial), false) = (unit.serial(), paths.is_empty()) else {
        return Ok(());
    };
    let found = batch::locate(unit, paths).await.map_err(|e| e.error)?;
    // The same members in the same order: nothing else notes volumes meanwhile, and a volume
    // noted twice keeps its first finding.
    let members: Vec<_> = unknown().map(|(_, member)| member).collect();
    for (member, ldev) in members.into_iter().zip(found) {
        if let Some(ldev) = ldev {
            member.found_volume(VolumeId { serial, ldev });
        }
    }
    Ok(())
}

async fn find_paths(
    catalog: &Catalog,
    unit: &Arc<Unit>,
    missing: &mut Missing,
) -> Result<(), CciError> {
    let Some(serial) = unit.serial() else {
        return Ok(());
    };
    let of_unit: Vec<_> = catalog
        .members()
        .filter(|(_, member)| member.path().is_none())
        .filter_map(|(group, member)| Some((group, member, member.volume()?)))
        .filter(|(_, _, volume)| volume.serial == serial)
        .collect();
    if of_unit.is_empty() {
        return Ok(());
    }
    let ldevs = of_unit.iter().map(|(_, _, volume)| volume.ldev).collect();
    let found = batch::describe(unit, ldevs).await.map_err(|e| e.error)?;
    for ((group, member, volume), info) in of_unit.into_iter().zip(found) {
        match info {
            None => missing.note(group, member, &format!("no {volume}")),
            Some(info) => {
                if let Some(path) = info.path {
                    member.found_path(path);
                }
            }
        }
    }
    Ok(())
}
