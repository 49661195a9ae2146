//! `drmexgbackup -mode vss`: a requestor of the Volume Shadow Copy Service (MK-94HC074 2.4.1).
//!
//! It has Exchange's writer freeze its databases and this project's provider split the pairs of
//! their volumes. What decides knows no Windows; VSS is a trait to it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`vss`] | VSS as a requestor calls it |
//! | [`selection`] | which components are backed up |
//! | [`backup`] | the calls in their order, and how a backup is given up |
//! | [`trouble`] | what an HRESULT or a writer's state means |
//! | [`documents`] | backup IDs, and the documents kept under them |
//! | [`options`] | the command line |
//! | [`run`] | from argv to exit code |
//! | `interfaces`, `windows` | VSS itself |
//!
//! No Windows has run this yet: docs/windows.md.

pub mod backup;
pub mod documents;
pub mod interfaces;
pub mod options;
pub mod run;
pub mod selection;
pub mod trouble;
pub mod vss;
#[cfg(windows)]
pub mod windows;

#[cfg(test)]
mod tests;
