//! Sets that never finished: their pairs are brought back to PAIR, hidden, so that the next run can
//! go on.

use super::Provider;
use crate::{
    entry::Entry,
    error::{Fault, Outcome},
    event::Event,
    guid::SetId,
    journal::{Phase, Record},
    machine::finished,
    raid::{Pair, Raid, Towards, Use},
};

impl Provider {
    /// Brings back every set of the journal that is unfinished and not the one being created.
    /// Shadow copies stay, unless their pair is split no more. What goes wrong is told; the record
    /// stays for the next time.
    pub(super) fn reap(&mut self, entry: Entry) {
        let found = match self.outside.journal.records() {
            Ok(found) => found,
            Err(error) => return self.tell(Fault::journal(&error), entry),
        };
        for name in found.damaged {
            let fault = Fault::new(Event::Eopdev)
                .object(name)
                .state("damaged, set aside")
                .cause("a record of a snapshot set could not be read")
                .action("look with pairdisplay whether a pair is left in PSUS that should not be");
            self.tell(fault, entry);
        }
        let creating = self.set.as_ref().filter(|set| !finished(set.state));
        let current = creating.map(|set| set.id);
        // A set whose pairs could not be brought back leaves them to whoever used them since.
        let mut held = creating.map(|set| set.touched.clone()).unwrap_or_default();
        let (created, unfinished): (Vec<Record>, Vec<Record>) =
            found.records.into_iter().partition(|record| record.phase == Phase::Created);
        held.extend(created.iter().flat_map(|record| record.pairs.iter().cloned()));
        let dead = created.iter().map(|record| self.forget_dead(&record.pairs));
        let mut done: Vec<Outcome<()>> = dead.collect();
        for record in unfinished.iter().filter(|record| Some(record.set) != current) {
            let pairs: Vec<Pair> =
                record.pairs.iter().filter(|pair| !held.contains(pair)).cloned().collect();
            done.push(self.bring_back(record.set, &pairs));
        }
        for fault in done.into_iter().filter_map(Result::err) {
            self.tell(fault, entry);
        }
    }

    fn forget_dead(&mut self, pairs: &[Pair]) -> Outcome<()> {
        for pair in pairs {
            if self.raid.standing(pair)?.usable(pair) != Use::Split {
                self.forget(pair)?;
            }
        }
        Ok(())
    }

    /// Brings the pairs of an unfinished set back and forgets it.
    pub(super) fn bring_back(&mut self, set: SetId, pairs: &[Pair]) -> Outcome<()> {
        back(self.raid.as_mut(), pairs)?;
        self.outside.journal.remove(set).map_err(|error| Fault::journal(&error))
    }
}

/// Hides the S-VOLs of pairs and resynchronises what is split. Every pair is tried, whatever
/// happens to the others.
///
/// # Errors
/// The first one.
pub(super) fn back(raid: &mut dyn Raid, pairs: &[Pair]) -> Outcome<()> {
    let (mut ours, mut resync, mut first) = (Vec::new(), Vec::new(), Ok(()));
    for pair in pairs {
        match raid.standing(pair).map(|standing| standing.usable(pair)) {
            // Not paired, or not with its S-VOL: nothing of ours is left.
            Ok(Use::Unpaired | Use::Foreign) => {}
            Ok(Use::Copying | Use::Ready) => ours.push(pair.clone()),
            Ok(Use::Split | Use::Failed) => {
                ours.push(pair.clone());
                resync.push(pair.clone());
            }
            Err(error) => first = first.and(Err(error)),
        }
    }
    // An S-VOL that hosts see must not change under them.
    let hidden = all_or_each(&ours, |pairs| raid.hide(pairs, true));
    let resynced = match hidden {
        Ok(()) => all_or_each(&resync, |pairs| raid.order(pairs, Towards::Resync)),
        Err(_) => Ok(()),
    };
    first.and(hidden).and(resynced).map_err(Fault::from)
}

/// One order for all; where it is refused one for each, so that one pair does not hold up the rest.
fn all_or_each(
    pairs: &[Pair],
    mut order: impl FnMut(&[Pair]) -> model::CciResult<()>,
) -> model::CciResult<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    let all = order(pairs);
    if all.is_ok() || pairs.len() == 1 {
        return all;
    }
    let mut first = Ok(());
    for pair in pairs {
        first = first.and(order(std::slice::from_ref(pair)));
    }
    first
}
