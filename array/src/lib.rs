//! The storage system behind the command devices.
//!
//! An array owns a directory. Orders come in as [`protocol::orders`], are decided by tables and
//! happen at one instant, durably; data is read and written through the same store, so that every
//! copy is exact whenever it is looked at. [`Array`] is the whole of it without any socket; the
//! binary `arrayd` puts it on the network.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@array`] | [`Array`]: open, execute, read, write |
//! | [`orders`] | orders that only ask; an order from bytes to bytes |
//! | [`executed`] | at most once: changes that were executed, and their answers |
//! | [`pairs`] | ShadowImage pairs: the state machine as a table, group rules |
//! | [`copier`] | the copy job |
//! | [`keeper`] | giving back space, and other work of its own |
//! | [`control`] | import, export and status while the array runs |
//! | [`guards`] | guards and their retention |
//! | [`ports`] | LUN paths |
//! | [`hosts`] | who sees what under which LUN, and the I/O of hosts |
//! | [`inventory`] | the name plate, LDEVs and paths, as records |
//! | [`labels`] | SSIDs and RAID groups, as hosts are told |
//! | [`users`] | who may give orders |
//! | [`config`], [`size`] | the TOML file of `arrayd init` |
//! | `damage` | what is done about damaged blocks |
//! | `dump` | every record as text |
//! | [`directory`] | the files of an array, init, the lock |
//! | [`store`] | volumes and the links between them |
//! | [`torture`] | crash points, judged |
//! | [`clock`] | the time of day |

pub mod array;
pub mod clock;
pub mod config;
pub mod control;
pub mod copier;
mod damage;
pub mod directory;
mod dump;
pub mod executed;
pub mod guards;
pub mod hosts;
pub mod inventory;
pub mod keeper;
pub mod labels;
pub mod orders;
pub mod pairs;
pub mod ports;
pub mod size;
pub mod store;
pub mod torture;
pub mod users;

#[cfg(test)]
mod across_tests;
#[cfg(test)]
mod barrier_tests;
#[cfg(test)]
mod concurrent_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod now_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod testing;

pub use array::Array;
pub use directory::{Directory, DirectoryError};
pub use dump::dump;
