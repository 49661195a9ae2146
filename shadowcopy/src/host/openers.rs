//! Which programs have a block device open, as `/proc` tells it (`proc(5)`). A mount or a map claims
//! its device, so that the kernel refuses others; of a plain `open` nothing but this tells.

use std::{fs, io, path::Path};

use rustix::{
    fs::{AtFlags, CWD, FileType, StatxFlags, statx},
    io::Errno,
};

use crate::volume::block::Blocks;

/// Major and minor number of a device.
pub type Number = (u32, u32);

/// They look at every disk, when it comes or as long as it is there, and do nothing with its bytes.
const LOOKERS: [&str; 5] = ["losetup", "multipathd", "systemd-udevd", "(udev-worker)", "udevd"];

/// Who has devices open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Openers {
    /// The device, and the program with its process id, such as `dd (4711)`.
    pub found: Vec<(Number, String)>,
    /// What could not be looked into, and why: there may be others.
    pub unseen: Option<String>,
}

impl Openers {
    /// As users of a volume, each in a line. Not to know is as bad as to know.
    pub fn users(&self, blocks: &Blocks) -> impl Iterator<Item = String> {
        let name = |number: &Number| {
            blocks.name(*number).unwrap_or_else(|| format!("block/{}:{}", number.0, number.1))
        };
        let found = self.found.iter();
        let found =
            found.map(move |(number, who)| format!("/dev/{} is open by {who}", name(number)));
        let unseen = self.unseen.iter();
        found.chain(unseen.map(|why| {
            format!("it cannot be seen which programs have it open, for that takes root: {why}")
        }))
    }
}

/// The programs of this PID namespace that have any of these open, but for this one and those that
/// look at every disk.
#[must_use]
pub fn of(numbers: &[Number]) -> Openers {
    if numbers.is_empty() {
        return Openers::default();
    }
    look(Path::new("/proc"), numbers, opened)
}

/// Likewise of a device, of what it is a part of, and of what stands on it.
#[must_use]
pub fn of_device(blocks: &Blocks, number: Number) -> Openers {
    let mut numbers = vec![number];
    if let Some(name) = blocks.name(number) {
        let below = blocks.disks(&name).unwrap_or_default();
        let above = blocks.all().into_iter().filter(|other| {
            blocks.disks(other).is_ok_and(|disks| disks.iter().flatten().any(|disk| *disk == name))
        });
        let names = below.into_iter().flatten().chain(above);
        numbers.extend(names.filter_map(|name| blocks.number(&name)));
    }
    of(&numbers)
}

fn look(proc: &Path, numbers: &[Number], opened: impl Fn(&Path) -> Option<Number>) -> Openers {
    let mut openers = Openers::default();
    let unseen = |path: &Path, error: &io::Error| Some(format!("{}: {error}", path.display()));
    let processes = match fs::read_dir(proc) {
        Ok(processes) => processes,
        Err(error) => return Openers { unseen: unseen(proc, &error), ..openers },
    };
    for process in processes.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else { continue };
        let folder = process.path().join("fd");
        let descriptors = match fs::read_dir(&folder) {
            Ok(descriptors) => descriptors,
            Err(error) if has_ended(&error) => continue,
            Err(error) => {
                openers.unseen = openers.unseen.or_else(|| unseen(&folder, &error));
                continue;
            }
        };
        let devices = descriptors.flatten().filter_map(|descriptor| opened(&descriptor.path()));
        let mut devices: Vec<_> = devices.filter(|number| numbers.contains(number)).collect();
        devices.sort_unstable();
        devices.dedup();
        if devices.is_empty() {
            continue;
        }
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let name = name.trim();
        if !LOOKERS.contains(&name) {
            openers.found.extend(devices.into_iter().map(|n| (n, format!("{name} ({pid})"))));
        }
    }
    openers
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// The block device behind a descriptor. A file system that does not answer is not asked.
fn opened(descriptor: &Path) -> Option<Number> {
    let found = statx(CWD, descriptor, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE).ok()?;
    let kind = FileType::from_raw_mode(found.stx_mode.into());
    (kind == FileType::BlockDevice).then_some((found.stx_rdev_major, found.stx_rdev_minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process of a `/proc` of the test's own; a descriptor's file holds its device.
    fn process(proc: &Path, pid: u32, name: &str, devices: &[&str]) {
        let folder = proc.join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
        for (fd, device) in devices.iter().enumerate() {
            fs::write(folder.join(format!("fd/{fd}")), device).unwrap();
        }
    }

    fn number(descriptor: &Path) -> Option<Number> {
        let text = fs::read_to_string(descriptor).unwrap();
        let (major, minor) = text.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    #[test]
    fn programs_that_have_it_open_are_named_once_and_lookers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path();
        process(proc, 17, "dd", &["tty", "8:1", "8:16", "8:1"]);
        process(proc, 18, "cat", &["8:16", "8:2"]);
        process(proc, 19, "multipathd", &["8:1"]);
        process(proc, std::process::id(), "drm", &["8:1"]);
        fs::create_dir(proc.join("sys")).unwrap();
        fs::create_dir(proc.join("20")).unwrap();
        let openers = look(proc, &[(8, 1), (8, 2)], number);
        let mut found = openers.found.clone();
        found.sort();
        assert_eq!(found, [((8, 1), "dd (17)".to_owned()), ((8, 2), "cat (18)".to_owned())]);
        assert_eq!(openers.unseen, None, "a process that has ended is no secret");
    }

    #[test]
    fn a_process_that_cannot_be_looked_into_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("17")).unwrap();
        fs::write(dir.path().join("17/fd"), "no directory").unwrap();
        process(dir.path(), 18, "dd", &["8:1"]);
        let openers = look(dir.path(), &[(8, 1)], number);
        let users: Vec<_> = openers.users(&Blocks::new(dir.path())).collect();
        assert_eq!(users[0], "/dev/block/8:1 is open by dd (18)");
        assert!(users[1].contains("takes root") && users[1].contains("/17/fd: "), "{users:?}");
        assert!(look(&dir.path().join("none"), &[(8, 1)], number).unseen.is_some());
    }

    #[test]
    fn a_descriptor_of_no_block_device_is_none() {
        assert_eq!(opened(Path::new("/dev/null")), None);
        assert_eq!(opened(Path::new("/")), None);
        assert_eq!(opened(Path::new("/nowhere/at/all")), None);
    }
}
