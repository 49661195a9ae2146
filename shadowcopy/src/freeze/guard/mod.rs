//! The guard: a process of its own that thaws when the coordinator does not.
//!
//! It is this program once more, started before anything is frozen. It has a descriptor of every
//! mount point and of the journal, a socket to the coordinator and a pidfd of it, all sent over the
//! socket. Its pages are locked, it neither allocates nor opens nor starts anything until all that
//! was frozen has thawed, and signals that end programs do not end it.
//!
//! | file | what it holds |
//! |---|---|
//! | `machine` | what it does when: a table without I/O |
//! | `wire` | what is said on the socket |
//! | `link` | the coordinator's end of it |
//! | `watch` | the process |

pub(super) mod link;
mod machine;
mod watch;
pub(super) mod wire;

pub use watch::{Watch, called};
