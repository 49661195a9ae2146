//! What differs between operating systems: where files of an installation are, whose they are, and
//! who and where we are. One file a system, with the same functions.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    account, check_folder, check_owner, default_root, exposure, host_name, is_own_file,
    is_own_folder, make_private_folder, opens_own, private_file, remove, replace, system_conf_dir,
    user_id,
};
#[cfg(windows)]
pub(crate) use windows::{
    account, check_folder, check_owner, default_root, exposure, host_name, is_own_file,
    is_own_folder, make_private_folder, opens_own, private_file, remove, replace, system_conf_dir,
    user_id,
};
