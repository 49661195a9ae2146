//! What a transport asks of whatever carries commands out: one target port with its logical units.

use std::sync::Arc;

use crate::{
    nexus::Nexus,
    task::{Command, Completion, LunAddress, Management, ManagementAnswer},
};

/// A target port's device servers.
pub trait Service: Send + Sync + 'static {
    /// What is kept of an I_T nexus while it lasts.
    type Session: Send + Sync + 'static;

    /// A nexus comes into being. Its first command to each logical unit meets a unit attention.
    fn open(&self, nexus: Nexus) -> Arc<Self::Session>;

    /// A nexus ends, by logout, loss or reinstatement: reservations by RESERVE go with it,
    /// persistent ones stay.
    fn close(&self, session: &Self::Session);

    /// How many bytes a command takes from its initiator, by its CDB alone; 0 where it takes none
    /// or is going to be refused. The transport gathers that much, or what the initiator offers
    /// where that is less, before it calls [`Service::execute`]. Never more than
    /// [`crate::medium::MAX_TRANSFER`].
    fn takes(&self, session: &Self::Session, lun: LunAddress, cdb: &[u8]) -> usize;

    /// Carries a command out. Commands of one session begin in the order of these calls; the
    /// future need not be polled for that, and a command whose future is dropped may still be
    /// carried out. A future is to be polled whenever it wakes, however slow its initiator is in
    /// taking answers: commands of others may wait for its end.
    fn execute(
        &self,
        session: &Arc<Self::Session>,
        command: Command,
    ) -> impl Future<Output = Completion> + Send + 'static;

    /// Carries a task management function out. The transport answers when it has sent nothing
    /// more of the tasks that this ends.
    fn manage(
        &self,
        session: &Self::Session,
        lun: LunAddress,
        function: Management,
    ) -> ManagementAnswer;
}
