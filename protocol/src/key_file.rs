//! Keys on disk: one line of 64 hexadecimal digits, readable by its owner only.
//!
//! Text, so that an administrator can carry a key to another host by any means that carries text.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::key::Key;
use crate::platform;
use crate::request_id::RequestId;

impl Key {
    /// Reads a key file.
    ///
    /// # Errors
    /// What the file system says, [`io::ErrorKind::InvalidData`] for a file that is no key file; on
    /// Windows [`io::ErrorKind::PermissionDenied`] for one that belongs to another account, which may
    /// have put it there. All name the file.
    pub fn load(path: &Path) -> io::Result<Self> {
        let file = File::open(path).map_err(|error| named(path, &error))?;
        platform::check_owner(&file).map_err(|error| named(path, &error))?;
        warn_if_exposed(path, &file);
        let mut text = String::new();
        // One byte more than the longest key file, to notice a longer one.
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| named(path, &error))?;
        from_hex(text.trim_end()).map(Self::from_secret).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{}: not a HORCM key file (expected one line of 64 hexadecimal digits); \
                     copy it again from the host that made it",
                    path.display()
                ),
            )
        })
    }

    /// Reads a key file, making one with a new key first if there is none.
    ///
    /// Of several processes that find none at the same time, one makes it and all read the same:
    /// the file appears whole, under its name, by a link that refuses to replace.
    ///
    /// # Errors
    /// As [`Key::load`], and what the file system says about making it. The directory must exist.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let draft = Draft::write(path, &Self::generate())?;
        match fs::hard_link(&draft.0, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(named(path, &error)),
        }
        Self::load(path)
    }
}

/// 64 digits and a line end of at most two bytes.
const MAX_FILE: u64 = 66;

/// A complete key file under a passing name; gone when dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, key: &Key) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", RequestId::random()));
        let draft = Self(PathBuf::from(name));
        let mut line = String::with_capacity(65);
        for byte in key.secret() {
            // Writing to a string cannot fail.
            let _ = write!(line, "{byte:02x}");
        }
        line.push('\n');
        platform::private_file()
            .open(&draft.0)
            .and_then(|mut file| {
                file.write_all(line.as_bytes())?;
                file.sync_all()
            })
            .map_err(|error| named(path, &error))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed stays as a harmless file readable by its owner only.
        let _ = fs::remove_file(&self.0);
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut secret = [0; 32];
    for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(secret)
}

/// A key others can read still works: refusing it would stop a running site over a copied file.
fn warn_if_exposed(path: &Path, file: &File) {
    if let Some(remedy) = platform::exposure(file) {
        log::warn!("{}: other users can read this key; run {remedy} on it", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_read_back_and_belongs_to_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("horcm.key");
        let made = Key::load_or_create(&path).unwrap();
        assert_eq!(Key::load_or_create(&path).unwrap(), made);
        assert_eq!(Key::load(&path).unwrap(), made);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a draft stayed behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn all_who_race_to_make_a_key_hold_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("horcm.key");
        let keys: Vec<Key> = std::thread::scope(|scope| {
            let racers: Vec<_> =
                (0..16).map(|_| scope.spawn(|| Key::load_or_create(&path).unwrap())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn what_is_no_key_is_refused_by_the_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("horcm.key");
        assert_eq!(Key::load(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        for text in ["", "abc", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), "\u{e9}"] {
            fs::write(&path, text).unwrap();
            let error = Key::load(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
            assert!(error.to_string().contains("horcm.key"));
            assert!(Key::load_or_create(&path).is_err(), "a damaged key must not be replaced");
        }
        fs::write(&path, format!("{}\r\n", "0".repeat(64))).unwrap();
        assert_eq!(Key::load(&path).unwrap(), Key::from_secret([0; 32]));
    }
}
