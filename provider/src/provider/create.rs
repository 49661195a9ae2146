//! A set from BeginPrepareSnapshot to PostFinalCommitSnapshots, and AbortSnapshots.

use std::time::Duration;

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
    machine::{Call, State, finished},
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

    /// EndPrepareSnapshots: waits until every pair is PAIR. [`super::Stop`] ends it.
    ///
    /// # Errors
    /// EV_ENOOBJ, EV_INVSEQ; EV_INVSTP for a pair that will not become PAIR, or not in time; what
    /// RAID Manager says.
    pub fn end_prepare(&mut self, set: SetId) -> Result<(), Refused> {
        self.step(set, Call::EndPrepare, |this, pairs| {
            if pairs.is_empty() {
                return Err(Fault::new(Event::Invseq)
                    .object(format!("snapshot set {set}"))
                    .cause("no volume has joined it"));
            }
            let begun = this.outside.clock.now();
            let mut waiting = pairs.to_vec();
            loop {
                let mut copying = Vec::new();
                for pair in waiting {
                    if !this.is_ready(&pair)? {
                        copying.push(pair);
                    }
                }
                let Some(pair) = copying.first() else { return Ok(()) };
                let waited = this.outside.clock.now().saturating_sub(begun);
                let ended = if this.stop.is_set() {
                    Some("the coordinator gave the set up".to_owned())
                } else {
                    let over = waited >= this.limits.prepare;
                    over.then(|| format!("it is not PAIR after {} s", waited.as_secs()))
                };
                if let Some(cause) = ended {
                    return Err(Fault::new(Event::Invstp)
                        .object(pair.to_string())
                        .state("COPY")
                        .cause(cause)
                        .action("let the copy end (pairevtwait), then repeat the backup"));
                }
                this.outside.clock.sleep(this.limits.poll);
                waiting = copying;
            }
        })
    }

    /// Whether a pair is PAIR; `false` while it copies.
    fn is_ready(&mut self, pair: &Pair) -> Outcome<bool> {
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

    const fn enter(&mut self, state: State) {
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
