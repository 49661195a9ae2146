//! Which file systems a set has, and which freezes first.

use std::path::{Path, PathBuf};

use crate::mountinfo::Mounts;

/// A file system of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is mounted, as the set names it first.
    pub mount: PathBuf,
    /// Major and minor number of its device.
    pub device: (u32, u32),
}

/// The file systems mounted at `points`, each once, in the order in which they freeze: mounted last
/// comes first, for the device of what was mounted later may be a file on what was mounted before.
///
/// # Errors
/// A point where nothing is mounted.
pub fn of(mounts: &Mounts, points: &[PathBuf]) -> Result<Vec<FileSystem>, PathBuf> {
    let mut found: Vec<(usize, FileSystem)> = Vec::new();
    for point in points {
        let device = mounts.at(point).ok_or_else(|| point.clone())?.device;
        if found.iter().any(|(_, known)| known.device == device) {
            continue;
        }
        // A bind mount made later says nothing about when the file system was mounted.
        let first = mounts.0.iter().position(|mount| mount.device == device).unwrap_or_default();
        found.push((first, FileSystem { mount: point.clone(), device }));
    }
    found.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    Ok(found.into_iter().map(|(_, file_system)| file_system).collect())
}

/// Where a device is mounted, the point named first.
pub fn points<'a>(mounts: &'a Mounts, known: &'a FileSystem) -> impl Iterator<Item = &'a Path> {
    let named = mounts.of(known.device).filter(|mount| mount.point == known.mount);
    let others = mounts.of(known.device).filter(|mount| mount.point != known.mount);
    named.chain(others).map(|mount| mount.point.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Mounts {
        Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 7:1 / /outer rw - ext4 /dev/loop1 rw\n\
              3 2 7:2 / /outer/inner rw - xfs /dev/loop2 rw\n\
              4 1 7:1 /data /bind rw - ext4 /dev/loop1 rw\n\
              5 1 7:3 / /third rw - ext4 /dev/loop3 rw\n",
        )
    }

    fn order(points: &[&str]) -> Vec<String> {
        let points: Vec<PathBuf> = points.iter().map(PathBuf::from).collect();
        let found = of(&table(), &points).unwrap();
        found.iter().map(|known| known.mount.display().to_string()).collect()
    }

    #[test]
    fn what_was_mounted_last_freezes_first() {
        assert_eq!(
            order(&["/outer", "/third", "/outer/inner"]),
            ["/third", "/outer/inner", "/outer"]
        );
    }

    #[test]
    fn a_file_system_with_a_bind_mount_freezes_once_and_after_what_lies_on_it() {
        assert_eq!(order(&["/bind", "/outer", "/outer/inner"]), ["/outer/inner", "/bind"]);
    }

    #[test]
    fn a_directory_is_no_file_system() {
        let wrong = of(&table(), &["/third".into(), "/outer/dir".into()]);
        assert_eq!(wrong, Err("/outer/dir".into()));
    }

    #[test]
    fn a_device_is_found_wherever_it_is_mounted() {
        let known = FileSystem { mount: "/bind".into(), device: (7, 1) };
        let mounts = table();
        let found: Vec<&Path> = points(&mounts, &known).collect();
        assert_eq!(found, [Path::new("/bind"), Path::new("/outer")]);
        let gone = FileSystem { mount: "/bind".into(), device: (7, 9) };
        assert_eq!(points(&mounts, &gone).count(), 0);
    }
}
