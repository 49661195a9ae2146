//! The shadow-copy hardware provider: its core, shared by the Windows DLL and the Linux
//! coordinator.
//!
//! A coordinator calls; the provider brings pairs to PAIR, splits all of a set at one instant,
//! shows and hides their S-VOLs, and brings back what was left unfinished. Everything outside
//! comes in by traits, so that each failure is a test. `docs/adr/011-the-provider-core.md` says
//! why it is as it is.
//!
//! | file | what it holds |
//! |---|---|
//! | [`provider`] | what each call does |
//! | [`machine`], [`set`] | the life of a snapshot set: the table, and one set |
//! | [`lun`], [`context`] | LUN information to volumes; what a requestor may ask for |
//! | [`entry`] | the calls, and that no panic leaves one |
//! | [`event`], [`hresult`], [`error`] | Table 3.5, what VSS may be told, and both with their detail |
//! | [`settings`], [`host`] | the environment variables; account, installation, time, event log |
//! | [`raid`], [`session`] | the seam to RAID Manager, and HORCM behind it |
//! | [`journal`], [`file_journal`] | what outlives the process, and a directory for it |
//! | [`guid`] | names of sets and shadow copies |

#![forbid(unsafe_code)]

pub mod context;
pub mod entry;
pub mod error;
pub mod event;
#[cfg(test)]
mod fake;
pub mod file_journal;
pub mod guid;
pub mod host;
pub mod hresult;
pub mod journal;
pub mod lun;
pub mod machine;
pub mod provider;
pub mod raid;
pub mod session;
pub mod set;
pub mod settings;
#[cfg(test)]
mod tests;

pub use provider::{Limits, Outside, Provider};
