//! The backup catalogue: what is kept of every backup.
//!
//! | file | what it holds |
//! |---|---|
//! | [`record`] | what a backup is |

pub mod record;

pub use record::{Backup, BackupId, State};
