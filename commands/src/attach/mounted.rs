//! Mount points of attachments: which there are, who holds one, and unmounting.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
};

/// What the source of our mounts begins with, before `SERIAL:LDEV` or what else names the LUN.
pub const SOURCE: &str = "horcm:";
/// The most holders that are named.
const SHOWN: usize = 8;

/// Whether one of our files is mounted at a path that is absolute and without links.
///
/// # Errors
/// What reading `/proc` says.
pub fn is_attached(path: &Path) -> io::Result<bool> {
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(source_at(&table, path).is_some_and(|source| source.starts_with(SOURCE.as_bytes())))
}

/// The source of the topmost mount at a path (`proc(5)`: `/proc/pid/mountinfo`).
fn source_at(table: &[u8], path: &Path) -> Option<Vec<u8>> {
    let lines = table.split(|byte| *byte == b'\n').rev();
    let mut found = lines.filter_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let (point, source) = (fields.get(4)?, fields.get(dash + 2)?);
        (unescaped(point) == path.as_os_str().as_bytes()).then(|| unescaped(source))
    });
    found.next()
}

/// Blanks and the like stand as `\040`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, behind)) = rest.split_first() {
        let octal = behind.first_chunk::<3>().filter(|_| *byte == b'\\');
        let value =
            octal.and_then(|octal| u8::from_str_radix(std::str::from_utf8(octal).ok()?, 8).ok());
        match value {
            Some(value) => {
                out.push(value);
                rest = &behind[3..];
            }
            None => {
                out.push(*byte);
                rest = behind;
            }
        }
    }
    out
}

/// Where a file is, absolute and without links; the file itself may be missing yet, or a mount
/// whose process has died, which cannot be looked into.
///
/// # Errors
/// What the file system says of the folder.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let placed = in_its_folder(path);
    // Looked for before anything is looked into, which takes as long as its process pleases.
    if let Ok(placed) = &placed
        && is_attached(placed)?
    {
        return Ok(placed.clone());
    }
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()) =>
        {
            placed
        }
        Err(error) => Err(error),
    }
}

fn in_its_folder(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// Unmounts, unless somebody uses it. An ordinary user's mount is undone by `fusermount3`.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] when it is in use; what else the kernel says.
pub fn undo(path: &Path) -> io::Result<()> {
    match unmount(path, UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => {
            let mut helper = Command::new("fusermount3");
            helper.arg("-u").arg("--").arg(path).stdin(Stdio::null());
            let output = helper.output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            match output.status.success() {
                true => Ok(()),
                false if said.contains("busy") => Err(io::ErrorKind::ResourceBusy.into()),
                false => Err(io::Error::other(said.trim().to_owned())),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Who uses a file, as far as we may see: loop devices, and processes that have it open.
#[must_use]
pub fn holders(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for device in entries(Path::new("/sys/block")) {
        let backing = fs::read(device.join("loop/backing_file")).unwrap_or_default();
        if backing.trim_ascii_end() == path.as_os_str().as_bytes()
            && let Some(name) = device.file_name()
        {
            found.push(format!("/dev/{}", name.to_string_lossy()));
        }
    }
    for process in entries(Path::new("/proc")) {
        let pid = process.file_name().map(OsString::from).unwrap_or_default().into_vec();
        if found.len() >= SHOWN || !pid.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let open = |file: PathBuf| fs::read_link(file).is_ok_and(|target| target == path);
        if entries(&process.join("fd")).into_iter().any(open) {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            found.push(format!("{} ({})", name.trim(), String::from_utf8_lossy(&pid)));
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_mount_of_a_path_counts_and_escapes_are_read() {
        let table = b"\
29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
40 29 0:44 / /a\\040b/pvol rw,nosuid - fuse horcm:62496:18 rw,user_id=0\n\
41 29 0:45 / /c rw master:1 shared:2 - fuse horcm:1:2 rw\n\
42 41 0:46 / /c rw - tmpfs none rw\n\
broken line\n";
        let source = |path: &str| source_at(table, Path::new(path));
        assert_eq!(source("/a b/pvol").as_deref(), Some(&b"horcm:62496:18"[..]));
        assert_eq!(source("/c").as_deref(), Some(&b"none"[..]));
        assert_eq!(source("/a b"), None);
        assert_eq!(unescaped(b"\\1\\9990\\134"), b"\\1\\9990\\");
    }

    #[test]
    fn who_has_a_file_open_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("file");
        let file = fs::File::create(&path).unwrap();
        let own = format!("({})", std::process::id());
        assert!(holders(&path).iter().any(|holder| holder.ends_with(&own)), "{:?}", holders(&path));
        drop(file);
        assert_eq!(holders(&path), Vec::<String>::new());
        assert!(!is_attached(&path).unwrap());
    }
}
