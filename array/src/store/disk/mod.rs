//! Files and block devices behind one trait, so that the store above runs unchanged on real ones,
//! on ones that record every write for crash tests, and on ones that fail.
//!
//! What may be lost when the power fails: every [`Disk::write`], [`Disk::set_len`] and
//! [`Disk::discard`] since the last [`Disk::flush`] of that disk that returned, each for itself,
//! wholly or in parts of 512 bytes, in any order. Names made by [`Media::create`] are durable when
//! it returns.

mod backend;
mod faulty;
mod file;
mod memory;
mod recording;

use std::{fmt::Debug, io, path::Path, sync::Arc};

pub(crate) use self::backend::{Backend, Room};
pub use self::{
    faulty::{Act, Fault, Faulty},
    file::Files,
    memory::{Bytes, Memory},
    recording::{Dice, Loss, Recorder, Replay},
};

/// What a disk writes wholly or not at all, in bytes.
pub const SECTOR: usize = 512;

/// One file or block device with positioned I/O, usable from many threads at once. Offsets and
/// lengths are in bytes.
pub trait Disk: Send + Sync + Debug {
    /// Reads exactly `buffer.len()` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` when the disk ends before; otherwise the disk's answer.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Reads as [`Disk::read`] does if nothing has to be waited for, such as from the page cache.
    /// Otherwise, and where anything is wrong, false: the buffer holds anything then, and
    /// [`Disk::read`] tells.
    fn read_now(&self, _offset: u64, _buffer: &mut [u8]) -> bool {
        false
    }

    /// Writes all of `data`, growing a file where needed.
    ///
    /// # Errors
    /// The disk's answer; any part may have been written then.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Waits until everything written before is durable.
    ///
    /// # Errors
    /// The disk's answer. Afterwards nothing is known about any write since the last flush that
    /// succeeded, whatever a later flush says.
    fn flush(&self) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// The disk's answer.
    fn size(&self) -> io::Result<u64>;

    /// Grows or cuts a file; new bytes are zeros. A block device takes only its own size.
    ///
    /// # Errors
    /// The disk's answer, such as `StorageFull`.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes sure that space for `length` bytes from `offset` on is there, without changing what
    /// they hold. Disks that cannot promise do nothing.
    ///
    /// # Errors
    /// `StorageFull`, or the disk's answer.
    fn reserve(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Gives back the space of bytes that nobody needs; they are anything afterwards.
    ///
    /// # Errors
    /// The disk's answer; nothing is lost by passing over it.
    fn discard(&self, offset: u64, length: u64) -> io::Result<()>;
}

/// Where disks are found by name.
pub trait Media: Send + Sync {
    /// Makes a new, empty disk.
    ///
    /// # Errors
    /// `AlreadyExists`, or the answer of the operating system.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>>;

    /// Opens an existing one for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or the answer of the operating system.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>>;
}
