//! The commands of a session, from where they are whole to where they are answered.
//!
//! A command waits in the *line* until there is room for its data, in whichever direction, and in
//! the *lane* of its logical unit until the commands before it have begun. Little data always finds
//! room, and no unit may take all of it: one that does not answer leaves the others theirs.

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    answer::{Call, answer},
    connection::{Connection, Done, next_tag, post},
    directory::Directory,
    pdu::{R2t, ScsiCommand},
    transfer::Transfer,
};
use crate::{
    sense::{Key, Sense},
    service::Service,
    task::{Command, Completion, LunAddress, Status, TaskAttribute},
};

/// PROTOCOL SERVICE CRC ERROR: data was lost on the way (RFC 7143, 7.8 and 11.4.7.2).
const SPOILED: Sense = Sense::new(Key::AbortedCommand, 0x47, 0x05);

/// Bytes that a command may move without waiting for room. There are no more such commands than
/// the window has numbers.
const LITTLE: usize = 64 << 10;
/// The part of the room that the commands of one unit may take, unless it is one command.
const PART: usize = 4;

/// Whether there is room for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// There is.
    Room,
    /// Not before other commands of its unit have ended.
    UnitFull,
    /// Not before other commands of its session have ended.
    Full,
    /// Not before other sessions give some back.
    Starved,
}

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for room, data or the commands before it.
    Waiting,
    /// The service has it.
    Running,
    /// The service has it, and nobody wants to hear of it.
    Aborted,
}

/// A command that is not answered yet.
pub(super) struct Task<A> {
    pub(super) call: Call,
    arrival: A,
    cdb: Bytes,
    attribute: TaskAttribute,
    pub(super) transfer: Transfer,
    pub(super) stage: Stage,
    immediate: bool,
    /// What it may need of the room, in bytes.
    cost: usize,
    /// What its data may take before it has that room, in bytes.
    loose: usize,
    /// Whether it has that room.
    admitted: bool,
    /// When data came for it last, or was asked for.
    pub(super) since: Instant,
}

impl<A> Task<A> {
    /// Whether it waits for data that its initiator owes.
    pub(super) fn gathers(&self) -> bool {
        self.stage == Stage::Waiting && self.transfer.awaits()
    }

    /// Whether it goes ahead of those of its unit that came before it.
    fn is_ahead(&self) -> bool {
        self.attribute == TaskAttribute::HeadOfQueue
    }
}

/// What the service of a directory knows a command by.
pub(super) type Arrival<D> = <<D as Directory>::Service as Service>::Arrival;

