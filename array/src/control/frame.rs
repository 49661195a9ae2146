//! Frames of the control socket.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0-3 | length of the body, little-endian, at most 1 MiB |
//! | 4 | kind |
//! | 5.. | body |
//!
//! | kind | name | from | body |
//! |---|---|---|---|
//! | 1 | ask | client | [`Ask`] in postcard |
//! | 2 | answer | array | [`Answer`] or [`CciError`] (`Result`) in postcard |
//! | 3 | bytes | either | the next bytes of the volume |
//! | 4 | zeros | either | 8 bytes, little-endian: so many zeros follow |
//! | 5 | end | either | none |
//!
//! *Import*: ask, answer ready; then bytes or zeros, each answered by taken, and end, answered by
//! done once everything is durable. *Export*: ask, answer ready; then bytes and zeros, and end.
//! *Status*: ask, answer, until the answer names no next page. An error answer ends the exchange.

use std::io::{self, Read, Write};

use model::{Blocks, CciError, Emulation, LdevId, LuPath, Serial};
use protocol::{codec, orders::EndStatus};
use serde::{Deserialize, Serialize};

use crate::store::PoolFigures;

/// The longest body.
pub const MAX_BODY: usize = 1 << 20;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Write bytes into an LDEV, as a host does.
    Import {
        /// The LDEV.
        ldev: LdevId,
        /// Its first byte to be written.
        offset: u64,
    },
    /// Read bytes out of an LDEV.
    Export {
        /// The LDEV.
        ldev: LdevId,
        /// Its first byte.
        offset: u64,
        /// How many; `None` is up to the end.
        length: Option<u64>,
        /// Also while the bytes are moving.
        force: bool,
    },
    /// How the pools stand.
    Pools,
    /// Make a file of a pool longer, or take a further file or device into it.
    Grow {
        /// The pool.
        pool: u16,
        /// The file, as the array's description spells it.
        path: String,
        /// Its new size in bytes; `None` is all of a block device.
        bytes: Option<u64>,
        /// Whether its space is reserved at once.
        preallocate: bool,
    },
    /// The LDEVs and their pairs, from the `from`th on.
    Status {
        /// How many LDEVs to pass over.
        from: u32,
    },
}

/// What the array answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Go on: at most so many bytes may come (import), or will come (export).
    Ready {
        /// Bytes.
        length: u64,
    },
    /// The frame was written.
    Taken,
    /// All of it is durable.
    Done {
        /// Bytes written.
        bytes: u64,
    },
    /// All pools.
    Pools(Vec<PoolFigures>),
    /// A page of LDEVs.
    Status {
        /// The storage system.
        serial: Serial,
        /// LDEVs in ascending order.
        rows: Vec<StatusRow>,
        /// Where the next page begins.
        next: Option<u32>,
    },
}

/// One LDEV of a status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRow {
    /// The LDEV.
    pub ldev: LdevId,
    /// Its emulation type.
    pub emulation: Emulation,
    /// Whether it is a command device.
    pub command_device: bool,
    /// Its size.
    pub size: Blocks,
    /// Its first path.
    pub path: Option<LuPath>,
    /// Its pair ends, MU# 0 first; SMPL where there is no pair.
    pub mirrors: Vec<EndStatus>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Kind 1.
    Ask(Ask),
    /// Kind 2.
    Answer(Result<Answer, CciError>),
    /// Kind 3.
    Bytes(Vec<u8>),
    /// Kind 4.
    Zeros(u64),
    /// Kind 5.
    End,
}

impl Frame {
    /// Sends it.
    ///
    /// # Errors
    /// What the socket says; a body beyond [`MAX_BODY`] is [`io::ErrorKind::InvalidInput`].
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let encoded;
        let (kind, body): (u8, &[u8]) = match self {
            Self::Ask(ask) => {
                encoded = codec::encode(ask);
                (1, &encoded)
            }
            Self::Answer(answer) => {
                encoded = codec::encode(answer);
                (2, &encoded)
            }
            Self::Bytes(bytes) => (3, bytes),
            Self::Zeros(count) => {
                encoded = count.to_le_bytes().to_vec();
                (4, &encoded)
            }
            Self::End => (5, &[]),
        };
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY);
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&[kind])?;
        to.write_all(body)?;
        to.flush()
    }

    /// Receives one.
    ///
    /// # Errors
    /// What the socket says; [`io::ErrorKind::InvalidData`] for anything that is not a frame.
    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [a, b, c, d, kind] = head;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > MAX_BODY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        let frame = match kind {
            1 => codec::decode(&body).ok().map(Self::Ask),
            2 => codec::decode(&body).ok().map(Self::Answer),
            3 => Some(Self::Bytes(body)),
            4 => body.try_into().ok().map(u64::from_le_bytes).map(Self::Zeros),
            5 => body.is_empty().then_some(Self::End),
            _ => None,
        };
        frame.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_arrive_as_they_were_sent() {
        let frames = [
            Frame::Ask(Ask::Import { ldev: LdevId::MAX, offset: 7 }),
            Frame::Answer(Ok(Answer::Done { bytes: 1 })),
            Frame::Answer(Err(model::Code::ExInvvol.into())),
            Frame::Bytes(vec![1, 2, 3]),
            Frame::Zeros(u64::MAX),
            Frame::End,
        ];
        let mut sent = Vec::new();
        frames.iter().for_each(|frame| frame.send(&mut sent).unwrap());
        let mut from = &sent[..];
        for frame in &frames {
            assert_eq!(Frame::receive(&mut from).unwrap(), *frame);
        }
        assert!(from.is_empty());
        assert!(Frame::Bytes(vec![0; MAX_BODY + 1]).send(&mut sent).is_err());
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_an_error_and_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut from = &bytes[..];
            while Frame::receive(&mut from).is_ok() {}
        }
    }
}
