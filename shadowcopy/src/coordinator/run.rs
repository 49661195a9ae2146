//! The steps of a backup.

use std::{collections::BTreeSet, time::Duration};

use super::{Around, Finished, Plan, Policy, Window, trouble::Trouble, window::bounded};
use crate::{
    catalogue::State,
    copies::Copies,
    copyist::{Call, Copyist},
    crew::Crew,
    freezer::{FaultKind, Held},
    ledger::Findings,
    limits::Limits,
    observer::Moment,
    places,
    step::Step,
    writer::{Begun, Outcome, Writer},
};

/// EndPrepareSnapshots has a limit of its own.
const UNBOUNDED: Duration = Duration::MAX;

/// Makes a backup. Whatever happens, what was frozen thaws, writers are told, the provider aborts,
/// and the catalogue has the outcome; see [`Finished::unfinished`] for what may be left.
///
/// Writers freeze in the order given.
pub fn run<'a, C: Copies + Send + 'static>(
    plan: &'a Plan,
    writers: Vec<Box<dyn Writer>>,
    copies: C,
    around: Around<'a>,
) -> Finished<C> {
    let began = around.clock.now();
    let mut findings = Findings::new(plan.set);
    let started = Crew::new(writers).and_then(|crew| Ok((crew, Copyist::new(copies)?)));
    let (crew, copyist) = match started {
        Ok(started) => started,
        Err(error) => {
            let cause = format!("a thread could not be started: {error}");
            findings.state = State::Aborted { step: Step::Describe, cause };
            let kept = around.ledger.abort(plan.id, &findings);
            findings.notes.extend(kept.err());
            return Finished { findings, copies: None, unfinished: false };
        }
    };
    let mut run = Run {
        plan,
        around,
        crew,
        copyist,
        findings,
        began,
        limits: plan.limits,
        window: None,
        passed_over: Vec::with_capacity(2),
        done: Done::default(),
    };
    let clean = match run.forward() {
        // A writer that hangs or cannot thaw, and was passed over, is still the guard's.
        Ok(()) => !run.crew.hanging(),
        Err((step, trouble)) => run.undo(step, &trouble),
    };
    run.findings.notes.extend(run.crew.later());
    match (run.done.armed, clean) {
        (false, _) => {}
        (true, true) => run.around.freezer.disarm(),
        (true, false) => run.around.freezer.abandon(),
    }
    let unfinished = !clean;
    Finished { findings: run.findings, copies: run.copyist.end(), unfinished }
}

/// A backup under way.
pub(super) struct Run<'a, C: Copies + Send + 'static> {
    pub(super) plan: &'a Plan,
    pub(super) around: Around<'a>,
    pub(super) crew: Crew,
    pub(super) copyist: Copyist<C>,
    pub(super) findings: Findings,
    began: Duration,
    pub(super) limits: Limits,
    pub(super) window: Option<Window>,
    /// What the policy `crash-consistent` passed over.
    passed_over: Vec<Trouble>,
    pub(super) done: Done,
}

/// What was begun and has to be ended.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) armed: bool,
    pub(super) copies: bool,
    pub(super) file_systems: bool,
    /// The catalogue does not say whether it has the backup: nothing may be undone now.
    pub(super) unknown: bool,
}

type Stepped = Result<(), Trouble>;

impl<C: Copies + Send + 'static> Run<'_, C> {
    fn forward(&mut self) -> Result<(), (Step, Trouble)> {
        self.step(Step::Describe, Self::describe)?;
        self.step(Step::BeginPrepare, Self::begin_prepare)?;
        self.step(Step::PrepareWriters, Self::prepare_writers)?;
        let set = self.plan.set;
        self.step(Step::EndPrepare, |run| run.copies(Call::EndPrepare(set), UNBOUNDED))?;
        self.step(Step::FreezeWriters, Self::freeze_writers)?;
        self.step(Step::PreCommit, |run| run.copies(Call::PreCommit(set), run.to_hold()))?;
        self.step(Step::FreezeFileSystems, Self::freeze_file_systems)?;
        self.step(Step::Commit, Self::commit)?;
        self.step(Step::ThawFileSystems, Self::thaw_file_systems)?;
        let volumes = self.plan.volumes.len();
        self.step(Step::PostCommit, |run| {
            run.copies(Call::PostCommit(set, volumes), run.to_hold())
        })?;
        self.step(Step::ThawWriters, Self::thaw_writers)?;
        self.step(Step::PostWriters, |run| {
            run.crew.post(Outcome::Copied, run.limits.writer_call);
            run.writers_held()
        })?;
        self.step(Step::FinalCommit, |run| {
            run.copies(Call::FinalCommit(set), run.limits.writer_call)
        })?;
        self.step(Step::Catalogue, Self::catalogue)
    }

