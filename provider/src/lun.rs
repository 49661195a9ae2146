//! LUN information as VSS gives and takes it (`VDS_LUN_INFORMATION`), and which volume it is.
//!
//! The storage system names its LUs three times (MK-94HC074 3.7.4): serial number and LDEV as
//! eight hexadecimal digits each in page 80h, the same behind `HITACHI ` as a T10 designator, and
//! in an NAA designator of page 83h. They are the same on every path.

use model::{LdevId, Serial, VolumeId};

use crate::{
    error::{Fault, Outcome},
    event::Event,
    guid::Guid,
};

/// The vendor of INQUIRY, without its trailing blanks.
const VENDOR: &str = "HITACHI";
/// Code sets of a designator.
const BINARY: u32 = 1;
const ASCII: u32 = 2;
/// Types of a designator.
const T10: u32 = 1;
const NAA: u32 = 3;

/// A LUN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LunInfo {
    /// `VER_VDS_LUN_INFORMATION`, 1.
    pub version: u32,
    /// Peripheral device type, 0 for a disk.
    pub device_type: u8,
    /// Its modifier.
    pub device_type_modifier: u8,
    /// Whether it takes several commands at once.
    pub command_queueing: bool,
    /// `VDS_STORAGE_BUS_TYPE`; VSS does not compare it.
    pub bus: u32,
    /// Vendor of INQUIRY; `None` where it was not told.
    pub vendor: Option<String>,
    /// Product of INQUIRY, such as `OPEN-V`.
    pub product: Option<String>,
    /// Revision of INQUIRY.
    pub revision: Option<String>,
    /// Page 80h.
    pub serial: Option<String>,
    /// Signature of the disk.
    pub signature: Guid,
    /// Page 83h.
    pub identifiers: Vec<Identifier>,
}

/// A designator of page 83h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// 1 binary, 2 ASCII, 3 UTF-8.
    pub code_set: u32,
    /// 1 T10 vendor id, 2 EUI-64, 3 NAA, 8 SCSI name ...
    pub kind: u32,
    /// The designator.
    pub bytes: Vec<u8>,
}

impl LunInfo {
    /// Which volume of a storage system it is; `None` for disks of others.
    ///
    /// # Errors
    /// EV_ENOSUP for a command device, EV_ENOINQ without page 83h, EV_ENOSER where nothing names
    /// an LDEV, or two things name different ones.
    pub fn volume(&self) -> Outcome<Option<VolumeId>> {
        let product = self.product.as_deref().unwrap_or_default().trim();
        let vendor = self.vendor.as_deref().unwrap_or_default().trim();
        if vendor != VENDOR || !product.starts_with("OPEN-") {
            return Ok(None);
        }
        let named = format!("{vendor} {product} {}", self.serial.as_deref().unwrap_or("-"));
        if product.ends_with("-CM") {
            return Err(Fault::new(Event::Enosup)
                .object(named)
                .cause("it is a command device")
                .action("leave it out of the shadow copy"));
        }
        if self.identifiers.is_empty() {
            return Err(Fault::new(Event::Enoinq)
                .object(named)
                .cause("page 83h was not given")
                .action("check the path to the disk and the multipath software in between"));
        }
        let from_pages = self.identifiers.iter().filter_map(Identifier::volume);
        let mut found = from_pages.chain(self.serial.as_deref().and_then(digits));
        let Some(volume) = found.next() else {
            return Err(Fault::new(Event::Enoser)
                .object(named)
                .cause("neither page 80h nor page 83h holds a serial number and an LDEV"));
        };
        match found.find(|other| *other != volume) {
            None => Ok(Some(volume)),
            Some(other) => Err(Fault::new(Event::Enoser)
                .object(named)
                .cause(format!("its pages name {volume} and {other}"))),
        }
    }

    /// The LUN information of another volume of the same kind, as this host will see it when the
    /// disk arrives: what GetTargetLuns hands out and what FillInLunInfo makes of a disk are both
    /// this, so that they are equal.
    #[must_use]
    pub fn of(volume: VolumeId, like: &Self) -> Self {
        let digits = format!("{:08X}{:08X}", volume.serial.get(), volume.ldev.get());
        let (serial, ldev) = (u64::from(volume.serial.get()), u64::from(volume.ldev.get()));
        let naa = 3 << 60 | serial << 28 | ldev;
        let vendor = format!("{VENDOR:<8}{digits}");
        Self {
            version: 1,
            serial: Some(digits),
            signature: Guid::NULL,
            identifiers: vec![
                Identifier { code_set: BINARY, kind: NAA, bytes: naa.to_be_bytes().to_vec() },
                Identifier { code_set: ASCII, kind: T10, bytes: vendor.into_bytes() },
            ],
            ..like.clone()
        }
    }
}

