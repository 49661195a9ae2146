//! `pairevtwait`: waits until the pairs of a group are in a state, or says in which they are now
//! (`cci` 2.7).

use std::time::Duration;

use model::{CciError, CciResult, Code, GroupName, PairStatus, Role, ids::BadWord};
use protocol::horcm::{Reply, Request, Selection, StateCount};

use crate::{
    failure::{Outcome, usage},
    parse::Typed,
    selection::selection,
    session::Session,
    states::{Half, Stage, found, half},
    table::{COMMON, Opt, SELECTION, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "pairevtwait",
    also: &[],
    about: "Waits until the pairs of a group reach a status",
    common: &[COMMON, SELECTION],
    options: &[
        Opt::words(
            "s",
            1,
            8,
            "-s <status> ...",
            "Specify the status of the P-VOLs to wait for: smpl, copy, pair, psus, psue",
        ),
        Opt::words(
            "ss",
            1,
            8,
            "-ss <status> ...",
            "Specify the status of the S-VOLs to wait for: smpl, copy, pair, ssus, psue",
        ),
        Opt::words(
            "t",
            1,
            2,
            "-t <timeout> [interval]",
            "Specify how many seconds to wait, and between two looks",
        ),
        Opt::flag("nowait", "-nowait", "Specify to return the status of the P-VOLs now")
            .against(&["nowaits"]),
        Opt::flag("nowaits", "-nowaits", "Specify to return the status of the S-VOLs now"),
        Opt::flag("l", "-l", "Specify to judge by the local volumes, without the remote host"),
    ],
    operands: None,
    run,
};

/// The first look comes this soon after the last; each further one takes twice as long, so that a
/// change that is nearly there is noticed at once and a long copy is not disturbed.
const SOONEST: Duration = Duration::from_millis(50);

/// The longest pause between two looks, unless an interval was typed.
const LATEST: Duration = Duration::from_secs(1);

/// From this many seconds on the command says that it may wait very long.
const VERY_LONG: u64 = 1_999_999;

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let question = Question {
        selection: selection(session.command, typed, session.mode())?,
        local_only: typed.has("l"),
    };
    if typed.has("nowait") {
        return now(session, &question, Half::Primary);
    }
    if typed.has("nowaits") {
        return now(session, &question, Half::Secondary);
    }
    let wanted = wanted(session.command, typed)?;
    let (limit, interval) = times(session, typed)?;
    wait(session, &question, &wanted, limit, interval)
}

/// What is looked at, again and again.
struct Question {
    selection: Selection,
    local_only: bool,
}

impl Question {
    /// The states of both sides.
    fn ask(&self, session: &mut Session<'_, '_>) -> CciResult<Sides> {
        let request =
            Request::Summary { selection: self.selection.clone(), remote: !self.local_only };
        let Reply::Summary { group, local, remote, mismatched } = session.ask(&request)? else {
            return Err(session.unexpected());
        };
        // Of a cascading mirror each side shows a pair of its own; those never match.
        let mismatched = if self.selection.mirror.is_some() { 0 } else { mismatched };
        Ok(Sides { group, local, remote, mismatched, local_only: self.local_only })
    }
}

/// One look.
struct Sides {
    group: GroupName,
    local: Vec<StateCount>,
    remote: Vec<StateCount>,
    mismatched: u32,
    local_only: bool,
}

impl Sides {
    fn half(&self, which: Half) -> Vec<StateCount> {
        half(&self.local, &self.remote, which, self.local_only)
    }

    /// The states of both sides as a message names them.
    fn seen(&self) -> String {
        let local = format!("local: {}", found(&self.local));
        if self.local_only { local } else { format!("{local}; remote: {}", found(&self.remote)) }
    }

