//! `pairsplit`: splits, suspends or dissolves pairs (`cci` 2.5).

use protocol::orders::{PairChange, SplitOptions};

use crate::{
    command::change::{change, pace, refuse_remote_options, split_mode},
    failure::{Outcome, not_there_yet},
    parse::Typed,
    session::Session,
    table::{COMMON, Opt, SELECTION, Spec},
};

/// The ways to end a split that exclude each other.
const WAYS: &[&str] = &["r", "rw", "S", "R", "RS", "RB", "P", "E"];

/// The command.
pub static SPEC: Spec = Spec {
    name: "pairsplit",
    also: &[],
    about: "Splits, suspends or dissolves pairs",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::flag("r", "-r", "Specify that hosts may only read the S-VOLs")
            .against(&["rw", "S", "E"]),
        Opt::flag("rw", "-rw", "Specify that hosts may read and write the S-VOLs")
            .against(&["S", "E"]),
        Opt::flag("S", "-S", "Specify to dissolve the pairs; the volumes become SMPL")
            .against(&["E"]),
        Opt::flag("R", "-R", "Specify to make the S-VOLs of remote copy SMPL by force"),
        Opt::flag("RS", "-RS", "Specify to make the S-VOLs of remote copy SSWS by force"),
        Opt::flag("RB", "-RB", "Specify to bring the S-VOLs of remote copy back from SSWS"),
        Opt::flag("P", "-P", "Specify to suspend remote copy at the P-VOLs"),
        Opt::flag("E", "-E", "Specify to suspend the pairs by error, PSUE"),
        Opt::flag("l", "-l", "Specify to split without the remote host"),
        Opt::words(
            "C",
            1,
            1,
            "-C <size>",
            "Specify the pace of the copy behind the split, 1 to 15",
        ),
        Opt::words(
            "fq",
            1,
            1,
            "-fq <mode>",
            "Specify whether the split shows at once (quick) or after the copy (normal)",
        ),
        Opt::words("mscas", 1, 1, "-mscas <strno>", "Specify to split cascading snapshots"),
    ],
    operands: None,
    run,
};

const OF_REMOTE_COPY: &[&str] = &["R", "RS", "RB", "P"];

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    refuse_remote_options(session, typed, OF_REMOTE_COPY)?;
    if typed.has("mscas") {
        return Err(not_there_yet("-mscas", "a cascading snapshot").into());
    }
    let pace = pace(session.command, typed, "C")?;
    let mode = split_mode(session, typed, "HORCC_SPLT")?;
    let how = match typed.last_of(WAYS) {
        Some("S" | "R") => PairChange::Dissolve,
        Some("E") => PairChange::Fail,
        way => PairChange::Split(SplitOptions {
            // A local copy is there to be used, so that writing is its default (`cci` 2.5).
            writable: way != Some("r"),
            mode,
            pace,
            fresh: false,
        }),
    };
    change(session, typed, how, None)
}

#[cfg(test)]
mod tests {
    use model::{CopyPace, SplitMode};
    use protocol::horcm::Request;

    use super::*;
    use crate::fake::Fake;

    fn asked(line: &str) -> PairChange {
        let mut fake = Fake::done();
        let ran = fake.run("pairsplit", line);
        assert_eq!((ran.code, ran.errors.as_str(), ran.output.as_str()), (0, "", ""), "{line}");
        match fake.asked().pop() {
            Some(Request::Change { change, .. }) => change,
            other => panic!("{line} asked {other:?}"),
        }
    }

    #[test]
    fn every_way_to_split_is_its_own_order() {
        let split =
            |writable| PairChange::Split(SplitOptions { writable, ..SplitOptions::default() });
        for (line, expected) in [
            ("-g snap -IM51", split(true)),
            ("-g snap -rw -IM51", split(true)),
            ("-g snap -r -IM51", split(false)),
            ("-g snap -S -IM51", PairChange::Dissolve),
            ("-g snap -E -IM51", PairChange::Fail),
        ] {
            assert_eq!(asked(line), expected, "{line}");
        }
        let quick = PairChange::Split(SplitOptions {
            writable: true,
            mode: Some(SplitMode::Quick),
            pace: Some(CopyPace::MAX),
            fresh: false,
        });
        assert_eq!(asked("-g snap -rw -fq quick -C 15 -IM51"), quick);
    }

    #[test]
    fn what_excludes_itself_or_belongs_elsewhere_is_refused() {
        for (line, code) in [
            ("-g snap -r -rw -IM51", 248),
            ("-g snap -S -E -IM51", 248),
            ("-g snap -RS -IM51", 248),
            ("-g snap -mscas 1 -IM51", 210),
            ("-g snap -C 99 -IM51", 253),
            ("-IM51", 254),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("pairsplit", line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }

    #[test]
    fn a_local_split_does_not_need_the_remote_host() {
        let mut fake = Fake::done();
        fake.run("pairsplit", "-g snap -l -IM51");
        let asked = format!("{:?}", fake.asked());
        assert!(asked.contains("local_only: true"), "{asked}");
    }

    #[test]
    fn a_refusal_of_the_array_keeps_its_code_and_details() {
        let error =
            model::CciError::new(model::Code::ExInvstp).object("snap/snapdev1").state("SMPL");
        let ran = Fake::failing(error).run("pairsplit", "-g snap -IM51");
        assert_eq!(ran.code, 228);
        assert_eq!(
            ran.errors,
            "pairsplit: [EX_INVSTP] Invalid pair status\nOBJECT : snap/snapdev1\nSTATE : SMPL\n"
        );
    }
}
