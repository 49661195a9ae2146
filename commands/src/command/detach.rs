//! `horcm detach`: ends what `horcm attach` began.

use std::{fs::File, io, path::Path, time::Duration};

use model::{CciError, CciResult, Code};
use rustix::io::Errno;

use crate::{
    attach::mounted::{absolute, holders, is_attached, undo},
    failure::{Outcome, usage},
    lifecycle::is_alive,
    parse::Typed,
    session::Session,
    table::{HELP, Operands, Opt, Spec},
};

/// How often the end of the attachment's process is looked for.
const LOOK: Duration = Duration::from_millis(5);
/// How long it may take to end once the file is unmounted: it flushes and logs out.
const END: Duration = Duration::from_secs(60);
/// How long it may take where what is not flushed is given up: an array that is there gets it.
const END_FORCED: Duration = Duration::from_secs(5);

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
    let path = absolute(Path::new(path))
        .map_err(|error| object(Code::ExEnoent).cause(error.to_string()))?;
    if !is_attached(&path).map_err(|error| object(Code::ExEacces).cause(error.to_string()))? {
        return Err(object(Code::ExEnoent)
            .cause("no LUN is attached there")
            .advice("findmnt shows what is: its sources begin with horcm:")
            .into());
    }
    let pid = pid(&path);
    let force = typed.has("force");
    let died = if force { false } else { !flush(&path)? };
    undo(&path).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => {
            let error = object(Code::ExEacces).state("attached");
            let error = match holders(&path).join(", ") {
                none if none.is_empty() => error.cause("it is in use"),
                holders => error.cause(format!("it is in use by {holders}")),
            };
            error.advice("end what uses it: umount its file system, losetup -d its loop device")
        }
        _ => object(Code::ExEacces).state("attached").cause(error.to_string()),
    })?;
    if died {
        return Err(object(Code::ExCmdioe)
            .state("detached")
            .cause("its process had died: it is not known whether all that was written is durable")
            .advice("check the file system on the LUN")
            .into());
    }
    let Some(pid) = pid else { return Ok(0) };
    let clock = session.world.clock;
    let began = clock.now();
    while is_alive(pid) {
        let waited = clock.now().saturating_sub(began);
        if waited >= END && !force {
            return Err(object(Code::ExCmdioe)
                .state("unmounted")
                .cause(format!("process {pid} still flushes after {} s", END.as_secs()))
                .advice("see that the array runs; the log of the attachment says more")
                .into());
        }
        if waited >= END_FORCED && force {
            // It waits for an array that may never come; what it has is given up.
            end(pid);
        }
        clock.sleep(LOOK);
    }
    Ok(0)
}

/// The process behind the file; `None` where it has died.
fn pid(path: &Path) -> Option<u32> {
    let mut text = [0; 16];
    let length = rustix::fs::getxattr(path, "user.horcm.pid", &mut text).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}

fn end(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Flushes the file; `false` where its process has died, and nobody can.
fn flush(path: &Path) -> CciResult<bool> {
    let gone = [Errno::NOTCONN, Errno::CONNABORTED].map(Errno::raw_os_error);
    match File::open(path).and_then(|file| file.sync_all()) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error().is_some_and(|code| gone.contains(&code)) => Ok(false),
        Err(error) => Err(CciError::new(Code::ExCmdioe)
            .object(path.display().to_string())
            .state("attached")
            .cause(format!("what was written cannot be flushed: {error}"))
            .advice("see that the array runs; -force gives up what was not flushed")),
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

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
