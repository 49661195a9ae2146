//! `paircreate`: makes pairs (`cci` 2.4).

use model::{CciResult, Code, Fence, Mode, Side, ids::BadWord};
use protocol::orders::{CreateOptions, CtgRequest, PairChange};

use crate::{
    command::change::{change, pace, refuse_remote_options, split_mode},
    failure::{Outcome, not_there_yet, usage},
    parse::Typed,
    session::Session,
    table::{COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "paircreate",
    also: &[],
    about: "Creates pairs",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::flag("vl", "-vl", "Specify that the local volumes are the P-VOLs").against(&["vr"]),
        Opt::flag("vr", "-vr", "Specify that the remote volumes are the P-VOLs"),
        Opt::words("c", 1, 1, "-c <size>", "Specify the copy pace, 1 to 15 tracks (default 3)"),
        Opt::words(
            "f",
            1,
            2,
            "-f <fence> [CTGID]",
            "Specify the fence level of remote copy: never, status, data or async",
        )
        .against(&["fg"]),
        Opt::words(
            "fg",
            1,
            2,
            "-fg <fence> [CTGID]",
            "Specify the fence level and a consistency group of remote copy",
        ),
        Opt::flag("nocopy", "-nocopy", "Specify that the volumes are equal already"),
        Opt::flag(
            "nocsus",
            "-nocsus",
            "Specify to create suspended remote pairs without journal data",
        ),
        Opt::flag("split", "-split", "Specify to split when the copy is there"),
        Opt::words(
            "fq",
            1,
            1,
            "-fq <mode>",
            "Specify with -split whether it shows at once (quick) or after the copy (normal)",
        ),
        Opt::words("m", 1, 2, "-m <mode> [CTGID]", "Specify noread, grp [CTGID], cyl, trk or cc"),
        Opt::words("pid", 1, 1, "-pid <PID>", "Specify the pool of a snapshot"),
        Opt::words("jp", 1, 1, "-jp <id>", "Specify the journal of the P-VOLs"),
        Opt::words("js", 1, 1, "-js <id>", "Specify the journal of the S-VOLs"),
        Opt::words("jq", 1, 1, "-jq <quorum>", "Specify the quorum disk"),
        Opt::words(
            "cto",
            1,
            3,
            "-cto <o-time> [c-time] [r-time]",
            "Specify the timers of remote copy",
        ),
        Opt::words("gs", 1, 1, "-gs <group>", "Specify the group of the cascading S-VOLs"),
        Opt::words("ds", 1, 3, "-ds <pair Vol>", "Specify the cascading S-VOL"),
    ],
    operands: None,
    run,
};

const OF_REMOTE_COPY: &[&str] = &["f", "fg", "nocsus", "jp", "js", "jq", "cto"];

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    refuse_remote_options(session, typed, OF_REMOTE_COPY)?;
    let primary = primary(session, typed)?;
    check_fence(session, typed)?;
    for (option, what) in [("gs", "naming a cascading S-VOL"), ("ds", "naming a cascading S-VOL")] {
        if typed.has(option) {
            return Err(not_there_yet(&format!("-{option}"), what).into());
        }
    }
    let mut options = CreateOptions {
        pace: pace(session.command, typed, "c")?.unwrap_or_default(),
        no_copy: typed.has("nocopy"),
        pool: pool(session, typed)?,
        ..CreateOptions::default()
    };
    let split = split_mode(session, typed, "HORCC_SPLT")?;
    if typed.has("split") {
        options.split = Some(split.unwrap_or_default());
    }
    attributes(session, typed, &mut options)?;
    change(session, typed, PairChange::Create(options), Some(primary))
}

