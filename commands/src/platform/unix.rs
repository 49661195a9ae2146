//! Unix.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::{
        fs::{FileTypeExt, OpenOptionsExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use rustix::{io::Errno, process};

/// The variable with the name of the user.
pub(crate) const USER: &str = "USER";

/// The name of a variable as commands know it.
pub(crate) const fn variable_name(name: String) -> String {
    name
}

/// The command that a file is called as.
pub(crate) fn command_name(file: &str) -> String {
    file.to_owned()
}

/// Cuts the daemon loose from the terminal and the process group it is started from.
pub(crate) fn detach(command: &mut Command) {
    // SAFETY: between fork and exec only async-signal-safe functions may run. setsid is one, and
    // turning its errno into an error neither allocates nor locks.
    unsafe {
        command.pre_exec(|| process::setsid().map(drop).map_err(io::Error::from));
    }
}

/// Gives a process to be a title.
pub(crate) fn entitle(command: &mut Command, title: &str) {
    command.arg0(title);
}

/// Puts a program in this process' place; returns only when that fails.
pub(crate) fn become_it(program: &mut Command) -> io::Result<u8> {
    Err(program.exec())
}

/// Whether a process is there and has not merely been left unreaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Some(number) = i32::try_from(pid).ok().and_then(process::Pid::from_raw) else {
        return false;
    };
    let there = match process::test_kill_process(number) {
        Ok(()) | Err(Errno::PERM) => true,
        Err(_) => false,
    };
    there && !is_zombie(pid)
}

/// The state letter stands behind the process name, which may itself contain anything.
fn is_zombie(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// The file that stands for a command.
pub(crate) fn link_name(command: &str) -> String {
    command.to_owned()
}

/// Makes a link to the binary.
pub(crate) fn link(binary: &Path, link: &Path) -> io::Result<()> {
    symlink(binary, link)
}

/// Whether a link is one to the binary.
pub(crate) fn leads_to(link: &Path, binary: &Path) -> bool {
    fs::canonicalize(link).is_ok_and(|target| target == binary)
}

/// Whether nothing of a disk is mounted: the kernel gives a block device to nobody else only then.
pub(crate) fn not_in_use(path: &Path) -> io::Result<()> {
    let block = fs::metadata(path).is_ok_and(|data| data.file_type().is_block_device());
    if block {
        let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap_or(0);
        OpenOptions::new().read(true).custom_flags(exclusive).open(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_has_ended() {
        assert!(is_alive(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(!is_alive(pid));
        assert!(!is_alive(0) && !is_alive(u32::MAX));
    }
}
