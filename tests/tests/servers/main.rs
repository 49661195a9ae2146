//! Writers against real servers.

mod mariadb;
mod postgresql;

use std::time::Duration;

use provider::guid::{Guid, SetId};
use shadowcopy::{catalogue::BackupId, writer::Begun};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

fn begun() -> Begun {
    Begun { id: BackupId::FIRST, set: SetId(Guid(1)), mounts: Vec::new() }
}
