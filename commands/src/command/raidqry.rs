//! `raidqry`: the storage systems, hosts and groups an instance knows (`cci` 2.15).

use model::Code;
use protocol::horcm::{Reply, Request};

use crate::{
    failure::{Failure, Outcome, usage},
    pages::onward,
    parse::Typed,
    rows::units,
    session::Session,
    table::{COMMON, Opt, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "raidqry",
    also: &[],
    about: "Shows the storage systems and groups an instance knows",
    common: &[COMMON],
    options: &[
        Opt::flag("g", "-g", "Specify for getting all group name on local"),
        Opt::flag("l", "-l", "Specify the local query"),
        Opt::flag("lm", "-lm", "Specify the local query with full micro version"),
        Opt::words("r", 1, 1, "-r <group>", "Specify the remote query"),
        Opt::flag("f", "-f", "Specify display for floatable host"),
    ],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    if typed.has("g") {
        groups(session)
    } else if let Some(name) = typed.word("r") {
        let group = name.parse().map_err(|error: model::ids::BadWord| {
            let shown = format!("-r {name}");
            usage(session.command, Code::ExInvarg, &shown, error.to_string())
        })?;
        show(session, &Request::RemoteUnits(group), name)
    } else if typed.has("l") || typed.has("lm") {
        show(session, &Request::Units, "---")
    } else {
        let wrong = "the command must be told what to query";
        Err(usage(session.command, Code::ExReqarg, "-l, -lm, -r <group> or -g", wrong).into())
    }
}

fn show(session: &mut Session<'_, '_>, request: &Request, group: &str) -> Outcome {
    let Reply::Units { host, version, units } = session.ask(request)? else {
        return Err(session.unexpected().into());
    };
    let out = session.out();
    writeln!(out, "{}", units::HEADING)?;
    for (unit, identity) in units.iter().enumerate() {
        units::write_unit(out, unit, group, &host, &version, identity.as_ref())?;
    }
    Ok(0)
}

fn groups(session: &mut Session<'_, '_>) -> Outcome {
    let mut from = 0;
    let mut number = 0;
    loop {
        let Reply::Groups { groups, next } = session.ask(&Request::Groups { from })? else {
            return Err(Failure::from(session.unexpected()));
        };
        let out = session.out();
        if from == 0 {
            writeln!(out, "{}", units::GROUPS_HEADING)?;
        }
        for info in &groups {
            number += 1;
            units::write_group(out, number, info)?;
        }
        match next {
            Some(next) => from = onward(from, next)?,
            None => return Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Serial;
    use protocol::{horcm::GroupInfo, orders::Identity};

    use super::*;
    use crate::fake::Fake;

    fn units() -> Reply {
        Reply::Units {
            host: "localhost".to_owned(),
            version: "01-35-03-08".to_owned(),
            units: vec![Some(Identity {
                serial: Serial::new(471_234).unwrap(),
                model: "VSP".to_owned(),
                microcode: "83-01-28/00".to_owned(),
                cache_mb: 320_000,
                ldevs: 1,
                mirrors: 3,
                security: protocol::orders::Security::default(),
            })],
        }
    }

    #[test]
    fn the_local_query_prints_the_literal_sample() {
        let ran = Fake::answering([Ok(units())]).run("raidqry", "-l -I300");
        let sample =
            "  No  Group    Hostname     HORCM_ver   Uid   Serial#   Micro_ver     Cache(MB)
   1    ---   localhost   01-35-03-08     0   471234    83-01-28/00      320000
";
        assert_eq!((ran.code, ran.output.as_str()), (0, sample));
    }

    #[test]
    fn the_remote_query_names_its_group() {
        let mut fake = Fake::answering([Ok(units())]);
        let ran = fake.run("raidqry", "-r snap");
        assert!(ran.output.lines().nth(1).unwrap().contains("   snap "));
        assert_eq!(fake.asked(), [Request::RemoteUnits("snap".parse().unwrap())]);
    }

    #[test]
    fn groups_are_numbered_across_pages() {
        let page = |name: &str, next| {
            Ok(Reply::Groups {
                groups: vec![GroupInfo {
                    group: name.parse().unwrap(),
                    volumes: 1,
                    serial: Serial::new(62496).unwrap(),
                    raid_type: "9980V".to_owned(),
                }],
                next,
            })
        };
        let ran = Fake::answering([page("a", Some(1)), page("b", None)]).run("raidqry", "-g");
        let firsts: Vec<Vec<&str>> =
            ran.output.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
        assert_eq!(firsts[0], ["GNo", "Group", "RAID_type"]);
        assert_eq!(firsts[1..], [["1", "a", "9980V"], ["2", "b", "9980V"]]);
    }

    #[test]
    fn a_page_that_leads_nowhere_ends_the_command() {
        let stuck = Reply::Groups { groups: vec![], next: Some(0) };
        let ran = Fake::answering([Ok(stuck)]).run("raidqry", "-g");
        assert_eq!(ran.code, 255);
    }

    #[test]
    fn without_a_question_there_is_no_answer() {
        assert_eq!(Fake::done().run("raidqry", "").code, 254);
    }
}
