//! What differs between operating systems: processes, links, who uses a disk. One file a system,
//! with the same functions.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    USER, become_it, command_name, detach, entitle, is_alive, leads_to, link, link_name,
    not_in_use, variable_name,
};
#[cfg(windows)]
pub(crate) use windows::{
    USER, become_it, command_name, detach, entitle, is_alive, leads_to, link, link_name,
    not_in_use, variable_name,
};
