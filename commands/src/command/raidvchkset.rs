//! `raidvchkset`: sets the guards of the local volumes (`cci` 5.1).

use model::{CciResult, Code, Guard, GuardType, ids::BadWord};
use protocol::horcm::Request;

use crate::{
    failure::{Outcome, not_there_yet, usage},
    parse::Typed,
    selection::selection,
    session::Session,
    table::{COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "raidvchkset",
    also: &[],
    about: "Sets or clears the guards of volumes",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::words(
            "vg",
            0,
            2,
            "-vg [type] [rtime]",
            "Specify the guard inv (idb), sz0, rwd, wtd or svd, and its days; none clears it",
        ),
        Opt::words("vt", 0, 1, "-vt [type]", "Specify the data type of the Database Validator"),
        Opt::words(
            "vs",
            1,
            3,
            "-vs <bsize> [slba] [elba]",
            "Specify the block size of the Database Validator",
        ),
        Opt::words(
            "vmf",
            0,
            1,
            "-vmf [we]",
            "Specify the volume attribute of the Database Validator",
        ),
        Opt::words("vtag", 0, 4, "-vtag [tag]", "Specify the tag check of the Database Validator"),
    ],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    for option in ["vt", "vs", "vmf", "vtag"] {
        if typed.has(option) {
            let what = "the Database Validator";
            return Err(not_there_yet(&format!("-{option}"), what).into());
        }
    }
    let Some(words) = typed.words("vg") else {
        let wrong = "the command must be told what to set";
        return Err(usage(session.command, Code::ExReqarg, "-vg [type] [rtime]", wrong).into());
    };
    let (guard, retention_days) = guard(session.command, words)?;
    let request = Request::SetGuard {
        selection: selection(session.command, typed, session.mode())?,
        guard,
        retention_days,
    };
    session.order(&request)?;
    Ok(0)
}

/// `[type] [rtime]`; no type clears every guard.
fn guard(command: &str, words: &[String]) -> CciResult<(Guard, Option<u32>)> {
    let shown = || format!("-vg {}", words.join(" "));
    let guard = match words.first() {
        None => Guard::NONE,
        Some(word) => word.parse::<GuardType>().map(Guard::of).map_err(|error: BadWord| {
            usage(command, Code::ExInvarg, &shown(), error.to_string())
        })?,
    };
    let days = match words.get(1) {
        None => None,
        Some(word) => Some(word.parse().map_err(|_| {
            usage(command, Code::ExInvarg, &shown(), "expected the retention time in days")
        })?),
    };
    Ok((guard, days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn the_seeds_idb_hides_the_volume_and_nothing_clears_it() {
        for (line, expected, days) in [
            ("-g snap -vg idb", Guard::of(GuardType::Inv), None),
            ("-g snap -vg inv", Guard::of(GuardType::Inv), None),
            ("-g snap -vg wtd 30", Guard::of(GuardType::Wtd), Some(30)),
            ("-g snap -vg", Guard::NONE, None),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("raidvchkset", line);
            assert_eq!((ran.code, ran.output.as_str()), (0, ""), "{line}");
            match fake.asked().pop() {
                Some(Request::SetGuard { guard, retention_days, .. }) => {
                    assert_eq!((guard, retention_days), (expected, days), "{line}");
                }
                other => panic!("{line} asked {other:?}"),
            }
        }
    }

    #[test]
    fn mistakes_are_refused_with_their_code() {
        for (line, code) in [
            ("-g snap", 254),
            ("-vg idb", 254),
            ("-g snap -vg bogus", 253),
            ("-g snap -vg idb soon", 253),
            ("-g snap -vg idb 1 2", 252),
            ("-g snap -vt redo9", 210),
            ("-g snap -vs 16", 210),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("raidvchkset", line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }

    #[test]
    fn a_running_retention_is_told_with_its_number() {
        let ran = Fake::failing(Code::ExEprort.into()).run("raidvchkset", "-g snap -vg");
        assert_eq!(ran.code, 208);
        assert_eq!(
            ran.errors,
            "raidvchkset: [EX_EPRORT] Mode changes denied due to retention time\n"
        );
    }
}
