//! The forms a command device is written in (`cci` 1.4), as a nom grammar.

use std::{fmt, str::FromStr};

use model::{LdevId, PortAddress, Serial, ids::BadWord};
use nom::{
    IResult, Parser,
    bytes::complete::{tag, tag_no_case, take_while1},
    character::complete::{char, digit1},
    combinator::{all_consuming, map_opt, map_res, opt, recognize, rest, verify},
    sequence::{delimited, preceded},
};

use crate::endpoint::Host;

/// The longest command device name, in characters (`cci` 1.2).
pub const MAX_DEVICE: usize = 63;

const EXPECTED: BadWord = BadWord {
    expected: "a command device of at most 63 characters: /dev/..., \\\\.\\PhysicalDriveN, \
               \\\\.\\Volume{GUID}, \\\\.\\CMD-serial[-ldev[-port]][:hint] or \
               \\\\.\\IPCMD-host-port[-unit]",
};

/// One command device. `Display` gives the spelling of the configuration file, which is also
/// what `horcctl -D` prints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommandDevice {
    /// A UNIX device file, beginning with `/`.
    Path(String),
    /// `\\.\PhysicalDriveN`.
    PhysicalDrive(u32),
    /// `\\.\Volume{GUID}`; the GUID as written, without braces.
    VolumeGuid(String),
    /// `\\.\CMD-serial[-ldev[-port]][:hint]`: whichever device of the host answers so.
    Search {
        /// The storage system it must belong to.
        serial: Serial,
        /// The LDEV it must be; `None` takes any command device of the system.
        ldev: Option<LdevId>,
        /// The port it must be seen through; only together with `ldev`.
        port: Option<SearchPort>,
        /// Where to look: a directory ending in `/`, or the beginning of paths. `None` looks
        /// where a hint before it said, or at all disks.
        hint: Option<String>,
    },
    /// `\\.\IPCMD-host-port[-unit]`: over the network.
    Ip {
        /// The array, or whatever answers for it.
        host: Host,
        /// Its UDP port, 256 to 65535. Lower ones would read as a unit id.
        port: u16,
        /// Which array behind that address.
        unit: Option<u8>,
    },
}

/// The port of a [`CommandDevice::Search`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchPort {
    /// `CL1`: any port of a cluster, `1` to `9` or `A` to `G`.
    Cluster(char),
    /// `CL1-A` or `CL1-A-1`.
    Port(PortAddress),
}

impl FromStr for SearchPort {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word.as_bytes() {
            [b'C' | b'c', b'L' | b'l', cluster] => match cluster.to_ascii_uppercase() {
                cluster @ (b'1'..=b'9' | b'A'..=b'G') => Ok(Self::Cluster(cluster.into())),
                _ => Err(EXPECTED),
            },
            _ => word.parse().map(Self::Port),
        }
    }
}

impl fmt::Display for SearchPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(cluster) => write!(f, "CL{cluster}"),
            Self::Port(port) => port.fmt(f),
        }
    }
}

impl FromStr for CommandDevice {
    type Err = BadWord;

    /// Letter case does not matter in keywords and ports, as Windows names are spelled freely.
    fn from_str(word: &str) -> Result<Self, BadWord> {
        // U+FFFD stands for bytes that were not UTF-8.
        let printable = |c: char| !c.is_whitespace() && !c.is_control() && c != '\u{fffd}';
        // No form is longer in characters than 63, nor a character in bytes than 4.
        if word.len() > MAX_DEVICE * 4
            || word.chars().count() > MAX_DEVICE
            || !word.chars().all(printable)
        {
            return Err(EXPECTED);
        }
        if word.starts_with('/') {
            return Ok(Self::Path(word.to_owned()));
        }
        let (_, device) = all_consuming(windows_name)
            .parse(word)
            .map_err(|_: nom::Err<nom::error::Error<&str>>| EXPECTED)?;
        Ok(device)
    }
}

