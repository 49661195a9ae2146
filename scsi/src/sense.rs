//! Sense data (SPC-4 4.5): why a command failed.

/// A sense key (SPC-4 table 47).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Key {
    /// NO SENSE.
    NoSense = 0x0,
    /// RECOVERED ERROR.
    RecoveredError = 0x1,
    /// NOT READY.
    NotReady = 0x2,
    /// MEDIUM ERROR.
    MediumError = 0x3,
    /// HARDWARE ERROR.
    HardwareError = 0x4,
    /// ILLEGAL REQUEST.
    IllegalRequest = 0x5,
    /// UNIT ATTENTION.
    UnitAttention = 0x6,
    /// DATA PROTECT.
    DataProtect = 0x7,
    /// ABORTED COMMAND.
    AbortedCommand = 0xb,
    /// MISCOMPARE.
    Miscompare = 0xe,
}

/// What is wrong with a field (SPC-4 4.5.2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPointer {
    /// Whether it is in the CDB, or else in the parameter data.
    pub in_cdb: bool,
    /// Its first byte.
    pub byte: u16,
    /// Its most significant bit, 0 to 7, where the field is less than a byte.
    pub bit: Option<u8>,
}

/// Sense data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// The sense key.
    pub key: Key,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
    /// INFORMATION: such as the first LBA in error, or the offset of a miscompare.
    pub information: Option<u64>,
    /// SENSE KEY SPECIFIC.
    pub field: Option<FieldPointer>,
}

impl Sense {
    /// Sense data with these codes.
    #[must_use]
    pub const fn new(key: Key, asc: u8, ascq: u8) -> Self {
        Self { key, asc, ascq, information: None, field: None }
    }

    /// The same with INFORMATION.
    #[must_use]
    pub const fn with_information(mut self, information: u64) -> Self {
        self.information = Some(information);
        self
    }

    /// The same about a field of the CDB.
    #[must_use]
    pub const fn in_cdb(mut self, byte: u16, bit: Option<u8>) -> Self {
        self.field = Some(FieldPointer { in_cdb: true, byte, bit });
        self
    }

    /// The same about a field of the parameter data.
    #[must_use]
    pub const fn in_data(mut self, byte: u16, bit: Option<u8>) -> Self {
        self.field = Some(FieldPointer { in_cdb: false, byte, bit });
        self
    }

    /// In the fixed format (SPC-4 4.5.3), 18 bytes:
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | VALID, 70h |
    /// | 2 | sense key |
    /// | 3-6 | INFORMATION, where it fits |
    /// | 7 | 10: bytes behind this one |
    /// | 12, 13 | ASC, ASCQ |
    /// | 15-17 | SENSE KEY SPECIFIC |
    #[must_use]
    pub fn fixed(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[0] = 0x70;
        bytes[2] = self.key as u8;
        if let Some(information) = self.information.and_then(|wide| u32::try_from(wide).ok()) {
            bytes[0] |= 0x80;
            bytes[3..7].copy_from_slice(&information.to_be_bytes());
        }
        bytes[7] = 10;
        (bytes[12], bytes[13]) = (self.asc, self.ascq);
        if let Some(field) = self.field {
            bytes[15..].copy_from_slice(&field.bytes());
        }
        bytes
    }

    /// In the descriptor format (SPC-4 4.5.2): 8 bytes, then an information descriptor (12) and
    /// one for the field (8) where there are such.
    #[must_use]
    pub fn descriptors(&self) -> Vec<u8> {
        let mut bytes = vec![0x72, self.key as u8, self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            bytes.extend([0x00, 0x0a, 0x80, 0x00]);
            bytes.extend(information.to_be_bytes());
        }
        if let Some(field) = self.field {
            bytes.extend([0x02, 0x06, 0x00, 0x00]);
            bytes.extend(field.bytes());
            bytes.push(0);
        }
        bytes[7] = u8::try_from(bytes.len() - 8).unwrap_or(u8::MAX);
        bytes
    }
}

impl FieldPointer {
    fn bytes(self) -> [u8; 3] {
        let [high, low] = self.byte.to_be_bytes();
        let bit = self.bit.map_or(0, |bit| 0x08 | bit & 0x07);
        [0x80 | u8::from(self.in_cdb) << 6 | bit, high, low]
    }
}

/// Sense data by the names of SPC-4 table 56.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $key:ident, $asc:literal, $ascq:literal;)*) => {
        impl Sense {
            $($(#[$doc])* pub const $name: Self = Self::new(Key::$key, $asc, $ascq);)*
        }
    };
}

