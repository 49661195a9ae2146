//! Windows: the service control manager, or the console.

use std::{env, path::PathBuf};

use crate::service;

/// What ends the daemon in good order: the service control manager, or an interrupt at its console.
pub(crate) struct Stop;

impl Stop {
    /// There is always something to wait for.
    pub(crate) const fn catch() -> Option<Self> {
        Some(Self)
    }

    /// Waits for it; its name.
    pub(crate) async fn told(self) -> &'static str {
        if let Some(service) = service::of_this_process() {
            return service.told().await;
        }
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a console there is nobody to interrupt it.
            std::future::pending::<()>().await;
        }
        "interrupted"
    }
}

/// Readiness for the service control manager.
pub(crate) fn tell_ready() {
    if let Some(service) = service::of_this_process() {
        service.is_ready();
    }
}

/// File systems write what they hold back when their disk is told to (`FlushFileBuffers`).
pub(crate) const fn sync() {}

/// The title of a process is the name of its program.
pub(crate) const fn start_again_as(_title: &str, _variable: &str) {}

/// Where names of services stand with their ports.
pub(crate) fn services_file() -> PathBuf {
    let root = env::var_os("windir").unwrap_or_else(|| r"C:\Windows".into());
    PathBuf::from(root).join(r"system32\drivers\etc\services")
}
