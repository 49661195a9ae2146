//! From mount points to volumes and their LUNs.

use std::path::{Path, PathBuf};

use model::VolumeId;
use provider::lun::LunInfo;
use scsi::disks::{Host, HostDisk, names::Name};

use super::{
    MountedVolume,
    block::{Blocks, Paths},
    lun,
};
use crate::{
    failure::{Checked, Failure},
    message,
    mountinfo::{Mount, Mounts},
};

/// This host's mounts and block devices.
#[derive(Debug, Clone)]
pub struct Here<D> {
    /// What is mounted.
    pub mounts: Mounts,
    /// Block devices.
    pub blocks: Blocks,
    /// The disk of a kernel name; one without INQUIRY data where it is none, or hides.
    pub disk: D,
}

impl Here<fn(&str) -> HostDisk> {
    /// As it is now.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn now() -> Checked<Self> {
        let mounts = Mounts::now().map_err(|error| {
            Failure::new(message::TARGET).object("/proc/self/mountinfo").cause(error.to_string())
        })?;
        Ok(Self { mounts, blocks: Blocks::new("/sys"), disk: of_kernel })
    }
}

/// By what the kernel keeps of it; nothing is sent.
fn of_kernel(name: &str) -> HostDisk {
    let named = [Name::File(format!("/dev/{name}"))];
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let found = runtime.map(|runtime| runtime.block_on(Host::new(Vec::new()).named(&named)));
    found.ok().and_then(|mut found| found.disks.pop()).unwrap_or_default()
}

impl<D: Fn(&str) -> HostDisk> Here<D> {
    /// The volumes mounted at these points, which are absolute and without links, in their order.
    /// One file system counts once, at the first point that was named of it.
    ///
    /// # Errors
    /// KAVX0100-E for what is no mount point, is on no LUN, or cannot be followed to all of its LUNs.
    pub fn volumes(&self, points: &[PathBuf]) -> Checked<Vec<MountedVolume>> {
        let mut seen = Vec::new();
        let mut volumes = Vec::new();
        for point in points {
            let mount = self.mounts.at(point).ok_or_else(|| self.no_mount_point(point))?;
            if seen.contains(&mount.device) {
                continue;
            }
            seen.push(mount.device);
            let (device, luns) = self.luns(mount)?;
            volumes.extend(luns.into_iter().map(|(volume, lun)| MountedVolume {
                mount: point.clone(),
                device: device.clone(),
                file_system: mount.file_system.clone(),
                lun,
                volume,
            }));
        }
        Ok(volumes)
    }

    /// Whether any of these volumes is on a loop device, and so on a file of `horcm attach`.
    #[must_use]
    pub fn any_attached(&self, volumes: &[MountedVolume]) -> bool {
        let name = |volume: &MountedVolume| volume.device.file_name()?.to_str().map(str::to_owned);
        let disks =
            volumes.iter().filter_map(name).filter_map(|name| self.blocks.disks(&name).ok());
        disks.flatten().flatten().any(|disk| self.blocks.file(&disk).is_some())
    }

    /// The device of a mount, and every LUN it is on.
    ///
    /// # Errors
    /// KAVX0100-E where it is on none, or they cannot be followed.
    pub fn luns(&self, mount: &Mount) -> Checked<(PathBuf, Vec<(VolumeId, LunInfo)>)> {
        let refused = |cause: String| {
            Failure::new(message::TARGET)
                .object(mount.point.display().to_string())
                .state(format!("{} on {}", mount.file_system, mount.source.display()))
                .cause(cause)
                .action("name file systems on LUNs of the storage system, or on logical volumes of such LUNs alone")
        };
        let devices = self.devices(mount);
        let Some(first) = devices.first() else {
            return Err(match self.overlaid(mount) {
                Some((upper, below)) => refused(format!(
                    "it is an overlay: what is written to it lies in {}",
                    upper.display()
                ))
                .action(format!("name {}, where that is", below.point.display())),
                None => refused("it is on no disk".to_owned()),
            }
            .into());
        };
        let mut luns: Vec<(VolumeId, LunInfo)> = Vec::new();
        for name in &devices {
            for paths in self.blocks.disks(name).map_err(refused)? {
                let found = self.lun(&paths).map_err(refused)?;
                if luns.iter().all(|(known, _)| *known != found.0) {
                    luns.push(found);
                }
            }
        }
        Ok((Path::new("/dev").join(first), luns))
    }

