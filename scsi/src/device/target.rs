//! A target port: [`Service`] over the logical units behind it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    cdb,
    dispatch::{self, Shared},
    gate::{Ticket, Way},
    inquiry::Port,
    opcodes,
    operation::Operation,
    session::Session,
    tasks::Arrival,
    units::{LogicalUnits, Unit},
};
use crate::{
    medium::Inventory,
    nexus::{Nexus, TargetPort},
    sense::Sense,
    service::{Needs, Service},
    task::{Command, Completion, LunAddress, Management, Status, Unmanaged},
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
    type Arrival = Arrival;

    fn open(&self, nexus: Nexus) -> Arc<Session> {
        Arc::new(Session::new(nexus, self.0.units.session(), self.0.inventory.as_ref()))
    }

    fn close(&self, session: &Session) {
        self.0.units.leave(session.id);
    }

    fn needs(&self, _session: &Session, _lun: LunAddress, cdb: &[u8]) -> Needs {
        let needs =
            |request: Operation| Needs { takes: request.takes(), scratch: request.scratch() };
        cdb::parse(cdb).map_or_else(|_| Needs::default(), needs)
    }

    fn arrive(&self, _session: &Session) -> Arrival {
        Arrival::new(&self.0.units.clock)
    }

    fn execute(
        &self,
        session: &Arc<Session>,
        arrival: &Arrival,
        command: Command,
    ) -> impl Future<Output = Completion> + Send + 'static {
        let changes = opcodes::find(&command.cdb).is_ok_and(opcodes::Entry::changes);
        let (shared, session) = (Arc::clone(&self.0), Arc::clone(session));
        let future = dispatch::run(shared, session, arrival.again(), command);
        Execution::begin(Box::pin(future), arrival.again(), changes)
    }

    fn abort(&self, arrival: &Arrival) {
        arrival.abort();
    }

    fn manage(
        &self,
        session: &Session,
        lun: LunAddress,
        function: Management,
    ) -> Result<impl Future<Output = ()> + Send + 'static, Unmanaged> {
        self.refresh(session);
        let units = match function {
            Management::ClearAca => return Err(Unmanaged::Rejected),
            Management::TargetWarmReset | Management::TargetColdReset => {
                session.ldevs().into_iter().filter_map(|ldev| self.0.units.known(ldev)).collect()
            }
            _ => vec![self.0.find(session, lun).ok_or(Unmanaged::NoSuchUnit)?.0],
        };
        let behind = units.into_iter().filter_map(|unit| end_tasks(&unit, session, function));
        let behind: Vec<Ticket> = behind.collect();
        Ok(async move {
            for mut ticket in behind {
                ticket.enter().await;
            }
        })
    }
}

/// Ends the tasks of a logical unit that a function is about. Where they are also those of others,
/// gives a place at the gate behind them.
fn end_tasks(unit: &Unit, session: &Session, function: Management) -> Option<Ticket> {
    let mut state = unit.state();
    match function {
        Management::AbortTaskSet => {
            state.abort_own(session);
            return None;
        }
        Management::ClearTaskSet => {
            let told = state.mode.tell_aborted;
            for nexus in state.abort_all(session.id).filter(|_| !told) {
                nexus.attentions.push(Sense::COMMANDS_CLEARED);
            }
        }
        _ => state.reset(session.id),
    }
    Some(unit.gate.arrive(Way::Ordered, 0, 0))
}

type Running = Pin<Box<dyn Future<Output = Completion> + Send>>;

/// A command that has begun. Aborted, it ends at once unless it changes something and has reached
/// the storage: its place at the gate must not be free before the storage has ended it. Nor is it
/// when this is dropped; the command then goes on by itself.
struct Execution {
    running: Option<Running>,
    ended: Option<Completion>,
    arrival: Arrival,
    changes: bool,
}

impl Execution {
    /// Begins it: up to where it waits for the storage, or for its turn, it goes now, so that
    /// commands begin in the order in which they came.
    fn begin(mut running: Running, arrival: Arrival, changes: bool) -> Self {
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Self { running: None, ended: Some(ended), arrival, changes },
            Poll::Pending => Self { running: Some(running), ended: None, arrival, changes },
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
        let aborted = this.arrival.aborted(context.waker());
        let ended = match aborted && !this.changes {
            true => Poll::Ready(Completion::status(Status::TaskAborted)),
            // What waits for its turn sees that for itself.
            false => running.as_mut().poll(context),
        };
        if ended.is_ready() {
            this.running = None;
        }
        ended
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.arrival.abort();
        if let Some(running) = self.running.take().filter(|_| self.changes)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(running));
        }
    }
}
