//! Asking the daemon of an instance.

use std::time::Duration;

use model::CciResult;
pub use protocol::attached::{Attached, detached, unexpected};
use protocol::horcm::{Reply, Request};

/// How long a daemon may be silent before it counts as gone. A daemon that works on a request
/// says so every now and then, so that this bounds silence, not work.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Whom a command asks. The tests put a script in its place.
pub trait Daemon {
    /// Asks one thing and waits for the answer.
    ///
    /// # Errors
    /// What the daemon refused with, or EX_ATTHOR and EX_COMERR when it cannot be asked.
    fn ask(&mut self, request: &Request) -> CciResult<Reply>;
}

impl Daemon for Attached {
    fn ask(&mut self, request: &Request) -> CciResult<Reply> {
        Self::ask(self, request)
    }
}
