//! How commits are held, by server.

use serde::Deserialize;

use super::facts::Version;
use crate::writer::{Fault, FaultKind};

/// What an administrator chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lock {
    /// Stages where the server has them, else the read lock.
    #[default]
    Auto,
    /// `BACKUP STAGE` up to `BLOCK_COMMIT`: neither waits for queries nor for transactions that
    /// write to InnoDB.
    Stages,
    /// `FLUSH TABLES WITH READ LOCK`: waits for every running query.
    ReadLock,
}

/// What is done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// See [`Lock::Stages`].
    Stages,
    /// See [`Lock::ReadLock`].
    ReadLock,
}

impl Lock {
    /// What is done to a server of this version.
    ///
    /// # Errors
    /// That it does not know what was chosen.
    pub fn method(self, version: &Version) -> Result<Method, Fault> {
        match (self, version.has_stages()) {
            (Self::ReadLock, _) | (Self::Auto, false) => Ok(Method::ReadLock),
            (Self::Auto | Self::Stages, true) => Ok(Method::Stages),
            (Self::Stages, false) => {
                Err(Fault::new(FaultKind::NonRetryable, format!("{version} has no BACKUP STAGE"))
                    .action("MariaDB has it from 10.4.1 on; choose lock = \"read-lock\""))
            }
        }
    }
}

impl Method {
    /// Before anything is held.
    pub fn begin(self) -> Option<&'static str> {
        match self {
            Self::Stages => Some("BACKUP STAGE START"),
            Self::ReadLock => None,
        }
    }

    /// Commits stand still when the last of these has answered.
    pub fn hold(self) -> &'static [&'static str] {
        match self {
            // Each stage waits for something else; one by one, each has the whole lock wait.
            Self::Stages => {
                &["BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL", "BACKUP STAGE BLOCK_COMMIT"]
            }
            Self::ReadLock => &["FLUSH TABLES WITH READ LOCK"],
        }
    }

    /// Commits go on.
    pub fn release(self) -> &'static [&'static str] {
        match self {
            Self::Stages => &["BACKUP STAGE END"],
            Self::ReadLock => &["UNLOCK TABLES"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_from_mariadb_10_4_1_on() {
        for (text, stages) in [
            ("10.4.1-MariaDB", true),
            ("11.8.2-MariaDB-log", true),
            ("10.4.0-MariaDB", false),
            ("10.3.39-MariaDB-0+deb10u1", false),
            ("8.4.2", false),
            ("5.7.44-log", false),
        ] {
            let version = Version::parse(text).unwrap();
            let wanted = if stages { Method::Stages } else { Method::ReadLock };
            assert_eq!(Lock::Auto.method(&version), Ok(wanted), "{text}");
            assert_eq!(Lock::ReadLock.method(&version), Ok(Method::ReadLock), "{text}");
            assert_eq!(Lock::Stages.method(&version).is_ok(), stages, "{text}");
        }
    }
}
