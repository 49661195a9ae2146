//! Command devices that are disks: orders by their blocks.
//!
//! A disk is a file or block device of this host, or a LUN that the built-in initiator reaches
//! (`horcm.hba`): `\\.\PhysicalDriveN` is the Nth of those, `\\.\CMD-serial-ldev-port` whichever
//! says so by INQUIRY, or, behind a hint, by the plate of its mailbox.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use confparse::{CommandDevice, SearchPort};
use model::{LdevId, Serial};
use protocol::{
    Kind, RequestId,
    mailbox::{
        host::{Blocks, Mailbox, MailboxError},
        layout::Plate,
    },
};
use scsi::{
    disks::io::DiskIo,
    hba::{Disk, Drive},
    vendor_page::{self, VendorPage},
};
use tokio::{sync::Mutex, time::timeout};

use crate::disks::Disks;

/// Times that an order is given to a disk that is lost and found again. One that is not found again
/// is given up at once.
const TRIES: usize = 8;

/// One command device that is a disk.
#[derive(Debug)]
pub struct InBand {
    device: CommandDevice,
    disks: Disks,
    /// Found at the first order, and looked for anew after it failed.
    mailbox: Mutex<Option<Arc<Mailbox<BlockPath>>>>,
    /// The plate that was found first. What is found later has to be the same array's: the orders
    /// of one must never reach another.
    plate: OnceLock<Plate>,
}

impl InBand {
    /// `None` for a form that names no disk of this host.
    #[must_use]
    pub fn new(device: &CommandDevice, disks: Disks) -> Option<Self> {
        let named = matches!(
            device,
            CommandDevice::Path(_) | CommandDevice::PhysicalDrive(_) | CommandDevice::Search { .. }
        );
        named.then(|| Self {
            device: device.clone(),
            disks,
            mailbox: Mutex::new(None),
            plate: OnceLock::new(),
        })
    }

