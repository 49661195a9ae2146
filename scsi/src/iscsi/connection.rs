//! A session in its full feature phase: one task that reads, carries commands out and writes.
//!
//! Everything is done where it becomes possible: a command that has come is handed to the service
//! in the same turn, one that is done is answered in the same turn, and what has gathered by then
//! leaves in one write. Commands to a logical unit begin in the order of their numbers; a command
//! that waits for its data does not hold up other units.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    directory::{Admission, Directory},
    keys::Parameters,
    login::Established,
    manage::Waiter,
    negotiate::TextState,
    pace::Pace,
    pdu::{AsyncMessage, BHS, Bhs, NO_TAG, NopIn, NopOut, Reason, Reject, Request, stamp},
    portal::Limits,
    room::{Room, Shared},
    sessions::End,
    tasks::{Arrival, Stage, Task},
    transfer::Stray,
    window::Window,
    wire::{Decoder, Outbox, Pdu, WireError},
};
use crate::{
    nexus::{InitiatorPort, Nexus, TargetPort},
    service::Service,
    task::{Completion, LunAddress},
};

/// How long the last words of a connection may take to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// A service with a session on it, which is closed when this goes.
pub(super) struct Bound<S: Service> {
    pub(super) service: Arc<S>,
    pub(super) session: Arc<S::Session>,
    pub(super) target: TargetPort,
}

impl<S: Service> Bound<S> {
    pub(super) fn open(admission: Admission<S>, initiator: InitiatorPort) -> Self {
        let nexus = Nexus { initiator, target: admission.port.clone() };
        let session = admission.service.open(nexus);
        Self { service: admission.service, session, target: admission.port }
    }
}

impl<S: Service> Drop for Bound<S> {
    fn drop(&mut self) {
        self.service.close(&self.session);
    }
}

/// Something that was waited for.
pub(super) enum Done {
    /// A command.
    Command(u32, Completion),
    /// The tasks of others that a task management function of this tag is about.
    Ended(u32),
}

/// What ends a connection.
pub(super) enum Trouble {
    /// A PDU that cannot be read.
    Wire(WireError),
    /// A PDU that is rejected.
    Reject(Reason, Bhs),
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

pub(super) type Running = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A session.
pub(super) struct Connection<'a, D: Directory> {
    /// First, so that what runs is dropped before the session is closed.
    pub(super) running: FuturesUnordered<Running>,
    pub(super) bound: Option<Bound<D::Service>>,
    pub(super) directory: Arc<D>,
    pub(super) limits: &'a Limits,
    shared: &'a Shared,
    pub(super) room: Room<'a>,
    /// Whether the next command waits for what others have.
    pub(super) starved: bool,
    pub(super) initiator: InitiatorPort,
    pub(super) local: SocketAddr,
    pub(super) cid: u16,
    pub(super) parameters: Parameters,
    pub(super) outbox: Outbox,
    pub(super) window: Window,
    pub(super) stat_sn: u32,
    pub(super) tasks: HashMap<u32, Task<Arrival<D>>>,
    /// By unit: commands that have not begun.
    pub(super) lanes: HashMap<LunAddress, VecDeque<u32>>,
    /// Commands that wait for room for their data, in their order.
    pub(super) line: VecDeque<u32>,
    /// Room that is taken, in bytes.
    pub(super) taken: usize,
    /// Besides, by data that comes for commands in the line.
    pub(super) loose: usize,
    /// How many tasks are immediate.
    pub(super) immediate: u32,
    pub(super) waiters: Vec<Waiter>,
    pub(super) text: TextState,
    pub(super) tag: u32,
    pub(super) ending: bool,
}

impl<'a, D: Directory> Connection<'a, D> {
    /// After the response that ended the login; `stat_sn` is the next status number.
    pub(super) fn new(
        directory: Arc<D>,
        (limits, shared): (&'a Limits, &'a Shared),
        local: SocketAddr,
        established: Established<D::Service>,
        stat_sn: u32,
    ) -> Self {
        let Established { initiator, admission, parameters, cid, cmd_sn, .. } = established;
        let outbox = Outbox::new(parameters.header_digest, parameters.data_digest);
        Self {
            running: FuturesUnordered::new(),
            bound: admission.map(|admission| Bound::open(admission, initiator.clone())),
            directory,
            limits,
            shared,
            room: Room::new(shared, &initiator.name, limits),
            starved: false,
            initiator,
            local,
            cid,
            parameters,
            outbox,
            window: Window::new(cmd_sn, limits.queue_depth),
            stat_sn,
            tasks: HashMap::new(),
            lanes: HashMap::new(),
            line: VecDeque::new(),
            taken: 0,
            loose: 0,
            immediate: 0,
            waiters: Vec::new(),
            text: TextState::default(),
            tag: 0,
            ending: false,
        }
    }

