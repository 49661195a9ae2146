//! Who listens where: hosts, services, and the address a monitor binds.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use model::ids::BadWord;

/// The longest host name or address, in characters (`cci` 1.2).
pub const MAX_HOST: usize = 63;
/// The longest service name, in characters (`cci` 1.2).
pub const MAX_SERVICE: usize = 15;

const HOST: BadWord = BadWord { expected: "a host name or IP address of at most 63 characters" };
const SERVICE: BadWord =
    BadWord { expected: "a UDP port from 1 to 65535, or a service name of at most 15 characters" };

/// A host by name, IPv4 or IPv6 address (`fe80::1%eth0` too). Not yet resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Box<str>);

impl Host {
    /// `127.0.0.1`.
    #[must_use]
    pub fn loopback() -> Self {
        Self("127.0.0.1".into())
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = BadWord;

    /// Letters, digits, `.`, `-`, `_`; what looks like an address must be one. `NONE` and
    /// `NONE6` are no hosts: they mean "every address" and belong to `HORCM_MON` alone.
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
        let good = if word.contains(':') {
            let (address, scope) = word.split_once('%').unwrap_or((word, "0"));
            address.parse::<Ipv6Addr>().is_ok() && !scope.is_empty() && scope.bytes().all(plain)
        } else if word.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
            word.parse::<Ipv4Addr>().is_ok()
        } else {
            word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && word.bytes().all(plain)
                && MonitorAddress::keyword(word).is_none()
        };
        if good && word.len() <= MAX_HOST { Ok(Self(word.into())) } else { Err(HOST) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A UDP port: by number, or by a name of the host's services file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The port, 1 to 65535.
    Port(u16),
    /// A name with at least one character that is no digit, at most 15 characters.
    Name(String),
}

impl FromStr for Service {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b".-_+".contains(&c);
        if word.is_empty() || word.len() > MAX_SERVICE || !word.bytes().all(plain) {
            return Err(SERVICE);
        }
        if word.bytes().all(|c| c.is_ascii_digit()) {
            let port = word.parse().ok().filter(|port| *port != 0);
            return port.map(Self::Port).ok_or(SERVICE);
        }
        if word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            Ok(Self::Name(word.to_owned()))
        } else {
            Err(SERVICE)
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => fmt::Display::fmt(port, f),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// The address column of `HORCM_MON`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MonitorAddress {
    /// One local address.
    Host(Host),
    /// `NONE`: every IPv4 address of this host.
    None,
    /// `NONE6`: every IPv6 address of this host.
    None6,
}

impl MonitorAddress {
    fn keyword(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("NONE") {
            Some(Self::None)
        } else if word.eq_ignore_ascii_case("NONE6") {
            Some(Self::None6)
        } else {
            None
        }
    }
}

impl FromStr for MonitorAddress {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        if let Some(keyword) = Self::keyword(word) {
            return Ok(keyword);
        }
        word.parse().map(Self::Host).map_err(|_| BadWord {
            expected: "a host name or IP address of at most 63 characters, NONE or NONE6",
        })
    }
}

impl fmt::Display for MonitorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::None => f.pad("NONE"),
            Self::None6 => f.pad("NONE6"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_every_kind_are_taken_as_written() {
        let longest = "a".repeat(MAX_HOST);
        for word in
            ["localhost", "node-3", "10.0.0.1", "::1", "fe80::1%eth0", "a_b.example", &longest]
        {
            assert_eq!(word.parse::<Host>().unwrap().to_string(), word);
        }
    }

    #[test]
    fn words_that_are_no_host_are_refused() {
        let long = "a".repeat(MAX_HOST + 1);
        for word in
            ["", "300.1.1.1", "1.2.3", "::g", "fe80::1%", "-x", "a/b", "NONE", "none6", "é", &long]
        {
            assert!(word.parse::<Host>().is_err(), "{word:?}");
        }
    }

    #[test]
    fn services_are_ports_or_names() {
        assert_eq!("52050".parse(), Ok(Service::Port(52050)));
        assert_eq!("horcm0".parse(), Ok(Service::Name("horcm0".into())));
        for word in ["", "0", "65536", "-1", "sixteen-letters-", "a b", "a/udp"] {
            assert!(word.parse::<Service>().is_err(), "{word:?}");
        }
    }

    #[test]
    fn none_and_none6_bind_every_address() {
        assert_eq!("NONE".parse(), Ok(MonitorAddress::None));
        assert_eq!("none6".parse(), Ok(MonitorAddress::None6));
        assert_eq!(MonitorAddress::None6.to_string(), "NONE6");
    }
}
