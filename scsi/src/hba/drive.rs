//! A disk behind a portal, read and written by blocks.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::Mutex, time::timeout};

use super::{Disk, PATIENCE, Portal, failure, initiator};
use crate::{
    iscsi::{Session, initiator::Reply},
    medium::BLOCK,
    task::LunAddress,
};

/// Times that a command is sent where the disk says that something has changed, or is busy.
const TRIES: usize = 10;
/// The pause before a busy disk is asked again.
const PAUSE: Duration = Duration::from_millis(20);

const BUSY: u8 = 0x08;
const TASK_SET_FULL: u8 = 0x28;
const CHECK_CONDITION: u8 = 0x02;
const UNIT_ATTENTION: u8 = 0x06;

/// A session with a target, once there is one.
type Slot = Arc<Mutex<Option<Arc<Session>>>>;

/// A disk. Its session comes into being with the first command, and anew after it was lost.
#[derive(Debug)]
pub struct Drive {
    disk: Disk,
    lun: LunAddress,
    session: Slot,
}

impl Drive {
    /// A disk that was found. Nothing is sent before the first command.
    #[must_use]
    pub fn new(disk: Disk) -> Self {
        Self::through(disk, Slot::default())
    }

    /// Disks that were found, one session for all of a target.
    #[must_use]
    pub fn all(disks: Vec<Disk>) -> Vec<Self> {
        let mut sessions: Vec<(Portal, String, Slot)> = Vec::new();
        let mut drives = Vec::with_capacity(disks.len());
        for disk in disks {
            let same = |(portal, target, _): &&(Portal, String, Slot)| {
                (portal, target) == (&disk.portal, &disk.target)
            };
            let known = sessions.iter().rev().find(same).map(|(_, _, slot)| Arc::clone(slot));
            let slot = known.unwrap_or_else(|| {
                let slot = Slot::default();
                sessions.push((disk.portal.clone(), disk.target.clone(), Arc::clone(&slot)));
                slot
            });
            drives.push(Self::through(disk, slot));
        }
        drives
    }

    fn through(disk: Disk, session: Slot) -> Self {
        let lun = LunAddress::from_number(disk.lun).unwrap_or_default();
        Self { disk, lun, session }
    }

    /// Which disk it is.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Carries a command out that sends `data` or reads up to `read` bytes, past unit attentions.
    ///
    /// # Errors
    /// When the portal is gone or refuses; what the disk answers but GOOD, as text.
    pub async fn command(&self, cdb: &[u8], data: Bytes, read: u32) -> io::Result<Bytes> {
        for _ in 0..TRIES {
            let session = self.session().await?;
            let sent = timeout(PATIENCE, session.command(self.lun, cdb, data.clone(), read)).await;
            let reply = match sent {
                Ok(Ok(reply)) => reply,
                Ok(Err(error)) => {
                    self.lose(&session).await;
                    return Err(failure(error));
                }
                Err(_) => {
                    self.lose(&session).await;
                    return Err(io::ErrorKind::TimedOut.into());
                }
            };
            match reply.status {
                0 => return Ok(reply.data),
                BUSY | TASK_SET_FULL => tokio::time::sleep(PAUSE).await,
                CHECK_CONDITION if key(&reply) == Some(UNIT_ATTENTION) => {}
                _ => return Err(refused(&reply)),
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the disk stays busy"))
    }

    /// Reads whole blocks: READ (16).
    ///
    /// # Errors
    /// Those of [`Drive::command`].
    pub async fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let (cdb, length) = transfer(0x88, offset, length)?;
        let data = self.command(&cdb, Bytes::new(), length).await?;
        if data.len() == length as usize {
            Ok(data)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Writes whole blocks: WRITE (16).
    ///
    /// # Errors
    /// Those of [`Drive::command`].
    pub async fn write(&self, offset: u64, data: Bytes) -> io::Result<()> {
        let (cdb, _) = transfer(0x8a, offset, data.len())?;
        self.command(&cdb, data, 0).await.map(drop)
    }

    /// A VPD page, or the standard INQUIRY data.
    ///
    /// # Errors
    /// Those of [`Drive::command`].
    pub async fn inquiry(&self, page: Option<u8>) -> io::Result<Bytes> {
        let cdb = [0x12, page.is_some().into(), page.unwrap_or(0), 0x10, 0, 0];
        self.command(&cdb, Bytes::new(), 4096).await
    }

    async fn session(&self) -> io::Result<Arc<Session>> {
        let mut slot = self.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let initiator = initiator(&self.disk.portal)?;
        let login = initiator.login(&self.disk.portal.address, &self.disk.target);
        let session = timeout(PATIENCE, login).await.map_err(|_| io::ErrorKind::TimedOut)?;
        let session = Arc::new(session.map_err(failure)?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Gives a session up that did not answer, unless somebody did already.
    async fn lose(&self, lost: &Arc<Session>) {
        let mut slot = self.session.lock().await;
        if slot.as_ref().is_some_and(|session| Arc::ptr_eq(session, lost)) {
            *slot = None;
        }
    }
}

/// The CDB of a transfer by 16 bytes, and its length in bytes.
fn transfer(opcode: u8, offset: u64, length: usize) -> io::Result<([u8; 16], u32)> {
    let block = u64::from(BLOCK);
    let bytes = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    if !offset.is_multiple_of(block) || !bytes.is_multiple_of(BLOCK) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..10].copy_from_slice(&(offset / block).to_be_bytes());
    cdb[10..14].copy_from_slice(&(bytes / BLOCK).to_be_bytes());
    Ok((cdb, bytes))
}

/// The sense key of fixed or descriptor sense data.
fn key(reply: &Reply) -> Option<u8> {
    match reply.sense.first()? & 0x7f {
        0x70 | 0x71 => reply.sense.get(2).map(|key| key & 0xf),
        0x72 | 0x73 => reply.sense.get(1).map(|key| key & 0xf),
        _ => None,
    }
}

fn refused(reply: &Reply) -> io::Error {
    let sense = reply
        .sense
        .get(12..14)
        .map(|codes| format!(", ASC/ASCQ {:02x}h/{:02x}h", codes[0], codes[1]));
    let kind = match key(reply) {
        Some(0x05) => io::ErrorKind::Unsupported,
        Some(0x07) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    let (status, key) = (reply.status, key(reply).unwrap_or(0));
    let text = format!("status {status:02x}h, sense key {key:x}h{}", sense.unwrap_or_default());
    io::Error::new(kind, text)
}
