//! From a block device to the disks it stands on, by what the kernel keeps in sysfs.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Steps from a volume to its disks: a partition of a volume group over encryption over a disk.
const MOST_STEPS: usize = 12;

/// The kernel's block devices.
#[derive(Debug, Clone)]
pub struct Blocks {
    sys: PathBuf,
}

/// A disk by the kernel names of all paths that lead to it, such as `sda` and `sdb`.
pub type Paths = Vec<String>;

impl Blocks {
    /// By the kernel's system directory, `/sys` but in tests.
    #[must_use]
    pub fn new(sys: impl Into<PathBuf>) -> Self {
        Self { sys: sys.into() }
    }

    /// The kernel name of a device number.
    #[must_use]
    pub fn name(&self, (major, minor): (u32, u32)) -> Option<String> {
        let link = self.sys.join(format!("dev/block/{major}:{minor}"));
        let real = fs::canonicalize(link).ok()?;
        Some(real.file_name()?.to_str()?.to_owned())
    }

    /// The device number of a kernel name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<(u32, u32)> {
        let text = fs::read_to_string(self.of(name).join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// All kernel names.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        entries(&self.sys.join("class/block"))
    }

    /// The devices that the kernel has built on this one, such as `dm-0`.
    #[must_use]
    pub fn holders(&self, name: &str) -> Vec<String> {
        entries(&self.of(name).join("holders"))
    }

    /// The file behind a loop device.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let file = fs::read_to_string(self.of(name).join("loop/backing_file")).ok()?;
        Some(PathBuf::from(file.trim_end_matches('\n')))
    }

    /// The disks that a device stands on, in the order of their names.
    ///
    /// # Errors
    /// Why they cannot be found, or a consistent copy of them is no copy of the device.
    pub fn disks(&self, name: &str) -> Result<Vec<Paths>, String> {
        let mut found = Vec::new();
        self.collect(name, MOST_STEPS, &mut found)?;
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The devices of a btrfs file system, one of which is this.
    #[must_use]
    pub fn btrfs(&self, name: &str) -> Vec<String> {
        let all = self.sys.join("fs/btrfs");
        let devices = entries(&all).into_iter().map(|id| entries(&all.join(id).join("devices")));
        let ours = devices.into_iter().find(|devices| devices.iter().any(|known| known == name));
        ours.unwrap_or_else(|| vec![name.to_owned()])
    }

    fn collect(&self, name: &str, steps: usize, found: &mut Vec<Paths>) -> Result<(), String> {
        let at = self.of(name);
        let Some(steps) = steps.checked_sub(1) else {
            return Err(format!("/dev/{name} stands on more devices than can be followed"));
        };
        if !at.exists() {
            return Err(format!("the kernel knows no block device {name}"));
        }
        if at.join("md").exists() {
            // An array that is written while its parts are split may have to be repaired.
            return Err(format!("/dev/{name} is an array of the kernel (md)"));
        }
        if at.join("partition").exists() {
            let real = fs::canonicalize(&at).map_err(|error| error.to_string())?;
            let disk = real.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            let disk = disk.ok_or_else(|| format!("/dev/{name} is a partition of no disk"))?;
            return self.collect(disk, steps, found);
        }
        let below = entries(&at.join("slaves"));
        let uuid = self.map(name);
        if self.is_multipath(name) {
            found.push(below);
        } else if below.is_empty() {
            if uuid.is_empty() {
                found.push(vec![name.to_owned()]);
            } else {
                return Err(format!("/dev/{name} is a map of the device mapper over no disk"));
            }
        } else {
            for device in below {
                self.collect(&device, steps, found)?;
            }
        }
        Ok(())
    }

    /// Whether a device is a multipath map.
    #[must_use]
    pub fn is_multipath(&self, name: &str) -> bool {
        self.map(name).starts_with("mpath-")
    }

    /// What made a map of the device mapper; empty for what is none.
    fn map(&self, name: &str) -> String {
        fs::read_to_string(self.of(name).join("dm/uuid")).unwrap_or_default()
    }

    fn of(&self, name: &str) -> PathBuf {
        self.sys.join("class/block").join(name)
    }
}

