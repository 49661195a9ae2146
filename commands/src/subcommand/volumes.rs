//! `sync`, `mount` and `umount`: what stands on the disks. Mounting itself is the system's `mount`
//! and `umount`, which know file systems and who may do it.

use std::{fs, path::Path, process::Command, time::Duration};

use model::{CciError, Code};
use scsi::disks::names::{Name, expand};

use super::failed;
use crate::{
    failure::{Failure, Outcome},
    finding::{host, wait},
    rows::cells::or_dashes,
    session::Session,
};

/// How often a busy file system is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A line of `/proc/self/mounts`.
struct Mounted {
    device: String,
    directory: String,
    kind: String,
}

/// Flushes file systems, or the caches of disks.
pub(super) fn sync(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    for word in words {
        flush(session, word)?;
        writeln!(session.out(), "[SYNC] {word}")?;
    }
    Ok(0)
}

#[cfg(target_os = "linux")]
fn flush(session: &Session<'_, '_>, word: &str) -> Result<(), Failure> {
    not_a_letter("sync", word)?;
    if word.eq_ignore_ascii_case("all") {
        rustix::fs::sync();
        return Ok(());
    }
    let io = |error: String| CciError::new(Code::ExEnodev).object(word).cause(error);
    let names = expand(word);
    if let [Name::File(path)] = names.as_slice() {
        // A mounted device is flushed by its file system, which knows what is still to be written.
        let table = mounts();
        let mounted = table.iter().find(|mounted| mounted.device == *path);
        let at = mounted.map_or(path.as_str(), |mounted| mounted.directory.as_str());
        let file = fs::File::open(at).map_err(|error| io(error.to_string()))?;
        let flushed = match file.metadata() {
            Ok(data) if data.is_dir() => rustix::fs::syncfs(&file).map_err(Into::into),
            _ => file.sync_all(),
        };
        return Ok(flushed.map_err(|error| io(error.to_string()))?);
    }
    let host = host(session.world)?;
    let flushed = async {
        for disk in host.named(&names).await.disks.iter().filter(|disk| disk.inquiry.is_some()) {
            host.open(disk).await?.flush().await?;
        }
        Ok::<(), std::io::Error>(())
    };
    Ok(wait(flushed)?.map_err(|error| io(error.to_string()))?)
}

#[cfg(not(target_os = "linux"))]
fn flush(_: &Session<'_, '_>, word: &str) -> Result<(), Failure> {
    Err(failed("sync", Code::ExEnosup, format!("{word} is flushed on Linux only")).into())
}

/// Shows what is mounted, or mounts a device at a directory.
pub(super) fn mount(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    match words {
        [] => show_mounts(session),
        [all] if all == "-a" => show_mounts(session),
        [directory, device] => {
            not_a_letter("mount", directory)?;
            let place = Path::new(directory);
            if !place.is_dir() {
                return Err(no_such(directory, "it is no directory").into());
            }
            if fs::metadata(device).is_err() {
                return Err(no_such(device, "there is no such device").into());
            }
            run(Command::new("mount").arg("--").arg(device).arg(place), device)?;
            writeln!(session.out(), "{directory} <-> {device} mounted")?;
            Ok(0)
        }
        _ => Err(failed("mount", Code::ExReqarg, "expected a directory and a device").into()),
    }
}

/// Unmounts a directory, and tries again for so many seconds while it is in use.
pub(super) fn umount(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    let directory = words[0].as_str();
    not_a_letter("umount", directory)?;
    let patience = match words.get(1) {
        None => 0,
        Some(word) => word
            .parse::<u32>()
            .map_err(|_| failed("umount", Code::ExInvarg, format!("{word}: expected seconds")))?,
    };
    let found = mounts().into_iter().rev().find(|mounted| mounted.directory == directory);
    let Some(mounted) = found else {
        return Err(no_such(directory, "nothing is mounted there").into());
    };
    let clock = session.world.clock;
    let end = clock.now() + Duration::from_secs(patience.into());
    loop {
        match run(Command::new("umount").arg("--").arg(directory), directory) {
            Ok(()) => break,
            Err(error) if clock.now() >= end => return Err(error),
            Err(_) => clock.sleep(AGAIN),
        }
    }
    writeln!(session.out(), "{directory} <-> {} unmounted", mounted.device)?;
    Ok(0)
}

