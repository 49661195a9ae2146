//! Every call in every state that a provider can be in: answers as the table says, and no split
//! but the one commit.

use model::Code;

use super::{join, pvol, set};
use crate::{
    Provider,
    error::Refused,
    event::Event,
    fake::{Shared, Wrong},
    machine::{Call, State, Verdict, verdict},
};

fn make(provider: &mut Provider, call: Call) -> Result<(), Refused> {
    let id = set(1);
    match call {
        Call::BeginPrepare => join(provider, id, 1),
        Call::EndPrepare => provider.end_prepare(id),
        Call::PreCommit => provider.pre_commit(id),
        Call::Commit => provider.commit(id),
        Call::PostCommit => provider.post_commit(id, 1),
        Call::PreFinalCommit => provider.pre_final_commit(id),
        Call::PostFinalCommit => provider.post_final_commit(id),
        Call::Abort => provider.abort(id),
        Call::GetTargetLuns => provider.get_target_luns(&[pvol(0)]).map(drop),
    }
}

/// A provider whose set 1, of pair 0, is in that state; `None` for a state that nothing leads to.
fn brought_to(state: State, world: &Shared) -> Option<Provider> {
    const STEPS: [(Call, State, State); 6] = [
        (Call::EndPrepare, State::ProcessingPrepare, State::Prepared),
        (Call::PreCommit, State::ProcessingPreCommit, State::PreCommitted),
        (Call::Commit, State::ProcessingCommit, State::Committed),
        (Call::PostCommit, State::ProcessingPostCommit, State::PostCommitted),
        (Call::PreFinalCommit, State::ProcessingPreFinalCommit, State::PreFinalCommitted),
        (Call::PostFinalCommit, State::ProcessingPostFinalCommit, State::Created),
    ];
    let mut provider = world.provider();
    if state == State::Unknown {
        return Some(provider);
    }
    join(&mut provider, set(1), 0).unwrap();
    match state {
        State::Preparing => return Some(provider),
        State::Aborted => {
            provider.abort(set(1)).unwrap();
            return Some(provider);
        }
        _ => {}
    }
    for (call, at_work, done) in STEPS {
        if state == at_work {
            world.goes_wrong(0, Wrong::Before(Code::ExCmdioe));
            return make(&mut provider, call).is_err().then_some(provider);
        }
        make(&mut provider, call).unwrap();
        if state == done {
            return Some(provider);
        }
    }
    assert_eq!(state, State::Deleted);
    provider.on_lun_empty(&super::svol(0)).unwrap();
    Some(provider)
}

#[test]
fn every_call_in_every_state_is_answered_as_the_table_says() {
    let mut cells = 0;
    for state in State::ALL {
        for call in Call::ALL {
            let world = Shared::new(2);
            let Some(mut provider) = brought_to(*state, &world) else {
                // Nothing in PreFinalCommitSnapshots can fail.
                assert_eq!(*state, State::ProcessingPreFinalCommit);
                continue;
            };
            assert_eq!(provider.state(set(1)), *state);
            world.lock().trace.clear();
            let answer = make(&mut provider, call).map_err(|refused| refused.fault.event);
            let expected = match verdict(*state, call) {
                Verdict::Go | Verdict::Already | Verdict::Ignored => Ok(()),
                Verdict::BadSequence => Err(Event::Invseq),
                Verdict::NoObject => Err(Event::Enoobj),
            };
            assert_eq!(answer, expected, "{state:?} {call:?}");
            let went = verdict(*state, call) == Verdict::Go;
            let after = match call.way() {
                Some((_, done)) if went => done,
                _ => *state,
            };
            assert_eq!(provider.state(set(1)), after, "{state:?} {call:?}");
            let fired = world.lock().trace.contains(&"fire");
            assert_eq!(fired, *state == State::PreCommitted && call == Call::Commit);
            let quiet = went || world.lock().trace.iter().all(|step| *step == "event");
            assert!(quiet, "{state:?} {call:?} did something all the same");
            cells += 1;
        }
    }
    assert_eq!(cells, 15 * 9);
}

#[test]
fn a_set_that_is_not_the_latest_is_no_object() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    join(&mut provider, set(2), 1).unwrap();
    for call in
        Call::ALL.iter().filter(|call| !matches!(call, Call::BeginPrepare | Call::GetTargetLuns))
    {
        assert_eq!(super::event(make(&mut provider, *call)), Event::Enoobj, "{call:?}");
    }
    assert_eq!(provider.state(set(2)), State::Preparing, "and it is left alone");
}