/// The names in a directory, in their order; none where there is no such directory.
fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A `/sys` of the test's own.
    pub(crate) struct Sys {
        pub dir: tempfile::TempDir,
    }

    impl Sys {
        pub fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        pub fn blocks(&self) -> Blocks {
            Blocks::new(self.dir.path())
        }

        /// A device over others, with its number.
        pub fn add(&self, name: &str, number: &str, below: &[&str]) -> PathBuf {
            self.place(&format!("devices/{name}"), name, number, below)
        }

        /// A partition of a disk.
        pub fn partition(&self, disk: &str, name: &str, number: &str) {
            let at = self.place(&format!("devices/{disk}/{name}"), name, number, &[]);
            fs::write(at.join("partition"), "1\n").unwrap();
        }

        /// A device is part of another.
        pub fn hold(&self, name: &str, by: &str) {
            let class = self.dir.path().join("class/block");
            fs::create_dir_all(class.join(name).join("holders")).unwrap();
            symlink(class.join(by), class.join(name).join("holders").join(by)).unwrap();
        }

        fn place(&self, place: &str, name: &str, number: &str, below: &[&str]) -> PathBuf {
            let sys = self.dir.path();
            let at = sys.join(place);
            fs::create_dir_all(at.join("slaves")).unwrap();
            fs::write(at.join("dev"), format!("{number}\n")).unwrap();
            for device in below {
                symlink(sys.join("class/block").join(device), at.join("slaves").join(device))
                    .unwrap();
            }
            for (list, link) in [("class/block", name), ("dev/block", number)] {
                fs::create_dir_all(sys.join(list)).unwrap();
                symlink(&at, sys.join(list).join(link)).unwrap();
            }
            at
        }
    }

    fn disks(sys: &Sys, name: &str) -> Result<Vec<Paths>, String> {
        sys.blocks().disks(name)
    }

    #[test]
    fn a_volume_stands_on_every_disk_below_it() {
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        sys.add("sdb", "8:16", &[]);
        sys.partition("sda", "sda1", "8:1");
        // A logical volume over a partition and, encrypted, a whole disk.
        sys.add("dm-0", "253:0", &["sdb"]);
        sys.add("dm-1", "253:1", &["sda1", "dm-0"]);
        assert_eq!(disks(&sys, "dm-1").unwrap(), [["sda"], ["sdb"]]);
        assert_eq!(disks(&sys, "sda1").unwrap(), [["sda"]]);
        assert_eq!(sys.blocks().name((253, 1)).as_deref(), Some("dm-1"));
        assert_eq!(sys.blocks().name((253, 9)), None);
        assert_eq!(sys.blocks().number("sdb"), Some((8, 16)));
    }

    #[test]
    fn all_paths_of_a_multipath_map_are_one_disk() {
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        sys.add("sdb", "8:16", &[]);
        let map = sys.add("dm-0", "253:0", &["sda", "sdb"]);
        fs::create_dir(map.join("dm")).unwrap();
        fs::write(map.join("dm/uuid"), "mpath-360060e80\n").unwrap();
        assert_eq!(disks(&sys, "dm-0").unwrap(), [["sda", "sdb"]]);
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        let md = sys.add("md0", "9:0", &["sda"]);
        fs::create_dir(md.join("md")).unwrap();
        assert!(disks(&sys, "md0").unwrap_err().contains("md"));
        assert!(disks(&sys, "sdz").unwrap_err().contains("sdz"));
        let map = sys.add("dm-3", "253:3", &[]);
        fs::create_dir(map.join("dm")).unwrap();
        fs::write(map.join("dm/uuid"), "LVM-x\n").unwrap();
        assert!(disks(&sys, "dm-3").unwrap_err().contains("over no disk"));
        sys.add("dm-4", "253:4", &["dm-4"]);
        assert!(disks(&sys, "dm-4").unwrap_err().contains("more devices"), "it leads to itself");
    }

    #[test]
    fn a_btrfs_is_on_all_its_devices() {
        let sys = Sys::new();
        let devices = sys.dir.path().join("fs/btrfs/0-1/devices");
        fs::create_dir_all(&devices).unwrap();
        for name in ["sda", "sdb"] {
            fs::write(devices.join(name), "").unwrap();
        }
        assert_eq!(sys.blocks().btrfs("sdb"), ["sda", "sdb"]);
        assert_eq!(sys.blocks().btrfs("sdc"), ["sdc"]);
    }
}
