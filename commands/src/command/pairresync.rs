//! `pairresync`: brings split pairs together again (`cci` 2.6).

use model::Code;
use protocol::orders::{PairChange, ResyncOptions};

use crate::{
    command::change::{change, pace, refuse_remote_options, split_mode},
    failure::{Outcome, usage},
    parse::Typed,
    session::Session,
    table::{COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "pairresync",
    also: &[],
    about: "Resynchronises split pairs, or restores the P-VOLs from the S-VOLs",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::words("c", 1, 1, "-c <size>", "Specify the copy pace, 1 to 15 tracks"),
        Opt::flag("restore", "-restore", "Specify to copy from the S-VOLs to the P-VOLs")
            .against(&["swaps", "swapp"]),
        Opt::words(
            "fq",
            1,
            1,
            "-fq <mode>",
            "Specify whether PAIR shows at once (quick) or after the copy (normal)",
        ),
        Opt::words("m", 1, 1, "-m <mode>", "Specify noread: hosts cannot read the paired S-VOLs"),
        Opt::flag("l", "-l", "Specify to resynchronise without the remote host"),
        Opt::flag("swaps", "-swaps", "Specify to swap the sides of remote copy from the S-VOLs")
            .against(&["swapp"]),
        Opt::flag("swapp", "-swapp", "Specify to swap the sides of remote copy from the P-VOLs"),
        Opt::words("f", 1, 2, "-f <fence> [CTGID]", "Specify the fence level of remote copy")
            .against(&["fg"]),
        Opt::words(
            "fg",
            1,
            2,
            "-fg <fence> [CTGID]",
            "Specify the fence level and a consistency group of remote copy",
        ),
        Opt::words(
            "cto",
            1,
            3,
            "-cto <o-time> [c-time] [r-time]",
            "Specify the timers of remote copy",
        ),
    ],
    operands: None,
    run,
};

const OF_REMOTE_COPY: &[&str] = &["swaps", "swapp", "f", "fg", "cto"];

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    refuse_remote_options(session, typed, OF_REMOTE_COPY)?;
    let noread = match typed.word("m") {
        None => None,
        Some("noread") => Some(true),
        Some(other) => {
            let shown = format!("-m {other}");
            let wrong = "expected noread";
            return Err(usage(session.command, Code::ExInvarg, &shown, wrong).into());
        }
    };
    let restore = typed.has("restore");
    let variable = if restore { "HORCC_REST" } else { "HORCC_RSYN" };
    let options = ResyncOptions {
        restore,
        pace: pace(session.command, typed, "c")?,
        mode: split_mode(session, typed, variable)?,
        noread,
    };
    change(session, typed, PairChange::Resync(options), None)
}

#[cfg(test)]
mod tests {
    use model::{CopyPace, SplitMode};
    use protocol::horcm::Request;

    use super::*;
    use crate::fake::Fake;

    fn resynced(fake: &mut Fake, line: &str) -> ResyncOptions {
        let ran = fake.run("pairresync", line);
        assert_eq!((ran.code, ran.errors.as_str(), ran.output.as_str()), (0, "", ""), "{line}");
        match fake.asked().pop() {
            Some(Request::Change { change: PairChange::Resync(options), .. }) => options,
            other => panic!("{line} asked {other:?}"),
        }
    }

    #[test]
    fn options_reach_the_order() {
        let mut fake = Fake::done();
        let plain = resynced(&mut fake, "-g snap -IM51");
        assert_eq!(plain, ResyncOptions::default());
        let full = ResyncOptions {
            restore: true,
            pace: Some(CopyPace::MAX),
            mode: Some(SplitMode::Quick),
            noread: Some(true),
        };
        let line = "-g snap -restore -c 15 -fq quick -m noread -IM51";
        assert_eq!(resynced(&mut fake, line), full);
    }

    #[test]
    fn restore_and_resync_have_environment_variables_of_their_own() {
        let mut fake = Fake::done();
        fake.environment =
            fake.environment.clone().with("HORCC_REST", "QUICK").with("HORCC_RSYN", "NORMAL");
        let restored = resynced(&mut fake, "-g snap -restore -IM51");
        assert_eq!(restored.mode, Some(SplitMode::Quick));
        assert_eq!(resynced(&mut fake, "-g snap -IM51").mode, Some(SplitMode::Normal));
    }

    #[test]
    fn mistakes_are_refused_with_their_code() {
        for (line, code) in [
            ("-g snap -m trk -IM51", 253),
            ("-g snap -swaps -IM51", 248),
            ("-g snap -restore -swaps -IH51", 248),
            ("-g snap -c x -IM51", 253),
            ("-IM51", 254),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("pairresync", line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }
}
