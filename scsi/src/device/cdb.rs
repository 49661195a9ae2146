//! CDBs: from bytes to an [`Operation`]. Pure, and bounded by the sixteen bytes it looks at.
//!
//! What a CDB says wrong by itself is refused here: an operation code or service action that is
//! not in the [table](super::opcodes), NACA, protection information, lengths above the limits that
//! the Block Limits VPD page names. What depends on a logical unit is not looked at.

use super::{
    block_limits::{MAX_COMPARE, MAX_SAME},
    opcodes,
    operation::{Comparison, Extent, ModeSense, Operation, Same},
};
use crate::{medium::MAX_TRANSFER, sense::Sense};

/// A CDB's fields; what lies behind its end is 0.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn bit(&self, at: usize, bit: u8) -> bool {
        self.byte(at) >> bit & 1 == 1
    }

    /// A number of so many bytes, at most eight.
    fn number(&self, at: usize, bytes: usize) -> u64 {
        (at..at + bytes).fold(0, |number, at| number << 8 | u64::from(self.byte(at)))
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.byte(at), self.byte(at + 1), self.byte(at + 2), self.byte(at + 3)])
    }

    /// A length in bytes.
    fn length(&self, at: usize, bytes: usize) -> usize {
        usize::try_from(self.number(at, bytes)).unwrap_or(usize::MAX)
    }

    /// LBA and length of a CDB with 10, 12 or 16 bytes, where they nearly always are.
    fn extent(&self) -> (Extent, u16) {
        match self.byte(0) >> 5 {
            4 => (Extent { lba: self.number(2, 8), blocks: self.u32(10) }, 10),
            5 => (Extent { lba: self.number(2, 4), blocks: self.u32(6) }, 6),
            _ => (Extent { lba: self.number(2, 4), blocks: u32::from(self.u16(7)) }, 7),
        }
    }

    /// The same for commands that move no more than [`MAX_TRANSFER`].
    fn transfer(&self) -> Result<Extent, Sense> {
        let (extent, at) = self.extent();
        if extent.bytes() > MAX_TRANSFER as u64 {
            return Err(invalid(at));
        }
        Ok(extent)
    }

    /// No protection information: RDPROTECT, WRPROTECT, VRPROTECT.
    fn unprotected(&self) -> Result<(), Sense> {
        if self.byte(1) >> 5 == 0 { Ok(()) } else { Err(invalid_bit(1, 7)) }
    }
}

const fn invalid(at: u16) -> Sense {
    Sense::INVALID_FIELD_IN_CDB.in_cdb(at, None)
}

const fn invalid_bit(at: u16, bit: u8) -> Sense {
    Sense::INVALID_FIELD_IN_CDB.in_cdb(at, Some(bit))
}

/// What a CDB asks.
pub(super) fn parse(cdb: &[u8]) -> Result<Operation, Sense> {
    let entry = opcodes::find(cdb)?;
    let length = entry.usage.len();
    let Some(cdb) = cdb.get(..length) else {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    };
    // NACA, in the control byte at the end (SAM-5 5.2): there is no ACA here.
    if cdb.last().is_some_and(|control| control & 0x04 != 0) {
        return Err(invalid_bit(u16::try_from(length - 1).unwrap_or(0), 2));
    }
    let fields = Fields(cdb);
    match entry.opcode {
        0x08 | 0x0a | 0x28 | 0x2a | 0x88 | 0x8a | 0x8b | 0xa8 | 0xaa | 0x2e | 0x8e | 0xae
        | 0x2f | 0x8f | 0xaf | 0x89 | 0x41 | 0x93 | 0x42 | 0x35 | 0x91 | 0x34 | 0x90 => {
            block(&fields)
        }
        0x16 | 0x17 | 0x56 | 0x57 | 0x5e | 0x5f => reservation(&fields),
        0x25 | 0x9e | 0xa0 | 0xa3 => report(&fields),
        _ => primary(&fields),
    }
}

