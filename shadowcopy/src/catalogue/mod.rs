//! The backup catalogue: what is kept of every backup.
//!
//! ```text
//! <db>/lock                                held for a moment by whoever changes something
//! <db>/claim                               held by the one command that works with the pairs
//! <db>/last                                the last backup ID that was given
//! <db>/backups/0000000001.json             a backup
//! <db>/artifacts/0000000001/<writer>/<file>  what its writers handed over
//! <db>/damaged/0000000002.json.1           what was no longer as it had been written
//! <db>/incoming/                           an import, until all of it is in its place
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | [`record`] | what a backup is |
//! | [`store`] | the directory: begin, update, list, artifacts |
//! | [`claim`] | one command at a time works with the pairs |
//! | [`artifact`] | the files of writers: names and limits |
//! | [`bundle`] | the catalogue in one file: export and import |
//! | `incoming` | backups from elsewhere, all of them or none |
//! | [`generation`] | which mirror the next backup takes |
//! | [`error`] | why the catalogue did not do what it was asked |
//! | `keeping` | what a coordinator and a recovery say of a backup |
//! | [`sealed`] | a value in a file, with version and checksum |
//! | [`files`] | files that are there whole or not at all |

pub mod artifact;
pub mod bundle;
pub mod claim;
pub mod error;
pub mod files;
pub mod generation;
mod incoming;
mod keeping;
pub mod record;
pub mod sealed;
pub mod store;

pub use claim::Claim;
pub use error::Error;
pub use record::{Backup, BackupId, State};
pub use store::{Carried, Kept, Listing, Store};
