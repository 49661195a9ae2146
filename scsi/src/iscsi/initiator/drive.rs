//! The task that drives a session from the initiator's side.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Answer, InitiatorError, Order, Reply, login::Ready};
use crate::iscsi::{
    pdu::{
        Bhs, DataIn, DataOut, LogoutRequest, NO_TAG, NopIn, NopOut, R2t, Response, ScsiCommand,
        ScsiResponse, TaskRequest, TextRequest, TextResponse, extended,
    },
    wire::{Pdu, WireError},
};
use crate::task::LunAddress;

/// A request that is not answered yet.
struct Flight {
    answer: Answer,
    lun: LunAddress,
    out: Bytes,
    came: BytesMut,
    /// How much may come, in bytes.
    room: usize,
}

/// Drives a session.
pub(super) struct Driver {
    line: Ready,
    idle: Duration,
    flights: HashMap<u32, Flight>,
    /// Commands that wait for the window.
    waiting: VecDeque<(Order, Answer)>,
    itt: u32,
    over: bool,
}

/// The target breaks the rules; the session ends.
struct Broken;

impl From<WireError> for Broken {
    fn from(_: WireError) -> Self {
        Self
    }
}

impl Driver {
    pub(super) fn new(line: Ready, idle: Duration) -> Self {
        let (flights, waiting) = (HashMap::new(), VecDeque::new());
        Self { line, idle, flights, waiting, itt: 0, over: false }
    }

