//! Disks of the kernel, by what it keeps of them in sysfs. Nothing is sent to a disk, so no rights
//! are needed and nothing waits; a disk that began to hide stands there until the kernel has looked
//! again, and the vendor page is not there at all.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{HostDisk, attached, pages::Pages};

/// Steps from a device to its disk: a partition of a map over a loop device over a file.
const MOST_STEPS: usize = 8;

/// The kernel's view.
pub(super) struct Kernel<'a> {
    /// `/sys`.
    pub sys: &'a Path,
}

impl Kernel<'_> {
    /// `/dev/sda` and so on, in their order: `sdb` stands before `sdaa`.
    pub(super) fn disks(&self) -> Vec<HostDisk> {
        let mut names: Vec<String> = entries(&self.sys.join("block"));
        names.retain(|name| name.starts_with("sd"));
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names.into_iter().filter_map(|name| self.as_listed(&name)).collect()
    }

    /// What file systems are on, or may be: partitions, and disks and loop devices without any. With
    /// `mounted`, those that are.
    pub(super) fn volumes(&self, mounted: bool) -> Vec<HostDisk> {
        let mounts = if mounted { mounts() } else { BTreeSet::new() };
        let mut names: Vec<String> = entries(&self.sys.join("class/block"));
        names.retain(|name| {
            let at = self.of(name);
            let parts = entries(&at).iter().any(|entry| at.join(entry).join("partition").exists());
            let empty = read(&at.join("size")).trim() == "0";
            (!parts && !empty) && (!mounted || mounts.contains(name))
        });
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names.into_iter().filter_map(|name| self.as_listed(&name)).collect()
    }

    fn as_listed(&self, name: &str) -> Option<HostDisk> {
        let disk = self.find(name, MOST_STEPS).filter(|disk| disk.inquiry.is_some())?;
        Some(HostDisk { device_file: format!("/dev/{name}"), ..disk })
    }

    /// The disk that a device file leads to.
    pub(super) fn device(&self, path: &Path) -> Option<HostDisk> {
        let real = fs::canonicalize(path).ok()?;
        if real.parent() != Some(Path::new("/dev")) {
            return None;
        }
        self.find(real.file_name()?.to_str()?, MOST_STEPS)
    }

    fn of(&self, name: &str) -> PathBuf {
        self.sys.join("class/block").join(name)
    }

    fn find(&self, name: &str, steps: usize) -> Option<HostDisk> {
        let (at, steps) = (self.of(name), steps.checked_sub(1)?);
        let device = at.join("device");
        if device.join("inquiry").exists() || device.join("model").exists() {
            return Some(scsi(&device));
        }
        if let Ok(file) = fs::read_to_string(at.join("loop/backing_file")) {
            return attached::disk(Path::new(file.trim_end_matches('\n')));
        }
        let parent = if at.join("partition").exists() {
            fs::canonicalize(&at).ok()?.parent()?.to_owned()
        } else {
            // All paths of a multipath map are the same disk.
            at.join("slaves").join(entries(&at.join("slaves")).into_iter().min()?)
        };
        self.find(parent.file_name()?.to_str()?, steps)
    }
}

/// A SCSI device by its directory.
fn scsi(device: &Path) -> HostDisk {
    let page = |name: &str| fs::read(device.join(name)).unwrap_or_default();
    let mut inquiry = page("inquiry");
    if inquiry.len() < 36 {
        inquiry = vec![0; 8];
        for (name, width) in [("vendor", 8), ("model", 16), ("rev", 4)] {
            let text = read(&device.join(name));
            inquiry.extend(format!("{:<width$.width$}", text.trim_end()).bytes().take(width));
        }
    }
    let pages = Pages {
        inquiry,
        serial: page("vpd_pg80"),
        designators: page("vpd_pg83"),
        vendor: Vec::new(),
    };
    // `HOST:CHANNEL:TARGET:LUN`.
    let address = fs::canonicalize(device).unwrap_or_default();
    let address = address.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut numbers = address.split(':').skip(2).map(str::parse::<u64>);
    let mut number = || numbers.next().and_then(Result::ok);
    let target = number().and_then(|target| u32::try_from(target).ok());
    HostDisk { target, lun: number(), ..pages.disk() }
}

