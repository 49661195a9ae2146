//! The provider among fakes.

mod any_order;
mod cycle;
mod every_event;
mod every_state;

use crate::{
    Provider,
    context::Context,
    error::Refused,
    event::Event,
    guid::{Guid, SetId, SnapshotId},
    lun::{LunInfo, tests::disk},
};

/// A set.
fn set(n: u128) -> SetId {
    SetId(Guid(n))
}

/// A shadow copy.
fn copy(n: u128) -> SnapshotId {
    SnapshotId(Guid(n))
}

/// The P-VOL of a pair of the fakes, as a disk.
fn pvol(n: u32) -> LunInfo {
    disk(2 * n)
}

/// Its S-VOL.
fn svol(n: u32) -> LunInfo {
    disk(2 * n + 1)
}

/// A volume on one LUN joins a set.
fn join(provider: &mut Provider, id: SetId, n: u32) -> Result<(), Refused> {
    provider.begin_prepare(id, copy(u128::from(n) + 1), Context(0), &[pvol(n)])
}

/// From EndPrepareSnapshots to PostFinalCommitSnapshots.
fn finish(provider: &mut Provider, id: SetId, count: usize) -> Result<(), Refused> {
    provider.end_prepare(id)?;
    provider.pre_commit(id)?;
    provider.commit(id)?;
    provider.post_commit(id, count)?;
    provider.pre_final_commit(id)?;
    provider.post_final_commit(id)
}

/// The whole creation of a set of these pairs.
fn create(provider: &mut Provider, id: SetId, pairs: &[u32]) -> Result<(), Refused> {
    for n in pairs {
        join(provider, id, *n)?;
    }
    finish(provider, id, pairs.len())
}

/// The event of a refusal.
fn event<T: std::fmt::Debug>(result: Result<T, Refused>) -> Event {
    result.unwrap_err().fault.event
}
