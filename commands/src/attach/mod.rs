//! A LUN as a file: `horcm attach` and `horcm detach` (ADR 009). Linux only.
//!
//! From the wire up to the kernel:
//!
//! | file | what it holds |
//! |---|---|
//! | [`name`] | how a LUN is named on the command line |
//! | [`find`] | from a name to a LUN behind a portal |
//! | [`cdb`] | the commands that are sent |
//! | [`verdict`] | what a reply means: go on, send again, log in again, or an errno |
//! | [`facts`] | what a LUN says about itself: identity, size, limits |
//! | [`unflushed`] | writes that were acknowledged and not yet flushed |
//! | [`target`] | where a LUN is reached, and what is sent to it |
//! | [`lun`] | commands to a LUN across cuts and restarts of its array |
//! | `known` | what is known of a LUN, and learning it anew |
//! | `durable` | flushes, and what may still be promised of them |
//! | `keep` | the keeper, who brings a lost session back |
//! | [`learn`] | what a fresh session has to do before it is used |
//! | [`turns`] | writes that overlap, one after the other |
//! | [`volume`] | bytes at any offset, by blocks |
//! | [`mod@file`] | the volume as the kernel's FUSE asks for it |
//! | [`mounted`] | mount points: which there are, who holds them, and unmounting |
//! | [`process`] | a process that cannot be mistaken for a later one |
//! | [`record`] | what an attachment leaves for detach to read |
//! | [`serve`] | the life of an attachment, from mount to last flush |
//! | [`start`] | an attachment as a process in the background |

pub mod cdb;
mod durable;
pub mod facts;
#[cfg(test)]
mod fake;
pub mod file;
pub mod find;
mod keep;
mod known;
pub mod learn;
pub mod lun;
pub mod mounted;
pub mod name;
pub mod process;
pub mod record;
pub mod serve;
pub mod start;
pub mod target;
pub mod turns;
pub mod unflushed;
pub mod verdict;
pub mod volume;
