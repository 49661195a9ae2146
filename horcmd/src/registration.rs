//! Registering disks of this host with the instance: at start by the permission file, later by
//! `raidscan -find inst` (`cci` 6.2).

use std::sync::Arc;

use confparse::{Permissions, permissions};
use model::CciError;
use protocol::horcm::{Answer, FoundDisk, Reply};

use crate::{
    daemon::Daemon,
    devices::{Disk, LONGEST},
    failure::StartFailure,
    finding,
    settings::Settings,
};

/// Every disk of the host, as `raidscan -pi` names them.
const EVERY: &str = "$PhysicalDrive";

/// The names of the disks that a start registers; `None` where it registers none.
///
/// # Errors
/// HORCM_008 for a permission file that cannot be read: it says which volumes the host may use,
/// and to take all of them would be the opposite.
pub fn at_start(settings: &Settings) -> Result<Option<Vec<String>>, StartFailure> {
    let default = settings.home.perm_file(settings.instance);
    match permissions::load(settings.horcmperm.as_deref(), &default) {
        Ok(Permissions::Skip) => Ok(None),
        Ok(Permissions::All) => Ok(Some(vec![EVERY.to_owned()])),
        Ok(Permissions::Devices(devices)) => {
            Ok(Some(devices.iter().map(ToString::to_string).collect()))
        }
        Err(error) => Err(StartFailure::configuration(error.report(false).trim_end().to_owned())),
    }
}

/// Registers what a start registers, beside the requests that come in meanwhile; those that need
/// to know wait for it.
pub async fn run(daemon: Arc<Daemon>, names: Option<Vec<String>>) {
    if let Some(names) = names {
        match finding::look(&daemon, &names).await.and_then(|disks| add(&daemon, disks, false)) {
            Ok(count) => log::info!("{count} disk(s) of this host are registered"),
            Err(error) => log::warn!("no disks of this host are registered: {error}"),
        }
    }
    daemon.devices.settle();
}

/// Answers `Register`.
///
/// # Errors
/// EX_ENPERM for a second registration in protection mode; EX_ENODEV when no disk can be looked
/// for.
pub async fn register(daemon: &Daemon, names: &[String]) -> Answer {
    daemon.devices.settled().await;
    let disks = finding::look(daemon, names).await?;
    add(daemon, disks, daemon.is_protected())?;
    Ok(Reply::Done)
}

fn add(daemon: &Daemon, disks: Vec<FoundDisk>, once: bool) -> Result<usize, CciError> {
    let short = |disk: &FoundDisk| {
        let short = disk.device.len() <= LONGEST;
        if !short {
            log::warn!("{} is not registered: its name has more than {LONGEST} bytes", disk.device);
        }
        short
    };
    let disks: Vec<_> = disks
        .into_iter()
        .filter(short)
        .map(|FoundDisk { device, volume, path, .. }| Disk { device, volume, path })
        .collect();
    let count = disks.len();
    daemon.devices.register(disks, once)?;
    Ok(count)
}
