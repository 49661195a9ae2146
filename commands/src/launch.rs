//! Starting the daemon of an instance as a process of its own.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use model::Instance;
use protocol::{Home, Registration, here::host_name};

use crate::{
    lifecycle::answers,
    platform::{detach, entitle},
    session::{Clock, World},
};

/// How often a starting daemon is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How long `horcmstart` waits unless `HORCMSTART_WAIT` says otherwise.
const WAIT: Duration = Duration::from_secs(200);

/// The most of a start-up log that is shown, in bytes.
const SHOWN: u64 = 64 * 1024;

/// What the daemon exits with when another one serves the instance.
const ALREADY: i32 = 1;

/// What became of a start.
#[derive(Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs and answers.
    Running,
    /// It ran before.
    Already,
    /// It does not run; why.
    Failed(String),
}

/// The program of the daemon: beside this one, else in `usr/bin` of the home, else on the path.
///
/// # Errors
/// The places that were searched.
pub fn program(home: &Home) -> io::Result<PathBuf> {
    find(home, "horcmd")
}

/// A program of this installation: beside this one, else in `usr/bin` of the home, else on the
/// path.
///
/// # Errors
/// The places that were searched.
pub fn find(home: &Home, name: &str) -> io::Result<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().and_then(fs::canonicalize)?;
    let mut places = vec![own.with_file_name(&name), home.root().join("usr/bin").join(&name)];
    if let Some(path) = std::env::var_os("PATH") {
        places.extend(std::env::split_paths(&path).map(|folder| folder.join(&name)));
    }
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no {name} beside {}, nor on the path", own.display()),
        )
    })
}

/// An environment variable of a daemon that differs from that of the command: what it is, or that
/// it is left out.
pub type Variable = (&'static str, Option<PathBuf>);

/// What names the files of one instance, left out where several are started at once.
pub const OF_ONE: &[Variable] = &[("HORCM_CONF", None), ("HORCM_LOG", None), ("HORCM_LOGS", None)];

/// A command that runs the daemon of an instance, in this environment but for `variables`.
#[must_use]
pub fn command(program: &Path, home: &Home, instance: Instance, variables: &[Variable]) -> Command {
    let mut command = Command::new(program);
    command.env("HORCMROOT", home.root());
    match instance.number() {
        Some(number) => command.env("HORCMINST", number.to_string()),
        None => command.env_remove("HORCMINST"),
    };
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    entitle(&mut command, &instance.process_title());
    command
}

/// Starts the daemon of an instance and waits until it answers, or has ended.
///
/// # Errors
/// When the process or its start-up log cannot be made.
pub fn launch(
    world: &World<'_>,
    instance: Instance,
    variables: &[Variable],
) -> io::Result<Started> {
    let home = &world.home;
    let log = home.log_dir(instance).join(format!("horcmstart_{}.log", host_name()));
    fs::create_dir_all(home.log_dir(instance)).map_err(|error| named(&log, &error))?;
    let output = File::create(&log).map_err(|error| named(&log, &error))?;
    let mut command = command(&program(home)?, home, instance, variables);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    detach(&mut command);
    let mut child = command.spawn()?;
    let wait = world
        .environment
        .get("HORCMSTART_WAIT")
        .and_then(|seconds| seconds.parse().ok())
        .map_or(WAIT, Duration::from_secs);
    watch(&mut child, home, instance, world.clock, wait, &log)
}

fn watch(
    child: &mut Child,
    home: &Home,
    instance: Instance,
    clock: &dyn Clock,
    wait: Duration,
    log: &Path,
) -> io::Result<Started> {
    let begun = clock.now();
    loop {
        if let Some(status) = child.try_wait()? {
            let said = said(log);
            return Ok(
                if status.code() == Some(ALREADY) && said.contains("already been running") {
                    Started::Already
                } else if said.is_empty() {
                    Started::Failed(format!("the daemon ended at once, with {status}"))
                } else {
                    Started::Failed(said)
                },
            );
        }
        let registered = Registration::read(home, instance).ok().flatten();
        let by_child = registered.is_some_and(|found| found.pid == child.id());
        if by_child && answers(home, instance) {
            return Ok(Started::Running);
        }
        if clock.now().saturating_sub(begun) >= wait {
            // One that comes up later would surprise whoever was told that it did not.
            child.kill()?;
            child.wait()?;
            let seconds = wait.as_secs();
            let rest = said(log);
            return Ok(Started::Failed(
                format!("the daemon was not ready within {seconds} s and was ended\n{rest}")
                    .trim_end()
                    .to_owned(),
            ));
        }
        clock.sleep(LOOK);
    }
}

/// What the daemon wrote to its standard error, cut at [`SHOWN`].
fn said(log: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|file| file.take(SHOWN).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).trim_end().to_owned(),
        Err(_) => String::new(),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
