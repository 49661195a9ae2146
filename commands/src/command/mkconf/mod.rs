//! `mkconf`: makes `horcmN.conf` in the current directory from the disks that are found
//! (`cci` 2.20).
//!
//! Which LUs the disks are only an instance knows, so it is started twice: with the command device
//! alone to make the lines, and with the finished file to verify them.

mod text;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use confparse::{Config, Severity};
use model::{CciError, CciResult, Code, GroupName, Instance, MuNumber, Serial, ids::BadWord};

use crate::{
    command::{find, horcmstart},
    failure::{Failure, Outcome, usage},
    finding, lifecycle,
    parse::Typed,
    rows::{
        conf::{Form, Section},
        found::FoundColumns,
    },
    scope,
    selection::mu,
    session::Session,
    table::{HELP, Operands, Opt, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "mkconf",
    also: &["mkconf.sh"],
    about: "Makes a configuration in the current directory from the disks of this host",
    common: &[HELP],
    options: &[
        Opt::words(
            "g",
            0,
            1,
            "-g[g] [group]",
            "Specify the group (default VG); gg makes HORCM_LDEV",
        )
        .against(&["gg"]),
        Opt::words("gg", 0, 1, "-gg [group]", "Specify the group, and HORCM_LDEV").unlisted(),
        Opt::words("m", 1, 1, "-m <mu#>", "Specify the mirror (default 0)"),
        Opt::words("i", 1, 1, "-i <inst#>", "Specify the instance"),
        Opt::words("s", 1, 1, "-s <service>", "Specify the service (default 52323)"),
        Opt::flag("a", "-a", "Specify to add a group to the configuration that is there"),
    ],
    operands: Some(Operands {
        shown: "[strings]",
        doc: "The devices, such as $Phys; without any, those of standard input",
    }),
    run,
};

/// The group that is made where none is said.
const GROUP: &str = "VG";
/// The service of HORCM_MON where none is said.
const SERVICE: &str = "52323";

/// What is made.
struct Job {
    instance: Instance,
    group: GroupName,
    mu: MuNumber,
    form: Form,
    service: confparse::Service,
    folder: PathBuf,
}

impl Job {
    fn file(&self) -> PathBuf {
        self.folder.join(self.instance.conf_name())
    }

    /// Where the instances of this job log.
    fn log(&self) -> PathBuf {
        self.folder.join(format!("log{}", self.instance.suffix())).join("curlog")
    }
}

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let job = job(session, typed)?;
    session.scope.instance = job.instance;
    if lifecycle::is_running(&session.world.home, job.instance) {
        let error = CciError::new(Code::ExEacces)
            .object(format!("HORCM {}", job.instance))
            .state("running")
            .cause("the instance has to be started with the configuration that is made")
            .advice("shut it down, or choose another instance with -i");
        return Err(error.into());
    }
    let file = job.file();
    let names = if typed.operands().is_empty() {
        find::standard_input(session)?
    } else {
        find::split(&typed.operands().join("\n"))
    };
    let adds = typed.has("a");
    let start = if adds { existing(&file)? } else { fresh(session, &job, &file)? };
    let config = checked(&file, &start)?;
    let done = complete(session, &job, &start, &config, &names);
    if done.is_err() {
        // What worked works on, and half a configuration keeps no next attempt from beginning.
        if adds {
            replace(&file, &start)?;
        } else {
            let _ = fs::remove_file(&file);
        }
    }
    done?;
    writeln!(
        session.world.output,
        "Please check '{}','{}/horcm_*.log', and modify 'ip_address & service'.",
        file.display(),
        job.log().display()
    )?;
    Ok(0)
}

fn job(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Job> {
    let command = session.command;
    let wrong = |shown: String| {
        move |error: BadWord| usage(command, Code::ExInvarg, &shown, error.to_string())
    };
    let (option, form) = if typed.has("gg") { ("gg", Form::Ldevs) } else { ("g", Form::Paths) };
    let group = typed.word(option).unwrap_or(GROUP);
    let service = typed.word("s").unwrap_or(SERVICE);
    let instance = match typed.word("i") {
        Some(number) => scope::instance(command, &format!("-i {number}"), number)?,
        None => session.scope.instance,
    };
    let folder = std::env::current_dir().map_err(|error| {
        CciError::new(Code::ExEnoent).object("the current directory").cause(error.to_string())
    })?;
    Ok(Job {
        instance,
        group: group.parse().map_err(wrong(format!("-{option} {group}")))?,
        mu: typed.word("m").map(|word| mu(command, word)).transpose()?.unwrap_or_default(),
        form,
        service: service.parse().map_err(wrong(format!("-s {service}")))?,
        folder,
    })
}

/// The configuration that a group is added to.
fn existing(file: &Path) -> CciResult<String> {
    fs::read_to_string(file).map_err(|error| {
        CciError::new(Code::ExEnoent)
            .object(file.display().to_string())
            .cause(format!("Could not find a '{}' file. ({error})", file.display()))
            .advice("leave -a away to make it")
    })
}

/// What a text says as a configuration.
fn checked(file: &Path, text: &str) -> CciResult<Config> {
    let parsed = confparse::parse(text);
    parsed.config.ok_or_else(|| {
        let first = parsed.diagnostics.iter().find(|found| found.severity == Severity::Error);
        let name = file.display().to_string();
        CciError::new(Code::ExInvarg)
            .cause(first.map_or_else(String::new, |first| first.plain(&name)))
            .object(name)
            .advice("correct the file; it was left as it is")
    })
}

/// Puts a text in a file's place, which is whole at any time.
fn replace(file: &Path, text: &str) -> CciResult<()> {
    let new = file.with_extension("conf.new");
    let written = || -> io::Result<()> {
        fs::write(&new, text)?;
        if let Ok(old) = fs::metadata(file) {
            fs::set_permissions(&new, old.permissions())?;
        }
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, file)
    };
    written().map_err(|error| {
        let _ = fs::remove_file(&new);
        CciError::new(Code::ExEacces).object(file.display().to_string()).cause(error.to_string())
    })
}

