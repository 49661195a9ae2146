//! This host and this user, as names of files carry them.

/// This host's name as it stands in names of files; letters, digits, `-`, `_` and `.` only.
#[must_use]
pub fn host_name() -> String {
    let name = raw_host_name();
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(unix)]
fn raw_host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn raw_host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// The effective user of this process; 0 where users have no numbers.
#[cfg(unix)]
#[must_use]
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective user of this process; 0 where users have no numbers.
#[cfg(not(unix))]
#[must_use]
pub const fn user_id() -> u32 {
    0
}
