//! Application-consistent backup on Linux: what the Volume Shadow Copy Service is on Windows.
//!
//! A requestor (a `drm` command) names volumes and writers; the coordinator has the writers freeze,
//! freezes the file systems, lets the provider split all pairs at one instant, and thaws; the
//! catalogue keeps what came of it. `docs/adr/012-the-linux-coordinator.md` says why it is as it
//! is.
//!
//! | file | what it holds |
//! |---|---|
//! | [`step`] | the steps of a backup, in their order |
//! | [`limits`] | how long writers and file systems may be frozen; times with a unit |
//! | [`writer`] | the seam to applications |
//! | [`freezer`] | the seam to file systems |
//! | [`freeze`] | FIFREEZE, the guard process, the journal, the recovery |
//! | [`copies`] | the seam to the provider |
//! | [`ledger`] | the seam to the catalogue |
//! | [`places`] | whether the files of a writer lie on the volumes of a set |
//! | [`observer`] | who is told of the steps; option `-steps FD` |
//! | [`coordinator`] | the steps, and what follows a failure |
//! | [`crew`], [`copyist`], [`worker`] | writers and provider on threads of their own |
//! | [`mountinfo`] | what is mounted where |
//! | [`volume`] | a mounted volume and the LUN it is on |
//! | [`writers`] | PostgreSQL, MariaDB and MySQL, hooks, programs; their configuration |
//! | [`archive`] | volumes in a file or a stream, and back |
//! | [`catalogue`] | what is kept of every backup |
//! | [`command`] | the `drm` commands, one file each |
//! | [`console`] | what a running command has at hand |
//! | [`message`] | the messages, `KAVX0001-I` and the like, as one table |
//! | [`failure`] | why a command did not do its work |
//! | [`host`] | the Linux host, as the provider asks about it |
//! | [`configured`] | which pairs and mirrors the instance of the P-VOLs has |
//! | [`requestor`] | a backup from the command line to the catalogue, and what is done with it |
//! | [`run`] | from argv to exit code |

pub mod archive;
pub mod catalogue;
pub mod command;
pub mod configured;
pub mod console;
pub mod coordinator;
pub mod copies;
pub mod copyist;
pub mod crew;
pub mod freeze;
pub mod freezer;
pub mod host;
pub mod ledger;
pub mod limits;
pub mod mountinfo;
pub mod observer;
pub mod places;
pub mod requestor;
pub mod run;
pub mod step;
pub mod volume;
pub mod worker;
pub mod writer;
pub mod writers;

pub use messages::{failure, message};
