//! `horcmgr`: the daemon itself, or `-check` whether it runs (`cci` 8).

use model::{CciError, Code};

use crate::{
    failure::Outcome,
    launch::{command, program},
    lifecycle::is_running,
    parse::Typed,
    platform::become_it,
    session::Session,
    table::{HELP, Opt, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "horcmgr",
    also: &[],
    about: "Runs the daemon of an instance in the foreground, or checks whether it runs",
    common: &[HELP],
    options: &[Opt::flag(
        "check",
        "-check",
        "Specify to check the instance of HORCMINST: 1 when it runs, 0 when not",
    )],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let instance = session.scope.instance;
    if typed.has("check") {
        return Ok(u8::from(is_running(&session.world.home, instance)));
    }
    let home = &session.world.home;
    let ended = program(home).and_then(|program| {
        let mut daemon = command(&program, home, instance, &[]);
        become_it(&mut daemon)
    });
    ended.map_err(|error| {
        CciError::new(Code::ExEnoent).object("horcmd").cause(error.to_string()).into()
    })
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn an_instance_that_does_not_run_is_0() {
        let ran = Fake::done().run("horcmgr", "-check");
        assert_eq!((ran.code, ran.output.as_str()), (0, ""));
    }
}
