//! The disks of this host, and who they say they are.
//!
//! A disk is a LUN of the built-in initiator (`Harddisk0`, `Harddisk1` ...), a SCSI disk of the
//! kernel (`/dev/sda`), a file that `horcm attach` made of a LUN, or whatever leads to one of them:
//! a partition, a loop device, a multipath map, a symbolic link.
//!
//! | file | what it holds |
//! |---|---|
//! | [`pages`] | INQUIRY data and VPD pages to an identity; the one place that reads them |
//! | [`names`] | device lists: `$Phys`, `hd0-3`, paths |
//! | [`io`] | the blocks of a disk |
//! | [`ports`] | the kernel's SCSI adapters |
//! | `initiator` | disks of the built-in initiator |
//! | `kernel` | disks of the kernel, by sysfs; nothing is sent to them |
//! | `attached` | files of `horcm attach`, by their extended attributes |

mod attached;
mod initiator;
pub mod io;
mod kernel;
pub mod names;
pub mod pages;
pub mod ports;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{LdevId, PortName, Serial};

use self::{kernel::Kernel, names::Name, pages::Pages};
use crate::{
    hba::{self, Portal, conf},
    medium::{Place, Standing},
};

/// A disk of this host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostDisk {
    /// `Harddisk0`, `/dev/sda`, or as it was named in a device list.
    pub device_file: String,
    /// Target id by which the host reaches it; `None` where there is none (iSCSI by the built-in
    /// initiator) or it is unknown.
    pub target: Option<u32>,
    /// LUN by which the host reaches it.
    pub lun: Option<u64>,
    /// What the standard INQUIRY data say; `None` where it cannot be asked, or says that there is
    /// no such device.
    pub inquiry: Option<Inquiry>,
    /// Which LDEV it is; `None` for disks of other vendors.
    pub identity: Option<Identity>,
    /// The bytes that say so.
    pub pages: Pages,
}

/// Vendor and product of any disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Such as `HITACHI`; at most 8 characters.
    pub vendor: String,
    /// Such as `OPEN-3` or `OPEN-3-CM`; at most 16 characters.
    pub product: String,
    /// Such as `2114`; at most 4 characters.
    pub revision: String,
}

/// Which LDEV a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Serial number of the storage system.
    pub serial: Serial,
    /// LDEV number.
    pub ldev: LdevId,
    /// The port through which it is reached, where that is known.
    pub port: Option<PortName>,
    /// Whether it is a command device.
    pub command_device: bool,
    /// How it stands in the storage system; empty where the vendor page cannot be read, as with
    /// disks of the kernel.
    pub standing: Standing,
    /// Target id, LUN and host group as the storage system counts; empty likewise.
    pub place: Place,
}

/// Disks, and what could not be asked for some.
#[derive(Debug, Default)]
pub struct Found {
    /// The disks.
    pub disks: Vec<HostDisk>,
    /// Portals that cannot be asked, and why.
    pub faults: Vec<(String, std::io::Error)>,
}

/// Where disks are looked for.
#[derive(Debug, Clone)]
pub struct Host {
    /// Those of the built-in initiator.
    pub portals: Vec<Portal>,
    /// The system directory of the kernel, `/sys` but in tests.
    pub sys: PathBuf,
}

impl Host {
    /// This host, with the portals of `horcm.hba`.
    #[must_use]
    pub fn new(portals: Vec<Portal>) -> Self {
        Self { portals, sys: PathBuf::from("/sys") }
    }

    /// This host with the portals of a `horcm.hba`; without any, where there is no such file.
    ///
    /// # Errors
    /// That the file cannot be read or has a bad line, with its name.
    pub fn of_file(hba: &Path) -> std::io::Result<Self> {
        use std::io;
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", hba.display());
        let text = match std::fs::read_to_string(hba) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io::Error::new(error.kind(), named(&error))),
        };
        let portals = conf::parse(&text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, named(&error)))?;
        Ok(Self::new(portals))
    }

    /// Every disk that says it is there: those of the built-in initiator as `Harddisk0`,
    /// `Harddisk1` ..., then `/dev/sd*` of the kernel.
    pub async fn all(&self) -> Found {
        let mut found = self.built_in().await;
        let kernel = Kernel { sys: &self.sys };
        found.disks.extend(kernel.disks());
        found.disks.retain(|disk| disk.inquiry.is_some());
        found
    }

    /// The disks of a device list, in its order, one for each name; a name that leads to no disk,
    /// or to one that hides, has neither [`HostDisk::inquiry`] nor [`HostDisk::identity`]. The
    /// names that stand for many ([`Name::Physical`] and so on) give those that are there.
    pub async fn named(&self, names: &[Name]) -> Found {
        let asks = |name: &Name| matches!(name, Name::Harddisk(_) | Name::Physical);
        let mut found = Found::default();
        if names.iter().any(asks) {
            found = self.built_in().await;
        }
        let built_in = std::mem::take(&mut found.disks);
        let kernel = Kernel { sys: &self.sys };
        for name in names {
            match name {
                Name::Harddisk(number) => {
                    let disk = usize::try_from(*number).ok().and_then(|n| built_in.get(n));
                    found.disks.push(disk.cloned().unwrap_or_else(|| nameless(&name.to_string())));
                }
                Name::Physical => {
                    let all = built_in.iter().cloned().chain(kernel.disks());
                    found.disks.extend(all.filter(|disk| disk.inquiry.is_some()));
                }
                Name::Mounted => found.disks.extend(kernel.volumes(true)),
                Name::Volumes => found.disks.extend(kernel.volumes(false)),
                Name::File(path) => found.disks.push(file(&kernel, path)),
            }
        }
        found
    }

    /// The blocks of a disk that was found.
    ///
    /// # Errors
    /// That it is not there any more, or the operating system's answer.
    pub async fn open(&self, disk: &HostDisk) -> std::io::Result<io::DiskIo> {
        let built_in = names::range(&disk.device_file.to_ascii_lowercase());
        let Some(number) = built_in.map(|range| *range.start()) else {
            return io::DiskIo::open(Path::new(&disk.device_file));
        };
        let (disks, _) = hba::disks(&self.portals).await;
        let drive = usize::try_from(number).ok().and_then(|n| disks.into_iter().nth(n));
        let drive = drive.ok_or(std::io::ErrorKind::NotFound)?;
        Ok(io::DiskIo::Drive(Arc::new(hba::Drive::new(drive))))
    }

    async fn built_in(&self) -> Found {
        initiator::disks(&self.portals).await
    }
}

fn nameless(device_file: &str) -> HostDisk {
    HostDisk { device_file: device_file.to_owned(), ..HostDisk::default() }
}

/// A file or device by its path.
fn file(kernel: &Kernel<'_>, path: &str) -> HostDisk {
    let found = attached::disk(Path::new(path)).or_else(|| kernel.device(Path::new(path)));
    HostDisk { device_file: path.to_owned(), ..found.unwrap_or_default() }
}