    fn step(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut Self) -> Stepped,
    ) -> Result<(), (Step, Trouble)> {
        self.around.observer.tell(step, Moment::Begins);
        let result = work(self);
        self.around
            .observer
            .tell(step, if result.is_ok() { Moment::Ended } else { Moment::Failed });
        self.stamp(step);
        result.map_err(|trouble| (step, trouble))
    }

    /// Notes when a step ended, or failed. There is room for all of them.
    fn stamp(&mut self, step: Step) {
        if self.findings.evidence.last().is_none_or(|(last, _)| *last != step) {
            let passed = self.now().saturating_sub(self.began).as_micros();
            self.findings.evidence.push((step, u64::try_from(passed).unwrap_or(u64::MAX)));
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.around.clock.now()
    }

    fn to_hold(&self) -> Duration {
        self.window.map_or(Duration::ZERO, |window| window.to_hold(self.now()))
    }

    fn copies(&mut self, call: Call, within: Duration) -> Stepped {
        self.in_time(within)?;
        Ok(self.copyist.call(call, within)?)
    }

    fn in_time(&self, left: Duration) -> Stepped {
        match left.is_zero() {
            true => Err(Trouble::WritersLate(self.limits.writers)),
            false => Ok(()),
        }
    }

    fn describe(&mut self) -> Stepped {
        if self.plan.volumes.is_empty() {
            return Err(Trouble::Refused("there is no volume in the set".into()));
        }
        self.crew.describe(self.limits.writer_call);
        self.writers_held()?;
        let mounts = self.plan.mounts();
        let mut names = BTreeSet::new();
        for metadata in self.crew.metadata() {
            if !names.insert(&metadata.name) {
                let cause = format!("{} is named twice among the writers", metadata.name);
                return Err(Trouble::Refused(cause));
            }
            places::inside(self.around.places, &mounts, &metadata.paths)
                .map_err(|cause| Trouble::Refused(format!("{}: {cause}", metadata.name)))?;
        }
        let asked = self.crew.metadata().filter_map(|metadata| metadata.limit);
        self.limits = bounded(self.plan.limits, asked);
        self.around.freezer.arm(self.limits)?;
        self.done.armed = true;
        Ok(())
    }

    fn begin_prepare(&mut self) -> Stepped {
        self.done.copies = true;
        for (snapshot, volume) in &self.plan.volumes {
            let call = Call::BeginPrepare(self.plan.set, *snapshot, Box::new(volume.lun.clone()));
            self.copyist.call(call, self.limits.writer_call)?;
        }
        Ok(())
    }

    fn prepare_writers(&mut self) -> Stepped {
        let begun = Begun { id: self.plan.id, set: self.plan.set, mounts: self.plan.mounts() };
        self.crew.prepare(&begun, self.limits.writer_call);
        self.writers_held()
    }

    fn freeze_writers(&mut self) -> Stepped {
        self.around.freezer.writers_freeze()?;
        let window = Window { began: self.now(), limit: self.limits.writers };
        self.window = Some(window);
        let clock = self.around.clock;
        self.crew.freeze(self.plan.policy == Policy::Abort, || window.to_freeze(clock.now()));
        self.writers_held()
    }

    fn freeze_file_systems(&mut self) -> Stepped {
        let left = self.to_hold();
        self.in_time(left)?;
        self.done.file_systems = true;
        match self.around.freezer.freeze(left) {
            Err(fault)
                if fault.kind == FaultKind::NotFreezable
                    && self.plan.policy == Policy::CrashConsistent =>
            {
                self.passed_over.push(fault.into());
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// It must be over when file systems have to thaw.
    fn commit(&mut self) -> Stepped {
        let left = self.around.freezer.left();
        if left.is_zero() {
            return Err(self.late());
        }
        self.copies(Call::Commit(self.plan.set), self.to_hold().min(left))
    }

    const fn late(&self) -> Trouble {
        Trouble::Late(self.limits.file_systems)
    }

    fn thaw_file_systems(&mut self) -> Stepped {
        let Held(held) = self.around.freezer.thaw()?;
        self.done.file_systems = false;
        self.findings.held = Some(u64::try_from(held.as_micros()).unwrap_or(u64::MAX));
        if held > self.limits.file_systems {
            return Err(self.late());
        }
        Ok(())
    }

    fn thaw_writers(&mut self) -> Stepped {
        let Some(window) = self.window else { return Ok(()) };
        let clock = self.around.clock;
        self.crew.thaw(|| window.to_thaw(clock.now()));
        let passed = window.passed(self.now());
        if !self.crew.hanging() {
            match self.around.freezer.writers_thaw() {
                Err(fault) if fault.kind == FaultKind::Timeout => {
                    self.tolerate(Trouble::WritersLate(window.limit))?;
                }
                other => other?,
            }
        }
        if passed {
            self.tolerate(Trouble::WritersLate(window.limit))?;
        }
        self.writers_held()
    }

    fn catalogue(&mut self) -> Stepped {
        self.stamp(Step::Catalogue);
        (self.findings.writers, self.findings.artifacts) = self.crew.findings();
        let passed_over: Vec<String> = self.passed_over.iter().map(ToString::to_string).collect();
        let fault = self.crew.fault().map(|(name, fault)| format!("{name}: {fault}"));
        let because: Vec<String> = fault.into_iter().chain(passed_over).collect();
        self.findings.state = match because.as_slice() {
            [] => State::Consistent,
            because => State::CrashConsistent(because.join("; ")),
        };
        let Err(cause) = self.around.ledger.finish(self.plan.id, &self.findings) else {
            return Ok(());
        };
        match self.around.ledger.state(self.plan.id) {
            Ok(Some(state)) if state.is_there() => {
                self.findings.notes.push(format!("the catalogue: {cause}"));
                Ok(())
            }
            known => {
                self.done.unknown = known.is_err();
                Err(Trouble::Ledger(cause))
            }
        }
    }

    /// Whether no writer has failed, or the policy passes over it.
    fn writers_held(&mut self) -> Stepped {
        match self.crew.fault() {
            Some((name, fault)) if self.plan.policy == Policy::Abort => {
                Err(Trouble::Writer(name.to_owned(), fault.clone()))
            }
            _ => Ok(()),
        }
    }

    fn tolerate(&mut self, trouble: Trouble) -> Stepped {
        match self.plan.policy {
            Policy::Abort => Err(trouble),
            Policy::CrashConsistent => {
                self.passed_over.push(trouble);
                Ok(())
            }
        }
    }
}
