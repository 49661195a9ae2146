//! Unix: modes, numbers of users.

use std::{
    env,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// `/HORCM` for root; else `$XDG_STATE_HOME/horcm`; else `~/.local/state/horcm`.
pub(crate) fn default_root() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let standard = PathBuf::from("/HORCM");
    if user_id() == 0 {
        return standard;
    }
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    state.map_or(standard, |state| state.join("horcm"))
}

/// Where configuration files are that no installation has of its own.
pub(crate) fn system_conf_dir() -> PathBuf {
    PathBuf::from("/etc")
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// What the file system says.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a new file that only its owner can read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

/// Opens a file for reading, never what a link leads to, and waits for no writer.
pub(crate) fn opens_own() -> OpenOptions {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    options
}

/// Gives a file the name of another, and sees that it keeps it.
pub(crate) fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    fs::rename(draft, path)?;
    sync_names_beside(path)
}

/// Removes a file, and sees that it stays away.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_names_beside(path)
}

fn sync_names_beside(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Whether it is a folder of this user, no link to one, and nobody else may do anything with it.
pub(crate) fn is_own_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && is_own(&meta))
}

/// Whether it is a file of this user, and nobody else may do anything with it.
pub(crate) fn is_own_file(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && is_own(&meta))
}

fn is_own(meta: &Metadata) -> bool {
    meta.uid() == user_id() && meta.mode() & 0o077 == 0
}

/// A folder may be another user's: a site may let one account make keys for all.
pub(crate) const fn check_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The same of a file; modes say who could write it ([`exposure`]).
pub(crate) const fn check_owner(_: &File) -> io::Result<()> {
    Ok(())
}

/// What to run on a file that others can read; `None` when they cannot.
pub(crate) fn exposure(file: &File) -> Option<&'static str> {
    let exposed = file.metadata().is_ok_and(|meta| meta.mode() & 0o077 != 0);
    exposed.then_some("chmod 600")
}

/// The name of this host as the system tells it.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The effective user of this process, as text.
pub(crate) fn account() -> String {
    user_id().to_string()
}

/// The effective user of this process.
pub(crate) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}
