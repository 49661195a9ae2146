//! The files of writers: their names, how many there may be, and how archives and exports carry
//! them.

use std::path::{Path, PathBuf};

use super::{error::Error, files};
use crate::writer::Artifact;

/// The most bytes of one.
pub const MOST_BYTES: usize = 16 << 20;
/// The most files of one backup.
pub const MOST_FILES: usize = 1024;
/// The most bytes of all files of one backup: an archive's are in memory while it is restored.
pub const MOST_TOGETHER: usize = 256 << 20;

/// The longest name of a file, and of a writer's directory, in bytes. What is written beside it
/// under a longer name still fits any file system of Linux.
const MOST_NAME: usize = 200;

/// Counts the files of one backup.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance {
    files: usize,
    bytes: usize,
}

impl Allowance {
    /// Another file.
    ///
    /// # Errors
    /// Which limit it passes.
    pub const fn take(&mut self, file: &Artifact) -> Result<(), &'static str> {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(file.bytes.len());
        if self.files > MOST_FILES {
            return Err("the backup has more than 1024 files of writers");
        }
        if self.bytes > MOST_TOGETHER {
            return Err("the files of the backup's writers have more than 256 MiB together");
        }
        Ok(())
    }

    /// All files of a backup, each with its writer's name.
    ///
    /// # Errors
    /// Which limit they pass.
    pub fn take_all<N>(artifacts: &[(N, Artifact)]) -> Result<(), &'static str> {
        let mut allowance = Self::default();
        artifacts.iter().try_for_each(|(_, file)| allowance.take(file))
    }
}

/// Where a file of a writer is below the directory of its backup.
#[must_use]
pub fn path(backup: &Path, writer: &str, name: &str) -> PathBuf {
    backup.join(directory_name(writer)).join(name)
}

/// Writes a file of a writer below the directory of its backup.
///
/// # Errors
/// [`Error::Unwritable`] for names that are none; what the file system says.
pub fn write(backup: &Path, writer: &str, file: &Artifact) -> Result<(), Error> {
    check_names(writer, &file.name)?;
    let path = path(backup, writer, &file.name);
    files::make_directory(path.parent().unwrap_or(backup))
        .and_then(|()| files::write(&path, &file.bytes))
        .map_err(Error::io(path))
}

/// Checks the names of a writer and of its file, see [`Artifact::name`].
fn check_names(writer: &str, name: &str) -> Result<(), Error> {
    let object = format!("artifact {name:?} of writer {writer:?}");
    fault_of(writer, name)
        .map_or(Ok(()), |cause| Err(Error::Unwritable { object, cause: cause.to_owned() }))
}

fn fault_of(writer: &str, name: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(fits) {
        return Some("the name of a writer's file is not of letters, digits, `.`, `_` and `-`");
    }
    if name.len() > MOST_NAME {
        return Some("the name of a writer's file has more than 200 bytes");
    }
    if directory_name(writer).len() > MOST_NAME {
        return Some("the name of a writer is too long: it has more than 200 bytes as a directory");
    }
    None
}

/// A writer's name as the name of a directory: what is not a letter, digit, `-` or `_` becomes
/// `%2f` and the like.
fn directory_name(writer: &str) -> String {
    let mut name = String::new();
    for byte in writer.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

/// A file of a writer as a payload: names, then bytes.
///
/// | bytes | what |
/// |---|---|
/// | 0-1 | length w of the writer's name, little-endian |
/// | 2-3 | length n of the file's name |
/// | 4-(3+w) | the writer's name, UTF-8 |
/// | (4+w)-(3+w+n) | the file's name |
/// | behind | the file |
#[must_use]
pub fn encode<'a>(writer: &str, file: &'a Artifact) -> (Vec<u8>, &'a [u8]) {
    // Names were checked when the catalogue took them; one that was longer than this would be cut.
    let writer = &writer.as_bytes()[..writer.len().min(usize::from(u16::MAX))];
    let name = file.name.as_bytes();
    let mut names = Vec::with_capacity(4 + writer.len() + name.len());
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
    names.extend(length(writer));
    names.extend(length(name));
    names.extend(writer);
    names.extend(name);
    (names, &file.bytes)
}

/// See [`encode`].
///
/// # Errors
/// Why it is none, or cannot be kept.
pub fn decode(payload: &[u8]) -> Result<(String, Artifact), &'static str> {
    let (writer, name, bytes) = split(payload).ok_or("this is no file of a writer")?;
    if let Some(fault) = fault_of(writer, name) {
        return Err(fault);
    }
    if bytes.len() > MOST_BYTES {
        return Err("a writer's file has more than 16 MiB");
    }
    Ok((writer.to_owned(), Artifact { name: name.to_owned(), bytes: bytes.to_vec() }))
}

fn split(payload: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (lengths, rest) = payload.split_at_checked(4)?;
    let length = |at: usize| usize::from(u16::from_le_bytes([lengths[at], lengths[at + 1]]));
    let (writer, rest) = rest.split_at_checked(length(0))?;
    let (name, bytes) = rest.split_at_checked(length(2))?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some((text(writer)?, text(name)?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: usize) -> Artifact {
        Artifact { name: name.to_owned(), bytes: vec![7; bytes] }
    }

    fn decoded(writer: &str, file: &Artifact) -> Result<(String, Artifact), &'static str> {
        let (names, bytes) = encode(writer, file);
        decode(&[&names, bytes].concat())
    }

    #[test]
    fn names_that_no_file_system_takes_are_refused_by_their_length() {
        let label = file("backup_label", 3);
        let longest = "w".repeat(200);
        assert_eq!(decoded(&longest, &label), Ok((longest.clone(), label.clone())));
        // Each of these bytes becomes three.
        for writer in ["w".repeat(201), "/".repeat(67), "w".repeat(60_000)] {
            assert!(decoded(&writer, &label).unwrap_err().contains("name of a writer is too long"));
            assert!(check_names(&writer, "f").is_err());
        }
        let long = file(&"f".repeat(201), 0);
        assert!(decoded("w", &long).unwrap_err().contains("200 bytes"));
        assert_eq!(decoded("w", &file(&"f".repeat(200), 0)).unwrap().1.name.len(), 200);
    }

    #[test]
    fn a_payload_that_is_cut_or_names_a_path_is_none() {
        let empty = file("x", 0);
        let (names, bytes) = encode("postgresql/main", &empty);
        for cut in 0..names.len() {
            assert!(decode(&names[..cut]).is_err(), "{cut}");
        }
        assert!(decode(&[&names, bytes].concat()).is_ok());
        for name in ["", ".", "..", "../x", "a/b", ".hidden", "a\0"] {
            assert!(decoded("w", &file(name, 0)).unwrap_err().contains("letters"), "{name:?}");
        }
        assert!(decoded("w", &file("x", MOST_BYTES + 1)).unwrap_err().contains("16 MiB"));
    }

    #[test]
    fn files_are_counted_and_added_up() {
        let small: Vec<_> = (0..=MOST_FILES).map(|n| ("w", file(&n.to_string(), 1))).collect();
        assert_eq!(Allowance::take_all(&small[1..]), Ok(()));
        assert!(Allowance::take_all(&small).unwrap_err().contains("1024 files"));
        let large = file("x", MOST_BYTES);
        let mut allowance = Allowance::default();
        for _ in 0..MOST_TOGETHER / MOST_BYTES {
            allowance.take(&large).unwrap();
        }
        assert!(allowance.take(&file("y", 1)).unwrap_err().contains("256 MiB"));
    }
}
