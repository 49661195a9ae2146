//! BeginPrepareSnapshot: a volume joins a set, and its pairs go on their way to PAIR.

use super::Provider;
use crate::{
    context::Context,
    entry::Entry,
    error::{Fault, Outcome, Refused},
    event::Event,
    guid::{SetId, SnapshotId},
    hresult::Hresult,
    journal::Phase,
    lun::LunInfo,
    machine::Call,
    raid::{Pair, Towards, Use},
    set::{MAX_VOLUMES, SnapshotSet},
};

impl Provider {
    /// BeginPrepareSnapshot: the volume on these LUNs joins a set; its pairs begin to go to PAIR,
    /// hidden. A set id that is not the latest's begins a set, and gives up an unfinished one.
    ///
    /// # Errors
    /// EV_EGETEV on a host that only imports; EV_INVSEQ, EV_INVARG; EV_ENOSUP, EV_ENOINQ and
    /// EV_ENOSER for LUNs; EV_INVSTP for pairs that cannot go to PAIR or hold a shadow copy; what
    /// RAID Manager says.
    pub fn begin_prepare(
        &mut self,
        set: SetId,
        snapshot: SnapshotId,
        context: Context,
        luns: &[LunInfo],
    ) -> Result<(), Refused> {
        self.call(Entry::BeginPrepareSnapshot, |this| this.join(set, snapshot, context, luns))
    }

    fn join(
        &mut self,
        set: SetId,
        snapshot: SnapshotId,
        context: Context,
        luns: &[LunInfo],
    ) -> Outcome<()> {
        let exporting = self.settings.exporting()?;
        self.admit(set, Call::BeginPrepare)?;
        if let Some(why) = context.unfit(exporting.mirror) {
            return Err(Fault::new(Event::Enosup)
                .tell(Hresult::UnsupportedContext)
                .object(format!("context {:#x}", context.0))
                .cause(why));
        }
        if luns.is_empty() {
            return Err(Fault::new(Event::Invarg).object("the LUNs").cause("there are none"));
        }
        if self.set.as_ref().is_none_or(|known| known.id != set) {
            self.discard(Entry::BeginPrepareSnapshot);
            self.reap(Entry::BeginPrepareSnapshot);
            if let Some(record) = self.records()?.iter().find(|record| record.set == set) {
                return Err(Fault::new(Event::Invseq)
                    .object(format!("snapshot set {set}"))
                    .state(format!("{:?}", record.phase))
                    .cause("an earlier run has left a set of this id")
                    .action("begin a new shadow copy"));
            }
            self.stop.clear();
            self.set = Some(SnapshotSet::new(set));
        }
        let mut pairs: Vec<Pair> = Vec::new();
        for lun in luns {
            let pair = self.pair_of(lun)?;
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        let Some(known) = &self.set else { return Ok(()) };
        if let Some((_, before)) = known.snapshots.iter().find(|(id, _)| *id == snapshot) {
            return if *before == pairs {
                Ok(())
            } else {
                Err(Fault::new(Event::Invarg)
                    .object(format!("shadow copy {snapshot}"))
                    .cause("it is of another volume already"))
            };
        }
        if known.snapshots.len() >= MAX_VOLUMES {
            return Err(Fault::new(Event::Invarg)
                .tell(Hresult::MaximumNumberOfVolumes)
                .object(format!("snapshot set {set}"))
                .cause(format!("it has {MAX_VOLUMES} volumes already"))
                .action("divide the backup"));
        }
        let taken = known.pairs();
        let fresh: Vec<Pair> = pairs.iter().filter(|p| !taken.contains(p)).cloned().collect();
        for pair in &fresh {
            self.check_free(pair)?;
        }
        self.touch(&fresh)?;
        self.bring(&fresh)?;
        if let Some(known) = &mut self.set {
            known.snapshots.push((snapshot, pairs));
        }
        Ok(())
    }

    /// The pair of a LUN that is to be copied.
    fn pair_of(&mut self, lun: &LunInfo) -> Outcome<Pair> {
        let mirror = self.settings.exporting()?.mirror;
        let unsupported = |object: String, cause: &str| {
            Fault::new(Event::Enosup).object(object).cause(cause.to_owned())
        };
        let Some(volume) = lun.volume()? else {
            let vendor = lun.vendor.clone().unwrap_or_default();
            return Err(unsupported(vendor, "the disk is of no storage system of ours"));
        };
        self.raid.by_primary(volume, mirror)?.ok_or_else(|| {
            unsupported(
                format!("{volume} MU# {mirror}"),
                "the configuration of the instance of the P-VOLs does not name it",
            )
            .action("add it to HORCM_DEV with that MU#, or correct VSHTCHOMRCF_MUN")
        })
    }

    /// Notes pairs in the journal before anything is done to them.
    fn touch(&mut self, pairs: &[Pair]) -> Outcome<()> {
        let Some(set) = &mut self.set else { return Ok(()) };
        for pair in pairs {
            if !set.touched.contains(pair) {
                set.touched.push(pair.clone());
            }
        }
        let record = set.record(Phase::Preparing);
        self.outside.journal.put(&record).map_err(|error| Fault::journal(&error))
    }

    /// Refuses a pair that holds a shadow copy. One that somebody resynchronised since holds none.
    fn check_free(&mut self, pair: &Pair) -> Outcome<()> {
        for record in self.records()? {
            let same = record.pairs.iter().find(|known| {
                known.secondary.volume == pair.secondary.volume || known.primary == pair.primary
            });
            let (Some(known), Phase::Created) = (same.cloned(), record.phase) else {
                continue;
            };
            let standing = self.raid.standing(&known)?;
            if standing.usable(&known) == Use::Split {
                return Err(Fault::new(Event::Invstp)
                    .tell(Hresult::MaximumNumberOfSnapshots)
                    .object(pair.to_string())
                    .state(standing.to_string())
                    .cause(format!("its S-VOL is a shadow copy of snapshot set {}", record.set))
                    .action(format!(
                        "delete that shadow copy, or give it up with pairresync -g {} -d {}",
                        pair.group, pair.name
                    )));
            }
            self.forget(&known)?;
        }
        Ok(())
    }

    /// Hides the S-VOLs and sends the pairs on their way to PAIR. Fast: the copy runs in the array.
    fn bring(&mut self, pairs: &[Pair]) -> Outcome<()> {
        let (mut create, mut resync) = (Vec::new(), Vec::new());
        for pair in pairs {
            let standing = self.raid.standing(pair)?;
            match standing.usable(pair) {
                Use::Unpaired => create.push(pair.clone()),
                Use::Split | Use::Failed => resync.push(pair.clone()),
                Use::Copying | Use::Ready => {}
                Use::Foreign => {
                    return Err(Fault::new(Event::Invstp)
                        .object(pair.to_string())
                        .state(standing.to_string())
                        .cause("it is paired with another volume, or the other way round")
                        .action("dissolve that pair, or correct both configurations"));
                }
            }
        }
        if !pairs.is_empty() {
            self.raid.hide(pairs, true)?;
        }
        for (list, towards) in [(create, Towards::Create), (resync, Towards::Resync)] {
            if !list.is_empty() {
                self.raid.order(&list, towards)?;
            }
        }
        Ok(())
    }
}
