//! What the commands that work with pairs have in common: the requestor's side of a backup.
//!
//! | file | what it holds |
//! |---|---|
//! | [`backup`] | a backup from the command line to the catalogue |
//! | [`target`] | what is to be copied, and where to |
//! | [`writers`] | the writers of the configuration |
//! | [`asking`] | those writers, as they are now |
//! | [`stop`] | SIGINT and SIGTERM |
//! | [`provider`] | the provider, loaded for a command |
//! | [`truth`] | backups that others have taken the S-VOLs of |
//! | [`recovery`] | what is done after a crash |
//! | [`copy`] | a backup of the catalogue, and its S-VOLs |
//! | [`mounting`] | S-VOLs mounted on this host |
//! | [`reading`] | S-VOLs on this host while something reads them |
//! | [`deleting`] | shadow copies and their records, gone for good |
//! | [`restoring`] | pairs on their way to PAIR, and how far they are |
//! | [`rewriting`] | S-VOLs written anew, from an archive |

pub mod asking;
pub mod backup;
pub mod copy;
pub mod deleting;
pub mod mounting;
pub mod provider;
pub mod reading;
pub mod recovery;
pub mod restoring;
pub mod rewriting;
pub mod stop;
pub mod target;
pub mod truth;
pub mod writers;