/// `-pid`: the pool of snapshots.
fn pool(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Option<u16>> {
    let Some(word) = typed.word("pid") else {
        return Ok(None);
    };
    match word.parse::<u16>().ok().filter(|pool| *pool <= 127) {
        Some(pool) => Ok(Some(pool)),
        None => {
            Err(usage(session.command, Code::ExErange, word, "a pool ID is a number from 0 to 127"))
        }
    }
}

/// `-vl` or `-vr`; nothing else says which data survives.
fn primary(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Side> {
    match (typed.has("vl"), typed.has("vr")) {
        (true, _) => Ok(Side::Local),
        (_, true) => Ok(Side::Remote),
        _ => Err(usage(
            session.command,
            Code::ExReqarg,
            "-vl or -vr",
            "the command must be told which side holds the P-VOLs",
        )),
    }
}

/// Remote copy needs a fence level, and that must be one.
fn check_fence(session: &Session<'_, '_>, typed: &Typed) -> CciResult<()> {
    let word = typed.word("f").or_else(|| typed.word("fg"));
    match word {
        Some(word) => {
            let wrong =
                |error: BadWord| usage(session.command, Code::ExInvarg, word, error.to_string());
            word.parse::<Fence>().map(|_| ()).map_err(wrong)
        }
        None if session.mode() == Mode::Horc && !typed.has("FMRCF") => Err(usage(
            session.command,
            Code::ExReqarg,
            "-f <fence>",
            "a remote pair needs a fence level",
        )
        .advice("for a local pair set HORCC_MRCF=1 or say -IM; see paircreate -h")),
        None => Ok(()),
    }
}

/// `-m`. The bitmap sizes `cyl` and `trk` are matters of remote copy; local pairs take the word
/// and go on.
fn attributes(
    session: &Session<'_, '_>,
    typed: &Typed,
    options: &mut CreateOptions,
) -> CciResult<()> {
    let Some(words) = typed.words("m") else {
        return Ok(());
    };
    let typed_words = format!("-m {}", words.join(" "));
    let wrong = |cause: &str| usage(session.command, Code::ExInvarg, &typed_words, cause);
    match words {
        [mode] => match mode.as_str() {
            "noread" => options.noread = true,
            "grp" => options.group = Some(CtgRequest::Any),
            "cyl" | "trk" => {}
            "cc" => return Err(not_there_yet(&typed_words, "volume migration")),
            _ => return Err(wrong("expected noread, grp, cyl, trk or cc")),
        },
        [mode, id] if mode == "grp" => {
            let id = id.parse().map_err(|_| wrong("expected a decimal CTGID"))?;
            options.group = Some(CtgRequest::Id(id));
        }
        _ => return Err(wrong("a CTGID belongs to grp only")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::{CopyPace, SplitMode};
    use protocol::horcm::Request;

    use super::*;
    use crate::fake::Fake;

    fn created(line: &str) -> (CreateOptions, Option<Side>) {
        let mut fake = Fake::done();
        let ran = fake.run("paircreate", line);
        assert_eq!((ran.code, ran.errors.as_str(), ran.output.as_str()), (0, "", ""), "{line}");
        match fake.asked().pop() {
            Some(Request::Change { change: PairChange::Create(options), primary, .. }) => {
                (options, primary)
            }
            other => panic!("{line} asked {other:?}"),
        }
    }

    #[test]
    fn the_seeds_paircreate_is_noread_with_the_remote_side_as_primary() {
        let (options, primary) = created("-g snap -vr -m noread -IM51");
        assert_eq!(primary, Some(Side::Remote));
        let expected = CreateOptions { noread: true, ..CreateOptions::default() };
        assert_eq!(options, expected);
    }

    #[test]
    fn options_reach_the_order() {
        let (options, primary) = created("-IM201 -g g -split -fq quick -c 15 -vl -m grp 7 -nocopy");
        assert_eq!(primary, Some(Side::Local));
        let expected = CreateOptions {
            pace: CopyPace::MAX,
            split: Some(SplitMode::Quick),
            no_copy: true,
            pool: None,
            noread: false,
            group: Some(CtgRequest::Id(7)),
        };
        assert_eq!(options, expected);
        assert_eq!(created("-IM201 -g g -vl -m trk").0, CreateOptions::default());
    }

    #[test]
    fn the_environment_gives_the_split_mode_where_no_option_does() {
        let mut fake = Fake::done();
        fake.environment = fake.environment.with("HORCC_SPLT", "QUICK");
        fake.run("paircreate", "-IM1 -g g -vl -split");
        let asked = format!("{:?}", fake.asked());
        assert!(asked.contains("split: Some(Quick)"), "{asked}");
    }

    #[test]
    fn mistakes_end_before_the_daemon_is_asked() {
        for (line, code) in [
            ("-g snap -IM51", 254),
            ("-g snap -vl -vr -IM51", 248),
            ("-vl -IM51", 254),
            ("-g snap -vl -IH51", 254),
            ("-g snap -vl -f bogus -IH51", 253),
            ("-g snap -vl -f never -IM51", 248),
            ("-g snap -vl -jp 1 -IM51", 248),
            ("-g snap -vl -c 16 -IM51", 253),
            ("-g snap -vl -c 0 -IM51", 253),
            ("-g snap -vl -m bogus -IM51", 253),
            ("-g snap -vl -m noread 5 -IM51", 253),
            ("-g snap -vl -m grp 70000 -IM51", 253),
            ("-g snap -vl -split -fq soon -IM51", 253),
            ("-g snap -vl -m cc -IM51", 210),
            ("-g snap -vl -gs other -IM51", 210),
            ("-g snap -vl -gs other -IM51", 210),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("paircreate", line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
            assert!(ran.errors.starts_with("paircreate: [EX_"), "{line}");
        }
    }

    #[test]
    fn a_remote_pair_is_the_daemons_to_refuse() {
        let mut fake = Fake::failing(Code::ExEnosup.into());
        let ran = fake.run("paircreate", "-g snap -vl -f never -IH51");
        assert_eq!(ran.code, 210);
        assert_eq!(fake.asked().len(), 1);
    }
}
