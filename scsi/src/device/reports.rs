//! Commands that report on the target rather than on a logical unit's blocks.

use super::{
    answer::{Answer, parameters},
    vpd::GROUP,
};
use crate::{nexus::TargetPort, sense::Sense, task::LunAddress};

/// REPORT LUNS (SPC-4 6.33): at 0-3 the number of bytes from 8 on, then eight for each LUN.
///
/// There are no well-known logical units, so SELECT REPORT 1 lists nothing and 2 the same as 0.
pub(super) fn luns(numbers: impl Iterator<Item = u16>, select: u8, allocation: usize) -> Answer {
    let mut bytes = vec![0; 8];
    match select {
        0 | 2 => {
            let addresses = numbers.filter_map(LunAddress::from_number);
            bytes.extend(addresses.flat_map(|address| address.0.to_be_bytes()));
        }
        1 => {}
        _ => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, None).into()),
    }
    let length = u32::try_from(bytes.len() - 8).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    parameters(bytes, allocation)
}

/// REPORT TARGET PORT GROUPS (SPC-4 6.37): the one group there is, active/optimized.
///
/// | byte | what |
/// |---|---|
/// | 0-3 | bytes behind these |
/// | 4-7 | in the extended format: 1h, implicit transition time 0 |
/// | +0 | access state 0, active/optimized |
/// | +1 | AO_SUP |
/// | +2-3 | target port group 1 |
/// | +7 | target ports in it |
/// | +8- | four bytes for each: its relative identifier in the last two |
pub(super) fn port_groups(ports: &[TargetPort], extended: bool, allocation: usize) -> Answer {
    let ports = &ports[..ports.len().min(usize::from(u8::MAX))];
    let mut bytes = vec![0; 4];
    if extended {
        bytes.extend([0x10, 0, 0, 0]);
    }
    bytes.extend([0, 0x01]);
    bytes.extend(GROUP.to_be_bytes());
    bytes.extend([0, 0, 0, u8::try_from(ports.len()).unwrap_or(u8::MAX)]);
    bytes.extend(ports.iter().flat_map(|port| u32::from(port.relative).to_be_bytes()));
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    parameters(bytes, allocation)
}

/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.36): ABORT TASK, ABORT TASK SET, CLEAR TASK
/// SET, LOGICAL UNIT RESET; 4 bytes, or 16 with at 3 the number of those behind it.
pub(super) fn management(extended: bool, allocation: usize) -> Answer {
    let mut bytes = vec![0xd8, 0, 0, 0];
    if extended {
        bytes[3] = 12;
        bytes.resize(16, 0);
    }
    parameters(bytes, allocation)
}

/// RECEIVE DIAGNOSTIC RESULTS (SPC-4 6.28): the list of pages, which has but itself.
pub(super) fn diagnostic(allocation: usize) -> Answer {
    parameters(vec![0, 0, 0, 1, 0], allocation)
}

/// REQUEST SENSE (SPC-4 6.39).
pub(super) fn sense(sense: Sense, descriptors: bool, allocation: usize) -> Answer {
    let bytes = if descriptors { sense.descriptors() } else { sense.fixed().to_vec() };
    parameters(bytes, allocation)
}
