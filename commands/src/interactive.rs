//! The interactive mode, `-z` and `-zx`: a prompt that takes the command's options again and
//! again (`cci` 2.2).
//!
//! `-zx` also watches the daemon, and ends when it stops. Its lines are read by a thread of their
//! own, so that the watch goes on while nobody types.

use std::{
    io::{BufRead, Read},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use model::{CciError, CciResult, Code, Mode};
use protocol::horcm::Request;

use crate::{
    parse::{Typed, parse},
    run::once,
    scope::Scope,
    session::World,
    table::Spec,
};

/// The longest line, in bytes; what is longer is refused as one bad line.
const MAX_LINE: u64 = 64 * 1024;

/// How often `-zx` looks after the daemon.
const WATCH: Duration = Duration::from_secs(1);

/// Repeats the command with the options of each line until `-q` or the end of input. Returns the
/// exit code of the last one.
///
/// # Errors
/// EX_ATTHOR when `-zx` finds no daemon to watch, EX_ESTMON when it has stopped.
pub fn run(spec: &'static Spec, typed: &Typed, world: &mut World<'_>) -> CciResult<u8> {
    let scope = Scope::typed(typed, &world.environment, spec.name)?;
    // What stood beside -z holds for every line that does not say otherwise.
    let outer = world.environment.clone();
    world.environment = in_scope(world, scope);
    let watched = typed.has("zx");
    world.at_prompt = true;
    let ended = prompt(spec, scope, watched, world);
    world.at_prompt = false;
    world.environment = outer;
    ended
}

fn in_scope(world: &World<'_>, scope: Scope) -> crate::environment::Environment {
    let environment = world.environment.clone();
    let environment = match scope.mode {
        Mode::Horc => environment.without("HORCC_MRCF"),
        Mode::Homrcf => environment.with("HORCC_MRCF", "1"),
    };
    match scope.instance.number() {
        None => environment.without("HORCMINST"),
        Some(number) => environment.with("HORCMINST", number.to_string()),
    }
}

fn prompt(
    spec: &'static Spec,
    scope: Scope,
    watched: bool,
    world: &mut World<'_>,
) -> CciResult<u8> {
    let Some(input) = world.input.take() else {
        return Ok(0);
    };
    let lines = if watched { Lines::Watched(read_aside(input)) } else { Lines::Plain(input) };
    let mut lines = lines;
    let mut code = 0;
    loop {
        // A closed terminal is noticed by the read that follows.
        let _ = write!(world.output, "{}[{}]:", spec.name, scope.mode);
        let _ = world.output.flush();
        let Some(line) = lines.next(&mut || watch(world, scope))? else {
            let _ = writeln!(world.output);
            return Ok(code);
        };
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            continue;
        }
        code = match parse(spec, &words) {
            Ok(typed) if typed.has("q") => return Ok(code),
            Ok(typed) => once(spec, &words, &typed, world),
            Err(error) => {
                let _ = writeln!(world.errors, "{}: {error}", spec.name);
                error.code.number()
            }
        };
    }
}

/// Whether the daemon still answers.
fn watch(world: &World<'_>, scope: Scope) -> CciResult<()> {
    let answer =
        world.attach.attach(scope.instance).and_then(|mut daemon| daemon.ask(&Request::Ping));
    match answer {
        Ok(_) => Ok(()),
        Err(error) => Err(CciError::new(Code::ExEstmon)
            .object(format!("HORCM {}", scope.instance))
            .cause(error.cause.unwrap_or_else(|| error.code.text().to_owned()))
            .advice("start it again; the interactive mode ends here")),
    }
}

enum Lines {
    Plain(Box<dyn BufRead + Send>),
    Watched(Receiver<Option<String>>),
}

impl Lines {
    /// The next line, or `None` at the end of input.
    fn next(&mut self, watch: &mut dyn FnMut() -> CciResult<()>) -> CciResult<Option<String>> {
        match self {
            Self::Plain(input) => Ok(read_line(input)),
            Self::Watched(lines) => loop {
                watch()?;
                match lines.recv_timeout(WATCH) {
                    Ok(line) => return Ok(line),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(None),
                }
            },
        }
    }
}

/// Reads lines on a thread of its own. It ends with the input, or with the process.
fn read_aside(mut input: Box<dyn BufRead + Send>) -> Receiver<Option<String>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        loop {
            let line = read_line(&mut input);
            let last = line.is_none();
            if sender.send(line).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// One line, cut at [`MAX_LINE`]; `None` at the end of input or when it cannot be read.
fn read_line(input: &mut Box<dyn BufRead + Send>) -> Option<String> {
    let mut line = Vec::new();
    match input.as_mut().take(MAX_LINE).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(String::from_utf8_lossy(&line).into_owned()),
    }
}