fn show_mounts(session: &mut Session<'_, '_>) -> Outcome {
    let host = host(session.world)?;
    let mounted: Vec<Mounted> =
        mounts().into_iter().filter(|mounted| mounted.device.starts_with("/dev/")).collect();
    let names: Vec<Name> = mounted.iter().map(|m| Name::File(m.device.clone())).collect();
    let disks = wait(host.named(&names))?.disks;
    let out = session.out();
    writeln!(
        out,
        "{:<20} {:<7} {:<8} {:<16} {:<9} {:<4} {:<6} {:>4} {:>4}",
        "Drive", "FS_name", "VOL_name", "Device", "Partition", "Port", "PathID", "Targ", "Lun"
    )?;
    for (Mounted { device, directory, kind }, disk) in mounted.iter().zip(disks) {
        let name = device.rsplit('/').next().unwrap_or_default();
        let partition = host.sys.join("class/block").join(name).join("partition");
        let partition = fs::read_to_string(partition).ok();
        let partition = or_dashes(partition.as_deref().map(str::trim), "-");
        let (target, lun) = (or_dashes(disk.target, "-"), or_dashes(disk.lun, "-"));
        writeln!(
            out,
            "{directory:<20} {kind:<7} {:<8} {device:<16} {partition:<9} {:<4} {:<6} {target:>4} {lun:>4}",
            "-", "-", "-"
        )?;
    }
    Ok(0)
}

fn mounts() -> Vec<Mounted> {
    let table = fs::read("/proc/self/mounts").unwrap_or_default();
    let table = String::from_utf8_lossy(&table).into_owned();
    let line = |line: &str| {
        let mut words = line.split(' ').map(unescaped);
        Some(Mounted { device: words.next()?, directory: words.next()?, kind: words.next()? })
    };
    table.lines().filter_map(line).collect()
}

/// A word of the table, in which blanks and the like stand as `\040`.
fn unescaped(word: &str) -> String {
    let mut parts = word.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                text.push(char::from(code));
                text.push_str(&part[3..]);
            }
            _ => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

/// Runs a program of the system; what it says on standard error is the cause.
fn run(command: &mut Command, object: &str) -> Result<(), Failure> {
    let failed = |cause: String| CciError::new(Code::ExCmdioe).object(object).cause(cause);
    let output = command
        .output()
        .map_err(|error| failed(format!("{}: {error}", command.get_program().to_string_lossy())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.split_whitespace().collect::<Vec<_>>().join(" ")).into())
}

fn no_such(object: &str, cause: &str) -> CciError {
    CciError::new(Code::ExEnodev).object(object).cause(cause)
}

/// `D:` and `\vol2` mean something on Windows only.
fn not_a_letter(command: &str, word: &str) -> Result<(), Failure> {
    let letter = matches!(word.as_bytes(), [drive, b':'] if drive.is_ascii_alphabetic());
    if letter || word.starts_with("\\vol") || word.starts_with("\\Vol") {
        return Err(no_such(word, "Linux has no drive letters and no \\vol names")
            .advice(format!("name a directory or a device: -x {command} /mnt"))
            .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn mounted_places_are_read_as_they_are_named() {
        assert_eq!(unescaped(r"/mnt/a\040b\134c"), r"/mnt/a b\c");
        assert_eq!(unescaped(r"/mnt\0"), r"/mnt\0");
        assert_eq!(unescaped("/é"), "/é");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn file_systems_are_flushed_by_a_directory_or_file_of_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"x").unwrap();
        let line = format!("-x sync {} {}", dir.path().display(), file.display());
        let ran = Fake::done().run("raidscan", &line);
        assert_eq!(ran.code, 0, "{}", ran.errors);
        let expected = format!("[SYNC] {}\n[SYNC] {}\n", dir.path().display(), file.display());
        assert_eq!(ran.output, expected);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_mounted_is_shown_with_as_many_words_as_the_heading() {
        let ran = Fake::done().run("raidscan", "-x mount");
        assert_eq!(ran.code, 0, "{}", ran.errors);
        let counts: Vec<_> =
            ran.output.lines().map(|line| line.split_whitespace().count()).collect();
        assert!(counts.iter().all(|count| *count == 9), "{}", ran.output);
    }

    #[test]
    fn a_device_is_not_mounted_where_no_directory_is() {
        let ran = Fake::done().run("raidscan", "-x mount /no/such/place /dev/null");
        assert_eq!(ran.code, 246);
    }
}