    /// Why waiting cannot help: nothing that goes on by itself leads to what is wanted.
    fn hopeless(&self, wanted: &[Wanted]) -> Option<CciError> {
        let group = &self.group;
        let error = |code| CciError::new(code).object(format!("group {group}")).state(self.seen());
        if self.mismatched > 0 {
            let count = self.mismatched;
            return Some(
                error(Code::ExEvolce)
                    .cause(format!(
                        "{count} volumes are not each other's partners on the two sides"
                    ))
                    .advice(format!("pairdisplay -g {group} -c lists them")),
            );
        }
        // An unpaired volume stays so until someone pairs it.
        if wanted.iter().all(|wanted| wanted.stages.contains(&Stage::Smpl)) {
            return None;
        }
        let volumes = || self.local.iter().chain(&self.remote);
        let paired = volumes().any(|state| state.role != Role::Smpl);
        let unpaired = volumes().any(|state| state.role == Role::Smpl);
        match (unpaired, paired) {
            (true, true) => Some(
                error(Code::ExEnqvol)
                    .cause("some volumes are not paired and never reach the status by themselves")
                    .advice(format!("pairdisplay -g {group} shows which; paircreate pairs them")),
            ),
            (true, false) => Some(
                error(Code::ExInvvol)
                    .cause("no volume is paired, so that none reaches the status by itself")
                    .advice(format!("create the pairs first: paircreate -g {group}")),
            ),
            (false, _) => None,
        }
    }
}

/// What one half must reach: any of these.
struct Wanted {
    half: Half,
    stages: Vec<Stage>,
}

impl Wanted {
    fn is_reached(&self, sides: &Sides) -> bool {
        let states = sides.half(self.half);
        let reached = |state: &StateCount| self.stages.contains(&Stage::of(state.status));
        !states.is_empty() && states.iter().all(reached)
    }

    /// A volume that an error has suspended, where nobody waits for that.
    fn failed(&self, sides: &Sides) -> Option<StateCount> {
        let expected = self.stages.contains(&Stage::Psue);
        let mut states = sides.half(self.half).into_iter();
        states.find(|state| !expected && Stage::of(state.status) == Stage::Psue)
    }
}

/// `-nowait`, `-nowaits`: the status is the exit code.
fn now(session: &mut Session<'_, '_>, question: &Question, half: Half) -> Outcome {
    let sides = question.ask(session)?;
    let states = sides.half(half);
    let mut stages = states.iter().map(|state| Stage::of(state.status));
    let first = stages.next().ok_or_else(|| nothing(half, &sides))?;
    if !stages.all(|stage| stage == first) {
        return Err(CciError::new(Code::ExEnqvol)
            .object(format!("group {}", sides.group))
            .state(found(&states))
            .cause("the volumes are not all in one status")
            .advice("wait for one of them, or ask for one volume with -d")
            .into());
    }
    session.say(&format!("Wait status is {}.", first.word()))?;
    Ok(first.number())
}

fn wait(
    session: &mut Session<'_, '_>,
    question: &Question,
    wanted: &[Wanted],
    limit: Duration,
    interval: Option<Duration>,
) -> Outcome {
    let begun = session.world.clock.now();
    let mut pause = interval.unwrap_or(SOONEST);
    let mut doubted = false;
    loop {
        let sides = question.ask(session)?;
        let hopeless = sides.hopeless(wanted);
        if hopeless.is_none() && wanted.iter().all(|wanted| wanted.is_reached(&sides)) {
            session.say("Wait status done.")?;
            return Ok(0);
        }
        if let Some(state) = wanted.iter().find_map(|wanted| wanted.failed(&sides)) {
            return Err(CciError::new(Code::ExEwsuse)
                .object(format!("{}/{}", sides.group, state.example))
                .state(sides.seen())
                .cause("the pair was suspended by an error while waiting")
                .advice("look with pairdisplay; pairresync copies again")
                .into());
        }
        // The two sides are looked at one after the other, so that a change between the two looks
        // like a contradiction once. What a second look at once still shows is one.
        match hopeless {
            Some(error) if doubted => return Err(error.into()),
            Some(_) => {
                doubted = true;
                continue;
            }
            None => doubted = false,
        }
        let waited = session.world.clock.now().saturating_sub(begun);
        if waited >= limit {
            let code = if question.local_only { Code::ExEwslto } else { Code::ExEwstot };
            return Err(CciError::new(code)
                .object(format!("group {}", sides.group))
                .state(sides.seen())
                .cause(format!("not all reached it within {} s", limit.as_secs()))
                .advice("wait longer with -t, or look with pairdisplay -fc how far the copy is")
                .into());
        }
        session.world.clock.sleep(pause.min(limit - waited));
        pause = interval.unwrap_or((pause * 2).min(LATEST));
    }
}

