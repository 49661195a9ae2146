//! What a logical unit asks of the storage below it.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use model::{Lun, TargetId};

/// Bytes of a logical block.
pub const BLOCK: u32 = 512;
/// The most bytes that one command moves (Block Limits VPD page, MAXIMUM TRANSFER LENGTH).
pub const MAX_TRANSFER: usize = 32 << 20;

/// What INQUIRY tells of a logical unit; the same on every path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Serial number of the storage system.
    pub serial: u32,
    /// LDEV number.
    pub ldev: u32,
    /// PRODUCT IDENTIFICATION, such as `OPEN-V` or `OPEN-3-CM`; at most 16 bytes.
    pub product: String,
    /// PRODUCT REVISION LEVEL, such as `2114`; at most 4 bytes, equal for P-VOL and S-VOL.
    pub revision: String,
    /// Whether unmapped blocks take no space, and UNMAP gives it back.
    pub thin: bool,
}

/// What a volume is to a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// In no pair.
    Simplex,
    /// A P-VOL.
    Primary,
    /// An S-VOL.
    Secondary,
}

impl Mirror {
    /// As `inqraid` shows it: `s`, `P` or `S`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Simplex => b's',
            Self::Primary => b'P',
            Self::Secondary => b'S',
        }
    }

    /// What a letter stands for.
    #[must_use]
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b's' => Some(Self::Simplex),
            b'P' => Some(Self::Primary),
            b'S' => Some(Self::Secondary),
            _ => None,
        }
    }
}

/// How a logical unit stands in its storage system; INQUIRY's vendor page tells it. Unlike
/// [`Identity`] it changes with pairs, and hosts get no unit attention for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// To HORC, and to MU# 0, 1 and 2 of HOMRCF; `None` where it can be in no such pair.
    pub mirrors: [Option<Mirror>; 4],
    /// Subsystem id.
    pub ssid: Option<u16>,
    /// Consistency group of its pairs.
    pub ctg: Option<u16>,
    /// Where its bytes are, such as `5:01-04` for RAID 5, group 1-4; at most 8 bytes, empty where
    /// there is none.
    pub raid_group: String,
}

/// Where a path is in the storage system's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Target id.
    pub target: Option<TargetId>,
    /// LUN behind the target id.
    pub lun: Option<Lun>,
    /// Host group.
    pub host_group: Option<u8>,
}

/// What hosts may do now, by guards and by the state of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// INQUIRY says that there is no such device (guard `inv`).
    pub hidden: bool,
    /// READ CAPACITY says 0 (guard `sz0`).
    pub sizeless: bool,
    /// Reading is refused (guard `rwd`, or a pair with `noread`).
    pub unreadable: bool,
    /// Writing is refused (guards `rwd` and `wtd`, or an S-VOL that follows).
    pub unwritable: bool,
}

/// Why storage does not do as it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is not readable now.
    #[error("reading is refused")]
    Unreadable,
    /// It is not writable now.
    #[error("writing is refused")]
    Unwritable,
    /// A block cannot be read.
    #[error("block {lba} cannot be read")]
    Damaged {
        /// The first such block.
        lba: u64,
    },
    /// Its pool is full.
    #[error("no space is left in the pool")]
    Full,
    /// It has gone, or the array stops.
    #[error("it is not there")]
    Gone,
    /// Too much waits already (TASK SET FULL).
    #[error("too much waits already")]
    Busy,
    /// Anything else.
    #[error("the storage failed")]
    Broken,
}

/// I/O on its way.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Storage of one logical unit. Blocks are [`BLOCK`] bytes; ranges lie within
/// [`Medium::blocks`], which the device server has checked.
pub trait Medium: Send + Sync + 'static {
    /// Who it is.
    fn identity(&self) -> Identity;

    /// How it stands in the storage system.
    fn standing(&self) -> Standing {
        Standing::default()
    }

    /// How many blocks it has.
    fn blocks(&self) -> u64;

    /// What hosts may do now.
    fn access(&self) -> Access;

    /// Reads blocks. I/O begins with the call, not with the first poll.
    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>>;

    /// Writes blocks: the pieces one after the other, a whole number of blocks in all. Durable
    /// when it ends, where `durable` (FUA).
    fn write(&self, lba: u64, data: Vec<Bytes>, durable: bool) -> Pending<()>;

    /// Makes blocks zeros, and gives back what space that frees.
    fn zero(&self, lba: u64, blocks: u64) -> Pending<()>;

    /// Makes everything durable that was written before the call.
    fn flush(&self) -> Pending<()>;

    /// Whether the blocks from `lba` on are mapped, and how many more are like the first; at least
    /// 1 and at most to the end.
    fn mapped(&self, lba: u64) -> Pending<(bool, u64)>;

    /// Reservations that survive a loss of power (APTPL), as the device server gave them to
    /// [`Medium::keep`]; empty where there are none.
    fn kept(&self) -> Vec<u8>;

    /// Keeps them instead of those before; durable when it ends, and where it fails those before
    /// are still kept. The next call comes when this one has ended.
    fn keep(&self, reservations: Vec<u8>) -> Pending<()>;
}

/// What is behind a target port, as one initiator may see it.
pub trait Inventory: Send + Sync + 'static {
    /// A number that grows whenever units, their size, identity or [`Access`] may have changed.
    /// The device server looks at it with each command, and tells hosts by unit attentions what
    /// is different.
    fn epoch(&self) -> u64;

    /// The logical units of an initiator by number, ascending. Masked ones are not among them;
    /// hidden ones are.
    fn units(&self, initiator: &str) -> Vec<(u16, u32)>;

    /// Where a LUN of an initiator is in the storage system's own count.
    fn place(&self, _initiator: &str, _lun: u16) -> Place {
        Place::default()
    }

    /// The storage of an LDEV, from [`Inventory::units`].
    fn medium(&self, ldev: u32) -> Option<Arc<dyn Medium>>;
}
