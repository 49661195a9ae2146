//! This host and this user, as names of files carry them.

use crate::platform;

/// This host's name as it stands in names of files; letters, digits, `-`, `_` and `.` only.
#[must_use]
pub fn host_name() -> String {
    let name: String = platform::host_name()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// This user as it stands in names of files: the number of the effective user; on Windows the whole
/// security identifier (`S-1-5-21-A-B-C-500`), for two domains may have the same last number.
#[must_use]
pub fn account() -> String {
    platform::account()
}

/// The effective user of this process; on Windows the last number of the user's security identifier.
#[must_use]
pub fn user_id() -> u32 {
    platform::user_id()
}
