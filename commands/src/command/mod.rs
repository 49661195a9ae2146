//! The commands, one file each: option table, run function, tests.

mod change;

pub mod paircreate;
pub mod pairdisplay;
pub mod pairresync;
pub mod pairsplit;
pub mod raidqry;
pub mod raidscan;
pub mod raidvchkdsp;
pub mod raidvchkset;

use crate::table::Spec;

/// Every command, in the order of lists.
pub(crate) static ALL: &[&Spec] = &[
    &paircreate::SPEC,
    &pairdisplay::SPEC,
    &pairresync::SPEC,
    &pairsplit::SPEC,
    &raidqry::SPEC,
    &raidscan::SPEC,
    &raidvchkdsp::SPEC,
    &raidvchkset::SPEC,
];
