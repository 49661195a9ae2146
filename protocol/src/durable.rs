//! Names of files that outlive a loss of power.

use std::{io, path::Path};

use crate::platform;

/// Gives a file that was written and synced the name of another, in the same directory, which it
/// replaces. When this returns, that name leads to it whatever happens to the host.
///
/// # Errors
/// What the file system says; then the name leads to the old file or to the new one.
pub fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    platform::replace(draft, path)
}

/// Removes a file; one that is not there is fine. When this returns, it does not come back. Of a
/// host that fails in it a file with the extension `gone` may be left.
///
/// # Errors
/// What the file system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match platform::remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_removed_once() {
        let dir = tempfile::tempdir().unwrap();
        let (draft, path) = (dir.path().join("draft"), dir.path().join("kept"));
        for text in ["one", "two"] {
            fs::write(&draft, text).unwrap();
            replace(&draft, &path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert!(!draft.exists());
        }
        assert_eq!(replace(&draft, &path).unwrap_err().kind(), io::ErrorKind::NotFound);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
