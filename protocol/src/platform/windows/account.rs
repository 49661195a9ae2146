//! Accounts and owners, as the text of their security identifiers (MS-DTYP 2.4.2.1):
//! `S-1-5-21-A-B-C-500` for an account of a host or a domain.

use std::{ffi::c_void, fs::File, io, os::windows::io::AsRawHandle, ptr::null_mut};

use windows_sys::Win32::{
    Foundation::{CloseHandle, ERROR_SUCCESS, HANDLE, LocalFree},
    Security::{
        Authorization::{ConvertSidToStringSidW, GetSecurityInfo, SE_FILE_OBJECT},
        GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser,
    },
    System::Threading::{GetCurrentProcess, OpenProcessToken},
};

/// The administrators, and the system itself.
const TRUSTED: [&str; 2] = ["S-1-5-32-544", "S-1-5-18"];

/// The account of this process; `unknown` where the system does not tell it.
pub(crate) fn account() -> String {
    of_this_process().unwrap_or_else(|_| "unknown".to_owned())
}

/// The last number of its identifier: 500 for the administrator that was there first, 18 for the
/// system itself; 0 where it cannot be known.
pub(crate) fn user_id() -> u32 {
    account().rsplit('-').next().and_then(|last| last.parse().ok()).unwrap_or_default()
}

/// Whether what belongs to this owner can be taken for the account's own.
pub(super) fn is_trusted(owner: &str) -> bool {
    TRUSTED.contains(&owner) || owner == account()
}

/// To whom an open file or folder belongs.
///
/// # Errors
/// What the system says.
pub(super) fn owner(file: &File) -> io::Result<String> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: an open handle; owner and descriptor are written where they point, the rest is not
    // asked for.
    let failed = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if failed != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(failed.cast_signed()));
    }
    // SAFETY: the owner is in the descriptor, which is the system's own allocation and freed below.
    let text = unsafe { text(owner) };
    // SAFETY: not used any more; freed once.
    unsafe { LocalFree(descriptor.cast::<c_void>()) };
    text
}

fn of_this_process() -> io::Result<String> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the handle of this process needs no closing; the token is written where it points.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let user = user(token);
    // SAFETY: opened above, closed once.
    unsafe { CloseHandle(token) };
    user
}

/// The user of a token.
fn user(token: HANDLE) -> io::Result<String> {
    // TOKEN_USER and behind it a SID of at most 68 bytes; in words of 8 bytes for its alignment.
    let mut buffer = [0_u64; 16];
    let mut length = 0;
    // SAFETY: the buffer is as long as is said; the length is written where it points.
    let told = unsafe {
        GetTokenInformation(
            token,
            TokenUser,
            buffer.as_mut_ptr().cast::<c_void>(),
            size_of_val(&buffer) as u32,
            &raw mut length,
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has put a TOKEN_USER there, which points to a SID in the same buffer.
    unsafe { text((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
}

/// # Safety
/// A SID.
unsafe fn text(sid: PSID) -> io::Result<String> {
    let mut place = null_mut();
    // SAFETY: the caller's SID; the text is written where it points.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut place) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the text is the system's own allocation and ends with a zero; freed once.
    unsafe {
        let length = (0..).take_while(|at| *place.add(*at) != 0).count();
        let text = String::from_utf16_lossy(std::slice::from_raw_parts(place, length));
        LocalFree(place.cast::<c_void>());
        Ok(text)
    }
}
