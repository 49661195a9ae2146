//! Whether the files of a writer lie on the volumes of a set.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::mountinfo::Mounts;

/// Where files are.
pub trait Places {
    /// What is mounted.
    ///
    /// # Errors
    /// What the operating system says.
    fn mounts(&self) -> io::Result<Mounts>;

    /// A path without links.
    ///
    /// # Errors
    /// What the operating system says.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
}

/// This host.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl Places for ThisHost {
    fn mounts(&self) -> io::Result<Mounts> {
        Mounts::now()
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

/// Checks that paths, and all that is mounted inside them, lie on file systems that are mounted at
/// `mounts`.
///
/// # Errors
/// The first path that does not, and where it lies.
pub fn inside(places: &dyn Places, mounts: &[PathBuf], paths: &[PathBuf]) -> Result<(), String> {
    let table = places.mounts().map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    let canonical = |path: &PathBuf| {
        places.canonical(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut devices = BTreeSet::new();
    for mount in mounts {
        let point = canonical(mount)?;
        let found = table.at(&point);
        devices
            .insert(found.ok_or_else(|| format!("{} is no mount point", point.display()))?.device);
    }
    for path in paths {
        let real = canonical(path)?;
        let above = table.under(&real);
        let below = table.0.iter().filter(|mount| mount.point.starts_with(&real));
        // What is mounted over again is not seen by anybody.
        let below = below.filter(|mount| table.at(&mount.point) == Some(*mount));
        if let Some(other) = above.into_iter().chain(below).find(|m| !devices.contains(&m.device)) {
            return Err(format!(
                "{} lies on {}, which is not in the set; name that file system too",
                path.display(),
                other.point.display()
            ));
        }
        if above.is_none() {
            return Err(format!("{} lies on no file system that is mounted", path.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table;

    impl Places for Table {
        fn mounts(&self) -> io::Result<Mounts> {
            Ok(Mounts::parse(
                b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                  2 1 7:1 / /srv/pg rw - ext4 /dev/loop1 rw\n\
                  3 2 7:2 / /srv/pg/data/pg_wal rw - xfs /dev/loop2 rw\n\
                  4 1 7:1 /data /bind rw - ext4 /dev/loop1 rw\n\
                  5 1 7:3 / /over rw - ext4 /dev/loop3 rw\n\
                  6 1 7:1 / /over rw - ext4 /dev/loop1 rw\n",
            ))
        }

        fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
            match path.to_str() {
                Some("/missing") => Err(io::ErrorKind::NotFound.into()),
                Some("/srv/pg/link") => Ok("/var/lib/pg".into()),
                _ => Ok(path.into()),
            }
        }
    }

    fn check(mounts: &[&str], path: &str) -> Result<(), String> {
        let mounts: Vec<PathBuf> = mounts.iter().map(PathBuf::from).collect();
        inside(&Table, &mounts, &[path.into()])
    }

    #[test]
    fn a_path_lies_on_the_set_or_the_set_is_refused() {
        assert_eq!(check(&["/srv/pg"], "/srv/pg/other"), Ok(()));
        assert_eq!(check(&["/srv/pg", "/srv/pg/data/pg_wal"], "/srv/pg/data"), Ok(()));
        assert_eq!(check(&["/srv/pg"], "/bind/x"), Ok(()), "a bind mount is the same file system");
        assert_eq!(check(&["/bind"], "/srv/pg/other"), Ok(()));
        assert_eq!(check(&["/srv/pg"], "/over/x"), Ok(()), "the topmost mount counts");
        for (path, cause) in [
            ("/srv/pg/data", "lies on /srv/pg/data/pg_wal, which is not in the set"),
            ("/srv/pg/data/pg_wal/0001", "lies on /srv/pg/data/pg_wal"),
            ("/srv/pg/link", "lies on /, which"),
            ("/srv/pgx", "lies on /, which"),
            ("/missing", "/missing: "),
        ] {
            let error = check(&["/srv/pg"], path).unwrap_err();
            assert!(error.contains(cause), "{path}: {error}");
        }
        assert!(check(&["/srv"], "/srv/x").unwrap_err().contains("is no mount point"));
    }
}
