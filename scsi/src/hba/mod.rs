//! The built-in host bus adapter: iSCSI portals of a file, and the disks behind them. With it a
//! host needs no initiator of its kernel.
//!
//! * [`conf`]: the file, `$HORCMROOT/etc/horcm.hba`.
//! * [`drive`]: a disk, with a session that comes back when it is lost.

pub mod conf;
pub mod drive;

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

pub use self::{conf::Portal, drive::Drive};
use crate::{
    iscsi::{Credentials, Initiator, Session, initiator::InitiatorError},
    task::LunAddress,
};

/// How long a portal may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most LUNs of a target that count.
const MOST_LUNS: u32 = 4096;

/// A disk that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The portal.
    pub portal: Portal,
    /// The iSCSI name of the target.
    pub target: String,
    /// The LUN.
    pub lun: u16,
}

/// All disks behind the portals, in their order: portals as the file has them, targets by name,
/// LUNs ascending. Their positions are the numbers of Harddisk0, Harddisk1 and so on. A portal
/// that cannot be asked has none; why is in the second half.
pub async fn disks(portals: &[Portal]) -> (Vec<Disk>, Vec<(String, io::Error)>) {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for portal in portals {
        let asked = timeout(PATIENCE, behind(portal)).await;
        match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(disks) => found.extend(disks),
            Err(error) => faults.push((portal.address.clone(), error)),
        }
    }
    (found, faults)
}

async fn behind(portal: &Portal) -> io::Result<Vec<Disk>> {
    let initiator = initiator(portal)?;
    let mut targets = initiator.discover(&portal.address).await.map_err(failure)?;
    targets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut disks = Vec::new();
    for target in targets {
        let session = initiator.login(&portal.address, &target.name).await.map_err(failure)?;
        for lun in luns(&session).await? {
            disks.push(Disk { portal: portal.clone(), target: target.name.clone(), lun });
        }
        let _ = session.logout().await;
    }
    Ok(disks)
}

/// REPORT LUNS (SPC-4 6.33).
async fn luns(session: &Session) -> io::Result<Vec<u16>> {
    let room = 8 + 8 * MOST_LUNS;
    let [a, b, c, d] = room.to_be_bytes();
    let cdb = [0xa0, 0, 0, 0, 0, 0, a, b, c, d, 0, 0];
    let reply = session.command(LunAddress(0), &cdb, Bytes::new(), room).await.map_err(failure)?;
    if reply.status != 0 {
        return Err(io::Error::other(format!("REPORT LUNS: status {:02x}h", reply.status)));
    }
    let list = reply.data.get(8..).unwrap_or_default();
    let lun = |bytes: &[u8; 8]| LunAddress(u64::from_be_bytes(*bytes)).number();
    let mut luns: Vec<u16> = list.as_chunks().0.iter().filter_map(lun).collect();
    luns.sort_unstable();
    Ok(luns)
}

/// Who logs in at a portal, and how.
///
/// # Errors
/// Where there are no random numbers.
pub fn initiator(portal: &Portal) -> io::Result<Initiator> {
    let mut initiator = Initiator::new(portal.initiator.clone()).map_err(failure)?;
    let credentials = |(name, secret): &(String, String)| Credentials {
        name: name.clone(),
        secret: secret.clone().into_bytes(),
    };
    initiator.credentials = portal.chap.as_ref().map(credentials);
    initiator.target = portal.target_chap.as_ref().map(credentials);
    Ok(initiator)
}

fn failure(error: InitiatorError) -> io::Error {
    match error {
        InitiatorError::Io(error) => error,
        InitiatorError::Lost => io::ErrorKind::ConnectionReset.into(),
        InitiatorError::Refused(_) | InitiatorError::Denied(_) => {
            io::Error::new(io::ErrorKind::PermissionDenied, error)
        }
        error => io::Error::other(error),
    }
}
