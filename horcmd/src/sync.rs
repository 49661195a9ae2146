//! Having disks write what they hold back (`raidscan -find sync`).

use std::{fs::File, io};

use bytes::Bytes;
use scsi::{
    disks::names::{self, Name},
    hba::Drive,
};

use crate::{disks::Disks, platform};

/// SYNCHRONIZE CACHE (10) of the whole medium (SBC-3 5.18).
const SYNCHRONIZE_CACHE: [u8; 10] = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// First the file systems of this host write what they hold back, then the disks. For each device
/// file whether that was done; why not is logged.
pub async fn all<'a>(disks: &Disks, devices: impl Iterator<Item = &'a str>) -> Vec<bool> {
    let devices: Vec<_> = devices.collect();
    if devices.is_empty() {
        return Vec::new();
    }
    if let Err(error) = tokio::task::spawn_blocking(platform::sync).await {
        log::warn!("the file systems of this host: {error}");
    }
    let built_in = built_in(disks, &devices).await;
    let mut done = Vec::with_capacity(devices.len());
    for device in devices {
        let synced = match names::expand(device).as_slice() {
            [Name::Harddisk(number)] => {
                let drive = usize::try_from(*number).ok().and_then(|n| built_in.get(n));
                match drive {
                    Some(drive) => {
                        drive.command(&SYNCHRONIZE_CACHE, Bytes::new(), 0).await.map(drop)
                    }
                    None => Err(io::ErrorKind::NotFound.into()),
                }
            }
            _ => file(device).await,
        };
        if let Err(error) = &synced {
            log::warn!("{device} did not write what it holds back: {error}");
        }
        done.push(synced.is_ok());
    }
    done
}

/// The disks of the built-in initiator by number, where one is among the devices.
async fn built_in(disks: &Disks, devices: &[&str]) -> Vec<Drive> {
    let is_built_in = |name: &Name| matches!(name, Name::Harddisk(_));
    if !devices.iter().flat_map(|device| names::expand(device)).any(|name| is_built_in(&name)) {
        return Vec::new();
    }
    let found = disks.find().await.unwrap_or_default();
    Drive::all(found.into_iter().flat_map(|behind| behind.disks).collect())
}

async fn file(device: &str) -> io::Result<()> {
    let path = device.to_owned();
    let synced = tokio::task::spawn_blocking(move || File::open(path)?.sync_all());
    synced.await.map_err(io::Error::other)?
}
