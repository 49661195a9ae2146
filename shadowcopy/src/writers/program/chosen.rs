//! Which files of a directory are called, and which are refused.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use crate::writer::{Fault, FaultKind};

/// Names that package managers and editors leave behind, as the hooks of the qemu guest agent are
/// chosen.
const ENDINGS: [&str; 6] = ["~", ".bak", ".orig", ".rpmnew", ".rpmsave", ".sample"];
const DPKG: &str = ".dpkg-";

/// The executables of a directory, by name. Files that are not executable and files with names as
/// `x~`, `x.bak`, `x.orig`, `x.rpmnew`, `x.rpmsave`, `x.sample`, `x.dpkg-old` are left out.
///
/// # Errors
/// That the directory is not there, or that it or an executable could have been put there by
/// somebody else: it belongs neither to root nor to the caller, or everybody may write to it.
pub fn executables(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(directory).map_err(|error| {
        Fault::new(FaultKind::NonRetryable, format!("{}: {error}", directory.display()))
            .action("make the directory, or take it out of shadowcopy.toml")
    })?;
    trusted(directory, &metadata(directory)?)?;
    let mut chosen = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        if is_leftover(&path) {
            continue;
        }
        let metadata = metadata(&path)?;
        if metadata.is_file() && metadata.mode() & 0o111 != 0 {
            trusted(&path, &metadata)?;
            chosen.push(path);
        }
    }
    chosen.sort();
    Ok(chosen)
}

/// The last part of its path, as messages show it.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn metadata(path: &Path) -> Result<fs::Metadata, Fault> {
    fs::metadata(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(FaultKind::NonRetryable, format!("{}: {error}", path.display()))
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
        || name.windows(DPKG.len()).any(|part| part == DPKG.as_bytes())
}

fn trusted(path: &Path, metadata: &fs::Metadata) -> Result<(), Fault> {
    let refused = |why: String, action: String| {
        Err(Fault::new(FaultKind::NonRetryable, format!("{} is not run: {why}", path.display()))
            .action(action))
    };
    let caller = rustix::process::geteuid();
    if metadata.uid() != 0 && metadata.uid() != caller.as_raw() {
        return refused(
            format!("it belongs to user {}, neither root nor the caller", metadata.uid()),
            format!("chown root {}", path.display()),
        );
    }
    if metadata.mode() & 0o002 != 0 {
        return refused(
            "everybody may write to it".to_owned(),
            format!("chmod o-w {}", path.display()),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    fn put(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn executables_come_by_name_and_leftovers_do_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["20-b", "10-a", "9-c", "a.sh"] {
            put(dir.path(), name, 0o755);
        }
        for left in ["a~", "a.bak", "a.orig", "a.rpmnew", "a.rpmsave", "a.sample", "a.dpkg-old"] {
            put(dir.path(), left, 0o755);
        }
        put(dir.path(), "README", 0o644);
        fs::create_dir(dir.path().join("folder")).unwrap();
        let names: Vec<String> =
            executables(dir.path()).unwrap().iter().map(|path| name(path)).collect();
        assert_eq!(names, ["10-a", "20-b", "9-c", "a.sh"]);
    }

    #[test]
    fn what_others_could_have_put_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let hook = put(dir.path(), "hook", 0o757);
        let fault = executables(dir.path()).unwrap_err().to_string();
        assert!(fault.contains("hook is not run") && fault.contains("chmod o-w"), "{fault}");

        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(executables(dir.path()).unwrap_err().to_string().contains("everybody may write"));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();

        if rustix::process::geteuid().is_root() {
            chown(&hook, Some(12_345), None).unwrap();
            let fault = executables(dir.path()).unwrap_err().to_string();
            assert!(fault.contains("belongs to user 12345"), "{fault}");
        }
        let fault = executables(&dir.path().join("none")).unwrap_err();
        assert!(fault.action.unwrap().contains("make the directory"));
    }
}