    /// Serves until the connection ends, in whatever way, and everything that the service has begun
    /// is over, or has taken too long.
    pub(super) async fn run(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        mut decoder: Decoder,
        control: &mut mpsc::UnboundedReceiver<End>,
    ) {
        let timer = sleep_until(Instant::now() + self.limits.idle);
        let life = sleep_until(Instant::now() + self.limits.discovery);
        tokio::pin!(timer, life);
        let discovery = self.bound.is_none();
        let (mut heard, mut pinged, mut leaving) = (false, false, false);
        let mut pace = Pace::new();
        loop {
            let freed = self.shared.freed();
            tokio::pin!(freed);
            if self.starved {
                self.admit();
            }
            self.take_in(&mut decoder);
            while let Some(Some(done)) = self.running.next().now_or_never() {
                self.done(done);
            }
            if self.ending {
                if self.outbox.is_empty() {
                    break;
                }
                if !leaving {
                    leaving = true;
                    timer.as_mut().reset(Instant::now() + FAREWELL);
                }
            }
            let crowded = self.crowded();
            tokio::select! {
                biased;
                written = self.outbox.write(&mut writer), if !self.outbox.is_empty() => {
                    match written {
                        // Whoever takes data is alive, even if it has no time to say so.
                        Ok(_) => heard |= crowded,
                        Err(_) => break,
                    }
                    self.admit();
                }
                Some(done) = self.running.next(), if !self.running.is_empty() => {
                    pace.beat();
                    self.done(done);
                }
                message = control.recv() => match message {
                    None | Some(End::Reinstated) => break,
                    Some(End::Drop) => self.drop_soon(),
                },
                read = decoder.fill(&mut reader), if !crowded && !self.ending => match read {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {
                        pace.beat();
                        heard = true;
                    }
                },
                () = &mut freed, if self.starved => {}
                () = &mut life, if discovery && !self.ending => self.drop_soon(),
                () = &mut timer => {
                    if self.stuck() {
                        log::info!("{}: data that it owes fails to come", self.initiator);
                        break;
                    }
                    let next = match (leaving, heard, pinged) {
                        (true, ..) | (_, false, true) => break,
                        (_, true, _) => {
                            (heard, pinged) = (false, false);
                            self.limits.idle
                        }
                        (_, false, false) => {
                            pinged = true;
                            self.ping();
                            self.limits.answer_within
                        }
                    };
                    timer.as_mut().reset(Instant::now() + next);
                }
                () = pace.stay_awake(), if pace.is_quick() => {}
            }
        }
        drop((reader, writer));
        // Nobody waits for them any more (SAM-5 6.3.4).
        self.abort(|_| true);
        self.abort_waiters();
        if timeout(self.limits.drain, self.rest()).await.is_err() {
            log::warn!("{}: commands were still running when its session ended", self.initiator);
        }
    }

    /// Closes the session. What the service still changes then goes on, and whatever comes to the
    /// same blocks waits for it there.
    pub(super) fn close(&mut self) {
        self.bound = None;
    }

