//! What differs between operating systems: how a file or disk is opened past the page cache, read
//! and written at a place. One file a system, with the same functions.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{attribute, direct, is_disk, length, read_at, write_at};
#[cfg(windows)]
pub(crate) use windows::{attribute, direct, is_disk, length, read_at, write_at};
