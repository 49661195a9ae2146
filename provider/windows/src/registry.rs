//! The provider in the registry: `HKCR\CLSID\{class}` with `InprocServer32`, and the event source
//! below `HKLM\SYSTEM\CurrentControlSet\Services\Eventlog\Application`.

use windows::{Win32::Foundation::ERROR_FILE_NOT_FOUND, core::Result};
use windows_registry::{CLASSES_ROOT, Key, LOCAL_MACHINE};

use crate::identity;

const EVENT_SOURCES: &str = r"SYSTEM\CurrentControlSet\Services\Eventlog\Application";
/// Errors, warnings and information.
const TYPES_SUPPORTED: u32 = 7;
const SERVER: &str = "InprocServer32";

/// The DLL that is registered, if any is.
pub fn registered() -> Option<String> {
    let server = CLASSES_ROOT.open(format!(r"{}\{SERVER}", class_key()));
    server.and_then(|server| server.get_string("")).ok()
}

/// Names a DLL as class and as event source.
pub fn write(dll: &str) -> Result<()> {
    let class = CLASSES_ROOT.create(class_key())?;
    class.set_string("", identity::NAME)?;
    let server = class.create(SERVER)?;
    server.set_string("", dll)?;
    // AbortSnapshots must get in while EndPrepareSnapshots waits, so on another thread.
    server.set_string("ThreadingModel", "Both")?;
    let source = LOCAL_MACHINE.create(event_key())?;
    source.set_u32("CustomSource", 1)?;
    source.set_expand_string("EventMessageFile", dll)?;
    source.set_u32("TypesSupported", TYPES_SUPPORTED)
}

/// Takes both out; what is not there is fine.
pub fn remove() -> Result<()> {
    remove_key(CLASSES_ROOT, &class_key())?;
    remove_key(LOCAL_MACHINE, &event_key())
}

fn class_key() -> String {
    format!(r"CLSID\{{{:?}}}", identity::CLASS)
}

fn event_key() -> String {
    format!(r"{EVENT_SOURCES}\{}", identity::EVENT_SOURCE)
}

fn remove_key(root: &Key, path: &str) -> Result<()> {
    match root.remove_tree(path) {
        Err(error) if error.code() == ERROR_FILE_NOT_FOUND.to_hresult() => Ok(()),
        done => done,
    }
}
