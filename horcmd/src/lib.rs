//! The HORCM daemon: one process an instance.
//!
//! It knows names. Its configuration maps groups and volumes to devices (serial, LDEV, MU#); it
//! turns what commands say of names into orders that speak of devices, and brings the answers
//! back. It keeps no pair state: that is in the storage system and nowhere else, so after a crash
//! of this process there is nothing to repair. `docs/horcmd.md` says how it is run.
//!
//! | file | what it holds |
//! |---|---|
//! | [`run`] | one life of a daemon |
//! | [`settings`], [`trace`] | what the environment says |
//! | `service` | Windows: a daemon that the service control manager keeps |
//! | [`title`], [`lock`] | the process: its name, one an instance |
//! | `platform` | what differs between operating systems |
//! | [`logs`], [`journal`], [`stamp`] | log files, and the way of a line into them |
//! | [`failure`] | why a daemon did not start, HORCM_001 to HORCM_009 |
//! | [`start`] | from a configuration to a daemon that can serve |
//! | [`hosts`], [`services`] | host names to addresses, service names to ports |
//! | [`catalog`], [`resolve`] | groups and volumes, and what devices they are |
//! | [`units`], [`command_device`], [`in_band`], [`disks`], [`batch`] | storage systems, and the way of orders to them |
//! | [`finding`], [`sync`] | this host's disks |
//! | [`devices`], [`registration`] | those of them that are registered, at start or later |
//! | [`protection`] | protection mode: what this host may use |
//! | [`peers`] | remote instances, and the way of questions to them |
//! | [`serve`], [`dispatch`], [`answer`] | requests in, answers out |
//! | [`selection`] | which volumes a request is about |
//! | [`sides`], [`room`] | both sides of volumes; what fits into one answer |
//! | [`members`] | `pairdisplay` |
//! | [`summary`], [`tally`] | `pairvolchk`, `pairevtwait` |
//! | [`change`], [`plan`] | `paircreate`, `pairsplit`, `pairresync`, `raidvchkset` |
//! | [`inventory`] | `raidqry`, `raidscan` |
//! | [`control`] | `horcctl` |
//! | [`users`] | `raidcom -login` |
//! | [`monitor`], [`watch`] | the pair monitor |
//! | [`daemon`] | what all of these work on |

pub mod answer;
pub mod batch;
pub mod catalog;
pub mod change;
pub mod command_device;
pub mod control;
pub mod daemon;
pub mod devices;
pub mod disks;
pub mod dispatch;
pub mod failure;
pub mod finding;
pub mod hosts;
pub mod in_band;
pub mod inventory;
pub mod journal;
pub mod lock;
pub mod logs;
pub mod members;
pub mod monitor;
pub mod peers;
pub mod plan;
mod platform;
pub mod protection;
pub mod registration;
pub mod resolve;
pub mod room;
pub mod run;
pub mod selection;
pub mod serve;
#[cfg(windows)]
pub mod service;
pub mod services;
pub mod settings;
pub mod sides;
pub mod stamp;
pub mod start;
pub mod summary;
pub mod sync;
pub mod tally;
pub mod title;
pub mod trace;
pub mod units;
pub mod users;
pub mod watch;
