//! Disks of the built-in initiator.

use futures_util::{StreamExt, stream};

use super::{Found, HostDisk, pages::Pages};
use crate::{
    hba::{self, Drive, Portal},
    vendor_page,
};

/// Disks that are asked at the same time.
const AT_ONCE: usize = 16;

/// All of them, the hiding ones included: their numbers are those of `\\.\PhysicalDriveN`.
pub(super) async fn disks(portals: &[Portal]) -> Found {
    let (disks, faults) = hba::disks(portals).await;
    let asked = Drive::all(disks).into_iter().enumerate().map(|(n, drive)| async move {
        let lun = Some(drive.disk().lun.into());
        let disk = pages(&drive).await.disk();
        HostDisk { device_file: format!("Harddisk{n}"), lun, ..disk }
    });
    Found { disks: stream::iter(asked).buffered(AT_ONCE).collect().await, faults }
}

/// What it answers; nothing where it does not.
async fn pages(drive: &Drive) -> Pages {
    let mut pages = Pages::default();
    let page = async |code| drive.inquiry(code).await.map(Vec::from).unwrap_or_default();
    pages.inquiry = page(None).await;
    // Others may mean something else by these pages.
    if pages.ours() {
        pages.vendor = page(Some(vendor_page::CODE)).await;
        if pages.vendor.is_empty() {
            pages.serial = page(Some(0x80)).await;
            pages.designators = page(Some(0x83)).await;
        }
    }
    pages
}
