//! What is mounted where, as `/proc/self/mountinfo` tells it (`proc(5)`).

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// As many overlays as the kernel stacks, and one more.
const MOST_OVERLAYS: usize = 3;

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of its device; major 0 where it has none.
    pub device: (u32, u32),
    /// Where it is mounted.
    pub point: PathBuf,
    /// Such as `ext4`.
    pub file_system: String,
    /// What was mounted, such as `/dev/sda1`; what that means is the file system's.
    pub source: PathBuf,
    /// Of an overlay, the directory that takes what is written to it, as whoever mounted it sees it.
    pub upper: Option<PathBuf>,
}

/// Every mount of this process' namespace, in the order in which they were mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts(pub Vec<Mount>);

impl Mounts {
    /// Those there are now.
    ///
    /// # Errors
    /// What reading `/proc` says.
    pub fn now() -> io::Result<Self> {
        Ok(Self::parse(&fs::read("/proc/self/mountinfo")?))
    }

    /// Those of a table; lines that are none are passed over.
    #[must_use]
    pub fn parse(table: &[u8]) -> Self {
        Self(table.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    /// The topmost mount at a path that is absolute and without links.
    #[must_use]
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == point)
    }

    /// The mount that a path lies on, which is absolute and without links.
    #[must_use]
    pub fn under(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|point| self.at(point))
    }

    /// The mount of the file system that takes what is written to a path: an overlay, such as the
    /// root of a container, passes it on to its upper directory. An overlay whose upper directory
    /// is not seen here stands for itself.
    #[must_use]
    pub fn storing(&self, path: &Path) -> Option<&Mount> {
        let mut mount = self.under(path)?;
        for _ in 0..MOST_OVERLAYS {
            let below = mount.upper.as_ref().and_then(|upper| self.under(upper));
            let Some(below) = below.filter(|below| *below != mount) else { break };
            mount = below;
        }
        Some(mount)
    }

    /// Those of a device.
    pub fn of(&self, device: (u32, u32)) -> impl Iterator<Item = &Mount> {
        self.0.iter().filter(move |mount| mount.device == device)
    }
}

/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG ...] - TYPE SOURCE OPTIONS`
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let (major, minor) = std::str::from_utf8(fields.get(2)?).ok()?.split_once(':')?;
    let file_system = String::from_utf8_lossy(fields.get(dash + 1)?).into_owned();
    let upper = || upper(fields.get(dash + 3)?);
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        point: unescaped(fields.get(4)?),
        upper: if file_system == "overlay" { upper() } else { None },
        file_system,
        source: unescaped(fields.get(dash + 2)?),
    })
}

fn upper(options: &[u8]) -> Option<PathBuf> {
    let mut options = options.split(|byte| *byte == b',');
    options.find_map(|option| option.strip_prefix(b"upperdir=")).map(unescaped)
}

/// Blanks and the like stand as `\040`.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, behind)) = rest.split_first() {
        let octal = behind.first_chunk::<3>().filter(|_| *byte == b'\\');
        let value = octal.and_then(|o| u8::from_str_radix(std::str::from_utf8(o).ok()?, 8).ok());
        out.push(value.unwrap_or(*byte));
        rest = if value.is_some() { &behind[3..] } else { behind };
    }
    OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
40 29 7:3 / /srv/a\\040b rw,nosuid - ext4 /dev/loop3 rw\n\
41 29 0:45 / /c rw master:1 shared:2 - fuse horcm:1:2 rw\n\
42 41 0:46 / /c rw - tmpfs none rw\n\
broken line\n\
43 29 7:x / /d rw - ext4 /dev/loop4 rw\n";

    #[test]
    fn the_topmost_mount_counts_and_escapes_are_read() {
        let mounts = Mounts::parse(TABLE);
        assert_eq!(mounts.0.len(), 4, "what is no mount is passed over");
        assert_eq!(mounts.at(Path::new("/srv/a b")).unwrap().device, (7, 3));
        assert_eq!(mounts.at(Path::new("/c")).unwrap().file_system, "tmpfs");
        assert_eq!(mounts.at(Path::new("/srv")), None);
        assert_eq!(unescaped(b"\\1\\9990\\134"), Path::new("\\1\\9990\\"));
    }

    #[test]
    fn what_is_written_to_an_overlay_lies_in_its_upper_directory() {
        let mounts = Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 8:2 / /var/lib rw - ext4 /dev/sda2 rw\n\
              3 2 0:40 / /var/lib/a/root rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/a\\054b,workdir=/w\n\
              4 3 0:41 / /var/lib/a/root/x rw - overlay none rw,lowerdir=/l,upperdir=/var/lib/a/root/u\n\
              5 3 0:42 / /read rw - overlay none ro,lowerdir=/l:/m\n\
              6 3 0:43 / /self rw - overlay none rw,lowerdir=/l,upperdir=/self/u\n",
        );
        assert_eq!(
            mounts.at(Path::new("/var/lib/a/root")).unwrap().upper,
            Some("/var/lib/a,b".into())
        );
        let storing = |path: &str| mounts.storing(Path::new(path)).unwrap().device;
        assert_eq!(storing("/var/lib/a/root/srv"), (8, 2));
        assert_eq!(storing("/var/lib/a/root/x/srv"), (8, 2), "an overlay over an overlay");
        assert_eq!(storing("/read/file"), (0, 42), "nothing is written to it");
        assert_eq!(storing("/self/file"), (0, 43), "as in its own container");
        assert_eq!(storing("/srv"), (8, 1));
    }

    #[test]
    fn a_path_lies_on_the_nearest_mount_above_it() {
        let mounts = Mounts::parse(TABLE);
        let under = |path: &str| mounts.under(Path::new(path)).map(|mount| mount.point.clone());
        assert_eq!(under("/srv/a b/data/x"), Some("/srv/a b".into()));
        assert_eq!(under("/srv/a bc"), Some("/".into()));
        assert_eq!(mounts.of((254, 0)).count(), 1);
    }
}