impl<D: Directory> Connection<'_, D> {
    /// Takes a command in, its number being next.
    pub(super) fn accept(
        &mut self,
        header: &ScsiCommand,
        call: Call,
        arrival: Arrival<D>,
        cdb: Bytes,
        transfer: Transfer,
    ) {
        let data = if call.read { call.expected } else { transfer.want() } as usize;
        // No command moves more.
        let cost = data.min(crate::medium::MAX_TRANSFER) + call.scratch as usize;
        let task = Task {
            call,
            arrival,
            cdb,
            attribute: attribute(header.attribute),
            transfer,
            stage: Stage::Waiting,
            immediate: header.immediate,
            cost,
            loose: 0,
            admitted: false,
            since: Instant::now(),
        };
        if task.immediate {
            self.immediate += 1;
        } else {
            self.window.hold();
        }
        let ahead = task.is_ahead();
        let lane = self.lanes.entry(call.lun).or_default();
        let is_in = |itt| self.tasks.get(itt).is_none_or(|task: &Task<_>| task.admitted);
        let in_turn = ahead || lane.iter().all(is_in);
        // One that may go ahead does so when it has room: those that have theirs must not wait for
        // it, which waits for them.
        if !ahead {
            lane.push_back(call.itt);
        }
        self.tasks.insert(call.itt, task);
        if cost <= LITTLE && in_turn && self.fit(call.itt) == Fit::Room {
            self.let_in(call.itt);
            return;
        }
        self.line.push_back(call.itt);
        self.admit();
        self.bear(call.itt);
    }

    /// Finds room for the data that a command brings before it has its room. Where there is none,
    /// the initiator is to send less at a time.
    fn bear(&mut self, itt: u32) {
        let used = self.used();
        let Some(task) = self.tasks.get_mut(&itt).filter(|task| !task.admitted) else { return };
        let loose = task.transfer.loose();
        if loose == 0 || self.room.take(used + loose) {
            task.loose = loose;
            self.loose += loose;
            return;
        }
        self.line.retain(|other| *other != itt);
        if let Some(task) = self.forget(itt) {
            self.answer(&task.call, &Completion::status(Status::TaskSetFull));
            self.advance(task.call.lun);
        }
    }

    /// What it uses of its room, in bytes.
    fn used(&self) -> usize {
        self.taken + self.loose + self.outbox.len()
    }

    /// Lets commands in while there is room for their data. One whose unit has its part already
    /// lets others go ahead.
    pub(super) fn admit(&mut self) {
        self.room.settle(self.used());
        self.starved = false;
        let (mut at, mut long_ones_wait, mut units) = (0, false, Vec::new());
        while let Some(itt) = self.line.get(at).copied() {
            let Some(task) = self.tasks.get(&itt) else {
                self.line.remove(at);
                continue;
            };
            let (lun, long) = (task.call.lun, task.cost > LITTLE);
            // Those of a unit go in as they came: what has room waits for what came before it, which
            // must not wait for that room. Long ones do so too, or the longest never has its turn.
            let behind = !task.is_ahead() && units.contains(&lun) || long && long_ones_wait;
            let fit = if behind { Fit::UnitFull } else { self.fit(itt) };
            if fit == Fit::Room {
                self.line.remove(at);
                self.let_in(itt);
                continue;
            }
            self.starved |= fit == Fit::Starved;
            long_ones_wait |= fit == Fit::Full;
            units.push(lun);
            at += 1;
        }
    }

    /// Whether a command has room, which is then taken of what all sessions share.
    fn fit(&mut self, itt: u32) -> Fit {
        let Some(task) = self.tasks.get(&itt).filter(|task| task.cost > 0) else {
            return Fit::Room;
        };
        let (cost, loose, lun) = (task.cost, task.loose, task.call.lun);
        if cost > LITTLE {
            let used = self.taken_by(|task| task.cost > LITTLE) + self.outbox.len();
            if used > 0 && used + cost > self.limits.buffered {
                return Fit::Full;
            }
            let of_unit = self.taken_by(|task| task.cost > LITTLE && task.call.lun == lun);
            if of_unit > 0 && of_unit + cost > self.limits.buffered / PART {
                return Fit::UnitFull;
            }
        }
        let always = self.taken + self.outbox.len() + cost <= self.limits.buffered_always;
        // While somebody starves, others go on with what they need not ask for.
        let taken = always || !self.starved && self.room.take(self.used() - loose + cost);
        if taken { Fit::Room } else { Fit::Starved }
    }

    /// Lets a command in that has room.
    fn let_in(&mut self, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else { return };
        self.loose -= std::mem::take(&mut task.loose);
        self.taken += task.cost;
        (task.admitted, task.since) = (true, Instant::now());
        let lun = task.call.lun;
        if task.is_ahead() {
            self.lanes.entry(lun).or_default().push_front(itt);
        }
        self.ask(itt);
        self.advance(lun);
    }

    /// Room that commands of some kind have, in bytes.
    fn taken_by(&self, kind: impl Fn(&Task<Arrival<D>>) -> bool) -> usize {
        let has = |task: &&Task<_>| task.admitted && kind(task);
        self.tasks.values().filter(has).map(|task| task.cost).sum()
    }

    /// Asks for the data of a command as far as it may.
    pub(super) fn ask(&mut self, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt).filter(|task| task.admitted) else { return };
        let tag = &mut self.tag;
        while let Some(asked) = task.transfer.ask(&self.parameters, || {
            *tag = next_tag(*tag);
            *tag
        }) {
            let r2t = R2t {
                lun: task.call.lun,
                itt,
                ttt: asked.ttt,
                r2t_sn: asked.number,
                offset: asked.offset,
                length: asked.length,
                ..R2t::default()
            };
            let numbers = (self.window.expected(), self.window.highest());
            post(&mut self.outbox, &mut self.stat_sn, numbers, r2t.write(), &[], false);
        }
    }

    /// Begins what can begin on a logical unit.
    pub(super) fn advance(&mut self, lun: LunAddress) {
        while let Some(itt) = self.begin(lun) {
            if let Some(task) = self.forget(itt) {
                self.answer(&task.call, &Completion::check(SPOILED));
            }
        }
    }

    /// Begins commands up to one whose data is spoiled, which is given back.
    fn begin(&mut self, lun: LunAddress) -> Option<u32> {
        let lane = self.lanes.get_mut(&lun)?;
        while let Some(itt) = lane.front().copied() {
            let Some(task) = self.tasks.get_mut(&itt).filter(|task| task.stage == Stage::Waiting)
            else {
                lane.pop_front();
                continue;
            };
            if !task.admitted || !task.transfer.complete() {
                return None;
            }
            lane.pop_front();
            task.call.r2ts = task.transfer.r2ts();
            if task.transfer.spoiled() {
                return Some(itt);
            }
            let Some(bound) = &self.bound else { continue };
            task.stage = Stage::Running;
            let data = std::mem::take(&mut task.transfer.buffer).freeze();
            let command = Command {
                lun,
                cdb: std::mem::take(&mut task.cdb),
                attribute: task.attribute,
                data_out: if data.is_empty() { Vec::new() } else { vec![data] },
                offered: if task.call.write { task.call.expected as usize } else { 0 },
                room: if task.call.read { task.call.expected as usize } else { 0 },
            };
            let running = bound.service.execute(&bound.session, &task.arrival, command);
            self.running.push(Box::pin(running.map(move |done| Done::Command(itt, done))));
        }
        self.lanes.remove(&lun);
        None
    }

    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Ended(itt) => self.others_are_silent(itt),
            Done::Command(itt, completion) => {
                let Some(task) = self.forget(itt) else { return };
                if task.stage == Stage::Aborted {
                    self.is_silent(itt);
                } else {
                    self.answer(&task.call, &completion);
                }
                self.admit();
            }
        }
    }

    pub(super) fn answer(&mut self, call: &Call, completion: &Completion) {
        let numbers = (self.window.expected(), self.window.highest());
        let (outbox, stat_sn) = (&mut self.outbox, &mut self.stat_sn);
        answer(call, completion, &self.parameters, |bhs, data, status| {
            post(outbox, stat_sn, numbers, bhs, data, status);
        });
    }

    /// A task is over: its room is free.
    fn forget(&mut self, itt: u32) -> Option<Task<Arrival<D>>> {
        let task = self.tasks.remove(&itt)?;
        if task.admitted {
            self.taken -= task.cost;
        }
        self.loose -= task.loose;
        if task.immediate {
            self.immediate -= 1;
        } else {
            self.window.release();
        }
        Some(task)
    }

    /// Drops the tasks that are meant, without a word; those that the service has, which have to
    /// be waited for.
    pub(super) fn abort(&mut self, meant: impl Fn(&Call) -> bool) -> Vec<u32> {
        let mut left = Vec::new();
        let hit: Vec<u32> = self
            .tasks
            .values()
            .map(|task| &task.call)
            .filter(|call| meant(call))
            .map(|call| call.itt)
            .collect();
        // All are gone before anything behind them begins: that may be meant as well.
        let mut freed = Vec::new();
        for itt in hit {
            match self.tasks.get_mut(&itt) {
                Some(task) if task.stage != Stage::Waiting => {
                    task.stage = Stage::Aborted;
                    if let Some(bound) = &self.bound {
                        bound.service.abort(&task.arrival);
                    }
                    left.push(itt);
                }
                _ => {
                    self.line.retain(|other| *other != itt);
                    let Some(lun) = self.forget(itt).map(|task| task.call.lun) else { continue };
                    if let Some(lane) = self.lanes.get_mut(&lun) {
                        lane.retain(|other| *other != itt);
                    }
                    freed.push(lun);
                }
            }
        }
        for lun in freed {
            self.advance(lun);
        }
        self.admit();
        left
    }
}

const fn attribute(code: u8) -> TaskAttribute {
    match code {
        2 => TaskAttribute::Ordered,
        3 => TaskAttribute::HeadOfQueue,
        4 => TaskAttribute::Aca,
        _ => TaskAttribute::Simple,
    }
}
