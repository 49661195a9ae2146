//! A service that is a vector of bytes.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{LUN, TARGET};
use crate::{
    iscsi::directory::{Admission, Authentication, Directory, Refusal, Scope, Target},
    nexus::{Nexus, TargetPort},
    sense::Sense,
    service::{Needs, Service},
    task::{Command, Completion, LunAddress, Management, Unmanaged},
};

/// Bytes of the disk.
pub(super) const SIZE: usize = 16 << 20;

/// Understands TEST UNIT READY, INQUIRY, READ(10) and WRITE(10); and 0xc0 and 0xc1, which end when
/// the test says so, the latter with 1 MiB of scratch.
pub(super) struct Disk {
    pub(super) bytes: Arc<Mutex<Vec<u8>>>,
    pub(super) opened: AtomicUsize,
    pub(super) closed: AtomicUsize,
    /// Somebody closed a session.
    pub(super) close: Notify,
    /// What began, in its order: operation code and LBA.
    pub(super) begun: Mutex<Vec<(u8, u32)>>,
    /// Lets 0xc0 end, and a command to a unit that is stuck.
    pub(super) release: Arc<tokio::sync::Semaphore>,
    /// A unit that does not answer.
    pub(super) stuck: Mutex<Option<LunAddress>>,
    /// Commands that ended.
    pub(super) ended: Arc<AtomicUsize>,
    /// Commands that were aborted while they ran.
    pub(super) aborted: AtomicUsize,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            bytes: Arc::new(Mutex::new(vec![0; SIZE])),
            opened: AtomicUsize::default(),
            closed: AtomicUsize::default(),
            close: Notify::new(),
            begun: Mutex::default(),
            release: Arc::new(tokio::sync::Semaphore::new(0)),
            stuck: Mutex::default(),
            ended: Arc::default(),
            aborted: AtomicUsize::default(),
        }
    }
}

impl Disk {
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.opened.load(Ordering::SeqCst), self.closed.load(Ordering::SeqCst))
    }

    pub(super) fn assert_closed(&self) {
        let (opened, closed) = self.counts();
        assert_eq!(opened, closed, "every session is closed once");
    }

    /// Waits until so many sessions were closed.
    pub(super) async fn closed(&self, count: usize) {
        super::within(async {
            loop {
                let notified = self.close.notified();
                if self.counts().1 >= count {
                    return;
                }
                notified.await;
            }
        })
        .await;
    }
}

/// A session on it; it knows whether it was closed.
#[derive(Default)]
pub(super) struct Open(AtomicBool);

fn range(cdb: &[u8]) -> (u32, usize) {
    let lba = u32::from_be_bytes([cdb[2], cdb[3], cdb[4], cdb[5]]);
    (lba, usize::from(u16::from_be_bytes([cdb[7], cdb[8]])) * 512)
}

impl Service for Disk {
    type Session = Open;
    type Arrival = ();

    fn open(&self, _: Nexus) -> Arc<Open> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Arc::default()
    }

    fn close(&self, session: &Open) {
        assert!(!session.0.swap(true, Ordering::SeqCst), "a session is closed once");
        self.closed.fetch_add(1, Ordering::SeqCst);
        self.close.notify_waiters();
    }

    fn needs(&self, _: &Open, _: LunAddress, cdb: &[u8]) -> Needs {
        match cdb[0] {
            0x2a => Needs { takes: range(cdb).1, scratch: 0 },
            0xc1 => Needs { takes: 0, scratch: 1 << 20 },
            _ => Needs::default(),
        }
    }

    fn arrive(&self, _: &Open) {}

    fn abort(&self, (): &()) {
        self.aborted.fetch_add(1, Ordering::SeqCst);
    }

    fn execute(
        &self,
        session: &Arc<Open>,
        (): &(),
        command: Command,
    ) -> impl Future<Output = Completion> + Send + 'static {
        assert!(!session.0.load(Ordering::SeqCst), "nothing is executed on a closed session");
        let (cdb, lun) = (command.cdb, command.lun);
        let (lba, length) = range(&cdb);
        self.begun.lock().unwrap().push((cdb[0], lba));
        let (bytes, release) = (Arc::clone(&self.bytes), Arc::clone(&self.release));
        let ended = Arc::clone(&self.ended);
        let stuck = *self.stuck.lock().unwrap() == Some(lun);
        async move {
            if stuck {
                release.acquire().await.unwrap().forget();
            }
            let start = lba as usize * 512;
            let completion = match cdb[0] {
                _ if lun.number().is_none_or(|number| number > 3) => {
                    Completion::check(Sense::NO_SUCH_UNIT)
                }
                0x00 => Completion::good(),
                0xc0 | 0xc1 => {
                    release.acquire().await.unwrap().forget();
                    Completion::good()
                }
                0x12 => Completion::data(vec![0x5a; usize::from(cdb[4]).min(36)]),
                0x28 | 0x2a if start + length > SIZE => Completion::check(Sense::LBA_OUT_OF_RANGE),
                0x28 => {
                    let bytes = bytes.lock().unwrap();
                    // In two pieces, so that cuts do not fall together.
                    let fits = length.min(command.room);
                    let (a, b) = bytes[start..start + fits].split_at(fits / 3);
                    let data_in = vec![Bytes::copy_from_slice(a), Bytes::copy_from_slice(b)];
                    Completion { data_in, left_out: length - fits, ..Completion::good() }
                }
                0x2a => {
                    let data = command.data_out.concat();
                    bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(&data);
                    Completion::good()
                }
                _ => Completion::check(Sense::INVALID_OPCODE),
            };
            ended.fetch_add(1, Ordering::SeqCst);
            completion
        }
    }

    fn manage(
        &self,
        _: &Open,
        lun: LunAddress,
        function: Management,
    ) -> Result<impl Future<Output = ()> + Send + 'static, Unmanaged> {
        match (lun == LUN, function) {
            (_, Management::ClearAca) => Err(Unmanaged::Rejected),
            (false, Management::LogicalUnitReset | Management::AbortTaskSet) => {
                Err(Unmanaged::NoSuchUnit)
            }
            _ => Ok(std::future::ready(())),
        }
    }
}

/// A directory of one target.
pub(super) struct House {
    pub(super) disk: Arc<Disk>,
    pub(super) authentication: Authentication,
}

impl Directory for House {
    type Service = Disk;

    fn targets(&self, initiator: &str) -> Vec<Target> {
        // Enough for an answer in several parts.
        let many = if initiator.ends_with(":many") { 500 } else { 1 };
        let name = |n| if n == 0 { TARGET.to_owned() } else { format!("{TARGET}-{n}") };
        (0..many).map(|n| Target { name: name(n), portal_group: 1 }).collect()
    }

    fn admit(&self, target: &str, initiator: &str) -> Result<Admission<Disk>, Refusal> {
        if initiator.ends_with(":forbidden") {
            return Err(Refusal::Forbidden);
        }
        if target != TARGET {
            return Err(Refusal::NotFound);
        }
        let port = TargetPort { name: target.to_owned(), portal_group: 1, relative: 1 };
        Ok(Admission { service: Arc::clone(&self.disk), port })
    }

    fn authentication(&self, _: Scope<'_>, _: &str) -> Authentication {
        self.authentication.clone()
    }
}
