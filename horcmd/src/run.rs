//! One life of a daemon, from its environment to its end.

use std::{io, sync::Arc, time::Duration};

use model::Instance;
use protocol::{Home, Registration};

use crate::{
    daemon::Daemon,
    failure::StartFailure,
    journal::Journal,
    lock::InstanceLock,
    logs::LogFiles,
    monitor,
    platform::{Stop, tell_ready},
    registration, serve,
    settings::Settings,
    start::{self, Ready},
};

/// How long the end waits for the log's disk.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the daemon of an instance until it is told to stop.
///
/// # Errors
/// Why it did not start. All but "already running" also stand in the start-up log then.
pub fn run(settings: Settings) -> Result<(), StartFailure> {
    let ensured = settings.home.ensure();
    ensured.map_err(|e| StartFailure::process(e.to_string()))?;
    // The lock comes first: the logs of a running daemon must stay where they are.
    let lock = InstanceLock::take(&settings.home.uds(), settings.instance)?;
    let files = LogFiles::prepare(&settings.log, &settings.old_logs, &settings.host)?;
    let result = with_log(settings, &files);
    if let Err(failure) = &result
        && let Err(e) = files.record(failure)
    {
        eprintln!("horcmd: {}: {e}", files.startup.display());
    }
    drop(lock);
    result
}

fn with_log(mut settings: Settings, files: &LogFiles) -> Result<(), StartFailure> {
    let trace = Arc::new(std::mem::take(&mut settings.trace));
    let journal = Journal::open(files.daemon.clone(), trace.clone());
    let journal =
        journal.map_err(|e| StartFailure::log(format!("{}: {e}", files.daemon.display())))?;
    journal.install(&trace);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| StartFailure::process(e.to_string()))?;
    let result = runtime.block_on(async {
        let ready = start::start(&settings, trace).await?;
        live(&settings, ready).await
    });
    match &result {
        Ok(()) => log::info!("{} ended", settings.instance),
        Err(failure) => log::error!("{failure}"),
    }
    // What is still under way is dropped, not waited for.
    runtime.shutdown_background();
    journal.flush_within(LAST_WORDS);
    result
}

async fn live(settings: &Settings, ready: Ready) -> Result<(), StartFailure> {
    let Ready { daemon, endpoint, registers, poll } = ready;
    // Caught before anyone can learn from the registration whom to send them to.
    let signals = tokio::spawn(stop_when_told(Stop::catch(), daemon.clone()));
    register(&settings.home, settings.instance, &daemon)
        .map_err(|e| StartFailure::process(format!("no registration: {e}")))?;
    tell_ready();
    let registering = tokio::spawn(registration::run(daemon.clone(), registers));
    let monitor = tokio::spawn(monitor::run(daemon.clone(), poll));
    serve::serve(&daemon, endpoint).await;
    monitor.abort();
    registering.abort();
    signals.abort();
    if let Err(e) = Registration::remove(&settings.home, settings.instance) {
        log::warn!("the registration stays: {e}");
    }
    Ok(())
}

/// Tells commands on this host where the daemon is. One that listens everywhere is reached over
/// loopback.
fn register(home: &Home, instance: Instance, daemon: &Daemon) -> io::Result<()> {
    let mut address = daemon.local;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let pid = std::process::id();
    Registration { address, pid }.write(home, instance)
}

async fn stop_when_told(stop: Option<Stop>, daemon: Arc<Daemon>) {
    let Some(stop) = stop else {
        log::error!("signals cannot be caught; they end the daemon at once");
        return;
    };
    let name = stop.told().await;
    log::info!("{name}: shutting down");
    daemon.stop.notify_one();
}
