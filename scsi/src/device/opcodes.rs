//! The commands there are, as one table: what is not in it is refused, what is in it is what
//! REPORT SUPPORTED OPERATION CODES says (SPC-4 6.35).

use super::{
    answer::{Answer, parameters},
    conflicts::Class,
};
use crate::sense::Sense;

/// A command.
#[derive(Debug)]
pub(super) struct Entry {
    /// OPERATION CODE.
    pub opcode: u8,
    /// SERVICE ACTION, of those that have one.
    pub action: Option<u8>,
    /// CDB USAGE DATA: the operation code, then the bits that are looked at; the service action
    /// stands in its field. As long as the CDB.
    pub usage: &'static [u8],
    /// How it stands to reservations of others.
    pub class: Class,
    /// Whether RESERVE of another lets it through (SPC-2 table 10).
    pub ignores_reserve: bool,
}

impl Entry {
    /// Whether it may change something that lasts.
    pub fn changes(&self) -> bool {
        matches!(self.class, Class::Writes | Class::Itself)
    }
}

/// Lines of the table: operation code (and service action), class, whether RESERVE lets it
/// through, and the usage data behind the operation code.
macro_rules! commands {
    ($($opcode:literal $(/ $action:literal)?, $class:ident, $free:literal: $($usage:literal)*;)*) => {
        &[$(Entry {
            opcode: $opcode,
            action: commands!(@ $($action)?),
            usage: &[$opcode, $($usage),*],
            class: Class::$class,
            ignores_reserve: $free,
        }),*]
    };
    (@ $action:literal) => { Some($action) };
    (@) => { None };
}

/// By operation code, then service action.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Entry] = commands! {
    // TEST UNIT READY, REQUEST SENSE
    0x00, Always, false: 0x00 0x00 0x00 0x00 0x00;
    0x03, Always, true:  0x01 0x00 0x00 0xff 0x00;
    // READ (6), WRITE (6)
    0x08, Reads,  false: 0x1f 0xff 0xff 0xff 0x00;
    0x0a, Writes, false: 0x1f 0xff 0xff 0xff 0x00;
    // INQUIRY, MODE SELECT (6), RESERVE (6), RELEASE (6), MODE SENSE (6)
    0x12, Always, true:  0x01 0xff 0xff 0xff 0x00;
    0x15, Writes, false: 0x11 0x00 0x00 0xff 0x00;
    0x16, Legacy, false: 0x00 0x00 0x00 0x00 0x00;
    0x17, Legacy, true:  0x00 0x00 0x00 0x00 0x00;
    0x1a, Reads,  false: 0x08 0xff 0xff 0xff 0x00;
    // START STOP UNIT, RECEIVE DIAGNOSTIC RESULTS, SEND DIAGNOSTIC, PREVENT ALLOW MEDIUM REMOVAL
    0x1b, Writes, false: 0x01 0x00 0x0f 0xf7 0x00;
    0x1c, Reads,  false: 0x01 0xff 0xff 0xff 0x00;
    0x1d, Writes, false: 0xf7 0x00 0xff 0xff 0x00;
    0x1e, Always, true:  0x00 0x00 0x00 0x03 0x00;
    // READ CAPACITY (10), READ (10), WRITE (10), WRITE AND VERIFY (10), VERIFY (10)
    0x25, Always, true:  0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00;
    0x28, Reads,  false: 0xf8 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    0x2a, Writes, false: 0xf8 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    0x2e, Writes, false: 0xf6 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    0x2f, Reads,  false: 0xf6 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    // PRE-FETCH (10), SYNCHRONIZE CACHE (10), WRITE SAME (10), UNMAP
    0x34, Reads,  false: 0x02 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    0x35, Writes, false: 0x02 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    0x41, Writes, false: 0xf8 0xff 0xff 0xff 0xff 0x1f 0xff 0xff 0x00;
    0x42, Writes, false: 0x01 0x00 0x00 0x00 0x00 0x1f 0xff 0xff 0x00;
    // MODE SELECT (10), RESERVE (10), RELEASE (10), MODE SENSE (10)
    0x55, Writes, false: 0x11 0x00 0x00 0x00 0x00 0x00 0xff 0xff 0x00;
    0x56, Legacy, false: 0x13 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00;
    0x57, Legacy, true:  0x13 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00;
    0x5a, Reads,  false: 0x18 0xff 0xff 0x00 0x00 0x00 0xff 0xff 0x00;
    // PERSISTENT RESERVE IN: READ KEYS, READ RESERVATION, REPORT CAPABILITIES, READ FULL STATUS
    0x5e / 0x00, Always, false: 0x00 0x00 0x00 0x00 0x00 0x00 0xff 0xff 0x00;
    0x5e / 0x01, Always, false: 0x01 0x00 0x00 0x00 0x00 0x00 0xff 0xff 0x00;
    0x5e / 0x02, Always, false: 0x02 0x00 0x00 0x00 0x00 0x00 0xff 0xff 0x00;
    0x5e / 0x03, Always, false: 0x03 0x00 0x00 0x00 0x00 0x00 0xff 0xff 0x00;
    // PERSISTENT RESERVE OUT: REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT AND ABORT,
    // REGISTER AND IGNORE EXISTING KEY
    0x5f / 0x00, Itself, false: 0x00 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    0x5f / 0x01, Itself, false: 0x01 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    0x5f / 0x02, Itself, false: 0x02 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    0x5f / 0x03, Itself, false: 0x03 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    0x5f / 0x04, Itself, false: 0x04 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    0x5f / 0x05, Itself, false: 0x05 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    0x5f / 0x06, Itself, false: 0x06 0xff 0x00 0x00 0xff 0xff 0xff 0xff 0x00;
    // READ (16), COMPARE AND WRITE, WRITE (16), ORWRITE (16), WRITE AND VERIFY (16), VERIFY (16)
    0x88, Reads,  false: 0xf8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0x89, Writes, false: 0xf8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x00 0x00 0x00 0xff 0x1f 0x00;
    0x8a, Writes, false: 0xf8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0x8b, Writes, false: 0xf8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0x8e, Writes, false: 0xf6 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0x8f, Reads,  false: 0xf6 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    // PRE-FETCH (16), SYNCHRONIZE CACHE (16), WRITE SAME (16)
    0x90, Reads,  false: 0x02 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0x91, Writes, false: 0x02 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0x93, Writes, false: 0xf9 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    // READ CAPACITY (16), GET LBA STATUS
    0x9e / 0x10, Always, true:  0x10 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0xff 0xff 0xff 0xff 0x00 0x00;
    0x9e / 0x12, Reads,  false: 0x12 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x00 0x00;
    // REPORT LUNS
    0xa0, Always, true:  0x00 0xff 0x00 0x00 0x00 0xff 0xff 0xff 0xff 0x00 0x00;
    // REPORT TARGET PORT GROUPS, REPORT SUPPORTED OPERATION CODES, REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
    0xa3 / 0x0a, Always, true:  0xea 0x00 0x00 0x00 0x00 0xff 0xff 0xff 0xff 0x00 0x00;
    0xa3 / 0x0c, Reads,  false: 0x0c 0x87 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x00 0x00;
    0xa3 / 0x0d, Reads,  false: 0x0d 0x80 0x00 0x00 0x00 0xff 0xff 0xff 0xff 0x00 0x00;
    // READ (12), WRITE (12), WRITE AND VERIFY (12), VERIFY (12)
    0xa8, Reads,  false: 0xf8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0xaa, Writes, false: 0xf8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0xae, Writes, false: 0xf6 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
    0xaf, Reads,  false: 0xf6 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0x1f 0x00;
};

