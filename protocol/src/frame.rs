//! The sealed frames, as byte tables. Numbers are big-endian.
//!
//! **Hello**: empty. The nonce of its datagram names it.
//!
//! **Welcome**
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | nonce of the Hello it answers |
//! | 24 | 16 | session id |
//!
//! **Request**, one part of it
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 16 | session id |
//! | 16 | 8 | sequence number in the session, from 1 |
//! | 24 | 16 | request id |
//! | 40 | 1 | 0 read, 1 change |
//! | 41 | 1 | 1: answer this datagram, with a Status if nothing else |
//! | 42 | 2 | chunk: bytes of every part but the last, at least 512 |
//! | 44 | 4 | room: bytes the answer's body may have |
//! | 48 | 4 | total: bytes of the whole request, at most 8 MiB |
//! | 52 | 2 | which part, from 0 |
//! | 54 | 2 | reserved, 0 |
//! | 56 | n | the part |
//!
//! **Answer** and **Status**
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 16 | session id |
//! | 16 | 8 | sequence number of the datagram answered |
//! | 24 | 16 | request id |
//! | 40 | 1 | Answer: 0 the body follows, 1 it was larger than a datagram. Status: 0 gathering, 1 executing |
//! | 41 | n | Answer: the body. Status while gathering: a bit for each part that is there, part 0 the lowest of byte 0 |

use crate::call::Kind;
use crate::request_id::RequestId;
use crate::wire::{HEADER, MAX_DATAGRAM, Nonce, TAG};

/// The most bytes a request can have.
pub const MAX_REQUEST: usize = 8 << 20;
/// The least bytes a part has, unless it is the last; it bounds the number of parts.
pub const MIN_CHUNK: u16 = 512;
/// Bytes before the part in a Request.
pub const REQUEST_HEAD: usize = 56;
/// Bytes before the body in an Answer.
pub const ANSWER_HEAD: usize = 41;
/// The most bytes an answer's body can have.
pub const MAX_ANSWER: usize = MAX_DATAGRAM - HEADER - TAG - ANSWER_HEAD;

/// The name of a session: the server's boot epoch above, a count below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u128);

/// A Welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The Hello it answers.
    pub hello: Nonce,
    /// The new session.
    pub session: SessionId,
}

impl Welcome {
    /// Bytes of the frame.
    pub const LEN: usize = 40;

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hello);
        out.extend_from_slice(&self.session.0.to_be_bytes());
    }

    /// `None` for anything but a Welcome.
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (hello, rest) = frame.split_first_chunk::<24>()?;
        let session = SessionId(u128::from_be_bytes(rest.try_into().ok()?));
        Some(Self { hello: *hello, session })
    }
}

/// Which datagram of which request: what every frame but Hello and Welcome begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The session.
    pub session: SessionId,
    /// The datagram in it.
    pub sequence: u64,
    /// The request.
    pub id: RequestId,
}

impl Label {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.0.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.id.to_bytes());
    }

    fn read(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (session, rest) = frame.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let label = Self {
            session: SessionId(u128::from_be_bytes(*session)),
            sequence: u64::from_be_bytes(*sequence),
            id: RequestId::from_bytes(*id),
        };
        Some((label, rest))
    }
}

/// How a request is cut into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of the whole request.
    pub total: u32,
    /// Bytes of every part but the last.
    pub chunk: u16,
}

impl Cut {
    /// How many parts there are; an empty request has one, empty.
    #[must_use]
    pub fn parts(self) -> usize {
        (self.total as usize).div_ceil(usize::from(self.chunk).max(1)).max(1)
    }

    /// Where a part lies in the request.
    #[must_use]
    pub fn range(self, part: usize) -> std::ops::Range<usize> {
        let (total, chunk) = (self.total as usize, usize::from(self.chunk));
        let start = part.saturating_mul(chunk).min(total);
        start..(start + chunk).min(total)
    }
}

/// One part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Whose part.
    pub label: Label,
    /// What the request does.
    pub kind: Kind,
    /// Whether the client wants to hear about this datagram.
    pub tell: bool,
    /// Bytes the answer's body may have.
    pub room: u32,
    /// How the request is cut.
    pub cut: Cut,
    /// Which part.
    pub index: u16,
    /// The part.
    pub bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.label.write(out);
        out.push(u8::from(self.kind == Kind::Change));
        out.push(u8::from(self.tell));
        out.extend_from_slice(&self.cut.chunk.to_be_bytes());
        out.extend_from_slice(&self.room.to_be_bytes());
        out.extend_from_slice(&self.cut.total.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(self.bytes);
    }

    /// `None` for anything but a part whose numbers fit each other and the limits.
    #[must_use]
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (label, rest) = Label::read(frame)?;
        let ([kind, tell, c0, c1], rest) = rest.split_first_chunk::<4>()?;
        let (room, rest) = rest.split_first_chunk()?;
        let (total, rest) = rest.split_first_chunk()?;
        let ([i0, i1, 0, 0], bytes) = rest.split_first_chunk::<4>()? else { return None };
        let kind = match kind {
            0 => Kind::Read,
            1 => Kind::Change,
            _ => return None,
        };
        let cut = Cut { total: u32::from_be_bytes(*total), chunk: u16::from_be_bytes([*c0, *c1]) };
        let index = u16::from_be_bytes([*i0, *i1]);
        let part = usize::from(index);
        let fits = *tell <= 1
            && cut.chunk >= MIN_CHUNK
            && cut.total as usize <= MAX_REQUEST
            && part < cut.parts()
            && cut.range(part).len() == bytes.len();
        let room = u32::from_be_bytes(*room);
        fits.then_some(Self { label, kind, tell: *tell == 1, room, cut, index, bytes })
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Its answer.
    Body(&'a [u8]),
    /// Its answer would not fit a datagram.
    TooLarge,
}