/// Commands that move or change blocks (SBC-3 5).
fn block(fields: &Fields<'_>) -> Result<Operation, Sense> {
    let opcode = fields.byte(0);
    if matches!(opcode, 0x08 | 0x0a) {
        let blocks = match fields.byte(4) {
            0 => 256,
            blocks => u32::from(blocks),
        };
        let extent = Extent { lba: fields.number(1, 3) & 0x1f_ffff, blocks };
        return Ok(match opcode {
            0x08 => Operation::Read { extent },
            _ => Operation::Write { extent, durable: false },
        });
    }
    match opcode {
        0x42 if fields.bit(1, 0) => Err(invalid_bit(1, 0)),
        0x42 => Ok(Operation::Unmap { length: fields.length(7, 2) }),
        0x35 | 0x91 => Ok(Operation::SynchronizeCache { extent: fields.extent().0 }),
        0x34 | 0x90 => Ok(Operation::PreFetch { extent: fields.extent().0 }),
        0x41 | 0x93 => same(fields),
        0x89 => {
            fields.unprotected()?;
            let extent = Extent { lba: fields.number(2, 8), blocks: u32::from(fields.byte(13)) };
            if extent.blocks > u32::from(MAX_COMPARE) {
                return Err(invalid(13));
            }
            Ok(Operation::CompareAndWrite { extent, durable: fields.bit(1, 3) })
        }
        _ => {
            fields.unprotected()?;
            let extent = fields.transfer()?;
            let check = fields.byte(1) >> 1 & 3;
            Ok(match (opcode & 0x1f, check) {
                (0x08, _) => Operation::Read { extent },
                (0x0a, _) => Operation::Write { extent, durable: fields.bit(1, 3) },
                (0x0b, _) => Operation::OrWrite { extent, durable: fields.bit(1, 3) },
                (0x0e, 0 | 1) => Operation::WriteAndVerify { extent, compare: check == 1 },
                (0x0f, 0) => Operation::Verify { extent, comparison: Comparison::None },
                (0x0f, 1) => Operation::Verify { extent, comparison: Comparison::Each },
                (0x0f, 3) => Operation::Verify { extent, comparison: Comparison::Same },
                _ => return Err(invalid_bit(1, 2)),
            })
        }
    }
}

fn same(fields: &Fields<'_>) -> Result<Operation, Sense> {
    fields.unprotected()?;
    // ANCHOR: nothing is anchored here; PBDATA and LBDATA are obsolete.
    for bit in [4, 2, 1] {
        if fields.bit(1, bit) {
            return Err(invalid_bit(1, bit));
        }
    }
    let (extent, at) = fields.extent();
    if extent.blocks > MAX_SAME {
        return Err(invalid(at));
    }
    let no_data = fields.byte(0) == 0x93 && fields.bit(1, 0);
    Ok(Operation::WriteSame(Same { extent, unmap: fields.bit(1, 3), no_data }))
}

/// RESERVE, RELEASE and PERSISTENT RESERVE (SPC-2 7.21 and 7.17, SPC-4 6.15 and 6.16).
fn reservation(fields: &Fields<'_>) -> Result<Operation, Sense> {
    let action = fields.byte(1) & 0x1f;
    match fields.byte(0) {
        0x5e => Ok(Operation::ReserveIn { action, allocation: fields.length(7, 2) }),
        0x5f => {
            let length = fields.length(5, 4);
            // More than the basic list comes only with SPEC_I_PT, which is refused.
            if length > 4096 {
                return Err(invalid(5));
            }
            let (scope, kind) = (fields.byte(2) >> 4, fields.byte(2) & 0x0f);
            Ok(Operation::ReserveOut { action, scope, kind, length })
        }
        // Third parties and extents (SPC-2) are not for this world any more.
        opcode => match fields.byte(1) & 0x1f {
            0 if opcode & 1 == 0 => Ok(Operation::Reserve),
            0 => Ok(Operation::Release),
            _ => Err(invalid_bit(1, 4)),
        },
    }
}

