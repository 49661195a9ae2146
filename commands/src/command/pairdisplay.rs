//! `pairdisplay`: how the volumes of a group stand, on both sides (`cci` 2.13).

use model::Role;
use protocol::{horcm::Member, orders::EndStatus};

use crate::{
    failure::{Outcome, not_there_yet},
    pages::Members,
    parse::Typed,
    rows::{
        cells::{Columns, RowSide},
        guards::{self, GuardColumns},
        pairs, pairs_cli,
    },
    selection::selection,
    session::Session,
    table::{Arity, COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "pairdisplay",
    also: &[],
    about: "Shows the pair status of the volumes of a group",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::flag("c", "-c", "Specify to display only volumes that are not paired with each other"),
        Opt::flag("l", "-l", "Specify to display the local volumes only"),
        Opt::new(
            "f",
            Arity::Letters("xcdmeg"),
            "-f<x|c|d|m|e|g>",
            "Specify x LDEV# in hexadecimal, c the copy ratio, d the device files, m the bitmap modes, e the external view, g the host group",
        ),
        Opt::flag("CLI", "-CLI", "Specify one word for each column"),
        Opt::words("v", 1, 1, "-v <operation>", "Specify another view: gflag shows the guards"),
    ],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let selection = selection(session.command, typed, session.mode())?;
    let letters = typed.word("f").unwrap_or_default();
    let flag = |letter| letters.contains(letter);
    let columns = Columns {
        mode: selection.mode,
        hex: flag('x'),
        percent: flag('c'),
        device: flag('d'),
        extended: flag('e'),
    };
    let local_only = typed.has("l");
    match typed.word("v") {
        None => {}
        Some("gflag") => {
            let columns = GuardColumns { hex: columns.hex };
            return show_guards(session, selection, columns, !local_only);
        }
        Some(view) => {
            return Err(not_there_yet(&format!("-v {view}"), "this view").into());
        }
    }
    let mismatches_only = typed.has("c");
    let cli = typed.has("CLI");
    let mut headed = false;
    let members =
        Members { selection, remote: !local_only, guards: false, devices: columns.device };
    members.each(session, |session, group, member| {
        let out = session.out();
        // The heading waits for the first answer: a failing command leaves standard output empty.
        if !headed {
            headed = true;
            let heading = if cli { pairs_cli::heading(columns) } else { pairs::heading(columns) };
            writeln!(out, "{heading}")?;
        }
        if mismatches_only && belong_together(member) {
            return Ok(());
        }
        if cli {
            pairs_cli::write_member(out, columns, group, member)
        } else {
            pairs::write_member(out, columns, group, member)
        }
    })?;
    Ok(0)
}

/// `-v gflag`: the guards, as `raidvchkdsp` shows them.
pub(super) fn show_guards(
    session: &mut Session<'_, '_>,
    selection: protocol::horcm::Selection,
    columns: GuardColumns,
    remote: bool,
) -> Outcome {
    let mut headed = false;
    let members = Members { selection, remote, guards: true, devices: true };
    members.each(session, |session, group, member| {
        let out = session.out();
        if !headed {
            headed = true;
            writeln!(out, "{}", guards::HEADING)?;
        }
        guards::write_row(out, columns, group, member, RowSide::Local)?;
        guards::write_row(out, columns, group, member, RowSide::Remote)
    })?;
    Ok(0)
}

/// Whether the two sides of a volume are each other's partners, or both unpaired.
fn belong_together(member: &Member) -> bool {
    let Some(remote) = &member.remote else {
        return false;
    };
    let local = &member.local;
    let (Some(here), Some(there)) = (&local.status, &remote.status) else {
        return false;
    };
    let names = |end: &EndStatus, row: &protocol::horcm::Row| {
        end.partner.is_some_and(|partner| partner.volume == row.volume && partner.mu == row.mu)
    };
    match (here.role, there.role) {
        (Role::Smpl, Role::Smpl) => true,
        (Role::PVol, Role::SVol) | (Role::SVol, Role::PVol) => {
            names(here, remote) && names(there, local)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{fake::Fake, rows::sample};

    #[test]
    fn the_seeds_session_prints_the_seeds_lines() {
        let mut fake = Fake::with_members("snap", vec![sample::noread_pair()]);
        let ran = fake.run("pairdisplay", "-g snap -IM51");
        assert_eq!((ran.code, ran.errors.as_str()), (0, ""));
        assert_eq!(
            ran.output,
            "\
Group   PairVol(L/R) (Port#,TID,LU-M),Seq#,LDEV#.P/S,Status, Seq#,P-LDEV# M
snap    snapdev1(L) (CL2-C ,25, 2-0)62496 19..S-VOL PAIR,----- 18 -
snap    snapdev1(R) (CL2-C ,25, 1-2)62496 18..P-VOL PAIR,62496 19 N
"
        );
    }

    #[test]
    fn pages_are_asked_for_until_the_last_and_headed_once() {
        let members = sample::paired_and_split().to_vec();
        let mut fake = Fake::with_members("vgdbRPS", members);
        fake.page = 1;
        let ran = fake.run("pairdisplay", "-g vgdbRPS -fcx -IM1");
        assert_eq!(ran.output.lines().count(), 5);
        assert_eq!(ran.output.matches("Group").count(), 1);
        assert_eq!(fake.asked().len(), 2);
    }

    #[test]
    fn without_the_remote_host_local_rows_stand_and_the_error_follows() {
        let mut member = sample::noread_pair();
        member.remote = None;
        let mut fake = Fake::with_members("snap", vec![member]);
        fake.remote_error = Some(model::CciError::new(model::Code::ExEnormt));
        let ran = fake.run("pairdisplay", "-g snap -IM51");
        assert_eq!(ran.code, 242);
        assert_eq!(ran.output.lines().count(), 2);
        assert!(ran.errors.starts_with("pairdisplay: [EX_ENORMT] "), "{}", ran.errors);
    }

    #[test]
    fn the_local_view_does_not_ask_the_remote_host() {
        let mut fake = Fake::with_members("snap", vec![sample::alone()]);
        fake.run("pairdisplay", "-g snap -l");
        let asked = format!("{:?}", fake.asked());
        assert!(asked.contains("remote: false"), "{asked}");
    }

    #[test]
    fn only_mismatches_are_shown_when_asked() {
        let mut wrong = sample::noread_pair();
        if let Some(end) = &mut wrong.local.status {
            end.partner = None;
        }
        wrong.name = "wrong".parse().unwrap();
        let mut fake = Fake::with_members("snap", vec![sample::noread_pair(), wrong]);
        let ran = fake.run("pairdisplay", "-g snap -c -IM51");
        assert_eq!(ran.output.lines().count(), 3);
        assert!(ran.output.contains("wrong(L)") && !ran.output.contains("snapdev1"));
    }

    #[test]
    fn views_of_later_versions_are_refused_by_name() {
        let mut fake = Fake::with_members("snap", vec![]);
        let ran = fake.run("pairdisplay", "-g snap -v jnl");
        assert_eq!(ran.code, 210);
        assert!(ran.errors.contains("-v jnl"));
    }

    #[test]
    fn a_failing_command_leaves_standard_output_empty() {
        let mut fake = Fake::failing(model::CciError::new(model::Code::ExEnogrp));
        let ran = fake.run("pairdisplay", "-g nosuch -IM51");
        assert_eq!((ran.code, ran.output.as_str()), (239, ""));
        assert_eq!(ran.errors.lines().next(), Some("pairdisplay: [EX_ENOGRP] No such group"));
    }
}
