//! VPD page C0h, this storage system's own: what names the logical unit and the path to it. Written
//! by the device server, read by whoever looks for disks.

use model::{LdevId, Lun, PortName, Serial, TargetId};

use crate::medium::{Mirror, Place, Standing};

/// The vendor in INQUIRY data. Hosts know the storage system by it.
pub const VENDOR: &[u8; 8] = b"HITACHI ";
/// The code of the page.
pub const CODE: u8 = 0xc0;
/// Bytes behind the four of the head.
const LENGTH: usize = 52;
/// No number, where a number of 16 bits stands.
const NONE: u16 = u16::MAX;
/// No host group.
const NO_GROUP: u8 = u8::MAX;

/// The page:
///
/// | byte | what |
/// |---|---|
/// | 0-3 | peripheral qualifier and device type, C0h, bytes behind these four |
/// | 4-7 | serial number of the storage system |
/// | 8-11 | LDEV number |
/// | 12-13 | LUN on this path |
/// | 14 | 1 where it is a command device |
/// | 16-31 | name of the port such as `CL2-C`, ASCII, filled with spaces |
/// | 32-35 | what it is to HORC, and to MU# 0, 1 and 2: ASCII `s`, `P` or `S`; 0 unknown |
/// | 36-37 | SSID; FFFFh none |
/// | 38-39 | consistency group; FFFFh none |
/// | 40-47 | RAID group such as `5:01-04`, ASCII, filled with spaces |
/// | 48-49 | target id as the storage system counts; FFFFh unknown |
/// | 50-51 | LUN behind that target id; FFFFh unknown |
/// | 52 | host group; FFh unknown |
///
/// Pages that end at byte 31 are as old, and valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorPage {
    /// Serial number.
    pub serial: Serial,
    /// LDEV number.
    pub ldev: LdevId,
    /// LUN on this path.
    pub lun: u16,
    /// Whether it is a command device.
    pub command_device: bool,
    /// The port.
    pub port: Option<PortName>,
    /// How it stands in the storage system.
    pub standing: Standing,
    /// Where the path is in the storage system's own count.
    pub place: Place,
}

impl VendorPage {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let Standing { mirrors, ssid, ctg, raid_group } = &self.standing;
        let number = |number: Option<u16>| number.unwrap_or(NONE).to_be_bytes();
        let mut bytes = vec![0, CODE];
        bytes.extend((LENGTH as u16).to_be_bytes());
        bytes.extend(self.serial.get().to_be_bytes());
        bytes.extend(self.ldev.get().to_be_bytes());
        bytes.extend(self.lun.to_be_bytes());
        bytes.extend([u8::from(self.command_device), 0]);
        let port = self.port.map_or_else(String::new, |port| port.to_string());
        bytes.extend(filled::<16>(&port));
        bytes.extend(mirrors.map(|mirror| mirror.map_or(0, Mirror::letter)));
        bytes.extend(number(*ssid));
        bytes.extend(number(*ctg));
        bytes.extend(filled::<8>(raid_group));
        bytes.extend(number(self.place.target.map(TargetId::get)));
        bytes.extend(number(self.place.lun.map(Lun::get)));
        bytes.extend([self.place.host_group.unwrap_or(NO_GROUP), 0, 0, 0]);
        bytes
    }

    /// What the bytes of a page say; `None` where they are no such page.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<32>()?;
        if head[0] >> 5 != 0 || head[1] != CODE {
            return None;
        }
        let rest = bytes.get(32..53).unwrap_or(&[]);
        let number = |at: usize| -> Option<u16> {
            let bytes = [*rest.get(at)?, *rest.get(at + 1)?];
            Some(u16::from_be_bytes(bytes)).filter(|number| *number != NONE)
        };
        let long =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mirror = |n: usize| Mirror::from_letter(*rest.get(n)?);
        Some(Self {
            serial: Serial::new(long(4))?,
            ldev: LdevId::new(long(8))?,
            lun: u16::from_be_bytes([head[12], head[13]]),
            command_device: head[14] == 1,
            port: trimmed(&head[16..]).parse().ok(),
            standing: Standing {
                mirrors: [mirror(0), mirror(1), mirror(2), mirror(3)],
                ssid: number(4),
                ctg: number(6),
                raid_group: rest.get(8..16).map(trimmed).unwrap_or_default(),
            },
            place: Place {
                target: number(16).and_then(|n| TargetId::new(n.into())),
                lun: number(18).and_then(|n| Lun::new(n.into())),
                host_group: rest.get(20).copied().filter(|group| *group != NO_GROUP),
            },
        })
    }
}

/// ASCII, cut or filled with spaces.
pub(crate) fn filled<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [b' '; N];
    let printable = |byte: u8| if (0x20..0x7f).contains(&byte) { byte } else { b' ' };
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = printable(from);
    }
    bytes
}

/// The printable characters of a field, without the spaces that fill it.
pub(crate) fn trimmed(field: &[u8]) -> String {
    let printable = |byte: &u8| (0x20..0x7f).contains(byte);
    let text: String = field.iter().filter(|b| printable(b)).map(|b| char::from(*b)).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> VendorPage {
        VendorPage {
            serial: Serial::new(62_496).unwrap(),
            ldev: LdevId::new(18).unwrap(),
            lun: 1,
            command_device: false,
            port: "CL2-C".parse().ok(),
            standing: Standing {
                mirrors: [
                    Some(Mirror::Simplex),
                    Some(Mirror::Secondary),
                    None,
                    Some(Mirror::Primary),
                ],
                ssid: Some(4),
                ctg: None,
                raid_group: "5:01-04".into(),
            },
            place: Place { target: TargetId::new(25), lun: Lun::new(1), host_group: Some(0) },
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let mut expected = vec![0, 0xc0, 0, 52, 0, 0, 0xf4, 0x20, 0, 0, 0, 18, 0, 1, 0, 0];
        expected.extend(b"CL2-C           sS\0P");
        expected.extend([0, 4, 0xff, 0xff]);
        expected.extend(b"5:01-04 ");
        expected.extend([0, 25, 0, 1, 0, 0, 0, 0]);
        assert_eq!(page().bytes(), expected);
        assert_eq!(VendorPage::parse(&expected), Some(page()));
    }

    #[test]
    fn a_page_of_before_says_what_it_has() {
        let old = VendorPage::parse(&page().bytes()[..32]).unwrap();
        assert_eq!((old.ldev, old.port), (page().ldev, page().port));
        assert_eq!((old.standing, old.place), (Standing::default(), Place::default()));
    }

    #[test]
    fn what_is_no_such_page_says_nothing() {
        let bytes = page().bytes();
        for cut in 0..32 {
            assert_eq!(VendorPage::parse(&bytes[..cut]), None);
        }
        for (at, byte) in [(0, 0x7f), (1, 0x80), (8, 0xff)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert_eq!(VendorPage::parse(&bytes), None, "byte {at}");
        }
    }
}
