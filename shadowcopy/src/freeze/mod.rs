//! Freezing file systems, and seeing to it that they thaw.
//!
//! | file | what it holds |
//! |---|---|
//! | [`file_systems`] | the file systems of a set, as the coordinator freezes them |
//! | `armed` | the same once journal and guard are there |
//! | `hand` | one file system on a thread of its own |
//! | `ioctl` | FIFREEZE and FITHAW |
//! | `order` | which file systems a set has, and which freezes first |
//! | `since_boot` | time, and which boot it is |
//! | [`journal`] | what may be frozen, for whoever comes after a crash |
//! | [`guard`] | the process that thaws when the coordinator does not |
//! | [`mod@recover`] | what is done after a crash |

mod armed;
pub mod file_systems;
pub mod guard;
mod hand;
mod ioctl;
pub mod journal;
mod order;
pub mod recover;
mod since_boot;

pub use file_systems::FileSystems;
pub use recover::{Aftermath, Died, Frozen, Recovered, recover};
