//! What the user named: a mount point, or a file that lists them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    failure::{Checked, Failure},
    message,
};

/// The most of a list file, in bytes.
const MOST: u64 = 1 << 20;

/// The directories that a word stands for, absolute and without links: itself where it is one; the
/// lines of it where it is a file, one absolute directory a line. Blank lines and what begins with
/// `#` are passed over.
///
/// # Errors
/// KAVX0100-E for what is not there, and for a list that is none.
pub fn points(word: &str) -> Checked<Vec<PathBuf>> {
    let refused = |error: &io::Error| not_there(word, error);
    let found = fs::metadata(word).map_err(|error| refused(&error))?;
    if found.is_dir() {
        return Ok(vec![Path::new(word).canonicalize().map_err(|error| refused(&error))?]);
    }
    let bad = |cause: String| {
        Failure::new(message::TARGET)
            .object(word)
            .cause(cause)
            .action("name a mount point, or a file with an absolute one on each line")
    };
    if !found.is_file() || found.len() > MOST {
        return Err(bad("it is neither a directory nor a list of such".to_owned()).into());
    }
    let text = fs::read_to_string(word).map_err(|error| bad(error.to_string()))?;
    let mut points = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !Path::new(line).is_absolute() {
            return Err(
                bad(format!("line {}: {line:?} is no absolute directory", number + 1)).into()
            );
        }
        points.push(Path::new(line).canonicalize().map_err(|error| not_there(line, &error))?);
    }
    if points.is_empty() { Err(bad("it lists no directory".to_owned()).into()) } else { Ok(points) }
}

fn not_there(word: &str, error: &io::Error) -> Failure {
    Failure::new(message::TARGET)
        .object(word)
        .cause(error.to_string())
        .action("name the directory where a file system is mounted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_a_directory_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        let list = dir.path().join("list");
        let word = list.to_str().unwrap();
        assert_eq!(points(real.to_str().unwrap()).unwrap(), std::slice::from_ref(&real));
        fs::write(&list, format!("# data\n\n {}\n/\n", real.display())).unwrap();
        assert_eq!(points(word).unwrap(), [real, PathBuf::from("/")]);
        let cause = |word: &str| points(word).unwrap_err().cause.unwrap();
        for (text, words) in [
            ("", "lists no directory"),
            ("# nothing\n", "lists no directory"),
            ("/\ndata\n", "line 2: \"data\" is no absolute directory"),
            ("/nowhere/at/all\n", "No such file"),
        ] {
            fs::write(&list, text).unwrap();
            assert!(cause(word).contains(words), "{text:?}: {}", cause(word));
        }
        assert!(cause("/nowhere/at/all").contains("No such file"));
        assert!(cause("/dev/null").contains("neither"));
    }
}
