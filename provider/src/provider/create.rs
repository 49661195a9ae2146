//! A set from PreCommitSnapshots to PostFinalCommitSnapshots, and AbortSnapshots.

use std::time::Duration;

use super::Provider;
use crate::{
    entry::Entry,
    error::{Fault, Outcome, Refused},
    event::Event,
    guid::SetId,
    journal::Phase,
    machine::{Call, State, finished},
    raid::{Pair, Use},
    set::SnapshotSet,
};

impl Provider {
    /// PreCommitSnapshots: writers are frozen, writes are not held yet. Everything that the commit
    /// needs is made and opened; nothing in it needs a file after this.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ, EV_INVSTP, EV_ENOMEM, EV_EOPDEV; what RAID Manager says.
    pub fn pre_commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.step(set, Call::PreCommit, |this, pairs| {
            for pair in pairs {
                if !this.is_ready(pair)? {
                    return Err(Fault::new(Event::Invstp)
                        .object(pair.to_string())
                        .state("COPY")
                        .cause("it has left PAIR since EndPrepareSnapshots"));
                }
            }
            this.note(Phase::Committing)?;
            Ok(this.raid.arm(pairs)?)
        })
    }

    /// CommitSnapshots: the instant. One order an array, sent over the session opened before; an
    /// answer that comes late is none.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ, EV_INVSTP; EV_ATTHOR and EV_CMDIOE, also when the time is over. They
    /// are told to the event log with the next call.
    pub fn commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.call(Entry::CommitSnapshots, |this| {
            if !this.admit(set, Call::Commit)? {
                return Ok(());
            }
            this.enter(State::ProcessingCommit);
            let begun = this.outside.clock.now();
            this.raid.fire(this.limits.commit)?;
            let took = this.outside.clock.now().saturating_sub(begun);
            if took > this.limits.commit {
                return Err(late(set, took));
            }
            this.enter(State::Committed);
            Ok(())
        })
    }

    /// PostCommitSnapshots: writes are released; `count` is how many shadow copies the set has.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ; EV_INVARG for another count; EV_INVSTP when a pair is not split; what
    /// RAID Manager says.
    pub fn post_commit(&mut self, set: SetId, count: usize) -> Result<(), Refused> {
        self.step(set, Call::PostCommit, |this, pairs| {
            let known = this.set.as_ref().map_or(0, |set| set.snapshots.len());
            if count != known {
                return Err(Fault::new(Event::Invarg)
                    .object(format!("snapshot set {set}"))
                    .cause(format!("it has {known} shadow copies, not {count}")));
            }
            for pair in pairs {
                let standing = this.raid.standing(pair)?;
                if standing.usable(pair) != Use::Split {
                    return Err(Fault::new(Event::Invstp)
                        .object(pair.to_string())
                        .state(standing.to_string())
                        .cause("it was split a moment ago and is not any more")
                        .action("see who else works on the pair, then repeat the backup"));
                }
            }
            this.note(Phase::Committed)
        })
    }

    /// PreFinalCommitSnapshots: writers may change the copies from here on, which a split S-VOL
    /// allows.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ.
    pub fn pre_final_commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.step(set, Call::PreFinalCommit, |_, _| Ok(()))
    }

    /// PostFinalCommitSnapshots: the shadow copies are there until they are deleted.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ, EV_EOPDEV.
    pub fn post_final_commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.step(set, Call::PostFinalCommit, |this, _| this.note(Phase::Created))
    }

    /// AbortSnapshots: pairs go back to PAIR, hidden. Behind PostFinalCommitSnapshots it does
    /// nothing.
    ///
    /// # Errors
    /// EV_ENOOBJ; what RAID Manager says. Then the set is given up all the same, and brought back
    /// with the next set or when the provider is loaded again.
    pub fn abort(&mut self, set: SetId) -> Result<(), Refused> {
        self.call(Entry::AbortSnapshots, |this| {
            if !this.admit(set, Call::Abort)? {
                return Ok(());
            }
            this.enter(State::Aborted);
            this.give_up()
        })
    }

    /// A step of the set that is no commit.
    fn step(
        &mut self,
        set: SetId,
        call: Call,
        work: impl FnOnce(&mut Self, &[Pair]) -> Outcome<()>,
    ) -> Result<(), Refused> {
        self.call(call.entry(), |this| {
            if !this.admit(set, call)? {
                return Ok(());
            }
            let Some((at_work, done)) = call.way() else { return Ok(()) };
            this.enter(at_work);
            let pairs = this.set.as_ref().map(SnapshotSet::pairs).unwrap_or_default();
            work(this, &pairs)?;
            this.enter(done);
            Ok(())
        })
    }

    pub(super) const fn enter(&mut self, state: State) {
        if let Some(set) = &mut self.set {
            set.state = state;
        }
    }

    fn note(&mut self, phase: Phase) -> Outcome<()> {
        let Some(set) = &self.set else { return Ok(()) };
        let record = set.record(phase);
        self.outside.journal.put(&record).map_err(|error| Fault::journal(&error))
    }

    /// Gives up the set if it is unfinished; what goes wrong is told.
    pub(super) fn discard(&mut self, entry: Entry) {
        if self.set.as_ref().is_none_or(|set| finished(set.state)) {
            return;
        }
        self.enter(State::Aborted);
        if let Err(fault) = self.give_up() {
            self.tell(fault, entry);
        }
    }

    fn give_up(&mut self) -> Outcome<()> {
        let Some(set) = &self.set else { return Ok(()) };
        let (id, touched) = (set.id, set.touched.clone());
        self.bring_back(id, &touched)
    }
}

fn late(set: SetId, took: Duration) -> Fault {
    Fault::new(Event::Cmdioe)
        .object(format!("snapshot set {set}"))
        .cause(format!(
            "the split was answered after {} ms: writes were not held",
            took.as_millis()
        ))
        .action("see why the storage system is slow, then repeat the backup")
}
