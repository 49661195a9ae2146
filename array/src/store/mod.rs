//! Volumes in pools, and the links between them. Nothing above this knows pages or generations, so
//! that another kind of pool can take this one's place.
//!
//! A *link* ties a target volume to a source volume of the same size. What a volume *holds* is
//! its logical content, exact at every instant, also across a crash.
//!
//! | file | what it holds |
//! |---|---|
//! | [`disk`] | disks behind a trait: real, in memory, recording, failing |
//! | `member`, `sums`, `intent` | a file of a pool, its checksums, and what is in flight |
//! | `run` | blocks that one request moves |
//! | `space`, `pool` | free pages; a pool of members |
//! | `leaf`, `branches` | maps of pages; who was forked from whom |
//! | `records` | redb: every record with its checksum |
//! | `volume`, `meta` | volumes in use; changes that are in memory only |
//! | `engine` | opening, finding leaves, making durable |
//! | `data` | reading and writing |
//! | `now` | reading without waiting |
//! | `change` | orders: marks behind gates, one transaction |
//! | `across` | copies between pools |
//! | `reclaim` | giving back what nothing needs |
//! | `grow`, `check` | larger pools; verifying everything |
//! | `raw` | records as they stand, for `arrayd dump` |
//! | `repair` | restoring what redundancy allows |
//! | `scrub` | verifying everything a little at a time |
//! | `facade` | the trait [`Store`] over all of it |

mod across;
mod branches;
mod change;
mod check;
mod data;
pub mod disk;
mod engine;
mod error;
mod facade;
mod grow;
mod hash;
mod intent;
mod leaf;
mod member;
mod meta;
mod now;
mod pool;
#[cfg(test)]
pub(crate) mod probe;
pub(crate) mod raw;
mod reclaim;
mod records;
mod repair;
mod run;
mod scrub;
mod space;
mod sums;
mod volume;

use model::LdevId;

pub use self::{
    change::SplitTimes,
    check::{Finding, Progress, Report},
    engine::{Link, PoolStore},
    error::StoreError,
    leaf::PAGE,
    member::segments_in,
    pool::{MemberRow, Place, PoolFigures, PoolRow},
    records::{Records, Row, Table, quiet_contained_panics},
    repair::{Repaired, repair},
};
pub(crate) use self::{data::is_zero, records::message};

/// Names a link, and the pair it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Both volumes hold the same; the source leads.
    Follow,
    /// The target is fixed at a point in time.
    Fixed,
    /// Suspended.
    Detached,
}

/// Longest single read or write in bytes.
pub const MAX_IO: usize = 1 << 20;

/// A change of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkChange {
    /// From now on the target holds what the source holds and follows it. `equal` vouches that
    /// it does already; otherwise its bytes are fetched.
    Share {
        /// The volume that is copied.
        source: LdevId,
        /// The volume that becomes the copy.
        target: LdevId,
        /// Nothing needs to be copied.
        equal: bool,
    },
    /// Fixes the target at this instant. Hosts may write to it where `writable`.
    Mark {
        /// Whether hosts may write to the target.
        writable: bool,
    },
    /// The target follows the source again; what either changed since is taken from the source.
    Follow,
    /// The source becomes what the target holds; afterwards the target follows the source.
    Restore,
    /// Suspends the link: the target is fixed as it is.
    Detach,
    /// The link stays, but the target holds zeros: its pages were needed.
    Empty,
    /// Ends the link; the target keeps what it holds.
    Release,
    /// Ends the link; the target holds zeros afterwards.
    Discard,
}

/// Changes that happen at one instant, and the records that become durable with them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The links, in order; a link may be made and changed in one batch.
    pub links: Vec<(LinkId, LinkChange)>,
    /// Records of the layer above.
    pub rows: Vec<Row>,
}

/// What the volumes of a link have still to fetch, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lack {
    /// The target from the source.
    pub to_target: u64,
    /// The source from the target.
    pub to_source: u64,
}

impl Lack {
    /// Whether there is anything.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.to_target + self.to_source > 0
    }
}

/// How much of a link differs, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Difference {
    /// What is still to be fetched.
    pub lack: Lack,
    /// What either side changed since the target was fixed; a page that both changed counts twice.
    pub changed: u64,
    /// Pages of either volume.
    pub total: u64,
}

impl Difference {
    /// How much of the two volumes is identical, 0 to 100; 100 only when all of it is.
    #[must_use]
    pub fn percent(self) -> u8 {
        let equal =
            self.total - (self.lack.to_target + self.lack.to_source + self.changed).min(self.total);
        (equal * 100)
            .checked_div(self.total)
            .map_or(100, |percent| u8::try_from(percent).unwrap_or(100))
    }
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing but zeros, known without looking at them.
    Zeros,
    /// Bytes, which may be zeros too.
    Bytes,
}

/// A block that does not match its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The pool.
    pub pool: u16,
    /// The page: its file in bits 32-39, its number in bits 0-31.
    pub page: u64,
    /// The block of it.
    pub block: usize,
    /// The LDEVs that show it, and the byte of each.
    pub shown: Vec<(LdevId, u64)>,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (file, page) = (self.page >> 32, self.page as u32);
        write!(f, "pool {}: block {} of page {file}:{page} is damaged", self.pool, self.block)?;
        for (ldev, offset) in &self.shown {
            write!(f, "; it is byte {offset} of LDEV {ldev}")?;
        }
        Ok(())
    }
}

