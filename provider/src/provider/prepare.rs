//! EndPrepareSnapshots: until every pair of a set is PAIR.

use std::time::Duration;

use super::Provider;
use crate::{
    entry::Entry,
    error::{Fault, Outcome, Refused},
    event::Event,
    guid::SetId,
    machine::{Call, State, Verdict, verdict},
    raid::{Pair, Use},
    set::SnapshotSet,
};

/// What an EndPrepareSnapshots waits for.
#[derive(Debug, Clone)]
pub struct Preparation {
    set: SetId,
    begun: Duration,
    copying: Vec<Pair>,
}

impl Provider {
    /// EndPrepareSnapshots: waits until every pair is PAIR. [`super::Stop`] ends it.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ; EV_INVSTP for a pair that will not become PAIR, or not in time; what
    /// RAID Manager says.
    pub fn end_prepare(&mut self, set: SetId) -> Result<(), Refused> {
        let mut preparation = self.begin_end_prepare(set)?;
        while !self.is_prepared(&mut preparation)? {
            self.outside.clock.sleep(self.limits.poll);
        }
        Ok(())
    }

    /// Begins EndPrepareSnapshots, for a shell that serves other calls while pairs copy: it asks
    /// [`Provider::is_prepared`] every now and then.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ.
    pub fn begin_end_prepare(&mut self, set: SetId) -> Result<Preparation, Refused> {
        self.call(Entry::EndPrepareSnapshots, |this| {
            let begun = this.outside.clock.now();
            if !this.admit(set, Call::EndPrepare)? {
                return Ok(Preparation { set, begun, copying: Vec::new() });
            }
            this.enter(State::ProcessingPrepare);
            let copying = this.set.as_ref().map(SnapshotSet::pairs).unwrap_or_default();
            if copying.is_empty() {
                return Err(Fault::new(Event::Invseq)
                    .object(format!("snapshot set {set}"))
                    .cause("no volume has joined it"));
            }
            Ok(Preparation { set, begun, copying })
        })
    }

    /// Whether every pair is PAIR.
    ///
    /// # Errors
    /// EV_INVSTP for a pair that will not become PAIR, or not in time, and when another call gave
    /// the set up meanwhile; what RAID Manager says.
    pub fn is_prepared(&mut self, preparation: &mut Preparation) -> Result<bool, Refused> {
        self.call(Entry::EndPrepareSnapshots, |this| {
            let set = preparation.set;
            match verdict(this.state(set), Call::EndPrepare) {
                Verdict::Go => {}
                Verdict::Already => return Ok(true),
                _ => return Err(given_up(format!("snapshot set {set}"))),
            }
            let mut copying = Vec::new();
            for pair in &preparation.copying {
                if !this.is_ready(pair)? {
                    copying.push(pair.clone());
                }
            }
            preparation.copying = copying;
            let Some(pair) = preparation.copying.first() else {
                this.enter(State::Prepared);
                return Ok(true);
            };
            if this.stop.is_set() {
                return Err(given_up(pair.to_string()).state("COPY"));
            }
            let waited = this.outside.clock.now().saturating_sub(preparation.begun);
            if waited < this.limits.prepare {
                return Ok(false);
            }
            Err(Fault::new(Event::Invstp)
                .object(pair.to_string())
                .state("COPY")
                .cause(format!("it is not PAIR after {} s", waited.as_secs()))
                .action("let the copy end (pairevtwait), then repeat the backup"))
        })
    }

    /// Whether a pair is PAIR; `false` while it copies.
    pub(super) fn is_ready(&mut self, pair: &Pair) -> Outcome<bool> {
        let standing = self.raid.standing(pair)?;
        match standing.usable(pair) {
            Use::Ready => Ok(true),
            Use::Copying => Ok(false),
            _ => Err(Fault::new(Event::Invstp)
                .object(pair.to_string())
                .state(standing.to_string())
                .cause("it was to go to PAIR")
                .action("see who else works on the pair, then repeat the backup")),
        }
    }
}

fn given_up(object: String) -> Fault {
    Fault::new(Event::Invstp)
        .object(object)
        .cause("the coordinator gave the set up")
        .action("let the copy end (pairevtwait), then repeat the backup")
}
