//! An LDEV as the device server uses it: its identity, what hosts may do with it, and its I/O
//! through the queues.

use std::{future::ready, sync::Arc};

use bytes::Bytes;
use model::{LdevId, MuNumber, Role};
use protocol::orders::LocalEnd;
use scsi::medium::{Access, BLOCK, Failure, Identity, Medium, Mirror, Pending, Standing};
use tokio::sync::oneshot;

use super::queue::{Io, Queues};
use crate::{array::Array, store::StoreError};

/// The most bytes that are read at once, without a thread of the queues.
const AT_ONCE: usize = 64 << 10;

/// An LDEV of an array.
pub struct LdevMedium {
    array: Arc<Array>,
    queues: Arc<Queues>,
    ldev: LdevId,
}

impl LdevMedium {
    /// The LDEV, which the array has, with I/O through these queues.
    pub(super) const fn new(array: Arc<Array>, queues: Arc<Queues>, ldev: LdevId) -> Self {
        Self { array, queues, ldev }
    }

    /// Reads in this very moment, if it is little and nothing has to be waited for. That takes
    /// less time than a thread takes to wake up. Before writes that wait in the queue it may come:
    /// nobody was told that they have ended.
    fn read_now(&self, offset: u64, length: usize) -> Option<Bytes> {
        if length > AT_ONCE {
            return None;
        }
        let mut buffer = vec![0; length];
        self.array.host_read_now(self.ldev, offset, &mut buffer)?;
        Some(buffer.into())
    }

    fn submit<T: 'static>(
        &self,
        io: Io,
        lba: u64,
        take: impl FnOnce(Vec<Bytes>) -> T + Send + 'static,
    ) -> Pending<T> {
        let submitted = self.queues.submit(self.ldev, io);
        Box::pin(async move {
            match submitted {
                Ok(pending) => pending.await.map(take).map_err(|error| failure(&error, lba)),
                Err(_) => Err(Failure::Busy),
            }
        })
    }
}

/// What a host is told.
fn failure(error: &StoreError, lba: u64) -> Failure {
    match error {
        StoreError::Guarded(_) => Failure::Unreadable,
        StoreError::Protected(_) => Failure::Unwritable,
        StoreError::Medium { offset, .. } => {
            // The page that is damaged begins there; the request may begin within it.
            Failure::Damaged { lba: lba.max(offset / u64::from(BLOCK)) }
        }
        StoreError::Full(_) => Failure::Full,
        StoreError::NoLdev(_) => Failure::Gone,
        error if error.is_full() => Failure::Full,
        _ => Failure::Broken,
    }
}

/// What INQUIRY tells of an LDEV. The revision is the microcode's, so that it is the same for
/// P-VOL and S-VOL.
pub(super) fn identity(array: &Array, number: LdevId) -> Identity {
    let head = array.head();
    let product = array.ldev(number).map_or_else(String::new, |ldev| {
        let suffix = match (ldev.command_device, ldev.emulation.fixed_size()) {
            (true, _) => "-CM",
            (false, Some(size)) if size != ldev.size => "-CVS",
            _ => "",
        };
        format!("{}{suffix}", ldev.emulation)
    });
    let digits = head.microcode.chars().filter(char::is_ascii_digit);
    let revision = digits.take(4).collect();
    let (serial, ldev) = (head.serial.get(), number.get());
    Identity { serial, ldev, product, revision, thin: true }
}

/// How it stands: simplex to HORC, and to the mirrors of ShadowImage what its pairs say.
fn standing(array: &Array, number: LdevId) -> Standing {
    let Some(ldev) = array.ldev(number).filter(|ldev| !ldev.command_device) else {
        return Standing::default();
    };
    let state = array.state();
    let mirror = |mu: u32| {
        let end = LocalEnd { ldev: number, mu: MuNumber::new(mu)? };
        let role = state.registry.at(end).map(|(_, pair)| pair.role(end));
        Some(match role {
            Some(Role::PVol) => Mirror::Primary,
            Some(Role::SVol) => Mirror::Secondary,
            Some(Role::Smpl) | None => Mirror::Simplex,
        })
    };
    Standing {
        mirrors: [Some(Mirror::Simplex), mirror(0), mirror(1), mirror(2)],
        ssid: Some(array.labels().ssid(number)),
        ctg: state.registry.of(number).find_map(|(_, pair)| pair.ctg),
        raid_group: array.labels().raid_group(ldev),
    }
}

impl Medium for LdevMedium {
    fn identity(&self) -> Identity {
        identity(&self.array, self.ldev)
    }

    fn standing(&self) -> Standing {
        standing(&self.array, self.ldev)
    }

    fn blocks(&self) -> u64 {
        self.array.ldev(self.ldev).map_or(0, |ldev| ldev.size.0)
    }

    fn access(&self) -> Access {
        self.array.access(self.ldev)
    }

    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>> {
        let (offset, length) = (lba * u64::from(BLOCK), blocks as usize * BLOCK as usize);
        match self.read_now(offset, length) {
            Some(bytes) => Box::pin(ready(Ok(vec![bytes]))),
            None => self.submit(Io::Read { offset, length }, lba, |pieces| pieces),
        }
    }

