//! The device server: disks as SPC-4 and SBC-3 describe them, over whatever keeps their blocks.
//!
//! A [`Target`] is one target port. What is kept of logical units beyond one path - reservations,
//! mode parameters, unit attentions, the order of writes - is in [`LogicalUnits`], which the
//! targets of all ports of a storage system share. Nothing here knows a transport, a pair or a
//! pool: blocks come from [`Medium`](crate::medium::Medium), and what hosts may do now is asked of
//! it anew with each command.
//!
//! A command's way:
//!
//! * `cdb`: bytes become a typed `operation`; `opcodes` is the table of all commands.
//! * `dispatch`: whether it may be carried out, by whom. `logical` is the unit as it meets it.
//! * `blocks`, `space`, `capacity`: block commands. `gate` keeps their order, `pieces`
//!   cuts their data, `block_limits` names the limits.
//! * `inquiry`, `vpd`, `mode`, `reports`: what a host asks about.
//! * `persistent`, `conflicts`: reservations, and the standards' tables of what they keep out.
//! * `answer`: what comes back.
//!
//! What lasts longer: `units`, `session`, `attentions`, `tasks`. `target` ties it all to
//! [`Service`](crate::service::Service).

mod answer;
mod attentions;
mod block_limits;
mod blocks;
mod capacity;
mod cdb;
mod conflicts;
mod dispatch;
mod gate;
mod inquiry;
mod logical;
mod mode;
mod opcodes;
mod operation;
mod persistent;
mod pieces;
mod reports;
mod session;
mod space;
mod target;
mod tasks;
mod units;
mod vpd;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use self::{session::Session, target::Target, tasks::Arrival, units::LogicalUnits};
