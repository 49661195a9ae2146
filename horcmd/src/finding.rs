//! Which disks of this host are LUs of the storage systems (`raidscan -find`).
//!
//! The daemon looks, not the command: so what a disk is said to be is what the disk says, and a
//! command needs no right to open it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use model::{CciError, Code, GroupName, LuPath, PortAddress, VolumeId};
use protocol::{
    codec,
    horcm::{Answer, FoundDisk, Holder, Reply, Selection, Target},
    orders::Sighting,
};
use scsi::disks::{
    Host, HostDisk, Identity,
    names::{self, Name},
};

use crate::{batch, daemon::Daemon, selection, sync};

/// What a page of disks needs beside them.
const AROUND: usize = 24;

/// The most disks that a refusal names.
const MOST_NAMED: usize = 8;

/// The names that were asked for, and all that was found.
type Found = (Vec<String>, Arc<Vec<FoundDisk>>);

/// The disks of the last question whose pages are not all told yet.
#[derive(Debug, Default)]
pub struct Pages(Mutex<Option<Found>>);

impl Pages {
    /// The rest of an answer; anything else begins anew.
    fn continued(&self, names: &[String], from: u32) -> Option<Arc<Vec<FoundDisk>>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, disks) = slot.as_ref()?;
        (from > 0 && asked == names).then(|| Arc::clone(disks))
    }

    fn keep(&self, names: &[String], disks: &Arc<Vec<FoundDisk>>, more: bool) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if more {
            *slot = Some((names.to_vec(), Arc::clone(disks)));
        } else if slot.as_ref().is_some_and(|(asked, _)| asked == names) {
            *slot = None;
        }
    }
}

/// Answers `Find`: the disks from the `from`th on that fit.
///
/// # Errors
/// EX_ENODEV when no disk can be looked for.
pub async fn find(
    daemon: &Daemon,
    names: &[String],
    holders: bool,
    from: u32,
    room: usize,
) -> Answer {
    let (disks, next) = page(daemon, names, holders, from, room).await?;
    Ok(Reply::Found { disks, next })
}

/// Answers `Sync`: has the disks of a page write what they hold back, and tells which did.
///
/// # Errors
/// EX_ENOGRP; EX_ENODEV when no disk can be looked for; EX_CMDIOE with the disks of the page that
/// did not.
pub async fn sync(
    daemon: &Daemon,
    names: &[String],
    group: Option<&GroupName>,
    from: u32,
    room: usize,
) -> Answer {
    if let Some(group) = group {
        daemon.catalog.group(group)?;
    }
    let (mut disks, next) = page(daemon, names, group.is_some(), from, room).await?;
    if let Some(group) = group {
        disks.retain(|disk| disk.holders.iter().any(|holder| holder.group == *group));
    }
    let done = sync::all(&daemon.disks, disks.iter().map(|disk| disk.device.as_str())).await;
    all_done(&disks, &done)?;
    Ok(Reply::Found { disks, next })
}

