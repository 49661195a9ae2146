//! What `regsvr32` and installers call.
//!
//! Written: `HKCR\CLSID\{class}` with `InprocServer32`, and the event source below
//! `HKLM\SYSTEM\CurrentControlSet\Services\Eventlog\Application`. What VSS knows is its own affair
//! (`IVssAdmin`). In the process of VSS the provider does not run: a COM+ application hosts it,
//! which the installation script makes.

use std::panic::catch_unwind;

use windows::{
    Win32::{
        Foundation::{E_UNEXPECTED, ERROR_FILE_NOT_FOUND, HMODULE, S_OK},
        System::LibraryLoader::{
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
            GetModuleFileNameW, GetModuleHandleExW,
        },
    },
    core::{Error, HRESULT, PCWSTR, Result},
};
use windows_registry::{CLASSES_ROOT, Key, LOCAL_MACHINE};

use crate::{admin, identity};

const EVENT_SOURCES: &str = r"SYSTEM\CurrentControlSet\Services\Eventlog\Application";
/// Errors, warnings and information.
const TYPES_SUPPORTED: u32 = 7;

/// Registers class, event source and provider.
#[unsafe(no_mangle)]
pub extern "system" fn DllRegisterServer() -> HRESULT {
    at_the_edge(|| {
        let path = own_path()?;
        let class = CLASSES_ROOT.create(class_key())?;
        class.set_string("", identity::NAME)?;
        let server = class.create("InprocServer32")?;
        server.set_string("", &path)?;
        // AbortSnapshots must get in while EndPrepareSnapshots waits, so on another thread.
        server.set_string("ThreadingModel", "Both")?;
        let source = LOCAL_MACHINE.create(event_key())?;
        source.set_u32("CustomSource", 1)?;
        source.set_expand_string("EventMessageFile", &path)?;
        source.set_u32("TypesSupported", TYPES_SUPPORTED)?;
        admin::register()
    })
}

/// Takes all of it out again; what is not there is fine.
#[unsafe(no_mangle)]
pub extern "system" fn DllUnregisterServer() -> HRESULT {
    at_the_edge(|| {
        // The files are about to go, so the keys must, whatever the coordinator says.
        let told = admin::unregister();
        remove(CLASSES_ROOT, &class_key())?;
        remove(LOCAL_MACHINE, &event_key())?;
        told
    })
}

fn class_key() -> String {
    format!(r"CLSID\{{{:?}}}", identity::CLASS)
}

fn event_key() -> String {
    format!(r"{EVENT_SOURCES}\{}", identity::EVENT_SOURCE)
}

fn remove(root: &Key, path: &str) -> Result<()> {
    match root.remove_tree(path) {
        Err(error) if error.code() == ERROR_FILE_NOT_FOUND.to_hresult() => Ok(()),
        done => done,
    }
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
