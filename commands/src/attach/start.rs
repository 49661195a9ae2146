//! An attachment as a process in the background, which outlives the command that started it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::platform::detach;

/// The most of a log that is shown, in bytes.
const SHOWN: u64 = 64 * 1024;

/// What became of a start.
#[derive(Debug, PartialEq, Eq)]
pub enum Started {
    /// The file can be used; what it said.
    Ready(String),
    /// It ended instead: its exit code, and what it said on its standard error.
    Ended(u8, String),
}

/// The log of the attachment at a path: `attach_NAME.log`, as NAME is the path with everything
/// but letters, digits, dots and dashes become `_`.
#[must_use]
pub fn log_file(folder: &Path, path: &Path) -> PathBuf {
    folder.join(format!("attach{}.log", plain_name(path)))
}

/// A path as part of a file's name.
pub(super) fn plain_name(path: &Path) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    let mut name: String = path.to_string_lossy().chars().map(plain).collect();
    // What differs between long paths stands at their end.
    name.split_off(name.len().saturating_sub(200))
}

/// Runs this program again with these words, cut loose from the terminal, and returns when it has
/// said its first line or has ended.
///
/// # Errors
/// When the process or its log cannot be made.
pub fn start(words: &[String], log: &Path) -> io::Result<Started> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(log);
    let file = file.map_err(|error| named(log, &error))?;
    let before = file.metadata()?.len();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
    detach(&mut command);
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    if line.ends_with('\n') {
        return Ok(Started::Ready(line.trim_end().to_owned()));
    }
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(Started::Ended(code.unwrap_or(u8::MAX), said(log, before)?))
}

fn said(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(SHOWN).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_a_log_of_its_own() {
        let log = |path: &str| log_file(Path::new("/l"), Path::new(path));
        assert_eq!(log("/mnt/p vol.img"), Path::new("/l/attach_mnt_p_vol.img.log"));
        assert!(log(&format!("/{}é/a", "x".repeat(5000))).to_string_lossy().len() < 255);
    }
}
