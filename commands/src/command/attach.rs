//! `horcm attach`: a LUN as a file, for hosts without an initiator (ADR 009).

use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{CciError, CciResult, Code, Instance};
use protocol::Home;

use crate::{
    attach::{
        find::hba_file,
        mounted::{absolute, is_attached},
        name::Name,
        record::record_file,
        serve::{Wish, serve},
        start::{Started, log_file, start},
    },
    failure::{Outcome, usage},
    parse::Typed,
    session::Session,
    table::{HELP, Operands, Opt, Spec},
};

/// How long requests wait for an array that is away, unless `-t` says otherwise, in seconds.
const PATIENCE: u64 = 120;
/// The most that `-t` takes: a day.
const MOST_PATIENCE: u64 = 86_400;

/// The command.
pub static SPEC: Spec = Spec {
    name: "attach",
    also: &[],
    about: "Shows a LUN as a file, for losetup, mkfs and mount",
    common: &[HELP],
    options: &[
        Opt::flag("f", "-f", "Stay in the foreground; the log goes to standard error"),
        Opt::flag("r", "-r", "Attach for reading only"),
        Opt::words(
            "t",
            1,
            1,
            "-t <seconds>",
            "How long requests wait for an array that is away, 1 to 86400 (default 120)",
        ),
    ],
    operands: Some(Operands {
        shown: "LUN FILE",
        doc: "HarddiskN, SERIAL:LDEV or iscsi://HOST:PORT/TARGET/LUN, and the file that shows it",
    }),
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let wish = wish(session, typed)?;
    if typed.has("f") {
        let filter = "info,fuser=error";
        let env = env_logger::Env::default().default_filter_or(filter);
        // Another one can only be there in a test.
        let _ = env_logger::Builder::from_env(env).try_init();
        let out = &mut *session.world.output;
        serve(&wish, |line| {
            // Who started it may have gone meanwhile.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        })?;
        return Ok(0);
    }
    let log = log_file(&log_folder(&session.world.home), &wish.path);
    let started = start(&again(&wish), &log).map_err(|error| {
        CciError::new(Code::ExEnomem).object(wish.word.as_str()).cause(error.to_string())
    })?;
    match started {
        Started::Ready(line) => {
            session.say(&line)?;
            Ok(0)
        }
        Started::Ended(code, said) => {
            session.world.errors.write_all(said.as_bytes())?;
            Ok(code)
        }
    }
}

/// Where attachments have their logs and records.
pub(super) fn log_folder(home: &Home) -> PathBuf {
    home.log_dir(Instance::UNNUMBERED)
}

/// The words of the process in the background.
fn again(wish: &Wish) -> Vec<String> {
    let mut words = vec!["attach".to_owned(), "-f".to_owned()];
    if wish.read_only {
        words.push("-r".to_owned());
    }
    words.extend(["-t".to_owned(), wish.patience.as_secs().to_string()]);
    words.extend([wish.word.clone(), wish.path.to_string_lossy().into_owned()]);
    words
}

fn wish(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Wish> {
    let command = session.command;
    let [word, path] = typed.operands() else {
        let wrong = "it takes a LUN and a file";
        return Err(usage(command, Code::ExReqarg, "LUN FILE", wrong));
    };
    let name: Name = word.parse().map_err(|error: crate::attach::name::BadName| {
        usage(command, Code::ExInvarg, word, error.to_string())
    })?;
    let patience = match typed.word("t") {
        None => PATIENCE,
        Some(text) => {
            let seconds = text.parse().ok().filter(|s| (1..=MOST_PATIENCE).contains(s));
            seconds.ok_or_else(|| {
                let wrong = format!("expected seconds from 1 to {MOST_PATIENCE}");
                usage(command, Code::ExInvarg, &format!("-t {text}"), wrong)
            })?
        }
    };
    let path = mount_point(Path::new(path))?;
    let conf = hba_file(session.world.environment.get("HORCM_HBA"), session.world.home.root());
    Ok(Wish {
        word: word.clone(),
        name,
        conf: std::path::absolute(&conf).unwrap_or(conf),
        record: record_file(&log_folder(&session.world.home), &path),
        path,
        read_only: typed.has("r"),
        patience: Duration::from_secs(patience),
    })
}

/// The file that is to show the LUN, which may be missing yet.
fn mount_point(path: &Path) -> CciResult<PathBuf> {
    let refused = |code, why: String, advice: &str| {
        CciError::new(code).object(path.display().to_string()).cause(why).advice(advice)
    };
    let denied = |error: io::Error| {
        refused(Code::ExEacces, error.to_string(), "name a file in a folder that is there")
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error()) => {
            let why = "an attachment is there whose process has died".to_owned();
            return Err(refused(Code::ExEacces, why, "horcm detach it first"));
        }
        Err(error) => return Err(denied(error)),
        Ok(found) if found.is_file() => {}
        Ok(found) => {
            let kind = found.file_type();
            let what = match (kind.is_dir(), kind.is_block_device()) {
                (true, _) => "a directory",
                (_, true) => "a block device",
                _ => "no regular file",
            };
            let why = format!("it is {what}");
            return Err(refused(Code::ExInvarg, why, "name a regular file, or none yet"));
        }
    }
    let path = absolute(path).map_err(denied)?;
    if is_attached(&path).map_err(denied)? {
        let why = "a LUN is attached there already".to_owned();
        return Err(refused(Code::ExEacces, why, "horcm detach it first, or name another file"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{find_behind_horcm, parse::parse};

    #[test]
    fn mistakes_are_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new");
        let shown = file.to_string_lossy();
        for (line, code) in [
            (String::new(), 254),
            ("Harddisk0".to_owned(), 254),
            (format!("Harddisk0 {shown} more"), 254),
            (format!("disk0 {shown}"), 253),
            (format!("-t 0 Harddisk0 {shown}"), 253),
            (format!("-t 86401 Harddisk0 {shown}"), 253),
            (format!("-x Harddisk0 {shown}"), 252),
            (format!("Harddisk0 {}", dir.path().display()), 253),
            (format!("Harddisk0 {shown}/below"), 200),
        ] {
            let ran = crate::fake::Fake::done().run("attach", &line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(ran.output.is_empty());
        }
        assert!(!file.exists());
    }

    #[test]
    fn the_process_in_the_background_is_told_everything() {
        let wish = Wish {
            word: "62496:18".to_owned(),
            name: "62496:18".parse().unwrap(),
            conf: "/c".into(),
            path: "/mnt/a b".into(),
            record: "/l/r".into(),
            read_only: true,
            patience: Duration::from_secs(7),
        };
        let words = again(&wish);
        let typed = parse(find_behind_horcm("attach").unwrap(), &words[1..]).unwrap();
        assert!(words[0] == "attach" && typed.has("f") && typed.has("r"));
        assert_eq!(typed.word("t"), Some("7"));
        assert_eq!(typed.operands(), ["62496:18", "/mnt/a b"]);
    }
}
