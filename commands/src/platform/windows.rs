//! Windows.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::windows::process::CommandExt,
    path::Path,
    process::Command,
};

use model::Code;
use windows_sys::Win32::{
    Foundation::{
        CloseHandle, ERROR_ACCESS_DENIED, HANDLE_FLAG_INHERIT, SetHandleInformation, WAIT_TIMEOUT,
    },
    System::{
        Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE},
        Threading::{
            CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS, OpenProcess, PROCESS_SYNCHRONIZE,
            WaitForSingleObject,
        },
    },
};

/// The variable with the name of the user.
pub(crate) const USER: &str = "USERNAME";

/// The name of a variable as commands know it: capitals make no difference here.
pub(crate) fn variable_name(mut name: String) -> String {
    name.make_ascii_uppercase();
    name
}

/// The command that a file is called as; capitals make no difference here.
pub(crate) fn command_name(file: &str) -> String {
    let name = file.to_ascii_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}

/// A process of its own group, without a console window, and without our standard handles: whoever
/// reads what we print would wait for it to end.
pub(crate) fn detach(command: &mut Command) {
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
    for handle in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: takes numbers only; there may be no such handle, and then nothing is changed.
        unsafe { SetHandleInformation(GetStdHandle(handle), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// A process has the name of its program.
pub(crate) const fn entitle(_command: &mut Command, _title: &str) {}

/// Runs a program as if it stood in this process' place.
pub(crate) fn become_it(program: &mut Command) -> io::Result<u8> {
    let status = program.status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(Code::ExComerr.number()))
}

/// Whether a process is there and has not ended. One that we may not look at is.
pub(crate) fn is_alive(pid: u32) -> bool {
    // SAFETY: takes numbers only.
    let process = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, pid) };
    if process.is_null() {
        let denied = i32::try_from(ERROR_ACCESS_DENIED).ok();
        return io::Error::last_os_error().raw_os_error() == denied;
    }
    // SAFETY: opened above, closed once.
    unsafe {
        let waited = WaitForSingleObject(process, 0);
        CloseHandle(process);
        waited == WAIT_TIMEOUT
    }
}

/// The file that stands for a command.
pub(crate) fn link_name(command: &str) -> String {
    format!("{command}.exe")
}

/// Symbolic links need a privilege here. A hard link does not, and takes no room; where the file
/// system has none, a copy serves.
pub(crate) fn link(binary: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(binary, link).or_else(|_| fs::copy(binary, link).map(drop))
}

/// Whether a file is the binary, by its bytes: neither a hard link nor a copy says of what.
pub(crate) fn leads_to(link: &Path, binary: &Path) -> bool {
    same(link, binary).unwrap_or(false)
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}

/// The system itself refuses writes to the blocks of mounted volumes.
pub(crate) const fn not_in_use(_path: &Path) -> io::Result<()> {
    Ok(())
}
