//! What differs between operating systems: who keeps the daemon, and where things of the host are.
//! One file a system, with the same functions.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Stop, services_file, start_again_as, sync, tell_ready};
#[cfg(windows)]
pub(crate) use windows::{Stop, services_file, start_again_as, sync, tell_ready};
