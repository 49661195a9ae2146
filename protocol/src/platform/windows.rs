//! Windows: access control lists, security identifiers.

use std::{
    env,
    ffi::c_void,
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::windows::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    ptr::null_mut,
};

use windows_sys::Win32::{
    Foundation::{CloseHandle, HANDLE, LocalFree},
    Security::{
        Authorization::{ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1},
        GetSidSubAuthority, GetSidSubAuthorityCount, GetTokenInformation, SECURITY_ATTRIBUTES,
        TOKEN_QUERY, TOKEN_USER, TokenUser,
    },
    Storage::FileSystem::{
        CreateDirectoryW, FILE_FLAG_OPEN_REPARSE_POINT, MOVEFILE_REPLACE_EXISTING,
        MOVEFILE_WRITE_THROUGH, MoveFileExW,
    },
    System::Threading::{GetCurrentProcess, OpenProcessToken},
};

/// Full access for its owner, the administrators and the system, for nobody else, inherited by what
/// is made in it; nothing is inherited from above (MS-DTYP 2.5.1, security descriptor strings).
const PRIVATE: &str = "D:P(A;OICI;FA;;;OW)(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)\0";

/// `\HORCM` on the system drive.
pub(crate) fn default_root() -> PathBuf {
    let drive = env::var("SystemDrive").unwrap_or_else(|_| "C:".to_owned());
    PathBuf::from(format!("{drive}\\HORCM"))
}

/// `%windir%`, where configuration files are that no installation has of its own.
pub(crate) fn system_conf_dir() -> PathBuf {
    let set = env::var_os("windir").filter(|value| !value.is_empty());
    set.map_or_else(|| PathBuf::from("C:\\Windows"), PathBuf::from)
}

/// Makes a folder that only its owner, administrators and the system can enter.
///
/// # Errors
/// What the file system says.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    let path = wide(path);
    let sddl: Vec<u16> = PRIVATE.encode_utf16().collect();
    let mut descriptor = null_mut();
    // SAFETY: the text ends with a zero; the descriptor is written where it points, no size is asked.
    let converted = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            sddl.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    };
    if converted == 0 {
        return Err(io::Error::last_os_error());
    }
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    // SAFETY: the path ends with a zero; the attributes and their descriptor live until after it.
    let made = unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) };
    let error = io::Error::last_os_error();
    // SAFETY: the descriptor is the system's own allocation, freed once.
    unsafe { LocalFree(descriptor.cast::<c_void>()) };
    if made == 0 { Err(error) } else { Ok(()) }
}

/// Makes a new file; who can read it is inherited from its folder.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

/// Opens a file for reading, never what a link leads to.
pub(crate) fn opens_own() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    options
}

/// Gives a file the name of another, and sees that it keeps it.
pub(crate) fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    let (draft, path) = (wide(draft), wide(path));
    let how = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    // SAFETY: both paths end with a zero.
    if unsafe { MoveFileExW(draft.as_ptr(), path.as_ptr(), how) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Removes a file, and sees that it stays away: nothing waits for a removal, but for a new name.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let gone = path.with_extension("gone");
    replace(path, &gone)?;
    fs::remove_file(gone)
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// Whose a file is, its folder says: [`make_private_folder`].
pub(crate) const fn is_own(_: &Metadata) -> bool {
    true
}

/// What to run on a file that others can read; who can, its folder says.
pub(crate) const fn exposure(_: &File) -> Option<&'static str> {
    None
}

/// The name of this host as the system tells it.
pub(crate) fn host_name() -> String {
    env::var("COMPUTERNAME").unwrap_or_default()
}

/// The last number of the security identifier of this process' user: 500 for the administrator that
/// was there first, 18 for the system itself; 0 where it cannot be known.
pub(crate) fn user_id() -> u32 {
    let mut token: HANDLE = null_mut();
    // SAFETY: the handle of this process needs no closing; the token is written where it points.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return 0;
    }
    let id = last_number(token);
    // SAFETY: opened above, closed once.
    unsafe { CloseHandle(token) };
    id.unwrap_or_default()
}

/// The last sub-authority of the user of a token.
fn last_number(token: HANDLE) -> Option<u32> {
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
        return None;
    }
    // SAFETY: the system has put a TOKEN_USER there, which points to a SID in the same buffer.
    unsafe {
        let sid = (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid;
        let count = *GetSidSubAuthorityCount(sid);
        let last = u32::from(count).checked_sub(1)?;
        Some(*GetSidSubAuthority(sid, last))
    }
}
