//! Unix: signals, systemd.

use std::{env, os::unix::process::CommandExt, path::PathBuf, process::Command};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the daemon in good order.
pub(crate) struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    /// From here on they no longer end the process at once; `None` where they cannot be caught.
    pub(crate) fn catch() -> Option<Self> {
        let (term, int) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        Some(Self { term: term.ok()?, int: int.ok()? })
    }

    /// Waits for one; its name.
    pub(crate) async fn told(mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

/// Readiness for systemd. Nobody listening is the common case.
pub(crate) fn tell_ready() {
    if let Err(e) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        log::warn!("the service manager was not told: {e}");
    }
}

/// Has the file systems of this host write what they hold back.
pub(crate) fn sync() {
    rustix::fs::sync();
}

/// Runs this program once more in its own place under a title, with a variable set that says so;
/// returns only when that fails.
pub(crate) fn start_again_as(title: &str, variable: &str) {
    if let Ok(program) = env::current_exe() {
        let error = Command::new(program).arg0(title).env(variable, "1").exec();
        eprintln!("horcmd: running without the title {title}: {error}");
    }
}

/// Where names of services stand with their ports.
pub(crate) fn services_file() -> PathBuf {
    PathBuf::from("/etc/services")
}
