//! SCSI as hosts meet it: a device server that knows no transport, and iSCSI as one transport.
//!
//! The parts, and what they may know of each other:
//!
//! * [`nexus`], [`task`], [`sense`]: the words that a transport and a device server share (SAM-5).
//! * [`service`]: what a transport asks of whatever carries commands out.
//! * [`medium`]: what a logical unit asks of the storage below it. The array implements it.
//! * [`device`]: the device server: CDBs, INQUIRY and VPD pages, reservations, unit attentions. It
//!   implements [`service::Service`] over [`medium::Medium`].
//! * [`vendor_page`]: VPD page C0h, which the device server writes and finders of disks read.
//! * [`disks`]: the disks of this host, and who they say they are.
//! * [`hba`]: the built-in initiator: portals of a file, and the disks behind them.
//! * [`iscsi`]: PDUs, login and sessions (RFC 7143), for targets and initiators. It knows only
//!   [`service::Service`].

pub mod device;
pub mod disks;
pub mod hba;
pub mod iscsi;
pub mod medium;
pub mod nexus;
mod platform;
pub mod sense;
pub mod service;
pub mod task;
pub mod vendor_page;
