//! `horcm*.conf` and `horcmperm*.conf`: text to typed model with diagnostics, and back.
//!
//! The daemon, the commands and `mkconf` all speak of a configuration as a [`Config`]; only this
//! room knows how it is spelled. [`parse`] never stops at the first mistake: it reads the whole
//! file and returns every diagnostic with line, column, what was found and what was expected.
//! Writing a [`Config`] with its `Display` and parsing that again gives the same [`Config`].
//! The grammar as an administrator reads it is in `docs/horcm.conf.md`.
//!
//! | file | what it holds |
//! |---|---|
//! | [`config`] | [`Config`] and its rows: monitor, units, volumes, groups, remotes |
//! | [`endpoint`] | [`Host`], [`Service`] and [`MonitorAddress`]: who listens where |
//! | [`device`] | [`CommandDevice`]: every form a command device is written in |
//! | `lines` | text to lines and words: blanks, comments, line ends |
//! | `rows` | one line of a section to its typed row |
//! | `section` | the names of sections, and what a misspelled one may have meant |
//! | `parser` | the whole file: which row belongs to which section |
//! | `checks` | what only the whole file can show: duplicates, groups without a peer |
//! | [`diagnostic`] | [`Diagnostic`], and the bounded list of them |
//! | [`report`](mod@report) | diagnostics for people: plain lines, or the line with a caret |
//! | `write` | a [`Config`] as text |
//! | [`load`](mod@load) | reading a file, bounded, whatever bytes are in it |
//! | [`permissions`] | `horcmperm*.conf`: which devices the host may see |

mod checks;
pub mod config;
pub mod device;
pub mod diagnostic;
pub mod endpoint;
mod lines;
pub mod load;
mod parser;
pub mod permissions;
pub mod report;
mod rows;
mod section;
mod write;

pub use config::{
    Address, Allowed, Config, LdevGroup, Mirror, Monitor, OtherSection, Remote, Unit, Volume,
};
pub use device::{CommandDevice, SearchPort};
pub use diagnostic::{Diagnostic, Severity};
pub use endpoint::{Host, MonitorAddress, Service};
pub use load::{Faults, LoadError, load};
pub use parser::{MAX_ROWS, MAX_SIZE, Parsed, parse, parse_bytes};
pub use permissions::{Permissions, PermittedDevice};
pub use report::report;
