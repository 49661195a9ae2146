//! How hosts reach LDEVs: host groups say who sees what under which LUN, and the rest answers the
//! device server of the `scsi` crate.
//!
//! * `access`: what hosts may do now, and their I/O within that.
//! * [`groups`]: host groups, initiators and CHAP, as they are stored.
//! * `units`: the logical units that an initiator sees through a port.
//! * `mailbox`: a command device as the device server uses it.
//! * `medium`: an LDEV as the device server uses it.
//! * [`portal`]: the targets that hosts find by iSCSI.
//! * [`queue`], `crew`: asynchronous I/O: a queue for each LDEV, and the threads that work them off.
//! * `steps`: a request of a queue as short steps.
//! * `worker`: a thread for what would hold the network up.
//! * `reservations`: persistent reservations, kept.

mod access;
mod crew;
pub mod groups;
mod mailbox;
mod medium;
pub mod portal;
pub mod queue;
pub(crate) mod reservations;
mod steps;
#[cfg(test)]
mod stuck_tests;
mod units;
mod worker;

pub(crate) use self::access::Writers;
