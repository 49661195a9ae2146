//! Any calls in any order, with anything going wrong in between, also the death of the process:
//! what is called a shadow copy is the instant of its commit, and the next run can go on.

use std::collections::HashMap;

use model::{Code, PairStatus};
use proptest::prelude::*;

use super::{copy, create, pvol, set, svol};
use crate::{
    Provider,
    context::Context,
    event::Event,
    fake::{DEATH, Shared, Wrong},
    guid::SetId,
    journal::Phase,
    machine::State,
};

const PAIRS: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(u32),
    Join(u32),
    EndPrepare,
    PreCommit,
    Commit,
    PostCommit,
    PreFinalCommit,
    PostFinalCommit,
    Abort,
    /// All that is missing until the set is created.
    Finish,
    Locate(u32),
    Empty(u32),
    Revert(u32),
    Unload(bool),
    Load,
    Write(u32),
    /// The operation after next, or so, goes wrong.
    Break(u64, Wrong),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = 0..PAIRS;
    let code = prop_oneof![Just(Code::ExAtthor), Just(Code::ExCmdioe), Just(Code::ExEnldev)];
    let wrong = prop_oneof![
        code.clone().prop_map(Wrong::Before),
        code.prop_map(Wrong::After),
        Just(Wrong::DiesBefore),
        Just(Wrong::DiesAfter),
    ];
    prop_oneof![
        3 => pair.clone().prop_map(Step::Begin),
        2 => pair.clone().prop_map(Step::Join),
        2 => Just(Step::EndPrepare),
        2 => Just(Step::PreCommit),
        2 => Just(Step::Commit),
        2 => Just(Step::PostCommit),
        1 => Just(Step::PreFinalCommit),
        1 => Just(Step::PostFinalCommit),
        1 => Just(Step::Abort),
        3 => Just(Step::Finish),
        1 => pair.clone().prop_map(Step::Locate),
        2 => pair.clone().prop_map(Step::Empty),
        1 => pair.clone().prop_map(Step::Revert),
        1 => any::<bool>().prop_map(Step::Unload),
        1 => Just(Step::Load),
        3 => pair.prop_map(Step::Write),
        4 => (0..12u64, wrong).prop_map(|(after, wrong)| Step::Break(after, wrong)),
    ]
}

/// The host's side of the story.
struct Story {
    world: Shared,
    provider: Option<Provider>,
    latest: u128,
    joined: Vec<u32>,
    stamp: u64,
    /// What each P-VOL held at the commit of each set.
    commits: HashMap<SetId, Vec<u64>>,
    /// The shadow copies the coordinator was told of and has not tried to delete: their contents.
    copies: HashMap<u32, u64>,
}

impl Story {
    fn new() -> Self {
        let world = Shared::new(PAIRS);
        let provider = Some(world.provider());
        Self {
            world,
            provider,
            latest: 0,
            joined: Vec::new(),
            stamp: 1000,
            commits: HashMap::new(),
            copies: HashMap::new(),
        }
    }

    /// The provider, loaded again if its process died.
    fn provider(&mut self) -> Option<&mut Provider> {
        if self.provider.is_none() {
            self.provider = self.world.load().ok();
        }
        self.provider.as_mut()
    }

    /// Makes a call; a death in it ends the process.
    fn call<T>(
        &mut self,
        work: impl FnOnce(&mut Provider) -> Result<T, crate::error::Refused>,
    ) -> bool {
        let Some(provider) = self.provider() else { return false };
        match work(provider) {
            Ok(_) => true,
            Err(refused) => {
                let cause = refused.fault.cause.as_deref();
                assert!(refused.fault.event != Event::Except || cause == Some(DEATH), "{refused}");
                if refused.fault.event == Event::Except {
                    self.provider = None;
                }
                false
            }
        }
    }

