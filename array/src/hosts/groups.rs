//! Host groups: which initiators a group of LUN paths is for, and how they prove who they are.

use std::fmt;

use model::PortName;
use serde::{Deserialize, Serialize};

use crate::store::{Records, Row, StoreError, Table};

/// Any initiator that no other host group of the port names.
pub const ANYBODY: &str = "*";
/// The longest iSCSI name in bytes (RFC 7143, 4.2.7.1).
pub const LONGEST_NAME: usize = 223;
/// The most initiators of one host group.
pub const MAX_INITIATORS: usize = 255;
/// The lengths of a CHAP secret in bytes; below 12 it could be guessed (RFC 7143, 9.2.1).
pub const SECRET: std::ops::RangeInclusive<usize> = 12..=64;

/// Where the array listens for iSCSI; record 3 of table `head`, postcard, fields in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portal {
    /// Such as `0.0.0.0:3260`.
    pub listen: String,
}

impl Portal {
    /// Its key in table `head`.
    pub const KEY: u64 = 3;
}

/// A name and the secret that goes with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The CHAP name; 1 to 223 bytes.
    pub user: String,
    /// The CHAP secret; 12 to 64 bytes.
    pub secret: String,
}

impl fmt::Debug for Credentials {
    /// Without the secret: this may end up in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.user)
    }
}

/// What a login to a host group has to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chap {
    /// What the initiator proves.
    pub initiator: Credentials,
    /// What the array proves in return (mutual CHAP).
    pub target: Option<Credentials>,
}

/// A host group of a port; record in table `host_groups` under its position, postcard, fields in
/// order. Its LUN paths are those of table `paths` with its port and number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostGroup {
    /// The port.
    pub port: PortName,
    /// Its number, 0 to 254.
    pub number: u8,
    /// Its name, such as `2C-G00`; 1 to 64 characters.
    pub name: String,
    /// The iSCSI names of its initiators, in lower case, or [`ANYBODY`].
    pub initiators: Vec<String>,
    /// What they have to prove, if anything.
    pub chap: Option<Chap>,
}

impl HostGroup {
    /// Reads them all.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a record is none.
    pub fn load_all(records: &Records) -> Result<Vec<Self>, StoreError> {
        let decode = |(key, bytes): (u64, Vec<u8>)| {
            protocol::codec::decode(&bytes)
                .map_err(|_| records.damaged(Table::HostGroups, key, "it is not such a record"))
        };
        records.load(Table::HostGroups)?.into_iter().map(decode).collect()
    }

    /// Their records.
    pub fn rows(groups: &[Self]) -> impl Iterator<Item = Row> + '_ {
        let row = |(n, group)| Row::put(Table::HostGroups, n, protocol::codec::encode(group));
        (0..).zip(groups).map(row)
    }

    /// Whether it names an initiator, whose name is in lower case.
    fn names(&self, initiator: &str) -> bool {
        self.initiators.iter().any(|name| name == initiator)
    }
}

/// The host group of an initiator at a port: the one that names it, or else one for anybody.
#[must_use]
pub fn group_of<'a>(
    groups: &'a [HostGroup],
    port: PortName,
    initiator: &str,
) -> Option<&'a HostGroup> {
    let initiator = initiator.to_ascii_lowercase();
    let mine = || groups.iter().filter(|group| group.port == port);
    mine().find(|group| group.names(&initiator)).or_else(|| mine().find(|g| g.names(ANYBODY)))
}

/// Whether a word is an iSCSI name: `iqn.`, `eui.` or `naa.`, and what may follow (RFC 7143,
/// 4.2.7); in lower case.
#[must_use]
pub fn is_iscsi_name(word: &str) -> bool {
    let hex = |digits: &str, lengths: &[usize]| {
        lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let allowed = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c) || !c.is_ascii()
    };
    if word.len() > LONGEST_NAME || !word.chars().all(allowed) {
        return false;
    }
    match (word.strip_prefix("iqn."), word.strip_prefix("eui."), word.strip_prefix("naa.")) {
        (Some(rest), ..) => rest.len() > 8 && rest.as_bytes().get(4) == Some(&b'-'),
        (_, Some(rest), _) => hex(rest, &[16]),
        (.., Some(rest)) => hex(rest, &[16, 32]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(number: u8, initiators: &[&str]) -> HostGroup {
        HostGroup {
            port: PortName::CL1_A,
            number,
            name: format!("g{number}"),
            initiators: initiators.iter().map(ToString::to_string).collect(),
            chap: None,
        }
    }

    #[test]
    fn the_group_that_names_an_initiator_comes_before_the_one_for_anybody() {
        let groups = [group(0, &["*"]), group(1, &["iqn.2020-01.a:b"]), group(2, &[])];
        let of = |name: &str| group_of(&groups, PortName::CL1_A, name).map(|group| group.number);
        assert_eq!(of("iqn.2020-01.a:b"), Some(1));
        assert_eq!(of("IQN.2020-01.A:B"), Some(1), "names are compared in lower case");
        assert_eq!(of("iqn.2020-01.a:c"), Some(0));
        let other = "CL2-C".parse().unwrap();
        assert!(group_of(&groups, other, "iqn.2020-01.a:b").is_none());
        let closed = group_of(&groups[1..], PortName::CL1_A, "iqn.2020-01.a:c");
        assert!(closed.is_none(), "who is in no group sees nothing");
    }

    #[test]
    fn iscsi_names_have_the_three_shapes_of_the_standard() {
        for good in [
            "iqn.1993-08.org.debian:01:abc",
            "eui.02004567a425678d",
            "naa.52004567ba64678d",
            "naa.62004567ba64678d0123456789abcdef",
        ] {
            assert!(is_iscsi_name(good), "{good}");
        }
        for bad in ["", "iqn.", "iqn.1993", "host", "eui.0", "naa.12345", "iqn.1993-08.a b", "*"] {
            assert!(!is_iscsi_name(bad), "{bad}");
        }
        assert!(!is_iscsi_name(&format!("iqn.1993-08.{}", "a".repeat(220))));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Credentials { user: "me".into(), secret: "0123456789ab".into() };
        assert_eq!(format!("{secret:?}"), "me:***");
    }
}
