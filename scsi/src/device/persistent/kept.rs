//! Persistent reservations as they survive a loss of power (APTPL).
//!
//! | byte | what |
//! |---|---|
//! | 0-3 | CRC-32C of all behind it |
//! | 4 | version: 1 |
//! | 5 | type of the reservation, 0 where there is none |
//! | 6-7 | which registrant holds it |
//! | 8-9 | how many registrants |
//!
//! and for each registrant
//!
//! | byte | what |
//! |---|---|
//! | +0-7 | reservation key |
//! | +8-9 | relative target port identifier |
//! | +10 | 1 where registered on all target ports |
//! | +11-18 | ISID |
//! | +19 | bytes of the name |
//! | +20- | the iSCSI name |
//!
//! Numbers are big-endian. Nothing at all stands for nothing kept. PRGENERATION begins anew, as
//! SPC-4 5.13.2 says.
//!
//! Version 1: the first.

use super::{Path, Persistent, Registrant, Reservation};
use crate::{device::conflicts::Type, nexus::InitiatorPort};

const VERSION: u8 = 1;

/// To bytes; none where nothing is to be kept.
pub(in crate::device) fn seal(persistent: &Persistent) -> Vec<u8> {
    if !persistent.durable || persistent.registrants.is_empty() {
        return Vec::new();
    }
    let held = persistent.reservation.as_ref();
    let holder = held.and_then(|held| {
        persistent.registrants.iter().position(|registrant| registrant.path == held.holder)
    });
    let number = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = vec![0, 0, 0, 0, VERSION, held.map_or(0, |held| held.kind as u8)];
    bytes.extend(number(holder.unwrap_or(0)));
    bytes.extend(number(persistent.registrants.len()));
    for Registrant { path, key, all_ports } in &persistent.registrants {
        let name = path.initiator.name.as_bytes();
        bytes.extend(key.to_be_bytes());
        bytes.extend(path.port.to_be_bytes());
        bytes.push(u8::from(*all_ports));
        bytes.extend(path.initiator.isid.to_be_bytes());
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend(name.iter().take(usize::from(u8::MAX)));
    }
    let sum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// From bytes.
pub(in crate::device) fn open(bytes: &[u8]) -> Result<Persistent, &'static str> {
    const SHORT: &str = "they are cut short";
    if bytes.is_empty() {
        return Ok(Persistent::default());
    }
    let (sum, mut rest) = bytes.split_first_chunk::<4>().ok_or(SHORT)?;
    if crc32c::crc32c(rest) != u32::from_be_bytes(*sum) {
        return Err("their checksum is wrong");
    }
    let mut take = |length: usize| {
        let (front, back) = rest.split_at_checked(length).ok_or(SHORT)?;
        rest = back;
        Ok::<_, &'static str>(front)
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    let small = |bytes: &[u8]| u16::try_from(number(bytes)).unwrap_or(u16::MAX);
    if number(take(1)?) != u64::from(VERSION) {
        return Err("their version is unknown");
    }
    let kind = number(take(1)?);
    let (holder, count) = (small(take(2)?), small(take(2)?));
    let mut registrants = Vec::new();
    for _ in 0..count {
        let (key, port) = (number(take(8)?), small(take(2)?));
        let (all_ports, isid) = (number(take(1)?) == 1, number(take(8)?));
        let length = usize::from(small(take(1)?));
        let name = String::from_utf8(take(length)?.to_vec()).map_err(|_| "a name is no text")?;
        let path = Path { initiator: InitiatorPort { name, isid }, port };
        registrants.push(Registrant { path, key, all_ports });
    }
    if !rest.is_empty() {
        return Err("something is behind them");
    }
    let reservation = match Type::new(u8::try_from(kind).unwrap_or(u8::MAX)) {
        Some(kind) => {
            let holder = registrants.get(usize::from(holder)).or(registrants.first());
            holder.map(|holder| Reservation { kind, holder: holder.path.clone() })
        }
        None => None,
    };
    Ok(Persistent { generation: 0, durable: true, registrants, reservation })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registrant(n: u16) -> Registrant {
        let name = format!("iqn.2026-01.example:{n}");
        let initiator = InitiatorPort { name, isid: 0x23d_0000_0000 + u64::from(n) };
        let path = Path { initiator, port: n };
        Registrant { path, key: u64::MAX - u64::from(n), all_ports: n.is_multiple_of(2) }
    }

    fn some() -> Persistent {
        let registrants: Vec<_> = (1..5).map(registrant).collect();
        let holder = registrants[2].path.clone();
        let kind = Type::WriteExclusiveRegistrants;
        let reservation = Some(Reservation { kind, holder });
        Persistent { generation: 0, durable: true, registrants, reservation }
    }

    #[test]
    fn what_is_kept_comes_back_and_nothing_is_kept_without_aptpl() {
        assert_eq!(open(&seal(&some())), Ok(some()));
        assert_eq!(seal(&Persistent { durable: false, ..some() }), Vec::<u8>::new());
        assert_eq!(open(&[]), Ok(Persistent::default()));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), change in 1..=255u8) {
            let mut bytes = seal(&some());
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(open(&bytes).is_err());
        }

        #[test]
        fn any_bytes_with_a_right_checksum_are_read_without_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            bytes.insert(0, VERSION);
            let mut whole = crc32c::crc32c(&bytes).to_be_bytes().to_vec();
            whole.extend(bytes);
            let _ = open(&whole);
        }
    }
}
