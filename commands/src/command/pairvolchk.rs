//! `pairvolchk`: what the volumes of a group are, as an exit code (`cci` 2.8).

use std::fmt::Write as _;

use model::{CciError, Code, Fence, PairStatus, Role};
use protocol::horcm::{Reply, Request, StateCount};

use crate::{
    failure::Outcome,
    parse::Typed,
    selection::selection,
    session::Session,
    states::found,
    table::{COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "pairvolchk",
    also: &[],
    about: "Checks what the volumes of a group are, and returns it",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::flag("s", "-s", "Specify to return SMPL (1), P-VOL (2) or S-VOL (3)").against(&["ss"]),
        Opt::flag("ss", "-ss", "Specify to return role and status, 11 to 58"),
        Opt::flag("c", "-c", "Specify to check the remote volumes too"),
    ],
    operands: None,
    run,
};

/// The group's status when its members differ: the first of these that occurs. COPY stands for
/// RCPY too.
const PRIORITY: &[PairStatus] = &[
    PairStatus::Copy,
    PairStatus::Psue,
    PairStatus::Pdub,
    PairStatus::Pfus,
    PairStatus::Psus,
    PairStatus::Pful,
    PairStatus::Pair,
];

/// The same for `-ss`: what still copies wins over what is split.
const PRIORITY_SS: &[PairStatus] = &[
    PairStatus::Copy,
    PairStatus::Psue,
    PairStatus::Pdub,
    PairStatus::Pful,
    PairStatus::Pair,
    PairStatus::Pfus,
    PairStatus::Psus,
];

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let request = Request::Summary {
        selection: selection(session.command, typed, session.mode())?,
        remote: typed.has("c"),
    };
    let Reply::Summary { group, local, mismatched, .. } = session.ask(&request)? else {
        return Err(session.unexpected().into());
    };
    if typed.has("c") && mismatched > 0 {
        return Err(CciError::new(Code::ExEvolce)
            .object(group.to_string())
            .state(format!("{mismatched} volumes"))
            .cause("the two sides are not each other's partners")
            .advice(format!("pairdisplay -g {group} -c lists them"))
            .into());
    }
    let checked = Checked::of(&local, typed.has("ss")).ok_or_else(|| {
        CciError::new(Code::ExEnqvol)
            .object(group.to_string())
            .state(found(&local))
            .cause("some volumes are paired and others are not, or differ in their role")
            .advice(format!("pairdisplay -g {group} shows which"))
    })?;
    session.say(&checked.message())?;
    Ok(if typed.has("ss") { checked.status_code() } else { checked.role_code() })
}

/// What a group is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checked {
    role: Role,
    status: PairStatus,
    fence: Option<Fence>,
    ctg: Option<u16>,
}

impl Checked {
    /// `None` when the members differ in their role, or when there are none.
    fn of(states: &[StateCount], detailed: bool) -> Option<Self> {
        let first = states.first()?;
        if states.iter().any(|state| state.role != first.role) {
            return None;
        }
        let priority = if detailed { PRIORITY_SS } else { PRIORITY };
        let has = |status| states.iter().any(|state| plain(state.status) == status);
        let status = priority.iter().copied().find(|status| has(*status));
        Some(Self {
            role: first.role,
            status: status.unwrap_or(PairStatus::Smpl),
            fence: first.fence,
            ctg: first.ctg,
        })
    }

    /// Without `-ss`.
    const fn role_code(self) -> u8 {
        match self.role {
            Role::Smpl => 1,
            Role::PVol => 2,
            Role::SVol => 3,
        }
    }

    /// With `-ss`: tens by role, ones by status, and 20 more for asynchronous remote copy, which
    /// alone tells PFUL and PFUS apart from PAIR and PSUS.
    fn status_code(self) -> u8 {
        let tens = match self.role {
            Role::Smpl => return 11,
            Role::PVol => 20,
            Role::SVol => 30,
        };
        if self.fence == Some(Fence::Async) {
            return tens + 20 + ones(self.status);
        }
        tens + ones(self.status.folded())
    }

    /// The line `pairvolchk` prints behind its name.
    fn message(self) -> String {
        let mut text = format!("Volstat is {}.[status = {}", self.role, self.status.folded());
        if self.role != Role::Smpl {
            if let Some(fence) = self.fence {
                let _ = write!(text, " fence = {fence}");
            }
            if let Some(ctg) = self.ctg {
                let _ = write!(text, " CTGID = {ctg}");
            }
        }
        text.push(']');
        text
    }
}

const fn ones(status: PairStatus) -> u8 {
    match status {
        PairStatus::Smpl => 1,
        PairStatus::Copy | PairStatus::Rcpy => 2,
        PairStatus::Pair => 3,
        PairStatus::Psus | PairStatus::Ssus | PairStatus::Ssws => 4,
        PairStatus::Psue => 5,
        PairStatus::Pdub => 6,
        PairStatus::Pful => 7,
        PairStatus::Pfus => 8,
    }
}

