//! `horcmshutdown`: ends instances (`cci` 2.1).

use crate::{
    command::horcmstart::{horcm, instances},
    failure::Outcome,
    lifecycle::shut_down,
    parse::Typed,
    session::Session,
    table::{HELP, Operands, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "horcmshutdown",
    also: &["horcmshutdown.sh"],
    about: "Ends HORCM instances",
    common: &[HELP],
    options: &[],
    operands: Some(Operands {
        shown: "[inst ...]",
        doc: "The instances; without one that of HORCMINST, or the one without a number",
    }),
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let mut failed = None;
    for instance in instances(session, typed)? {
        if let Some(number) = instance.number() {
            writeln!(session.out(), "inst {number}:")?;
            session.out().flush()?;
        }
        match shut_down(session, instance) {
            Ok(()) => {
                let subject = horcm(instance).replacen("HORCM", "HORCM Shutdown", 1);
                writeln!(session.out(), "{subject} !!!")?;
            }
            // The others are ended all the same; each failure is told.
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    let command = session.command;
                    writeln!(session.world.errors, "{command}: {earlier}")?;
                }
            }
        }
    }
    match failed {
        None => Ok(0),
        Some(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use protocol::horcm::Request;

    use crate::{daemon::detached, fake::Fake};

    #[test]
    fn each_instance_has_the_two_lines_of_the_seed() {
        let mut fake = Fake::done();
        let ran = fake.run("horcmshutdown", "50 51");
        assert_eq!((ran.code, ran.errors.as_str()), (0, ""));
        assert_eq!(
            ran.output,
            "inst 50:\nHORCM Shutdown inst 50 !!!\ninst 51:\nHORCM Shutdown inst 51 !!!\n"
        );
        assert_eq!(fake.asked(), [Request::Shutdown, Request::Shutdown]);
        let numbers: Vec<_> = fake.instances().iter().map(|i| i.number()).collect();
        assert_eq!(numbers, [Some(50), Some(51)]);
    }

    #[test]
    fn a_stopped_instance_cannot_be_attached_to() {
        let error = detached("5".parse().unwrap(), "no daemon is registered".to_owned());
        let ran = Fake::failing(error).run("horcmshutdown.sh", "5");
        assert_eq!(ran.code, 251);
        let first = "horcmshutdown: [EX_ATTHOR] Can't be attached to HORC manager\n";
        assert!(ran.errors.starts_with(first), "{}", ran.errors);
        assert!(ran.errors.ends_with("ACTION : start it: horcmstart 5\n"));
    }

    #[test]
    fn without_words_the_environment_names_the_instance() {
        let mut fake = Fake::done();
        assert_eq!(fake.run("horcmshutdown", "").output, "HORCM Shutdown !!!\n");
        fake.environment = fake.environment.clone().with("HORCMINST", "7");
        let ran = fake.run("horcmshutdown", "");
        assert_eq!(ran.output, "inst 7:\nHORCM Shutdown inst 7 !!!\n");
    }
}
