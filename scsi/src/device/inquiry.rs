//! INQUIRY (SPC-4 6.6): the standard data.

use super::{
    answer::{Answer, parameters},
    vpd,
};
use crate::{
    medium::{Identity, Medium, Place},
    nexus::TargetPort,
    sense::Sense,
    vendor_page::{VENDOR, filled},
};

/// A target port, as INQUIRY and REPORT TARGET PORT GROUPS tell of it.
#[derive(Debug)]
pub(super) struct Port {
    /// Which.
    pub port: TargetPort,
    /// What the storage system calls it, such as `CL2-C`.
    pub label: String,
    /// All target ports, this one included.
    pub all: Vec<TargetPort>,
}

/// What a logical unit is to INQUIRY.
pub(super) struct Subject<'a> {
    /// The path.
    pub port: &'a Port,
    /// The number of the logical unit on it.
    pub lun: u16,
    /// Where that is in the storage system's own count.
    pub place: Place,
    /// Its storage.
    pub medium: &'a dyn Medium,
}

/// Serial number and LDEV, each as eight hexadecimal digits: what the storage system calls the
/// logical unit, on every path.
pub(super) fn unit_serial(identity: &Identity) -> String {
    format!("{:08X}{:08X}", identity.serial, identity.ldev)
}

/// INQUIRY to a logical unit that is there.
pub(super) fn answer(subject: &Subject<'_>, page: Option<u8>, allocation: usize) -> Answer {
    let bytes = match page {
        None => standard(subject),
        Some(page) => vpd::page(subject, page)?,
    };
    parameters(bytes, allocation)
}

/// INQUIRY to one that is not there, or hides (guard `inv`): peripheral qualifier 011b and device
/// type 1Fh, and nothing of what it would be.
pub(super) fn absent(page: Option<u8>, allocation: usize) -> Answer {
    match page {
        None => {
            let mut bytes = vec![0; 36];
            bytes[..5].copy_from_slice(&[0x7f, 0, 6, 0x12, 31]);
            bytes[8..16].copy_from_slice(VENDOR);
            bytes[16..].fill(b' ');
            parameters(bytes, allocation)
        }
        Some(0) => parameters(vec![0x7f, 0, 0, 1, 0], allocation),
        Some(_) => Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None).into()),
    }
}

/// The standard data, 96 bytes:
///
/// | byte | what |
/// |---|---|
/// | 0 | peripheral qualifier 0, device type 0: a disk |
/// | 2 | version 6: SPC-4 |
/// | 3 | HISUP, response data format 2 |
/// | 4 | 91: bytes behind this one |
/// | 5 | TPGS 1: implicit access states only; 3PC and PROTECT 0 |
/// | 6 | MULTIP, where there is more than one target port |
/// | 7 | CMDQUE |
/// | 8-15 | `HITACHI ` |
/// | 16-31 | product |
/// | 32-35 | revision |
/// | 36-51 | serial number and LDEV, as in VPD page 80h |
/// | 58-65 | SAM-5, iSCSI, SPC-4, SBC-3 |
fn standard(subject: &Subject<'_>) -> Vec<u8> {
    let identity = subject.medium.identity();
    let mut bytes = vec![0; 96];
    bytes[2..5].copy_from_slice(&[6, 0x12, 91]);
    bytes[5] = 0x10;
    bytes[6] = u8::from(subject.port.all.len() > 1) << 4;
    bytes[7] = 0x02;
    bytes[8..16].copy_from_slice(VENDOR);
    bytes[16..32].copy_from_slice(&filled::<16>(&identity.product));
    bytes[32..36].copy_from_slice(&filled::<4>(&identity.revision));
    bytes[36..52].copy_from_slice(&filled::<16>(&unit_serial(&identity)));
    bytes[58..66].copy_from_slice(&[0x00, 0xa0, 0x09, 0x60, 0x04, 0x60, 0x04, 0xc0]);
    bytes
}
