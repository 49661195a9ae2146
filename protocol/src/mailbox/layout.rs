//! The bytes of a mailbox. All numbers are little-endian.
//!
//! | from | what |
//! |---|---|
//! | 0 | the plate, one unit of 4 KiB; hosts only read it |
//! | 64 KiB + n x 128 KiB | slot n: its request area, 64 KiB, and its answer area, 64 KiB |
//!
//! An area begins with a head of 64 bytes; the bytes of a piece follow. A host that needs several
//! units writes the first one last, for its arrival is what makes a message. Everything else of the
//! command device reads as zeros and takes no writes.

use crate::{call::Kind, request_id::RequestId};

/// What is read and written at a time, at least: 4 KiB, aligned.
pub const UNIT: usize = 4096;
/// Bytes of an area.
pub const AREA: usize = 16 * UNIT;
/// Bytes of a head.
pub const HEAD: usize = 64;
/// The most bytes of an order or answer in one area.
pub const PIECE: usize = AREA - HEAD;
/// The most slots.
pub const MAX_SLOTS: u32 = 1024;

const FIRST: u64 = AREA as u64;
const SLOT: u64 = 2 * AREA as u64;
const VERSION: u16 = 1;

/// How many slots a command device of so many bytes has.
#[must_use]
pub fn slots(bytes: u64) -> u32 {
    let slots = bytes.saturating_sub(FIRST) / SLOT;
    u32::try_from(slots).unwrap_or(MAX_SLOTS).min(MAX_SLOTS)
}

/// Where the request area of a slot begins.
#[must_use]
pub const fn request_area(slot: u32) -> u64 {
    FIRST + slot as u64 * SLOT
}

/// Where the answer area of a slot begins.
#[must_use]
pub const fn answer_area(slot: u32) -> u64 {
    request_area(slot) + AREA as u64
}

/// What a byte of a command device belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The plate, at this byte of it.
    Plate(usize),
    /// The request area of a slot, at this byte of it.
    Request(u32, usize),
    /// The answer area of a slot, at this byte of it.
    Answer(u32, usize),
    /// Nothing.
    Nothing,
}

/// What the byte at `offset` belongs to, and how many bytes from it on are alike.
#[must_use]
pub fn place(offset: u64, slots: u32) -> (Place, usize) {
    let area = AREA as u64;
    let within = (offset % area) as usize;
    let found = match (offset / area).checked_sub(1) {
        None => Place::Plate(within),
        Some(n) => match u32::try_from(n / 2).ok().filter(|slot| *slot < slots) {
            Some(slot) if n % 2 == 0 => Place::Request(slot, within),
            Some(slot) => Place::Answer(slot, within),
            None => Place::Nothing,
        },
    };
    (found, AREA - within)
}

/// A host's process, as it names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ClientId(pub [u8; 16]);

impl ClientId {
    /// A name that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        Self(RequestId::random().to_bytes())
    }
}

/// The first bytes of a command device.
///
/// | byte | what |
/// |---|---|
/// | 0-3 | `HMBX` |
/// | 4-5 | version, 1 |
/// | 8-11 | slots |
/// | 12-15 | serial number of the array |
/// | 16-19 | LDEV number of the command device |
/// | 60-63 | CRC-32C of what is before it |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plate {
    /// How many slots there are.
    pub slots: u32,
    /// Serial number of the array.
    pub serial: u32,
    /// LDEV number of the command device.
    pub ldev: u32,
}

/// A message of a host.
///
/// | byte | what |
/// |---|---|
/// | 0-3 | `HMRQ` |
/// | 4-5 | version, 1 |
/// | 6 | 0: claims the slot, or keeps it; 1: gives it back; 2: a piece of an order that asks; 3: of one that changes |
/// | 8-23 | client |
/// | 24-39 | request id |
/// | 40-43 | sequence number, one more with every message of the client in this slot |
/// | 44-47 | bytes of the whole order |
/// | 48-51 | where the piece begins in it |
/// | 52-55 | bytes of the piece |
/// | 56-59 | room: bytes that the answer may have |
/// | 60-63 | CRC-32C of what is before it and of the piece |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub what: What,
    /// Who sends it.
    pub client: ClientId,
    /// Its number.
    pub sequence: u32,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The client wants the slot, or keeps it.
    Claim,
    /// The client gives it back.
    Release,
    /// A piece of an order.
    Piece(Piece),
}

/// A piece of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// What the order does.
    pub kind: Kind,
    /// The order's name.
    pub id: RequestId,
    /// Bytes of the whole order.
    pub total: u32,
    /// Where this piece begins in it.
    pub at: u32,
    /// Bytes of this piece.
    pub length: u32,
    /// Bytes that the answer may have.
    pub room: u32,
}

/// How a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nobody has it.
    Free = 0,
    /// Its owner may send; the message of this number was taken.
    Taken = 1,
    /// The order is being executed.
    Working = 2,
    /// The answer is there.
    Done = 3,
    /// The message of this number does not match its checksum, or says what cannot be.
    Bad = 4,
    /// The array holds too much for others now; the message is to be sent again later.
    Busy = 5,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Free, Self::Taken, Self::Working, Self::Done, Self::Bad, Self::Busy];
}