named! {
    /// LOGICAL UNIT NOT SUPPORTED.
    NO_SUCH_UNIT = IllegalRequest, 0x25, 0x00;
    /// INVALID COMMAND OPERATION CODE.
    INVALID_OPCODE = IllegalRequest, 0x20, 0x00;
    /// INVALID FIELD IN CDB.
    INVALID_FIELD_IN_CDB = IllegalRequest, 0x24, 0x00;
    /// INVALID FIELD IN PARAMETER LIST.
    INVALID_FIELD_IN_DATA = IllegalRequest, 0x26, 0x00;
    /// PARAMETER LIST LENGTH ERROR.
    DATA_LENGTH = IllegalRequest, 0x1a, 0x00;
    /// INVALID RELEASE OF PERSISTENT RESERVATION.
    INVALID_RELEASE = IllegalRequest, 0x26, 0x04;
    /// INSUFFICIENT REGISTRATION RESOURCES.
    NO_REGISTRATION_LEFT = IllegalRequest, 0x55, 0x04;
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    LBA_OUT_OF_RANGE = IllegalRequest, 0x21, 0x00;
    /// SAVING PARAMETERS NOT SUPPORTED.
    SAVING_NOT_SUPPORTED = IllegalRequest, 0x39, 0x00;
    /// WRITE PROTECTED.
    WRITE_PROTECTED = DataProtect, 0x27, 0x00;
    /// SPACE ALLOCATION FAILED WRITE PROTECT.
    SPACE_ALLOCATION_FAILED = DataProtect, 0x27, 0x07;
    /// ACCESS DENIED - NO ACCESS RIGHTS: reading is refused.
    ACCESS_DENIED = DataProtect, 0x20, 0x02;
    /// UNRECOVERED READ ERROR.
    UNRECOVERED_READ = MediumError, 0x11, 0x00;
    /// WRITE ERROR.
    WRITE_ERROR = MediumError, 0x0c, 0x00;
    /// INTERNAL TARGET FAILURE.
    INTERNAL_FAILURE = HardwareError, 0x44, 0x00;
    /// LOGICAL UNIT NOT READY, CAUSE NOT REPORTABLE.
    NOT_READY = NotReady, 0x04, 0x00;
    /// MISCOMPARE DURING VERIFY OPERATION.
    MISCOMPARE = Miscompare, 0x1d, 0x00;
    /// POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    POWER_ON = UnitAttention, 0x29, 0x00;
    /// BUS DEVICE RESET FUNCTION OCCURRED.
    RESET = UnitAttention, 0x29, 0x03;
    /// I_T NEXUS LOSS OCCURRED.
    NEXUS_LOSS = UnitAttention, 0x29, 0x07;
    /// MODE PARAMETERS CHANGED.
    MODE_CHANGED = UnitAttention, 0x2a, 0x01;
    /// RESERVATIONS PREEMPTED.
    RESERVATIONS_PREEMPTED = UnitAttention, 0x2a, 0x03;
    /// RESERVATIONS RELEASED.
    RESERVATIONS_RELEASED = UnitAttention, 0x2a, 0x04;
    /// REGISTRATIONS PREEMPTED.
    REGISTRATIONS_PREEMPTED = UnitAttention, 0x2a, 0x05;
    /// CAPACITY DATA HAS CHANGED.
    CAPACITY_CHANGED = UnitAttention, 0x2a, 0x09;
    /// COMMANDS CLEARED BY ANOTHER INITIATOR.
    COMMANDS_CLEARED = UnitAttention, 0x2f, 0x00;
    /// INQUIRY DATA HAS CHANGED.
    INQUIRY_CHANGED = UnitAttention, 0x3f, 0x03;
    /// REPORTED LUNS DATA HAS CHANGED.
    LUNS_CHANGED = UnitAttention, 0x3f, 0x0e;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_as_the_standard_lays_them_out() {
        let sense = Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(3)).with_information(0x1_0000_0001);
        let fixed = sense.fixed();
        assert_eq!(fixed, [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcb, 0, 2]);
        let expected = [
            0x72, 5, 0x24, 0, 0, 0, 0, 20, 0, 0x0a, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 6, 0, 0,
            0xcb, 0, 2, 0,
        ];
        assert_eq!(sense.descriptors(), expected);
        let narrow = Sense::UNRECOVERED_READ.with_information(0x0102_0304).fixed();
        assert_eq!(narrow[..8], [0xf0, 0, 3, 1, 2, 3, 4, 10]);
    }
}
