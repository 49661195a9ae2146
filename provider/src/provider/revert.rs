//! Back from the copies: ResyncLuns.

use std::time::Duration;

use super::Provider;
use crate::{
    entry::Entry,
    error::{Fault, Outcome, Refused},
    event::Event,
    lun::LunInfo,
    raid::{Pair, Towards, Use},
};

/// A revert that is under way in the array: what `IVssAsync` is asked about.
#[derive(Debug, Clone)]
pub struct Resync {
    pairs: Vec<Pair>,
    begun: Duration,
    /// Since when nobody could say how it stands.
    unheard: Option<Duration>,
}

impl Provider {
    /// ResyncLuns: each original becomes what its shadow copy is (`pairresync -restore`). The
    /// copies are consumed: they follow their originals afterwards, hidden.
    ///
    /// # Errors
    /// EV_INVARG where copies and originals do not belong together, EV_ENOSUP for LUNs that are no
    /// shadow copies, EV_INVSEQ for a set in creation, EV_INVSTP for a pair that is not split or
    /// whose volumes are in use; what RAID Manager says.
    pub fn resync_luns(
        &mut self,
        snapshots: &[LunInfo],
        originals: &[LunInfo],
    ) -> Result<Resync, Refused> {
        self.call(Entry::ResyncLuns, |this| {
            if snapshots.is_empty() || snapshots.len() != originals.len() {
                return Err(Fault::new(Event::Invarg)
                    .cause("as many shadow copies as originals are needed, and at least one"));
            }
            let mut pairs = Vec::new();
            for (snapshot, original) in snapshots.iter().zip(originals) {
                for pair in this.shadows(std::slice::from_ref(snapshot))? {
                    if original.volume()? != Some(pair.primary.volume) {
                        return Err(Fault::new(Event::Invarg)
                            .object(pair.to_string())
                            .cause("the LUN to revert is not the original of that shadow copy"));
                    }
                    if !pairs.contains(&pair) {
                        pairs.push(pair);
                    }
                }
            }
            for pair in &pairs {
                this.check_revert(pair)?;
            }
            this.raid.hide(&pairs, true)?;
            this.raid.order(&pairs, Towards::Restore)?;
            Ok(Resync { pairs, begun: this.outside.clock.now(), unheard: None })
        })
    }

    fn check_revert(&mut self, pair: &Pair) -> Outcome<()> {
        self.check_finished(pair)?;
        for volume in [pair.primary.volume, pair.secondary.volume] {
            if let Some(user) = self.outside.host.user_of(volume) {
                return Err(Fault::new(Event::Invstp)
                    .object(pair.to_string())
                    .state(format!("{volume} is in use"))
                    .cause(user)
                    .action("unmount it, then repeat the restore"));
            }
        }
        self.check_split(pair)
    }

    /// Whether a revert is done. The array goes on with it while a daemon or the way to the array is
    /// away: that is told once, and is no end before [`super::Limits::unheard`].
    ///
    /// # Errors
    /// EV_INVSTP when a pair went elsewhere than to PAIR; what RAID Manager says.
    pub fn is_resynced(&mut self, resync: &mut Resync) -> Result<bool, Refused> {
        self.call(Entry::ResyncLuns, |this| this.hear(resync))
    }

    /// Waits for a revert, at most `limit` from its beginning; `false` when it is not done then.
    ///
    /// # Errors
    /// As [`Provider::is_resynced`].
    pub fn wait_resynced(&mut self, resync: &mut Resync, limit: Duration) -> Result<bool, Refused> {
        self.call(Entry::ResyncLuns, |this| {
            while !this.hear(resync)? {
                if this.outside.clock.now().saturating_sub(resync.begun) >= limit {
                    return Ok(false);
                }
                this.outside.clock.sleep(this.limits.poll);
            }
            Ok(true)
        })
    }

    fn hear(&mut self, resync: &mut Resync) -> Outcome<bool> {
        let fault = match self.look(&resync.pairs) {
            Err(fault) if fault.may_pass() => fault,
            heard => {
                resync.unheard = None;
                return heard;
            }
        };
        let now = self.outside.clock.now();
        match resync.unheard {
            Some(since) if now.saturating_sub(since) >= self.limits.unheard => Err(fault),
            Some(_) => Ok(false),
            None => {
                resync.unheard = Some(now);
                self.tell(fault, Entry::ResyncLuns);
                Ok(false)
            }
        }
    }

    fn look(&mut self, pairs: &[Pair]) -> Outcome<bool> {
        let mut done = true;
        for pair in pairs {
            let standing = self.raid.standing(pair)?;
            match standing.usable(pair) {
                Use::Ready => self.forget(pair)?,
                Use::Copying => done = false,
                _ => {
                    return Err(Fault::new(Event::Invstp)
                        .object(pair.to_string())
                        .state(standing.to_string())
                        .cause("the revert did not end in PAIR")
                        .action("repeat it, or restore from another backup"));
                }
            }
        }
        Ok(done)
    }
}
