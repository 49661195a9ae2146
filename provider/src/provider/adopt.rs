//! S-VOLs that are written from outside, with a shadow copy of before.

use super::Provider;
use crate::{
    entry::Entry,
    error::{Fault, Refused},
    guid::SetId,
    journal::{Phase, Record},
    raid::Pair,
};

impl Provider {
    /// The S-VOLs of these pairs become the shadow copies of a finished set, and are those of no
    /// other set any more. Nothing is done to the pairs: they are split, and stay so.
    ///
    /// # Errors
    /// EV_INVSEQ for a pair of the set in creation; EV_EOPDEV when the journal cannot be written.
    pub fn adopt(&mut self, set: SetId, pairs: &[Pair]) -> Result<(), Refused> {
        self.call(Entry::OnLunStateChange, |this| {
            for pair in pairs {
                this.check_finished(pair)?;
            }
            let taken = |known: &Pair| {
                pairs.iter().any(|pair| pair.secondary.volume == known.secondary.volume)
            };
            for record in this.records()? {
                for known in record.pairs.iter().filter(|known| taken(known)) {
                    this.forget(known)?;
                }
            }
            let record = Record { set, phase: Phase::Created, pairs: pairs.to_vec() };
            this.outside.journal.put(&record).map_err(|error| Fault::journal(&error))
        })
    }
}