fn windows_name(input: &str) -> IResult<&str, CommandDevice> {
    preceded(tag(r"\\.\"), nom::branch::alt((physical_drive, volume_guid, ip, search))).parse(input)
}

fn physical_drive(input: &str) -> IResult<&str, CommandDevice> {
    preceded(tag_no_case("PhysicalDrive"), map_res(digit1, str::parse))
        .map(CommandDevice::PhysicalDrive)
        .parse(input)
}

fn volume_guid(input: &str) -> IResult<&str, CommandDevice> {
    let guid = verify(take_while1(|c: char| c.is_ascii_hexdigit() || c == '-'), |guid: &str| {
        guid.split('-').map(str::len).eq([8, 4, 4, 4, 12])
    });
    preceded(tag_no_case("Volume"), delimited(char('{'), guid, char('}')))
        .map(|guid: &str| CommandDevice::VolumeGuid(guid.to_owned()))
        .parse(input)
}

/// Host names contain dashes too, so this is read from the right: a number of at most 255 is a
/// unit id, and the port before it is always larger.
fn ip(input: &str) -> IResult<&str, CommandDevice> {
    let split = |text: &str| {
        let number = |word: &str| word.parse::<u16>().ok().filter(|_| all_digits(word));
        let (front, last) = text.rsplit_once('-')?;
        let last = number(last)?;
        let (host, port, unit) = match u8::try_from(last) {
            Err(_) => (front, last, None),
            Ok(unit) => {
                let (host, port) = front.rsplit_once('-')?;
                let port = number(port).filter(|port| *port > u8::MAX.into())?;
                (host, port, Some(unit))
            }
        };
        let host = host.parse().ok()?;
        Some(CommandDevice::Ip { host, port, unit })
    };
    preceded(tag_no_case("IPCMD-"), map_opt(rest, split)).parse(input)
}

fn all_digits(word: &str) -> bool {
    word.bytes().all(|c| c.is_ascii_digit())
}

fn search(input: &str) -> IResult<&str, CommandDevice> {
    let serial = map_res(digit1, str::parse);
    let hex = preceded(tag_no_case("0x"), take_while1(|c: char| c.is_ascii_hexdigit()));
    let ldev = map_res(nom::branch::alt((recognize(hex), digit1)), str::parse::<LdevId>);
    let port = map_res(take_while1(|c| c != ':'), str::parse::<SearchPort>);
    let target = (ldev, opt(preceded(char('-'), port)));
    let hint = preceded(char(':'), verify(rest, |hint: &str| !hint.is_empty()));
    preceded(tag_no_case("CMD-"), (serial, opt(preceded(char('-'), target)), opt(hint)))
        .map(|(serial, target, hint): (_, _, Option<&str>)| CommandDevice::Search {
            serial,
            ldev: target.map(|(ldev, _)| ldev),
            port: target.and_then(|(_, port)| port),
            hint: hint.map(str::to_owned),
        })
        .parse(input)
}

impl fmt::Display for CommandDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::PhysicalDrive(n) => write!(f, r"\\.\PhysicalDrive{n}"),
            Self::VolumeGuid(guid) => write!(f, r"\\.\Volume{{{guid}}}"),
            Self::Search { serial, ldev, port, hint } => {
                write!(f, r"\\.\CMD-{serial}")?;
                if let Some(ldev) = ldev {
                    write!(f, "-{ldev}")?;
                    if let Some(port) = port {
                        write!(f, "-{port}")?;
                    }
                }
                hint.iter().try_for_each(|hint| write!(f, ":{hint}"))
            }
            Self::Ip { host, port, unit } => {
                write!(f, r"\\.\IPCMD-{host}-{port}")?;
                unit.iter().try_for_each(|unit| write!(f, "-{unit}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_spelled_back_as_written() {
        for word in [
            "/dev/rdsk/c0t0d0",
            "/dev/sdb",
            r"\\.\PhysicalDrive0",
            r"\\.\Volume{b93790a8-1234-11d7-8070-806d6172696f}",
            r"\\.\CMD-30095",
            r"\\.\CMD-30095-250",
            r"\\.\CMD-30095-250-CL1",
            r"\\.\CMD-30095-250-CL1-A",
            r"\\.\CMD-30095-250-CL1-A-1:/dev/rdsk/",
            r"\\.\CMD-30095:/dev/rdsk/",
            r"\\.\CMD-492015:/dev/sd",
            r"\\.\IPCMD-172.16.167.13-31001",
            r"\\.\IPCMD-127.0.0.1-31001-0",
            r"\\.\IPCMD-fe80::1-31001",
            r"\\.\IPCMD-array-2-31001",
            r"\\.\IPCMD-array-2-31001-3",
        ] {
            assert_eq!(word.parse::<CommandDevice>().map(|d| d.to_string()), Ok(word.into()));
        }
    }

    #[test]
    fn parts_land_where_they_belong() {
        assert_eq!(
            r"\\.\CMD-30095-250-CL2:/dev/sd".parse(),
            Ok(CommandDevice::Search {
                serial: Serial::new(30095).unwrap(),
                ldev: LdevId::new(250),
                port: Some(SearchPort::Cluster('2')),
                hint: Some("/dev/sd".into()),
            })
        );
        assert_eq!(
            r"\\.\ipcmd-array-2-31001-3".parse(),
            Ok(CommandDevice::Ip { host: "array-2".parse().unwrap(), port: 31001, unit: Some(3) })
        );
        assert_eq!(r"\\.\physicaldrive7".parse(), Ok(CommandDevice::PhysicalDrive(7)));
    }

    #[test]
    fn other_words_are_refused() {
        let long = format!("/dev/{}", "x".repeat(MAX_DEVICE));
        for word in [
            "",
            "sdb",
            "PhysicalDrive0",
            r"\\.\",
            r"\\.\PhysicalDrive",
            r"\\.\PhysicalDrive99999999999",
            r"\\.\Volume{}",
            r"\\.\Volume{xyz}",
            r"\\.\CMD-",
            r"\\.\CMD-1-",
            r"\\.\CMD-1-CL1-A",
            r"\\.\CMD-1-2-XX1",
            r"\\.\CMD-1:",
            r"\\.\IPCMD-host",
            r"\\.\IPCMD-host-1",
            r"\\.\IPCMD--31001",
            r"\\.\IPCMD-NONE-31001",
            r"\\.\IPCMD-host-99999",
            r"\\.\HUID1",
            &long,
            "/dev/\u{1b}[m",
        ] {
            assert!(word.parse::<CommandDevice>().is_err(), "{word:?}");
        }
    }
}