/// A status as this command names it: SSUS and SSWS are PSUS, RCPY is COPY.
const fn plain(status: PairStatus) -> PairStatus {
    match status {
        PairStatus::Ssus | PairStatus::Ssws => PairStatus::Psus,
        PairStatus::Rcpy => PairStatus::Copy,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use PairStatus::{Copy, Pair, Pful, Pfus, Psue, Psus, Rcpy, Smpl, Ssus};

    use super::*;
    use crate::{
        fake::Fake,
        states::tests::{count, summary},
    };

    fn code(states: &[StateCount], line: &str) -> u8 {
        let line = format!("-g snap {line}");
        Fake::answering([summary(states, &[])]).run("pairvolchk", &line).code
    }

    #[test]
    fn without_ss_the_role_is_the_code() {
        for (role, status, expected) in
            [(Role::Smpl, Smpl, 1), (Role::PVol, Pair, 2), (Role::SVol, Ssus, 3)]
        {
            assert_eq!(code(&[count(role, status, 1)], ""), expected);
            assert_eq!(code(&[count(role, status, 1)], "-s"), expected);
        }
    }

    #[test]
    fn with_ss_the_code_is_that_of_the_table() {
        for (role, status, expected) in [
            (Role::Smpl, Smpl, 11),
            (Role::PVol, Copy, 22),
            (Role::PVol, Rcpy, 22),
            (Role::PVol, Pair, 23),
            (Role::PVol, Psus, 24),
            (Role::PVol, Psue, 25),
            (Role::PVol, Pful, 23),
            (Role::PVol, Pfus, 24),
            (Role::SVol, Copy, 32),
            (Role::SVol, Pair, 33),
            (Role::SVol, Ssus, 34),
            (Role::SVol, Psue, 35),
        ] {
            assert_eq!(code(&[count(role, status, 1)], "-ss"), expected, "{role} {status}");
        }
        let mut asynchronous = count(Role::PVol, Pful, 1);
        asynchronous.fence = Some(Fence::Async);
        assert_eq!(code(&[asynchronous.clone()], "-ss"), 47);
        asynchronous.role = Role::SVol;
        asynchronous.status = Ssus;
        assert_eq!(code(&[asynchronous], "-ss"), 54);
    }

    #[test]
    fn a_groups_status_follows_the_two_priorities() {
        let group = |statuses: &[PairStatus]| -> Vec<StateCount> {
            statuses.iter().map(|status| count(Role::PVol, *status, 1)).collect()
        };
        let status = |statuses, detailed| Checked::of(&group(statuses), detailed).unwrap().status;
        assert_eq!(status(&[Pair, Psus], false), Psus);
        assert_eq!(status(&[Pair, Psus], true), Pair);
        assert_eq!(status(&[Pair, Psus, Psue], true), Psue);
        assert_eq!(status(&[Pair, Rcpy, Psue], false), Copy);
        assert_eq!(status(&[Pfus, Psus, Pful], false), Pfus);
        assert_eq!(status(&[Pfus, Psus, Pful], true), Pful);
    }

    #[test]
    fn a_group_of_several_roles_is_an_error() {
        let mixed = [count(Role::Smpl, Smpl, 1), count(Role::PVol, Pair, 3)];
        let ran = Fake::answering([summary(&mixed, &[])]).run("pairvolchk", "-g snap -s");
        assert_eq!((ran.code, ran.output.as_str()), (236, ""));
        assert!(ran.errors.contains("1 SMPL, 3 P-VOL PAIR"), "{}", ran.errors);
    }

    #[test]
    fn the_line_is_ccis_and_nomsg_leaves_it_out() {
        let mut remote = count(Role::PVol, Pair, 1);
        remote.fence = Some(Fence::Data);
        let cases = [
            (count(Role::PVol, Pair, 1), "P-VOL.[status = PAIR]"),
            (count(Role::SVol, Ssus, 1), "S-VOL.[status = PSUS]"),
            (remote, "P-VOL.[status = PAIR fence = DATA]"),
            (count(Role::Smpl, Smpl, 1), "SMPL.[status = SMPL]"),
        ];
        for (state, line) in cases {
            let answer = summary(std::slice::from_ref(&state), &[]);
            let mut fake = Fake::answering([answer]);
            let ran = fake.run("pairvolchk", "-g snap -s");
            assert_eq!(ran.output, format!("pairvolchk : Volstat is {line}\n"));
            let quiet = fake.run("pairvolchk", "-nomsg -g snap -s");
            assert_eq!((quiet.code, quiet.output.as_str()), (ran.code, ""));
        }
    }

    #[test]
    fn volumes_of_other_pairs_are_an_error_when_checked() {
        let wrong = Reply::Summary {
            group: "snap".parse().unwrap(),
            local: vec![count(Role::PVol, Pair, 2)],
            remote: vec![],
            mismatched: 1,
        };
        let mut fake = Fake::answering([Ok(wrong)]);
        assert_eq!(fake.run("pairvolchk", "-g snap -c").code, 235);
        assert_eq!(fake.run("pairvolchk", "-g snap").code, 2);
    }
}