/// The head of an answer area.
///
/// | byte | what |
/// |---|---|
/// | 0-3 | `HMAN` |
/// | 4-5 | version, 1 |
/// | 6 | state |
/// | 8-23 | client whose slot it is |
/// | 24-39 | request id, where there is an order |
/// | 40-43 | sequence number of the last message |
/// | 44-47 | bytes of the answer |
/// | 60-63 | CRC-32C of what is before it and of the answer |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// How the slot stands.
    pub state: State,
    /// Whose it is.
    pub client: ClientId,
    /// The order that is executed or answered.
    pub id: RequestId,
    /// The last message.
    pub sequence: u32,
    /// Bytes of the answer.
    pub length: u32,
}

fn begin(magic: [u8; 4]) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    bytes[..4].copy_from_slice(&magic);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

fn put(bytes: &mut [u8; HEAD], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn seal(mut bytes: [u8; HEAD], body: &[u8]) -> [u8; HEAD] {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..60]), body);
    put(&mut bytes, 60, sum);
    bytes
}

/// The head at the beginning of `bytes`, if it has this magic and a version that is known.
fn head(bytes: &[u8], magic: [u8; 4]) -> Option<&[u8; HEAD]> {
    let head = bytes.first_chunk::<HEAD>()?;
    (head[..4] == magic && head[4..6] == VERSION.to_le_bytes()).then_some(head)
}

fn number(head: &[u8; HEAD], at: usize) -> u32 {
    head[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn name(head: &[u8; HEAD], at: usize) -> [u8; 16] {
    head[at..].first_chunk().copied().unwrap_or_default()
}

/// Whether the checksum of a head holds, over itself and what follows.
fn holds(head: &[u8; HEAD], body: &[u8]) -> bool {
    number(head, 60) == crc32c::crc32c_append(crc32c::crc32c(&head[..60]), body)
}

impl Plate {
    const MAGIC: [u8; 4] = *b"HMBX";

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEAD] {
        let mut bytes = begin(Self::MAGIC);
        put(&mut bytes, 8, self.slots);
        put(&mut bytes, 12, self.serial);
        put(&mut bytes, 16, self.ldev);
        seal(bytes, &[])
    }

    /// The plate that begins with these bytes; `None` when it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let head = head(bytes, Self::MAGIC).filter(|head| holds(head, &[]))?;
        Some(Self {
            slots: number(head, 8).min(MAX_SLOTS),
            serial: number(head, 12),
            ldev: number(head, 16),
        })
    }
}

/// A message and its piece; or the client and the number of one that does not match its checksum,
/// or says what cannot be.
pub type Decoded<'a> = Result<(Message, &'a [u8]), (ClientId, u32)>;

impl Message {
    const MAGIC: [u8; 4] = *b"HMRQ";

    /// Its bytes, over those of its piece.
    #[must_use]
    pub fn encode(&self, body: &[u8]) -> [u8; HEAD] {
        let mut bytes = begin(Self::MAGIC);
        bytes[8..24].copy_from_slice(&self.client.0);
        put(&mut bytes, 40, self.sequence);
        match self.what {
            What::Claim => {}
            What::Release => bytes[6] = 1,
            What::Piece(piece) => {
                bytes[6] = if piece.kind == Kind::Change { 3 } else { 2 };
                bytes[24..40].copy_from_slice(&piece.id.to_bytes());
                put(&mut bytes, 44, piece.total);
                put(&mut bytes, 48, piece.at);
                put(&mut bytes, 52, piece.length);
                put(&mut bytes, 56, piece.room);
            }
        }
        seal(bytes, body)
    }

    /// The message that an area holds, and its piece; `None` when it is none.
    #[must_use]
    pub fn decode(area: &[u8]) -> Option<Decoded<'_>> {
        let head = head(area, Self::MAGIC)?;
        let (client, sequence) = (ClientId(name(head, 8)), number(head, 40));
        let body = match head[6] {
            0 | 1 => Some(&[][..]),
            _ => area[HEAD..].get(..number(head, 52) as usize),
        };
        let bad = Some(Err((client, sequence)));
        let Some(body) = body.filter(|body| holds(head, body)) else {
            return bad;
        };
        let piece = |kind| {
            let (total, at, length) = (number(head, 44), number(head, 48), number(head, 52));
            let fits = at.checked_add(length).is_some_and(|end| end <= total) && length > 0;
            let id = RequestId::from_bytes(name(head, 24));
            let room = number(head, 56);
            fits.then_some(What::Piece(Piece { kind, id, total, at, length, room }))
        };
        let what = match head[6] {
            0 => Some(What::Claim),
            1 => Some(What::Release),
            2 => piece(Kind::Read),
            3 => piece(Kind::Change),
            _ => None,
        };
        what.map_or(bad, |what| Some(Ok((Self { what, client, sequence }, body))))
    }
}

