//! What the commands that change pairs have in common: option words, and the one request.

use model::{CciResult, Code, CopyPace, Mode, Side, SplitMode, ids::BadWord};
use protocol::{horcm::Request, orders::PairChange};

use crate::{
    failure::{Outcome, usage},
    parse::Typed,
    selection::selection,
    session::Session,
};

/// Sends the change of the typed selection. Success prints nothing.
pub(super) fn change(
    session: &mut Session<'_, '_>,
    typed: &Typed,
    change: PairChange,
    primary: Option<Side>,
) -> Outcome {
    let request = Request::Change {
        selection: selection(session.command, typed, session.mode())?,
        change,
        primary,
        local_only: typed.has("l"),
    };
    session.order(&request)?;
    Ok(0)
}

/// A copy pace, 1 to 15, behind this option.
pub(super) fn pace(command: &str, typed: &Typed, option: &str) -> CciResult<Option<CopyPace>> {
    let Some(word) = typed.word(option) else {
        return Ok(None);
    };
    let wrong = |error: BadWord| {
        usage(command, Code::ExInvarg, &format!("-{option} {word}"), error.to_string())
    };
    word.parse().map(Some).map_err(wrong)
}

/// `-fq`, else the environment variable, else `None`: whatever is the array's default.
pub(super) fn split_mode(
    session: &Session<'_, '_>,
    typed: &Typed,
    variable: &str,
) -> CciResult<Option<SplitMode>> {
    let (shown, word) = match (typed.word("fq"), session.world.environment.get(variable)) {
        (Some(word), _) => (format!("-fq {word}"), word),
        (None, Some(word)) => (format!("{variable}={word}"), word),
        (None, None) => return Ok(None),
    };
    let wrong = |error: BadWord| usage(session.command, Code::ExInvarg, &shown, error.to_string());
    word.parse().map(Some).map_err(wrong)
}

/// Refuses options that only remote copy knows.
///
/// # Errors
/// EX_OPTINV in HOMRCF mode when one of them was typed.
pub(super) fn refuse_remote_options(
    session: &Session<'_, '_>,
    typed: &Typed,
    options: &[&str],
) -> CciResult<()> {
    let remote = session.mode() == Mode::Horc || typed.has("FHORC");
    match options.iter().find(|option| typed.has(option)) {
        Some(option) if !remote || typed.has("FMRCF") => Err(usage(
            session.command,
            Code::ExOptinv,
            &format!("-{option}"),
            "it belongs to remote copy, and the command runs in HOMRCF mode",
        )),
        _ => Ok(()),
    }
}
