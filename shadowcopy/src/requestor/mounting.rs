//! S-VOLs mounted on this host, for reading.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use model::VolumeId;
use protocol::Home;
use provider::Provider;

use super::copy;
use crate::{
    catalogue::{Backup, Store, record::Volume},
    console::Console,
    failure::{Checked, Failure, Outcome, Stop},
    host::{programs, users},
    message,
    volume::discover::Here,
};

/// Mounts all file systems of a backup; doing it twice is fine. Its generation is kept from now on. Without `place` they are below `$HORCMROOT/drm/mnt`; one alone is at `place`, several are
/// below it as they are below `/`.
///
/// # Errors
/// KAVX0111-E, what the provider refuses, what the catalogue says; then nothing is left mounted,
/// unless that fails too.
pub fn mount(
    console: &mut Console<'_>,
    store: &Store,
    provider: &mut Provider,
    backup: &Backup,
    place: Option<&Path>,
) -> Outcome {
    let mut plan = plan(&console.home, backup, place)?;
    if !backup.mounted.is_empty() {
        let elsewhere = plan.iter().map(|(_, place)| place).ne(&backup.mounted);
        if place.is_some() && elsewhere {
            return Err(is_elsewhere(backup).into());
        }
        for ((_, place), known) in plan.iter_mut().zip(&backup.mounted) {
            place.clone_from(known);
        }
    }
    store.update(backup.id, |backup| {
        backup.mounted = plan.iter().map(|(_, place)| place.clone()).collect();
    })?;
    let done = all(console, provider, backup, &plan);
    if let Err(failed) = done {
        // What cannot be undone either is told by drmumount.
        let backup = store.get(backup.id)?.backup;
        if let Err(Stop::Failure(left)) = unmount(console, store, provider, &backup) {
            console.tell(&left)?;
        }
        return Err(failed);
    }
    plan.iter().try_for_each(|(_, place)| console.say(message::MOUNTED, &[&place.display()]))
}

fn is_elsewhere(backup: &Backup) -> Failure {
    let places: Vec<_> = backup.mounted.iter().map(|place| place.display().to_string()).collect();
    Failure::new(message::BACKUP_STATE)
        .word(backup.id)
        .state(format!("mounted at {}", places.join(", ")))
        .cause("it is mounted elsewhere already")
        .action("drmumount it first")
}

fn all(
    console: &Console<'_>,
    provider: &mut Provider,
    backup: &Backup,
    plan: &[(&Volume, PathBuf)],
) -> Outcome {
    let devices = copy::bring(console, provider, backup)?;
    for (volume, place) in plan {
        let here = Here::now()?;
        if let Some(mounted) = here.mounts.at(place) {
            let ours = users::devices(&here, volume.secondary);
            if ours.iter().any(|name| here.blocks.number(name) == Some(mounted.device)) {
                continue;
            }
        }
        free(&here, place)?;
        let found = devices.iter().find(|(copy, _)| *copy == volume.secondary);
        let Some((_, disk)) = found else { continue };
        one(volume, disk, place)?;
    }
    Ok(())
}

/// Refuses a place that something would disappear behind: what is mounted there, or files.
fn free<D: Fn(&str) -> scsi::disks::HostDisk>(here: &Here<D>, place: &Path) -> Checked {
    let refused = |cause: &str| {
        Failure::new(message::MOUNT_FAILED)
            .object(place.display().to_string())
            .cause(cause)
            .action("name an empty directory, or one that is not there yet, with -mount_pt")
    };
    if here.mounts.at(place).is_some() {
        return Err(refused("another file system is mounted there").into());
    }
    match fs::read_dir(place).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(refused("there are files in it, which nobody would see any more").into()),
        // Not there yet; whatever else is wrong, the mount says.
        Ok(false) | Err(_) => Ok(()),
    }
}

fn one(volume: &Volume, disk: &Path, place: &Path) -> Checked {
    let device = like(&volume.device, disk);
    let refused = |cause: String| {
        Failure::new(message::MOUNT_FAILED)
            .object(place.display().to_string())
            .state(format!("{} of {} on {}", volume.file_system, volume.secondary, device.display()))
            .cause(cause)
            .action("a file system on a logical volume has to be mounted by hand: horcm attach, vgimportclone, mount")
    };
    fs::create_dir_all(place).map_err(|error| refused(error.to_string()))?;
    // A second file system of the same UUID is what XFS refuses unless told.
    let options = if volume.file_system == "xfs" { "ro,nouuid" } else { "ro" };
    let words = [
        OsStr::new("-t"),
        volume.file_system.as_ref(),
        "-o".as_ref(),
        options.as_ref(),
        device.as_os_str(),
        place.as_os_str(),
    ];
    programs::system("mount", &words).map(drop).map_err(|cause| refused(cause).into())
}

/// Unmounts what [`mount`] has mounted, takes the S-VOLs away from this host, and keeps the
/// generation no longer, unless it is locked; doing it twice is fine.
///
/// # Errors
/// KAVX0112-E where somebody uses a file system, KAVX0110-E, what the provider refuses.
pub fn unmount(
    console: &mut Console<'_>,
    store: &Store,
    provider: &mut Provider,
    backup: &Backup,
) -> Outcome {
    for place in backup.mounted.iter().rev() {
        let here = Here::now()?;
        let Some(mounted) = here.mounts.at(place) else { continue };
        let ours = |copy: VolumeId| {
            let devices = users::devices(&here, copy);
            devices.iter().any(|name| here.blocks.number(name) == Some(mounted.device))
        };
        if !copy::volumes(backup).into_iter().any(|(copy, _)| ours(copy)) {
            continue;
        }
        programs::system("umount", &[place]).map_err(|cause| {
            Failure::new(message::UNMOUNT_FAILED)
                .object(place.display().to_string())
                .state("mounted")
                .cause(cause)
                .action("end what uses it (fuser -vm shows who), then repeat the command")
        })?;
        console.say(message::UNMOUNTED, &[&place.display()])?;
    }
    copy::take_away(console, provider, backup)?;
    let own = own_place(&console.home, backup);
    for place in backup.mounted.iter().rev().filter(|place| place.starts_with(&own)) {
        // Only what is empty, and only what is below it.
        let ours = place.ancestors().take_while(|above| above.starts_with(&own));
        ours.for_each(|above| drop(fs::remove_dir(above)));
    }
    store.update(backup.id, |backup| {
        backup.mounted.clear();
    })?;
    Ok(())
}

