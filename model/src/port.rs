//! Ports, host groups and the paths that lead to LDEVs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::{BadWord, Lun, TargetId};

const EXPECTED: &str = "a port: CL1-A to CLG-R, and for a host group CL1-A-1";

/// A port of the storage system: cluster `1`-`9`, `A`-`G`, and letter `A`-`R`, as in `CL2-C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u8, u8)", into = "(u8, u8)")]
pub struct PortName {
    cluster: u8,
    letter: u8,
}

impl PortName {
    /// `CL1-A`, which `raidscan` scans when told nothing else.
    pub const CL1_A: Self = Self { cluster: b'1', letter: b'A' };
}

impl TryFrom<(u8, u8)> for PortName {
    type Error = BadWord;
    fn try_from((cluster, letter): (u8, u8)) -> Result<Self, BadWord> {
        let (cluster, letter) = (cluster.to_ascii_uppercase(), letter.to_ascii_uppercase());
        if matches!(cluster, b'1'..=b'9' | b'A'..=b'G') && matches!(letter, b'A'..=b'R') {
            Ok(Self { cluster, letter })
        } else {
            Err(BadWord::new(EXPECTED))
        }
    }
}

impl From<PortName> for (u8, u8) {
    fn from(port: PortName) -> Self {
        (port.cluster, port.letter)
    }
}

impl FromStr for PortName {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word.as_bytes() {
            [b'C' | b'c', b'L' | b'l', cluster, b'-', letter] => (*cluster, *letter).try_into(),
            _ => Err(BadWord::new(EXPECTED)),
        }
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CL{}-{}", char::from(self.cluster), char::from(self.letter))
    }
}

/// A port, or one host group of it: `CL1-A` or `CL1-A-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortAddress {
    /// The port.
    pub port: PortName,
    /// The host group number, 0 to 254; `None` where none was written, which means group 0.
    pub host_group: Option<u8>,
}

impl FromStr for PortAddress {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let Some((port, group)) = word.get(..5).zip(word.get(5..)) else {
            return Err(BadWord::new(EXPECTED));
        };
        let port = port.parse()?;
        let host_group = match group.strip_prefix('-') {
            None if group.is_empty() => None,
            Some(n) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => {
                let n = n.parse().ok().filter(|n: &u8| *n <= 254);
                Some(n.ok_or(BadWord::new("a host group number from 0 to 254"))?)
            }
            _ => return Err(BadWord::new(EXPECTED)),
        };
        Ok(Self { port, host_group })
    }
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_group {
            None => self.port.fmt(f),
            Some(group) => write!(f, "{}-{group}", self.port),
        }
    }
}

/// The path of a logical unit: port (and host group), target id, LUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LuPath {
    /// Port and host group.
    pub port: PortAddress,
    /// Target id as `raidscan` shows it.
    pub target: TargetId,
    /// Logical unit number.
    pub lun: Lun,
}

impl fmt::Display for LuPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} TargetID {} LU# {}", self.port, self.target, self.lun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_words_round_trip() {
        for word in ["CL1-A", "CL2-C", "CLG-R", "CL1-A-0", "CL8-F-12"] {
            assert_eq!(word.parse::<PortAddress>().unwrap().to_string(), word);
        }
        assert_eq!("cl2-c".parse::<PortAddress>().unwrap().to_string(), "CL2-C");
    }

    #[test]
    fn port_words_out_of_range_are_refused() {
        for word in
            ["", "CL0-A", "CLH-A", "CL1-S", "CL1A", "CL1-A-", "CL1-A-255", "CL1-A-1x", "é1-A-"]
        {
            assert!(word.parse::<PortAddress>().is_err(), "{word:?}");
        }
    }
}
