//! Task management and logout (RFC 7143, 11.5, 11.6, 11.14): answered when nothing more comes of
//! the tasks that end.

use futures_util::{FutureExt, future::join_all};
use tokio::sync::oneshot;

use super::{
    connection::{Connection, Done, Trouble},
    directory::Directory,
    pdu::{Bhs, LogoutRequest, LogoutResponse, Reason, TaskRequest, TaskResponse},
    window::Place,
};
use crate::{
    nexus::Nexus,
    service::Service,
    task::{Management, ManagementAnswer},
};

/// The most functions that wait for tasks to end.
const MOST_WAITERS: usize = 32;

const COMPLETE: u8 = 0;
const NO_TASK: u8 = 1;
const NO_UNIT: u8 = 2;
const NO_REASSIGNMENT: u8 = 4;
const NOT_SUPPORTED: u8 = 5;
const REJECTED: u8 = 255;

/// Who hears of it when tasks are silent.
pub(super) enum Whom {
    /// The initiator, with FUNCTION COMPLETE to this tag; then all sessions of the target end
    /// where `end`.
    Initiator { itt: u32, end: bool },
    /// Another session.
    Sibling(Option<oneshot::Sender<()>>),
}

/// Somebody who waits for tasks to end.
pub(super) struct Waiter {
    pub(super) whom: Whom,
    /// The tasks.
    pub(super) left: Vec<u32>,
    /// Whether other sessions are waited for as well.
    pub(super) siblings: bool,
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
        match bound.service.manage(&bound.session, header.lun, function) {
            ManagementAnswer::NoSuchUnit => return self.respond(header.itt, NO_UNIT),
            ManagementAnswer::Rejected => return self.respond(header.itt, REJECTED),
            ManagementAnswer::Complete => {}
        }
        let whole = matches!(function, Management::TargetWarmReset | Management::TargetColdReset);
        let silent = match function {
            Management::ClearAca => Vec::new(),
            _ => self.abort(|call| whole || call.lun == header.lun),
        };
        if whole {
            self.silence_siblings(header.itt);
        }
        let end = function == Management::TargetColdReset;
        let whom = Whom::Initiator { itt: header.itt, end };
        self.wait_for(Waiter { whom, left: silent, siblings: whole });
        Ok(())
    }

    fn abort_task(&mut self, header: &TaskRequest) -> Result<(), Trouble> {
        let referenced = header.referenced;
        let known = self.tasks.get(&referenced).is_some_and(|task| task.call.lun == header.lun);
        if let Some(bound) = self.bound.as_ref().filter(|_| known) {
            // It says nothing that is not known already.
            let _ = bound.service.manage(&bound.session, header.lun, Management::AbortTask);
            let left = self.abort(|call| call.itt == referenced);
            let whom = Whom::Initiator { itt: header.itt, end: false };
            self.wait_for(Waiter { whom, left, siblings: false });
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

    fn silence_siblings(&mut self, itt: u32) {
        let Some(bound) = &self.bound else { return };
        let nexus = Nexus { initiator: self.initiator.clone(), target: bound.target.clone() };
        let all = join_all(self.sessions.silence(&nexus));
        self.running.push(Box::pin(all.map(move |_| Done::Siblings(itt))));
    }

    pub(super) fn wait_for(&mut self, waiter: Waiter) {
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

    pub(super) fn siblings_are_silent(&mut self, tag: u32) {
        for waiter in &mut self.waiters {
            if matches!(waiter.whom, Whom::Initiator { itt, .. } if itt == tag) {
                waiter.siblings = false;
            }
        }
        self.tell();
    }

    /// Tells those who have waited long enough.
    fn tell(&mut self) {
        let over = |waiter: &mut Waiter| waiter.left.is_empty() && !waiter.siblings;
        let ready: Vec<Waiter> = self.waiters.extract_if(.., over).collect();
        for waiter in ready {
            match waiter.whom {
                Whom::Sibling(done) => {
                    // The other session may be over.
                    let _ = done.map(|done| done.send(()));
                }
                Whom::Initiator { itt, end } => {
                    let _ = self.respond(itt, COMPLETE);
                    if let Some(bound) = self.bound.as_ref().filter(|_| end) {
                        self.sessions.end(Some(&bound.target));
                    }
                }
            }
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