impl Identifier {
    /// The volume it names: NAA 3h (locally assigned), serial number (32 bits), LDEV (28 bits);
    /// or `HITACHI ` and sixteen hexadecimal digits.
    fn volume(&self) -> Option<VolumeId> {
        match (self.code_set, self.kind) {
            (BINARY, NAA) => {
                let number = u64::from_be_bytes(self.bytes.as_slice().try_into().ok()?);
                if number >> 60 != 3 {
                    return None;
                }
                let serial = u32::try_from(number >> 28 & 0xffff_ffff).ok()?;
                named(serial, u32::try_from(number & 0xfff_ffff).ok()?)
            }
            (ASCII, T10) => {
                let text = std::str::from_utf8(&self.bytes).ok()?;
                digits(text.strip_prefix(&format!("{VENDOR:<8}"))?)
            }
            _ => None,
        }
    }
}

/// Serial number and LDEV as sixteen hexadecimal digits.
fn digits(text: &str) -> Option<VolumeId> {
    let text = text.trim();
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (serial, ldev) = text.split_at(8);
    named(u32::from_str_radix(serial, 16).ok()?, u32::from_str_radix(ldev, 16).ok()?)
}

fn named(serial: u32, ldev: u32) -> Option<VolumeId> {
    Some(VolumeId { serial: Serial::new(serial)?, ldev: LdevId::new(ldev)? })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An LDEV of Serial# 62496.
    pub(crate) fn volume(ldev: u32) -> VolumeId {
        VolumeId { serial: Serial::new(62496).unwrap(), ldev: LdevId::new(ldev).unwrap() }
    }

    /// A disk as a host finds it: with the designators of the array, ports included.
    pub(crate) fn disk(ldev: u32) -> LunInfo {
        let naa = [&[0x30, 0x00, 0x0f, 0x42][..], &[0, 0], &(ldev as u16).to_be_bytes()].concat();
        LunInfo {
            version: 1,
            command_queueing: true,
            bus: 9,
            vendor: Some("HITACHI ".into()),
            product: Some("OPEN-3          ".into()),
            revision: Some("2114".into()),
            serial: Some(format!("0000F420{ldev:08X}")),
            signature: Guid(7),
            identifiers: vec![
                Identifier { code_set: 1, kind: 3, bytes: naa },
                Identifier {
                    code_set: 2,
                    kind: 1,
                    bytes: format!("HITACHI 0000F420{ldev:08X}").into_bytes(),
                },
                Identifier { code_set: 1, kind: 4, bytes: vec![0, 0, 0, 1] },
            ],
            ..LunInfo::default()
        }
    }

    #[test]
    fn the_arrays_pages_name_the_ldev() {
        // 62496 is F420h; its NAA designator is 3 0000F420 0000012 by digits.
        let naa = u64::from_be_bytes(disk(18).identifiers[0].bytes.as_slice().try_into().unwrap());
        assert_eq!(naa, 0x3000_0f42_0000_0012, "typed from the table of page 83h");
        assert_eq!(disk(18).volume().unwrap(), Some(volume(18)));
        let by_page_80h = LunInfo {
            identifiers: vec![Identifier { code_set: 1, kind: 2, bytes: vec![1; 8] }],
            ..disk(18)
        };
        assert_eq!(by_page_80h.volume().unwrap(), Some(volume(18)));
    }

    #[test]
    fn disks_of_others_are_nobodys_fault() {
        for (vendor, product) in
            [(Some("ATA"), Some("OPEN-V")), (Some("HITACHI"), Some("HUS72")), (None, None)]
        {
            let other = LunInfo {
                vendor: vendor.map(str::to_owned),
                product: product.map(str::to_owned),
                ..disk(18)
            };
            assert_eq!(other.volume().unwrap(), None);
        }
    }

    #[test]
    fn disks_that_do_not_say_who_they_are_have_their_event() {
        let event = |lun: LunInfo| lun.volume().unwrap_err().event;
        assert_eq!(event(LunInfo { product: Some("OPEN-3-CM".into()), ..disk(16) }), Event::Enosup);
        assert_eq!(event(LunInfo { identifiers: vec![], ..disk(18) }), Event::Enoinq);
        let foreign = Identifier { code_set: 1, kind: 2, bytes: vec![1; 8] };
        for serial in [None, Some(""), Some("0000F420"), Some("0000F420FFFFFFFF")] {
            let serial = serial.map(str::to_owned);
            let lun = LunInfo { identifiers: vec![foreign.clone()], serial, ..disk(18) };
            assert_eq!(event(lun), Event::Enoser);
        }
        let two = LunInfo { serial: disk(19).serial, ..disk(18) };
        assert_eq!(event(two), Event::Enoser);
    }

    #[test]
    fn what_is_handed_out_equals_what_arrives() {
        let handed_out = LunInfo::of(volume(19), &disk(18));
        let arrived = LunInfo::of(volume(19), &disk(19));
        assert_eq!(handed_out, arrived);
        assert_eq!(handed_out.volume().unwrap(), Some(volume(19)));
        assert_eq!(handed_out.identifiers, disk(19).identifiers[..2]);
        assert_eq!(handed_out.serial, disk(19).serial);
        assert_eq!((handed_out.version, handed_out.signature), (1, Guid::NULL));
    }
}