/// The answer of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What is answered.
    pub label: Label,
    /// The answer.
    pub outcome: Outcome<'a>,
}

impl<'a> Answer<'a> {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.label.write(out);
        match self.outcome {
            Outcome::Body(body) => {
                out.push(0);
                out.extend_from_slice(body);
            }
            Outcome::TooLarge => out.push(1),
        }
    }

    /// `None` for anything but an Answer.
    #[must_use]
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (label, rest) = Label::read(frame)?;
        let outcome = match rest.split_first()? {
            (0, body) => Outcome::Body(body),
            (1, []) => Outcome::TooLarge,
            _ => return None,
        };
        Some(Self { label, outcome })
    }
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// These parts are there.
    Gathering(&'a [u8]),
    /// All are there and it is being executed.
    Executing,
}

/// How far a request is, with its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// What is answered.
    pub label: Label,
    /// How far it is.
    pub progress: Progress<'a>,
}

impl<'a> Status<'a> {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.label.write(out);
        match self.progress {
            Progress::Gathering(parts) => {
                out.push(0);
                out.extend_from_slice(parts);
            }
            Progress::Executing => out.push(1),
        }
    }

    /// `None` for anything but a Status.
    #[must_use]
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (label, rest) = Label::read(frame)?;
        let progress = match rest.split_first()? {
            (0, parts) => Progress::Gathering(parts),
            (1, []) => Progress::Executing,
            _ => return None,
        };
        Some(Self { label, progress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: Label = Label { session: SessionId(1 << 100), sequence: 7, id: RequestId(9) };

    fn part(total: u32, chunk: u16, index: u16, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let cut = Cut { total, chunk };
        Part { label: LABEL, kind: Kind::Change, tell: true, room: 5, cut, index, bytes }
            .write(&mut out);
        out
    }

    #[test]
    fn frames_have_the_lengths_of_their_tables_and_come_back() {
        let frame = part(3, 512, 0, b"abc");
        assert_eq!(frame.len(), REQUEST_HEAD + 3);
        let read = Part::read(&frame).unwrap();
        assert_eq!((read.label, read.bytes, read.room), (LABEL, &b"abc"[..], 5));

        let mut out = Vec::new();
        let answer = Answer { label: LABEL, outcome: Outcome::Body(b"xy") };
        answer.write(&mut out);
        assert_eq!(out.len(), ANSWER_HEAD + 2);
        assert_eq!(Answer::read(&out), Some(answer));

        let mut out = Vec::new();
        let status = Status { label: LABEL, progress: Progress::Executing };
        status.write(&mut out);
        assert_eq!(Status::read(&out), Some(status));

        let mut out = Vec::new();
        let welcome = Welcome { hello: [3; 24], session: SessionId(4) };
        welcome.write(&mut out);
        assert_eq!(out.len(), Welcome::LEN);
        assert_eq!(Welcome::read(&out), Some(welcome));
    }

    #[test]
    fn parts_that_contradict_themselves_are_refused() {
        assert!(Part::read(&part(1030, 512, 2, &[0; 6])).is_some());
        assert!(Part::read(&part(1030, 512, 2, &[0; 7])).is_none(), "longer than it can be");
        assert!(Part::read(&part(1030, 512, 1, &[0; 6])).is_none(), "shorter than it must be");
        assert!(Part::read(&part(1030, 512, 3, &[])).is_none(), "beyond the last");
        assert!(Part::read(&part(3, 511, 0, b"abc")).is_none(), "chunks too small");
        assert!(Part::read(&part((8 << 20) + 1, 512, 0, &[0; 512])).is_none(), "too large");
        assert!(Part::read(&part(0, 512, 0, &[])).is_some(), "an empty request has one part");
    }

    #[test]
    fn a_cut_covers_the_request_without_gap_or_overlap() {
        for total in [0, 1, 511, 512, 513, 1024, 5000] {
            let cut = Cut { total, chunk: 512 };
            let mut end = 0;
            for part in 0..cut.parts() {
                assert_eq!(cut.range(part).start, end);
                end = cut.range(part).end;
            }
            assert_eq!(end, total as usize);
        }
    }
}
