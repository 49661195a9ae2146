//! `horcm service`: instances as services of Windows, which live without a user that is logged in.

use model::{CciError, CciResult, Code, Instance};

use crate::{
    command::horcmstart::numbered,
    failure::{Outcome, usage},
    parse::Typed,
    services::{self, Listed},
    session::Session,
    table::{HELP, Operands, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "service",
    also: &[],
    about: "Installs HORCM instances as services, or shows them",
    common: &[HELP],
    options: &[],
    operands: Some(Operands {
        shown: "install|uninstall|list [inst ...]",
        doc: "What to do, and the instances; without one that of HORCMINST, or the one without a number; list shows every service",
    }),
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let command = session.command;
    let Some((order, words)) = typed.operands().split_first() else {
        let wrong = "expected install, uninstall or list";
        return Err(usage(command, Code::ExReqarg, "service", wrong).into());
    };
    match order.as_str() {
        "install" => each(session, words, install),
        "uninstall" => each(session, words, uninstall),
        "list" if words.is_empty() => list(session),
        "list" => Err(usage(command, Code::ExInvarg, &words[0], "list shows every service").into()),
        _ => {
            let wrong = "expected install, uninstall or list";
            Err(usage(command, Code::ExInvarg, order, wrong).into())
        }
    }
}

/// Does it to the instances; all words are checked before anything is done to the first.
fn each(
    session: &mut Session<'_, '_>,
    words: &[String],
    what: fn(&mut Session<'_, '_>, Instance) -> CciResult<String>,
) -> Outcome {
    for instance in numbered(session, words)? {
        let said = what(session, instance)?;
        writeln!(session.out(), "{}: {said}", instance.service_name())?;
        session.out().flush()?;
    }
    Ok(0)
}

fn install(session: &mut Session<'_, '_>, instance: Instance) -> CciResult<String> {
    let new = services::install(&session.world.home, instance)?;
    let name = instance.service_name();
    Ok(match new {
        true => format!("installed; it starts with Windows, now by: net start {name}"),
        false => "was installed already; set anew".to_owned(),
    })
}

fn uninstall(session: &mut Session<'_, '_>, instance: Instance) -> CciResult<String> {
    let was = services::uninstall(instance, session.world.clock)?;
    Ok(if was { "ended and uninstalled" } else { "was not installed" }.to_owned())
}

fn list(session: &mut Session<'_, '_>) -> Outcome {
    let listed = services::all()?;
    writeln!(session.out(), "SERVICE   STATE          START    PID     EXIT")?;
    for listed in listed {
        writeln!(session.out(), "{}", row(&listed))?;
    }
    Ok(0)
}

/// A line of the list.
fn row(listed: &Listed) -> String {
    let pid = listed.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let name = listed.instance.service_name();
    let (state, start, exit) = (listed.state, listed.start, &listed.exit);
    format!("{name:<9} {state:<14} {start:<8} {pid:<7} {exit}")
}

/// Why a service could not be looked at or changed.
pub(crate) fn failed(name: &str, error: &windows_service::Error) -> CciError {
    /// ERROR_ACCESS_DENIED
    const DENIED: i32 = 5;
    let (denied, cause) = match error {
        windows_service::Error::Winapi(error) => {
            (error.raw_os_error() == Some(DENIED), error.to_string())
        }
        error => (false, error.to_string()),
    };
    let (code, advice) = match denied {
        true => (Code::ExEacces, "run it as an administrator"),
        false => {
            (Code::ExComerr, "see services.msc, and the events of the Service Control Manager")
        }
    };
    CciError::new(code).object(format!("service {name}")).cause(cause).advice(advice)
}
