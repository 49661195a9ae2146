//! The writers of a backup, each on a thread of its own: asked in their order, thawed and ended in
//! reverse.
//!
//! Describing and preparing go on at once in all of them, for nothing is frozen and nobody waits
//! for anybody. Freezing is one after the other: a database may lie on what another one serves.

use std::{io, time::Duration};

use crate::{
    catalogue::record::Participant,
    worker::{Silence, Station, Worker},
    writer::{Artifact, Begun, Fault, FaultKind, Metadata, Outcome, Writer},
};

/// What a writer's thread may need, TLS and all.
const STACK: usize = 2 * 1024 * 1024;

/// The writers.
pub struct Crew {
    members: Vec<Member>,
}

struct Member {
    worker: Worker<Seat>,
    metadata: Metadata,
    /// What was asked of it so far.
    asked: Asked,
    /// It was asked to freeze, and has not answered that it goes on.
    frozen: bool,
    fault: Option<Fault>,
    /// What went wrong later.
    later: Vec<Fault>,
    artifacts: Vec<Artifact>,
}

/// How far a writer was asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Describe,
    Prepare,
    Freeze,
    Thaw,
    Post,
}

/// A writer in its thread.
struct Seat(Box<dyn Writer>);

enum Call {
    Describe,
    Prepare(Begun),
    Freeze,
    Thaw,
    Post(Outcome),
}

enum Said {
    Done,
    Metadata(Metadata),
    Artifacts(Vec<Artifact>),
}

impl Station for Seat {
    type Call = (Call, Duration);
    type Answer = Result<Said, Fault>;

    fn call(&mut self, (call, within): Self::Call) -> Self::Answer {
        let writer = &mut self.0;
        match call {
            Call::Describe => writer.describe(within).map(Said::Metadata),
            Call::Prepare(begun) => writer.prepare(&begun, within).map(|()| Said::Done),
            Call::Freeze => writer.freeze(within).map(|()| Said::Done),
            Call::Thaw => writer.thaw(within).map(|()| Said::Done),
            Call::Post(outcome) => writer.post(outcome, within).map(Said::Artifacts),
        }
    }
}

