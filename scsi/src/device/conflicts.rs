//! Which commands reservations of others keep out, as the standards' tables say.

/// How a command stands to persistent reservations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It is allowed, whoever holds what.
    Always,
    /// It learns something that only readers may.
    Reads,
    /// It changes something.
    Writes,
    /// RESERVE and RELEASE: see [`Type`] and SPC-4 5.13.3.
    Legacy,
    /// PERSISTENT RESERVE OUT decides itself.
    Itself,
}

/// The type of a persistent reservation (SPC-4 table 168).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Type {
    /// Write Exclusive.
    WriteExclusive = 1,
    /// Exclusive Access.
    ExclusiveAccess = 3,
    /// Write Exclusive - Registrants Only.
    WriteExclusiveRegistrants = 5,
    /// Exclusive Access - Registrants Only.
    ExclusiveAccessRegistrants = 6,
    /// Write Exclusive - All Registrants.
    WriteExclusiveAll = 7,
    /// Exclusive Access - All Registrants.
    ExclusiveAccessAll = 8,
}

impl Type {
    /// By its number.
    pub const fn new(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::WriteExclusive,
            3 => Self::ExclusiveAccess,
            5 => Self::WriteExclusiveRegistrants,
            6 => Self::ExclusiveAccessRegistrants,
            7 => Self::WriteExclusiveAll,
            8 => Self::ExclusiveAccessAll,
            _ => return None,
        })
    }

    /// Whether all registrants hold it.
    pub const fn all_registrants(self) -> bool {
        matches!(self, Self::WriteExclusiveAll | Self::ExclusiveAccessAll)
    }

    /// Whether registrants may do what its holder may.
    pub const fn for_registrants(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    const fn exclusive_access(self) -> bool {
        matches!(
            self,
            Self::ExclusiveAccess | Self::ExclusiveAccessRegistrants | Self::ExclusiveAccessAll
        )
    }
}

/// SPC-4 table 62 and SBC-3 table 14 for a nexus that does not hold the reservation.
#[rustfmt::skip]
const ALLOWED: [(Class, [bool; 5]); 3] = [
    //                any nexus       registered    not registered
    //                WE     EA       all others    WE-RR  EA-RR
    (Class::Always, [true,  true,     true,         true,  true]),
    (Class::Reads,  [true,  false,    true,         true,  false]),
    (Class::Writes, [false, false,    true,         false, false]),
];

/// Whether a command of a nexus that does not hold the reservation is carried out.
pub(super) fn allowed(class: Class, held: Type, registered: bool) -> bool {
    let column = match (held.for_registrants(), registered, held.exclusive_access()) {
        (false, _, false) => 0,
        (false, _, true) => 1,
        (true, true, _) => 2,
        (true, false, false) => 3,
        (true, false, true) => 4,
    };
    ALLOWED.iter().any(|(its, columns)| *its == class && columns[column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::opcodes::COMMANDS;

    /// SPC-4 tables 62 and 63 and SBC-3 table 14 by operation code (and service action): what is
    /// allowed under a Write Exclusive and an Exclusive Access reservation of another.
    const BY_CODE: &[(u8, u8, bool, bool)] = &[
        (0x00, 0, true, true),
        (0x03, 0, true, true),
        (0x08, 0, true, false),
        (0x0a, 0, false, false),
        (0x12, 0, true, true),
        (0x15, 0, false, false),
        (0x1a, 0, true, false),
        (0x1b, 0, false, false),
        (0x1c, 0, true, false),
        (0x1d, 0, false, false),
        (0x1e, 0, true, true),
        (0x25, 0, true, true),
        (0x28, 0, true, false),
        (0x2a, 0, false, false),
        (0x2e, 0, false, false),
        (0x2f, 0, true, false),
        (0x34, 0, true, false),
        (0x35, 0, false, false),
        (0x41, 0, false, false),
        (0x42, 0, false, false),
        (0x55, 0, false, false),
        (0x5a, 0, true, false),
        (0x5e, 0, true, true),
        (0x5e, 1, true, true),
        (0x5e, 2, true, true),
        (0x5e, 3, true, true),
        (0x88, 0, true, false),
        (0x89, 0, false, false),
        (0x8a, 0, false, false),
        (0x8b, 0, false, false),
        (0x8e, 0, false, false),
        (0x8f, 0, true, false),
        (0x90, 0, true, false),
        (0x91, 0, false, false),
        (0x93, 0, false, false),
        (0x9e, 0x10, true, true),
        (0x9e, 0x12, true, false),
        (0xa0, 0, true, true),
        (0xa3, 0x0a, true, true),
        (0xa3, 0x0c, true, false),
        (0xa3, 0x0d, true, false),
        (0xa8, 0, true, false),
        (0xaa, 0, false, false),
        (0xae, 0, false, false),
        (0xaf, 0, true, false),
    ];

    #[test]
    fn conflicts_are_those_of_the_standards_tables() {
        for (number, exclusive, registrants) in [
            (1, false, false),
            (3, true, false),
            (5, false, true),
            (6, true, true),
            (7, false, true),
            (8, true, true),
        ] {
            let held = Type::new(number).unwrap();
            for (opcode, action, write, access) in BY_CODE {
                let entry = crate::device::opcodes::find(&[*opcode, *action]).unwrap();
                for registered in [false, true] {
                    let expected =
                        registered && registrants || if exclusive { *access } else { *write };
                    let answer = allowed(entry.class, held, registered);
                    assert_eq!(answer, expected, "{opcode:#x} under type {number}, {registered}");
                }
            }
        }
    }

    #[test]
    fn every_command_is_in_the_tables_or_decides_itself() {
        for entry in COMMANDS {
            let own = matches!(entry.class, Class::Legacy | Class::Itself);
            let action = entry.action.unwrap_or(0);
            let listed = BY_CODE.iter().any(|line| (line.0, line.1) == (entry.opcode, action));
            assert!(own != listed, "{:#x}", entry.opcode);
        }
    }
}
