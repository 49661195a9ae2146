//! Headings and rows as CCI prints them, as pure functions from answers to text.
//!
//! Widths are those of the literal samples in the manuals; longer values push their line to the
//! right and are never cut, because programs split the lines on white space.
//!
//! | file | whose rows |
//! |---|---|
//! | [`cells`] | what the columns of a pair hold |
//! | [`pairs`] | `pairdisplay` |
//! | [`pairs_cli`] | `pairdisplay -CLI` |
//! | [`disks`] | `inqraid` |
//! | [`drives`] | `-x drivescan` and its like |
//! | [`guards`] | `raidvchkdsp -v gflag` |
//! | [`scan`] | `raidscan` |
//! | [`found`], [`conf`] | `raidscan -find` |
//! | [`units`] | `raidqry` |

pub mod cells;
pub mod conf;
pub mod disks;
pub mod drives;
pub mod found;
pub mod guards;
pub mod pairs;
pub mod pairs_cli;
pub mod scan;
pub mod units;

#[cfg(test)]
pub(crate) mod sample;
