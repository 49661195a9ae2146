//! The name of one request, from the command to the storage system.

use std::fmt;

/// A random 128-bit name. A command draws one for each thing it asks; every resend, and every
/// order that the request leads to, carries the same, so that a change happens once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u128);

impl RequestId {
    /// A name that nobody else has.
    ///
    /// # Panics
    /// When the operating system has no random source.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        Self::from_bytes(bytes)
    }

    /// Its 16 bytes, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The name with these 16 bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_keep_the_name() {
        let id = RequestId(0x0102);
        assert_eq!(RequestId::from_bytes(id.to_bytes()), id);
        assert_eq!(id.to_string(), "00000000000000000000000000000102");
        assert_ne!(RequestId::random(), RequestId::random());
    }
}
