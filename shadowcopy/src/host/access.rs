//! An LDEV as a block device of this host: a disk of the kernel where there is one, else a loop
//! device over the file that `horcm attach` makes of the LUN.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use model::VolumeId;
use protocol::Home;
use rustix::io::Errno;
use scsi::disks::HostDisk;

use super::{programs, users};
use crate::{
    failure::{Checked, Failure},
    message,
    volume::discover::Here,
};

/// How long others may look at a loop device that is to go.
const LOOKED_AT: Duration = Duration::from_secs(5);
/// How long an attachment may take that somebody else has begun.
const BEGUN: Duration = Duration::from_secs(5);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Brings an LDEV to this host, unless it is there; its block device.
///
/// # Errors
/// KAVX0110-E with what `horcm attach` or `losetup` says.
pub fn bring(home: &Home, volume: VolumeId) -> Checked<PathBuf> {
    let here = Here::now()?;
    if let Some(name) = disk(&here, volume) {
        return Ok(Path::new("/dev").join(name));
    }
    let refused = |cause: String| {
        Failure::new(message::ACCESS)
            .object(volume.to_string())
            .cause(cause)
            .action("see that $HORCMROOT/etc/horcm.hba names the portal, and that the array offers the LUN to this host (docs/attach.md)")
    };
    let file = match attached(&here, volume) {
        Some(file) => file,
        None => match attach(home, volume) {
            Ok(file) => file,
            Err(cause) => begun_before(volume)?.ok_or_else(|| refused(cause))?,
        },
    };
    let here = Here::now()?;
    let over = |name: &String| here.blocks.file(name).as_deref() == Some(&*file);
    if let Some(name) = users::devices(&here, volume).into_iter().find(over) {
        return Ok(Path::new("/dev").join(name));
    }
    let made = programs::system(
        "losetup",
        &[OsStr::new("--find"), "--show".as_ref(), "--partscan".as_ref(), file.as_os_str()],
    );
    Ok(PathBuf::from(made.map_err(refused)?))
}

/// The file of a LUN that is attached, with its process alive.
fn attached<D: Fn(&str) -> HostDisk>(here: &Here<D>, volume: VolumeId) -> Option<PathBuf> {
    users::attached(here, volume).into_iter().find(|file| is_alive(file))
}

/// The file that a command which died since has begun to attach: its `horcm attach` goes on without
/// it, and is in the way of ours.
fn begun_before(volume: VolumeId) -> Checked<Option<PathBuf>> {
    let began = Instant::now();
    while began.elapsed() < BEGUN {
        if let Some(file) = attached(&Here::now()?, volume) {
            return Ok(Some(file));
        }
        std::thread::sleep(LOOK);
    }
    Ok(None)
}

/// Undoes [`bring`], as far as it was done; what others brought stays. Nothing is mounted of it any
/// more.
///
/// # Errors
/// KAVX0110-E with what `losetup` or `horcm detach` says.
pub fn release(home: &Home, volume: VolumeId) -> Checked {
    let file = file(home, volume);
    let refused = |cause: String| {
        Failure::new(message::ACCESS)
            .object(volume.to_string())
            .state(format!("attached as {}", file.display()))
            .cause(cause)
            .action("end what uses it, then repeat the command")
    };
    let here = Here::now()?;
    for name in users::devices(&here, volume) {
        if here.blocks.file(&name).as_deref() == Some(&file) {
            let device = format!("/dev/{name}");
            programs::system("losetup", &["--detach", &device]).map_err(refused)?;
            // It goes when the last has closed it: udev, or what a command that died has started.
            let began = Instant::now();
            while here.blocks.file(&name).as_deref() == Some(&file) && began.elapsed() < LOOKED_AT {
                std::thread::sleep(LOOK);
            }
        }
    }
    if here.mounts.at(&file).is_some() {
        let dead = !is_alive(&file);
        let words = [OsStr::new("detach"), file.as_os_str()];
        match programs::horcm(home, &words) {
            // Nothing was written by way of a process that is dead that anybody still waits for.
            Ok(_) => {}
            Err(_) if dead => {}
            Err(cause) => return Err(refused(cause).into()),
        }
    }
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(refused(error.to_string()).into())
        }
        _ => Ok(()),
    }
}

/// A disk of the kernel, or the map over its paths.
fn disk<D: Fn(&str) -> HostDisk>(here: &Here<D>, volume: VolumeId) -> Option<String> {
    let devices = users::devices(here, volume);
    let whole = |name: &&String| {
        let disks = here.blocks.disks(name).unwrap_or_default();
        let own = disks.iter().any(|paths| paths.contains(name));
        own && here.blocks.file(name).is_none()
    };
    let disk = devices.iter().find(whole)?;
    let map = here.blocks.holders(disk).into_iter().find(|map| here.blocks.is_multipath(map));
    Some(map.unwrap_or_else(|| disk.clone()))
}

fn attach(home: &Home, volume: VolumeId) -> Result<PathBuf, String> {
    let file = file(home, volume);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    if !is_alive(&file) {
        // An earlier process has died; that is what detach says, and it clears the place.
        let _ = programs::horcm(home, &[OsStr::new("detach"), file.as_os_str()]);
    }
    let lun = format!("{}:{}", volume.serial, volume.ldev.get());
    programs::horcm(home, &[OsStr::new("attach"), lun.as_ref(), file.as_os_str()])?;
    Ok(file)
}

/// `$HORCMROOT/drm/luns/62496-19.lun`
fn file(home: &Home, volume: VolumeId) -> PathBuf {
    let name = format!("{}-{}.lun", volume.serial, volume.ldev.get());
    home.root().join("drm/luns").join(name)
}

/// Whether the process behind an attached file lives.
fn is_alive(file: &Path) -> bool {
    let dead = [Errno::NOTCONN, Errno::CONNABORTED].map(Errno::raw_os_error);
    let error = fs::metadata(file).err().and_then(|error| error.raw_os_error());
    error.is_none_or(|code| !dead.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{block::tests::Sys, discover::tests::here};

    #[test]
    fn a_disk_of_the_kernel_goes_before_and_its_multipath_map_before_that() {
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        sys.add("sdb", "8:16", &[]);
        sys.partition("sda", "sda1", "8:1");
        let here = here(
            &sys,
            "40 29 8:1 / /a rw - ext4 /dev/sda1 rw\n41 29 8:16 / /b rw - ext4 /dev/sdb rw\n",
        );
        let volume = |point: &str| here.volumes(&[point.into()]).unwrap()[0].volume;
        assert_eq!(disk(&here, volume("/a")).as_deref(), Some("sda"), "not its partition");
        let map = sys.add("dm-0", "253:0", &["sdb"]);
        std::fs::create_dir(map.join("dm")).unwrap();
        std::fs::write(map.join("dm/uuid"), "mpath-3\n").unwrap();
        sys.hold("sdb", "dm-0");
        assert_eq!(disk(&here, volume("/b")).as_deref(), Some("dm-0"));
        let other = VolumeId { ldev: model::LdevId::new(30).unwrap(), ..volume("/a") };
        assert_eq!(disk(&here, other), None);
    }

    #[test]
    fn what_was_never_brought_is_released_already() {
        let dir = tempfile::tempdir().unwrap();
        let volume = crate::volume::lun::tests::disk(19).identity.unwrap();
        let volume = VolumeId { serial: volume.serial, ldev: volume.ldev };
        release(&Home::at(dir.path().into()), volume).unwrap();
    }
}
