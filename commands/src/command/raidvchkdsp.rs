//! `raidvchkdsp`: shows the guards of volumes (`cci` 5.2).

use model::Code;

use crate::{
    command::pairdisplay::show_guards,
    failure::{Outcome, not_there_yet, usage},
    parse::Typed,
    rows::guards::GuardColumns,
    selection::selection,
    session::Session,
    table::{Arity, COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "raidvchkdsp",
    also: &[],
    about: "Shows the guards of volumes",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::words("v", 1, 1, "-v <operation>", "Specify the view: gflag shows the guards"),
        Opt::new(
            "f",
            Arity::Letters("xd"),
            "-f<x|d>",
            "Specify x LDEV# in hexadecimal, d the device files",
        ),
        Opt::flag("c", "-c", "Specify to check the remote volumes too"),
        Opt::flag("l", "-l", "Specify the local volumes only"),
    ],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let selection = selection(session.command, typed, session.mode())?;
    match typed.word("v") {
        Some("gflag") => {}
        Some(view) => {
            return Err(not_there_yet(&format!("-v {view}"), "this view").into());
        }
        None => {
            let wrong = "the command must be told which view";
            return Err(usage(session.command, Code::ExReqarg, "-v gflag", wrong).into());
        }
    }
    let letters = typed.word("f").unwrap_or_default();
    let columns = GuardColumns { hex: letters.contains('x') };
    // Guards are a matter of the local volumes; -c asks for the other side as well.
    show_guards(session, selection, columns, typed.has("c") && !typed.has("l"))
}

#[cfg(test)]
mod tests {
    use model::{Guard, GuardType};
    use protocol::orders::GuardState;

    use crate::{fake::Fake, rows::sample};

    #[test]
    fn a_hidden_volume_shows_five_letters_in_both_groups() {
        let mut member = sample::noread_pair();
        member.local.guard =
            Some(GuardState { guard: Guard::of(GuardType::Inv), retention_days: 0 });
        member.remote = None;
        let mut fake = Fake::with_members("snap", vec![member]);
        let ran = fake.run("raidvchkdsp", "-g snap -v gflag -IM51");
        let rows: Vec<Vec<&str>> =
            ran.output.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0][5..], ["GI-C-R-W-S", "PI-C-R-W-S", "R-Time"]);
        assert_eq!(rows[1][5..], ["D", "D", "D", "D", "E", "E", "E", "E", "E", "E", "0"]);
        assert!(format!("{:?}", fake.asked()).contains("guards: true"));
    }

    #[test]
    fn other_views_and_none_are_refused() {
        for (line, code) in [("-g snap", 254), ("-g snap -v cflag", 210), ("-v gflag", 254)] {
            assert_eq!(Fake::done().run("raidvchkdsp", line).code, code, "{line}");
        }
    }
}
