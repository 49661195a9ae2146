//! The object, made.

use std::time::Instant;

use messages::{
    failure::{Checked, Failure},
    message,
};
use windows::{
    Win32::System::{
        Com::{
            COINIT_MULTITHREADED, CoInitializeEx, CoInitializeSecurity, EOAC_NONE,
            RPC_C_AUTHN_LEVEL_PKT_PRIVACY, RPC_C_IMP_LEVEL_IDENTIFY,
        },
        LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW},
    },
    core::{Error, s, w},
};

use super::{BackupComponents, NOTHING, done, of_error};
use crate::{
    interfaces::{Object, Raw, This},
    trouble::refused,
};

impl BackupComponents {
    /// Readies COM for this process and makes the object.
    ///
    /// # Errors
    /// KAVX5000-E where there is no VSS; what VSS says.
    pub fn connect() -> Checked<Self> {
        let failed = |call: &'static str| move |error: Error| refused(call, None, of_error(&error));
        // SAFETY: once, on the only thread, which lasts as long as the process. Writers and VSS
        // call back into this process; anybody may, and nobody gets our identity to act with.
        unsafe {
            CoInitializeEx(None, COINIT_MULTITHREADED).ok().map_err(failed("CoInitializeEx"))?;
            CoInitializeSecurity(
                None,
                -1,
                None,
                None,
                RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
                RPC_C_IMP_LEVEL_IDENTIFY,
                None,
                EOAC_NONE,
                None,
            )
            .map_err(failed("CoInitializeSecurity"))?;
        }
        let create = create_function()?;
        let mut object: This = std::ptr::null_mut();
        // SAFETY: a place for the pointer, which is then ours.
        let object =
            unsafe { done(create(&mut object)).and_then(|()| Object::take(object).ok_or(NOTHING)) };
        let object = object.map_err(|it| refused("CreateVssBackupComponents", None, it))?;
        Ok(Self { object, task: None, began: Instant::now() })
    }
}

type Create = unsafe extern "system" fn(*mut This) -> Raw;

/// What `CreateVssBackupComponents` of the SDK's header calls. From the system's folder only.
fn create_function() -> Checked<Create> {
    let none = |cause: String| {
        Failure::new(message::VSS_SYSTEM)
            .object("vssapi.dll")
            .cause(cause)
            .action("run it on Windows Server")
    };
    // SAFETY: a text that ends in NUL; the DLL stays loaded.
    let library = unsafe { LoadLibraryExW(w!("vssapi.dll"), None, LOAD_LIBRARY_SEARCH_SYSTEM32) }
        .map_err(|error| none(error.message()))?;
    let name = s!("CreateVssBackupComponentsInternal");
    // SAFETY: the header says that a function of this name has this type.
    unsafe {
        let function = GetProcAddress(library, name)
            .ok_or_else(|| none("it has no CreateVssBackupComponentsInternal".to_owned()))?;
        Ok(std::mem::transmute::<unsafe extern "system" fn() -> isize, Create>(function))
    }
}
