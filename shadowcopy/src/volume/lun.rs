//! A disk of this host as the provider takes it.

use model::VolumeId;
use provider::lun::{Identifier, LunInfo};
use scsi::disks::HostDisk;

/// The LUN information of a disk, from the bytes of its pages; `None` where it does not answer,
/// which is also how a LUN hides.
#[must_use]
pub fn info(disk: &HostDisk) -> Option<LunInfo> {
    let inquiry = disk.inquiry.as_ref()?;
    Some(LunInfo {
        version: 1,
        command_queueing: true,
        vendor: Some(inquiry.vendor.clone()),
        product: Some(inquiry.product.clone()),
        revision: Some(inquiry.revision.clone()),
        serial: body(&disk.pages.serial, 0x80)
            .map(|text| String::from_utf8_lossy(text).into_owned()),
        identifiers: identifiers(&disk.pages.designators),
        ..LunInfo::default()
    })
}

/// A volume as the provider takes it, where no disk is looked at.
#[must_use]
pub fn of(volume: VolumeId) -> LunInfo {
    let like = LunInfo {
        command_queueing: true,
        vendor: Some("HITACHI".to_owned()),
        product: Some("OPEN-V".to_owned()),
        ..LunInfo::default()
    };
    LunInfo::of(volume, &like)
}

/// The designators of page 83h that name the logical unit, not a port of it (SPC-4 7.8.6).
fn identifiers(page: &[u8]) -> Vec<Identifier> {
    let mut found = Vec::new();
    let mut rest = body(page, 0x83).unwrap_or_default();
    while let Some((&[code_set, kind, _, length], more)) = rest.split_first_chunk::<4>() {
        let Some((bytes, next)) = more.split_at_checked(length.into()) else { break };
        if kind >> 4 & 3 == 0 {
            let (code_set, kind) = (u32::from(code_set & 15), u32::from(kind & 15));
            found.push(Identifier { code_set, kind, bytes: bytes.to_vec() });
        }
        rest = next;
    }
    found
}

/// What is behind the head of a VPD page of this code.
fn body(page: &[u8], code: u8) -> Option<&[u8]> {
    let (&[_, found, high, low], body) = page.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    (found == code).then(|| body.get(..length)).flatten()
}

#[cfg(test)]
pub(crate) mod tests {
    use scsi::disks::pages::Pages;

    use super::*;

    /// A disk of Serial# 62496, as its pages say.
    pub(crate) fn disk(ldev: u32) -> HostDisk {
        let mut inquiry = vec![0, 0, 6, 0x12, 31, 0, 0, 2];
        inquiry.extend(b"HITACHI OPEN-V          2114");
        let mut serial = vec![0, 0x80, 0, 16];
        serial.extend(format!("0000F420{ldev:08X}").bytes());
        let naa = 3 << 60 | 62_496_u64 << 28 | u64::from(ldev);
        // The unit by NAA, then a target port.
        let mut designators = vec![0, 0x83, 0, 24, 1, 3, 0, 8];
        designators.extend(naa.to_be_bytes());
        designators.extend([0x51, 0x94, 0, 4, 0, 0, 0, 1, 0xee, 0xee, 0xee, 0xee]);
        Pages { inquiry, serial, designators, vendor: Vec::new() }.disk()
    }

    #[test]
    fn the_pages_of_a_disk_name_its_volume() {
        let lun = info(&disk(18)).unwrap();
        let volume = lun.volume().unwrap().unwrap();
        assert_eq!((volume.serial.get(), volume.ldev.get()), (62_496, 18));
        assert_eq!(lun.serial.as_deref(), Some("0000F42000000012"));
        assert_eq!(lun.identifiers.len(), 1, "the port's designator is not the unit's");
    }

    #[test]
    fn a_volume_is_the_same_lun_without_its_disk() {
        let volume = info(&disk(18)).unwrap().volume().unwrap().unwrap();
        assert_eq!(of(volume).volume().unwrap(), Some(volume));
    }

    #[test]
    fn pages_that_are_cut_do_not_panic() {
        assert_eq!(info(&HostDisk::default()), None);
        let whole = disk(18);
        for cut in 0..whole.pages.designators.len() {
            let mut disk = whole.clone();
            disk.pages.designators.truncate(cut);
            assert_eq!(info(&disk).unwrap().identifiers, []);
        }
    }
}
