//! The daemon as a service of Windows. The service control manager (SCM) starts
//! `horcmd.exe service HORCMROOT [INSTANCE]`, which `horcm service install` has written down; it is
//! told when the daemon serves, how it ended or why it did not start, and tells it when to end.
//!
//! All services share the system's environment, so the variables that name the files of one
//! instance (`HORCM_CONF`, `HORCM_LOG`, `HORCM_LOGS`) do not count.

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode, sync::OnceLock, time::Duration};

use model::Instance;
use protocol::Home;
use tokio::sync::watch;
use windows_service::{
    Result, define_windows_service,
    service::{
        ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus,
        ServiceType,
    },
    service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle},
    service_dispatcher,
};

use crate::{failure::StartFailure, run::run, settings::Settings};

/// The word by which the SCM starts the program.
const WORD: &str = "service";
/// The longest a start takes: as long as `horcmstart` waits.
const START: Duration = Duration::from_secs(200);
/// The longest an end takes: what is under way is finished, the log written.
const END: Duration = Duration::from_secs(15);
/// Variables that name files of one instance.
const OF_ONE: [&str; 3] = ["HORCM_CONF", "HORCM_LOG", "HORCM_LOGS"];

/// Which instance of which installation the SCM has started.
#[derive(Debug)]
struct Asked {
    instance: Instance,
    home: Home,
}

static ASKED: OnceLock<Asked> = OnceLock::new();
static SERVICE: OnceLock<Service> = OnceLock::new();

/// The service that this process is.
#[derive(Debug)]
pub(crate) struct Service {
    status: ServiceStatusHandle,
    stop: watch::Sender<Option<&'static str>>,
}

/// The service that this process is, if the SCM has started it.
pub(crate) fn of_this_process() -> Option<&'static Service> {
    SERVICE.get()
}

/// Runs the program as a service if its words say so; `None` where they do not.
pub fn main(words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut words = words.skip(1);
    if words.next()? != WORD {
        return None;
    }
    let failed = |why: &str| {
        eprintln!("horcmd: {why}: it is for the service control manager; see horcm service -h");
        Some(ExitCode::from(StartFailure::setup("").exit_code()))
    };
    let Some(asked) = asked(words) else {
        return failed("expected service HORCMROOT [INSTANCE]");
    };
    let name = ASKED.get_or_init(|| asked).instance.service_name();
    match service_dispatcher::start(name, service_main) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => failed(&error.to_string()),
    }
}

fn asked(mut words: impl Iterator<Item = OsString>) -> Option<Asked> {
    let home = Home::at(PathBuf::from(words.next()?));
    let instance = match words.next() {
        None => Instance::UNNUMBERED,
        Some(number) => number.to_str()?.parse().ok()?,
    };
    words.next().is_none().then_some(Asked { instance, home })
}

define_windows_service!(service_main, be_the_service);

/// What the SCM calls on a thread of its own; the service is over when it returns.
fn be_the_service(_: Vec<OsString>) {
    let asked = ASKED.get();
    // Without a way to the SCM there is nobody to tell: it sees the process end.
    if let Some(asked) = asked
        && let Ok(service) = Service::take(asked.instance)
    {
        service.tell(ServiceState::StartPending, START, 0);
        let settings = Settings::of(asked.instance, asked.home.clone(), |name| {
            env::var_os(name).filter(|_| !OF_ONE.contains(&name))
        });
        let code = run(settings).map_or_else(|failure| failure.exit_code(), |()| 0);
        service.tell(ServiceState::Stopped, Duration::ZERO, code);
    }
}

impl Service {
    /// Takes orders of the SCM from here on.
    fn take(instance: Instance) -> Result<&'static Self> {
        let status = service_control_handler::register(instance.service_name(), ordered)?;
        Ok(SERVICE.get_or_init(|| Self { status, stop: watch::Sender::new(None) }))
    }

    /// Waits until the daemon is to end; by what.
    pub(crate) async fn told(&self) -> &'static str {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as the process.
        let told = stop.wait_for(Option::is_some).await;
        told.ok().and_then(|name| *name).unwrap_or_default()
    }

    /// The daemon serves.
    pub(crate) fn is_ready(&self) {
        self.tell(ServiceState::Running, Duration::ZERO, 0);
    }

    fn tell(&self, state: ServiceState, wait: Duration, code: u8) {
        let controls = match state {
            ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN,
            _ => ServiceControlAccept::empty(),
        };
        let told = self.status.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: controls,
            exit_code: match code {
                0 => ServiceExitCode::NO_ERROR,
                code => ServiceExitCode::ServiceSpecific(code.into()),
            },
            checkpoint: 0,
            wait_hint: wait,
            process_id: None,
        });
        if let Err(error) = told {
            log::warn!("the service control manager was not told {state:?}: {error}");
        }
    }
}

/// An order of the SCM's.
fn ordered(control: ServiceControl) -> ServiceControlHandlerResult {
    let name = match control {
        ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
        ServiceControl::Stop => "SERVICE_CONTROL_STOP",
        ServiceControl::Shutdown => "SERVICE_CONTROL_SHUTDOWN",
        _ => return ServiceControlHandlerResult::NotImplemented,
    };
    if let Some(service) = of_this_process() {
        service.tell(ServiceState::StopPending, END, 0);
        service.stop.send_replace(Some(name));
    }
    ServiceControlHandlerResult::NoError
}
