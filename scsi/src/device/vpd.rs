//! VPD pages (SPC-4 7.8, SBC-3 6.6): each begins with device type, page code and the number of
//! bytes behind these four.

use model::{LdevId, Serial};

use super::{
    block_limits::{
        GRANULARITY, MAX_BLOCKS, MAX_COMPARE, MAX_SAME, MAX_UNMAP, MAX_UNMAP_DESCRIPTORS, OPTIMAL,
        UNMAP_GRANULARITY,
    },
    inquiry::{Port, Subject, unit_serial},
};
use crate::{
    medium::Identity,
    sense::Sense,
    vendor_page::{self, VENDOR, VendorPage},
};

/// The pages there are.
pub(super) const PAGES: [u8; 8] = [0x00, 0x80, 0x83, 0x86, 0xb0, 0xb1, 0xb2, 0xc0];
/// The one target port group.
pub(super) const GROUP: u16 = 1;

/// A page.
pub(super) fn page(subject: &Subject<'_>, page: u8) -> Result<Vec<u8>, Sense> {
    let identity = subject.medium.identity();
    let body = match page {
        0x00 => PAGES.to_vec(),
        0x80 => unit_serial(&identity).into_bytes(),
        0x83 => designators(&identity, subject.port),
        0x86 => extended(),
        0xb0 => limits(identity.thin),
        0xb1 => characteristics(),
        0xb2 => provisioning(identity.thin),
        vendor_page::CODE => return vendor(&identity, subject),
        _ => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None)),
    };
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![0, page];
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// 83h Device Identification, its designators in turn:
///
/// | of | type | what |
/// |---|---|---|
/// | logical unit | NAA | 8 bytes: 3h (locally assigned: no vendor's number is claimed), serial number (32 bits), LDEV (28 bits) |
/// | logical unit | T10 vendor ID | `HITACHI ` and the text of page 80h |
/// | target port | relative target port | its number |
/// | target port | target port group | 1 |
/// | target port | SCSI name string | `NAME,t,0x0001`, ended and padded by zeros |
///
/// The first two are the same on every path.
fn designators(identity: &Identity, port: &Port) -> Vec<u8> {
    const ISCSI: u8 = 5 << 4;
    let naa = 3 << 60 | u64::from(identity.serial) << 28 | u64::from(identity.ldev) & 0xfff_ffff;
    let vendor = [VENDOR.as_slice(), unit_serial(identity).as_bytes()].concat();
    let [relative, group] =
        [port.port.relative, GROUP].map(|number| u32::from(number).to_be_bytes());
    let mut name = port.port.to_string().into_bytes();
    name.push(0);
    name.resize(name.len().next_multiple_of(4), 0);
    let mut bytes = Vec::new();
    for (code_set, kind, designator) in [
        (1, 0x03, naa.to_be_bytes().as_slice()),
        (2, 0x01, &vendor),
        (ISCSI | 1, 0x94, &relative),
        (ISCSI | 1, 0x95, &group),
        (ISCSI | 3, 0x98, &name),
    ] {
        bytes.extend([code_set, kind, 0, u8::try_from(designator.len()).unwrap_or(u8::MAX)]);
        bytes.extend(designator.iter().take(usize::from(u8::MAX)));
    }
    bytes
}

/// 86h Extended INQUIRY Data, 64 bytes: at 5 ORDSUP and SIMPSUP, at 6 V_SUP, at 7 LUICLR.
fn extended() -> Vec<u8> {
    let mut bytes = vec![0, 0x03, 0x01, 0x01];
    bytes.resize(60, 0);
    bytes
}

/// B0h Block Limits, 64 bytes:
///
/// | byte | what |
/// |---|---|
/// | 4 | WSNZ 0: WRITE SAME of no blocks goes to the end |
/// | 5 | maximum of COMPARE AND WRITE |
/// | 6-7 | optimal transfer length granularity |
/// | 8-11, 12-15 | maximum and optimal transfer length |
/// | 16-19 | maximum of PRE-FETCH: none |
/// | 20-23, 24-27 | maximum of UNMAP in blocks and in descriptors |
/// | 28-31, 32-35 | optimal unmap granularity; UGAVALID and its alignment |
/// | 36-43 | maximum of WRITE SAME |
fn limits(thin: bool) -> Vec<u8> {
    let mut bytes = vec![0, MAX_COMPARE];
    bytes.extend(GRANULARITY.to_be_bytes());
    let unmap = |number: u32| if thin { number } else { 0 };
    for number in [
        MAX_BLOCKS,
        OPTIMAL,
        0,
        unmap(MAX_UNMAP),
        unmap(u32::from(MAX_UNMAP_DESCRIPTORS)),
        unmap(UNMAP_GRANULARITY),
        unmap(0x8000_0000),
    ] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(u64::from(MAX_SAME).to_be_bytes());
    bytes.resize(60, 0);
    bytes
}

/// B1h Block Device Characteristics, 64 bytes: at 4-5 rotation rate 1, nothing rotates.
fn characteristics() -> Vec<u8> {
    let mut bytes = vec![0, 1];
    bytes.resize(60, 0);
    bytes
}

/// B2h Logical Block Provisioning, 8 bytes: at 5 LBPU, LBPWS, LBPWS10 and LBPRZ, at 6
/// provisioning type 2, thin; all 0 otherwise.
fn provisioning(thin: bool) -> Vec<u8> {
    if thin { vec![0, 0xe4, 2, 0] } else { vec![0; 4] }
}

/// C0h, this storage system's own ([`VendorPage`]).
fn vendor(identity: &Identity, subject: &Subject<'_>) -> Result<Vec<u8>, Sense> {
    let (Some(serial), Some(ldev)) = (Serial::new(identity.serial), LdevId::new(identity.ldev))
    else {
        return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None));
    };
    let page = VendorPage {
        serial,
        ldev,
        lun: subject.lun,
        command_device: identity.product.trim_end().ends_with("-CM"),
        port: subject.port.label.parse().ok(),
        standing: subject.medium.standing(),
        place: subject.place,
    };
    Ok(page.bytes())
}
