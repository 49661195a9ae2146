//! One binary, many names (`cci` "Shipped command set"), and what the binary does by its own.

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
    help,
    links::link,
    platform,
    run::run,
    session::{WallClock, World},
    table::{Run, Spec},
};

/// Room for rows before they are written: one answer page becomes one or two writes.
const BUFFER: usize = 64 * 1024;

/// The commands of one binary.
#[derive(Debug)]
pub struct Family<R: 'static = Run> {
    /// The binary's own name.
    pub binary: &'static str,
    /// What may be left out of a command's name behind the binary's, as in `drm fsbackup`.
    pub prefix: &'static str,
    /// Commands that may be called by a link of their name, in the order of lists.
    pub linked: &'static [&'static Spec<R>],
    /// Commands that stand behind the binary's name only.
    pub own: &'static [&'static Spec<R>],
}

impl<R> Family<R> {
    /// Every name that a link may have.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.linked.iter().flat_map(|spec| spec.names())
    }

    /// The command of this name; a link may also end in `.exe`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Spec<R>> {
        let name = platform::command_name(name);
        self.linked.iter().copied().find(|spec| spec.names().any(|known| known == name))
    }

    /// The command of this name behind the binary's.
    #[must_use]
    pub fn find_behind(&self, name: &str) -> Option<&'static Spec<R>> {
        let own = || self.own.iter().copied().find(|spec| spec.name == name);
        let short = || {
            let prefix = Some(self.prefix).filter(|prefix| !prefix.is_empty())?;
            self.find(&format!("{prefix}{name}"))
        };
        self.find(name).or_else(own).or_else(short)
    }

    /// How the command of this name is called: behind the binary's where it has no link.
    #[must_use]
    pub fn call(&self, name: &str) -> String {
        match self.own.iter().any(|spec| spec.name == name) {
            true => format!("{} {name}", self.binary),
            false => name.to_owned(),
        }
    }

    /// The command a process was called for, and the words that are its own. `None` is the binary
    /// itself.
    fn chosen<'w>(
        &self,
        called: &str,
        words: &'w [String],
    ) -> Option<(&'static Spec<R>, &'w [String])> {
        if let Some(spec) = self.find(called) {
            return Some((spec, words));
        }
        let (name, rest) = words.split_first()?;
        Some((self.find_behind(name)?, rest))
    }

    /// Runs what this process was called as: `command` for a command, with what it is, the words
    /// behind its name, standard output and standard error.
    pub fn main(
        &self,
        command: impl FnOnce(&'static Spec<R>, &[String], &mut dyn Write, &mut dyn Write) -> u8,
    ) -> ExitCode {
        let mut words = std::env::args_os();
        let called = words.next().unwrap_or_default();
        let called = name_of(&called);
        let stdout = io::stdout();
        let mut output = BufWriter::with_capacity(BUFFER, stdout.lock());
        let mut errors = io::stderr();
        let code = match text(words) {
            Err(error) => say(&mut errors, &called, &error),
            Ok(words) => match self.chosen(&called, &words) {
                Some((spec, words)) => command(spec, words, &mut output, &mut errors),
                None => self.itself(&words, &mut output, &mut errors),
            },
        };
        // A command has flushed its rows and judged the result; what is left is a closed pipe's.
        let _ = output.flush();
        ExitCode::from(code)
    }

    /// The binary without a command.
    fn itself(&self, words: &[String], output: &mut dyn Write, errors: &mut dyn Write) -> u8 {
        let binary = self.binary;
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let written = match words.as_slice() {
            ["--list"] => output.write_all(self.list().as_bytes()),
            ["link", directory] => match link(self.names(), Path::new(directory)) {
                Ok(made) => writeln!(output, "{made} links in {directory}"),
                Err(error) => return say(errors, binary, &error),
            },
            ["-h" | "--help"] => output.write_all(self.usage().as_bytes()),
            [] => {
                let _ = errors.write_all(self.usage().as_bytes());
                return Code::ExReqarg.number();
            }
            ["link", ..] => {
                let error = CciError::new(Code::ExReqarg)
                    .object(format!("{binary} link"))
                    .cause("it takes one directory")
                    .advice(format!("{binary} -h shows how to call it"));
                return say(errors, binary, &error);
            }
            [unknown, ..] => {
                let error = CciError::new(Code::ExUnwcmd)
                    .object(*unknown)
                    .cause("there is no such command")
                    .advice(format!("{binary} --list shows them all"));
                return say(errors, binary, &error);
            }
        };
        match written.and_then(|()| output.flush()) {
            Ok(()) => 0,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Err(_) => Code::ExComerr.number(),
        }
    }

    fn list(&self) -> String {
        self.names().map(|name| format!("{name}\n")).collect()
    }

    fn usage(&self) -> String {
        let mut text = format!(
            "Model  : RAID-Manager/{}\nVer&Rev: {}\nUsage  : {} <command> [options]\n \
             <command> -h  Help/Usage of a command\n \
             --list        List every command name\n \
             link <dir>    Make a link for every command name in a directory\n",
            help::platform(),
            model::version(),
            self.binary
        );
        for spec in self.linked.iter().chain(self.own) {
            text.push_str(&format!(" {:<13} {}\n", spec.name, spec.about));
        }
        text
    }
}

/// Runs the command of CCI's this process was called as.
#[must_use]
pub fn main() -> ExitCode {
    crate::HORCM.main(|spec, words, output, errors| {
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
    })
}

/// The file name a process was called by.
fn name_of(path: &OsString) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn text(words: impl Iterator<Item = OsString>) -> Result<Vec<String>, CciError> {
    let text = |word: OsString| {
        word.into_string().map_err(|word| {
            CciError::new(Code::ExInvarg)
                .object(word.to_string_lossy().into_owned())
                .cause("the word is not text in UTF-8")
        })
    };
    words.map(text).collect()
}

fn say(errors: &mut dyn Write, called: &str, error: &CciError) -> u8 {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(errors, "{called}: {error}");
    error.code.number()
}
