//! A target port: [`Service`] over the logical units behind it.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{
    cdb,
    conflicts::Class,
    dispatch::{self, Shared},
    inquiry::Port,
    opcodes,
    session::Session,
    units::LogicalUnits,
};
use crate::{
    medium::Inventory,
    nexus::{Nexus, TargetPort},
    sense::Sense,
    service::Service,
    task::{Command, Completion, LunAddress, Management, ManagementAnswer},
};

/// A target port with the logical units behind it.
#[derive(Clone)]
pub struct Target(Arc<Shared>);

impl Target {
    /// A target port. `units` is the same for all ports of a storage system; `label` is what the
    /// storage system calls the port, such as `CL2-C`; `all` are its target ports, this one
    /// included.
    #[must_use]
    pub fn new(
        inventory: Arc<dyn Inventory>,
        units: Arc<LogicalUnits>,
        port: TargetPort,
        label: &str,
        all: Vec<TargetPort>,
    ) -> Self {
        let port = Port { port, label: label.to_owned(), all };
        Self(Arc::new(Shared { inventory, units, port }))
    }

    fn refresh(&self, session: &Session) {
        session.refresh(self.0.inventory.as_ref(), &self.0.units);
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.0.port).finish()
    }
}

impl Service for Target {
    type Session = Session;

    fn open(&self, nexus: Nexus) -> Arc<Session> {
        Arc::new(Session::new(nexus, self.0.units.session(), self.0.inventory.as_ref()))
    }

    fn close(&self, session: &Session) {
        self.0.units.leave(session.id);
    }

    fn takes(&self, _session: &Session, _lun: LunAddress, cdb: &[u8]) -> usize {
        cdb::parse(cdb).map_or(0, |request| request.takes())
    }

    fn execute(
        &self,
        session: &Arc<Session>,
        command: Command,
    ) -> impl Future<Output = Completion> + Send + 'static {
        let entry = opcodes::find(&command.cdb);
        let changes = entry.is_ok_and(|it| matches!(it.class, Class::Writes | Class::Itself));
        let dropped = Arc::new(AtomicBool::new(false));
        let (shared, session) = (Arc::clone(&self.0), Arc::clone(session));
        let future = dispatch::run(shared, session, command, Arc::clone(&dropped));
        Execution::begin(Box::pin(future), dropped, changes)
    }

    fn manage(&self, session: &Session, lun: LunAddress, function: Management) -> ManagementAnswer {
        self.refresh(session);
        match function {
            Management::ClearAca => return ManagementAnswer::Rejected,
            Management::TargetWarmReset | Management::TargetColdReset => {
                for unit in session.ldevs().into_iter().filter_map(|ldev| self.0.units.known(ldev))
                {
                    unit.state().reset(session.id);
                }
                return ManagementAnswer::Complete;
            }
            _ => {}
        }
        let Some((unit, ..)) = self.0.find(session, lun) else {
            return ManagementAnswer::NoSuchUnit;
        };
        let mut state = unit.state();
        match function {
            Management::LogicalUnitReset => state.reset(session.id),
            Management::AbortTaskSet => state.nexus(session).tasks.abort(false),
            Management::ClearTaskSet => {
                state.nexus(session).tasks.abort(false);
                let told = state.mode.tell_aborted;
                for nexus in state.others(session.id).filter(|nexus| nexus.tasks.running() > 0) {
                    nexus.tasks.abort(true);
                    if !told {
                        nexus.attentions.push(Sense::COMMANDS_CLEARED);
                    }
                }
            }
            // ABORT TASK: the transport has dropped it, and so it ends.
            _ => {}
        }
        ManagementAnswer::Complete
    }
}

type Running = Pin<Box<dyn Future<Output = Completion> + Send>>;

/// A command that has begun. Dropped, it goes on if it changes something and has reached the
/// storage: its place at the gate must not be free before the storage has ended it.
struct Execution {
    running: Option<Running>,
    ended: Option<Completion>,
    dropped: Arc<AtomicBool>,
    changes: bool,
}

impl Execution {
    /// Begins it: up to where it waits for the storage, or for its turn, it goes now, so that
    /// commands begin in the order in which they came.
    fn begin(mut running: Running, dropped: Arc<AtomicBool>, changes: bool) -> Self {
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Self { running: None, ended: Some(ended), dropped, changes },
            Poll::Pending => Self { running: Some(running), ended: None, dropped, changes },
        }
    }
}

impl Future for Execution {
    type Output = Completion;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        let this = self.get_mut();
        if let Some(ended) = this.ended.take() {
            return Poll::Ready(ended);
        }
        let Some(running) = &mut this.running else {
            return Poll::Pending;
        };
        let ended = running.as_mut().poll(context);
        if ended.is_ready() {
            this.running = None;
        }
        ended
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
        if let Some(running) = self.running.take().filter(|_| self.changes)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(running));
        }
    }
}