/// The command of a CDB.
pub(super) fn find(cdb: &[u8]) -> Result<&'static Entry, Sense> {
    let opcode = cdb.first().ok_or(Sense::INVALID_OPCODE)?;
    let action = cdb.get(1).copied().unwrap_or(0) & 0x1f;
    let mut refusal = Sense::INVALID_OPCODE;
    for entry in COMMANDS.iter().filter(|entry| entry.opcode == *opcode) {
        if entry.action.is_none_or(|its| its == action) {
            return Ok(entry);
        }
        refusal = Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(4));
    }
    Err(refusal)
}

/// UNMAP is not a command of what takes its space for good.
const fn there(entry: &Entry, thin: bool) -> bool {
    thin || entry.opcode != 0x42
}

/// REPORT SUPPORTED OPERATION CODES. All of them:
///
/// | byte | what |
/// |---|---|
/// | 0-3 | bytes behind these |
/// | +0 | operation code |
/// | +2-3 | service action |
/// | +5 | CTDP (bit 1), SERVACTV (bit 0) |
/// | +6-7 | bytes of the CDB |
/// | +8-19 | the timeouts, where asked for: 10 bytes follow, and no time is promised |
///
/// One of them:
///
/// | byte | what |
/// |---|---|
/// | 1 | CTDP (bit 7), SUPPORT: 1 no, 3 as the standard says |
/// | 2-3 | bytes of the CDB |
/// | 4- | CDB usage data, then the timeouts |
pub(super) fn report(
    timeouts: bool,
    option: u8,
    opcode: u8,
    action: u16,
    thin: bool,
    allocation: usize,
) -> Answer {
    const TIMEOUTS: [u8; 12] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut known = COMMANDS.iter().filter(|entry| there(entry, thin));
    if option == 0 {
        let mut bytes = vec![0; 4];
        for entry in known {
            let flags = u8::from(timeouts) << 1 | u8::from(entry.action.is_some());
            bytes.extend([entry.opcode, 0, 0, entry.action.unwrap_or(0), 0, flags, 0]);
            bytes.push(length(entry));
            if timeouts {
                bytes.extend(TIMEOUTS);
            }
        }
        let behind = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&behind.to_be_bytes());
        return parameters(bytes, allocation);
    }
    let acts = COMMANDS.iter().any(|entry| entry.opcode == opcode && entry.action.is_some());
    let plain = COMMANDS.iter().any(|entry| entry.opcode == opcode && entry.action.is_none());
    match option {
        // By operation code alone, or with a service action, but not the wrong way.
        1 if acts => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(2)).into()),
        2 if plain => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(2)).into()),
        1..=3 => {}
        _ => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(2)).into()),
    }
    let one = known.find(|entry| {
        let asked = match (option, entry.action) {
            (1, _) => true,
            (_, Some(its)) => u16::from(its) == action,
            (_, None) => action == 0,
        };
        entry.opcode == opcode && asked
    });
    let mut bytes = vec![0, 1, 0, 0];
    if let Some(entry) = one {
        bytes = vec![0, u8::from(timeouts) << 7 | 3, 0, length(entry)];
        bytes.extend(entry.usage);
        if timeouts {
            bytes.extend(TIMEOUTS);
        }
    }
    parameters(bytes, allocation)
}

