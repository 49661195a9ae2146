//! Volumes and the links between them. Nothing above this knows slots, files or bitmaps, so that
//! another kind of pool can take this one's place.
//!
//! A *link* ties a target volume to a source volume of the same size. What a volume *holds* is
//! its logical content; while a link is busy, some of it is still to be fetched from the other
//! end, which the store does on demand and in [`Store::copy`]. Holds are exact at every instant,
//! also across a crash.

mod bits;
pub mod disk;
mod disks;
mod error;
mod files;
mod fuse;
mod links;
mod records;

use model::LdevId;

pub use self::{
    bits::SLOT,
    disks::Disks,
    error::StoreError,
    files::{FileStore, Volume},
    links::{Flow, Link, LinkId},
    records::{Records, Row, Table, quiet_contained_panics},
};
pub(crate) use self::{disks::sync_dir, files::is_zero, fuse::Fuse};

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
    /// Suspends the link: what had not been fetched is given up, later differences are noted.
    Detach,
    /// Ends the link; what had not been fetched is given up.
    Release,
}

/// Changes that happen at one instant, and the records that become durable with them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The links, in order; a link may be made and changed in one batch.
    pub links: Vec<(LinkId, LinkChange)>,
    /// Records of the layer above.
    pub rows: Vec<Row>,
}

/// How much of a link differs, in slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Difference {
    /// What the target has still to fetch from the source.
    pub to_target: u64,
    /// What the source has still to fetch from the target.
    pub to_source: u64,
    /// What either side changed since the target was fixed.
    pub changed: u64,
    /// Slots of either volume.
    pub total: u64,
}

impl Difference {
    /// Whether bytes are still to be fetched.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        self.to_target + self.to_source > 0
    }

    /// How much of the two volumes is identical, 0 to 100; 100 only when all of it is.
    #[must_use]
    pub fn percent(self) -> u8 {
        let equal = self.total - (self.to_target + self.to_source + self.changed).min(self.total);
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

/// Where a sweep over a link stands after a step of copying.
#[derive(Debug)]
pub struct Swept {
    /// The link.
    pub link: LinkId,
    /// The slot to go on at; `None` when the sweep has come to the end.
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

    /// Writes for a host. At return every link knows of it, durably; the bytes themselves are
    /// durable after [`Store::flush`].
    ///
    /// # Errors
    /// Those of [`Store::read`], and [`StoreError::Protected`] for the target of a link that is
    /// not fixed and writable. On an error some of the bytes may have been written.
    fn write(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), StoreError>;

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

    /// How much of a link differs; `None` when there is no such link.
    fn difference(&self, link: LinkId) -> Option<Difference>;

    /// Every link that has something to fetch.
    fn busy(&self) -> Vec<LinkId>;

    /// Fetches some of what the given links lack, each from the given slot on, as much as one
    /// step moves (a few MiB). Links beyond the step are left out of the answer.
    ///
    /// # Errors
    /// When the metadata cannot be written. A failure of one link's data stands in its answer.
    fn copy(&self, links: &[(LinkId, u64)]) -> Result<Vec<Swept>, StoreError>;
}
