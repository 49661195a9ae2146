//! The datagram: a fixed header in the clear, and a sealed frame.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `HRCM` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | what the frame is: [`Packet`] |
//! | 6 | 2 | reserved, 0 |
//! | 8 | 8 | key id |
//! | 16 | 24 | nonce |
//! | 40 | n | frame ([`crate::frame`]), XChaCha20 |
//! | 40+n | 16 | Poly1305 tag over header and frame |
//!
//! Numbers are big-endian. The header is the associated data of the seal, so no bit of a datagram
//! can change unnoticed, and a frame cannot be passed off as one of another kind or direction.
//!
//! Version 1: the first.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

use crate::key::{Key, KeyId};

/// Bytes of the header.
pub const HEADER: usize = 40;
/// Bytes of the tag.
pub const TAG: usize = 16;
/// The largest UDP datagram (IPv4; IPv6 has 20 bytes more, unused here).
pub const MAX_DATAGRAM: usize = 65_507;

const MAGIC: &[u8; 4] = b"HRCM";
const VERSION: u8 = 1;

/// What a frame is. The number stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Packet {
    /// Client to server: open a session.
    Hello = 1,
    /// Server to client: the session.
    Welcome = 2,
    /// Client to server: one part of a request.
    Request = 3,
    /// Server to client: the answer of a request.
    Answer = 4,
    /// Server to client: how far a request is.
    Status = 5,
}

impl Packet {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Request,
            4 => Self::Answer,
            5 => Self::Status,
            _ => return None,
        })
    }
}

/// The nonce of one datagram.
pub type Nonce = [u8; 24];

/// Nonces that nobody else uses under the same key: 16 bytes drawn once per sender, and a counter.
#[derive(Debug)]
pub struct Nonces {
    prefix: [u8; 16],
    count: u64,
}

impl Nonces {
    /// The nonces of a new sender.
    ///
    /// # Panics
    /// When the operating system has no random source.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each call draws a random prefix")]
    pub fn new() -> Self {
        let mut prefix = [0; 16];
        getrandom::fill(&mut prefix).expect("the operating system has a random source");
        Self { prefix, count: 0 }
    }

    fn next(&mut self) -> Nonce {
        // 2^64 datagrams outlast any sender.
        self.count = self.count.wrapping_add(1);
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&self.prefix);
        nonce[16..].copy_from_slice(&self.count.to_be_bytes());
        nonce
    }
}

/// What stands in the clear.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// What the frame claims to be.
    pub packet: Packet,
    /// The key it claims to be sealed with.
    pub key: KeyId,
    /// The nonce.
    pub nonce: Nonce,
}

impl Header {
    /// `None` for what cannot be a datagram of this version. Nothing of it is trusted yet.
    #[must_use]
    pub fn read(datagram: &[u8]) -> Option<Self> {
        if datagram.len() < HEADER + TAG || datagram.len() > MAX_DATAGRAM {
            return None;
        }
        let (magic, rest) = datagram.split_first_chunk::<4>()?;
        let ([version, packet, 0, 0], rest) = rest.split_first_chunk::<4>()? else {
            return None;
        };
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let (nonce, _) = rest.split_first_chunk::<24>()?;
        if magic != MAGIC || *version != VERSION {
            return None;
        }
        Some(Self { packet: Packet::from_byte(*packet)?, key: KeyId(*key), nonce: *nonce })
    }

    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.packet as u8;
        bytes[8..16].copy_from_slice(&self.key.0);
        bytes[16..].copy_from_slice(&self.nonce);
        bytes
    }
}

/// Seals a frame; also returns the nonce, by which a Hello is known.
///
/// `write` appends the frame to the buffer it gets and leaves what is there alone.
#[must_use]
pub fn seal(
    key: &Key,
    nonces: &mut Nonces,
    packet: Packet,
    capacity: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> (Vec<u8>, Nonce) {
    let header = Header { packet, key: key.id(), nonce: nonces.next() };
    let mut datagram = Vec::with_capacity(HEADER + capacity + TAG);
    datagram.extend_from_slice(&header.to_bytes());
    write(&mut datagram);
    let (aad, frame) = datagram.split_at_mut(HEADER);
    let tag = cipher(key)
        .encrypt_inout_detached(&XNonce::from(header.nonce), aad, frame.into())
        .expect("a frame is far below the cipher's limit of 256 GiB");
    datagram.extend_from_slice(&tag);
    (datagram, header.nonce)
}

/// The frame of a datagram, or `None` when it was not sealed with that key as it stands.
#[must_use]
pub fn open(key: &Key, header: &Header, datagram: &[u8]) -> Option<Vec<u8>> {
    let (aad, sealed) = datagram.split_at_checked(HEADER)?;
    let (frame, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut frame = frame.to_vec();
    cipher(key)
        .decrypt_inout_detached(
            &XNonce::from(header.nonce),
            aad,
            frame.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(frame)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.secret().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Key, Vec<u8>) {
        let key = Key::from_secret([7; 32]);
        let (datagram, _) =
            seal(&key, &mut Nonces::new(), Packet::Hello, 5, |out| out.extend_from_slice(b"frame"));
        (key, datagram)
    }

    fn opened(key: &Key, datagram: &[u8]) -> Option<Vec<u8>> {
        open(key, &Header::read(datagram)?, datagram)
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_only() {
        let (key, datagram) = sealed();
        assert_eq!(datagram.len(), HEADER + 5 + TAG);
        assert_eq!(opened(&key, &datagram).unwrap(), b"frame");
        assert_eq!(opened(&Key::from_secret([8; 32]), &datagram), None);
    }

    #[test]
    fn no_bit_can_change_and_no_byte_can_be_missing_or_added() {
        let (key, datagram) = sealed();
        for at in 0..datagram.len() {
            for bit in 0..8 {
                let mut changed = datagram.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(opened(&key, &changed), None, "byte {at} bit {bit}");
            }
            assert_eq!(opened(&key, &datagram[..at]), None);
        }
        let mut longer = datagram;
        longer.push(0);
        assert_eq!(opened(&key, &longer), None);
    }

    #[test]
    fn equal_frames_are_sealed_differently_each_time() {
        let key = Key::from_secret([7; 32]);
        let mut nonces = Nonces::new();
        let mut once = || seal(&key, &mut nonces, Packet::Hello, 0, |_| ()).0;
        assert_ne!(once(), once());
    }
}
