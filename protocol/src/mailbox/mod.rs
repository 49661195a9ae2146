//! Orders over the blocks of a command device (in band): a mailbox that any block path carries,
//! with plain aligned reads and writes.
//!
//! A host claims a slot, writes an order into it piece by piece and reads the answer there. Whoever
//! writes or reads again does no harm: every message has a sequence number and a checksum, every
//! order a [`crate::RequestId`], under which the array executes it once only. The array keeps
//! nothing of a mailbox across a restart: a host finds that its slot is nobody's, and asks again.
//!
//! | file | what it holds |
//! |---|---|
//! | [`layout`] | which bytes mean what, as byte tables |
//! | [`device`] | the array's side, a value |
//! | [`host`] | the host's side, over anything that reads and writes blocks |

pub mod device;
pub mod host;
pub mod layout;

#[cfg(test)]
mod tests;
