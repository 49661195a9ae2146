//! IVssHardwareSnapshotProvider: LUNs.

use provider::{
    context::Context,
    entry::Entry,
    error::{Fault, Outcome},
    event::Event,
    guid::{Guid, SetId, SnapshotId},
};
use windows::{
    Win32::Storage::{
        VirtualDiskService::VDS_LUN_INFORMATION as Lun, Vss::IVssHardwareSnapshotProvider_Impl,
    },
    core::{BOOL, GUID, Result},
};

use crate::{
    desk,
    lun::{Draft, Luns},
    object::Object_Impl,
};

// The SAFETY comments below speak of one contract: VSS hands in arrays of as many elements as it
// says, or null, and leaves them alone while the call lasts.

/// Answers `supported`: FALSE until there is a better answer.
///
/// # Safety
/// Null, or a place for an answer.
unsafe fn answer(supported: *mut BOOL, work: impl FnOnce() -> Answer) -> Answer {
    if supported.is_null() {
        return Err(Fault::new(Event::Invarg)
            .object("the answer")
            .cause("there is no place for it")
            .into());
    }
    // SAFETY: the caller's; not null.
    unsafe { *supported = false.into() };
    let is = work()?;
    // SAFETY: as above.
    unsafe { *supported = is.into() };
    Ok(is)
}

type Answer = std::result::Result<bool, desk::Trouble>;

impl IVssHardwareSnapshotProvider_Impl for Object_Impl {
    fn AreLunsSupported(
        &self,
        count: i32,
        context: i32,
        _devices: *const *const u16,
        luns: *mut Lun,
        supported: *mut BOOL,
    ) -> Result<()> {
        desk::call(Entry::AreLunsSupported, |provider| {
            let work = || {
                // SAFETY: VSS's contract.
                let luns = unsafe { Luns::take(luns, count)?.read()? };
                Ok(provider.are_luns_supported(Context(context.cast_unsigned()), &luns)?)
            };
            // SAFETY: VSS's contract.
            unsafe { answer(supported, work) }.map(drop)
        })
    }

    fn FillInLunInfo(
        &self,
        _device: *const u16,
        place: *mut Lun,
        supported: *mut BOOL,
    ) -> Result<()> {
        desk::call(Entry::FillInLunInfo, |provider| {
            let work = || {
                // SAFETY: VSS's contract, for one.
                let (luns, versions) = unsafe {
                    let given = Luns::take(place, 1)?;
                    (given.read()?, given.descriptor_versions().collect::<Vec<_>>())
                };
                for (mut lun, version) in luns.into_iter().zip(versions) {
                    if !provider.fill_in_lun_info(&mut lun)? {
                        return Ok(false);
                    }
                    let draft = Draft::of(&lun, version)?;
                    // SAFETY: it was read above, and is VSS's to be changed.
                    unsafe { draft.give(place) };
                }
                Ok(true)
            };
            // SAFETY: VSS's contract.
            unsafe { answer(supported, work) }.map(drop)
        })
    }

    fn BeginPrepareSnapshot(
        &self,
        set: &GUID,
        snapshot: &GUID,
        context: i32,
        count: i32,
        _devices: *const *const u16,
        luns: *mut Lun,
    ) -> Result<()> {
        let set = SetId(Guid(set.to_u128()));
        let snapshot = SnapshotId(Guid(snapshot.to_u128()));
        desk::call(Entry::BeginPrepareSnapshot, |provider| {
            // SAFETY: VSS's contract.
            let luns = unsafe { Luns::take(luns, count)?.read()? };
            Ok(provider.begin_prepare(set, snapshot, Context(context.cast_unsigned()), &luns)?)
        })
    }

    fn GetTargetLuns(
        &self,
        count: i32,
        _devices: *const *const u16,
        sources: *const Lun,
        targets: *mut Lun,
    ) -> Result<()> {
        desk::call(Entry::GetTargetLuns, |provider| {
            // SAFETY: VSS's contract. What the targets hold is freed, so it must be sound too.
            let (given, sources) = unsafe {
                let given = Luns::take(sources, count)?;
                Luns::take(targets, count)?.read()?;
                (given, given.read()?)
            };
            let found = provider.get_target_luns(&sources)?;
            let drafts: Outcome<Vec<Draft>> = found
                .iter()
                .zip(given.descriptor_versions())
                .map(|(lun, version)| Draft::of(lun, version))
                .collect();
            for (at, draft) in drafts?.into_iter().enumerate() {
                // SAFETY: the core answers with as many LUNs as it was asked for.
                unsafe { draft.give(targets.add(at)) };
            }
            Ok(())
        })
    }

    fn LocateLuns(&self, count: i32, luns: *const Lun) -> Result<()> {
        desk::call(Entry::LocateLuns, |provider| {
            // SAFETY: VSS's contract.
            let luns = unsafe { Luns::take(luns, count)?.read()? };
            Ok(provider.locate_luns(&luns)?)
        })
    }

    fn OnLunEmpty(&self, _device: *const u16, lun: *const Lun) -> Result<()> {
        desk::call(Entry::OnLunEmpty, |provider| {
            // SAFETY: VSS's contract, for one.
            let luns = unsafe { Luns::take(lun, 1)?.read()? };
            luns.iter().try_for_each(|lun| Ok(provider.on_lun_empty(lun)?))
        })
    }
}
