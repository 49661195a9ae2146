//! `horcm detach`: ends what `horcm attach` began.

use std::{fs::File, io, path::Path, time::Duration};

use model::{CciError, CciResult, Code};
use rustix::io::Errno;

use super::attach::log_folder;
use crate::{
    attach::{
        mounted::{absolute, holders, is_attached, undo},
        process::Process,
        record::{self, Left, Stage, record_file},
    },
    failure::{Outcome, usage},
    parse::Typed,
    session::Session,
    table::{HELP, Operands, Opt, Spec},
};

/// How long the attachment's process may take to end once the file is unmounted, before it is
/// said that it takes long; and, where what is not flushed is given up, before it is ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The command.
pub static SPEC: Spec = Spec {
    name: "detach",
    also: &[],
    about: "Flushes and removes a file that attach made of a LUN",
    common: &[HELP],
    options: &[Opt::flag(
        "force",
        "-force",
        "Detach although what was written cannot be flushed, and give that up",
    )],
    operands: Some(Operands { shown: "FILE", doc: "The file that shows the LUN" }),
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let [path] = typed.operands() else {
        return Err(usage(session.command, Code::ExReqarg, "FILE", "it takes one file").into());
    };
    let object = |code| CciError::new(code).object(path.as_str());
    let denied = |error: io::Error| object(Code::ExEacces).cause(error.to_string());
    let path = absolute(Path::new(path))
        .map_err(|error| object(Code::ExEnoent).cause(error.to_string()))?;
    let file = record_file(&log_folder(&session.world.home), &path);
    let left = record::read(&file).map_err(denied)?;
    let process = match &left {
        Some(left) => left.process.find().map_err(denied)?,
        None => None,
    };
    let force = typed.has("force");
    let mounted = is_attached(&path).map_err(denied)?;
    match left {
        Some(Left { stage: Stage::Begun | Stage::Mounted, .. }) if mounted => {
            if !force {
                flush(&path)?;
            }
            undo(&path).map_err(|error| not_unmounted(object(Code::ExEacces), &path, &error))?;
        }
        // What it tells of is over: another HORCMROOT has the record of what is mounted.
        _ if mounted => {
            return Err(object(Code::ExEnoent)
                .state("attached")
                .cause(format!("no record tells of it: {}", file.display()))
                .advice("set HORCMROOT as it was for attach, or umount it and read its log")
                .into());
        }
        // Whoever unmounted it did not hear what became of it.
        Some(Left { stage: Stage::Lost(_), .. }) => {}
        Some(Left { stage, .. }) if process.is_some() && stage != Stage::Begun => {}
        _ => {
            return Err(object(Code::ExEnoent)
                .cause("no LUN is attached there")
                .advice("findmnt shows what is: its sources begin with horcm:")
                .into());
        }
    }
    if let Some(process) = process {
        end(&process, force, session).map_err(denied)?;
    }
    let stage = record::read(&file).map_err(denied)?.map_or(Stage::Begun, |left| left.stage);
    stage.judge(&path)?;
    Ok(0)
}

fn not_unmounted(error: CciError, path: &Path, why: &io::Error) -> CciError {
    let error = error.state("attached");
    if why.kind() != io::ErrorKind::ResourceBusy {
        return error.cause(why.to_string());
    }
    let error = match holders(path).join(", ") {
        none if none.is_empty() => error.cause("it is in use"),
        holders => error.cause(format!("it is in use by {holders}")),
    };
    error.advice("end what uses it: umount its file system, losetup -d its loop device")
}

/// Waits for the end of the attachment's process, which flushes.
fn end(process: &Process, force: bool, session: &mut Session<'_, '_>) -> io::Result<()> {
    if process.ends_within(PATIENCE)? {
        return Ok(());
    }
    if force {
        // It waits for an array that may never come; what it has is given up.
        process.kill()?;
    } else if !session.quiet {
        // Nobody can be told that standard error is closed.
        let _ = writeln!(
            session.world.errors,
            "{}: its process still flushes; -force would give up what it has",
            session.command
        );
    }
    process.end()
}

/// Flushes the file. Where its process has died nobody can, and its record says so.
fn flush(path: &Path) -> CciResult<()> {
    let gone = [Errno::NOTCONN, Errno::CONNABORTED].map(Errno::raw_os_error);
    match File::open(path).and_then(|file| file.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error().is_some_and(|code| gone.contains(&code)) => Ok(()),
        Err(error) => Err(CciError::new(Code::ExCmdioe)
            .object(path.display().to_string())
            .state("attached")
            .cause(format!("what was written cannot be flushed: {error}"))
            .advice("see that the array runs; -force gives up what was not flushed")),
    }
}

#[cfg(test)]
mod tests {
    use protocol::Home;

    use super::*;
    use crate::{attach::record::Record, fake::Fake};

    #[test]
    fn what_is_only_being_attached_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().canonicalize().unwrap().join("new");
        let mut fake = Fake::done();
        let folder = log_folder(&Home::at(fake.log.path().to_owned()));
        // By this process, which goes on.
        let record = Record::begin(&record_file(&folder, &file)).unwrap();
        assert_eq!(fake.run("detach", &file.to_string_lossy()).code, 247);
        record.withdraw().unwrap();
        assert_eq!(fake.run("detach", &file.to_string_lossy()).code, 247);
    }

    #[test]
    fn bytes_that_were_lost_are_told_whoever_unmounted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().canonicalize().unwrap().join("new");
        let mut fake = Fake::done();
        let folder = log_folder(&Home::at(fake.log.path().to_owned()));
        let record = record_file(&folder, &file);
        std::fs::create_dir_all(&folder).unwrap();
        // No process has this number.
        for (end, code) in [("lost why\n", 237), ("durable\n", 247), ("", 247)] {
            std::fs::write(&record, format!("process 0 1\nmounted\n{end}")).unwrap();
            let ran = fake.run("detach", &file.to_string_lossy());
            assert_eq!(ran.code, code, "{end}: {}", ran.errors);
            assert_eq!(
                ran.errors.contains("not all that was written is durable: why"),
                code == 237
            );
        }
    }

    #[test]
    fn what_is_not_attached_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plain");
        std::fs::write(&file, "mine").unwrap();
        let ran = Fake::done().run("detach", &file.to_string_lossy());
        assert_eq!(ran.code, 247);
        assert!(ran.errors.contains("no LUN is attached there"), "{}", ran.errors);
        assert_eq!(Fake::done().run("detach", "/nowhere/at/all").code, 247);
        assert_eq!(Fake::done().run("detach", "").code, 254);
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    }
}
