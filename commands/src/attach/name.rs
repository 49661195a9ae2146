//! How a LUN is named: `Harddisk3`, `\\.\PhysicalDrive3`, `62496:18`, or
//! `iscsi://HOST[:PORT]/TARGET/LUN`.

use std::{fmt, str::FromStr};

use model::{LdevId, Serial};

/// The port of a portal where none is named (RFC 7143, 14).
const PORT: u16 = 3260;
/// LUNs of one level have 14 bits (SAM-5 4.7).
const MOST_LUN: u16 = 0x3fff;

/// A LUN by one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The Nth disk of the built-in initiator, from 0.
    Harddisk(usize),
    /// Whichever LUN is this LDEV.
    Ldev {
        /// Serial number of the storage system.
        serial: Serial,
        /// The LDEV.
        ldev: LdevId,
    },
    /// A LUN by where it is.
    Address {
        /// `HOST:PORT`.
        portal: String,
        /// The iSCSI name of the target.
        target: String,
        /// The number, 0 to 16383.
        lun: u16,
    },
}

/// A word that names no LUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            r"expected HarddiskN, \\.\PhysicalDriveN, SERIAL:LDEV such as 62496:18, or iscsi://HOST:PORT/TARGET/LUN",
        )
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(word: &str) -> Result<Self, BadName> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<usize>().ok()).flatten().ok_or(BadName)
        };
        if let Some(digits) = word.strip_prefix("Harddisk") {
            return number(digits).map(Self::Harddisk);
        }
        if let Some(digits) = word.strip_prefix(r"\\.\PhysicalDrive") {
            return number(digits).map(Self::Harddisk);
        }
        if let Some(rest) = word.strip_prefix("iscsi://") {
            return address(rest).ok_or(BadName);
        }
        let (serial, ldev) = word.split_once(':').ok_or(BadName)?;
        let serial = serial.parse().map_err(|_| BadName)?;
        let ldev = ldev.parse().map_err(|_| BadName)?;
        Ok(Self::Ldev { serial, ldev })
    }
}

fn address(rest: &str) -> Option<Name> {
    let mut parts = rest.split('/');
    let (portal, target, lun) = (parts.next()?, parts.next()?, parts.next()?);
    let lun = lun.parse().ok().filter(|lun| *lun <= MOST_LUN)?;
    if parts.next().is_some() || target.is_empty() || portal.is_empty() {
        return None;
    }
    let port = portal.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
    let portal = match port {
        Some((host, Ok(_))) if !host.is_empty() => portal.to_owned(),
        // What stands in brackets is an address with colons of its own.
        Some((_, Err(_))) if !portal.ends_with(']') => return None,
        _ => format!("{portal}:{PORT}"),
    };
    Some(Name::Address { portal, target: target.to_owned(), lun })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_its_lun() {
        let name = |word: &str| word.parse::<Name>();
        assert_eq!(name("Harddisk3"), Ok(Name::Harddisk(3)));
        assert_eq!(name(r"\\.\PhysicalDrive12"), Ok(Name::Harddisk(12)));
        let ldev = |number| Name::Ldev {
            serial: "62496".parse().unwrap(),
            ldev: LdevId::new(number).unwrap(),
        };
        assert_eq!(name("62496:18"), Ok(ldev(18)));
        assert_eq!(name("62496:0x12"), Ok(ldev(18)));
        assert_eq!(name("62496:01:12"), Ok(ldev(0x112)));
        let address = |portal: &str, lun| Name::Address {
            portal: portal.into(),
            target: "iqn.2020-01.a:b".into(),
            lun,
        };
        assert_eq!(name("iscsi://host/iqn.2020-01.a:b/7"), Ok(address("host:3260", 7)));
        assert_eq!(name("iscsi://[::1]:99/iqn.2020-01.a:b/0"), Ok(address("[::1]:99", 0)));
        assert_eq!(name("iscsi://[::1]/iqn.2020-01.a:b/0"), Ok(address("[::1]:3260", 0)));
    }

    #[test]
    fn what_names_no_lun_is_refused() {
        for word in [
            "",
            "Harddisk",
            "Harddisk-1",
            "Harddisk99999999999999999999999",
            "62496",
            ":18",
            "62496:",
            "62496:zz",
            "iscsi://host/target",
            "iscsi://host/target/16384",
            "iscsi://host/target/1/2",
            "iscsi://host:port/target/1",
            "iscsi:///target/1",
            "/dev/sda",
        ] {
            assert_eq!(word.parse::<Name>(), Err(BadName), "{word}");
        }
    }
}