/// Where a sweep over a link stands after a step of copying.
#[derive(Debug)]
pub struct Swept {
    /// The link.
    pub link: LinkId,
    /// The page to go on at; `None` when the sweep has come to the end.
    pub next: Option<u64>,
    /// Bytes that were moved.
    pub moved: u64,
    /// Why nothing more of this link can be copied.
    pub failed: Option<StoreError>,
}

/// Volumes with I/O, and copies between them. Offsets and lengths are in bytes.
pub trait Store: Send + Sync {
    /// Reads what the volume holds.
    ///
    /// # Errors
    /// No such volume, beyond its end, or the disk's answer.
    fn read(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Result<Content, StoreError>;

    /// Reads what [`Store::read`] would read, if nothing has to be waited for: no order, no write
    /// to the same place, no disk. `None` otherwise, and where anything is wrong; the buffer holds
    /// anything then. For threads that must not wait.
    fn read_now(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Option<Content>;

    /// Writes for a host. At return every link knows of it, durably; the bytes themselves are
    /// durable after [`Store::flush`].
    ///
    /// # Errors
    /// Those of [`Store::read`], and [`StoreError::Protected`] for the target of a link that is
    /// not fixed and writable. On an error some of the bytes may have been written.
    fn write(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), StoreError>;

    /// Makes bytes zeros and gives back the pages that hold nothing else.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    fn zero(&self, ldev: LdevId, offset: u64, length: u64) -> Result<(), StoreError>;

    /// Maps every page of a volume, so that no later write to it finds its pool full.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    fn provision(&self, ldev: LdevId) -> Result<(), StoreError>;

    /// Whether pages are stored from a byte on, and how many bytes more are like that; bytes that
    /// come from another pool count as stored.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    fn mapped(&self, ldev: LdevId, offset: u64) -> Result<(bool, u64), StoreError>;

    /// Waits until everything written to the volume is durable.
    ///
    /// # Errors
    /// No such volume, or the disk's answer.
    fn flush(&self, ldev: LdevId) -> Result<(), StoreError>;

    /// Makes all changes at one instant, durably together with the rows, or none of them.
    ///
    /// # Errors
    /// The disk's answer; nothing has changed then.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// What a link has still to fetch, at no cost; `None` when there is no such link.
    fn lack(&self, link: LinkId) -> Option<Lack>;

    /// How much of a link differs, from counts; `None` when there is no such link.
    fn difference(&self, link: LinkId) -> Option<Difference>;

    /// Every link that has something to fetch.
    fn busy(&self) -> Vec<LinkId>;

    /// Fetches some of what the given links lack, each from the given slot on, as much as one
    /// step moves (a few MiB). Links beyond the step are left out of the answer.
    ///
    /// # Errors
    /// When the metadata cannot be written. A failure of one link's data stands in its answer.
    fn copy(&self, links: &[(LinkId, u64)]) -> Result<Vec<Swept>, StoreError>;

    /// Gives back some of what nothing needs any more; false when there is nothing.
    ///
    /// # Errors
    /// The disk's answer, or damage that was met.
    fn tidy(&self) -> Result<bool, StoreError>;

    /// Joins some pages that are in two parts since a copy of theirs is gone; false when there are
    /// no more.
    ///
    /// # Errors
    /// The disk's answer.
    fn fold(&self) -> Result<bool, StoreError>;

    /// Gives the space of some unused pages back to the file systems below the pools, and goes on
    /// with the next call.
    fn punch(&self);

    /// Verifies a little of what is stored, and goes on with the next call; what is newly found
    /// to be damaged.
    ///
    /// # Errors
    /// When the records cannot be read.
    fn scrub(&self) -> Result<Vec<Damage>, StoreError>;

    /// Gives back pages that a copy and its source have both written anew since; looks at all
    /// there is, so it is for pools that are short of space.
    ///
    /// # Errors
    /// The disk's answer, or damage that was met.
    fn trim(&self) -> Result<(), StoreError>;

    /// Makes a file of a pool longer, or takes a further one into it; `None` bytes are all of a
    /// block device.
    ///
    /// # Errors
    /// No such pool, a size that does not fit, or the disk's answer.
    fn grow_pool(
        &self,
        pool: u16,
        path: &str,
        bytes: Option<u64>,
        preallocate: bool,
    ) -> Result<(), StoreError>;

    /// The pools.
    fn pools(&self) -> Vec<PoolFigures>;

    /// Where the time of the last order with a mark went.
    fn split_times(&self) -> Option<SplitTimes>;

    /// Verifies everything; nothing else may use the store meanwhile. `see` is told how far it is.
    ///
    /// # Errors
    /// When the records cannot be read at all.
    fn check(&self, see: &mut dyn FnMut(Progress)) -> Result<Report, StoreError>;

    /// Looks through what a crash left with writes in flight.
    ///
    /// # Errors
    /// The disk's answer.
    fn resum(&self) -> Result<(), StoreError>;

    /// Makes everything durable that is not yet.
    ///
    /// # Errors
    /// The disk's answer.
    fn settle(&self) -> Result<(), StoreError>;
}
