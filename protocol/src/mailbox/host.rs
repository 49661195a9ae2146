//! The host's side of a mailbox, over anything that reads and writes blocks.

use std::{
    future::Future,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};

use super::layout::{
    AREA, Answer, ClientId, HEAD, Message, PIECE, Piece, Plate, State, UNIT, What, answer_area,
    request_area,
};
use crate::{call::Kind, frame::MAX_REQUEST, request_id::RequestId};

/// Blocks of a command device. Offsets and lengths are multiples of [`UNIT`]; nothing in between
/// may keep what is read.
pub trait Blocks: Send + Sync {
    /// Reads.
    fn read(&self, offset: u64, length: usize) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Writes.
    fn write(&self, offset: u64, data: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// Why an order came to no answer.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// The blocks cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no mailbox of this version.
    #[error("it is not a command device of such an array")]
    NoMailbox,
    /// No answer came in time. A change may or may not have happened; asking again with the same
    /// id is safe.
    #[error("no answer in time")]
    Silent,
    /// All slots belong to others.
    #[error("all slots of the command device are in use")]
    NoSlot,
    /// The order has more than 8 MiB, or no bytes.
    #[error("the order is too large, or empty")]
    TooLarge,
}

/// Orders at a time.
const AT_ONCE: usize = 4;
/// Slots that are tried before all count as in use.
const TRIES: usize = 32;
/// Times that a message is sent before its slot is left to whoever spoils it.
const SENDS: usize = 4;
/// The pause before a message that was not taken is sent again; the array holds back reads of an
/// answer that is not there yet, so that nothing else waits by the clock.
const PAUSE: Duration = Duration::from_millis(5);

/// A slot that is ours.
#[derive(Debug)]
struct Own {
    slot: u32,
    sequence: u32,
    used: Instant,
}

/// The mailbox of a command device, from outside.
#[derive(Debug)]
pub struct Mailbox<B> {
    blocks: B,
    client: ClientId,
    idle: Mutex<Vec<Own>>,
    turns: Semaphore,
}

/// How long the array has said nothing.
struct Silence {
    patience: Duration,
    heard: Mutex<Instant>,
}

impl Silence {
    fn broken(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits until it has lasted too long.
    async fn lasts(&self) {
        loop {
            let until = *self.heard.lock().unwrap_or_else(PoisonError::into_inner) + self.patience;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// What became of a message.
enum Sent {
    Answered(Answer, Vec<u8>),
    /// The slot is not ours any more, or never was: the array started anew, or somebody else was
    /// faster.
    Lost,
}

impl<B: Blocks> Mailbox<B> {
    /// Over these blocks.
    #[must_use]
    pub fn new(blocks: B) -> Self {
        let (client, idle, turns) =
            (ClientId::random(), Mutex::new(Vec::new()), Semaphore::new(AT_ONCE));
        Self { blocks, client, idle, turns }
    }

    /// The blocks.
    #[must_use]
    pub const fn blocks(&self) -> &B {
        &self.blocks
    }

    /// Reads the plate.
    ///
    /// # Errors
    /// [`MailboxError::Io`], [`MailboxError::NoMailbox`].
    pub async fn plate(&self) -> Result<Plate, MailboxError> {
        let bytes = self.blocks.read(0, UNIT).await?;
        Plate::decode(&bytes).filter(|plate| plate.slots > 0).ok_or(MailboxError::NoMailbox)
    }

    /// Sends an order and waits for its answer, of at most [`PIECE`] bytes. Whatever is lost on the
    /// way is sent again under the same id. `patience` is how long nothing may come of that; while
    /// the array says that it works on the order, the wait goes on.
    ///
    /// # Errors
    /// [`MailboxError`].
    pub async fn call(
        &self,
        id: RequestId,
        kind: Kind,
        order: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, MailboxError> {
        if order.len() > MAX_REQUEST || order.is_empty() {
            return Err(MailboxError::TooLarge);
        }
        let _turn = self.turns.acquire().await.map_err(|_| MailboxError::Silent)?;
        let silence = Silence { patience, heard: Mutex::new(Instant::now()) };
        let attempt = async {
            loop {
                let mut own = self.slot(&silence).await?;
                if let Some(answer) = self.carry(&mut own, id, kind, order, &silence).await? {
                    own.used = Instant::now();
                    self.idle().push(own);
                    return Ok(answer);
                }
            }
        };
        tokio::select! {
            done = attempt => done,
            () = silence.lasts() => Err(MailboxError::Silent),
        }
    }

    /// Gives its slots back.
    ///
    /// # Errors
    /// [`MailboxError::Io`]. The array takes them back by itself after a while.
    pub async fn close(&self) -> Result<(), MailboxError> {
        let idle = std::mem::take(&mut *self.idle());
        for mut own in idle {
            own.sequence += 1;
            self.write(own.slot, self.message(What::Release, &own), &[]).await?;
        }
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Own>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn message(&self, what: What, own: &Own) -> Message {
        Message { what, client: self.client, sequence: own.sequence }
    }

    /// One that is ours already, or a new one.
    async fn slot(&self, silence: &Silence) -> Result<Own, MailboxError> {
        let kept = self.idle().pop();
        if let Some(own) = kept.filter(|own| own.used.elapsed() < super::device::LEASE / 2) {
            return Ok(own);
        }
        for n in 0..TRIES {
            // The array may have started anew meanwhile.
            let plate = self.plate().await?;
            let mut random = [0; 4];
            getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
            let mut own = Own {
                slot: u32::from_le_bytes(random) % plate.slots,
                sequence: 0,
                used: Instant::now(),
            };
            if let Sent::Answered(..) = self.send(&mut own, What::Claim, &[], silence).await? {
                return Ok(own);
            }
            if n >= TRIES / 2 {
                sleep(PAUSE).await;
            }
        }
        Err(MailboxError::NoSlot)
    }

    /// Carries an order through a slot; `None` when the slot is not ours any more.
    async fn carry(
        &self,
        own: &mut Own,
        id: RequestId,
        kind: Kind,
        order: &[u8],
        silence: &Silence,
    ) -> Result<Option<Vec<u8>>, MailboxError> {
        let total = u32::try_from(order.len()).map_err(|_| MailboxError::TooLarge)?;
        let mut at = 0;
        for bytes in order.chunks(PIECE) {
            let length = u32::try_from(bytes.len()).map_err(|_| MailboxError::TooLarge)?;
            let room = PIECE as u32;
            let piece = What::Piece(Piece { kind, id, total, at, length, room });
            at += length;
            match self.send(own, piece, bytes, silence).await? {
                Sent::Lost => return Ok(None),
                Sent::Answered(head, answer) if head.state == State::Done && head.id == id => {
                    return Ok(Some(answer));
                }
                Sent::Answered(..) => {}
            }
        }
        Ok(None)
    }

    /// Sends a message until it was taken.
    async fn send(
        &self,
        own: &mut Own,
        what: What,
        body: &[u8],
        silence: &Silence,
    ) -> Result<Sent, MailboxError> {
        let mut spoiled = 0;
        while spoiled < SENDS {
            own.sequence = own.sequence.wrapping_add(1).max(1);
            self.write(own.slot, self.message(what, own), body).await?;
            loop {
                let first = self.blocks.read(answer_area(own.slot), UNIT).await?;
                let Some(head) = Answer::decode(&first) else {
                    return Err(MailboxError::NoMailbox);
                };
                if head.client != self.client {
                    return Ok(Sent::Lost);
                }
                if head.sequence != own.sequence {
                    break;
                }
                match head.state {
                    State::Free => return Ok(Sent::Lost),
                    State::Working => {
                        silence.broken();
                        continue;
                    }
                    State::Busy => break,
                    State::Bad => {
                        spoiled += 1;
                        break;
                    }
                    State::Taken | State::Done => {}
                }
                if let Some(answer) = self.answer(own.slot, &head, first).await? {
                    silence.broken();
                    return Ok(Sent::Answered(head, answer));
                }
                sleep(PAUSE).await;
            }
            sleep(PAUSE).await;
        }
        Ok(Sent::Lost)
    }

    /// The bytes of an answer; `None` when they do not match their checksum.
    async fn answer(
        &self,
        slot: u32,
        head: &Answer,
        first: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, MailboxError> {
        let length = (HEAD + head.length as usize).min(AREA).next_multiple_of(UNIT);
        let mut area = first;
        if length > area.len() {
            let rest = self.blocks.read(answer_area(slot) + UNIT as u64, length - UNIT).await?;
            area.extend(rest);
        }
        Ok(head.body(&area).map(<[u8]>::to_vec))
    }

    /// Writes a message, its first unit last.
    async fn write(&self, slot: u32, message: Message, body: &[u8]) -> Result<(), MailboxError> {
        let mut area = message.encode(body).to_vec();
        area.extend(body);
        area.resize(area.len().next_multiple_of(UNIT), 0);
        let rest = area.split_off(UNIT);
        if !rest.is_empty() {
            self.blocks.write(request_area(slot) + UNIT as u64, rest).await?;
        }
        Ok(self.blocks.write(request_area(slot), area).await?)
    }
}