    /// Until the session ends. What is not answered then is dropped, which its owner sees.
    /// Commands are taken as far as they can be sent soon; the rest at once.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<(Order, Answer)>,
        mut urgent: mpsc::Receiver<(Order, Answer)>,
    ) {
        let timer = sleep_until(Instant::now() + self.idle);
        tokio::pin!(timer);
        let (mut heard, mut pinged, mut asked) = (false, false, true);
        while !self.over {
            let line = &mut self.line;
            tokio::select! {
                biased;
                written = line.outbox.write(&mut line.writer), if !line.outbox.is_empty() => {
                    if written.is_err() {
                        return;
                    }
                }
                read = line.decoder.fill(&mut line.reader) => {
                    if !matches!(read, Ok(1..)) || self.take_in().is_err() {
                        return;
                    }
                    heard = true;
                }
                // Immediate requests are not subject to the window (RFC 7143, 4.2.2.1): task
                // management is for when it does not open.
                Some((order, answer)) = urgent.recv() => {
                    if !answer.is_closed() {
                        self.send(order, answer);
                    }
                }
                command = commands.recv(), if asked && self.waiting.len() < 256 => match command {
                    Some(command) => self.take(command),
                    None => asked = false,
                },
                () = &mut timer => {
                    if !heard && pinged {
                        return;
                    }
                    pinged = !heard;
                    heard = false;
                    if pinged {
                        self.ping(NO_TAG, NO_TAG, LunAddress::default(), Bytes::new());
                    }
                    timer.as_mut().reset(Instant::now() + self.idle);
                }
            }
            if !asked && self.flights.is_empty() && self.waiting.is_empty() {
                return;
            }
        }
        // The answer to a logout has come: there is nothing left to say.
    }

    fn take(&mut self, order: (Order, Answer)) {
        if order.1.is_closed() {
            return;
        }
        self.waiting.push_back(order);
        self.launch();
    }

    /// Sends what waits, as far as the target takes it.
    fn launch(&mut self) {
        loop {
            // Serial numbers: more than half the circle ahead is behind.
            let ahead = self.line.max_cmd_sn.wrapping_sub(self.line.cmd_sn);
            if ahead >= 1 << 31 {
                return;
            }
            let Some((order, answer)) = self.waiting.pop_front() else { return };
            self.send(order, answer);
        }
    }

    fn next_itt(&mut self) -> u32 {
        loop {
            self.itt = self.itt.wrapping_add(1);
            if self.itt != NO_TAG && !self.flights.contains_key(&self.itt) {
                return self.itt;
            }
        }
    }

    fn send(&mut self, order: Order, answer: Answer) {
        let itt = self.next_itt();
        let (cmd_sn, exp_stat_sn) = (self.line.cmd_sn, self.line.exp_stat_sn);
        let immediate = true;
        let mut flight = Flight {
            answer,
            lun: LunAddress::default(),
            out: Bytes::new(),
            came: BytesMut::new(),
            room: 0,
        };
        match order {
            Order::Command { lun, cdb, data, read } => {
                (flight.lun, flight.out, flight.room) = (lun, data, read as usize);
                self.flights.insert(itt, flight);
                self.command(itt, lun, &cdb, read);
                return;
            }
            Order::Manage { lun, function, referenced } => {
                flight.lun = lun;
                let request = TaskRequest {
                    immediate,
                    function,
                    lun,
                    itt,
                    referenced,
                    cmd_sn,
                    exp_stat_sn,
                    ..TaskRequest::default()
                };
                self.line.outbox.push(request.write(), &[], &[]);
            }
            Order::Ping(mut data) => {
                data.truncate(self.line.parameters.peer_segment as usize);
                flight.room = data.len();
                self.ping(itt, NO_TAG, LunAddress::default(), data);
            }
            Order::Text(text) => {
                flight.room = 16 << 20;
                self.text(itt, NO_TAG, text);
            }
            Order::Logout => {
                let request = LogoutRequest {
                    immediate,
                    itt,
                    cmd_sn,
                    exp_stat_sn,
                    ..LogoutRequest::default()
                };
                self.line.outbox.push(request.write(), &[], &[]);
            }
        }
        self.flights.insert(itt, flight);
    }

    fn ping(&mut self, itt: u32, ttt: u32, lun: LunAddress, data: Bytes) {
        let (cmd_sn, exp_stat_sn) = (self.line.cmd_sn, self.line.exp_stat_sn);
        // Idle pings want an answer, and nobody waits for it.
        let itt = if itt == NO_TAG && ttt == NO_TAG { self.next_itt() } else { itt };
        let request = NopOut { immediate: true, lun, itt, ttt, cmd_sn, exp_stat_sn };
        self.line.outbox.push(request.write(), &[], &[data]);
    }

    fn text(&mut self, itt: u32, ttt: u32, text: Bytes) {
        let (cmd_sn, exp_stat_sn) = (self.line.cmd_sn, self.line.exp_stat_sn);
        let request = TextRequest {
            immediate: true,
            last: true,
            itt,
            ttt,
            cmd_sn,
            exp_stat_sn,
            ..TextRequest::default()
        };
        self.line.outbox.push(request.write(), &[], &[text]);
    }

    fn command(&mut self, itt: u32, lun: LunAddress, cdb: &[u8], read: u32) {
        let parameters = self.line.parameters;
        let (Some(flight), Some((first, ahs))) = (self.flights.get(&itt), extended(cdb)) else {
            return;
        };
        let out = flight.out.clone();
        let first_burst = out.len().min(parameters.first_burst as usize);
        let immediate = match parameters.immediate_data {
            true => first_burst.min(parameters.peer_segment as usize),
            false => 0,
        };
        let unsolicited = if parameters.initial_r2t { immediate } else { first_burst };
        let expected = if out.is_empty() { read } else { u32::try_from(out.len()).unwrap_or(0) };
        let request = ScsiCommand {
            last: unsolicited <= immediate,
            read: read > 0,
            write: !out.is_empty(),
            attribute: 1,
            lun,
            itt,
            expected,
            cmd_sn: self.line.cmd_sn,
            exp_stat_sn: self.line.exp_stat_sn,
            cdb: first,
            ..ScsiCommand::default()
        };
        self.line.cmd_sn = self.line.cmd_sn.wrapping_add(1);
        self.line.outbox.push(request.write(), &ahs, &[out.slice(..immediate)]);
        if unsolicited > immediate {
            self.data_out(itt, lun, NO_TAG, &out, immediate, unsolicited);
        }
    }

    fn data_out(
        &mut self,
        itt: u32,
        lun: LunAddress,
        ttt: u32,
        out: &Bytes,
        from: usize,
        to: usize,
    ) {
        let segment = self.line.parameters.peer_segment as usize;
        for (data_sn, at) in (0..).zip((from..to).step_by(segment.max(1))) {
            let end = (at + segment).min(to);
            let header = DataOut {
                last: end == to,
                lun,
                itt,
                ttt,
                exp_stat_sn: self.line.exp_stat_sn,
                data_sn,
                offset: u32::try_from(at).unwrap_or(u32::MAX),
            };
            self.line.outbox.push(header.write(), &[], &[out.slice(at..end)]);
        }
    }

    fn take_in(&mut self) -> Result<(), Broken> {
        loop {
            let flights = &mut self.flights;
            let place = |bhs: &Bhs, length: usize| place(flights, bhs, length);
            match self.line.decoder.next(place)? {
                Some(pdu) => self.handle(pdu)?,
                None => return Ok(()),
            }
        }
    }

    /// Takes the numbers that a response carries.
    fn numbers(&mut self, bhs: &Bhs, status: bool) {
        let number =
            |at: usize| u32::from_be_bytes([bhs[at], bhs[at + 1], bhs[at + 2], bhs[at + 3]]);
        if status {
            self.line.exp_stat_sn = number(24).wrapping_add(1);
        }
        let highest = number(32);
        if highest.wrapping_sub(self.line.max_cmd_sn) < 1 << 31 {
            self.line.max_cmd_sn = highest;
        }
    }

    fn end(&mut self, itt: u32, status: u8, sense: Bytes, residual: i64) {
        if let Some(flight) = self.flights.remove(&itt) {
            let data = flight.came.freeze();
            // Whoever asked may have lost interest.
            let _ = flight.answer.send(Ok(Reply { status, sense, data, residual }));
        }
    }

    fn handle(&mut self, pdu: Pdu) -> Result<(), Broken> {
        let response = Response::read(&pdu.bhs).ok_or(Broken)?;
        let status = match response {
            Response::DataIn(header) => header.status_there,
            Response::NopIn(header) => header.itt != NO_TAG,
            Response::R2t(_) => false,
            _ => true,
        };
        self.numbers(&pdu.bhs, status);
        match response {
            Response::NopIn(NopIn { itt: NO_TAG, ttt, lun, .. }) => {
                if ttt != NO_TAG {
                    self.ping(NO_TAG, ttt, lun, Bytes::new());
                }
            }
            Response::NopIn(header) => {
                if let Some(flight) = self.flights.get_mut(&header.itt) {
                    flight.came = pdu.data;
                }
                self.end(header.itt, 0, Bytes::new(), 0);
            }
            Response::DataIn(header) => {
                if let Some(flight) = self.flights.get_mut(&header.itt)
                    && !pdu.data.is_empty()
                {
                    flight.came = pdu.data;
                }
                if header.status_there {
                    let DataIn { overflow, underflow, residual: count, .. } = header;
                    self.end(
                        header.itt,
                        header.status,
                        Bytes::new(),
                        residual(overflow, underflow, count),
                    );
                }
            }
            Response::ScsiResponse(header) => {
                let ScsiResponse { overflow, underflow, residual: count, .. } = header;
                let sense = match pdu.data.split_first_chunk() {
                    Some((length, sense)) => {
                        let length = usize::from(u16::from_be_bytes(*length)).min(sense.len());
                        Bytes::copy_from_slice(&sense[..length])
                    }
                    None => Bytes::new(),
                };
                self.end(header.itt, header.status, sense, residual(overflow, underflow, count));
            }
            Response::R2t(R2t { itt, ttt, offset, length, .. }) => {
                let flight = self.flights.get(&itt).ok_or(Broken)?;
                let (from, lun, out) = (offset as usize, flight.lun, flight.out.clone());
                let to = from.checked_add(length as usize).filter(|to| *to <= out.len());
                let to = to.filter(|_| length > 0).ok_or(Broken)?;
                self.data_out(itt, lun, ttt, &out, from, to);
            }
            Response::TaskResponse(header) => {
                self.end(header.itt, header.response, Bytes::new(), 0);
            }
            Response::TextResponse(TextResponse { last, itt, ttt, .. }) => {
                let flight = self.flights.get_mut(&itt).ok_or(Broken)?;
                if !pdu.data.is_empty() {
                    flight.came = pdu.data;
                }
                if last {
                    self.end(itt, 0, Bytes::new(), 0);
                } else {
                    self.text(itt, ttt, Bytes::new());
                }
            }
            Response::LogoutResponse(header) => {
                self.over = header.response == 0;
                self.end(header.itt, header.response, Bytes::new(), 0);
            }
            Response::Reject(header) => {
                let itt = pdu.data.get(16..20).and_then(|itt| itt.try_into().ok());
                let itt = itt.map_or(NO_TAG, u32::from_be_bytes);
                if let Some(flight) = self.flights.remove(&itt) {
                    let _ = flight.answer.send(Err(InitiatorError::Rejected(header.reason)));
                }
            }
            // What the target announces happens by itself.
            Response::AsyncMessage(_) => {}
            Response::LoginResponse(_) => return Err(Broken),
        }
        self.launch();
        Ok(())
    }
}

/// Where the data of a PDU goes: behind what has come of the same request.
fn place(flights: &mut HashMap<u32, Flight>, bhs: &Bhs, length: usize) -> Result<BytesMut, Broken> {
    let (itt, offset) = match Response::read(bhs) {
        Some(Response::DataIn(header)) => (header.itt, Some(header.offset as usize)),
        Some(Response::TextResponse(header)) => (header.itt, None),
        _ => return Ok(BytesMut::new()),
    };
    let Some(flight) = flights.get_mut(&itt) else { return Ok(BytesMut::new()) };
    let came = flight.came.len();
    if offset.is_some_and(|offset| offset != came) || came + length > flight.room {
        return Err(Broken);
    }
    let mut buffer = std::mem::take(&mut flight.came);
    if came == 0 && offset.is_some() {
        buffer.reserve(flight.room.min(8 << 20));
    }
    Ok(buffer)
}

fn residual(overflow: bool, underflow: bool, count: u32) -> i64 {
    match (overflow, underflow) {
        (true, _) => -i64::from(count),
        (_, true) => i64::from(count),
        _ => 0,
    }
}
