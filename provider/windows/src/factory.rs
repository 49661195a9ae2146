//! The class factory, and how COM gets to it.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use windows::{
    Win32::{
        Foundation::{CLASS_E_CLASSNOTAVAILABLE, CLASS_E_NOAGGREGATION, E_POINTER, S_FALSE, S_OK},
        Storage::Vss::VSS_E_PROVIDER_VETO,
        System::Com::{IClassFactory, IClassFactory_Impl},
    },
    core::{BOOL, Error, GUID, HRESULT, IUnknown, Interface, Ref, Result, implement},
};

use crate::{hardware_ex::HardwareProviderEx, identity, object::Object};

/// Objects and locks that need this DLL.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// Keeps the DLL loaded.
#[derive(Debug)]
pub struct Held(());

impl Held {
    pub fn new() -> Self {
        IN_USE.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[implement(IClassFactory)]
struct Factory {
    _held: Held,
}

impl IClassFactory_Impl for Factory_Impl {
    fn CreateInstance(
        &self,
        outer: Ref<'_, IUnknown>,
        iid: *const GUID,
        out: *mut *mut c_void,
    ) -> Result<()> {
        if iid.is_null() || out.is_null() {
            return Err(E_POINTER.into());
        }
        // SAFETY: not null, and by COM's contract a place for an interface.
        unsafe { *out = std::ptr::null_mut() };
        if !outer.is_null() {
            return Err(CLASS_E_NOAGGREGATION.into());
        }
        let made = catch_unwind(|| HardwareProviderEx::from(Object::new()));
        let object = made.map_err(|_| Error::from_hresult(VSS_E_PROVIDER_VETO))?;
        // SAFETY: both were checked above, and are what COM's contract says.
        unsafe { object.query(iid, out).ok() }
    }

    fn LockServer(&self, lock: BOOL) -> Result<()> {
        if lock.as_bool() {
            std::mem::forget(Held::new());
        } else {
            drop(Held(()));
        }
        Ok(())
    }
}

/// Gives COM the class factory.
///
/// # Safety
/// By COM's contract: pointers to two GUIDs and to a place for an interface; null is refused.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DllGetClassObject(
    class: *const GUID,
    iid: *const GUID,
    out: *mut *mut c_void,
) -> HRESULT {
    if class.is_null() || iid.is_null() || out.is_null() {
        return E_POINTER;
    }
    // SAFETY: not null, and by COM's contract a place for an interface and a GUID.
    let class = unsafe {
        *out = std::ptr::null_mut();
        *class
    };
    if class != identity::CLASS {
        return CLASS_E_CLASSNOTAVAILABLE;
    }
    // SAFETY: checked above, and what COM's contract says.
    let give = || unsafe { IClassFactory::from(Factory { _held: Held::new() }).query(iid, out) };
    catch_unwind(AssertUnwindSafe(give)).unwrap_or(VSS_E_PROVIDER_VETO)
}

/// S_OK when nothing needs the DLL.
#[unsafe(no_mangle)]
pub extern "system" fn DllCanUnloadNow() -> HRESULT {
    if IN_USE.load(Ordering::SeqCst) == 0 { S_OK } else { S_FALSE }
}
