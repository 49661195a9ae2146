//! The object that VSS holds, and OnLoad and OnUnload.

use std::sync::atomic::{AtomicBool, Ordering};

use provider::provider::Unload;
use windows::{
    Win32::{
        Foundation::S_FALSE,
        Storage::Vss::{
            IVssProviderCreateSnapshotSet, IVssProviderNotifications,
            IVssProviderNotifications_Impl,
        },
    },
    core::{BOOL, Error, IUnknown, Ref, Result, implement},
};

use crate::{desk, factory::Held, hardware_ex::HardwareProviderEx, resident};

/// An object of the class.
#[implement(HardwareProviderEx, IVssProviderCreateSnapshotSet, IVssProviderNotifications)]
pub struct Object {
    loaded: AtomicBool,
    _held: Held,
}

impl Object {
    pub fn new() -> Self {
        Self { loaded: AtomicBool::new(false), _held: Held::new() }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if self.loaded.load(Ordering::SeqCst) {
            // Released without OnUnload; whatever is wrong was told.
            let _ = desk::unload(true);
        }
    }
}

impl IVssProviderNotifications_Impl for Object_Impl {
    fn OnLoad(&self, _callback: Ref<'_, IUnknown>) -> Result<()> {
        resident::quiet_panics();
        if !self.loaded.load(Ordering::SeqCst) {
            desk::load()?;
            self.loaded.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn OnUnload(&self, force: BOOL) -> Result<()> {
        if !self.loaded.load(Ordering::SeqCst) {
            return Ok(());
        }
        match desk::unload(force.as_bool())? {
            Unload::Ready => {
                resident::release();
                self.loaded.store(false, Ordering::SeqCst);
                Ok(())
            }
            Unload::Busy => Err(Error::from_hresult(S_FALSE)),
        }
    }
}
