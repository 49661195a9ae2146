//! Who a disk is, by its INQUIRY data and VPD pages.

use model::{LdevId, PortName, Serial};

use super::{HostDisk, Identity, Inquiry};
use crate::{
    medium::{Place, Standing},
    vendor_page::{VENDOR, VendorPage, trimmed},
};

/// What was read of a disk; empty where it could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pages {
    /// Standard INQUIRY data, at least 36 bytes.
    pub inquiry: Vec<u8>,
    /// VPD page 80h, with its head.
    pub serial: Vec<u8>,
    /// VPD page 83h, with its head.
    pub designators: Vec<u8>,
    /// VPD page C0h, with its head.
    pub vendor: Vec<u8>,
}

impl Pages {
    /// Whether the standard INQUIRY data are there and say that a disk of this family is.
    #[must_use]
    pub fn ours(&self) -> bool {
        self.inquiry.get(8..16) == Some(VENDOR.as_slice()) && inquiry(&self.inquiry).is_some()
    }

    /// The disk, without its name.
    #[must_use]
    pub fn disk(self) -> HostDisk {
        let identity = if self.ours() { self.identity() } else { None };
        HostDisk { inquiry: inquiry(&self.inquiry), identity, pages: self, ..HostDisk::default() }
    }

    /// By the vendor page; without it, by what pages 80h and 83h tell.
    fn identity(&self) -> Option<Identity> {
        if let Some(page) = VendorPage::parse(&self.vendor) {
            let VendorPage { serial, ldev, lun: _, command_device, port, standing, place } = page;
            return Some(Identity { serial, ldev, port, command_device, standing, place });
        }
        let (serial, ldev) = serial_and_ldev(&self.serial)?;
        let product = inquiry(&self.inquiry)?.product;
        Some(Identity {
            serial,
            ldev,
            port: port(&self.designators),
            command_device: product.ends_with("-CM"),
            standing: Standing::default(),
            place: Place::default(),
        })
    }
}

/// Standard INQUIRY data; `None` where they say that no device is there.
fn inquiry(bytes: &[u8]) -> Option<Inquiry> {
    let head = bytes.first_chunk::<36>().filter(|head| head[0] >> 5 == 0)?;
    let [vendor, product, revision] = [8..16, 16..32, 32..36].map(|field| trimmed(&head[field]));
    Some(Inquiry { vendor, product, revision })
}

/// Page 80h as this storage system writes it: serial number and LDEV, eight hexadecimal digits
/// each.
fn serial_and_ldev(page: &[u8]) -> Option<(Serial, LdevId)> {
    let text = body(page, 0x80)?;
    let digits = std::str::from_utf8(text.first_chunk::<16>()?).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len() == 16;
    let number = |digits| u32::from_str_radix(digits, 16).ok().filter(|_| plain);
    Some((Serial::new(number(&digits[..8])?)?, LdevId::new(number(&digits[8..])?)?))
}

/// The port by the name of the target port in page 83h, `iqn...:62496.cl2-c,t,0x0001`.
fn port(page: &[u8]) -> Option<PortName> {
    let mut rest = body(page, 0x83)?;
    while let Some((&[_, kind, _, length], more)) = rest.split_first_chunk::<4>() {
        let (designator, next) = more.split_at_checked(length.into())?;
        // Of a target port (association 1), a SCSI name string (8).
        if kind & 0x3f == 0x18 {
            let name = String::from_utf8_lossy(designator);
            let name = name.split(',').next().unwrap_or_default();
            return name.rsplit('.').next()?.parse().ok();
        }
        rest = next;
    }
    None
}

/// What is behind the head of a VPD page of this code.
fn body(page: &[u8], code: u8) -> Option<&[u8]> {
    let (&[qualifier, found, high, low], body) = page.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    (qualifier >> 5 == 0 && found == code).then(|| body.get(..length)).flatten()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Standard INQUIRY data of a disk.
    pub(in crate::disks) fn standard(vendor: &str, product: &str) -> Vec<u8> {
        let mut bytes = vec![0, 0, 6, 0x12, 31, 0, 0, 2];
        bytes.extend(format!("{vendor:<8}{product:<16}2114").bytes());
        bytes
    }

    /// Page 80h.
    pub(in crate::disks) fn page_80(text: &str) -> Vec<u8> {
        let mut page = vec![0, 0x80, 0, text.len() as u8];
        page.extend(text.bytes());
        page
    }

    /// Page 83h with the name of a target port behind a designator of the unit.
    pub(in crate::disks) fn page_83(target: &str) -> Vec<u8> {
        let mut page =
            vec![0, 0x83, 0, (16 + target.len()) as u8, 1, 3, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        page.extend([0x53, 0x98, 0, target.len() as u8]);
        page.extend(target.bytes());
        page
    }

    #[test]
    fn without_the_vendor_page_serial_ldev_and_port_are_known() {
        let pages = Pages {
            inquiry: standard("HITACHI", "OPEN-3-CM"),
            serial: page_80("0000F42000000010"),
            designators: page_83("iqn.2026-11.internal.raidmanager:62496.cl2-c,t,0x0001"),
            vendor: Vec::new(),
        };
        let identity = pages.disk().identity.unwrap();
        assert_eq!((identity.serial.get(), identity.ldev.get()), (62_496, 16));
        assert_eq!(identity.port, "CL2-C".parse().ok());
        assert!(identity.command_device);
        assert_eq!(identity.standing, Standing::default());
    }

    #[test]
    fn a_disk_of_others_has_vendor_and_product_only() {
        let pages = Pages {
            inquiry: standard("MAXTOR", "L040L2"),
            serial: page_80("0000F42000000010"),
            ..Pages::default()
        };
        let disk = pages.disk();
        assert_eq!(disk.identity, None);
        let inquiry = disk.inquiry.unwrap();
        assert_eq!((inquiry.vendor.as_str(), inquiry.product.as_str()), ("MAXTOR", "L040L2"));
    }

    #[test]
    fn a_disk_that_hides_is_not_there() {
        let mut pages = Pages {
            inquiry: standard("HITACHI", "OPEN-3"),
            serial: page_80("0000F42000000010"),
            ..Pages::default()
        };
        pages.inquiry[0] = 0x7f;
        let disk = pages.disk();
        assert_eq!((disk.inquiry, disk.identity), (None, None));
    }

    #[test]
    fn pages_that_are_cut_or_wrong_say_nothing_and_do_not_panic() {
        let whole = page_83("iqn.2026-11.internal.raidmanager:62496.cl2-c,t,0x0001");
        for cut in 0..whole.len() {
            assert_eq!(port(&whole[..cut]), None, "{cut}");
        }
        for text in
            ["", "0000F4200000001", "0000F42000000010 ", "0000G42000000010", "0000F420FFFFFFFF"]
        {
            assert_eq!(serial_and_ldev(&page_80(text)), None, "{text}");
        }
        let serial = page_80("é000F4200000010");
        assert_eq!(serial_and_ldev(&serial), None);
    }
}
