//! What command devices ask for, and the users.

use protocol::orders::Security;

use super::{
    ConfigError, bad,
    file::{File, SecuritySection},
    storage::{ldev_range, range},
};
use crate::users::{Authority, User, password};

/// The attributes of command devices, and the users.
pub(super) fn authority(file: &File) -> Result<Authority, ConfigError> {
    let attributes = |section: SecuritySection| Security {
        protection: section.protection,
        user_authentication: section.user_authentication,
        device_groups: section.device_groups,
    };
    let mut authority =
        Authority { ipcmd: attributes(file.ipcmd.security), ..Authority::default() };
    for (n, section) in file.ldev.iter().enumerate() {
        let key = format!("ldev[{}]", n + 1);
        let Some(security) = section.security else { continue };
        if !section.command_device {
            return Err(bad(format!("{key}.security"), "only a command device has attributes"));
        }
        let (first, last) = ldev_range(&key, &section.ldev)?;
        let of = range(first, last).map(|ldev| (ldev, attributes(security)));
        authority.command_devices.extend(of);
    }
    for (n, section) in file.user.iter().enumerate() {
        let key = format!("user[{}]", n + 1);
        let fits = (1..=63).contains(&section.name.chars().count())
            && !section.name.chars().any(|c| c.is_control() || c.is_whitespace());
        if !fits || authority.user(&section.name).is_some() {
            let problem = "expected 1 to 63 printable characters without blanks, each name once";
            return Err(bad(format!("{key}.name"), problem));
        }
        if !password::is_hash(&section.password_hash) {
            let problem = "expected a hash as `arrayd hash-password` prints it";
            return Err(bad(format!("{key}.password_hash"), problem));
        }
        authority.users.push(User {
            name: section.name.clone(),
            hash: section.password_hash.clone(),
            roles: section.roles.clone(),
        });
    }
    let asks = authority.ipcmd.user_authentication
        || authority.command_devices.iter().any(|(_, security)| security.user_authentication);
    if asks && authority.users.is_empty() {
        let problem = "a command device asks for user authentication, and there is nobody";
        return Err(bad("user", problem));
    }
    Ok(authority)
}
