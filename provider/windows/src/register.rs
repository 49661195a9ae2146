//! What `regsvr32` and installers call: all of it is registered, or none.
//!
//! The registry has class and event source; what VSS knows is its own affair (`IVssAdmin`). In the
//! process of VSS the provider does not run: a COM+ application hosts it, which the installation
//! script makes.

use std::panic::catch_unwind;

use windows::{
    Win32::{
        Foundation::{E_UNEXPECTED, HMODULE, S_OK},
        System::LibraryLoader::{
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
            GetModuleFileNameW, GetModuleHandleExW,
        },
    },
    core::{Error, HRESULT, PCWSTR, Result},
};

use crate::{admin, registry};

/// Registers class, event source and provider. Where that fails, what was registered before is
/// registered again.
#[unsafe(no_mangle)]
pub extern "system" fn DllRegisterServer() -> HRESULT {
    at_the_edge(|| {
        let before = registry::registered();
        registry::write(&own_path()?).and_then(|()| admin::register()).inspect_err(|_| {
            // Why it was not registered is what must be known, whatever comes of this.
            let _ = before.map_or_else(registry::remove, |path| registry::write(&path));
        })
    })
}

/// Takes all of it out again; what is not there is fine. A provider that VSS will not let go stays
/// registered: without its class VSS could not load what it still knows.
#[unsafe(no_mangle)]
pub extern "system" fn DllUnregisterServer() -> HRESULT {
    at_the_edge(|| {
        admin::unregister()?;
        registry::remove()
    })
}

/// This DLL in memory.
pub fn own_module() -> Result<HMODULE> {
    let mut module = HMODULE::default();
    let flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let inside = PCWSTR(DllRegisterServer as *const () as *const u16);
    // SAFETY: with that flag an address inside a module takes the place of a name.
    unsafe { GetModuleHandleExW(flags, inside, &mut module)? };
    Ok(module)
}

/// Where this DLL was loaded from.
fn own_path() -> Result<String> {
    // The longest path there is.
    let mut path = vec![0; 32_768];
    // SAFETY: a module that is loaded: this one.
    let length = unsafe { GetModuleFileNameW(Some(own_module()?), &mut path) };
    match usize::try_from(length) {
        Ok(length) if length > 0 && length < path.len() => {
            Ok(String::from_utf16_lossy(&path[..length]))
        }
        _ => Err(Error::from_thread()),
    }
}

fn at_the_edge(work: impl FnOnce() -> Result<()> + std::panic::UnwindSafe) -> HRESULT {
    match catch_unwind(work) {
        Ok(Ok(())) => S_OK,
        Ok(Err(error)) => error.code(),
        Err(_) => E_UNEXPECTED,
    }
}
