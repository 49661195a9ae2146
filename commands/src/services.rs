//! The services of instances, as the service control manager of Windows has them.

use std::{
    ffi::{OsStr, OsString},
    path::{self, Path, PathBuf},
    time::Duration,
};

use model::{CciError, CciResult, Code, Instance};
use protocol::Home;
use windows_registry::LOCAL_MACHINE;
use windows_service::{
    Error, Result,
    service::{
        Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl,
        ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo,
        ServiceStartType, ServiceState, ServiceType,
    },
    service_manager::{ServiceManager, ServiceManagerAccess},
};

use crate::{command::service::failed, launch::program, session::Clock};

/// Where the system keeps services, below `HKEY_LOCAL_MACHINE`.
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";
/// After a failure it is started again so much later: the array and the network need time.
const AGAIN: Duration = Duration::from_secs(10);
/// Failures are counted for a day.
const COUNTED: Duration = Duration::from_secs(86_400);
/// How long a service may take to end.
const END: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// ERROR_INVALID_LEVEL
const INVALID_LEVEL: i32 = 124;
/// ERROR_SERVICE_DOES_NOT_EXIST
const NO_SUCH_SERVICE: i32 = 1060;
/// ERROR_SERVICE_NOT_ACTIVE
const NOT_ACTIVE: i32 = 1062;
/// ERROR_SERVICE_EXISTS
const EXISTS: i32 = 1073;
/// ERROR_SERVICE_NEVER_STARTED
const NEVER_STARTED: u32 = 1077;

/// A service of an instance.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Whose.
    pub(crate) instance: Instance,
    /// In the words of `sc query`.
    pub(crate) state: &'static str,
    /// Whether it starts with Windows, in the words of `sc config`.
    pub(crate) start: &'static str,
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// What horcmd ended with; behind `W` the error of Windows instead; `-` while it runs, or never
    /// did.
    pub(crate) exit: String,
}

/// Installs the service of an instance, or sets it anew; whether it is new.
///
/// # Errors
/// EX_ENOENT without a program, EX_EACCES to who is no administrator, EX_COMERR with what the system
/// says.
pub(crate) fn install(home: &Home, instance: Instance) -> CciResult<bool> {
    let missing = |error: std::io::Error| {
        CciError::new(Code::ExEnoent).object("horcmd.exe").cause(error.to_string())
    };
    let program = plain(program(home).map_err(missing)?);
    let root = path::absolute(home.root()).map_err(missing)?;
    let name = instance.service_name();
    let number = instance.number().map(|number| number.to_string().into());
    let info = ServiceInfo {
        name: OsString::from(&name),
        display_name: display_name(instance).into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: [OsString::from("service"), root.into()]
            .into_iter()
            .chain(number)
            .collect(),
        dependencies: Vec::new(),
        // Local System, whom the key and the registrations are open to.
        account_name: None,
        account_password: None,
    };
    create(&info).map_err(|error| failed(&name, &error))
}

fn create(info: &ServiceInfo) -> Result<bool> {
    // Who tells it to restart must be allowed to start it.
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let manager = manager(ServiceManagerAccess::CREATE_SERVICE)?;
    let (service, new) = match manager.create_service(info, access) {
        Ok(service) => (service, true),
        Err(error) if is(&error, EXISTS) => {
            let service = manager.open_service(&info.name, access)?;
            service.change_config(info)?;
            (service, false)
        }
        Err(error) => return Err(error),
    };
    service
        .set_description("Keeps the pairs of an array at hand for the commands of RAID Manager.")?;
    let again = ServiceAction { action_type: ServiceActionType::Restart, delay: AGAIN };
    service.update_failure_actions(ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(COUNTED),
        reboot_msg: None,
        command: None,
        actions: Some(vec![again; 3]),
    })?;
    match service.set_failure_actions_on_non_crash_failures(true) {
        // A system without it starts it again after crashes only, as Wine would if it did.
        Err(error) if is(&error, INVALID_LEVEL) => {}
        set => set?,
    }
    Ok(new)
}

