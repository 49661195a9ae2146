//! A command on its way to a device server, and what comes back.

use bytes::Bytes;

use crate::sense::Sense;

/// A logical unit number as SAM-5 4.7 codes it: eight bytes, the first level first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LunAddress(pub u64);

impl LunAddress {
    /// The well-known logical unit REPORT LUNS (SAM-5 4.7.7.5.1).
    pub const REPORT_LUNS: Self = Self(0xc101_0000_0000_0000);

    /// Below 256 the peripheral device addressing method, above it the flat space method;
    /// `None` above 16,383.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0..=0xff => Some(Self((number as u64) << 48)),
            0x100..=0x3fff => Some(Self((0x4000 | number as u64) << 48)),
            _ => None,
        }
    }

    /// The number of a single-level address by the peripheral (bus 0) or flat space method.
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        let first = (self.0 >> 48) as u16;
        match (first >> 14, self.0 << 16) {
            (0, 0) if first < 0x100 => Some(first),
            (1, 0) => Some(first & 0x3fff),
            _ => None,
        }
    }
}

/// How a command stands to others of its nexus (SAM-5 8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskAttribute {
    /// In any order.
    #[default]
    Simple,
    /// After all before it, before all behind it.
    Ordered,
    /// Before all that have not begun.
    HeadOfQueue,
    /// As the standard's auto contingent allegiance asks.
    Aca,
}

/// A command with everything it needs.
#[derive(Debug, Clone)]
pub struct Command {
    /// The logical unit.
    pub lun: LunAddress,
    /// The command descriptor block: 6 to 260 bytes; what the transport pads stays on.
    pub cdb: Bytes,
    /// Its order.
    pub attribute: TaskAttribute,
    /// What the initiator sends with it, all of it, piece by piece. At most what
    /// [`crate::service::Service::needs`] said.
    pub data_out: Vec<Bytes>,
    /// How many bytes the initiator offers to send, gathered or not (for iSCSI the Expected Data
    /// Transfer Length of a write). COMPARE AND WRITE and WRITE SAME refuse what is too much.
    pub offered: usize,
    /// How many bytes of an answer the initiator has room for (for iSCSI the Expected Data Transfer
    /// Length of a read; 0 where it is none). More need not be made.
    pub room: usize,
}

/// SCSI status (SAM-5 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// GOOD.
    Good = 0x00,
    /// CHECK CONDITION; there is sense data.
    CheckCondition = 0x02,
    /// BUSY.
    Busy = 0x08,
    /// RESERVATION CONFLICT.
    ReservationConflict = 0x18,
    /// TASK SET FULL.
    TaskSetFull = 0x28,
    /// TASK ABORTED.
    TaskAborted = 0x40,
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Its status.
    pub status: Status,
    /// Why, with CHECK CONDITION.
    pub sense: Option<Sense>,
    /// What the initiator gets, at most the allocation length of the CDB.
    pub data_in: Vec<Bytes>,
    /// How many bytes more there would be, had they found room ([`Command::room`]). The transport
    /// reports what the answer with these lacks or has beyond the expected length as residual.
    pub left_out: usize,
    /// Whether sense data goes in the descriptor format (D_SENSE of the Control mode page).
    pub descriptor_format: bool,
}

impl Completion {
    /// GOOD, without data.
    #[must_use]
    pub const fn good() -> Self {
        Self::status(Status::Good)
    }

    /// GOOD, with data.
    #[must_use]
    pub fn data(data: impl Into<Bytes>) -> Self {
        Self { data_in: vec![data.into()], ..Self::good() }
    }

    /// CHECK CONDITION.
    #[must_use]
    pub const fn check(sense: Sense) -> Self {
        let status = Status::CheckCondition;
        let data_in = Vec::new();
        Self { status, sense: Some(sense), data_in, left_out: 0, descriptor_format: false }
    }

    /// A status without sense data.
    #[must_use]
    pub const fn status(status: Status) -> Self {
        Self { status, sense: None, data_in: Vec::new(), left_out: 0, descriptor_format: false }
    }

    /// The sense data as it goes to the initiator; empty where there is none.
    #[must_use]
    pub fn sense_data(&self) -> Vec<u8> {
        match self.sense {
            Some(sense) if self.descriptor_format => sense.descriptors(),
            Some(sense) => sense.fixed().to_vec(),
            None => Vec::new(),
        }
    }
}

/// A task management function for more than one task (SAM-5 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Management {
    /// ABORT TASK SET: all tasks of this nexus on the logical unit.
    AbortTaskSet,
    /// CLEAR TASK SET: all tasks of all nexuses on the logical unit.
    ClearTaskSet,
    /// CLEAR ACA.
    ClearAca,
    /// LOGICAL UNIT RESET.
    LogicalUnitReset,
    /// TARGET WARM RESET: LOGICAL UNIT RESET of all logical units that the nexus sees, and of no
    /// others that the target port has for others.
    TargetWarmReset,
    /// TARGET COLD RESET: the same; the transport ends the session.
    TargetColdReset,
}

/// Why a task management function is not carried out (RFC 7143, 11.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmanaged {
    /// INCORRECT LOGICAL UNIT NUMBER.
    NoSuchUnit,
    /// FUNCTION REJECTED, or not supported.
    Rejected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_units_go_there_and_back() {
        for number in (0..0x4000).step_by(17) {
            assert_eq!(LunAddress::from_number(number).unwrap().number(), Some(number));
        }
        assert_eq!(LunAddress::from_number(0x4000), None);
        assert_eq!(LunAddress(0x0001_0000_0000_0000).number(), Some(1));
        assert_eq!(LunAddress(0x4123_0000_0000_0000).number(), Some(0x123));
        // Another bus, a second level, a well-known unit.
        for address in [0x0100_0000_0000_0000, 0x0001_0001_0000_0000, LunAddress::REPORT_LUNS.0] {
            assert_eq!(LunAddress(address).number(), None);
        }
    }
}
