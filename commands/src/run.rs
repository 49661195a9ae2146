//! From argv to exit code: parse, run, say what went wrong, log.

use model::{CciError, Instance, Mode};

use crate::{
    command_log,
    failure::Outcome,
    help, interactive,
    parse::{Typed, parse},
    scope::Scope,
    session::{Session, World},
    subcommand,
    table::{COMMON, Spec},
};

/// Runs a command with the words behind its name; what it returns is the exit code.
pub fn run(spec: &'static Spec, words: &[String], world: &mut World<'_>) -> u8 {
    let typed = match parse(spec, words) {
        Ok(typed) => typed,
        Err(error) => {
            let quiet = words.first().is_some_and(|word| word == "-nomsg");
            return fail(spec, words, world, &error, quiet, None);
        }
    };
    if (typed.has("z") || typed.has("zx")) && !typed.has("h") {
        return match interactive::run(spec, &typed, world) {
            Ok(code) => code,
            Err(error) => fail(spec, words, world, &error, false, None),
        };
    }
    once(spec, words, &typed, world)
}

/// Runs a command once, as typed on a command line or at the prompt.
pub(crate) fn once(
    spec: &'static Spec,
    words: &[String],
    typed: &Typed,
    world: &mut World<'_>,
) -> u8 {
    let quiet = typed.has("nomsg");
    let scope = Scope::typed(typed, &world.environment, spec.name).ok();
    let outcome = attempt(spec, typed, world);
    // Rows that are still in the buffer stand above the error that follows them.
    let flushed = world.output.flush();
    let outcome = outcome.and_then(|code| flushed.map(|()| code).map_err(Into::into));
    match outcome {
        Ok(code) => {
            let scope = scope.unwrap_or_else(|| fallback_scope(spec, world));
            command_log::record(world, spec, words, scope, code, None);
            code
        }
        Err(failure) => match failure.into_error() {
            Some(error) => fail(spec, words, world, &error, quiet, scope),
            None => 0,
        },
    }
}

fn attempt(spec: &'static Spec, typed: &Typed, world: &mut World<'_>) -> Outcome {
    let modal = is_modal(spec);
    if typed.has("h") {
        let scope = Scope::typed(typed, &world.environment, spec.name)?;
        let mode = modal.then_some(scope.mode);
        let text = help::text(spec, &crate::call(spec.name), mode, scope.instance);
        world.output.write_all(text.as_bytes())?;
        return Ok(0);
    }
    if typed.has("q") {
        return Ok(0);
    }
    let scope = Scope::typed(typed, &world.environment, spec.name)?;
    let mut session =
        Session { world, command: spec.name, scope, quiet: typed.has("nomsg"), daemon: None };
    match typed.words("x") {
        Some(words) => subcommand::run(&mut session, words),
        None => (spec.run)(&mut session, typed),
    }
}

/// Whether the command knows HORC and HOMRCF at all.
fn is_modal(spec: &Spec) -> bool {
    spec.common.first().is_some_and(|head| head.len() == COMMON.len())
}

/// Says on standard error why the command failed, logs it, and returns its exit code.
fn fail(
    spec: &'static Spec,
    words: &[String],
    world: &mut World<'_>,
    error: &CciError,
    quiet: bool,
    scope: Option<Scope>,
) -> u8 {
    let scope = scope.unwrap_or_else(|| fallback_scope(spec, world));
    if !quiet {
        // `<command>: [EX_xxx] text`, then the details. Nobody can be told that standard error is closed.
        let _ = writeln!(world.errors, "{}: {error}", spec.name);
    }
    command_log::record(world, spec, words, scope, error.code.number(), Some(error));
    error.code.number()
}

/// Mode and instance for the log of a command line that does not say them.
fn fallback_scope(spec: &Spec, world: &World<'_>) -> Scope {
    Scope::of(&world.environment, spec.name)
        .unwrap_or(Scope { mode: Mode::Horc, instance: Instance::UNNUMBERED })
}