    fn take(&mut self, step: Step) {
        let id = set(self.latest);
        match step {
            Step::Begin(n) => {
                self.latest += 1;
                self.joined.clear();
                self.take(Step::Join(n));
            }
            Step::Join(n) => {
                let snapshot = copy(u128::from(n) + 1);
                if self.call(|p| p.begin_prepare(id, snapshot, Context(0), &[pvol(n)]))
                    && !self.joined.contains(&n)
                {
                    self.joined.push(n);
                }
            }
            Step::EndPrepare => drop(self.call(|p| p.end_prepare(id))),
            Step::PreCommit => drop(self.call(|p| p.pre_commit(id))),
            Step::Commit => {
                let now = self.world.lock().pairs.iter().map(|known| known.pvol).collect();
                let before = self.provider.as_ref().map(|p| p.state(id));
                if self.call(|p| p.commit(id)) && before == Some(State::PreCommitted) {
                    self.commits.insert(id, now);
                }
            }
            Step::PostCommit => {
                let count = self.joined.len();
                self.call(|p| p.post_commit(id, count));
            }
            Step::PreFinalCommit => drop(self.call(|p| p.pre_final_commit(id))),
            Step::PostFinalCommit => {
                let before = self.provider.as_ref().map(|p| p.state(id));
                let again = before == Some(State::Created);
                if self.call(|p| p.post_final_commit(id)) && !again {
                    let commit = &self.commits[&id];
                    self.copies.extend(self.joined.iter().map(|n| (*n, commit[*n as usize])));
                }
            }
            Step::Abort => drop(self.call(|p| p.abort(id))),
            Step::Finish => {
                for step in [
                    Step::EndPrepare,
                    Step::PreCommit,
                    Step::Commit,
                    Step::PostCommit,
                    Step::PreFinalCommit,
                    Step::PostFinalCommit,
                ] {
                    self.take(step);
                }
            }
            Step::Locate(n) => drop(self.call(|p| p.locate_luns(&[svol(n)]))),
            Step::Empty(n) => {
                self.copies.remove(&n);
                self.call(|p| p.on_lun_empty(&svol(n)));
            }
            Step::Revert(n) => {
                self.copies.remove(&n);
                self.call(|p| p.resync_luns(&[svol(n)], &[pvol(n)]));
            }
            Step::Unload(force) => drop(self.call(|p| p.unload(force))),
            Step::Load => self.provider = None,
            Step::Write(n) => {
                self.stamp += 1;
                let stamp = self.stamp;
                self.world.lock().pairs[n as usize].pvol = stamp;
            }
            Step::Break(after, wrong) => self.world.goes_wrong(after, wrong),
        }
    }

    /// What is called a shadow copy is the instant of its commit.
    fn check(&self) {
        let world = self.world.lock();
        for record in world.records.values().filter(|record| record.phase == Phase::Created) {
            let commit = &self.commits[&record.set];
            for pair in &record.pairs {
                let n = world.pairs.iter().position(|known| known.pair == *pair).unwrap();
                let known = &world.pairs[n];
                if known.status == PairStatus::Psus {
                    assert_eq!(known.svol, commit[n], "set {} pair {n}", record.set);
                }
            }
        }
        for (n, contents) in &self.copies {
            let known = &world.pairs[*n as usize];
            assert_eq!((known.status, known.svol), (PairStatus::Psus, *contents), "copy of {n}");
        }
    }

    /// Nothing goes wrong any more: the shadow copies are deleted, and a whole run succeeds.
    fn next_run(mut self) {
        self.world.lock().wrong.clear();
        self.provider = None;
        let mut provider = self.world.load().unwrap();
        let records = provider.records().unwrap();
        for known in &self.world.lock().pairs {
            let is_copy = records.iter().any(|record| record.pairs.contains(&known.pair));
            let split = known.status == PairStatus::Psus;
            let unpaired = known.status == PairStatus::Smpl;
            assert!(is_copy || unpaired || known.hidden && !split, "{known:?}");
        }
        for record in records {
            assert_eq!(record.phase, Phase::Created, "an unfinished set is left");
            for pair in record.pairs {
                let ldev = pair.secondary.volume.ldev.get();
                provider.on_lun_empty(&crate::lun::tests::disk(ldev)).unwrap();
            }
        }
        assert!(self.world.lock().records.is_empty());
        create(&mut provider, set(u128::MAX), &[0, 1, 2]).unwrap();
        let world = self.world.lock();
        for known in &world.pairs {
            assert_eq!((known.status, known.hidden), (PairStatus::Psus, true));
            assert_eq!(known.svol, known.pvol);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_the_next_run_can_go_on(steps in prop::collection::vec(step(), 1..60)) {
        let mut story = Story::new();
        for step in steps {
            story.take(step);
            story.check();
        }
        story.next_run();
    }
}