    fn write(&self, lba: u64, data: Vec<Bytes>, durable: bool) -> Pending<()> {
        let offset = lba * u64::from(BLOCK);
        self.submit(Io::Write { offset, pieces: data, durable }, lba, drop)
    }

    fn zero(&self, lba: u64, blocks: u64) -> Pending<()> {
        let (offset, length) = (lba * u64::from(BLOCK), blocks * u64::from(BLOCK));
        self.submit(Io::Zero { offset, length }, lba, drop)
    }

    fn flush(&self) -> Pending<()> {
        self.submit(Io::Flush, 0, drop)
    }

    fn mapped(&self, lba: u64) -> Pending<(bool, u64)> {
        let (found, told) = oneshot::channel();
        let io = Io::Mapped { offset: lba * u64::from(BLOCK), found };
        let ended = self.submit(io, lba, drop);
        Box::pin(async move {
            ended.await?;
            let (mapped, bytes) = told.await.map_err(|_| Failure::Broken)?;
            Ok((mapped, (bytes / u64::from(BLOCK)).max(1)))
        })
    }

    fn kept(&self) -> Vec<u8> {
        self.array.reservations(self.ldev)
    }

    fn keep(&self, reservations: Vec<u8>) -> Pending<()> {
        let (array, ldev) = (Arc::clone(&self.array), self.ldev);
        let kept = self.queues.aside.ask(move || array.keep_reservations(ldev, reservations));
        Box::pin(async move { kept.await.map_err(|error| failure(&error, 0)) })
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::{
        store::disk::Act,
        testing::{TestArray, create, ldev},
    };

    fn medium(array: &TestArray, number: u32) -> LdevMedium {
        let queues = Queues::start(Arc::clone(&array.array), 2).unwrap();
        LdevMedium::new(Arc::clone(&array.array), Arc::new(queues), ldev(number))
    }

    #[tokio::test]
    async fn blocks_come_back_as_they_were_written_and_mapped_ones_are_told() {
        let array = TestArray::new();
        let medium = medium(&array, 17);
        let pieces = vec![vec![7; 512].into(), vec![8; 1024].into()];
        medium.write(130, pieces, true).await.unwrap();
        let read = medium.read(129, 5).await.unwrap().concat();
        let expected = [vec![0; 512], vec![7; 512], vec![8; 1024], vec![0; 512]].concat();
        assert!(read == expected);
        // Block 130 lies in the second page of 128 blocks, of 17 in all, the last one short.
        assert_eq!(medium.mapped(0).await, Ok((false, 128)));
        assert_eq!(medium.mapped(130).await, Ok((true, 126)));
        assert_eq!(medium.mapped(256).await, Ok((false, medium.blocks() - 256)));
        medium.zero(128, 128).await.unwrap();
        assert_eq!(medium.mapped(0).await, Ok((false, medium.blocks())));
    }

    #[tokio::test]
    async fn reservations_wait_for_orders_where_that_holds_nothing_up() {
        let array = TestArray::new();
        let medium = medium(&array, 17);
        let (release, held) = std::sync::mpsc::channel::<()>();
        assert!(medium.queues.aside.submit(move || held.recv().unwrap()));
        let kept = medium.keep(vec![1, 2]);
        let mapped = timeout(Duration::from_secs(20), medium.mapped(0)).await;
        assert_eq!(mapped.expect("it waits behind them"), Ok((false, medium.blocks())));
        assert!(medium.kept().is_empty());
        release.send(()).unwrap();
        kept.await.unwrap();
        assert_eq!(medium.kept(), [1, 2]);
        array.faults.fail_always("meta.redb", Act::Write, io::ErrorKind::StorageFull);
        assert!(medium.keep(vec![3]).await.is_err());
        assert_eq!(array.crash().array.reservations(ldev(17)), [1, 2]);
    }

    #[tokio::test]
    async fn a_host_is_told_why_it_is_refused() {
        let array = TestArray::new();
        array.run(create(), &[(17, 0, 18)]).unwrap();
        let svol = medium(&array, 18);
        let write = svol.write(0, vec![vec![0; 512].into()], false).await;
        assert_eq!(write, Err(Failure::Unwritable));
        assert_eq!(medium(&array, 16).identity().product, "OPEN-V-CM");
        assert_eq!(svol.identity().revision, "2114");
    }

    #[test]
    fn its_mirrors_ssid_and_raid_group_are_told_and_change_with_pairs() {
        let array = TestArray::new();
        let letters = |number| {
            let mirrors = medium(&array, number).standing().mirrors;
            mirrors.map(|mirror| mirror.map_or('-', |mirror| char::from(mirror.letter())))
        };
        assert_eq!(letters(17), ['s'; 4]);
        array.run(create(), &[(17, 1, 18)]).unwrap();
        assert_eq!(letters(17), ['s', 's', 'P', 's']);
        assert_eq!(letters(18), ['s', 'S', 's', 's']);
        let standing = medium(&array, 18).standing();
        assert_eq!((standing.ssid, standing.raid_group.as_str()), (Some(4), "A:00000"));
        assert_eq!(medium(&array, 16).standing(), Standing::default(), "a command device");
    }
}