    /// Carries an order.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn call(
        &self,
        id: RequestId,
        kind: Kind,
        order: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, String> {
        let began = Instant::now();
        let mut tries = TRIES;
        loop {
            let found = timeout(patience, self.mailbox()).await;
            let mailbox = found.unwrap_or_else(|_| Err("it is not found in time".into()))?;
            match mailbox.call(id, kind, order, patience).await {
                Ok(answer) => return Ok(answer),
                Err(error @ (MailboxError::Io(_) | MailboxError::NoMailbox)) => {
                    // The disk may be another one by now, or elsewhere; asking again under the
                    // same id is safe.
                    self.lose(&mailbox).await;
                    tries -= 1;
                    if tries == 0 || began.elapsed() > patience {
                        return Err(error.to_string());
                    }
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Gives a mailbox up that did not answer, unless somebody did already.
    async fn lose(&self, lost: &Arc<Mailbox<BlockPath>>) {
        let mut slot = self.mailbox.lock().await;
        if slot.as_ref().is_some_and(|mailbox| Arc::ptr_eq(mailbox, lost)) {
            *slot = None;
        }
    }

    async fn mailbox(&self) -> Result<Arc<Mailbox<BlockPath>>, String> {
        let mut slot = self.mailbox.lock().await;
        if let Some(mailbox) = &*slot {
            return Ok(Arc::clone(mailbox));
        }
        let path = find(&self.device, &self.disks).await?;
        let mailbox = Mailbox::new(path);
        let plate = mailbox.plate().await.map_err(|error| error.to_string())?;
        let first = self.plate.get_or_init(|| plate);
        if first.serial != plate.serial {
            return Err(format!(
                "it leads to Serial# {} now, not to Serial# {}",
                plate.serial, first.serial
            ));
        }
        let mailbox = Arc::new(mailbox);
        *slot = Some(Arc::clone(&mailbox));
        Ok(mailbox)
    }
}

async fn find(device: &CommandDevice, disks: &Disks) -> Result<BlockPath, String> {
    match device {
        CommandDevice::Path(path) => BlockPath::open(path).await.map_err(|e| e.to_string()),
        // Without portals it is a disk of the system, where that knows them by such names.
        CommandDevice::PhysicalDrive(number) if cfg!(windows) && !disks.file().exists() => {
            let disk = BlockPath::open(format!(r"\\.\PhysicalDrive{number}")).await;
            disk.map_err(|error| error.to_string())
        }
        CommandDevice::PhysicalDrive(number) => {
            let found = disks.find().await?;
            let numbered: Vec<Disk> = found.into_iter().flat_map(|behind| behind.disks).collect();
            let count = numbered.len();
            let disk = usize::try_from(*number).ok().and_then(|n| numbered.into_iter().nth(n));
            disk.map(|disk| Drive::new(disk).into()).ok_or_else(|| {
                format!(
                    "there is no Harddisk{number}: {} lists {count} disks",
                    disks.file().display()
                )
            })
        }
        CommandDevice::Search { serial, ldev, port, hint } => {
            let wanted = Wanted { serial: *serial, ldev: *ldev, port: *port };
            match hint {
                Some(hint) => among_files(&wanted, hint).await,
                None => among_drives(&wanted, disks).await,
            }
        }
        other => Err(format!("{other} names no disk of this host")),
    }
}

/// What a search asks for.
struct Wanted {
    serial: Serial,
    ldev: Option<LdevId>,
    port: Option<SearchPort>,
}

impl Wanted {
    fn is(&self, serial: u32, ldev: u32) -> bool {
        serial == self.serial.get() && self.ldev.is_none_or(|wanted| wanted.get() == ldev)
    }

    /// Whether a vendor page says that the disk is the one.
    fn is_told_by(&self, page: &[u8]) -> bool {
        let Some(page) = VendorPage::parse(page) else {
            return false;
        };
        let port = match self.port {
            None => true,
            Some(SearchPort::Cluster(cluster)) => {
                page.port.is_some_and(|port| port.to_string().starts_with(&format!("CL{cluster}-")))
            }
            Some(SearchPort::Port(wanted)) => page.port == Some(wanted.port),
        };
        self.is(page.serial.get(), page.ldev.get()) && port && page.command_device
    }
}

async fn among_drives(wanted: &Wanted, disks: &Disks) -> Result<BlockPath, String> {
    let answering = disks.find().await?.into_iter().filter(|behind| behind.answers);
    for drive in answering.flat_map(|behind| behind.disks).map(Drive::new) {
        match drive.inquiry(Some(vendor_page::CODE)).await {
            Ok(page) if wanted.is_told_by(&page) => return Ok(drive.into()),
            // Somebody else's disk, or one that is hidden.
            Ok(_) | Err(_) => {}
        }
    }
    Err("no disk of the built-in initiator is that command device".into())
}

/// Files by a hint: a directory that ends in `/`, or the beginning of paths.
async fn among_files(wanted: &Wanted, hint: &str) -> Result<BlockPath, String> {
    let (folder, start) = hint.rsplit_once('/').unwrap_or((".", hint));
    let folder = if folder.is_empty() { "/" } else { folder };
    let (place, beginning) = (folder.to_owned(), start.to_owned());
    let listed = blocking(move || list(&place, &beginning)).await;
    for path in listed.map_err(|error| format!("{folder}: {error}"))? {
        let Ok(blocks) = BlockPath::open(&path).await else { continue };
        let mailbox = Mailbox::new(blocks);
        match mailbox.plate().await {
            Ok(plate) if wanted.is(plate.serial, plate.ldev) => {
                return BlockPath::open(&path).await.map_err(|error| error.to_string());
            }
            _ => {}
        }
    }
    Err(format!("no disk at {hint} is that command device"))
}

/// What lies in a directory and begins so, in order.
fn list(folder: &str, start: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start)))
        .collect();
    paths.sort_unstable();
    Ok(paths)
}

/// The blocks of a disk.
#[derive(Debug)]
struct BlockPath(DiskIo);

impl BlockPath {
    /// Opens a file or block device ([`DiskIo::open`]).
    async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        blocking(move || DiskIo::open(&path)).await.map(Self)
    }
}

impl From<Drive> for BlockPath {
    fn from(drive: Drive) -> Self {
        Self(DiskIo::Drive(Arc::new(drive)))
    }
}

impl Blocks for BlockPath {
    async fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.0.read(offset, length).await
    }

    async fn write(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
        self.0.write(offset, data).await
    }
}