fn length(entry: &Entry) -> u8 {
    u8::try_from(entry.usage.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cdb;

    #[test]
    fn the_table_is_sorted_and_its_cdbs_are_as_long_as_their_group_says() {
        assert!(COMMANDS.is_sorted_by_key(|entry| (entry.opcode, entry.action)));
        for entry in COMMANDS {
            let length = match entry.opcode >> 5 {
                0 => 6,
                1 | 2 => 10,
                4 => 16,
                _ => 12,
            };
            assert_eq!(entry.usage.len(), length, "{:#x}", entry.opcode);
            assert!(entry.action.is_none_or(|action| entry.usage[1] & 0x1f == action));
        }
    }

    #[test]
    fn every_command_of_the_table_is_understood_and_every_other_one_is_not() {
        for opcode in 0..=0xff {
            for action in 0..0x20 {
                let mut cdb = [0; 16];
                (cdb[0], cdb[1]) = (opcode, action);
                let listed = COMMANDS.iter().any(|entry| {
                    entry.opcode == opcode && entry.action.is_none_or(|its| its == action)
                });
                let answer = cdb::parse(&cdb);
                let unknown = answer == Err(Sense::INVALID_OPCODE)
                    || answer == Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(4)))
                        && find(&cdb).is_err();
                assert_eq!(unknown, !listed, "{opcode:#x} {action:#x}: {answer:?}");
            }
        }
    }

    fn one(option: u8, opcode: u8, action: u16, thin: bool) -> Option<Vec<u8>> {
        let answer = report(false, option, opcode, action, thin, 255).ok()?;
        Some(answer.data_in.concat())
    }

    #[test]
    fn each_option_answers_for_its_own_kind_of_command() {
        for entry in COMMANDS {
            let (opcode, action) = (entry.opcode, u16::from(entry.action.unwrap_or(0)));
            let mut expected = vec![0, 3, 0, u8::try_from(entry.usage.len()).unwrap()];
            expected.extend(entry.usage);
            let expected = Some(expected);
            let acts = entry.action.is_some();
            assert_eq!(one(1, opcode, 0, true), expected.clone().filter(|_| !acts), "{opcode:#x}");
            assert_eq!(one(2, opcode, action, true), expected.clone().filter(|_| acts));
            assert_eq!(one(3, opcode, action, true), expected);
        }
        assert_eq!(one(1, 0xf0, 0, true), Some(vec![0, 1, 0, 0]));
        assert_eq!(one(2, 0x5e, 9, true), Some(vec![0, 1, 0, 0]));
        assert_eq!(one(1, 0x42, 0, false), Some(vec![0, 1, 0, 0]), "thick: no UNMAP");
        assert_eq!(one(4, 0, 0, true), None);
    }

    #[test]
    fn all_of_them_come_with_or_without_timeouts() {
        for (timeouts, size) in [(false, 8), (true, 20)] {
            let all = report(timeouts, 0, 0, 0, true, 65_535).unwrap().data_in.concat();
            assert_eq!(all.len(), 4 + size * COMMANDS.len());
            assert_eq!(all[..4], u32::try_from(all.len() - 4).unwrap().to_be_bytes());
            assert_eq!(all[4 + 5] & 2 != 0, timeouts);
        }
    }
}