/// READ CAPACITY and the commands that report.
fn report(fields: &Fields<'_>) -> Result<Operation, Sense> {
    match (fields.byte(0), fields.byte(1) & 0x1f) {
        (0x25, _) => Ok(Operation::ReadCapacity10),
        (0x9e, 0x10) => Ok(Operation::ReadCapacity16 { allocation: fields.length(10, 4) }),
        (0x9e, _) => {
            let allocation = fields.length(10, 4);
            Ok(Operation::GetLbaStatus { lba: fields.number(2, 8), allocation })
        }
        (0xa0, _) => {
            Ok(Operation::ReportLuns { select: fields.byte(2), allocation: fields.length(6, 4) })
        }
        (_, 0x0a) => {
            let extended = match fields.byte(1) >> 5 {
                0 => false,
                1 => true,
                _ => return Err(invalid_bit(1, 7)),
            };
            let allocation = fields.length(6, 4);
            Ok(Operation::ReportTargetPortGroups { extended, allocation })
        }
        (_, 0x0c) => Ok(Operation::ReportOpcodes {
            timeouts: fields.bit(2, 7),
            option: fields.byte(2) & 7,
            opcode: fields.byte(3),
            action: fields.u16(4),
            allocation: fields.length(6, 4),
        }),
        _ => {
            let allocation = fields.length(6, 4);
            Ok(Operation::ReportManagement { extended: fields.bit(2, 7), allocation })
        }
    }
}

