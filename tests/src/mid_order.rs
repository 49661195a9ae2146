//! Where a cable breaks while a change goes through a mailbox.

use protocol::mailbox::layout::{AREA, Answer, ClientId, HEAD, State, UNIT};

use crate::cable::{Fate, From, data, opcode, task};

/// Operation codes (RFC 7143, 11.1) and CDBs (SBC-3).
const COMMAND: u8 = 0x01;
const RESPONSE: u8 = 0x21;
const DATA_IN: u8 = 0x25;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8a;

/// A moment of an order that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The unit that makes it a message is about to be written. What of an order is behind its
    /// first unit has arrived.
    Written,
    /// Half of that unit is on its way.
    HalfWritten,
    /// The array has taken it, and says so.
    Taken,
    /// The host asks for the answer.
    Asked,
    /// The array gives the answer.
    Answered,
    /// Half of the answer has arrived.
    HalfAnswered,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Written,
        Self::HalfWritten,
        Self::Taken,
        Self::Asked,
        Self::Answered,
        Self::HalfAnswered,
    ];

    /// Whether the array has the whole order by then.
    #[must_use]
    pub const fn is_after_the_order(self) -> bool {
        !matches!(self, Self::Written | Self::HalfWritten)
    }
}

/// A rule that breaks the cable at that moment of the first change: what then becomes of a PDU
/// says `how`, given the bytes of it that still pass. A break that [`Fate::Stalls`] lasts.
pub fn break_at(
    moment: Moment,
    how: fn(usize) -> Fate,
) -> impl FnMut(From, &[u8]) -> Fate + Send + 'static {
    let mut change = None;
    let mut broken = false;
    move |from, pdu| {
        if broken {
            return if how(0) == Fate::Stalls { Fate::Stalls } else { Fate::Passes };
        }
        let half = (pdu.len() / 2).next_multiple_of(4);
        let found = if change.is_none() && from == From::Initiator {
            change = Change::begun_by(pdu);
            change.as_ref().and(match moment {
                Moment::Written => Some(0),
                Moment::HalfWritten => Some(half),
                _ => None,
            })
        } else {
            change.as_ref().and_then(|change| match moment {
                Moment::Taken => change.is_taken_by(from, pdu).then_some(0),
                Moment::Asked => change.is_asked_for_by(from, pdu).then_some(0),
                Moment::Answered => change.is_answered_by(from, pdu).then_some(0),
                Moment::HalfAnswered => change.is_answered_by(from, pdu).then_some(half),
                Moment::Written | Moment::HalfWritten => None,
            })
        };
        broken = found.is_some();
        found.map_or(Fate::Passes, how)
    }
}

/// The last piece of a change on its way.
struct Change {
    client: ClientId,
    sequence: u32,
    task: [u8; 4],
    /// Where the head was written, in blocks.
    lba: u64,
}

impl Change {
    /// By the table of `protocol::mailbox::layout::Message`: what is behind the head may be on its
    /// way apart, so that the checksum does not hold for this PDU.
    fn begun_by(pdu: &[u8]) -> Option<Self> {
        if opcode(pdu) != COMMAND || pdu[32] != WRITE_16 {
            return None;
        }
        let head = data(pdu).first_chunk::<HEAD>()?;
        let number = |at: usize| {
            let bytes = head[at..].first_chunk().copied();
            bytes.map_or(0, u32::from_le_bytes)
        };
        let (total, at, length) = (number(44), number(48), number(52));
        let is_last = head[..4] == *b"HMRQ" && head[6] == 3 && at + length == total;
        is_last.then(|| Self {
            client: ClientId(head[8..24].first_chunk().copied().unwrap_or_default()),
            sequence: number(40),
            task: task(pdu),
            lba: lba(pdu),
        })
    }

    fn is_taken_by(&self, from: From, pdu: &[u8]) -> bool {
        from == From::Target && opcode(pdu) == RESPONSE && task(pdu) == self.task
    }

    fn is_asked_for_by(&self, from: From, pdu: &[u8]) -> bool {
        let reads = from == From::Initiator && opcode(pdu) == COMMAND && pdu[32] == READ_16;
        reads && lba(pdu) == self.lba + (AREA / 512) as u64
    }

    fn is_answered_by(&self, from: From, pdu: &[u8]) -> bool {
        from == From::Target
            && opcode(pdu) == DATA_IN
            && data(pdu).len() >= UNIT
            && Answer::decode(data(pdu)).is_some_and(|answer| {
                answer.state == State::Done
                    && (answer.client, answer.sequence) == (self.client, self.sequence)
            })
    }
}

/// The LBA of a command by 16 bytes.
fn lba(pdu: &[u8]) -> u64 {
    pdu[34..42].iter().fold(0, |lba, byte| lba << 8 | u64::from(*byte))
}
