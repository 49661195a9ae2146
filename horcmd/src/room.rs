//! How much fits into one answer, and how large the things in it are at most.
//!
//! An answer is one datagram. Lists of fixed length, which cannot be paged, are asked for in
//! parts that surely fit; the bounds below are those of the encoding, and tests hold them to it.

use std::net::IpAddr;

use model::DevName;
use protocol::client::Client;

use crate::devices;

/// Bytes of an answer over loopback.
pub const LOOPBACK: usize = Client::LOOPBACK_CHUNK as usize;
/// Bytes of an answer over a network: one unfragmented datagram.
pub const NETWORK: usize = Client::NETWORK_CHUNK as usize;

/// The tags and lengths around a list.
const AROUND: usize = 16;
/// An optional LDEV, path or status of an order's answer.
const LOCATED: usize = 4;
const DESCRIBED: usize = 23;
const STATUS: usize = 21;
const GUARD: usize = 11;
const PATH: usize = 12;
/// One side of a volume without its device file.
const ROW: usize = 54;
/// A device file with its length.
const DEVICE: usize = devices::LONGEST + 1;

/// The bytes of an answer from there; an unknown address is taken for a distant one.
#[must_use]
pub fn towards(address: Option<IpAddr>) -> usize {
    match address {
        Some(ip) if ip.to_canonical().is_loopback() => LOOPBACK,
        _ => NETWORK,
    }
}

/// How many items of at most `item` bytes fit.
const fn fitting(room: usize, item: usize) -> usize {
    let count = room.saturating_sub(AROUND) / item;
    if count == 0 { 1 } else { count }
}

/// How many LDEVs one `Locate` may ask for.
#[must_use]
pub const fn located(room: usize) -> usize {
    fitting(room, LOCATED)
}

/// How many LDEVs one `Describe` may ask for.
#[must_use]
pub const fn described(room: usize) -> usize {
    fitting(room, DESCRIBED)
}

/// How many ends one `Status` may ask for.
#[must_use]
pub const fn statuses(room: usize) -> usize {
    fitting(room, STATUS)
}

/// How many LDEVs one `Guards` may ask for.
#[must_use]
pub const fn guards(room: usize) -> usize {
    fitting(room, GUARD)
}

/// How many LUs one `Trace` may ask for.
#[must_use]
pub const fn traced(room: usize) -> usize {
    fitting(room, PATH)
}

/// One side of a volume, with or without its device file.
const fn row(devices: bool) -> usize {
    if devices { ROW + DEVICE } else { ROW }
}

/// How many volumes one `Partners` may ask for.
#[must_use]
pub const fn rows(room: usize, devices: bool) -> usize {
    fitting(room, row(devices))
}

/// The bytes of one volume with `sides` sides.
#[must_use]
pub fn member(name: &DevName, sides: usize, devices: bool) -> usize {
    name.as_str().len() + 2 + sides * row(devices)
}

/// What a page of volumes needs beside them.
pub const MEMBERS_AROUND: usize = AROUND + 132;

#[cfg(test)]
mod tests {
    use model::{
        Blocks, Emulation, Guard, GuardType, LdevId, LuPath, MuNumber, PairEnd, PairStatus, Role,
        Serial, TargetId, VolumeId,
    };
    use protocol::{
        codec::encode,
        horcm::Row,
        orders::{EndStatus, GuardState, LdevInfo},
    };

    use super::*;

    #[test]
    fn the_largest_items_stay_within_their_bounds() {
        let volume = VolumeId { serial: Serial::MAX, ldev: LdevId::MAX };
        let path = LuPath {
            port: "CLG-R-254".parse().unwrap(),
            target: TargetId::MAX,
            lun: model::Lun::MAX,
        };
        let status = EndStatus {
            role: Role::SVol,
            status: PairStatus::Pdub,
            partner: Some(PairEnd { volume, mu: MuNumber::MAX }),
            percent: u8::MAX,
            noread: true,
            svol_writable: true,
            ctg: Some(u16::MAX),
        };
        let guard = GuardState { guard: Guard::of(GuardType::Inv), retention_days: u32::MAX };
        let info = LdevInfo {
            size: Blocks(u64::MAX),
            emulation: Emulation::OpenV,
            command_device: true,
            path: Some(path),
        };
        let row = Row {
            path: Some(path),
            volume,
            mu: MuNumber::MAX,
            device: None,
            permitted: true,
            status: Some(status),
            guard: Some(guard),
        };
        let named = Row { device: Some("d".repeat(devices::LONGEST)), ..row };
        assert!(encode(&Some(LdevId::MAX)).len() <= LOCATED);
        assert!(encode(&Some(info)).len() <= DESCRIBED);
        assert!(encode(&Some(status)).len() <= STATUS);
        assert!(encode(&Some(guard)).len() <= GUARD);
        assert!(encode(&Some(row)).len() <= super::row(false));
        assert!(encode(&Some(named)).len() <= super::row(true));
        assert!(encode(&Some(path)).len() <= PATH);
    }

    #[test]
    fn something_always_fits() {
        assert_eq!(rows(0, true), 1);
        assert_eq!(statuses(NETWORK), 56);
    }
}
