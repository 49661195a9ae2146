//! The secret that hosts share, and the ring of secrets a server accepts.

use std::fmt;

use sha2::{Digest, Sha256};

/// A 256-bit secret. Who holds it may ask and order everything that the protocol can say.
///
/// Its text form, in the key file, is 64 hexadecimal digits. [`fmt::Debug`] shows the id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    secret: [u8; 32],
    id: KeyId,
}

impl Key {
    /// A new key from the operating system's random source.
    ///
    /// # Panics
    /// When the operating system has no random source; nothing can be sealed then.
    #[must_use]
    pub fn generate() -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the operating system has a random source");
        Self::from_secret(secret)
    }

    /// The key with these 32 bytes.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"HORCM key id 1").chain_update(secret).finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self { secret, id: KeyId(id) }
    }

    /// Its name on the wire and in messages: the first 8 bytes of SHA-256 over a label and the
    /// key. It tells keys apart and gives nothing of them away.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) const fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The public name of a [`Key`]; shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The keys a server accepts: its own first, then those of hosts that brought theirs.
///
/// A host with its own key can so be taken in without giving it the others' key.
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
}

impl KeyRing {
    /// The most keys a ring holds; further ones are not added.
    pub const MAX: usize = 64;

    /// A ring with one key.
    #[must_use]
    pub fn new(own: Key) -> Self {
        Self { keys: vec![own] }
    }

    /// Adds a key; one that is there already, or the 65th, changes nothing.
    pub fn add(&mut self, key: Key) {
        if self.find(key.id()).is_none() && self.keys.len() < Self::MAX {
            self.keys.push(key);
        }
    }

    /// The key with that id.
    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_but_never_shown() {
        let key = Key::from_secret([0xab; 32]);
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("Key({})", key.id()));
        assert!(!shown.contains("abab"));
        assert_ne!(key.id(), Key::from_secret([0xac; 32]).id());
        assert_ne!(Key::generate(), Key::generate());
    }

    #[test]
    fn a_ring_finds_each_key_once_and_stays_bounded() {
        let own = Key::from_secret([0; 32]);
        let mut ring = KeyRing::new(own.clone());
        ring.add(own.clone());
        assert_eq!(ring.keys.len(), 1);
        for n in 0..=255 {
            ring.add(Key::from_secret([n; 32]));
        }
        assert_eq!(ring.keys.len(), KeyRing::MAX);
        assert_eq!(ring.find(own.id()), Some(&own));
        assert_eq!(ring.find(Key::from_secret([255; 32]).id()), None);
    }
}
