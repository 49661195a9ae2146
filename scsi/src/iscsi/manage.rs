//! Task management and logout (RFC 7143, 11.5, 11.6, 11.14): answered when nothing more comes of
//! the tasks that end.

use futures_util::{
    FutureExt,
    future::{AbortHandle, abortable},
};

use super::{
    connection::{Connection, Done, Trouble},
    directory::Directory,
    pdu::{Bhs, LogoutRequest, LogoutResponse, Reason, TaskRequest, TaskResponse},
    window::Place,
};
use crate::{
    service::Service,
    task::{Management, Unmanaged},
};

/// The most functions that wait for tasks to end.
const MOST_WAITERS: usize = 32;

const COMPLETE: u8 = 0;
const NO_TASK: u8 = 1;
const NO_UNIT: u8 = 2;
const NO_REASSIGNMENT: u8 = 4;
const NOT_SUPPORTED: u8 = 5;
const REJECTED: u8 = 255;

/// A function that waits for tasks to end.
pub(super) struct Waiter {
    /// Its tag, for FUNCTION COMPLETE.
    itt: u32,
    /// The tasks of this session.
    left: Vec<u32>,
    /// While the service waits for those of others: what ends that.
    others: Option<AbortHandle>,
    /// Whether the session ends then.
    end: bool,
}

impl<D: Directory> Connection<'_, D> {
    pub(super) fn manage(&mut self, header: &TaskRequest, bhs: &Bhs) -> Result<(), Trouble> {
        if !self.comes(header.immediate, header.cmd_sn, bhs)? {
            return Ok(());
        }
        let Some(bound) = &self.bound else {
            return Err(Trouble::Reject(Reason::Protocol, *bhs));
        };
        if self.waiters.len() >= MOST_WAITERS {
            self.reject(Reason::TooManyImmediate, bhs);
            return Ok(());
        }
        let function = match header.function {
            1 => return self.abort_task(header),
            2 => Management::AbortTaskSet,
            3 => Management::ClearAca,
            4 => Management::ClearTaskSet,
            5 => Management::LogicalUnitReset,
            6 => Management::TargetWarmReset,
            7 => Management::TargetColdReset,
            8 => return self.respond(header.itt, NO_REASSIGNMENT),
            _ => return self.respond(header.itt, NOT_SUPPORTED),
        };
        let ended = match bound.service.manage(&bound.session, header.lun, function) {
            Ok(ended) => ended,
            Err(Unmanaged::NoSuchUnit) => return self.respond(header.itt, NO_UNIT),
            Err(Unmanaged::Rejected) => return self.respond(header.itt, REJECTED),
        };
        let itt = header.itt;
        let (ended, others) = abortable(ended);
        self.running.push(Box::pin(ended.map(move |_| Done::Ended(itt))));
        let whole = matches!(function, Management::TargetWarmReset | Management::TargetColdReset);
        let left = self.abort(|call| whole || call.lun == header.lun);
        let end = function == Management::TargetColdReset;
        self.wait_for(Waiter { itt, left, others: Some(others), end });
        Ok(())
    }

    fn abort_task(&mut self, header: &TaskRequest) -> Result<(), Trouble> {
        let referenced = header.referenced;
        let known = self.tasks.get(&referenced).is_some_and(|task| task.call.lun == header.lun);
        if known {
            let left = self.abort(|call| call.itt == referenced);
            self.wait_for(Waiter { itt: header.itt, left, others: None, end: false });
            return Ok(());
        }
        // One that has not come yet is taken as come and aborted.
        let to_come = header.ref_cmd_sn != header.cmd_sn
            && header.ref_cmd_sn.wrapping_sub(header.cmd_sn) > 1 << 31
            && self.window.place(header.ref_cmd_sn) == Place::Next;
        if to_come {
            self.window.take();
        }
        self.respond(header.itt, if to_come { COMPLETE } else { NO_TASK })
    }

    fn respond(&mut self, itt: u32, response: u8) -> Result<(), Trouble> {
        let response = TaskResponse { response, itt, ..TaskResponse::default() };
        self.send(response.write(), &[], true);
        Ok(())
    }

    fn wait_for(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
        self.tell();
    }

    /// A task has ended without a word.
    pub(super) fn is_silent(&mut self, itt: u32) {
        for waiter in &mut self.waiters {
            waiter.left.retain(|task| *task != itt);
        }
        self.tell();
    }

    /// The tasks of others have ended that a function was about.
    pub(super) fn others_are_silent(&mut self, itt: u32) {
        let mut waiters = self.waiters.iter_mut();
        if let Some(waiter) = waiters.find(|its| its.itt == itt && its.others.is_some()) {
            waiter.others = None;
        }
        self.tell();
    }

    /// Tells those who have waited long enough.
    fn tell(&mut self) {
        let over = |waiter: &mut Waiter| waiter.left.is_empty() && waiter.others.is_none();
        let ready: Vec<Waiter> = self.waiters.extract_if(.., over).collect();
        for waiter in ready {
            let _ = self.respond(waiter.itt, COMPLETE);
            if waiter.end {
                self.drop_soon();
            }
        }
    }

    /// Nobody waits for the functions any more, and nothing is to wait behind them.
    pub(super) fn abort_waiters(&mut self) {
        for others in self.waiters.drain(..).filter_map(|waiter| waiter.others) {
            others.abort();
        }
    }

    pub(super) fn logout(&mut self, header: &LogoutRequest, bhs: &Bhs) -> Result<(), Trouble> {
        if !self.comes(header.immediate, header.cmd_sn, bhs)? {
            return Ok(());
        }
        let response = match header.reason {
            0 => 0,
            1 if header.cid == self.cid => 0,
            1 => 1,
            2 => 2,
            _ => return Err(Trouble::Reject(Reason::Protocol, *bhs)),
        };
        if response == 0 {
            self.abort(|_| true);
            self.ending = true;
        }
        let response =
            LogoutResponse { response, itt: header.itt, time2wait: 0, ..LogoutResponse::default() };
        self.send(response.write(), &[], true);
        Ok(())
    }
}
