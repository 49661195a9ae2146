//! LUNs: whose they are, shown, hidden, emptied.

use super::{Provider, reap::back};
use crate::{
    context::Context,
    entry::Entry,
    error::{Fault, Outcome, Refused},
    event::Event,
    guid::SetId,
    journal::{Phase, Record},
    lun::LunInfo,
    machine::{Call, admit, finished},
    raid::{Pair, Use},
};

/// The flags of OnLunStateChange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateChange(pub u32);

impl StateChange {
    /// The shadow copy becomes writable.
    pub const NOTIFY_READ_WRITE: u32 = 0x100;
    /// It is about to be recovered.
    pub const NOTIFY_LUN_PRE_RECOVERY: u32 = 0x200;
    /// It was recovered.
    pub const NOTIFY_LUN_POST_RECOVERY: u32 = 0x400;
    /// Hide it; never delete it.
    pub const DO_MASK_LUNS: u32 = 0x800;
    const ALL: u32 = 0xf00;
}

impl Provider {
    /// AreLunsSupported: whether all LUNs of a volume can be copied as `context` asks, or are
    /// shadow copies of this provider. One that cannot makes all FALSE.
    ///
    /// A volume whose mirror holds a shadow copy is supported: BeginPrepareSnapshot refuses it with
    /// an event, where FALSE would make VSS take another provider without a word.
    ///
    /// # Errors
    /// What RAID Manager says.
    pub fn are_luns_supported(
        &mut self,
        context: Context,
        luns: &[LunInfo],
    ) -> Result<bool, Refused> {
        self.call(Entry::AreLunsSupported, |this| {
            if luns.is_empty() {
                return Ok(false);
            }
            for lun in luns {
                if !this.is_supported(context, lun)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn is_supported(&mut self, context: Context, lun: &LunInfo) -> Outcome<bool> {
        let volume = match lun.volume() {
            Ok(Some(volume)) => volume,
            Ok(None) => return Ok(false),
            Err(fault) => {
                // One of ours that cannot be copied: whoever wonders finds out why.
                self.tell(fault, Entry::AreLunsSupported);
                return Ok(false);
            }
        };
        if let Some(local) = self.settings.local
            && self.raid.by_primary(volume, local.mirror)?.is_some()
        {
            return Ok(context.unfit(local.mirror).is_none());
        }
        Ok(self.by_secondary(volume)?.is_some())
    }

    /// FillInLunInfo: whether an arriving LUN is one of ours; then its information becomes what
    /// GetTargetLuns hands out for it.
    ///
    /// # Errors
    /// EV_ENOSUP, EV_ENOINQ, EV_ENOSER; what RAID Manager says.
    pub fn fill_in_lun_info(&mut self, lun: &mut LunInfo) -> Result<bool, Refused> {
        self.call(Entry::FillInLunInfo, |this| {
            let Some(volume) = lun.volume()? else { return Ok(false) };
            let known = match this.settings.local {
                Some(local) => this.raid.by_primary(volume, local.mirror)?.is_some(),
                None => false,
            };
            if !known && this.by_secondary(volume)?.is_none() {
                return Ok(false);
            }
            let signature = lun.signature;
            *lun = LunInfo { signature, ..LunInfo::of(volume, lun) };
            Ok(true)
        })
    }

    /// GetTargetLuns: the S-VOLs of these LUNs of the latest set, as the disks will show
    /// themselves.
    ///
    /// # Errors
    /// EV_ENOOBJ where the set does not have a LUN, EV_INVSEQ before PostCommitSnapshots,
    /// EV_INVARG, EV_ENOINQ, EV_ENOSER.
    pub fn get_target_luns(&mut self, luns: &[LunInfo]) -> Result<Vec<LunInfo>, Refused> {
        self.call(Entry::GetTargetLuns, |this| {
            check_some(luns)?;
            let missing = |object: String| {
                Fault::new(Event::Enoobj).object(object).cause("no shadow copy of it was made")
            };
            let Some(set) = &this.set else { return Err(missing("the snapshot set".into())) };
            admit(set.state, Call::GetTargetLuns, || format!("snapshot set {}", set.id))?;
            let pairs = set.pairs();
            let target = |lun: &LunInfo| {
                let volume = lun.volume()?;
                let pair = pairs.iter().find(|pair| Some(pair.primary.volume) == volume);
                let pair = pair.ok_or_else(|| missing(name(lun)))?;
                Ok(LunInfo::of(pair.secondary.volume, lun))
            };
            luns.iter().map(target).collect()
        })
    }

    /// LocateLuns: shows these shadow copies to hosts. Without an instance of the S-VOLs they were
    /// never hidden.
    ///
    /// # Errors
    /// EV_ENOSUP for LUNs that are no S-VOLs of ours, EV_INVSTP for one that is not split; what
    /// RAID Manager says.
    pub fn locate_luns(&mut self, luns: &[LunInfo]) -> Result<(), Refused> {
        self.call(Entry::LocateLuns, |this| {
            check_some(luns)?;
            let pairs = this.shadows(luns)?;
            for pair in &pairs {
                this.check_split(pair)?;
            }
            Ok(this.raid.hide(&pairs, false)?)
        })
    }

    /// OnLunEmpty: a shadow copy is deleted. Its S-VOL is hidden and follows its P-VOL again; once
    /// more is well.
    ///
    /// # Errors
    /// EV_ENOSUP, EV_INVSEQ for a set in creation; what RAID Manager says.
    pub fn on_lun_empty(&mut self, lun: &LunInfo) -> Result<(), Refused> {
        self.call(Entry::OnLunEmpty, |this| {
            let pairs = this.shadows(std::slice::from_ref(lun))?;
            for pair in &pairs {
                this.check_finished(pair)?;
            }
            back(this.raid.as_mut(), &pairs)?;
            pairs.iter().try_for_each(|pair| this.forget(pair))
        })
    }

    /// Deletes the shadow copies of a finished set, as [`Self::on_lun_empty`] does with each of
    /// them. A set that is not finished, or not there any more, stays as it is.
    ///
    /// # Errors
    /// EV_EOPDEV when the journal cannot be read; what RAID Manager says.
    pub fn delete(&mut self, set: SetId) -> Result<(), Refused> {
        self.call(Entry::OnLunEmpty, |this| {
            let finished = |record: &Record| record.set == set && record.phase == Phase::Created;
            let record = this.records()?.into_iter().find(finished);
            let pairs = record.map(|record| record.pairs).unwrap_or_default();
            back(this.raid.as_mut(), &pairs)?;
            pairs.iter().try_for_each(|pair| this.forget(pair))
        })
    }

    /// OnLunStateChange: shadow copies become ordinary LUNs. Only DO_MASK_LUNS asks for something:
    /// they are hidden, and keep their contents.
    ///
    /// # Errors
    /// EV_INVARG for flags and counts that cannot be, EV_ENOSUP; what RAID Manager says.
    pub fn on_lun_state_change(
        &mut self,
        snapshots: &[LunInfo],
        originals: &[LunInfo],
        flags: StateChange,
    ) -> Result<(), Refused> {
        self.call(Entry::OnLunStateChange, |this| {
            let refuse = |cause: &str| Fault::new(Event::Invarg).cause(cause.to_owned());
            if flags.0 & !StateChange::ALL != 0 || flags.0 == 0 {
                return Err(refuse("the flags are none of VSS").object(format!("{:#x}", flags.0)));
            }
            if snapshots.len() != originals.len() {
                return Err(refuse("as many shadow copies as originals are needed"));
            }
            check_some(snapshots)?;
            let pairs = this.shadows(snapshots)?;
            if flags.0 & StateChange::DO_MASK_LUNS != 0 {
                this.raid.hide(&pairs, true)?;
            }
            Ok(())
        })
    }

    /// The pairs whose S-VOLs these LUNs are, each once.
    pub(super) fn shadows(&mut self, luns: &[LunInfo]) -> Outcome<Vec<Pair>> {
        let mut pairs = Vec::new();
        for lun in luns {
            let pair = match lun.volume()? {
                Some(volume) => self.by_secondary(volume)?,
                None => None,
            };
            let pair = pair.ok_or_else(|| {
                Fault::new(Event::Enosup)
                    .object(name(lun))
                    .cause("it is no S-VOL that this provider knows")
                    .action("set VSHTCHORCMINST_REMOTE to the instance that holds it")
            })?;
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        Ok(pairs)
    }

    /// Refuses a pair that is not split: its S-VOL is no point in time.
    pub(super) fn check_split(&mut self, pair: &Pair) -> Outcome<()> {
        let standing = self.raid.standing(pair)?;
        if standing.usable(pair) == Use::Split {
            return Ok(());
        }
        Err(Fault::new(Event::Invstp)
            .object(pair.to_string())
            .state(standing.to_string())
            .cause("its S-VOL is no point in time")
            .action("look with pairdisplay who resynchronised it"))
    }

    /// Refuses a pair of the set that is being created.
    pub(super) fn check_finished(&self, pair: &Pair) -> Outcome<()> {
        let Some(set) = self.set.as_ref().filter(|set| !finished(set.state)) else {
            return Ok(());
        };
        if !set.touched.contains(pair) {
            return Ok(());
        }
        Err(Fault::new(Event::Invseq)
            .object(pair.to_string())
            .state(set.state.word())
            .cause(format!("snapshot set {} is being created with it", set.id)))
    }
}

fn check_some(luns: &[LunInfo]) -> Outcome<()> {
    if luns.is_empty() {
        return Err(Fault::new(Event::Invarg).object("the LUNs").cause("there are none"));
    }
    Ok(())
}

/// How messages name a LUN that is no volume of ours.
fn name(lun: &LunInfo) -> String {
    let part = |text: &Option<String>| text.as_deref().unwrap_or("-").trim().to_owned();
    format!("{} {} {}", part(&lun.vendor), part(&lun.product), part(&lun.serial))
}
