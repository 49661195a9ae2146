//! The array's side of a mailbox, as a value: writes and reads of hosts in, orders out. No clock,
//! no thread, no storage.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::layout::{
    AREA, Answer, ClientId, HEAD, Message, PIECE, Piece, Place, Plate, State, What, place,
};
use crate::{call::Kind, frame::MAX_REQUEST, request_id::RequestId};

/// How long a slot stays its owner's without a message.
pub const LEASE: Duration = Duration::from_secs(30);
/// The most bytes of orders that are held for all slots together.
pub const MAX_HELD: usize = 64 << 20;

/// An order to be executed, and its answer handed to [`Device::answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The slot it stands in.
    pub slot: u32,
    /// Its name.
    pub id: RequestId,
    /// What it does.
    pub kind: Kind,
    /// The order.
    pub body: Vec<u8>,
    /// How many bytes the answer may have.
    pub room: usize,
}

/// A write that a mailbox does not take: it lies outside of the request areas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMailbox;

#[derive(Debug)]
struct Slot {
    owner: ClientId,
    heard: Instant,
    /// The request area as it was written.
    request: Box<[u8; AREA]>,
    /// What has come of the order.
    body: Vec<u8>,
    /// Bytes of the order that is executed.
    executing: usize,
    /// The order that `body` belongs to.
    id: RequestId,
    head: Answer,
    answer: Vec<u8>,
}

/// The mailbox of one command device.
#[derive(Debug)]
pub struct Device {
    plate: Plate,
    slots: HashMap<u32, Slot>,
}

impl Device {
    /// An empty one.
    #[must_use]
    pub fn new(plate: Plate) -> Self {
        Self { plate, slots: HashMap::new() }
    }

    /// A host writes. What makes an order complete gives it back to be executed.
    ///
    /// # Errors
    /// [`NoMailbox`]; then nothing has changed.
    pub fn write(
        &mut self,
        now: Instant,
        offset: u64,
        data: &[u8],
    ) -> Result<Vec<Incoming>, NoMailbox> {
        let (mut at, mut rest) = (offset, data);
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (Place::Request(slot, within), count) = place(at, self.plate.slots) else {
                return Err(NoMailbox);
            };
            let (part, behind) = rest.split_at(count.min(rest.len()));
            parts.push((slot, within, part));
            at += part.len() as u64;
            rest = behind;
        }
        let incoming = |(slot, within, part)| self.write_area(now, slot, within, part);
        Ok(parts.into_iter().filter_map(incoming).collect())
    }

    fn write_area(
        &mut self,
        now: Instant,
        number: u32,
        within: usize,
        data: &[u8],
    ) -> Option<Incoming> {
        // What nobody claimed needs no memory but for a claim.
        if within >= HEAD {
            let slot = self.slots.get_mut(&number)?;
            slot.request[within..within + data.len()].copy_from_slice(data);
            return None;
        }
        let held = self.held(now);
        let mut area = match self.slots.get_mut(&number) {
            Some(slot) => std::mem::replace(&mut slot.request, Box::new([0; AREA])),
            None => Box::new([0; AREA]),
        };
        area[within..within + data.len()].copy_from_slice(data);
        let incoming = match Message::decode(&area[..]) {
            None => None,
            Some(Err((client, sequence))) => {
                if let Some(slot) = self.owned(number, client) {
                    slot.stand(State::Bad, sequence);
                }
                None
            }
            Some(Ok((message, body))) => self.take(now, number, message, body, held),
        };
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.request = area;
        }
        incoming
    }

    /// Bytes that are held for all slots. Where they are many, what owners left half sent is given
    /// up who were silent for long.
    fn held(&mut self, now: Instant) -> usize {
        let held = |slots: &HashMap<u32, Slot>| -> usize {
            slots.values().map(|slot| slot.body.len() + slot.executing).sum()
        };
        if held(&self.slots) > MAX_HELD / 2 {
            let silent = |slot: &Slot| now.saturating_duration_since(slot.heard) > LEASE;
            self.slots.retain(|_, slot| slot.head.state == State::Working || !silent(slot));
        }
        held(&self.slots)
    }

    fn owned(&mut self, number: u32, client: ClientId) -> Option<&mut Slot> {
        self.slots.get_mut(&number).filter(|slot| slot.owner == client)
    }

    fn take(
        &mut self,
        now: Instant,
        number: u32,
        message: Message,
        body: &[u8],
        held: usize,
    ) -> Option<Incoming> {
        let Message { what, client, sequence } = message;
        if what == What::Claim {
            let free = self.slots.get(&number).is_none_or(|slot| {
                let idle = now.saturating_duration_since(slot.heard) > LEASE;
                slot.owner != client && idle && slot.head.state != State::Working
            });
            if free {
                self.slots.insert(number, Slot::new(client, now));
            }
        }
        let slot = self.owned(number, client)?;
        slot.heard = now;
        if sequence == slot.head.sequence && slot.head.state != State::Bad {
            // Written twice: the answer stands as it does.
            return None;
        }
        match what {
            What::Claim => slot.stand(State::Taken, sequence),
            // One order at a time in a slot; its answer comes first.
            What::Release | What::Piece(_) if slot.head.state == State::Working => {}
            What::Release => {
                self.slots.remove(&number);
            }
            What::Piece(piece) => {
                if held + body.len() > MAX_HELD {
                    slot.stand(State::Busy, sequence);
                    return None;
                }
                return slot.gather(number, sequence, piece, body);
            }
        }
        None
    }

    /// A host reads: fills the buffer.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) {
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let (place, count) = place(at, self.plate.slots);
            let count = count.min(rest.len());
            let (part, behind) = rest.split_at_mut(count);
            part.fill(0);
            match place {
                Place::Plate(within) => copy(&self.plate.encode(), within, part),
                Place::Answer(slot, within) => match self.slots.get(&slot) {
                    Some(slot) => {
                        copy(&slot.head.encode(&slot.answer), within, part);
                        copy_behind(&slot.answer, within, part);
                    }
                    None => copy(&FREE.encode(&[]), within, part),
                },
                Place::Request(..) | Place::Nothing => {}
            }
            at += count as u64;
            rest = behind;
        }
    }

    /// The slot whose answer a read of these bytes is about, if it is still being worked on: the
    /// read may wait for it.
    #[must_use]
    pub fn is_awaited(&self, offset: u64, length: usize) -> bool {
        match place(offset, self.plate.slots).0 {
            Place::Answer(slot, 0) if length >= HEAD => {
                self.slots.get(&slot).is_some_and(|slot| slot.head.state == State::Working)
            }
            _ => false,
        }
    }

    /// Puts the answer to an order into its slot.
    pub fn answer(&mut self, slot: u32, id: RequestId, answer: Vec<u8>) {
        let Some(slot) = self.slots.get_mut(&slot) else {
            return;
        };
        if slot.head.state == State::Working && slot.id == id && answer.len() <= PIECE {
            slot.answer = answer;
            slot.executing = 0;
            slot.stand(State::Done, slot.head.sequence);
        }
    }
}