/// Refuses to call a page written when a disk of it is not.
fn all_done(disks: &[FoundDisk], done: &[bool]) -> Result<(), CciError> {
    let failed = disks.iter().zip(done).filter(|(_, done)| !**done);
    let failed: Vec<_> = failed.map(|(disk, _)| disk.device.as_str()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let more = match failed.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = failed[..failed.len().min(MOST_NAMED)].join(", ");
    Err(CciError::new(Code::ExCmdioe)
        .object(format!("{named}{more}"))
        .state("the other disks asked so far have written what they hold back")
        .cause("it did not write what it holds back; the log of the instance says why")
        .advice("mend that and run raidscan -find sync again"))
}

/// The disks from the `from`th on that fit, at least one, and where the next page begins.
async fn page(
    daemon: &Daemon,
    names: &[String],
    holders: bool,
    from: u32,
    room: usize,
) -> Result<(Vec<FoundDisk>, Option<u32>), CciError> {
    daemon.devices.settled().await;
    let all = match daemon.pages.continued(names, from) {
        Some(all) => all,
        None => Arc::new(look(daemon, names).await?),
    };
    let start = usize::try_from(from).unwrap_or(usize::MAX);
    let rest = all.get(start..).unwrap_or_default();
    // A holder belongs to one disk mostly; looking for all at once is one pass.
    let held = if holders { held(daemon, rest) } else { HashMap::new() };
    let mut left = room.saturating_sub(AROUND);
    let mut page = Vec::new();
    for disk in rest {
        let holders = held.get(&disk.volume).cloned().unwrap_or_default();
        let disk = FoundDisk { holders, ..disk.clone() };
        let size = codec::encode(&disk).len();
        if size > left && !page.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        page.push(disk);
    }
    let end = start.saturating_add(page.len());
    let next = u32::try_from(end).ok().filter(|_| end < all.len());
    daemon.pages.keep(names, &all, next.is_some());
    Ok((page, next))
}

/// The volumes of the configuration that disks are.
fn held(daemon: &Daemon, disks: &[FoundDisk]) -> HashMap<VolumeId, Vec<Holder>> {
    let mut held: HashMap<_, _> = disks.iter().map(|disk| (disk.volume, Vec::new())).collect();
    for (group, member) in daemon.catalog.members() {
        let holders = member.volume().and_then(|volume| held.get_mut(&volume));
        if let Some(holders) = holders {
            let (group, name) = (group.name.clone(), member.name.clone());
            holders.push(Holder { group, name, mu: member.mu() });
        }
    }
    held
}

/// Every LU of a storage system that these names stand for, in their order.
///
/// # Errors
/// EX_ENODEV when no disk can be looked for; EX_ERANGE for a list of too many names.
pub async fn look(daemon: &Daemon, names: &[String]) -> Result<Vec<FoundDisk>, CciError> {
    let names = names::expand_all(names)?;
    let host = Host::of_file(daemon.disks.file()).map_err(|error| unlooked(error.to_string()))?;
    // Reading what the kernel knows of thousands of disks takes time that requests do not have.
    let runtime = tokio::runtime::Handle::current();
    let looked = tokio::task::spawn_blocking(move || runtime.block_on(host.named(&names)));
    let found = looked.await.map_err(|error| unlooked(error.to_string()))?;
    let faults: Vec<_> =
        found.faults.iter().map(|(at, why)| format!("portal {at}: {why}")).collect();
    for fault in &faults {
        log::warn!("{}: {fault}", daemon.disks.file().display());
    }
    let mut disks: Vec<_> = found.disks.into_iter().filter_map(|disk| lu(daemon, disk)).collect();
    if disks.is_empty() && !faults.is_empty() {
        return Err(unlooked(faults.join("; ")));
    }
    trace(daemon, &mut disks).await;
    Ok(disks.into_iter().map(|(disk, _)| disk).collect())
}

fn unlooked(reason: String) -> CciError {
    CciError::new(Code::ExEnodev)
        .object("the disks of this host")
        .cause(reason)
        .advice("correct horcm.hba, or start the storage system")
}

/// A disk that is an LU, and where the host sees it.
fn lu(daemon: &Daemon, disk: HostDisk) -> Option<(FoundDisk, Option<u64>)> {
    let Identity { serial, ldev, port, place, .. } = disk.identity?;
    let volume = VolumeId { serial, ldev };
    let path = port.zip(place.target.zip(place.lun)).map(|(port, (target, lun))| {
        let host_group = place.host_group.filter(|group| *group != 0);
        LuPath { port: PortAddress { port, host_group }, target, lun }
    });
    let registered = daemon.devices.volume_of(&disk.device_file) == Some(volume);
    let found = FoundDisk {
        device: disk.device_file,
        unit: daemon.units.id_of(serial),
        volume,
        port,
        path,
        product: disk.inquiry.map(|inquiry| inquiry.product).unwrap_or_default(),
        registered,
        holders: Vec::new(),
    };
    Some((found, disk.lun))
}

/// Asks the storage systems for the paths that the disks themselves did not tell.
async fn trace(daemon: &Daemon, disks: &mut [(FoundDisk, Option<u64>)]) {
    for unit in daemon.units.all() {
        let Some(serial) = unit.serial() else { continue };
        let open = |(disk, lun): &(FoundDisk, Option<u64>)| {
            let port = disk.port.filter(|_| disk.path.is_none() && disk.volume.serial == serial)?;
            let lun = lun.and_then(|lun| u16::try_from(lun).ok()).unwrap_or_default();
            Some(Sighting { ldev: disk.volume.ldev, port, lun })
        };
        let (places, seen): (Vec<_>, Vec<_>) =
            disks.iter().enumerate().filter_map(|(n, disk)| Some((n, open(disk)?))).unzip();
        if seen.is_empty() {
            continue;
        }
        match batch::trace(unit, seen).await {
            Ok(paths) => {
                for (place, path) in places.into_iter().zip(paths) {
                    disks[place].0.path = path;
                }
            }
            // Where the disks are is still shown, as far as they tell it themselves.
            Err(refused) => log::warn!("paths of disks are unknown: {}", refused.error),
        }
    }
}

/// A selection that names no device file: the LDEV that the file is instead.
///
/// # Errors
/// EX_ENODEV for what is no LU of a storage system, stands for several disks, or is another disk now
/// than was registered by this name.
pub async fn selection(daemon: &Daemon, selection: Selection) -> Result<Selection, CciError> {
    let Target::Device { path, mu, whole_group } = selection.target else {
        return Ok(selection);
    };
    let name = single(&path)?;
    daemon.devices.settled().await;
    let registered = daemon.devices.volume_of(&name);
    // The numbers of disks move when one hides, so that what was registered may be another by now.
    let seen = look(daemon, std::slice::from_ref(&name)).await;
    let seen = seen.map(|disks| disks.first().map(|disk| disk.volume));
    let volume = agreed(&path, registered, seen)?;
    Ok(Selection { target: Target::Ldev { volume, mu, whole_group }, ..selection })
}

/// The device file that a word names, as it is registered; a change must never take the first of
/// several.
fn single(word: &str) -> Result<String, CciError> {
    match names::expand(word).as_slice() {
        [name @ (Name::Harddisk(_) | Name::File(_))] => Ok(name.to_string()),
        _ => Err(CciError::new(Code::ExEnodev)
            .object(word)
            .cause("it does not name exactly one disk")
            .advice("name one, such as Harddisk2")),
    }
}

/// The volume that a device file is: as it is seen, or where it is not, as it was registered.
fn agreed(
    path: &str,
    registered: Option<VolumeId>,
    seen: Result<Option<VolumeId>, CciError>,
) -> Result<VolumeId, CciError> {
    match (registered, seen) {
        (Some(registered), Ok(Some(seen))) if registered != seen => {
            Err(CciError::new(Code::ExEnodev)
                .object(path)
                .state(format!("it is {seen}"))
                .cause(format!("the disk is another than was registered, {registered}"))
                .advice("register it with raidscan -find inst, or name the volume with -g and -d"))
        }
        (_, Ok(Some(volume))) | (Some(volume), _) => Ok(volume),
        (None, Ok(None)) => Err(selection::no_device(path)),
        (None, Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(number: u32) -> FoundDisk {
        FoundDisk {
            device: format!("Harddisk{number}"),
            unit: Some(0),
            volume: VolumeId {
                serial: 62_496_u32.try_into().unwrap(),
                ldev: 18_u32.try_into().unwrap(),
            },
            port: None,
            path: None,
            product: "OPEN-3".to_owned(),
            registered: false,
            holders: Vec::new(),
        }
    }

    #[test]
    fn disks_that_did_not_write_are_an_error_that_names_them() {
        let disks: Vec<_> = (0..20).map(disk).collect();
        all_done(&disks, &[true; 20]).unwrap();
        let mut done = [true; 20];
        (done[3], done[17]) = (false, false);
        let error = all_done(&disks, &done).unwrap_err();
        assert_eq!(error.code, Code::ExCmdioe);
        assert_eq!(error.object.as_deref(), Some("Harddisk3, Harddisk17"));
        let error = all_done(&disks, &[false; 20]).unwrap_err();
        assert!(error.object.unwrap().ends_with("Harddisk7 and 12 more"));
    }

    #[test]
    fn a_device_file_is_one_disk() {
        assert_eq!(single(r"\\.\PhysicalDrive2").unwrap(), "Harddisk2");
        assert_eq!(single("/dev/sda").unwrap(), "/dev/sda");
        for word in ["$Phys", "$Volume", "hd1-3", "hd3-1"] {
            assert_eq!(single(word).unwrap_err().code, Code::ExEnodev, "{word}");
        }
    }

    #[test]
    fn a_registered_disk_that_is_seen_as_another_is_neither() {
        let [first, second] = [18_u32, 19].map(|ldev| VolumeId {
            serial: 62_496_u32.try_into().unwrap(),
            ldev: ldev.try_into().unwrap(),
        });
        let silent = || Err(unlooked("portal".to_owned()));
        assert_eq!(agreed("hd1", None, Ok(Some(first))).unwrap(), first);
        assert_eq!(agreed("hd1", Some(first), Ok(Some(first))).unwrap(), first);
        assert_eq!(agreed("hd1", Some(first), Ok(None)).unwrap(), first, "it hides");
        assert_eq!(agreed("hd1", Some(first), silent()).unwrap(), first);
        for (registered, seen) in
            [(Some(first), Ok(Some(second))), (None, Ok(None)), (None, silent())]
        {
            assert_eq!(agreed("hd1", registered, seen).unwrap_err().code, Code::ExEnodev);
        }
    }
}
