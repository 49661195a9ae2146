//! From a name to a LUN behind a portal of `horcm.hba`, and the session with it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use model::{CciError, CciResult, Code};
use scsi::{
    hba::{self, Disk, Drive, Portal, conf},
    iscsi::{Initiator, Session, initiator::Reply},
    task::LunAddress,
};
use tokio::time::timeout;

use super::{
    facts::{ldev, product},
    name::Name,
    target::Target,
};

/// How long a login may take, with the end of the session before it.
const LOGIN: Duration = Duration::from_secs(10);
/// After how long a silence an array is asked whether it lives; after as long again it is given up.
const IDLE: Duration = Duration::from_secs(5);
/// Disks that are named to who asks for one that is not there.
const SHOWN: usize = 32;

/// The LUN's place, logged in to with one identity for as long as it is attached: a login ends
/// the session before it, and with that whatever of it is still on its way (RFC 7143, 6.3.5).
#[derive(Debug)]
pub struct Place {
    disk: Disk,
    address: LunAddress,
    initiator: Initiator,
}

impl Place {
    fn new(disk: Disk) -> std::io::Result<Self> {
        let mut initiator = hba::initiator(&disk.portal)?;
        initiator.idle = IDLE;
        let address = LunAddress::from_number(disk.lun).unwrap_or_default();
        Ok(Self { disk, address, initiator })
    }

    /// `PORTAL TARGET LUN`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {} {}", self.disk.portal.address, self.disk.target, self.disk.lun)
    }
}

impl Target for Place {
    type Session = (Session, LunAddress);

    async fn login(&self) -> Result<Self::Session, String> {
        let login = self.initiator.login(&self.disk.portal.address, &self.disk.target);
        let session = timeout(LOGIN, login).await;
        let session = session.map_err(|_| "the login takes too long".to_owned())?;
        let portal = &self.disk.portal.address;
        Ok((session.map_err(|error| format!("{portal}: {error}"))?, self.address))
    }

    async fn command(
        (session, lun): &Self::Session,
        cdb: &[u8],
        data: Bytes,
        read: u32,
    ) -> Result<Reply, String> {
        session.command(*lun, cdb, data, read).await.map_err(|error| error.to_string())
    }
}

/// The place of a LUN.
///
/// # Errors
/// EX_ENOENT where there is none of that name, with what there is; EX_CMDIOE where a portal that
/// may have it does not answer; EX_INVARG for a file that cannot be read.
pub async fn find(word: &str, name: &Name, conf: &Path) -> CciResult<Place> {
    let listed = portals(conf);
    let disk = match name {
        Name::Address { portal, target, lun } => {
            // Without a file, and without a line in it, there is only no secret for the portal.
            let lines = listed.unwrap_or_default();
            let line = lines.into_iter().find(|line| line.address == *portal);
            let portal = line.unwrap_or_else(|| Portal {
                address: portal.clone(),
                initiator: conf::INITIATOR.to_owned(),
                chap: None,
                target_chap: None,
            });
            Disk { portal, target: target.clone(), lun: *lun }
        }
        Name::Harddisk(_) | Name::Ldev { .. } => among(word, name, conf, listed?).await?,
    };
    Place::new(disk).map_err(|error| unreachable_lun(word, &error.to_string()))
}

/// The file that lists the portals.
///
/// # Errors
/// EX_INVARG.
fn portals(conf: &Path) -> CciResult<Vec<Portal>> {
    let bad = |why: String| {
        CciError::new(Code::ExInvarg)
            .object(conf.display().to_string())
            .cause(why)
            .advice("list the array's portal in it, such as 127.0.0.1:3260, or name another file by HORCM_HBA")
    };
    let text = std::fs::read_to_string(conf).map_err(|error| bad(error.to_string()))?;
    conf::parse(&text).map_err(|error| bad(error.to_string()))
}

async fn among(word: &str, name: &Name, conf: &Path, portals: Vec<Portal>) -> CciResult<Disk> {
    let (disks, faults) = hba::disks(&portals).await;
    let faults: Vec<String> =
        faults.iter().map(|(portal, why)| format!("{portal}: {why}")).collect();
    match name {
        // The numbers count on through all portals, so one that is away makes other disks of them.
        Name::Harddisk(number) if faults.is_empty() => {
            if let Some(disk) = disks.get(*number) {
                return Ok(disk.clone());
            }
        }
        Name::Ldev { serial, ldev } => {
            for disk in &disks {
                let told = identity(disk).await.and_then(|(told, _)| told);
                if told == Some((serial.get(), ldev.get())) {
                    return Ok(disk.clone());
                }
            }
        }
        Name::Harddisk(_) | Name::Address { .. } => {}
    }
    if !faults.is_empty() {
        return Err(unreachable_lun(word, &faults.join("; ")));
    }
    let error = CciError::new(Code::ExEnoent).object(word);
    if disks.is_empty() {
        return Err(error
            .cause(format!("{} leads to no disk", conf.display()))
            .advice("have the array offer the LUN to this initiator (docs/array.md)"));
    }
    let mut there = Vec::new();
    for (number, disk) in disks.iter().enumerate().take(SHOWN) {
        let said = identity(disk).await.map_or_else(|| "(hidden)".to_owned(), |(_, said)| said);
        there.push(format!("Harddisk{number} {said}"));
    }
    let more = match disks.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(error
        .cause(format!("it is none of the {} disks of {}", disks.len(), conf.display()))
        .advice(format!("choose one: {}{more}", there.join(", "))))
}

/// Serial and LDEV where it tells them, and what to call it; `None` of one that is hidden.
async fn identity(disk: &Disk) -> Option<(Option<(u32, u32)>, String)> {
    let drive = Drive::new(disk.clone());
    let inquiry = drive.inquiry(None).await.ok()?;
    let page = drive.inquiry(Some(0xc0)).await.ok();
    let found = page.and_then(|page| ldev(&page));
    let product = product(&inquiry);
    let said = match found {
        Some((serial, ldev)) => format!("{serial}:{ldev} ({product})"),
        None => product,
    };
    Some((found, said))
}

/// A LUN that may be there, and cannot be reached.
#[must_use]
pub fn unreachable_lun(word: &str, why: &str) -> CciError {
    CciError::new(Code::ExCmdioe)
        .object(word)
        .state("not attached")
        .cause(why)
        .advice("see that the array runs and offers the LUN to this initiator")
}

/// `HORCM_HBA`, or `etc/horcm.hba` of the home.
#[must_use]
pub fn hba_file(named: Option<&str>, root: &Path) -> PathBuf {
    named.map_or_else(|| root.join("etc/horcm.hba"), PathBuf::from)
}
