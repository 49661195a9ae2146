//! What PERSISTENT RESERVE IN answers (SPC-4 6.15).

use super::{Path, Persistent};
use crate::{
    device::answer::{Answer, parameters},
    sense::Sense,
};

impl Persistent {
    /// By service action.
    pub fn report(&self, action: u8, allocation: usize) -> Answer {
        let bytes = match action {
            0 => self.with_length(
                self.registrants
                    .iter()
                    .flat_map(|registrant| registrant.key.to_be_bytes())
                    .collect(),
            ),
            1 => self.with_length(self.reservation_data()),
            2 => capabilities(self.durable).to_vec(),
            3 => self.with_length(self.full_status()),
            _ => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(4)).into()),
        };
        parameters(bytes, allocation)
    }

    /// PRGENERATION, the length of what follows, and that.
    fn with_length(&self, data: Vec<u8>) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(8 + data.len());
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(data);
        bytes
    }

    /// READ RESERVATION, 16 bytes: the key of its holder (0 where all registrants hold it), and at
    /// 13 scope and type.
    fn reservation_data(&self) -> Vec<u8> {
        let Some(reservation) = &self.reservation else {
            return Vec::new();
        };
        let key = match self.registrant(&reservation.holder) {
            Some(holder) if !reservation.kind.all_registrants() => holder.key,
            _ => 0,
        };
        let mut bytes = vec![0; 16];
        bytes[..8].copy_from_slice(&key.to_be_bytes());
        bytes[13] = reservation.kind as u8;
        bytes
    }

    /// READ FULL STATUS, for each registrant:
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0-7 | reservation key |
    /// | 12 | ALL_TG_PT (bit 1), R_HOLDER (bit 0) |
    /// | 13 | scope and type, of a holder |
    /// | 18-19 | relative target port identifier |
    /// | 20-23 | bytes of the TransportID |
    /// | 24- | the TransportID |
    fn full_status(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for registrant in &self.registrants {
            let holds = self.holds(&registrant.path);
            let kind = self.reservation.as_ref().filter(|_| holds).map_or(0, |its| its.kind as u8);
            let transport = transport_id(&registrant.path);
            bytes.extend(registrant.key.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend([u8::from(registrant.all_ports) << 1 | u8::from(holds), kind]);
            bytes.extend([0; 4]);
            bytes.extend(registrant.path.port.to_be_bytes());
            bytes.extend(u32::try_from(transport.len()).unwrap_or(0).to_be_bytes());
            bytes.extend(transport);
        }
        bytes
    }
}

/// REPORT CAPABILITIES, 8 bytes: CRH, ATP_C and PTPL_C; TMV and PTPL_A; all six types.
const fn capabilities(durable: bool) -> [u8; 8] {
    [0, 8, 0x15, 0x80 | durable as u8, 0xea, 0x01, 0, 0]
}

/// The TransportID of an iSCSI initiator port (SPC-4 7.6.4.6), format 01b: 4 bytes with the length
/// of the rest, then `NAME,i,0xISID`, ended and padded by zeros to a multiple of four.
fn transport_id(path: &Path) -> Vec<u8> {
    let mut name = path.initiator.to_string().into_bytes();
    name.push(0);
    name.resize(name.len().next_multiple_of(4).max(20), 0);
    let mut bytes = vec![0x45, 0];
    bytes.extend(u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(name);
    bytes
}
