//! What the environment tells the daemon (`cci` 1.10).

use std::{env, ffi::OsString, fs, path::PathBuf};

use model::Instance;
use protocol::home::Home;

use crate::disks::Disks;
use crate::{failure::StartFailure, trace::TraceSettings};

/// Everything the daemon knows before it reads its configuration.
#[derive(Debug)]
pub struct Settings {
    /// `HORCMINST`.
    pub instance: Instance,
    /// `HORCMROOT`: where keys, registrations and logs are.
    pub home: Home,
    /// `HORCM_CONF`.
    pub conf: PathBuf,
    /// `HORCM_LOG`: the logs of this run.
    pub log: PathBuf,
    /// `HORCM_LOGS`: where the logs of the run before are kept.
    pub old_logs: PathBuf,
    /// `HORCM_TRCLVL`, `HORCM_TRCBUF`, `HORCM_TRCSZ`.
    pub trace: TraceSettings,
    /// The name of this host.
    pub host: String,
    /// `HORCMPERM`: the permission file, or the word that skips registration.
    pub horcmperm: Option<OsString>,
    /// `HORCMPROMOD`: whether protection mode is on, whatever the command devices say.
    pub protection: bool,
    /// `HORCM_HBA`: where disks of the built-in initiator are listed.
    pub disks: Disks,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// HORCM_008 when `HORCMINST` is no instance number.
    pub fn from_env() -> Result<Self, StartFailure> {
        let instance = match env::var("HORCMINST") {
            Err(_) => Instance::UNNUMBERED,
            Ok(word) if word.trim().is_empty() => Instance::UNNUMBERED,
            Ok(word) => word.trim().parse().map_err(|bad| {
                StartFailure::configuration(format!("HORCMINST is {word:?}: {bad}"))
            })?,
        };
        Ok(Self::of(instance, Home::from_env(), |name| env::var_os(name)))
    }

    /// The settings of an instance in a home, with all else as these variables say.
    pub(crate) fn of(
        instance: Instance,
        home: Home,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let directory = |name: &str, default: &str| {
            set(name).map_or_else(|| home.log_dir(instance).join(default), PathBuf::from)
        };
        Self {
            instance,
            conf: home.conf_file(instance),
            log: directory("HORCM_LOG", "curlog"),
            old_logs: directory("HORCM_LOGS", "tmplog"),
            trace: TraceSettings::from_words(|name| variable(name)?.into_string().ok()),
            host: host_name(),
            horcmperm: set("HORCMPERM"),
            protection: set("HORCMPROMOD").is_some(),
            disks: Disks::listed_in(
                set("HORCM_HBA").map_or_else(|| home.root().join("etc/horcm.hba"), PathBuf::from),
            ),
            home,
        }
    }
}

/// The name of this host, as log files carry it. The kernel tells it in a file on Linux, and in
/// the environment on Windows.
fn host_name() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let environment = || env::var("COMPUTERNAME").or_else(|_| env::var("HOSTNAME")).ok();
    let name = kernel.or_else(environment).unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    // It becomes part of file names and of answers, so it stays short and plain.
    let name: String = name.trim().chars().filter(plain).take(63).collect();
    if name.is_empty() { "localhost".into() } else { name }
}
