//! `horcm*.conf` and `horcmperm*.conf`: text to typed model with diagnostics, and back.
//!
//! The daemon, the commands and `mkconf` all speak of a configuration as a [`Config`]; only this
//! room knows how it is spelled.
//!
//! | file | what it holds |
//! |---|---|
//! | [`config`] | [`Config`] and its rows: monitor, units, volumes, groups, remotes |
//! | [`endpoint`] | [`Host`], [`Service`] and [`MonitorAddress`]: who listens where |
//! | [`device`] | [`CommandDevice`]: every form a command device is written in |

pub mod config;
pub mod device;
pub mod endpoint;

pub use config::{
    Address, Allowed, Config, LdevGroup, Mirror, Monitor, OtherSection, Remote, Unit, Volume,
};
pub use device::{CommandDevice, SearchPort};
pub use endpoint::{Host, MonitorAddress, Service};
