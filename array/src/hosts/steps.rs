//! A host's request as steps: each is short, so that between them others get their turn, and what
//! an order changes about an LDEV is not kept waiting by a request over all of it.

use bytes::Bytes;
use model::LdevId;
use tokio::sync::oneshot;

use super::queue::{Io, Outcome};
use crate::{
    array::Array,
    store::{MAX_IO, StoreError},
};

/// Bytes that one step makes zeros of; whole pages, so that none is left half zeroed and mapped.
const ZEROS: u64 = 16 << 20;

/// A request, and how far it is.
#[derive(Debug)]
pub(super) enum Work {
    Read { at: u64, end: u64, pieces: Vec<Bytes> },
    Write { at: u64, rest: Vec<Bytes>, durable: bool },
    Zero { at: u64, end: u64 },
    Flush,
    Mapped { at: u64, found: Option<oneshot::Sender<(bool, u64)>> },
}

impl From<Io> for Work {
    fn from(io: Io) -> Self {
        match io {
            Io::Read { offset, length } => {
                let pieces = Vec::with_capacity(length.div_ceil(MAX_IO));
                Self::Read { at: offset, end: offset + length as u64, pieces }
            }
            Io::Write { offset, pieces, durable } => {
                Self::Write { at: offset, rest: pieces, durable }
            }
            Io::Zero { offset, length } => {
                Self::Zero { at: offset, end: offset.saturating_add(length) }
            }
            Io::Flush => Self::Flush,
            Io::Mapped { offset, found } => Self::Mapped { at: offset, found: Some(found) },
        }
    }
}

impl Work {
    /// Whether it changes what an LDEV holds.
    pub const fn changes(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Zero { .. })
    }

    /// Whether it waits for every change that was submitted before it.
    pub const fn is_ordered(&self) -> bool {
        matches!(self, Self::Flush)
    }

    /// Goes on; `None` while there is more to do.
    pub fn step(&mut self, array: &Array, ldev: LdevId) -> Option<Outcome> {
        self.go_on(array, ldev).transpose()
    }

    fn go_on(&mut self, array: &Array, ldev: LdevId) -> Result<Option<Vec<Bytes>>, StoreError> {
        match self {
            Self::Read { at, end, pieces } => {
                if at < end {
                    let mut piece = vec![0; (*end - *at).min(MAX_IO as u64) as usize];
                    array.host_read(ldev, *at, &mut piece)?;
                    *at += piece.len() as u64;
                    pieces.push(piece.into());
                }
                Ok((at == end).then(|| std::mem::take(pieces)))
            }
            Self::Write { at, rest, durable } => {
                let data = joined(rest);
                let piece = data.split_to(data.len().min(MAX_IO));
                array.host_write(ldev, *at, &piece)?;
                *at += piece.len() as u64;
                if !data.is_empty() {
                    return Ok(None);
                }
                if *durable {
                    array.store.flush(ldev)?;
                }
                Ok(Some(Vec::new()))
            }
            Self::Zero { at, end } => {
                let length = (*end - *at).min(ZEROS - *at % ZEROS);
                array.host_zero(ldev, *at, length)?;
                *at += length;
                Ok((at == end).then(Vec::new))
            }
            Self::Flush => array.store.flush(ldev).map(|()| Some(Vec::new())),
            Self::Mapped { at, found } => {
                let mapped = array.store.mapped(ldev, *at)?;
                // Nobody may wait for it any more.
                let _ = found.take().map(|found| found.send(mapped));
                Ok(Some(Vec::new()))
            }
        }
    }
}

/// Makes one of the pieces, so that no block is written twice where a piece ends within it.
fn joined(pieces: &mut Vec<Bytes>) -> &mut Bytes {
    if pieces.len() != 1 {
        *pieces = vec![pieces.concat().into()];
    }
    &mut pieces[0]
}
