//! SCSI as hosts meet it: a device server that knows no transport, and iSCSI as one transport.
//!
//! The parts, and what they may know of each other:
//!
//! * [`nexus`], [`task`], [`sense`]: the words that a transport and a device server share (SAM-5).
//! * [`service`]: what a transport asks of whatever carries commands out.
//! * [`medium`]: what a logical unit asks of the storage below it. The array implements it.
//! * [`device`]: the device server: CDBs, INQUIRY and VPD pages, reservations, unit attentions. It
//!   implements [`service::Service`] over [`medium::Medium`].
//! * [`hba`]: the built-in initiator: portals of a file, and the disks behind them.
//! * [`iscsi`]: PDUs, login and sessions (RFC 7143), for targets and initiators. It knows only
//!   [`service::Service`].

pub mod device;
pub mod hba;
pub mod iscsi;
pub mod medium;
pub mod nexus;
pub mod sense;
pub mod service;
pub mod task;