fn nothing(half: Half, sides: &Sides) -> CciError {
    let side = match half {
        Half::Primary => Role::PVol,
        Half::Secondary => Role::SVol,
    };
    CciError::new(Code::ExInvvol)
        .object(format!("group {}", sides.group))
        .state(sides.seen())
        .cause(format!("neither side shows any {side} of these pairs"))
        .advice("look with pairdisplay")
}

/// The statuses behind `-s`, `-ss` or both.
fn wanted(command: &str, typed: &Typed) -> CciResult<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for (option, half) in [("s", Half::Primary), ("ss", Half::Secondary)] {
        let stage = |word: &String| {
            word.parse::<PairStatus>().map(Stage::of).map_err(|error: BadWord| {
                let shown = format!("-{option} {word}");
                usage(command, Code::ExInvarg, &shown, error.to_string())
            })
        };
        if let Some(words) = typed.words(option) {
            let stages = words.iter().map(stage).collect::<CciResult<_>>()?;
            wanted.push(Wanted { half, stages });
        }
    }
    if wanted.is_empty() {
        let wrong = "the command must be told what to wait for";
        let shown = "-s <status>, -ss <status>, -nowait or -nowaits";
        return Err(usage(command, Code::ExReqarg, shown, wrong));
    }
    Ok(wanted)
}

/// `-t timeout [interval]`, in seconds.
fn times(
    session: &mut Session<'_, '_>,
    typed: &Typed,
) -> Result<(Duration, Option<Duration>), crate::failure::Failure> {
    let command = session.command;
    let Some(words) = typed.words("t") else {
        let wrong = "the command must be told how long to wait";
        return Err(usage(command, Code::ExReqarg, "-t <timeout>", wrong).into());
    };
    let seconds = |word: &String| {
        word.parse::<u32>().map(u64::from).map_err(|_| {
            let shown = format!("-t {}", words.join(" "));
            usage(command, Code::ExInvarg, &shown, "expected whole seconds")
        })
    };
    let limit = words.first().map(seconds).transpose()?.unwrap_or_default();
    let interval = words.get(1).map(seconds).transpose()?;
    if limit >= VERY_LONG && !session.quiet {
        let errors = &mut *session.world.errors;
        writeln!(errors, "{command} : the timeout of {limit} s is very long.")?;
    }
    // An interval of 0 would ask without a pause.
    let interval = interval.map(|s| Duration::from_secs(s).max(SOONEST));
    Ok((Duration::from_secs(limit), interval))
}

#[cfg(test)]
mod tests {
    use model::Role;

    use super::*;
    use crate::{
        fake::Fake,
        states::tests::{count, summary},
    };

    fn pvol(status: PairStatus) -> CciResult<Reply> {
        summary(&[count(Role::PVol, status, 1)], &[count(Role::SVol, status, 1)])
    }

    #[test]
    fn it_waits_until_the_status_is_there_and_says_so() {
        use PairStatus::{Copy, Pair};
        let mut fake = Fake::answering([pvol(Copy), pvol(Copy), pvol(Copy), pvol(Pair)]);
        let ran = fake.run("pairevtwait", "-g snap -s pair -t 300 -IM51");
        assert_eq!((ran.code, ran.errors.as_str()), (0, ""));
        assert_eq!(ran.output, "pairevtwait : Wait status done.\n");
        // 50, 100 and 200 ms.
        assert_eq!(fake.slept(), Duration::from_millis(350));
    }

    #[test]
    fn a_finished_transition_costs_no_pause() {
        let mut fake = Fake::answering([pvol(PairStatus::Psus)]);
        assert_eq!(fake.run("pairevtwait", "-g snap -s psus -t 5").code, 0);
        assert_eq!(fake.slept(), Duration::ZERO);
    }

