//! IVssProviderCreateSnapshotSet: a set from EndPrepareSnapshots to its end.
//!
//! From the return of PreCommitSnapshots to PostCommitSnapshots nothing here writes a file, a log
//! or an event: volumes are held, and whoever touches one waits for himself.

use provider::{
    Provider,
    entry::Entry,
    error::{Fault, Refused},
    event::Event,
    guid::{Guid, SetId},
};
use windows::{
    Win32::Storage::Vss::IVssProviderCreateSnapshotSet_Impl,
    core::{GUID, Result},
};

use crate::{
    desk::{self, Trouble},
    object::Object_Impl,
    resident,
};

fn step(
    entry: Entry,
    set: &GUID,
    work: impl FnOnce(&mut Provider, SetId) -> std::result::Result<(), Refused>,
) -> Result<()> {
    let set = SetId(Guid(set.to_u128()));
    desk::call(entry, |provider| work(provider, set).map_err(Trouble::from))
}

impl IVssProviderCreateSnapshotSet_Impl for Object_Impl {
    fn EndPrepareSnapshots(&self, set: &GUID) -> Result<()> {
        desk::end_prepare(SetId(Guid(set.to_u128())))
    }

    fn PreCommitSnapshots(&self, set: &GUID) -> Result<()> {
        step(Entry::PreCommitSnapshots, set, |provider, set| {
            resident::hold();
            provider.pre_commit(set).inspect_err(|_| resident::release())
        })
    }

    fn CommitSnapshots(&self, set: &GUID) -> Result<()> {
        step(Entry::CommitSnapshots, set, Provider::commit)
    }

    fn PostCommitSnapshots(&self, set: &GUID, count: i32) -> Result<()> {
        let set = SetId(Guid(set.to_u128()));
        desk::call(Entry::PostCommitSnapshots, |provider| {
            resident::release();
            let count = usize::try_from(count).map_err(|_| {
                Fault::new(Event::Invarg)
                    .object(format!("snapshot set {set}"))
                    .cause(format!("{count} cannot be its number of shadow copies"))
            })?;
            Ok(provider.post_commit(set, count)?)
        })
    }

    fn PreFinalCommitSnapshots(&self, set: &GUID) -> Result<()> {
        step(Entry::PreFinalCommitSnapshots, set, Provider::pre_final_commit)
    }

    fn PostFinalCommitSnapshots(&self, set: &GUID) -> Result<()> {
        step(Entry::PostFinalCommitSnapshots, set, Provider::post_final_commit)
    }

    fn AbortSnapshots(&self, set: &GUID) -> Result<()> {
        step(Entry::AbortSnapshots, set, |provider, set| {
            resident::release();
            provider.abort(set)
        })
    }
}
