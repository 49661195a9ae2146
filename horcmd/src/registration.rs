//! Registering disks of this host with the instance: at start by the permission file, later by
//! `raidscan -find inst` (`cci` 6.2).

use std::sync::Arc;

use confparse::{Permissions, permissions};
use model::{CciError, Code};
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

/// The disks that a start registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtStart {
    /// None; the first registration by hand is the one that counts.
    Nothing,
    /// Every disk of the host.
    Every,
    /// Those of the permission file.
    Listed(Vec<String>),
}

/// What a start registers.
///
/// # Errors
/// HORCM_008 for a permission file that cannot be read: it says which volumes the host may use,
/// and to take all of them would be the opposite.
pub fn at_start(settings: &Settings) -> Result<AtStart, StartFailure> {
    let default = settings.home.perm_file(settings.instance);
    match permissions::load(settings.horcmperm.as_deref(), &default) {
        Ok(Permissions::Skip) => Ok(AtStart::Nothing),
        Ok(Permissions::All) => Ok(AtStart::Every),
        Ok(Permissions::Devices(devices)) => {
            Ok(AtStart::Listed(devices.iter().map(ToString::to_string).collect()))
        }
        Err(error) => Err(StartFailure::configuration(error.report(false).trim_end().to_owned())),
    }
}

/// Registers what a start registers, beside the requests that come in meanwhile; those that need
/// to know wait for it.
pub async fn run(daemon: Arc<Daemon>, what: AtStart) {
    let (names, listed) = match what {
        AtStart::Nothing => (None, false),
        AtStart::Every => (Some(vec![EVERY.to_owned()]), false),
        AtStart::Listed(names) => (Some(names), true),
    };
    if let Some(names) = names {
        // Made even where no disk can be looked for: what fails here must not leave it to whoever
        // asks next which volumes the host may use.
        daemon.devices.begin(listed);
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
/// EX_ENPERM for a second registration in protection mode, or beside a permission file's list while
/// a unit has never said whether it is protected; EX_ENODEV when no disk can be looked for.
pub async fn register(daemon: &Daemon, names: &[String]) -> Answer {
    daemon.devices.settled().await;
    if daemon.devices.is_listed()
        && let Some(id) = daemon.units.all().iter().position(|unit| unit.identity().is_none())
    {
        return Err(CciError::new(Code::ExEnperm)
            .object("raidscan -find inst")
            .state(format!("unit {id} has not answered yet"))
            .cause("it may be protected, and the permission file lists what this host may use")
            .advice("wait until it answers, or list the disks in the permission file"));
    }
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
