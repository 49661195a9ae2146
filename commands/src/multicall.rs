//! One binary, many names (`cci` "Shipped command set"), and what `horcm` does by itself.

use std::{
    ffi::OsString,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use model::{CciError, Code};
use protocol::Home;

use crate::{
    environment::Environment,
    find, find_behind_horcm, help,
    links::link,
    run::run,
    session::{WallClock, World},
};

/// Room for rows before they are written: one answer page becomes one or two writes.
const BUFFER: usize = 64 * 1024;

/// Runs the command this process was called as.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    let called = name_of(&called);
    let words: Vec<OsString> = words.collect();
    let stdout = io::stdout();
    let mut output = BufWriter::with_capacity(BUFFER, stdout.lock());
    let mut errors = io::stderr();
    let code = call(&called, words, &mut output, &mut errors);
    // A command has flushed its rows and judged the result; what is left is a closed pipe's.
    let _ = output.flush();
    ExitCode::from(code)
}

/// The file name a process was called by.
fn name_of(path: &OsString) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn call(called: &str, words: Vec<OsString>, output: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let mut text = Vec::with_capacity(words.len());
    for word in words {
        match word.into_string() {
            Ok(word) => text.push(word),
            Err(word) => {
                let error = CciError::new(Code::ExInvarg)
                    .object(word.to_string_lossy().into_owned())
                    .cause("the word is not text in UTF-8");
                return say(errors, called, &error);
            }
        }
    }
    let behind = text.first().and_then(|command| find_behind_horcm(command));
    let (spec, words) = match (find(called), behind) {
        (Some(spec), _) => (spec, text.as_slice()),
        (None, Some(spec)) => (spec, &text[1..]),
        (None, None) => return horcm(&text, output, errors),
    };
    let home = Home::from_env();
    run(
        spec,
        words,
        &mut World {
            environment: Environment::of_process(),
            home: home.clone(),
            attach: &home,
            at_prompt: false,
            input: Some(Box::new(BufReader::new(io::stdin()))),
            output,
            errors,
            clock: &WallClock::default(),
        },
    )
}

/// `horcm` without a command.
fn horcm(words: &[String], output: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let written = match words.as_slice() {
        ["--list"] => output.write_all(list().as_bytes()),
        ["link", directory] => match link(Path::new(directory)) {
            Ok(made) => writeln!(output, "{made} links in {directory}"),
            Err(error) => return say(errors, "horcm", &error),
        },
        ["-h" | "--help"] => output.write_all(usage().as_bytes()),
        [] => {
            let _ = errors.write_all(usage().as_bytes());
            return Code::ExReqarg.number();
        }
        ["link", ..] => {
            let error = CciError::new(Code::ExReqarg)
                .object("horcm link")
                .cause("it takes one directory")
                .advice("horcm -h shows how to call it");
            return say(errors, "horcm", &error);
        }
        [unknown, ..] => {
            let error = CciError::new(Code::ExUnwcmd)
                .object(*unknown)
                .cause("there is no such command")
                .advice("horcm --list shows them all");
            return say(errors, "horcm", &error);
        }
    };
    match written.and_then(|()| output.flush()) {
        Ok(()) => 0,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(_) => Code::ExComerr.number(),
    }
}

fn list() -> String {
    let names = crate::all().iter().flat_map(|spec| spec.names());
    names.map(|name| format!("{name}\n")).collect()
}

fn usage() -> String {
    let mut text = format!(
        "Model  : RAID-Manager/{}\nVer&Rev: {}\nUsage  : horcm <command> [options]\n \
         <command> -h  Help/Usage of a command\n \
         --list        List every command name\n \
         link <dir>    Make a link for every command name in a directory\n",
        help::platform(),
        model::version()
    );
    for spec in crate::all().iter().chain(crate::own()) {
        text.push_str(&format!(" {:<13} {}\n", spec.name, spec.about));
    }
    text
}

fn say(errors: &mut dyn Write, called: &str, error: &CciError) -> u8 {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(errors, "{called}: {error}");
    error.code.number()
}
