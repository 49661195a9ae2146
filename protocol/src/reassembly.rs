//! Requests that come in parts, until they are whole.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::call::Kind;
use crate::frame::{Cut, Part};
use crate::parts::Parts;
use crate::request_id::RequestId;

/// Requests in the making. Bounded in number here and in bytes by the caller's budget; one that
/// gets no new part for ten seconds gives its place to others.
#[derive(Debug, Default)]
pub struct Reassembly {
    pending: HashMap<RequestId, Gathering>,
    held: usize,
}

#[derive(Debug)]
struct Gathering {
    kind: Kind,
    cut: Cut,
    parts: Parts,
    bytes: Vec<u8>,
    touched: Instant,
}

/// What a part led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Gathered<'a> {
    /// The whole request.
    Whole(Vec<u8>),
    /// These parts are there.
    Missing(&'a Parts),
    /// There is no room for another request now.
    NoRoom,
}

impl Reassembly {
    /// The most requests in the making.
    pub const MAX_PENDING: usize = 1024;
    /// How long a request may go without a new part.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Bytes set aside for requests in the making.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Adds a part of a request. `room` is how many bytes may be held in all.
    ///
    /// A part that is cut otherwise than those before it begins the request anew: the asker
    /// called again over another path.
    pub fn add(&mut self, now: Instant, part: &Part<'_>, room: usize) -> Gathered<'_> {
        let (id, total) = (part.label.id, part.cut.total as usize);
        let same = |known: &Gathering| known.cut == part.cut && known.kind == part.kind;
        if !self.pending.get(&id).is_some_and(same) {
            self.remove(id);
            self.expire(now);
            if self.pending.len() >= Self::MAX_PENDING || self.held.saturating_add(total) > room {
                return Gathered::NoRoom;
            }
            self.held += total;
            self.pending.insert(
                id,
                Gathering {
                    kind: part.kind,
                    cut: part.cut,
                    parts: Parts::none(part.cut.parts()),
                    bytes: vec![0; total],
                    touched: now,
                },
            );
        }
        let Some(known) = self.pending.get_mut(&id) else { return Gathered::NoRoom };
        let index = usize::from(part.index);
        if known.parts.add(index) {
            known.touched = now;
            // The frame's reader has checked that the part is as long as its place.
            if let Some(place) = known.bytes.get_mut(part.cut.range(index))
                && place.len() == part.bytes.len()
            {
                place.copy_from_slice(part.bytes);
            }
        }
        if known.parts.complete() {
            Gathered::Whole(self.remove(id).unwrap_or_default())
        } else {
            Gathered::Missing(&self.pending[&id].parts)
        }
    }

    fn remove(&mut self, id: RequestId) -> Option<Vec<u8>> {
        let known = self.pending.remove(&id)?;
        self.held -= known.bytes.len();
        Some(known.bytes)
    }

    fn expire(&mut self, now: Instant) {
        let held = &mut self.held;
        self.pending.retain(|_, known| {
            let stays = now.saturating_duration_since(known.touched) < Self::PATIENCE;
            if !stays {
                *held -= known.bytes.len();
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Label, SessionId};

    const ROOM: usize = 64 << 20;

    fn part(id: u128, cut: Cut, index: u16, bytes: &[u8]) -> Part<'_> {
        let label = Label { session: SessionId(0), sequence: 1, id: RequestId(id) };
        Part { label, kind: Kind::Change, tell: true, room: 0, cut, index, bytes }
    }

    #[test]
    fn parts_in_any_order_and_twice_make_the_request() {
        let body: Vec<u8> = (0..1300_u32).map(|n| n as u8).collect();
        let cut = Cut { total: 1300, chunk: 512 };
        let (mut table, now) = (Reassembly::default(), Instant::now());
        for index in [2, 0, 2] {
            let bytes = &body[cut.range(index)];
            let part = part(1, cut, index as u16, bytes);
            assert!(matches!(table.add(now, &part, ROOM), Gathered::Missing(_)));
        }
        assert_eq!(table.held(), 1300);
        let last = part(1, cut, 1, &body[cut.range(1)]);
        assert_eq!(table.add(now, &last, ROOM), Gathered::Whole(body.clone()));
        assert_eq!(table.held(), 0);
    }

    #[test]
    fn what_is_held_stays_within_number_and_bytes_and_goes_with_time() {
        let (mut table, now) = (Reassembly::default(), Instant::now());
        let large = Cut { total: 8 << 20, chunk: 60_000 };
        let bytes = vec![0; 60_000];
        let accepted = (0..100)
            .filter(|id| table.add(now, &part(*id, large, 0, &bytes), ROOM) != Gathered::NoRoom)
            .count();
        assert_eq!(accepted, 8);
        assert_eq!(table.held(), ROOM);
        let later = now + Reassembly::PATIENCE;
        let small = Cut { total: 513, chunk: 512 };
        let accepted = (200..5000)
            .filter(|id| {
                table.add(later, &part(*id, small, 0, &bytes[..512]), ROOM) != Gathered::NoRoom
            })
            .count();
        assert_eq!(accepted, Reassembly::MAX_PENDING);
        assert_eq!(table.held(), Reassembly::MAX_PENDING * 513);
    }

    #[test]
    fn a_request_cut_anew_begins_anew() {
        let (mut table, now) = (Reassembly::default(), Instant::now());
        let (wide, narrow) = (Cut { total: 1024, chunk: 1000 }, Cut { total: 1024, chunk: 512 });
        table.add(now, &part(1, wide, 0, &[1; 1000]), ROOM);
        table.add(now, &part(1, narrow, 0, &[2; 512]), ROOM);
        let whole = table.add(now, &part(1, narrow, 1, &[2; 512]), ROOM);
        assert_eq!(whole, Gathered::Whole(vec![2; 1024]));
        assert_eq!(table.held(), 0);
    }
}
