//! The commands, one file each: option table, run function, tests.

mod change;
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

use crate::table::Spec;

/// Every command, in the order of lists.
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
