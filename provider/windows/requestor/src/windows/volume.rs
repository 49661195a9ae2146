//! The volume that a directory lies on.

use windows::{
    Win32::System::Environment::ExpandEnvironmentStringsW,
    core::{BOOL, Error, HSTRING, PCWSTR, PWSTR},
};

use super::of_error;
use crate::vss::Answer;

// By themselves: the module of the `windows` crate that has them takes longer to build than all
// the rest of this crate.
windows_core::link!("kernel32.dll" "system" fn GetVolumePathNameW(path: PCWSTR, root: PWSTR, size: u32) -> BOOL);
windows_core::link!("kernel32.dll" "system" fn GetVolumeNameForVolumeMountPointW(root: PCWSTR, name: PWSTR, size: u32) -> BOOL);

/// The longest path of Windows, in characters.
const LONGEST_PATH: u32 = 32_768;
/// `\\?\Volume{GUID}\` has 49, and its NUL.
const LONGEST_NAME: u32 = 50;

/// `\\?\Volume{GUID}\` of a directory as writers name it, with variables such as `%SystemDrive%`.
pub(super) fn of(directory: &str) -> Answer<String> {
    let failed = || of_error(&Error::from_thread());
    let directory = HSTRING::from(directory);
    let mut path = vec![0; LONGEST_PATH as usize];
    // SAFETY: a text that ends in NUL, and a place that knows its size.
    if unsafe { ExpandEnvironmentStringsW(&directory, Some(&mut path)) } == 0 {
        return Err(failed());
    }
    let expanded = HSTRING::from_wide(until_nul(&path));
    let mut name = [0; LONGEST_NAME as usize];
    // SAFETY: texts that end in NUL, and places of the sizes that are told.
    unsafe {
        let root = PWSTR(path.as_mut_ptr());
        GetVolumePathNameW(PCWSTR(expanded.as_ptr()), root, LONGEST_PATH)
            .ok()
            .and_then(|()| {
                let name = PWSTR(name.as_mut_ptr());
                GetVolumeNameForVolumeMountPointW(PCWSTR(root.0), name, LONGEST_NAME).ok()
            })
            .map_err(|error| of_error(&error))?;
    }
    Ok(String::from_utf16_lossy(until_nul(&name)))
}

fn until_nul(text: &[u16]) -> &[u16] {
    text.split(|unit| *unit == 0).next().unwrap_or_default()
}
