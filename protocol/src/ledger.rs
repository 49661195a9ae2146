//! At most once: which requests are being executed, and which changes were.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::call::Kind;
use crate::frame::{Label, MAX_ANSWER, Outcome};
use crate::key::KeyId;
use crate::request_id::RequestId;

/// Where an answer goes: whence the latest datagram of the request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The address.
    pub address: SocketAddr,
    /// The key that datagram was sealed with.
    pub key: KeyId,
    /// That datagram.
    pub label: Label,
}

/// An answer as it is kept: shared with the datagram being sealed, and never larger than one.
#[derive(Debug, Clone)]
pub struct Kept(Option<Arc<[u8]>>);

impl Kept {
    fn new(body: Vec<u8>) -> Self {
        Self((body.len() <= MAX_ANSWER).then(|| body.into()))
    }

    /// As it stands in a frame.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        self.0.as_deref().map_or(Outcome::TooLarge, Outcome::Body)
    }

    fn len(&self) -> usize {
        self.0.as_deref().map_or(0, <[u8]>::len)
    }
}

/// The requests a server knows.
///
/// A change stays after its answer, so that a resend gets that answer and nothing happens twice;
/// the oldest answers go when there are too many. A read is forgotten once answered.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: HashMap<RequestId, Entry>,
    /// Answered changes, oldest first.
    answered: VecDeque<RequestId>,
    running: usize,
    running_bytes: usize,
    kept_bytes: usize,
}

#[derive(Debug)]
enum Entry {
    Running { kind: Kind, size: usize, reply: ReplyTo },
    Answered(Kept),
}

/// What the ledger knows of a request.
#[derive(Debug)]
pub enum Known {
    /// Nothing: it is new.
    No,
    /// It is being executed.
    Running,
    /// It was executed, with this answer.
    Answered(Kept),
}

impl Ledger {
    /// The most requests executed at a time.
    pub const MAX_RUNNING: usize = 4096;
    /// The most answers kept.
    pub const MAX_KEPT: usize = 16_384;
    /// The most bytes of answers kept.
    pub const MAX_KEPT_BYTES: usize = 8 << 20;

    /// Looks a request up. One that is running will answer to `reply` from now on.
    pub fn look_up(&mut self, id: RequestId, reply: ReplyTo) -> Known {
        match self.entries.get_mut(&id) {
            None => Known::No,
            Some(Entry::Running { reply: known, .. }) => {
                // A sequence number counts within a session only; across sessions the later
                // arrival is the better guess.
                if known.label.session != reply.label.session
                    || known.label.sequence < reply.label.sequence
                {
                    *known = reply;
                }
                Known::Running
            }
            Some(Entry::Answered(answer)) => Known::Answered(answer.clone()),
        }
    }

    /// Whether another request may begin.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.running < Self::MAX_RUNNING
    }

    /// Bytes of the requests being executed.
    #[must_use]
    pub const fn running_bytes(&self) -> usize {
        self.running_bytes
    }

    /// A new request of `size` bytes begins. It must not be known.
    pub fn begin(&mut self, id: RequestId, kind: Kind, size: usize, reply: ReplyTo) {
        self.running += 1;
        self.running_bytes += size;
        self.entries.insert(id, Entry::Running { kind, size, reply });
    }

    /// A running request is answered: where the answer goes. `None` when it is not running.
    pub fn answer(&mut self, id: RequestId, body: Vec<u8>) -> Option<(ReplyTo, Kept)> {
        let (kind, reply) = self.end(id)?;
        let answer = Kept::new(body);
        if kind == Kind::Change {
            self.kept_bytes += answer.len();
            self.answered.push_back(id);
            self.entries.insert(id, Entry::Answered(answer.clone()));
            while self.answered.len() > Self::MAX_KEPT || self.kept_bytes > Self::MAX_KEPT_BYTES {
                let Some(oldest) = self.answered.pop_front() else { break };
                if let Some(Entry::Answered(old)) = self.entries.remove(&oldest) {
                    self.kept_bytes -= old.len();
                }
            }
        }
        Some((reply, answer))
    }

    /// A running request will not be answered: a resend of it is new.
    pub fn forget(&mut self, id: RequestId) {
        self.end(id);
    }

    fn end(&mut self, id: RequestId) -> Option<(Kind, ReplyTo)> {
        let Some(Entry::Running { kind, size, reply }) = self.entries.get(&id) else {
            return None;
        };
        let (kind, size, reply) = (*kind, *size, *reply);
        self.entries.remove(&id);
        self.running -= 1;
        self.running_bytes -= size;
        Some((kind, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SessionId;

    fn reply(sequence: u64) -> ReplyTo {
        let label = Label { session: SessionId(1), sequence, id: RequestId(0) };
        ReplyTo { address: "127.0.0.1:1".parse().unwrap(), key: KeyId([0; 8]), label }
    }

    #[test]
    fn a_change_is_new_once_and_a_read_again_after_its_answer() {
        let mut ledger = Ledger::default();
        for (id, kind) in [(RequestId(1), Kind::Change), (RequestId(2), Kind::Read)] {
            assert!(matches!(ledger.look_up(id, reply(1)), Known::No));
            ledger.begin(id, kind, 10, reply(1));
            assert!(matches!(ledger.look_up(id, reply(3)), Known::Running));
            assert!(matches!(ledger.look_up(id, reply(2)), Known::Running));
            let (to, _) = ledger.answer(id, b"done".to_vec()).unwrap();
            assert_eq!(to, reply(3), "the answer goes to the latest datagram");
            assert!(ledger.answer(id, b"again".to_vec()).is_none());
        }
        let Known::Answered(kept) = ledger.look_up(RequestId(1), reply(4)) else { panic!() };
        assert_eq!(kept.outcome(), Outcome::Body(b"done"));
        assert!(matches!(ledger.look_up(RequestId(2), reply(4)), Known::No));
        assert_eq!((ledger.running, ledger.running_bytes), (0, 0));
    }

    #[test]
    fn a_forgotten_change_is_new_again() {
        let mut ledger = Ledger::default();
        ledger.begin(RequestId(1), Kind::Change, 10, reply(1));
        ledger.forget(RequestId(1));
        assert!(matches!(ledger.look_up(RequestId(1), reply(1)), Known::No));
        assert_eq!(ledger.running_bytes(), 0);
    }

    #[test]
    fn kept_answers_are_bounded_in_number_and_bytes_and_the_oldest_go() {
        let mut ledger = Ledger::default();
        let mut execute = |id: u128, size: usize| {
            ledger.begin(RequestId(id), Kind::Change, 0, reply(1));
            ledger.answer(RequestId(id), vec![0; size]).unwrap();
            assert!(ledger.kept_bytes <= Ledger::MAX_KEPT_BYTES);
            assert!(ledger.answered.len() <= Ledger::MAX_KEPT);
            assert_eq!(ledger.entries.len(), ledger.answered.len());
        };
        for id in 0..1000 {
            execute(id, 60_000);
        }
        for id in 1000..20_000 {
            execute(id, 1);
        }
        assert!(matches!(ledger.look_up(RequestId(19_999), reply(1)), Known::Answered(_)));
        assert!(matches!(ledger.look_up(RequestId(0), reply(1)), Known::No));
    }

    #[test]
    fn an_answer_beyond_a_datagram_is_kept_as_that() {
        let mut ledger = Ledger::default();
        ledger.begin(RequestId(1), Kind::Change, 0, reply(1));
        let (_, kept) = ledger.answer(RequestId(1), vec![0; MAX_ANSWER + 1]).unwrap();
        assert_eq!(kept.outcome(), Outcome::TooLarge);
    }
}