    /// The upper directory of an overlay, and the mount it lies on.
    fn overlaid<'a>(&'a self, mount: &'a Mount) -> Option<(&'a Path, &'a Mount)> {
        let upper = mount.upper.as_deref()?;
        let below = self.mounts.storing(upper).filter(|below| *below != mount)?;
        Some((upper, below))
    }

    /// The block devices of a file system, that which was mounted first.
    fn devices(&self, mount: &Mount) -> Vec<String> {
        if let Some(name) = self.blocks.name(mount.device) {
            return vec![name];
        }
        // btrfs has a device number of no device; it names one of its devices as source.
        let source = mount.source.strip_prefix("/dev").ok().and_then(Path::to_str);
        match source {
            Some(name) if mount.file_system == "btrfs" => self.blocks.btrfs(name),
            _ => Vec::new(),
        }
    }

    /// The LUN that paths lead to. One path that answers is enough.
    fn lun(&self, paths: &Paths) -> Result<(VolumeId, LunInfo), String> {
        let shown = || format!("/dev/{}", paths.join(", /dev/"));
        let infos = paths.iter().filter_map(|name| lun::info(&(self.disk)(name)));
        let mut found: Option<(VolumeId, LunInfo)> = None;
        for info in infos {
            let named = info.volume().map_err(|fault| fault.to_string())?;
            let volume = named.ok_or_else(|| format!("{} is of no such system", shown()))?;
            if let Some((known, _)) = &found {
                if *known != volume {
                    return Err(format!("{} lead to {known} and to {volume}", shown()));
                }
            } else {
                found = Some((volume, info));
            }
        }
        found.ok_or_else(|| format!("{} is no LUN of a storage system, or it hides", shown()))
    }

    fn no_mount_point(&self, point: &Path) -> Failure {
        let error = Failure::new(message::TARGET).object(point.display().to_string());
        match self.mounts.under(point) {
            Some(mount) => error
                .state(format!(
                    "a directory on the file system mounted at {}",
                    mount.point.display()
                ))
                .cause("it is no mount point: only a whole volume can be copied")
                .action(format!("name {}", mount.point.display())),
            None => error.cause("nothing is mounted there"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{super::block::tests::Sys, *};
    use crate::volume::lun::tests::disk;

    /// Disks `sdX` are LDEVs 18, 19 ... in the order of letters; others are no LUNs.
    pub(crate) fn known(name: &str) -> HostDisk {
        match name.strip_prefix("sd").and_then(|letter| letter.bytes().next()) {
            Some(letter) => disk(18 + u32::from(letter - b'a')),
            None => HostDisk::default(),
        }
    }

    pub(crate) fn here(sys: &Sys, table: &str) -> Here<fn(&str) -> HostDisk> {
        Here { mounts: Mounts::parse(table.as_bytes()), blocks: sys.blocks(), disk: known }
    }

    fn sys() -> Sys {
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        sys.add("sdb", "8:16", &[]);
        sys.add("vda", "254:0", &[]);
        sys.add("dm-0", "253:0", &["sda", "sdb"]);
        sys.partition("sda", "sda1", "8:1");
        sys
    }

    const TABLE: &str = "\
29 1 254:0 / / rw - ext4 /dev/vda rw\n\
40 29 8:1 / /data rw - ext4 /dev/sda1 rw\n\
41 29 8:1 /sub /bind rw - ext4 /dev/sda1 rw\n\
42 29 253:0 / /lv rw - xfs /dev/mapper/vg-lv rw\n\
43 29 0:45 / /tmp rw - tmpfs none rw\n\
44 29 0:46 / /bt rw - btrfs /dev/sdb rw\n\
45 29 0:47 / /c rw - overlay overlay rw,lowerdir=/l,upperdir=/data/c/diff\n";

    fn volumes(points: &[&str]) -> Checked<Vec<(String, u32)>> {
        let points: Vec<PathBuf> = points.iter().map(PathBuf::from).collect();
        let found = here(&sys(), TABLE).volumes(&points)?;
        let shown = |v: MountedVolume| (v.mount.display().to_string(), v.volume.ldev.get());
        Ok(found.into_iter().map(shown).collect())
    }

    fn at(point: &str, ldev: u32) -> (String, u32) {
        (point.to_owned(), ldev)
    }

    #[test]
    fn a_volume_has_all_of_its_luns() {
        assert_eq!(volumes(&["/data"]).unwrap(), [at("/data", 18)]);
        assert_eq!(volumes(&["/lv"]).unwrap(), [at("/lv", 18), at("/lv", 19)]);
        assert_eq!(volumes(&["/bt"]).unwrap(), [at("/bt", 19)]);
    }

    #[test]
    fn one_file_system_counts_once() {
        assert_eq!(volumes(&["/data", "/bind", "/data"]).unwrap(), [at("/data", 18)]);
        let both = volumes(&["/data", "/lv"]).unwrap();
        assert_eq!(both, [at("/data", 18), at("/lv", 18), at("/lv", 19)], "two to freeze");
    }

    #[test]
    fn a_directory_that_is_no_mount_point_is_told_which_it_lies_on() {
        let refused = volumes(&["/data/base"]).unwrap_err();
        assert_eq!(refused.action.as_deref(), Some("name /data"));
    }

    #[test]
    fn what_is_on_no_lun_is_refused() {
        for (point, words) in [("/", "no LUN"), ("/tmp", "no disk")] {
            let refused = volumes(&[point]).unwrap_err();
            assert!(refused.cause.as_deref().unwrap().contains(words), "{refused}");
        }
    }

    #[test]
    fn an_overlay_names_the_volume_that_it_is_written_to() {
        let refused = volumes(&["/c"]).unwrap_err();
        assert!(refused.cause.unwrap().ends_with("lies in /data/c/diff"));
        assert_eq!(refused.action.as_deref(), Some("name /data, where that is"));
    }

    #[test]
    fn paths_that_lead_to_two_luns_are_refused() {
        let here = here(&sys(), TABLE);
        let paths = |names: &[&str]| here.lun(&names.iter().map(|n| (*n).to_owned()).collect());
        assert!(paths(&["sda", "sdb"]).unwrap_err().contains("lead to"));
        assert_eq!(paths(&["vda", "sda"]).unwrap().0.ldev.get(), 18, "one path is down");
    }
}
