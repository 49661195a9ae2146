//! What a transport asks of whatever carries commands out: one target port with its logical units.

use std::sync::Arc;

use crate::{
    nexus::Nexus,
    task::{Command, Completion, LunAddress, Management, Unmanaged},
};

/// What a command needs of its transport, by its CDB alone; in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// How much it takes from its initiator; 0 where it takes nothing or is going to be refused.
    /// Never more than [`crate::medium::MAX_TRANSFER`].
    pub takes: usize,
    /// How much memory it has beside the data of its initiator while it is carried out. The
    /// transport counts it as if it were data.
    pub scratch: usize,
}

/// A target port's device servers.
pub trait Service: Send + Sync + 'static {
    /// What is kept of an I_T nexus while it lasts.
    type Session: Send + Sync + 'static;

    /// What a command is known by, from when it comes to its end.
    type Arrival: Send + Sync + 'static;

    /// A nexus comes into being. Its first command to each logical unit meets a unit attention.
    fn open(&self, nexus: Nexus) -> Arc<Self::Session>;

    /// A nexus ends, by logout, loss or reinstatement: reservations by RESERVE go with it,
    /// persistent ones stay. Commands of it that have not ended are polled on, or their futures
    /// dropped; whatever comes later to the blocks that they change waits for them.
    fn close(&self, session: &Self::Session);

    /// What a command needs. The transport gathers what it takes, or what the initiator offers
    /// where that is less, before it calls [`Service::execute`].
    fn needs(&self, session: &Self::Session, lun: LunAddress, cdb: &[u8]) -> Needs;

    /// A command comes. It may be long until its data is there, too; what ends tasks meanwhile
    /// ends this one, though it has not begun.
    fn arrive(&self, session: &Self::Session) -> Self::Arrival;

    /// Carries a command out. Commands of one session begin in the order of these calls; the
    /// future need not be polled for that, and a command whose future is dropped may still be
    /// carried out. A future is to be polled whenever it wakes, however slow its initiator is in
    /// taking answers: commands of others may wait for its end.
    fn execute(
        &self,
        session: &Arc<Self::Session>,
        arrival: &Self::Arrival,
        command: Command,
    ) -> impl Future<Output = Completion> + Send + 'static;

    /// ABORT TASK, and whatever else makes that nobody waits for a command any more: as far as it
    /// has not been carried out yet, it is not. Its future ends all the same: soon, or when the
    /// storage has ended what it has begun to change.
    fn abort(&self, arrival: &Self::Arrival);

    /// Carries a task management function out: the tasks that it is about are ended with the call.
    /// The future ends when those of other nexuses touch nothing any more, and is to be polled like
    /// that of a command; the transport itself knows about those of the nexus that asked. Then it
    /// says FUNCTION COMPLETE. Commands that come after the call are not ended, and begin to touch
    /// blocks after those that are.
    ///
    /// # Errors
    /// Why nothing is ended.
    fn manage(
        &self,
        session: &Self::Session,
        lun: LunAddress,
        function: Management,
    ) -> Result<impl Future<Output = ()> + Send + 'static, Unmanaged>;
}