/// A new configuration with the command devices only.
fn fresh(session: &Session<'_, '_>, job: &Job, file: &Path) -> CciResult<String> {
    if file.exists() {
        return Err(CciError::new(Code::ExEacces)
            .object(file.display().to_string())
            .state("there already")
            .advice("add a group to it with -a, or move it away"));
    }
    let devices = command_devices(session)?;
    if devices.is_empty() {
        return Err(CciError::new(Code::ExEnodev)
            .object("the disks of this host")
            .cause("Could not find a command device.")
            .advice("list the disks with inqraid; correct horcm.hba or the host's zoning"));
    }
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(text::head(&job.service, &devices, seconds.map_or(0, |time| time.as_secs())))
}

/// One command device of each storage system, as HORCM_CMD spells it.
fn command_devices(session: &Session<'_, '_>) -> CciResult<Vec<(Serial, String)>> {
    let host = finding::host(session.world)?;
    let found = finding::wait(host.all())?;
    let mut devices: Vec<(Serial, String)> = Vec::new();
    for disk in found.disks {
        let Some(identity) = disk.identity.filter(|identity| identity.command_device) else {
            continue;
        };
        if devices.iter().all(|(serial, _)| *serial != identity.serial) {
            devices.push((identity.serial, text::command_device(&disk.device_file)));
        }
    }
    Ok(devices)
}

/// Makes the file and starts the instance with it.
fn complete(
    session: &mut Session<'_, '_>,
    job: &Job,
    start: &str,
    config: &Config,
    names: &[String],
) -> Result<(), Failure> {
    let file = job.file();
    replace(&file, start)?;
    let whole = make(session, job, start, config, names)?;
    checked(&file, &whole)?;
    replace(&file, &whole)?;
    verify(session, job, names)?;
    writeln!(session.out(), "A CONFIG file was successfully completed.")?;
    Ok(())
}

/// Starts the instance with what is there and has it find the disks; returns the whole text.
fn make(
    session: &mut Session<'_, '_>,
    job: &Job,
    start: &str,
    config: &Config,
    names: &[String],
) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let mut section = Section::new(job.form, job.group.clone(), job.mu).behind(config);
    while_running(session, job, |session| {
        find::each(session, names, true, |_, disk| section.write(&mut lines, disk))
    })?;
    if section.volumes() == 0 {
        let error = CciError::new(Code::ExEnodev)
            .object(format!("group {}", job.group))
            .cause("none of the devices is a volume of a storage system that the group has not yet")
            .advice("list the disks with inqraid, and name those that are wanted");
        return Err(error.into());
    }
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let has_peer = config.remotes_of(&job.group).next().is_some();
    let peer = if has_peer { String::new() } else { text::peer(&job.group, &job.service) };
    Ok(format!("{start}\n{lines}\n{peer}"))
}

/// Starts the instance with the finished file and shows what its volumes are.
fn verify(session: &mut Session<'_, '_>, job: &Job, names: &[String]) -> Outcome {
    while_running(session, job, |session| {
        find::verify(session, FoundColumns::default(), names, Some(job.mu))
    })
}

/// Does something while the instance runs with the file of this job.
fn while_running(
    session: &mut Session<'_, '_>,
    job: &Job,
    act: impl FnOnce(&mut Session<'_, '_>) -> Outcome,
) -> Outcome {
    let (log, skip) = (job.log(), PathBuf::from(confparse::permissions::SKIP_WORD));
    let variables = [
        ("HORCM_CONF", Some(job.file())),
        ("HORCM_LOGS", Some(log.with_file_name("tmplog"))),
        ("HORCM_LOG", Some(log)),
        // What is found is not registered by the start.
        ("HORCMPERM", Some(skip)),
    ];
    let started = horcmstart::start(session, job.instance, &variables)?;
    if started != 0 {
        let error = CciError::new(Code::ExAtthor)
            .object(format!("HORCM {}", job.instance))
            .cause("it does not start with the configuration that is made");
        return Err(error.into());
    }
    session.daemon = None;
    let done = act(session);
    session.daemon = None;
    lifecycle::shut_down(session, job.instance)?;
    let subject = horcmstart::horcm(job.instance).replacen("HORCM", "HORCM Shutdown", 1);
    writeln!(session.out(), "{subject} !!!")?;
    done
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn mistakes_are_refused_before_anything_is_made() {
        for (line, code) in
            [("-g a -gg b", 248), ("-m x", 220), ("-i 2048", 253), ("-s a/b", 253), ("-x", 252)]
        {
            let ran = Fake::done().run("mkconf", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}: {}", ran.errors);
        }
    }
}