/// Waits for a disk where that keeps nobody else waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use protocol::mailbox::{device::Device, layout::UNIT};

    use super::*;

    #[tokio::test]
    async fn files_are_read_and_written_in_units_and_found_by_their_plate() {
        let dir = tempfile::tempdir().unwrap();
        let hint = format!("{}/disk", dir.path().display());
        let device = Device::new(Plate { slots: 3, serial: 62_496, ldev: 16 });
        for name in ["disk-a", "disk-b", "other"] {
            let mut bytes = vec![0; 1 << 20];
            if name != "disk-a" {
                device.read(0, &mut bytes);
            }
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let search = |text: String| text.parse::<CommandDevice>().unwrap();
        let disks = Disks::listed_in(dir.path().join("horcm.hba"));
        let found = find(&search(format!(r"\\.\CMD-62496-16:{hint}")), &disks).await.unwrap();
        found.write(2 * UNIT as u64, vec![7; UNIT]).await.unwrap();
        assert_eq!(found.read(2 * UNIT as u64, UNIT).await.unwrap(), vec![7; UNIT]);
        let changed = std::fs::read(dir.path().join("disk-b")).unwrap();
        assert_eq!(changed[2 * UNIT], 7, "the one with the plate");
        let other = find(&search(format!(r"\\.\CMD-62496-17:{hint}")), &disks).await;
        assert!(other.unwrap_err().contains("is that command device"));
        let none = find(&CommandDevice::PhysicalDrive(0), &disks).await.unwrap_err();
        assert!(none.contains("horcm.hba"), "{none}");
    }

    #[test]
    fn a_search_keeps_nobody_waiting_for_a_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        let disks = Disks::listed_in(dir.path().join("horcm.hba"));
        std::fs::write(disks.file(), "").unwrap();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
        // The one thread that may wait for disks does.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let waiting = runtime.spawn_blocking(move || held.recv());
        let hint = format!(r"\\.\CMD-62496-16:{}", path.display());
        let devices = [
            CommandDevice::Path(path.display().to_string()),
            CommandDevice::PhysicalDrive(0),
            hint.parse().unwrap(),
        ];
        runtime.block_on(async {
            for device in &devices {
                let mut found = std::pin::pin!(find(device, &disks));
                let poll = |context: &mut Context<'_>| {
                    Poll::Ready(found.as_mut().poll(context).is_pending())
                };
                assert!(std::future::poll_fn(poll).await, "{device} is searched for elsewhere");
            }
        });
        release.send(()).unwrap();
        runtime.block_on(waiting).unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_command_device_is_told_from_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        let device = CommandDevice::Path(path.display().to_string());
        let disk = InBand::new(&device, Disks::listed_in(dir.path().join("none"))).unwrap();
        let began = Instant::now();
        let call = disk.call(RequestId(1), Kind::Read, b"x", Duration::from_secs(60)).await;
        assert!(call.unwrap_err().contains("not a command device"));
        assert!(began.elapsed() < Duration::from_secs(30), "it is not waited for");
    }

    #[test]
    fn a_search_takes_the_disk_that_its_page_names() {
        let page = |serial: u32, ldev: u32, device: u8, port: &str| {
            let mut page = vec![0, 0xc0, 0, 28];
            page.extend(serial.to_be_bytes());
            page.extend(ldev.to_be_bytes());
            page.extend([0, 5, device, 0]);
            page.extend(format!("{port:<16}").bytes());
            page
        };
        let wanted = |text: &str| match text.parse().unwrap() {
            CommandDevice::Search { serial, ldev, port, .. } => Wanted { serial, ldev, port },
            other => panic!("{other}"),
        };
        let disk = page(62_496, 16, 1, "CL2-C");
        for text in ["CMD-62496", "CMD-62496-16", "CMD-62496-16-CL2-C", "CMD-62496-16-CL2"] {
            assert!(wanted(&format!(r"\\.\{text}")).is_told_by(&disk), "{text}");
        }
        for text in ["CMD-62497", "CMD-62496-17", "CMD-62496-16-CL2-D", "CMD-62496-16-CL1"] {
            assert!(!wanted(&format!(r"\\.\{text}")).is_told_by(&disk), "{text}");
        }
        let any = wanted(r"\\.\CMD-62496");
        assert!(!any.is_told_by(&page(62_496, 18, 0, "CL2-C")), "a data volume");
        assert!(!any.is_told_by(&disk[..20]) && !any.is_told_by(&[]));
    }
}
