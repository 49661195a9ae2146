//! From argv to exit code: parse, run, say what went wrong.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use commands::{
    environment::Environment,
    help,
    parse::{Typed, parse},
};
use model::Instance;
use protocol::Home;

use crate::{
    command::{DRM, Spec},
    console::Console,
    failure::{Failure, Outcome, Stop},
    freeze::guard,
    message,
    requestor::recovery,
};

/// The command did its work.
pub const DONE: u8 = 0;
/// It did not; the message says why.
pub const FAILED: u8 = 1;
/// The command line was not understood; nothing was done.
pub const USAGE: u8 = 2;

/// Runs the command this process was called as.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(watch) = guard::called() {
        return watched(watch);
    }
    DRM.main(|spec, words, output, errors| {
        let mut console = Console {
            command: spec.name,
            environment: Environment::of_process(),
            home: Home::from_env(),
            input: &mut io::stdin(),
            output,
            errors,
            bare: false,
            json: false,
            terminal: io::stderr().is_terminal(),
        };
        run(spec, words, &mut console)
    })
}

/// What a guard does, and what it does when its coordinator is gone.
fn watched(watch: guard::Watch) -> ExitCode {
    let kept = watch.keep(|_, died| {
        let (mut output, mut errors) = (io::stdout(), io::stderr());
        let mut console = Console {
            command: "drm-guard",
            environment: Environment::of_process(),
            home: Home::from_env(),
            input: &mut io::empty(),
            output: &mut output,
            errors: &mut errors,
            bare: true,
            json: false,
            terminal: false,
        };
        let store = console.catalogue();
        if let Err(Stop::Failure(failure)) = recovery::recover(&mut console, &store, Some(died)) {
            // Nobody may be left to hear it; the next command finds the same.
            let _ = console.tell(&failure);
        }
    });
    if kept.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a command with the words behind its name; what it returns is the exit code.
pub fn run(spec: &'static Spec, words: &[String], console: &mut Console<'_>) -> u8 {
    let typed = match parse(spec, words) {
        Ok(typed) => typed,
        Err(error) => return told(console, &Failure::misread(error), USAGE),
    };
    console.json = typed.has("json");
    // `-` is standard output, or standard input and harmless.
    console.bare = console.json || typed.operands().iter().any(|word| word == "-");
    let outcome = attempt(spec, &typed, console);
    let flushed = console.output.flush().map_err(Stop::Output);
    match outcome.and(flushed) {
        Ok(()) => DONE,
        Err(Stop::Failure(failure)) => {
            let code = if failure.message == message::COMMAND_LINE { USAGE } else { FAILED };
            told(console, &failure, code)
        }
        // Nobody reads any more: that is the reader's choice.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(Stop::Output(error)) => {
            let failure = Failure::new(message::OUTPUT_FAILED)
                .object("standard output")
                .cause(error.to_string());
            console.bare = true;
            told(console, &failure, FAILED)
        }
    }
}

fn attempt(spec: &'static Spec, typed: &Typed, console: &mut Console<'_>) -> Outcome {
    if typed.has("h") {
        return console.print(&help::text(spec, &DRM.call(spec.name), None, Instance::UNNUMBERED));
    }
    if !spec.run.told {
        return (spec.run.function)(console, typed);
    }
    console.say(message::COMMAND_STARTS, &[&spec.name])?;
    (spec.run.function)(console, typed)?;
    console.say(message::COMMAND_ENDS, &[&spec.name])
}

fn told(console: &mut Console<'_>, failure: &Failure, code: u8) -> u8 {
    let command = console.command;
    let _ = console.tell(failure);
    let _ = console.say(message::COMMAND_FAILED, &[&command]);
    code
}
