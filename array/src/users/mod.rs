//! Who may give orders: the attributes of command devices, users, sessions (ADR 010).
//!
//! | file | what it holds |
//! |---|---|
//! | this | [`Authority`]: attributes and users, as they are kept; [`Via`]: the way an order came |
//! | [`rights`] | what each order needs |
//! | [`sessions`] | who is logged in |
//! | [`guessing`] | waiting after wrong passwords |
//! | [`password`] | hashes |

pub mod guessing;
pub mod password;
pub mod rights;
pub mod sessions;

use model::LdevId;
use protocol::orders::Security;
use serde::{Deserialize, Serialize};

/// Which command device an order came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The one over the network.
    Ipcmd,
    /// That of this LDEV, in band.
    Ldev(LdevId),
}

/// Record 5 of table `head`, postcard, fields in order; without it nothing is asked of anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Authority {
    /// The attributes of the command device over the network.
    pub ipcmd: Security,
    /// Those of command devices that have any.
    pub command_devices: Vec<(LdevId, Security)>,
    /// The users, each name once.
    pub users: Vec<User>,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name, 1 to 63 printable characters.
    pub name: String,
    /// The hash of the password, as a PHC string: `$argon2id$v=19$...`.
    pub hash: String,
    /// What the user may do.
    pub roles: Vec<UserRole>,
}

impl std::fmt::Debug for User {
    /// Without the hash: `arrayd dump` is shown to others.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.name, self.roles)
    }
}

/// What a user may do beside asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRole {
    /// Make, split, resynchronise and dissolve pairs inside the storage system.
    LocalCopy,
    /// Set guards.
    Provisioning,
}

impl Authority {
    /// Its key in table `head`.
    pub const KEY: u64 = 5;

    /// The attributes of a command device.
    #[must_use]
    pub fn security(&self, via: Via) -> Security {
        match via {
            Via::Ipcmd => self.ipcmd,
            Via::Ldev(ldev) => {
                let found = self.command_devices.iter().find(|(known, _)| *known == ldev);
                found.map(|(_, security)| *security).unwrap_or_default()
            }
        }
    }

    /// The user of that name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}
