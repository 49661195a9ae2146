//! From a byte table to a struct.

use super::Bhs;
use crate::task::LunAddress;

/// A value at a place of a header.
pub trait Field: Sized {
    /// Reads it; `mask` says which bits of the byte are its, where it is less than one.
    fn get(bhs: &Bhs, at: usize, mask: u8) -> Self;
    /// Writes it, into zeros.
    fn put(self, bhs: &mut Bhs, at: usize, mask: u8);
}

impl Field for bool {
    fn get(bhs: &Bhs, at: usize, mask: u8) -> Self {
        bhs[at] & mask != 0
    }

    fn put(self, bhs: &mut Bhs, at: usize, mask: u8) {
        if self {
            bhs[at] |= mask;
        }
    }
}

impl Field for u8 {
    fn get(bhs: &Bhs, at: usize, mask: u8) -> Self {
        (bhs[at] & mask) >> mask.trailing_zeros()
    }

    fn put(self, bhs: &mut Bhs, at: usize, mask: u8) {
        bhs[at] |= (self << mask.trailing_zeros()) & mask;
    }
}

impl<const N: usize> Field for [u8; N] {
    fn get(bhs: &Bhs, at: usize, _: u8) -> Self {
        std::array::from_fn(|n| bhs[at + n])
    }

    fn put(self, bhs: &mut Bhs, at: usize, _: u8) {
        bhs[at..at + N].copy_from_slice(&self);
    }
}

impl Field for u16 {
    fn get(bhs: &Bhs, at: usize, mask: u8) -> Self {
        Self::from_be_bytes(Field::get(bhs, at, mask))
    }

    fn put(self, bhs: &mut Bhs, at: usize, mask: u8) {
        self.to_be_bytes().put(bhs, at, mask);
    }
}

impl Field for u32 {
    fn get(bhs: &Bhs, at: usize, mask: u8) -> Self {
        Self::from_be_bytes(Field::get(bhs, at, mask))
    }

    fn put(self, bhs: &mut Bhs, at: usize, mask: u8) {
        self.to_be_bytes().put(bhs, at, mask);
    }
}

impl Field for LunAddress {
    fn get(bhs: &Bhs, at: usize, mask: u8) -> Self {
        Self(u64::from_be_bytes(Field::get(bhs, at, mask)))
    }

    fn put(self, bhs: &mut Bhs, at: usize, mask: u8) {
        self.0.to_be_bytes().put(bhs, at, mask);
    }
}

/// A struct from its table: name, first two bytes where they are fixed, then field, type, offset,
/// and for less than a byte its bits.
macro_rules! header {
    (
        $(#[$doc:meta])*
        $name:ident = $opcode:literal, $flags:literal;
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $at:literal $(& $mask:literal)?;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Byte 0, without the bit for immediate delivery.
            pub const OPCODE: u8 = $opcode & 0x3f;

            /// The fields of a header with this opcode.
            #[must_use]
            pub fn read(bhs: &$crate::iscsi::pdu::Bhs) -> Self {
                use $crate::iscsi::pdu::fields::Field;
                Self { $($field: <$type>::get(bhs, $at, 0xff $(& $mask)?),)* }
            }

            /// The header, without lengths.
            #[must_use]
            pub fn write(&self) -> $crate::iscsi::pdu::Bhs {
                use $crate::iscsi::pdu::fields::Field;
                let mut bhs = [0; $crate::iscsi::pdu::BHS];
                (bhs[0], bhs[1]) = ($opcode, $flags);
                $(self.$field.put(&mut bhs, $at, 0xff $(& $mask)?);)*
                bhs
            }
        }
    };
}

/// All headers of one direction.
macro_rules! headers {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_doc:meta])* $variant:ident,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant($variant),)*
        }

        impl $name {
            /// `None` for an opcode that this direction does not have.
            #[must_use]
            pub fn read(bhs: &$crate::iscsi::pdu::Bhs) -> Option<Self> {
                match bhs[0] & 0x3f {
                    $($variant::OPCODE => Some(Self::$variant($variant::read(bhs))),)*
                    _ => None,
                }
            }

            /// The header, without lengths.
            #[must_use]
            pub fn write(&self) -> $crate::iscsi::pdu::Bhs {
                match self {
                    $(Self::$variant(header) => header.write(),)*
                }
            }
        }
    };
}

pub(super) use {header, headers};