/// The devices that file systems are mounted from, by their kernel names.
fn mounts() -> BTreeSet<String> {
    let table = read(Path::new("/proc/self/mounts"));
    let sources = table.lines().filter_map(|line| line.split(' ').next());
    let devices = sources.filter(|source| source.starts_with("/dev/"));
    devices
        .filter_map(|source| {
            let real = fs::canonicalize(source).ok()?;
            Some(real.file_name()?.to_str()?.to_owned())
        })
        .collect()
}

/// The names in a directory; none where there is no such directory.
fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{super::pages::tests::*, *};

    /// A `/sys` with one SCSI disk of a LUN at `HOST:CHANNEL:TARGET:LUN`.
    fn disk(sys: &Path, name: &str, address: &str, vendor: &str, ldev: u32) {
        let block = sys.join("devices").join(name);
        let device = sys.join("devices/targets").join(address);
        fs::create_dir_all(&block).unwrap();
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("inquiry"), standard(vendor, "OPEN-3")).unwrap();
        fs::write(device.join("vpd_pg80"), page_80(&format!("0000F420{ldev:08X}"))).unwrap();
        fs::write(device.join("vpd_pg83"), page_83("iqn.x:62496.cl2-c,t,0x0001")).unwrap();
        fs::write(block.join("size"), "2048\n").unwrap();
        symlink(&device, block.join("device")).unwrap();
        for list in ["block", "class/block"] {
            fs::create_dir_all(sys.join(list)).unwrap();
            symlink(&block, sys.join(list).join(name)).unwrap();
        }
    }

    fn ldevs(disks: &[HostDisk]) -> Vec<(&str, u32)> {
        let shown = |disk: &HostDisk| disk.identity.as_ref().map_or(0, |i| i.ldev.get());
        disks.iter().map(|disk| (&*disk.device_file, shown(disk))).collect()
    }

    #[test]
    fn scsi_disks_are_listed_as_the_kernel_names_them() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        disk(sys, "sdaa", "7:0:25:3", "HITACHI", 20);
        disk(sys, "sdb", "7:0:25:1", "HITACHI", 18);
        disk(sys, "sda", "0:0:0:0", "MAXTOR", 1);
        let disks = Kernel { sys }.disks();
        assert_eq!(ldevs(&disks), [("/dev/sda", 0), ("/dev/sdb", 18), ("/dev/sdaa", 20)]);
        assert_eq!((disks[1].target, disks[1].lun), (Some(25), Some(1)));
        assert_eq!(disks[0].inquiry.as_ref().unwrap().vendor, "MAXTOR");
    }

    #[test]
    fn partitions_and_multipath_maps_lead_to_their_disk() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        disk(sys, "sdb", "7:0:25:1", "HITACHI", 18);
        let partition = sys.join("devices/sdb/sdb1");
        fs::create_dir_all(&partition).unwrap();
        fs::write(partition.join("partition"), "1\n").unwrap();
        symlink(&partition, sys.join("class/block/sdb1")).unwrap();
        let map = sys.join("class/block/dm-0/slaves");
        fs::create_dir_all(&map).unwrap();
        symlink(sys.join("devices/sdb"), map.join("sdb")).unwrap();
        let kernel = Kernel { sys };
        for name in ["sdb1", "dm-0"] {
            let disk = kernel.as_listed(name).unwrap();
            assert_eq!(disk.identity.unwrap().ldev.get(), 18, "{name}");
        }
        // A disk with partitions is no volume itself.
        assert_eq!(ldevs(&kernel.volumes(false)), [("/dev/dm-0", 18), ("/dev/sdb1", 18)]);
        assert_eq!(kernel.find("sdz", MOST_STEPS), None);
    }

    #[test]
    fn a_map_that_leads_to_itself_is_no_disk() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        fs::create_dir_all(sys.join("class/block/dm-0/slaves/dm-0")).unwrap();
        assert_eq!(Kernel { sys }.find("dm-0", MOST_STEPS), None);
    }
}