impl Crew {
    /// Gives every writer its thread.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(writers: Vec<Box<dyn Writer>>) -> io::Result<Self> {
        let member = |(number, writer): (usize, Box<dyn Writer>)| {
            Ok(Member {
                worker: Worker::new("writer", STACK, Seat(writer))?,
                metadata: Metadata {
                    name: format!("writer {}", number + 1),
                    version: String::new(),
                    limit: None,
                    paths: Vec::new(),
                },
                asked: Asked::Describe,
                frozen: false,
                fault: None,
                later: Vec::new(),
                artifacts: Vec::new(),
            })
        };
        let members = writers.into_iter().enumerate().map(member).collect::<io::Result<_>>()?;
        Ok(Self { members })
    }

    /// Has all describe themselves.
    pub fn describe(&mut self, within: Duration) {
        for member in &self.members {
            member.worker.ask((Call::Describe, asked_time(within)));
        }
        for member in &mut self.members {
            if let Ok(Said::Metadata(metadata)) = member.answer(within, "describe itself") {
                member.metadata = metadata;
            }
        }
    }

    /// Has those that are there prepare.
    pub fn prepare(&mut self, backup: &Begun, within: Duration) {
        for member in self.members.iter_mut().filter(|member| member.fault.is_none()) {
            member.asked = Asked::Prepare;
            member.worker.ask((Call::Prepare(backup.clone()), asked_time(within)));
        }
        for member in self.members.iter_mut().filter(|member| member.asked == Asked::Prepare) {
            let _ = member.answer(within, "prepare");
        }
    }

    /// Has those that prepared freeze, in their order, until one fails where `all` of them must
    /// freeze. `left` says how much time there is.
    pub fn freeze(&mut self, all: bool, left: impl Fn() -> Duration) {
        for member in &mut self.members {
            if member.fault.is_none() && member.asked == Asked::Prepare {
                let left = left();
                if left.is_zero() {
                    let cause = "the limit for freezing writers had passed before its turn";
                    member.fault = Some(Fault::new(FaultKind::Timeout, cause));
                } else {
                    member.asked = Asked::Freeze;
                    member.frozen = true;
                    let _ = member.ask(Call::Freeze, left, "freeze");
                }
            }
            if all && member.fault.is_some() {
                return;
            }
        }
    }

    /// Has those that were asked to freeze thaw, in reverse order, whether they froze or not.
    /// `left` says how much time there is for all of them.
    pub fn thaw(&mut self, left: impl Fn() -> Duration) {
        let frozen = |member: &&mut Member| member.asked == Asked::Freeze;
        let mut waiting = self.members.iter_mut().filter(frozen).count();
        for member in self.members.iter_mut().rev().filter(frozen) {
            // One that hangs must not take the time of those behind it.
            let share = left() / u32::try_from(waiting).unwrap_or(u32::MAX).max(1);
            waiting = waiting.saturating_sub(1);
            member.asked = Asked::Thaw;
            member.frozen = match member.ask(Call::Thaw, share, "thaw") {
                // One that did not hold its writes goes on; what else it says, it may not.
                Ok(_) | Err(Some(FaultKind::Inconsistent)) => false,
                Err(_) => true,
            };
        }
    }

    /// Ends the backup of those that were asked to prepare, in reverse order.
    pub fn post(&mut self, outcome: Outcome, within: Duration) {
        let begun = |member: &&mut Member| matches!(member.asked, Asked::Prepare | Asked::Thaw);
        for member in self.members.iter_mut().rev().filter(begun) {
            member.asked = Asked::Post;
            if let Ok(Said::Artifacts(artifacts)) =
                member.ask(Call::Post(outcome), within, "end its backup")
            {
                member.artifacts = artifacts;
            }
        }
    }

    /// Notes of those that were frozen that the limit of all of them has passed, and that they had
    /// to thaw without a copy.
    pub fn frozen_too_long(&mut self, limit: Duration) {
        let frozen = |member: &&mut Member| member.asked == Asked::Thaw && member.fault.is_none();
        for member in self.members.iter_mut().filter(frozen) {
            let cause =
                format!("no copy was made while it held its writes, for {} ms", limit.as_millis());
            member.fault = Some(Fault::new(FaultKind::Timeout, cause));
        }
    }

    /// What those that described themselves said.
    pub fn metadata(&self) -> impl Iterator<Item = &Metadata> {
        self.members.iter().filter(|member| member.fault.is_none()).map(|member| &member.metadata)
    }

    /// The first writer that failed, and why.
    #[must_use]
    pub fn fault(&self) -> Option<(&str, &Fault)> {
        self.members.iter().find_map(|member| {
            member.fault.as_ref().map(|fault| (member.metadata.name.as_str(), fault))
        })
    }

    /// What went wrong in a writer that had failed before.
    pub fn later(&self) -> impl Iterator<Item = String> {
        self.members.iter().flat_map(|member| {
            member.later.iter().map(|fault| format!("{}: {fault}", member.metadata.name))
        })
    }

    /// Whether one that was asked to freeze or thaw does not answer, or cannot thaw: its application
    /// may be frozen.
    #[must_use]
    pub fn hanging(&self) -> bool {
        self.members.iter().any(|member| member.frozen)
    }

    /// What the catalogue keeps of them, and what they handed over.
    #[must_use]
    pub fn findings(&self) -> (Vec<Participant>, Vec<(usize, Artifact)>) {
        let writers = self.members.iter().map(|member| Participant {
            metadata: member.metadata.clone(),
            fault: member.fault.as_ref().map(ToString::to_string),
            kind: member.fault.as_ref().map(|fault| fault.kind),
            artifacts: member.artifacts.iter().map(|artifact| artifact.name.clone()).collect(),
        });
        let artifacts = self.members.iter().enumerate().flat_map(|(number, member)| {
            member.artifacts.iter().map(move |artifact| (number, artifact.clone()))
        });
        (writers.collect(), artifacts.collect())
    }
}

impl Member {
    /// The answer, or the kind of failure; no kind where it was not asked, for it hangs or died.
    fn ask(&mut self, call: Call, within: Duration, what: &str) -> Result<Said, Option<FaultKind>> {
        if !self.worker.idle() {
            return Err(None);
        }
        self.worker.ask((call, asked_time(within)));
        self.answer(within, what)
    }

    /// Notes what goes wrong; the first counts.
    fn answer(&mut self, within: Duration, what: &str) -> Result<Said, Option<FaultKind>> {
        let fault = match self.worker.wait(within) {
            Ok(Ok(said)) => return Ok(said),
            Ok(Err(fault)) => fault,
            Err(Silence::Timeout) => Fault::new(
                FaultKind::Timeout,
                format!("it did not {what} within {} ms", within.as_millis()),
            )
            .action("see why it hangs; it is not asked again in this backup"),
            Err(Silence::Gone) => {
                Fault::new(FaultKind::NonRetryable, format!("it died when asked to {what}"))
            }
        };
        let kind = fault.kind;
        match &self.fault {
            None => self.fault = Some(fault),
            Some(_) => self.later.push(fault),
        }
        Err(Some(kind))
    }
}

/// A writer is told a little less than it has: what it says of its own limit is better than what
/// can be said of one that did not answer.
fn asked_time(within: Duration) -> Duration {
    within - within / 8
}