impl Answer {
    const MAGIC: [u8; 4] = *b"HMAN";

    /// Its bytes, over those of the answer.
    #[must_use]
    pub fn encode(&self, body: &[u8]) -> [u8; HEAD] {
        let mut bytes = begin(Self::MAGIC);
        bytes[6] = self.state as u8;
        bytes[8..24].copy_from_slice(&self.client.0);
        bytes[24..40].copy_from_slice(&self.id.to_bytes());
        put(&mut bytes, 40, self.sequence);
        put(&mut bytes, 44, self.length);
        seal(bytes, body)
    }

    /// The head that an area begins with, not verified yet; `None` when it is none.
    #[must_use]
    pub fn decode(area: &[u8]) -> Option<Self> {
        let head = head(area, Self::MAGIC)?;
        let state = State::ALL.into_iter().find(|state| *state as u8 == head[6])?;
        Some(Self {
            state,
            client: ClientId(name(head, 8)),
            id: RequestId::from_bytes(name(head, 24)),
            sequence: number(head, 40),
            length: number(head, 44),
        })
    }

    /// The answer behind the head of an area that is there as far as it is needed; `None` when it
    /// does not match its checksum.
    #[must_use]
    pub fn body<'a>(&self, area: &'a [u8]) -> Option<&'a [u8]> {
        let head = head(area, Self::MAGIC)?;
        let body = area[HEAD..].get(..self.length as usize)?;
        holds(head, body).then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn areas_follow_each_other_without_gaps() {
        let bytes = 36 << 20;
        let slots = slots(bytes);
        assert_eq!(slots, 287);
        assert_eq!(place(0, slots), (Place::Plate(0), AREA));
        assert_eq!(place(4096, slots), (Place::Plate(4096), AREA - 4096));
        for slot in [0, 1, 286] {
            let (request, answer) = (request_area(slot), answer_area(slot));
            assert_eq!(place(request, slots).0, Place::Request(slot, 0));
            assert_eq!(place(answer - 1, slots).0, Place::Request(slot, AREA - 1));
            assert_eq!(place(answer + 5, slots), (Place::Answer(slot, 5), AREA - 5));
            assert!(answer + AREA as u64 <= bytes);
        }
        assert_eq!(place(request_area(slots), slots).0, Place::Nothing);
        assert_eq!(place(u64::MAX, slots).0, Place::Nothing);
        assert_eq!(super::slots(100), 0);
        assert_eq!(super::slots(u64::MAX), MAX_SLOTS);
    }

    fn piece() -> impl Strategy<Value = (Piece, Vec<u8>)> {
        let body = proptest::collection::vec(any::<u8>(), 1..2000);
        (body, any::<(bool, u128, u32)>(), 0..1000u32, 0..1000u32).prop_map(
            |(body, (change, id, room), at, more)| {
                let length = u32::try_from(body.len()).unwrap();
                let kind = if change { Kind::Change } else { Kind::Read };
                let total = at + length + more;
                (Piece { kind, id: RequestId(id), total, at, length, room }, body)
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (piece, body) in piece(), client: [u8; 16], sequence: u32,
        ) {
            let client = ClientId(client);
            for what in [What::Claim, What::Release, What::Piece(piece)] {
                let message = Message { what, client, sequence };
                let body: &[u8] = if matches!(what, What::Piece(_)) { &body } else { &[] };
                let area = [&message.encode(body)[..], body, &[1; 9]].concat();
                prop_assert_eq!(Message::decode(&area), Some(Ok((message, body))));
            }
            let (id, length) = (piece.id, piece.length);
            let answer = Answer { state: State::Done, client, id, sequence, length };
            let area = [&answer.encode(&body)[..], &body, &[1; 9]].concat();
            let found = Answer::decode(&area).unwrap();
            prop_assert_eq!(found, answer);
            prop_assert_eq!(found.body(&area), Some(&body[..]));
            let plate = Plate { slots: 7, serial: 62_496, ldev: sequence };
            prop_assert_eq!(Plate::decode(&plate.encode()), Some(plate));
        }

        #[test]
        fn a_flipped_bit_is_noticed((piece, body) in piece(), bit: prop::sample::Index) {
            let message =
                Message { what: What::Piece(piece), client: ClientId([3; 16]), sequence: 9 };
            let mut area = [&message.encode(&body)[..], &body].concat();
            let bit = bit.index(area.len() * 8);
            area[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(Message::decode(&area), Some(Ok(_))));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for magic in [Plate::MAGIC, Message::MAGIC, Answer::MAGIC] {
                let mut bytes = bytes.clone();
                if let Some(start) = bytes.first_chunk_mut::<6>() {
                    start[..4].copy_from_slice(&magic);
                    start[4..].copy_from_slice(&VERSION.to_le_bytes());
                }
                let _ = Plate::decode(&bytes);
                let _ = Message::decode(&bytes);
                if let Some(answer) = Answer::decode(&bytes) {
                    let _ = answer.body(&bytes);
                }
            }
        }
    }
}
