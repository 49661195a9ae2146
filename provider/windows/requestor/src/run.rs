//! From argv to exit code.

use std::{io::Write, path::PathBuf};

use commands::{help, parse::parse};
use messages::{
    failure::{Checked, Failure, Outcome, Stop},
    message,
};
use model::Instance;
use provider::settings::{LOCAL, MUN, Settings};

use crate::{
    backup::back_up,
    documents::Claim,
    options::{SPEC, wish},
    vss::Vss,
};

/// The command did its work.
pub const DONE: u8 = 0;
/// It did not; the message says why.
pub const FAILED: u8 = 1;
/// The command line was not understood; nothing was done.
pub const USAGE: u8 = 2;

/// Everything outside the command.
pub struct World<'w> {
    /// The environment variables.
    pub variable: &'w dyn Fn(&str) -> Option<String>,
    /// Where documents are kept.
    pub folder: PathBuf,
    /// Begins a backup with VSS.
    pub connect: &'w mut dyn FnMut() -> Checked<Box<dyn Vss>>,
    /// Standard output; messages go there too, as the manual says.
    pub output: &'w mut dyn Write,
}

/// Runs the command with the words behind its name; what it returns is the exit code.
pub fn run(words: &[String], world: &mut World<'_>) -> u8 {
    let outcome = attempt(words, world).and_then(|()| world.output.flush().map_err(Stop::Output));
    let failure = match outcome {
        Ok(()) => return DONE,
        Err(Stop::Failure(failure)) => *failure,
        Err(Stop::Output(error)) => {
            Failure::new(message::OUTPUT_FAILED).object("standard output").cause(error.to_string())
        }
    };
    let code = if failure.message == message::COMMAND_LINE { USAGE } else { FAILED };
    let _ = writeln!(world.output, "{failure}");
    let _ = writeln!(world.output, "{}", message::COMMAND_FAILED.with(&[&SPEC.name]));
    let _ = world.output.flush();
    code
}

fn attempt(words: &[String], world: &mut World<'_>) -> Outcome {
    let typed = parse(&SPEC, words).map_err(Failure::misread)?;
    if typed.has("h") {
        let text = help::text(&SPEC, SPEC.name, None, Instance::UNNUMBERED);
        return world.output.write_all(text.as_bytes()).map_err(Stop::Output);
    }
    let wish = wish(&typed)?;
    let mut say = |line: String| {
        // Each message is seen when it is told: what follows may take an hour.
        writeln!(world.output, "{line}").and_then(|()| world.output.flush()).map_err(Stop::Output)
    };
    say(message::COMMAND_STARTS.with(&[&SPEC.name]))?;
    let mut vss = (world.connect)()?;
    settings(world.variable)?;
    let mut claim = Claim::take(&world.folder)?;
    say(message::BACKUP_START.with(&[]))?;
    let trouble = back_up(&mut *vss, &wish, |documents| claim.keep(documents))?;
    say(message::BACKUP_ID.with(&[&claim.id()]))?;
    say(message::DOCUMENTS_KEPT.with(&[&claim.folder().display()]))?;
    if let Some(failure) = trouble {
        return Err(failure.into());
    }
    if !typed.has("noverify") {
        say(message::NOT_VERIFIED.with(&[&claim.id()]))?;
    }
    say(message::BACKUP_END.with(&[]))?;
    say(message::COMMAND_ENDS.with(&[&SPEC.name]))
}

/// The provider works with the system's variables; a user who does not see them right has not set
/// them, or not started the system again.
fn settings(variable: &dyn Fn(&str) -> Option<String>) -> Checked {
    let settings = Settings::read(|name| Ok(variable(name)));
    let Err(fault) = settings.and_then(|settings| settings.exporting()) else { return Ok(()) };
    let message = match fault.object.as_deref() {
        Some(MUN) => message::VSS_GENERATION,
        _ => message::VSS_PROVIDER,
    };
    let mut failure = Failure::new(message)
        .object(fault.object.unwrap_or_else(|| LOCAL.to_owned()))
        .action("set the system environment variable and start the system again");
    failure.state = fault.state;
    failure.cause = fault.cause;
    Err(failure.into())
}
