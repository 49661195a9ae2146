//! Protection mode: a host may use the volumes only whose disks it has registered (`cci` 6.2).
//!
//! It is on for the volumes of a unit whose command device says so, and for all with HORCMPROMOD.

use model::{CciError, Code, DevName, VolumeId};
use protocol::horcm::Row;

use crate::{
    catalog::{Group, Member},
    daemon::Daemon,
};

/// Waits until it is settled which volumes this host may use.
pub async fn settled(daemon: &Daemon) {
    if daemon.is_protected() {
        daemon.devices.settled().await;
    }
}

/// Refuses an operation unless the host may use every volume of it.
///
/// # Errors
/// EX_ENPERM with the first volume that it may not use.
pub async fn check(daemon: &Daemon, group: &Group, members: &[&Member]) -> Result<(), CciError> {
    settled(daemon).await;
    for member in members {
        if let Some(volume) = member.volume()
            && !daemon.permits(volume)
        {
            return Err(denied(group, &member.name, volume, "this host"));
        }
    }
    Ok(())
}

/// Refuses an operation whose partner the remote host may not use.
///
/// # Errors
/// EX_ENPERM.
pub fn check_partner(group: &Group, name: &DevName, row: &Row) -> Result<(), CciError> {
    if row.permitted {
        return Ok(());
    }
    Err(denied(group, name, row.volume, "the remote host"))
}

fn denied(group: &Group, name: &DevName, volume: VolumeId, host: &str) -> CciError {
    CciError::new(Code::ExEnperm)
        .object(format!("{} ({volume})", group.object(name, None)))
        .state("protection mode")
        .cause(format!("no disk of {host} that is registered with its instance is this volume"))
        .advice("list the disk in that host's permission file and start its instance again")
}

/// The row of a volume that its host may not use: what it may not see is left out.
#[must_use]
pub const fn hidden(row: &Row) -> Row {
    Row {
        path: row.path,
        volume: row.volume,
        mu: row.mu,
        device: None,
        status: None,
        guard: None,
        permitted: false,
    }
}