const FREE: Answer = Answer {
    state: State::Free,
    client: ClientId([0; 16]),
    id: RequestId(0),
    sequence: 0,
    length: 0,
};

impl Slot {
    fn new(owner: ClientId, now: Instant) -> Self {
        Self {
            owner,
            heard: now,
            request: Box::new([0; AREA]),
            body: Vec::new(),
            executing: 0,
            id: RequestId(0),
            head: Answer { client: owner, ..FREE },
            answer: Vec::new(),
        }
    }

    fn stand(&mut self, state: State, sequence: u32) {
        if state != State::Done {
            self.answer = Vec::new();
        }
        let length = u32::try_from(self.answer.len()).unwrap_or(0);
        self.head = Answer { state, client: self.owner, id: self.id, sequence, length };
    }

    fn gather(
        &mut self,
        number: u32,
        sequence: u32,
        piece: Piece,
        bytes: &[u8],
    ) -> Option<Incoming> {
        let Piece { kind, id, total, at, room, .. } = piece;
        if at == 0 {
            self.body.clear();
            self.id = id;
        }
        let in_order = id == self.id && at as usize == self.body.len();
        if !in_order || total as usize > MAX_REQUEST {
            self.stand(State::Bad, sequence);
            return None;
        }
        self.body.extend_from_slice(bytes);
        if self.body.len() < total as usize {
            self.stand(State::Taken, sequence);
            return None;
        }
        self.stand(State::Working, sequence);
        self.executing = self.body.len();
        let room = (room as usize).min(PIECE);
        Some(Incoming { slot: number, id, kind, body: std::mem::take(&mut self.body), room })
    }
}

/// Copies what a head has for a part of its area.
fn copy(head: &[u8; HEAD], within: usize, part: &mut [u8]) {
    if let Some(bytes) = head.get(within..) {
        let count = bytes.len().min(part.len());
        part[..count].copy_from_slice(&bytes[..count]);
    }
}

/// Copies what a body has for a part of its area, behind the head.
fn copy_behind(body: &[u8], within: usize, part: &mut [u8]) {
    let skip = HEAD.saturating_sub(within);
    let from = (within + skip) - HEAD;
    if let (Some(part), Some(bytes)) = (part.get_mut(skip..), body.get(from..)) {
        let count = bytes.len().min(part.len());
        part[..count].copy_from_slice(&bytes[..count]);
    }
}
