//! IVssHardwareSnapshotProviderEx: copies that change their state, and back from them.
//!
//! Declared here once more, as the header has it: of the declaration in `windows` ResyncLuns never
//! sees the place for its answer, and null would be found when the restore is under way.

#![allow(non_snake_case, reason = "named as the header does")]

use std::{ffi::c_void, ptr};

use provider::{entry::Entry, error::Fault, event::Event, provider::StateChange};
use windows::{
    Win32::{
        Foundation::{E_NOTIMPL, S_OK},
        Storage::{
            VirtualDiskService::VDS_LUN_INFORMATION as Lun,
            Vss::{
                IVssAsync, IVssHardwareSnapshotProvider, IVssHardwareSnapshotProvider_Impl,
                IVssHardwareSnapshotProvider_Vtbl,
            },
        },
    },
    core::{HRESULT, Interface, Result, interface},
};

use crate::{desk, lun::Luns, object::Object_Impl, resync::Revert};

/// IVssHardwareSnapshotProviderEx.
#[interface("7f5ba925-cdb1-4d11-a71f-339eb7e709fd")]
pub unsafe trait HardwareProviderEx: IVssHardwareSnapshotProvider {
    fn GetProviderCapabilities(&self, mask: *mut u64) -> HRESULT;
    fn OnLunStateChange(
        &self,
        snapshots: *const Lun,
        originals: *const Lun,
        count: u32,
        flags: u32,
    ) -> HRESULT;
    fn ResyncLuns(
        &self,
        snapshots: *const Lun,
        originals: *const Lun,
        count: u32,
        restore: *mut *mut c_void,
    ) -> HRESULT;
    fn OnReuseLuns(&self, snapshots: *const Lun, originals: *const Lun, count: u32) -> HRESULT;
}

// The SAFETY comments below speak of one contract: VSS hands in arrays of as many elements as it
// says, or null, and leaves them alone while the call lasts.

impl HardwareProviderEx_Impl for Object_Impl {
    /// Reserved by VSS.
    unsafe fn GetProviderCapabilities(&self, _: *mut u64) -> HRESULT {
        E_NOTIMPL
    }

    unsafe fn OnLunStateChange(
        &self,
        snapshots: *const Lun,
        originals: *const Lun,
        count: u32,
        flags: u32,
    ) -> HRESULT {
        said(desk::call(Entry::OnLunStateChange, |provider| {
            // SAFETY: VSS's contract.
            let (snapshots, originals) = unsafe {
                (Luns::take(snapshots, count)?.read()?, Luns::take(originals, count)?.read()?)
            };
            Ok(provider.on_lun_state_change(&snapshots, &originals, StateChange(flags))?)
        }))
    }

    unsafe fn ResyncLuns(
        &self,
        snapshots: *const Lun,
        originals: *const Lun,
        count: u32,
        restore: *mut *mut c_void,
    ) -> HRESULT {
        said(desk::call(Entry::ResyncLuns, |provider| {
            if restore.is_null() {
                return Err(Fault::new(Event::Invarg)
                    .object("the answer")
                    .cause("there is no place for it")
                    .into());
            }
            // SAFETY: not null, and by VSS's contract a place for an interface.
            unsafe { *restore = ptr::null_mut() };
            // SAFETY: VSS's contract.
            let (snapshots, originals) = unsafe {
                (Luns::take(snapshots, count)?.read()?, Luns::take(originals, count)?.read()?)
            };
            let revert = Revert::of(provider.resync_luns(&snapshots, &originals)?);
            // SAFETY: as above.
            unsafe { *restore = IVssAsync::from(revert).into_raw() };
            Ok(())
        }))
    }

    /// Reserved by VSS.
    unsafe fn OnReuseLuns(&self, _: *const Lun, _: *const Lun, _: u32) -> HRESULT {
        E_NOTIMPL
    }
}

fn said(done: Result<()>) -> HRESULT {
    done.map_or_else(|error| error.code(), |()| S_OK)
}
