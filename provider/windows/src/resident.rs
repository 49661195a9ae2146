//! What the commit touches stays in memory: while writes are held, a page that has to come from a
//! held disk never comes.

use std::{
    panic,
    sync::{Mutex, Once, PoisonError},
};

use windows::{
    Win32::System::{
        Diagnostics::Debug::OutputDebugStringW,
        Memory::{
            GetProcessWorkingSetSizeEx, QUOTA_LIMITS_HARDWS_MAX_DISABLE,
            QUOTA_LIMITS_HARDWS_MIN_DISABLE, QUOTA_LIMITS_HARDWS_MIN_ENABLE,
            SETPROCESSWORKINGSETSIZEEX_FLAGS, SetProcessWorkingSetSizeEx, VirtualLock,
            VirtualUnlock,
        },
        ProcessStatus::{
            GetModuleInformation, GetProcessMemoryInfo, MODULEINFO, PROCESS_MEMORY_COUNTERS,
        },
        Threading::GetCurrentProcess,
    },
    core::{HSTRING, Result},
};

use crate::register::own_module;

/// What the commit may take beyond what is in memory already: kilobytes.
const ROOM: usize = 16 << 20;

/// The limits before; `None` while nothing is held.
static BEFORE: Mutex<Option<(usize, usize)>> = Mutex::new(None);

/// Keeps the process' pages in memory, and the DLL's own. An account that may not do so goes
/// without: its pages stay unless memory is short.
pub fn hold() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if before.is_none() {
        *before = pin().ok();
    }
}

/// Lets them go again.
pub fn release() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((least, most)) = before.take() {
        let image = image().unwrap_or_default();
        // SAFETY: the image of this DLL, which was locked; this process, with limits it had.
        unsafe {
            let _ = VirtualUnlock(image.lpBaseOfDll, image.SizeOfImage as usize);
            let _ = SetProcessWorkingSetSizeEx(
                GetCurrentProcess(),
                least,
                most,
                QUOTA_LIMITS_HARDWS_MIN_DISABLE,
            );
        }
    }
}

/// Gives the limits of before.
fn pin() -> Result<(usize, usize)> {
    let (mut least, mut most, mut flags) = (0, 0, 0);
    let mut used = PROCESS_MEMORY_COUNTERS::default();
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).unwrap_or_default();
    // SAFETY: this process, and places for the answers, of the size that is told.
    unsafe {
        let this = GetCurrentProcess();
        GetProcessWorkingSetSizeEx(this, &mut least, &mut most, &mut flags).ok()?;
        GetProcessMemoryInfo(this, &mut used, size)?;
    }
    let wanted = used.WorkingSetSize + ROOM;
    let hard = QUOTA_LIMITS_HARDWS_MIN_ENABLE.0 | QUOTA_LIMITS_HARDWS_MAX_DISABLE.0;
    let image = image()?;
    // SAFETY: this process; the image of this DLL.
    unsafe {
        SetProcessWorkingSetSizeEx(
            GetCurrentProcess(),
            wanted,
            most.max(wanted + ROOM),
            SETPROCESSWORKINGSETSIZEEX_FLAGS(hard),
        )?;
        // Code and data that the commit has not touched yet come in now.
        let _ = VirtualLock(image.lpBaseOfDll, image.SizeOfImage as usize);
    }
    Ok((least, most))
}

/// This DLL in memory.
fn image() -> Result<MODULEINFO> {
    let mut image = MODULEINFO::default();
    let size = u32::try_from(size_of::<MODULEINFO>()).unwrap_or_default();
    // SAFETY: a module of this process, and a place for the answer, of the size that is told.
    unsafe { GetModuleInformation(GetCurrentProcess(), own_module()?, &mut image, size)? };
    Ok(image)
}

/// A panic is told to a debugger and not to standard error: a backtrace would read files.
pub fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let text = HSTRING::from(info.to_string());
            // SAFETY: a text that ends in NUL and outlives the call.
            unsafe { OutputDebugStringW(&text) };
        }));
    });
}