    #[test]
    fn a_typed_interval_is_kept() {
        use PairStatus::{Copy, Pair};
        let mut fake = Fake::answering([pvol(Copy), pvol(Copy), pvol(Pair)]);
        fake.run("pairevtwait", "-g snap -s pair -t 300 10");
        assert_eq!(fake.slept(), Duration::from_secs(20));
    }

    #[test]
    fn timeouts_have_two_codes() {
        for (line, code) in [("-g snap -s pair -t 7", 233), ("-g snap -s pair -t 7 -l", 232)] {
            let mut fake = Fake::answering([pvol(PairStatus::Copy)]);
            let ran = fake.run("pairevtwait", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}");
            assert!(ran.errors.contains("OBJECT : group snap\n"), "{}", ran.errors);
            let sides = match code {
                232 => "STATE : local: 1 P-VOL COPY\n",
                _ => "STATE : local: 1 P-VOL COPY; remote: 1 S-VOL COPY\n",
            };
            assert!(ran.errors.contains(sides), "{}", ran.errors);
            assert_eq!(fake.slept(), Duration::from_secs(7));
        }
    }

    /// An answer in which volumes have partners of other pairs.
    fn mismatching() -> CciResult<Reply> {
        use PairStatus::Pair;
        Ok(Reply::Summary {
            group: "snap".parse().unwrap(),
            local: vec![count(Role::PVol, Pair, 1)],
            remote: vec![count(Role::SVol, Pair, 1)],
            mismatched: 1,
        })
    }

    #[test]
    fn what_waiting_cannot_change_ends_it_at_once() {
        use PairStatus::{Pair, Smpl};
        let simplex = [count(Role::Smpl, Smpl, 2)];
        let part = [count(Role::PVol, Pair, 1), count(Role::Smpl, Smpl, 1)];
        for (answer, line, code) in [
            (mismatching(), "-g snap -s pair -t 300", 235),
            (mismatching(), "-g snap -s smpl -t 300", 235),
            (summary(&part, &simplex), "-g snap -s pair -t 300", 236),
            (summary(&part, &[]), "-g snap -s psus -t 300 -l", 236),
            (summary(&simplex, &simplex), "-g snap -s pair -t 300", 222),
            (summary(&simplex, &simplex), "-g snap -s psus -ss ssus -t 300", 222),
        ] {
            let mut fake = Fake::answering([answer]);
            let ran = fake.run("pairevtwait", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}: {}", ran.errors);
            assert_eq!((fake.slept(), fake.asked().len()), (Duration::ZERO, 2), "{line}");
            assert!(ran.errors.contains("OBJECT : group snap\n"), "{}", ran.errors);
        }
    }

    #[test]
    fn one_look_between_two_changes_is_no_contradiction() {
        use PairStatus::{Copy, Pair, Smpl};
        let simplex = [count(Role::Smpl, Smpl, 1)];
        for passing in [mismatching(), summary(&simplex, &[count(Role::SVol, Copy, 1)])] {
            let mut fake = Fake::answering([passing, pvol(Copy), pvol(Pair)]);
            let ran = fake.run("pairevtwait", "-g snap -s pair -t 300");
            assert_eq!(ran.code, 0, "{}", ran.errors);
        }
    }

    #[test]
    fn pairs_on_their_way_to_smpl_are_waited_for() {
        use PairStatus::{Psus, Smpl};
        let simplex = [count(Role::Smpl, Smpl, 2)];
        let part = [count(Role::PVol, Psus, 1), count(Role::Smpl, Smpl, 1)];
        let mut fake = Fake::answering([summary(&part, &[]), summary(&simplex, &simplex)]);
        assert_eq!(fake.run("pairevtwait", "-g snap -s smpl -t 300").code, 0);
    }

    #[test]
    fn cascading_mirrors_are_not_compared() {
        let mut fake = Fake::answering([mismatching()]);
        let ran = fake.run("pairevtwait", "-g snap -FMRCF 1 -s pair -t 300");
        assert_eq!(ran.code, 0, "{}", ran.errors);
    }

