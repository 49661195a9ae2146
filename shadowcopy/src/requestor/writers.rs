//! The writers of the configuration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use model::CciError;

use crate::{
    console::Console,
    failure::{Checked, Failure, Outcome},
    freeze::journal::Record,
    message,
    mountinfo::Mounts,
    writer::{Begun, Fault, Writer},
    writers::{Config, program::Program},
};

/// How long a program named by `-script` may take for a call where the configuration says nothing.
const SCRIPT: Duration = Duration::from_secs(60);
/// How long those of a backup that died have to go on.
const LEFT: Duration = Duration::from_secs(60);

/// `$HORCMROOT/etc/shadowcopy.toml`.
///
/// # Errors
/// KAVX5109-E naming what is wrong.
pub fn config(console: &Console<'_>) -> Checked<Config> {
    let path = Config::path(console.home.root());
    Config::load(&path).map_err(|error| {
        Failure::new(message::CONFIGURATION)
            .object(path.display().to_string())
            .cause(error.to_string())
            .action("correct it (docs/writers.md)")
            .into()
    })
}

/// Those that take part in every backup, and the program of `-script` behind them.
///
/// # Errors
/// KAVX5108-E.
pub fn always(config: &Config, script: Option<&str>) -> Checked<Vec<Box<dyn Writer>>> {
    let mut writers = config.always().map_err(|fault| failed("hooks", &fault))?;
    if let Some(script) = script {
        let path = Path::new(script).canonicalize().map_err(|error| {
            Failure::new(message::WRITER_FAILED).word(script).cause(error.to_string())
        })?;
        writers.push(Box::new(Program::new(path, SCRIPT)));
    }
    Ok(writers)
}

/// Databases by their names in the configuration, in their order.
///
/// # Errors
/// KAVX5108-E naming one that it has not.
pub fn servers(config: &Config, names: &[String]) -> Checked<Vec<Box<dyn Writer>>> {
    let server = |name: &String| {
        config.server(name).map_err(|error| {
            Failure::new(message::WRITER_FAILED)
                .word(name)
                .cause(error.to_string())
                .action("name one of those, or add it to shadowcopy.toml")
                .into()
        })
    };
    names.iter().map(server).collect()
}

/// Where the files of writers lie: the mount points of a backup of all of them.
///
/// # Errors
/// KAVX5108-E for one that cannot say.
pub fn points(writers: &mut [Box<dyn Writer>], within: Duration) -> Outcome<Vec<PathBuf>> {
    let mounts = Mounts::now().map_err(|error| {
        CciError::new(model::Code::ExEacces).object("/proc/self/mountinfo").cause(error.to_string())
    })?;
    let mut points: Vec<PathBuf> = Vec::new();
    for (number, writer) in writers.iter_mut().enumerate() {
        let shown = format!("writer {}", number + 1);
        let metadata = writer.describe(within).map_err(|fault| failed(&shown, &fault))?;
        for path in &metadata.paths {
            let real = path.canonicalize().map_err(|error| {
                Failure::new(message::WRITER_FAILED)
                    .word(&metadata.name)
                    .object(path.display().to_string())
                    .cause(error.to_string())
            })?;
            let below = mounts.0.iter().filter(|mount| mount.point.starts_with(&real));
            for mount in mounts.under(&real).into_iter().chain(below) {
                if !points.contains(&mount.point) {
                    points.push(mount.point.clone());
                }
            }
        }
    }
    Ok(points)
}

/// Has the writers of a backup that died go on. Databases do so by themselves: their sessions are
/// gone.
///
/// # Errors
/// Those that do not.
pub fn thaw_left(console: &Console<'_>, left: &Record) -> Result<(), String> {
    let config = config(console).map_err(|failure| failure.to_string())?;
    let mounts = left.file_systems.iter().map(|(mount, _)| mount.clone()).collect();
    let begun = Begun { id: left.backup, set: left.set, mounts };
    let faults = config.thaw_after_crash(&begun, LEFT);
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
}

fn failed(name: &str, fault: &Fault) -> Box<Failure> {
    let failure = Failure::new(message::WRITER_FAILED).word(name).cause(fault.cause.clone());
    match &fault.action {
        Some(action) => failure.action(action.clone()).into(),
        None => failure.into(),
    }
}
