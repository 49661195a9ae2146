//! The seam to the provider: the copies of the set's volumes.

use provider::{
    Provider,
    context::Context,
    error::Refused,
    guid::{SetId, SnapshotId},
    lun::LunInfo,
};

/// The provider, as the coordinator calls it. `provider::Provider` says what each call does.
pub trait Copies {
    /// BeginPrepareSnapshot for one volume.
    ///
    /// # Errors
    /// What the provider refuses.
    fn begin_prepare(
        &mut self,
        set: SetId,
        snapshot: SnapshotId,
        lun: &LunInfo,
    ) -> Result<(), Refused>;
    /// EndPrepareSnapshots: every pair is PAIR.
    ///
    /// # Errors
    /// What the provider refuses.
    fn end_prepare(&mut self, set: SetId) -> Result<(), Refused>;
    /// PreCommitSnapshots. Touches files; no file system is frozen yet.
    ///
    /// # Errors
    /// What the provider refuses.
    fn pre_commit(&mut self, set: SetId) -> Result<(), Refused>;
    /// CommitSnapshots: the split. Touches no file.
    ///
    /// # Errors
    /// What the provider refuses.
    fn commit(&mut self, set: SetId) -> Result<(), Refused>;
    /// PostCommitSnapshots.
    ///
    /// # Errors
    /// What the provider refuses.
    fn post_commit(&mut self, set: SetId, volumes: usize) -> Result<(), Refused>;
    /// PreFinalCommitSnapshots and PostFinalCommitSnapshots.
    ///
    /// # Errors
    /// What the provider refuses.
    fn final_commit(&mut self, set: SetId) -> Result<(), Refused>;
    /// AbortSnapshots: the pairs go back to PAIR, hidden. Those of a set that was finished do so as
    /// well, for nobody has its shadow copies as long as the catalogue does not.
    ///
    /// # Errors
    /// What the provider refuses.
    fn abort(&mut self, set: SetId) -> Result<(), Refused>;
}

impl Copies for Provider {
    fn begin_prepare(
        &mut self,
        set: SetId,
        snapshot: SnapshotId,
        lun: &LunInfo,
    ) -> Result<(), Refused> {
        Self::begin_prepare(self, set, snapshot, Context(0), std::slice::from_ref(lun))
    }

    fn end_prepare(&mut self, set: SetId) -> Result<(), Refused> {
        Self::end_prepare(self, set)
    }

    fn pre_commit(&mut self, set: SetId) -> Result<(), Refused> {
        Self::pre_commit(self, set)
    }

    fn commit(&mut self, set: SetId) -> Result<(), Refused> {
        Self::commit(self, set)
    }

    fn post_commit(&mut self, set: SetId, volumes: usize) -> Result<(), Refused> {
        Self::post_commit(self, set, volumes)
    }

    fn final_commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.pre_final_commit(set)?;
        self.post_final_commit(set)
    }

    fn abort(&mut self, set: SetId) -> Result<(), Refused> {
        Self::abort(self, set)?;
        self.delete(set)
    }
}