    /// Whether something goes on that the service has begun.
    pub(super) fn goes_on(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits until everything that the service has begun is over. Until then its data is counted
    /// as that of its initiator.
    pub(super) async fn rest(&mut self) {
        while let Some(done) = self.running.next().await {
            self.done(done);
        }
    }

    /// Whether data fails to come for too long. While nothing is read, it cannot.
    fn stuck(&mut self) -> bool {
        let (crowded, now) = (self.crowded(), Instant::now());
        let mut gathering = self.tasks.values_mut().filter(|task| task.gathers());
        if crowded {
            gathering.for_each(|task| task.since = now);
            return false;
        }
        gathering.any(|task| now - task.since > self.limits.data_within)
    }

    /// Whether so much waits to be sent that nothing more is read.
    fn crowded(&self) -> bool {
        self.outbox.len() > self.limits.buffered
    }

    fn take_in(&mut self, decoder: &mut Decoder) {
        while !self.ending && !self.crowded() {
            let pdu = decoder.next(|bhs, length| self.place(bhs, length));
            let result = match pdu {
                Ok(None) => return,
                Ok(Some(pdu)) => self.handle(pdu),
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = result {
                self.give_up(&trouble);
            }
        }
    }

    /// Where the data of a PDU goes.
    fn place(&mut self, bhs: &Bhs, length: usize) -> Result<BytesMut, Trouble> {
        if let Some(Request::DataOut(header)) = Request::read(bhs)
            && let Some(task) = self.tasks.get_mut(&header.itt)
            && task.stage == Stage::Waiting
        {
            let place = task.transfer.place(&header, length);
            return place.map_err(|Stray| Trouble::Reject(Reason::Protocol, *bhs));
        }
        Ok(BytesMut::new())
    }

    fn handle(&mut self, pdu: Pdu) -> Result<(), Trouble> {
        let bhs = pdu.bhs;
        let trouble = |reason| Trouble::Reject(reason, bhs);
        match Request::read(&bhs) {
            Some(Request::ScsiCommand(header)) => self.command(&header, pdu),
            Some(Request::DataOut(header)) => {
                // Data of a task that was aborted may still be on its way.
                if let Some(task) = self.tasks.get_mut(&header.itt)
                    && task.stage == Stage::Waiting
                {
                    // The header says how much of the buffer is new.
                    let length = u32::from_be_bytes([0, bhs[5], bhs[6], bhs[7]]) as usize;
                    let buffer = match length {
                        0 => {
                            let place = task.transfer.place(&header, 0);
                            place.map_err(|Stray| trouble(Reason::Protocol))?
                        }
                        _ => pdu.data,
                    };
                    task.transfer.take(&header, length, buffer);
                    task.since = Instant::now();
                    let lun = task.call.lun;
                    self.ask(header.itt);
                    self.advance(lun);
                }
                Ok(())
            }
            Some(Request::NopOut(header)) => self.nop(&header, pdu),
            Some(Request::TaskRequest(header)) => self.manage(&header, &bhs),
            Some(Request::TextRequest(header)) => self.text(&header, &pdu),
            Some(Request::LogoutRequest(header)) => self.logout(&header, &bhs),
            Some(Request::Snack(_)) => {
                self.reject(Reason::Snack, &bhs);
                Ok(())
            }
            Some(Request::LoginRequest(_)) => Err(trouble(Reason::Protocol)),
            None => {
                self.reject(Reason::NotSupported, &bhs);
                Ok(())
            }
        }
    }

    fn nop(&mut self, header: &NopOut, pdu: Pdu) -> Result<(), Trouble> {
        if !self.comes(header.immediate || header.itt == NO_TAG, header.cmd_sn, &pdu.bhs)? {
            return Ok(());
        }
        if header.itt != NO_TAG {
            let answer =
                NopIn { lun: header.lun, itt: header.itt, ttt: NO_TAG, ..NopIn::default() };
            let mut data = pdu.data.freeze();
            data.truncate(self.parameters.peer_segment as usize);
            self.send(answer.write(), &[data], true);
        }
        Ok(())
    }

    fn ping(&mut self) {
        let ping = NopIn { itt: NO_TAG, ttt: self.next_tag(), ..NopIn::default() };
        self.send(ping.write(), &[], false);
    }

    /// A new target transfer tag.
    pub(super) fn next_tag(&mut self) -> u32 {
        self.tag = next_tag(self.tag);
        self.tag
    }

    /// Tells the initiator that the connection is dropped, and drops it.
    pub(super) fn drop_soon(&mut self) {
        if !self.ending {
            let message = AsyncMessage {
                itt: NO_TAG,
                event: 2,
                parameter1: self.cid,
                parameter2: 2,
                ..AsyncMessage::default()
            };
            self.send(message.write(), &[], true);
            self.ending = true;
        }
    }

    fn give_up(&mut self, trouble: &Trouble) {
        let (reason, bhs) = match trouble {
            Trouble::Reject(reason, bhs) => (*reason, Some(bhs)),
            Trouble::Wire(WireError::DataDigest(bhs)) => (Reason::DataDigest, Some(bhs)),
            Trouble::Wire(WireError::TooLong { bhs, .. }) => (Reason::Protocol, Some(bhs)),
            Trouble::Wire(WireError::HeaderDigest) => (Reason::Protocol, None),
        };
        log::info!("{}: the connection ends for {reason:?}", self.initiator);
        if let Some(bhs) = bhs {
            self.reject(reason, bhs);
        }
        self.ending = true;
    }

    pub(super) fn reject(&mut self, reason: Reason, bhs: &Bhs) {
        let reject = Reject { reason: reason as u8, itt: NO_TAG, ..Reject::default() };
        self.send(reject.write(), &[Bytes::copy_from_slice(&bhs[..BHS])], true);
    }

    /// Sends a PDU, which takes a status number where `status`.
    pub(super) fn send(&mut self, bhs: Bhs, data: &[Bytes], status: bool) {
        let numbers = (self.window.expected(), self.window.highest());
        post(&mut self.outbox, &mut self.stat_sn, numbers, bhs, data, status);
    }
}

pub(super) const fn next_tag(tag: u32) -> u32 {
    match tag.wrapping_add(1) {
        NO_TAG => 0,
        tag => tag,
    }
}

pub(super) fn post(
    outbox: &mut Outbox,
    stat_sn: &mut u32,
    (expected, highest): (u32, u32),
    mut bhs: Bhs,
    data: &[Bytes],
    status: bool,
) {
    stamp(&mut bhs, *stat_sn, expected, highest);
    if status {
        *stat_sn = stat_sn.wrapping_add(1);
    }
    outbox.push(bhs, &[], data);
}
