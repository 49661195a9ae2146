//! `horcmstart`: starts instances (`cci` 2.1).

use model::{CciResult, Instance};

use crate::{
    failure::Outcome,
    launch::{OF_ONE, Started, Variable, launch},
    lifecycle::is_running,
    parse::Typed,
    scope,
    session::Session,
    table::{HELP, Operands, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "horcmstart",
    also: &["horcmstart.sh"],
    about: "Starts HORCM instances",
    common: &[HELP],
    options: &[],
    operands: Some(Operands {
        shown: "[inst ...]",
        doc: "The instances; without one that of HORCMINST, or the one without a number",
    }),
    run,
};

/// Scripts take this for success: the instance runs.
const ALREADY_RUNNING: u8 = 1;

/// The instance does not run.
const FAILED: u8 = 3;

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let instances = instances(session, typed)?;
    let mut code = 0;
    for instance in &instances {
        let variables = if instances.len() == 1 { &[] } else { OF_ONE };
        code = code.max(start(session, *instance, variables)?);
    }
    Ok(code)
}

/// The instances that were typed; checked before anything is done to the first.
pub(super) fn instances(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Vec<Instance>> {
    numbered(session, typed.operands())
}

/// The same of some words.
pub(super) fn numbered(session: &Session<'_, '_>, words: &[String]) -> CciResult<Vec<Instance>> {
    if words.is_empty() {
        return Ok(vec![session.scope.instance]);
    }
    words.iter().map(|word| scope::instance(session.command, word, word)).collect()
}

/// `HORCM` or `HORCM inst 50`, the subject of every line.
pub(super) fn horcm(instance: Instance) -> String {
    match instance.number() {
        Some(number) => format!("HORCM inst {number}"),
        None => "HORCM".to_owned(),
    }
}

/// Starts one and says so; the code is 0, or 1 when it ran before, or 3.
pub(super) fn start(
    session: &mut Session<'_, '_>,
    instance: Instance,
    variables: &[Variable],
) -> Outcome {
    let horcm = horcm(instance);
    writeln!(session.out(), "starting {horcm}")?;
    // The line must stand while the daemon starts.
    session.out().flush()?;
    let started = if is_running(&session.world.home, instance) {
        Started::Already
    } else {
        launch(session.world, instance, variables)
            .unwrap_or_else(|error| Started::Failed(error.to_string()))
    };
    let (line, code) = match &started {
        Started::Running => ("starts successfully.", 0),
        Started::Already => ("has already been running.", ALREADY_RUNNING),
        Started::Failed(_) => ("has failed to start.", FAILED),
    };
    writeln!(session.out(), "{horcm} {line}")?;
    session.out().flush()?;
    if let Started::Failed(reason) = started {
        writeln!(session.world.errors, "{reason}")?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn a_wrong_instance_starts_nothing() {
        let ran = Fake::done().run("horcmstart", "50 2048");
        assert_eq!((ran.code, ran.output.as_str()), (253, ""));
        assert!(ran.errors.contains("OBJECT : 2048"), "{}", ran.errors);
    }
}
