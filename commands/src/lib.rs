//! The CCI commands in one multi-call binary, `horcm`.
//!
//! A command is a table of options and a function. Words become a typed request by the table; a
//! mistake ends there, with CCI's own text and code. The request goes to the daemon of the
//! instance, and its answer is printed as CCI prints it. Nothing here knows what a pair is: that
//! is the storage system's business.
//!
//! | file | what it holds |
//! |---|---|
//! | [`table`] | what an option table is, and the options all commands share |
//! | [`parse`] | argv to options given: the single-dash pass, then clap |
//! | [`help`] | the `-h` text, made from the table |
//! | [`scope`] | mode and instance: `-I..`, `HORCMINST`, `HORCC_MRCF` |
//! | [`selection`] | which volumes: `-g`, `-d`, `-dg`, `-FHORC`, `-FMRCF` |
//! | [`command`] | the commands, one file each |
//! | [`rows`] | headings and rows, as pure functions |
//! | [`pages`] | long answers, page by page |
//! | [`daemon`] | asking a daemon over the session layer |
//! | [`session`] | what a running command has at hand |
//! | [`states`] | the states of a group as waiting and checking judge them |
//! | [`launch`], [`lifecycle`] | starting a daemon process, and seeing it live and end |
//! | `services` | Windows: instances as services |
//! | `platform` | what differs between operating systems |
//! | [`run`] | from argv to exit code |
//! | [`interactive`] | `-z` and `-zx` |
//! | [`command_log`], `masked` | `horcc_<HOST>.log`, without passwords |
//! | [`environment`] | the environment variables, taken once |
//! | [`subcommand`] | `-x`, the sub-commands of Windows |
//! | [`finding`] | the disks of this host, by device lists |
//! | [`partitions`], `volume_info` | partition tables, kept and written back |
//! | [`failure`] | why a command did not do its work |
//! | [`links`] | the links of a multi-call binary |
//! | `attach` | a LUN as a file: `horcm attach`, on Linux |
//! | [`multicall`] | one binary, many names, and what it does by its own |

#[cfg(target_os = "linux")]
pub mod attach;
pub mod command;
pub mod command_log;
pub mod daemon;
pub mod environment;
pub mod failure;
#[cfg(test)]
mod fake;
pub mod finding;
pub mod help;
pub mod interactive;
pub mod launch;
pub mod lifecycle;
pub mod links;
mod masked;
pub mod multicall;
pub mod pages;
pub mod parse;
pub mod partitions;
mod platform;
pub mod rows;
pub mod run;
pub mod scope;
pub mod selection;
#[cfg(windows)]
mod services;
pub mod session;
pub mod states;
pub mod subcommand;
pub mod table;
mod volume_info;

use multicall::Family;
use table::Spec;

/// The commands of the binary `horcm`.
pub static HORCM: Family =
    Family { binary: "horcm", prefix: "", linked: command::ALL, own: command::OWN };

/// Every command of CCI's, in the order of lists. Each may be called by a link of its name.
#[must_use]
pub fn all() -> &'static [&'static Spec] {
    HORCM.linked
}

/// Commands that CCI has not: `horcm NAME`, never by a link.
#[must_use]
pub fn own() -> &'static [&'static Spec] {
    HORCM.own
}

/// How the command of this name is called: `horcm NAME` where it has no link.
#[must_use]
pub fn call(name: &str) -> String {
    HORCM.call(name)
}

/// The command of this name; on Windows it may end in `.exe`, and have capitals.
#[must_use]
pub fn find(name: &str) -> Option<&'static Spec> {
    HORCM.find(name)
}

/// The command of this name behind `horcm`.
#[must_use]
pub fn find_behind_horcm(name: &str) -> Option<&'static Spec> {
    HORCM.find_behind(name)
}