    #[test]
    fn both_halves_are_waited_for_when_both_are_named() {
        use PairStatus::{Copy, Psus, Ssus};
        let first = summary(&[count(Role::SVol, Copy, 1)], &[count(Role::PVol, Psus, 1)]);
        let then = summary(&[count(Role::SVol, Ssus, 1)], &[count(Role::PVol, Psus, 1)]);
        let mut fake = Fake::answering([first, then]);
        let ran = fake.run("pairevtwait", "-g snap -s psus -ss ssus -t 300");
        assert_eq!(ran.code, 0);
        assert_eq!(fake.asked().len(), 2);
    }

    #[test]
    fn an_error_suspension_ends_the_wait_unless_it_is_waited_for() {
        let mut fake = Fake::answering([pvol(PairStatus::Copy), pvol(PairStatus::Psue)]);
        let ran = fake.run("pairevtwait", "-g snap -s pair -t 300");
        assert_eq!(ran.code, 234);
        assert!(ran.errors.contains("OBJECT : snap/snapdev1\n"), "{}", ran.errors);
        let mut fake = Fake::answering([pvol(PairStatus::Psue)]);
        assert_eq!(fake.run("pairevtwait", "-g snap -s pair psue -t 300").code, 0);
    }

    #[test]
    fn nowait_returns_the_status_of_the_p_vol_and_nowaits_of_the_s_vol() {
        use PairStatus::{Copy, Pair, Psue, Psus, Rcpy, Ssus};
        for (status, code) in [(Copy, 2), (Rcpy, 2), (Pair, 3), (Psus, 4), (Psue, 5)] {
            let ran = Fake::answering([pvol(status)]).run("pairevtwait", "-g snap -nowait");
            assert_eq!(ran.code, code, "{status}");
        }
        let simplex = [count(Role::Smpl, PairStatus::Smpl, 1)];
        let ran = Fake::answering([summary(&simplex, &simplex)]).run("pairevtwait", "-g s -nowait");
        assert_eq!(ran.code, 1);
        assert_eq!(ran.output, "pairevtwait : Wait status is SMPL.\n");
        let split = summary(&[count(Role::PVol, Psus, 1)], &[count(Role::SVol, Ssus, 1)]);
        let mut fake = Fake::answering([split]);
        assert_eq!(fake.run("pairevtwait", "-g snap -nowaits").code, 4);
    }

    #[test]
    fn the_p_vol_is_found_on_whichever_side_it_is() {
        use PairStatus::{Copy, Pair, Ssus};
        let here = [count(Role::SVol, Copy, 1)];
        let there = [count(Role::PVol, Pair, 1)];
        let ran = Fake::answering([summary(&here, &there)]).run("pairevtwait", "-g s -nowait");
        assert_eq!(ran.code, 3);
        let mut fake = Fake::answering([summary(&[count(Role::SVol, Ssus, 1)], &[])]);
        assert_eq!(fake.run("pairevtwait", "-g s -nowait -l").code, 4);
    }

    #[test]
    fn a_mixed_group_has_no_one_status() {
        use PairStatus::{Copy, Pair};
        let here = [count(Role::PVol, Pair, 1), count(Role::PVol, Copy, 2)];
        let ran = Fake::answering([summary(&here, &[])]).run("pairevtwait", "-g s -nowait");
        assert_eq!(ran.code, 236);
        assert!(ran.errors.contains("1 P-VOL PAIR, 2 P-VOL COPY"), "{}", ran.errors);
    }

    #[test]
    fn full_pools_count_as_the_status_they_hide() {
        let mut fake = Fake::answering([pvol(PairStatus::Pful)]);
        assert_eq!(fake.run("pairevtwait", "-g snap -s pair -t 1").code, 0);
        let mut fake = Fake::answering([pvol(PairStatus::Pfus)]);
        assert_eq!(fake.run("pairevtwait", "-g snap -nowait").code, 4);
    }

    #[test]
    fn mistakes_are_refused_with_their_code() {
        for (line, code) in [
            ("-g snap -t 5", 254),
            ("-g snap -s pair", 254),
            ("-s pair -t 5", 254),
            ("-g snap -s bogus -t 5", 253),
            ("-g snap -s pair -t soon", 253),
            ("-g snap -nowait -nowaits", 248),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("pairevtwait", line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }
}