/// What every device has (SPC-4 6).
fn primary(fields: &Fields<'_>) -> Result<Operation, Sense> {
    match fields.byte(0) {
        0x00 => Ok(Operation::TestUnitReady),
        0x03 => {
            let allocation = fields.length(4, 1);
            Ok(Operation::RequestSense { descriptors: fields.bit(1, 0), allocation })
        }
        0x12 => {
            let (page, allocation) = (fields.byte(2), fields.length(3, 2));
            match (fields.bit(1, 0), page) {
                // CMDDT, which is obsolete, and a page without EVPD.
                _ if fields.bit(1, 1) => Err(invalid_bit(1, 1)),
                (false, 0) => Ok(Operation::Inquiry { page: None, allocation }),
                (false, _) => Err(invalid(2)),
                (true, page) => Ok(Operation::Inquiry { page: Some(page), allocation }),
            }
        }
        0x1a | 0x5a => {
            let ten = fields.byte(0) == 0x5a;
            Ok(Operation::ModeSense(ModeSense {
                ten,
                no_descriptors: fields.bit(1, 3),
                long: ten && fields.bit(1, 4),
                control: fields.byte(2) >> 6,
                page: fields.byte(2) & 0x3f,
                subpage: fields.byte(3),
                allocation: if ten { fields.length(7, 2) } else { fields.length(4, 1) },
            }))
        }
        0x15 | 0x55 => {
            let ten = fields.byte(0) == 0x55;
            match (fields.bit(1, 4), fields.bit(1, 0)) {
                (_, true) => Err(invalid_bit(1, 0)),
                (false, _) => Err(invalid_bit(1, 4)),
                _ => {
                    let length = if ten { fields.length(7, 2) } else { fields.length(4, 1) };
                    Ok(Operation::ModeSelect { ten, length })
                }
            }
        }
        // A fixed disk has nothing to eject, and no power conditions (SBC-3 5.25).
        0x1b => match (fields.byte(4) >> 4, fields.bit(4, 1)) {
            (0, false) => {
                Ok(Operation::StartStop { start: fields.bit(4, 0), flush: !fields.bit(4, 2) })
            }
            (0, true) => Err(invalid_bit(4, 1)),
            _ => Err(invalid_bit(4, 7)),
        },
        0x1e if fields.byte(4) & 3 == 0 => Ok(Operation::AllowRemoval),
        0x1e => Err(invalid_bit(4, 1)),
        // The default self-test only (SPC-4 6.42).
        0x1d => match (fields.byte(1) & 0xe3, fields.u16(3)) {
            (0, 0) => Ok(Operation::SendDiagnostic),
            (0, _) => Err(invalid(3)),
            _ => Err(invalid_bit(1, 7)),
        },
        0x1c if fields.bit(1, 0) && fields.byte(2) == 0 => {
            Ok(Operation::ReceiveDiagnostic { allocation: fields.length(3, 2) })
        }
        0x1c => Err(invalid(2)),
        _ => Err(Sense::INVALID_OPCODE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_addresses_are_where_the_standard_puts_them() {
        let read = |cdb: &[u8]| match parse(cdb) {
            Ok(Operation::Read { extent }) => extent,
            other => panic!("{other:?}"),
        };
        let extent = |lba, blocks| Extent { lba, blocks };
        assert_eq!(read(&[0x08, 0xff, 0xff, 0xfe, 0, 0]), extent(0x1f_fffe, 256));
        assert_eq!(read(&[0x28, 0x18, 1, 2, 3, 4, 0x1f, 1, 2, 0]), extent(0x0102_0304, 0x102));
        assert_eq!(read(&[0xa8, 0, 1, 2, 3, 4, 0, 0, 0x10, 0, 0, 0]), extent(0x0102_0304, 0x1000));
        let cdb = [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x40, 0, 0, 0];
        assert_eq!(read(&cdb), extent(0x0102_0304_0506_0708, 0x4000));
    }

    #[test]
    fn nothing_longer_than_the_maximum_is_taken() {
        let over = |opcode| [opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0];
        for opcode in [0x88, 0x8a, 0x8b, 0x8e, 0x8f] {
            assert_eq!(parse(&over(opcode)), Err(invalid(10)), "{opcode:#x}");
        }
        let mut most = over(0x8a);
        most[13] = 0;
        assert_eq!(parse(&most).unwrap().takes(), MAX_TRANSFER);
    }

    #[test]
    fn each_command_takes_what_its_fields_say() {
        for (cdb, takes) in [
            (&[0x0a, 0, 0, 0, 2, 0][..], 1024),
            (&[0x0a, 0, 0, 0, 0, 0], 256 * 512),
            (&[0x2f, 0, 0, 0, 0, 0, 0, 0, 3, 0], 0),
            (&[0x2f, 2, 0, 0, 0, 0, 0, 0, 3, 0], 1536),
            (&[0x2f, 6, 0, 0, 0, 0, 0, 0, 3, 0], 512),
            (&[0x2f, 6, 0, 0, 0, 0, 0, 0, 0, 0], 0),
            (&[0x41, 0, 0, 0, 0, 0, 0, 0, 9, 0], 512),
            (&[0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0], 0),
            (&[0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0], 3072),
            (&[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], 24),
            (&[0x55, 0x10, 0, 0, 0, 0, 0, 1, 2, 0], 258),
            (&[0x5f, 1, 0, 0, 0, 0, 0, 0, 24, 0], 24),
            (&[0x00, 0, 0, 0, 0, 0], 0),
        ] {
            assert_eq!(parse(cdb).unwrap().takes(), takes, "{cdb:x?}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_with_a_pointer_to_it() {
        for (cdb, sense) in [
            (&[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0][..], invalid_bit(1, 7)),
            (&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 4], invalid_bit(9, 2)),
            (&[0x2f, 4, 0, 0, 0, 0, 0, 0, 1, 0], invalid_bit(1, 2)),
            (&[0x41, 0x10, 0, 0, 0, 0, 0, 0, 1, 0], invalid_bit(1, 4)),
            (&[0x42, 1, 0, 0, 0, 0, 0, 0, 24, 0], invalid_bit(1, 0)),
            (&[0x12, 0, 0x80, 0, 96, 0], invalid(2)),
            (&[0x15, 0x11, 0, 0, 12, 0], invalid_bit(1, 0)),
            (&[0x1b, 1, 0, 0, 2, 0], invalid_bit(4, 1)),
            (&[0x28, 0, 0, 0], Sense::INVALID_FIELD_IN_CDB),
            (&[0x5e, 4, 0, 0, 0, 0, 0, 0, 8, 0], invalid_bit(1, 4)),
            (&[0xff, 0, 0, 0, 0, 0], Sense::INVALID_OPCODE),
            (&[], Sense::INVALID_OPCODE),
        ] {
            assert_eq!(parse(cdb), Err(sense), "{cdb:x?}");
        }
    }
}
