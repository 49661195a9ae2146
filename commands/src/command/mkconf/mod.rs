//! `mkconf`: makes `horcmN.conf` in the current directory from the disks that are found
//! (`cci` 2.20).
//!
//! Which LUs the disks are only an instance knows, so it is started twice: with the command device
//! alone to make the lines, and with the finished file to verify them.

mod text;

use std::{
    fs,
    path::{Path, PathBuf},
};

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
    let start = if typed.has("a") { existing(&file)? } else { fresh(session, &job, &file)? };
    let made = make(session, &job, &start, &names);
    if made.is_err() && !typed.has("a") {
        // Half a configuration would keep the next attempt from beginning.
        let _ = fs::remove_file(&file);
    }
    made?;
    writeln!(session.out(), "A CONFIG file was successfully completed.")?;
    verify(session, &job, &names)?;
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

/// Starts the instance with what is there, has it find the disks, and writes the whole file.
fn make(
    session: &mut Session<'_, '_>,
    job: &Job,
    start: &str,
    names: &[String],
) -> Result<(), Failure> {
    let file = job.file();
    let write = |text: &str| {
        fs::write(&file, text).map_err(|error| {
            CciError::new(Code::ExEacces)
                .object(file.display().to_string())
                .cause(error.to_string())
        })
    };
    write(start)?;
    let mut lines = Vec::new();
    let mut section = Section::new(job.form, job.group.clone(), job.mu);
    while_running(session, job, |session| {
        find::each(session, names, false, |_, disk| section.write(&mut lines, disk))
    })?;
    if section.volumes() == 0 {
        let error = CciError::new(Code::ExEnodev)
            .object(format!("group {}", job.group))
            .cause("none of the devices is a volume of a storage system")
            .advice("list the disks with inqraid, and name those that are wanted");
        return Err(error.into());
    }
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let whole = format!("{start}\n{lines}\n{}", text::peer(&job.group, &job.service));
    write(&whole)?;
    Ok(())
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
