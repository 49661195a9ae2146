//! The commands, one file each: option table, run function, tests.

#[cfg(target_os = "linux")]
pub mod attach;
mod change;
#[cfg(target_os = "linux")]
pub mod detach;
mod find;
pub mod horcctl;
pub mod horcmgr;
pub mod horcmshutdown;
pub mod horcmstart;
pub mod inqraid;
mod inqraid_find;
pub mod mkconf;
pub mod paircreate;
pub mod pairdisplay;
pub mod pairevtwait;
pub mod pairresync;
pub mod pairsplit;
pub mod pairvolchk;
pub mod raidcom;
pub mod raidqry;
pub mod raidscan;
pub mod raidvchkdsp;
pub mod raidvchkset;
#[cfg(windows)]
pub mod service;

use crate::table::Spec;

/// Every command of CCI's, in the order of lists.
pub(crate) static ALL: &[&Spec] = &[
    &horcctl::SPEC,
    &horcmgr::SPEC,
    &horcmshutdown::SPEC,
    &horcmstart::SPEC,
    &inqraid::SPEC,
    &mkconf::SPEC,
    &paircreate::SPEC,
    &pairdisplay::SPEC,
    &pairevtwait::SPEC,
    &pairresync::SPEC,
    &pairsplit::SPEC,
    &pairvolchk::SPEC,
    &raidcom::SPEC,
    &raidqry::SPEC,
    &raidscan::SPEC,
    &raidvchkdsp::SPEC,
    &raidvchkset::SPEC,
];

/// Commands that CCI has not.
#[cfg(target_os = "linux")]
pub(crate) static OWN: &[&Spec] = &[&attach::SPEC, &detach::SPEC];

/// See above; this one needs Windows.
#[cfg(windows)]
pub(crate) static OWN: &[&Spec] = &[&service::SPEC];

/// See above.
#[cfg(not(any(windows, target_os = "linux")))]
pub(crate) static OWN: &[&Spec] = &[];
