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
    if !typed.has("force") {
        flush(&path)?;
    }
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
    let Some(pid) = pid else { return Ok(0) };
    let clock = session.world.clock;
    let began = clock.now();
    while is_alive(pid) {
        if clock.now().saturating_sub(began) >= END && !typed.has("force") {
            return Err(object(Code::ExCmdioe)
                .state("unmounted")
                .cause(format!("process {pid} still flushes after {} s", END.as_secs()))
                .advice("see that the array runs; the log of the attachment says more")
                .into());
        }
        if typed.has("force") {
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

/// Flushes the file, unless its process has died.
fn flush(path: &Path) -> CciResult<()> {
    let flushed = File::open(path).and_then(|file| file.sync_all());
    match flushed {
        Err(error) if error.raw_os_error() != Some(Errno::NOTCONN.raw_os_error()) => {
            Err(CciError::new(Code::ExCmdioe)
                .object(path.display().to_string())
                .state("attached")
                .cause(format!("what was written cannot be flushed: {error}"))
                .advice("see that the array runs; -force gives up what was not flushed"))
        }
        _ => Ok(()),
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
