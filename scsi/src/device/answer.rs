//! What a command answers, and how failures become sense data.

use bytes::Bytes;

use super::pieces;
use crate::{
    medium::{BLOCK, Failure},
    sense::Sense,
    task::{Completion, Status},
};

/// Why a command is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// CHECK CONDITION.
    Check(Sense),
    /// Another status.
    Status(Status),
}

/// What a command answers.
pub(super) type Answer = Result<Completion, Refusal>;

/// RESERVATION CONFLICT.
pub(super) const CONFLICT: Refusal = Refusal::Status(Status::ReservationConflict);
/// BUSY.
pub(super) const BUSY: Refusal = Refusal::Status(Status::Busy);

impl From<Sense> for Refusal {
    fn from(sense: Sense) -> Self {
        Self::Check(sense)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Check(match failure {
            Failure::Unreadable => Sense::ACCESS_DENIED,
            Failure::Unwritable => Sense::WRITE_PROTECTED,
            Failure::Damaged { lba } => Sense::UNRECOVERED_READ.with_information(lba),
            Failure::Full => Sense::SPACE_ALLOCATION_FAILED,
            Failure::Gone => Sense::NOT_READY,
            Failure::Broken => Sense::INTERNAL_FAILURE,
            Failure::Busy => return Self::Status(Status::TaskSetFull),
        })
    }
}

/// GOOD with parameter data, as much of it as the allocation length lets through (SPC-4 4.2.5.6).
pub(super) fn parameters(mut bytes: Vec<u8>, allocation: usize) -> Answer {
    bytes.truncate(allocation);
    bytes.shrink_to_fit();
    Ok(if bytes.is_empty() { Completion::good() } else { Completion::data(bytes) })
}

/// A completion without what finds no room, of which nothing is kept.
pub(super) fn fit(mut completion: Completion, room: usize) -> Completion {
    let there: usize = completion.data_in.iter().map(Bytes::len).sum();
    if there > room {
        let (mut data, _) = pieces::split(completion.data_in, room as u64);
        // The piece that was cut would keep its rest in memory.
        if let Some(last) = data.last_mut().filter(|_| there - room >= BLOCK as usize) {
            *last = Bytes::copy_from_slice(last);
        }
        completion.data_in = data;
        completion.left_out += there - room;
    }
    completion
}

/// The completion that a transport sends.
pub(super) fn completion(answer: Answer) -> Completion {
    match answer {
        Ok(completion) => completion,
        Err(Refusal::Check(sense)) => Completion::check(sense),
        Err(Refusal::Status(status)) => Completion::status(status),
    }
}
