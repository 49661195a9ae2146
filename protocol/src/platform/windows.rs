//! Windows: access control lists, owners.

mod account;

use std::{
    env,
    ffi::c_void,
    fs::{self, File, OpenOptions},
    io,
    os::windows::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    ptr::null_mut,
    thread,
    time::{Duration, Instant},
};

use windows_sys::Win32::{
    Foundation::{ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, LocalFree},
    Security::{
        Authorization::{ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1},
        SECURITY_ATTRIBUTES,
    },
    Storage::FileSystem::{
        CreateDirectoryW, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
        MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW,
    },
};

pub(crate) use account::{account, user_id};

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

/// For how long others may have a file open that is to be replaced: whoever reads it is done soon.
const READERS: Duration = Duration::from_secs(2);

/// Gives a file the name of another, and sees that it keeps it. Windows refuses that while somebody
/// reads the other one.
pub(crate) fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    let (draft, path) = (wide(draft), wide(path));
    let how = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    let begun = Instant::now();
    loop {
        // SAFETY: both paths end with a zero.
        if unsafe { MoveFileExW(draft.as_ptr(), path.as_ptr(), how) } != 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        let code = error.raw_os_error().map(i32::cast_unsigned);
        let is_open = matches!(code, Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION));
        if !is_open || begun.elapsed() > READERS {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(10));
    }
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

/// Whether it is a folder, no link to one, and its owner could have made it ([`check_owner`]); who
/// can enter it was said when it was made.
pub(crate) fn is_own_folder(path: &Path) -> bool {
    open_folder(path).is_ok_and(|folder| {
        folder.metadata().is_ok_and(|meta| meta.is_dir()) && check_owner(&folder).is_ok()
    })
}

/// Whether it is a file and its owner could have made it; who can read it, its folder says.
pub(crate) fn is_own_file(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file()) && check_owner(file).is_ok()
}

/// Sees that the owner of a folder could have made what is in it.
///
/// # Errors
/// As [`check_owner`].
pub(crate) fn check_folder(path: &Path) -> io::Result<()> {
    check_owner(&open_folder(path)?)
}

/// Sees that a file or folder belongs to this account, to the administrators or to the system
/// itself: anybody can make files, but none that belongs to those.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] for another owner; what the system says.
pub(crate) fn check_owner(file: &File) -> io::Result<()> {
    let owner = account::owner(file)?;
    if account::is_trusted(&owner) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "it belongs to {owner}, which is neither this account nor the administrators nor the \
             system: see who made it, and then take it with icacls /setowner *S-1-5-32-544"
        ),
    ))
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// What to run on a file that others can read; who can, its folder says.
pub(crate) const fn exposure(_: &File) -> Option<&'static str> {
    None
}

/// The name of this host as the system tells it.
pub(crate) fn host_name() -> String {
    env::var("COMPUTERNAME").unwrap_or_default()
}
