//! Commands as they come: whether their number is next, and what they bring.

use super::{
    answer::Call,
    connection::{Connection, Trouble},
    directory::Directory,
    pdu::{Bhs, NO_TAG, Reason, ScsiCommand, cdb_of},
    transfer::{Stray, Transfer},
    window::Place,
    wire::Pdu,
};
use crate::{
    medium::MAX_TRANSFER,
    sense::{Key, Sense},
    service::Service,
    task::Completion,
};

/// The most immediate commands that are not answered yet.
const MOST_IMMEDIATE: u32 = 16;
/// INVALID FIELD IN COMMAND INFORMATION UNIT: bidirectional commands are not supported.
const BIDIRECTIONAL: Sense = Sense::new(Key::IllegalRequest, 0x0e, 0x03);

impl<D: Directory> Connection<'_, D> {
    /// Whether a request is to be looked at: immediate ones are, others when their number is next.
    /// Numbers outside of the window are ignored.
    pub(super) fn comes(
        &mut self,
        immediate: bool,
        cmd_sn: u32,
        bhs: &Bhs,
    ) -> Result<bool, Trouble> {
        if immediate {
            return Ok(true);
        }
        match self.window.place(cmd_sn) {
            Place::Outside => Ok(false),
            // One connection delivers in order: what is missing will never come.
            Place::Gap => Err(Trouble::Reject(Reason::Protocol, *bhs)),
            Place::Next => {
                self.window.take();
                Ok(true)
            }
        }
    }

    pub(super) fn command(&mut self, header: &ScsiCommand, pdu: Pdu) -> Result<(), Trouble> {
        let protocol = || Trouble::Reject(Reason::Protocol, pdu.bhs);
        if !self.comes(header.immediate, header.cmd_sn, &pdu.bhs)? {
            return Ok(());
        }
        let bound = self.bound.as_ref().ok_or_else(protocol)?;
        let arrival = bound.service.arrive(&bound.session);
        if header.itt == NO_TAG || !header.write && !pdu.data.is_empty() {
            return Err(protocol());
        }
        if self.tasks.contains_key(&header.itt) {
            self.reject(Reason::TaskInProgress, &pdu.bhs);
            return Ok(());
        }
        if header.immediate && self.immediate >= MOST_IMMEDIATE {
            self.reject(Reason::TooManyImmediate, &pdu.bhs);
            return Ok(());
        }
        let Ok(cdb) = cdb_of(&header.cdb, &pdu.ahs) else {
            self.reject(Reason::InvalidField, &pdu.bhs);
            return Ok(());
        };
        let needs = bound.service.needs(&bound.session, header.lun, &cdb);
        let mut call = Call {
            lun: header.lun,
            itt: header.itt,
            read: header.read,
            write: header.write,
            expected: if header.read || header.write { header.expected } else { 0 },
            takes: u32::try_from(needs.takes.min(MAX_TRANSFER)).unwrap_or(0),
            scratch: u32::try_from(needs.scratch.min(MAX_TRANSFER)).unwrap_or(0),
            r2ts: 0,
        };
        if header.read && header.write {
            call.takes = 0;
            self.answer(&call, &Completion::check(BIDIRECTIONAL));
            return Ok(());
        }
        let offered = if header.write { header.expected } else { 0 };
        let last = header.last || offered == 0;
        let want = call.takes.min(offered);
        let transfer = Transfer::new(pdu.data, want, offered, last, &self.parameters)
            .map_err(|Stray| Trouble::Reject(Reason::Protocol, pdu.bhs))?;
        self.accept(header, call, arrival, cdb, transfer);
        Ok(())
    }
}