/// Ends the service of an instance and takes it out again; whether there was one.
///
/// # Errors
/// EX_EACCES to who is no administrator; EX_COMERR when it does not end, or with what the system
/// says.
pub(crate) fn uninstall(instance: Instance, clock: &dyn Clock) -> CciResult<bool> {
    let name = instance.service_name();
    let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE;
    let opened = manager(ServiceManagerAccess::empty())
        .and_then(|manager| manager.open_service(&name, access));
    let service = match opened {
        Ok(service) => service,
        Err(error) if is(&error, NO_SUCH_SERVICE) => return Ok(false),
        Err(error) => return Err(failed(&name, &error)),
    };
    let ended = end(&service, clock).map_err(|error| failed(&name, &error))?;
    if !ended {
        return Err(CciError::new(Code::ExComerr)
            .object(format!("service {name}"))
            .state("still running")
            .cause(format!("it did not end within {} s", END.as_secs()))
            .advice("look into the log of the instance, horcmlog_<HOST>/horcm.log"));
    }
    service.delete().map_err(|error| failed(&name, &error))?;
    Ok(true)
}

/// Whether it ended in time.
fn end(service: &Service, clock: &dyn Clock) -> Result<bool> {
    match service.stop() {
        Err(error) if !is(&error, NOT_ACTIVE) => return Err(error),
        _ => {}
    }
    let begun = clock.now();
    while service.query_status()?.current_state != ServiceState::Stopped {
        if clock.now().saturating_sub(begun) >= END {
            return Ok(false);
        }
        clock.sleep(LOOK);
    }
    Ok(true)
}

/// The services of all instances, by number.
///
/// # Errors
/// EX_COMERR with what the system says.
pub(crate) fn all() -> CciResult<Vec<Listed>> {
    let keys = LOCAL_MACHINE.open(SERVICES).and_then(|key| Ok(key.keys()?.collect::<Vec<_>>()));
    let keys = keys.map_err(|error| {
        CciError::new(Code::ExComerr).object(format!(r"HKLM\{SERVICES}")).cause(error.message())
    })?;
    let mut instances: Vec<_> = keys.iter().filter_map(|name| Instance::of_service(name)).collect();
    instances.sort_by_key(|instance| instance.number());
    let listed = instances.into_iter().filter_map(|instance| {
        let name = instance.service_name();
        match look(instance, &name) {
            Ok(listed) => Some(Ok(listed)),
            // Its key outlives it until the system starts anew.
            Err(error) if is(&error, NO_SUCH_SERVICE) => None,
            Err(error) => Some(Err(failed(&name, &error))),
        }
    });
    listed.collect()
}

fn look(instance: Instance, name: &str) -> Result<Listed> {
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
    let service = manager(ServiceManagerAccess::empty())?.open_service(name, access)?;
    let (status, config) = (service.query_status()?, service.query_config()?);
    let runs = status.current_state != ServiceState::Stopped;
    Ok(Listed {
        instance,
        state: match status.current_state {
            ServiceState::Stopped => "STOPPED",
            ServiceState::StartPending => "START_PENDING",
            ServiceState::StopPending => "STOP_PENDING",
            ServiceState::Running => "RUNNING",
            ServiceState::ContinuePending => "CONTINUE_PENDING",
            ServiceState::PausePending => "PAUSE_PENDING",
            ServiceState::Paused => "PAUSED",
        },
        start: match config.start_type {
            ServiceStartType::AutoStart => "auto",
            ServiceStartType::OnDemand => "demand",
            ServiceStartType::Disabled => "disabled",
            _ => "system",
        },
        pid: status.process_id.filter(|pid| *pid != 0),
        exit: match status.exit_code {
            _ if runs => "-".to_owned(),
            ServiceExitCode::Win32(0) => "0".to_owned(),
            ServiceExitCode::Win32(NEVER_STARTED) => "-".to_owned(),
            ServiceExitCode::Win32(error) => format!("W{error}"),
            ServiceExitCode::ServiceSpecific(code) => code.to_string(),
        },
    })
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager> {
    ServiceManager::local_computer(None::<&OsStr>, ServiceManagerAccess::CONNECT | access)
}

fn is(error: &Error, code: i32) -> bool {
    matches!(error, Error::Winapi(error) if error.raw_os_error() == Some(code))
}

fn display_name(instance: Instance) -> String {
    match instance.number() {
        Some(number) => format!("RAID Manager instance {number}"),
        None => "RAID Manager".to_owned(),
    }
}

/// Without the mark of paths that the system takes as they are, which not everything that shows or
/// starts services knows.
fn plain(path: PathBuf) -> PathBuf {
    let text = path.to_str().and_then(|path| path.strip_prefix(r"\\?\"));
    let text = text.filter(|path| path.as_bytes().get(1) == Some(&b':'));
    text.map_or_else(|| path.clone(), |text| Path::new(text).to_path_buf())
}
