//! A logical unit as one command meets it.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use super::{
    answer::Refusal,
    gate::{Ticket, Way},
    session::Session,
    tasks::Task,
    units::Unit,
};
use crate::{
    medium::{Access, Medium},
    sense::Sense,
    task::{Status, TaskAttribute},
};

/// With what was asked of it as the command began.
pub(super) struct Logical {
    /// What is kept of it over all paths.
    pub unit: Arc<Unit>,
    /// Its storage.
    pub medium: Arc<dyn Medium>,
    /// What hosts may do now.
    pub access: Access,
    /// Its number on this path.
    pub lun: u16,
    /// Who asks.
    pub session: Arc<Session>,
    /// The command.
    pub task: Task,
    /// How it stands to others.
    pub attribute: TaskAttribute,
}

impl Logical {
    /// How many blocks hosts are told of.
    pub fn capacity(&self) -> u64 {
        if self.access.sizeless { 0 } else { self.medium.blocks() }
    }

    /// Whether reading is allowed now.
    pub fn readable(&self) -> Result<(), Sense> {
        if self.access.unreadable { Err(Sense::ACCESS_DENIED) } else { Ok(()) }
    }

    /// Whether writing is allowed now.
    pub fn writable(&self) -> Result<(), Sense> {
        let protected = self.access.unwritable || self.unit.state().mode.protected;
        if protected { Err(Sense::WRITE_PROTECTED) } else { Ok(()) }
    }

    /// Whether writes are durable without being asked to (WCE 0).
    pub fn writes_through(&self) -> bool {
        !self.unit.state().mode.write_cache
    }

    /// Blocks are there. No blocks may stand right behind the last one, not further.
    pub fn within(&self, lba: u64, blocks: u64) -> Result<(), Sense> {
        let end = lba.checked_add(blocks);
        if end.is_some_and(|end| end <= self.medium.blocks()) {
            Ok(())
        } else {
            Err(Sense::LBA_OUT_OF_RANGE)
        }
    }

    /// Takes a place for blocks at the gate.
    pub fn arrive(&self, way: Way, lba: u64, blocks: u64) -> Ticket {
        let way = if self.attribute == TaskAttribute::Ordered { Way::Ordered } else { way };
        self.unit.gate.arrive(way, lba, blocks)
    }

    /// Waits for its turn at the blocks. The ticket is kept until they are done with.
    pub async fn turn(&self, way: Way, lba: u64, blocks: u64) -> Result<Ticket, Refusal> {
        let mut ticket = self.arrive(way, lba, blocks);
        self.wait(ticket.enter()).await?;
        Ok(ticket)
    }

    /// Waits for a turn of any kind, as long as it is wanted.
    pub async fn wait<T>(&self, turn: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut turn = pin!(turn);
        poll_fn(|context| match self.going() {
            Ok(()) => turn.as_mut().poll(context).map(Ok),
            Err(refusal) => Poll::Ready(Err(refusal)),
        })
        .await
    }

    /// Whether it is still wanted; asked before it touches the storage.
    pub fn going(&self) -> Result<(), Refusal> {
        if self.task.aborted() { Err(Refusal::Status(Status::TaskAborted)) } else { Ok(()) }
    }
}