/// `$HORCMROOT/drm/mnt/0000000001`
fn own_place(home: &Home, backup: &Backup) -> PathBuf {
    home.root().join("drm/mnt").join(backup.id.to_string())
}

/// Where each file system goes, those above others first.
fn plan<'b>(
    home: &Home,
    backup: &'b Backup,
    place: Option<&Path>,
) -> Checked<Vec<(&'b Volume, PathBuf)>> {
    let mut volumes: Vec<&Volume> = backup.volumes.iter().collect();
    volumes.sort_by_key(|volume| volume.mount.as_os_str().len());
    for (n, volume) in volumes.iter().enumerate() {
        if volumes[..n].iter().any(|other| other.mount == volume.mount) {
            return Err(on_several(backup, volume).into());
        }
    }
    let place = place.map_or_else(|| own_place(home, backup), Path::to_owned);
    let alone = volumes.len() == 1;
    let below = |volume: &'b Volume| {
        let inner = volume.mount.strip_prefix("/").unwrap_or(&volume.mount);
        (volume, if alone { place.clone() } else { place.join(inner) })
    };
    Ok(volumes.into_iter().map(below).collect())
}

/// A file system whose copy is on several S-VOLs: a logical volume, or btrfs.
fn on_several(backup: &Backup, volume: &Volume) -> Failure {
    let parts = backup.volumes.iter().filter(|other| other.mount == volume.mount);
    let luns: Vec<_> = parts.map(|part| part.secondary.to_string()).collect();
    Failure::new(message::MOUNT_FAILED)
        .object(volume.mount.display().to_string())
        .state(format!("on several LUNs: {}", luns.join(", ")))
        .cause("this command does not put together what is on several LUNs (a logical volume, btrfs)")
        .action(format!(
            "mount it by hand: drmcgctl -lock {}; show its S-VOLs by their instance (raidvchkset -g {} -vg); horcm attach \
             and losetup each of them; vgimportclone for a logical volume; mount -o ro. Afterwards the reverse, and \
             raidvchkset -vg idb",
            backup.id, volume.group
        ))
}

/// The device of a file system on another disk: its partition of the same number, or the disk.
fn like(original: &Path, disk: &Path) -> PathBuf {
    let name = original.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let Some(number) = partition(name) else { return disk.to_owned() };
    let disk = disk.to_string_lossy();
    let glue = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    PathBuf::from(format!("{disk}{glue}{number}"))
}

/// The number of a partition by its kernel name: `sda1`, `loop3p1`.
fn partition(name: &str) -> Option<&str> {
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.strip_prefix(disk).filter(|number| !number.is_empty())?;
    let lettered = ["sd", "vd", "hd", "xvd"].iter().any(|kind| {
        let letters = disk.strip_prefix(kind);
        letters.is_some_and(|l| !l.is_empty() && l.bytes().all(|byte| byte.is_ascii_lowercase()))
    });
    let numbered =
        disk.strip_suffix('p').is_some_and(|disk| disk.ends_with(|c: char| c.is_ascii_digit()));
    (lettered || numbered).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::record::fake::backup;

    #[test]
    fn a_partition_is_found_again_on_the_copy() {
        for (original, disk, device) in [
            ("/dev/loop3", "/dev/loop9", "/dev/loop9"),
            ("/dev/loop3p2", "/dev/loop9", "/dev/loop9p2"),
            ("/dev/sda1", "/dev/loop9", "/dev/loop9p1"),
            ("/dev/loop3p12", "/dev/sdb", "/dev/sdb12"),
            ("/dev/dm-0", "/dev/sdb", "/dev/sdb"),
            ("/dev/sdb", "/dev/loop9", "/dev/loop9"),
        ] {
            assert_eq!(like(Path::new(original), Path::new(disk)), Path::new(device));
        }
    }

    #[test]
    fn one_file_system_is_at_the_place_and_several_are_below_it_as_they_were() {
        let home = Home::at("/HORCM".into());
        let volume = |n: u32, mount: &str| Volume {
            mount: mount.into(),
            ..crate::catalogue::record::fake::volume(n)
        };
        let mut backup = backup(7);
        backup.volumes = vec![volume(1, "/srv/db")];
        let places = |backup: &Backup, place: Option<&str>| -> Vec<String> {
            let plan = plan(&home, backup, place.map(Path::new)).unwrap();
            plan.iter().map(|(_, place)| place.display().to_string()).collect()
        };
        assert_eq!(places(&backup, None), ["/HORCM/drm/mnt/0000000007"]);
        assert_eq!(places(&backup, Some("/mnt")), ["/mnt"]);
        backup.volumes = vec![volume(1, "/srv/db/wal"), volume(2, "/srv/db")];
        assert_eq!(places(&backup, Some("/mnt")), ["/mnt/srv/db", "/mnt/srv/db/wal"]);
        backup.volumes.push(volume(3, "/srv/db"));
        assert!(plan(&home, &backup, None).unwrap_err().action.unwrap().contains("vgimportclone"));
    }
}
