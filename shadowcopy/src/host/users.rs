//! Who uses an LDEV on this host, so that its bytes must not change under them.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path};

use commands::attach::mounted;
use model::VolumeId;
use rustix::{fs::OFlags, io::Errno};
use scsi::disks::HostDisk;

use super::openers;
use crate::volume::{discover::Here, lun};

/// Its users: mounts, swap, maps, programs; the weightiest first. A loop device over an attached
/// file is none by itself.
#[must_use]
pub fn of<D: Fn(&str) -> HostDisk>(here: &Here<D>, volume: VolumeId) -> Vec<String> {
    let devices = devices(here, volume);
    let mut users = mounts(here, &devices);
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    for name in &devices {
        if swaps.lines().any(|line| line.split(' ').next() == Some(&format!("/dev/{name}"))) {
            users.push(format!("it is swap space, as /dev/{name}"));
        }
    }
    for name in &devices {
        if users.is_empty() && is_held(&Path::new("/dev").join(name)) {
            let by = here.blocks.holders(name);
            users.push(match by.is_empty() {
                true => format!("/dev/{name} is open for exclusive use"),
                false => format!("/dev/{name} is part of /dev/{}", by.join(", /dev/")),
            });
        }
    }
    if users.is_empty() {
        users.extend(loops(here, &devices));
        let numbers: Vec<_> = devices.iter().filter_map(|name| here.blocks.number(name)).collect();
        users.extend(openers::of(&numbers).users(&here.blocks));
    }
    for file in attached(here, volume) {
        let programs = mounted::holders(&file);
        let programs = programs.iter().filter(|holder| !holder.starts_with("/dev/"));
        users.extend(programs.map(|holder| format!("{} is open by {holder}", file.display())));
    }
    users
}

/// The kernel names of everything that stands on an LDEV, the disk itself included.
#[must_use]
pub fn devices<D: Fn(&str) -> HostDisk>(here: &Here<D>, volume: VolumeId) -> Vec<String> {
    let is_ours = |name: &String| {
        let info = lun::info(&(here.disk)(name));
        info.and_then(|info| info.volume().ok().flatten()) == Some(volume)
    };
    let mut names = here.blocks.all();
    names.retain(|name| {
        let disks = here.blocks.disks(name).unwrap_or_default();
        disks.iter().flatten().any(is_ours)
    });
    names
}

/// The files by which `horcm attach` shows an LDEV.
#[must_use]
pub fn attached<D>(here: &Here<D>, volume: VolumeId) -> Vec<std::path::PathBuf> {
    let source = format!("{}{}:{}", mounted::SOURCE, volume.serial, volume.ldev.get());
    let ours = here.mounts.0.iter().filter(|mount| mount.source == Path::new(&source));
    ours.map(|mount| mount.point.clone()).collect()
}

fn mounts<D>(here: &Here<D>, devices: &[String]) -> Vec<String> {
    let mut users = Vec::new();
    for mount in &here.mounts.0 {
        let of_device = |name: &String| {
            here.blocks.number(name) == Some(mount.device)
                || mount.source == Path::new("/dev").join(name)
        };
        if let Some(name) = devices.iter().find(|name| of_device(name)) {
            users.push(format!("/dev/{name} is mounted at {}", mount.point.display()));
        }
    }
    users
}

/// Loop devices over a device itself; they do not claim it.
fn loops<D>(here: &Here<D>, devices: &[String]) -> Vec<String> {
    let over = |name: &String| {
        let file = here.blocks.file(name)?;
        let below = devices.iter().find(|device| file == Path::new("/dev").join(device))?;
        Some(format!("/dev/{below} is behind /dev/{name}"))
    };
    here.blocks.all().iter().filter_map(over).collect()
}

/// Whether somebody has it for himself alone: a mount of any namespace, a map, mkfs.
fn is_held(device: &Path) -> bool {
    let mut options = OpenOptions::new();
    let flags = i32::try_from((OFlags::EXCL | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let opened = options.read(true).custom_flags(flags).open(device);
    opened.is_err_and(|error| error.raw_os_error() == Some(Errno::BUSY.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{block::tests::Sys, discover::tests::here};

    #[test]
    fn who_mounted_what_stands_on_an_ldev_is_named() {
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        sys.add("sdb", "8:16", &[]);
        sys.add("vda", "254:0", &[]);
        sys.partition("sda", "sda1", "8:1");
        sys.add("dm-0", "253:0", &["sda1", "sdb"]);
        let here = here(
            &sys,
            "29 1 254:0 / / rw - ext4 /dev/vda rw\n\
             40 29 253:0 / /lv rw - xfs /dev/mapper/vg-lv rw\n\
             41 29 0:44 / /bt rw - btrfs /dev/sdb rw\n\
             42 29 0:45 / /svol.lun rw - fuse horcm:62496:19 rw\n",
        );
        let volume = |point: &str| {
            let volumes = here.volumes(&[point.into()]).unwrap();
            volumes.last().unwrap().volume
        };
        let sdb = volume("/bt");
        assert_eq!(devices(&here, sdb), ["dm-0", "sdb"]);
        assert_eq!(
            mounts(&here, &devices(&here, sdb)),
            ["/dev/dm-0 is mounted at /lv", "/dev/sdb is mounted at /bt"]
        );
        assert_eq!(attached(&here, sdb), [Path::new("/svol.lun")]);
        let other = VolumeId { ldev: model::LdevId::new(30).unwrap(), ..sdb };
        assert_eq!(of(&here, other), Vec::<String>::new());
    }
}
