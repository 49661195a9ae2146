//! The writers that come with it, and how they are configured.
//!
//! | file | what it holds |
//! |---|---|
//! | [`postgresql`] | PostgreSQL 15 and later |
//! | [`mariadb`] | MariaDB 10.4.1 and later, MySQL |
//! | [`program`] | hooks in a directory, and writers that are programs |
//! | [`config`] | `$HORCMROOT/etc/shadowcopy.toml` |
//! | [`deadline`] | what is left of the time of a call |
//! | `secret` | files with passwords |

pub mod config;
pub mod deadline;
pub mod mariadb;
pub mod postgresql;
pub mod program;
mod secret;

pub use config::Config;
