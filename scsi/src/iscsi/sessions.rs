//! Which sessions a portal has, so that one can end another.

use std::{
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use tokio::sync::mpsc;

use super::portal::Limits;
use crate::nexus::{InitiatorPort, TargetPort};

/// Why a session is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The initiator has logged in again with the same identity (RFC 7143, 6.3.5).
    Reinstated,
    /// The portal stops.
    Drop,
}

/// By it a session is told to end; closed when the session is over.
pub(super) type Wire = mpsc::UnboundedSender<End>;

struct Entry {
    initiator: InitiatorPort,
    /// `None` for a discovery session.
    target: Option<TargetPort>,
    address: IpAddr,
    tsih: u16,
    /// `None` when it is over, and only its commands are not.
    wire: Option<Wire>,
}

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions {
    entries: Mutex<Vec<Entry>>,
    last: AtomicU16,
}

/// What came of the wish to be a session.
pub(super) enum Entered<'a> {
    /// It is one.
    Ticket(Ticket<'a>, mpsc::UnboundedReceiver<End>),
    /// There is one with the same identity; it has to go first.
    Occupied(Wire),
    /// There are too many.
    Full,
}

/// A session's place among the others; dropped, it is free.
pub(super) struct Ticket<'a> {
    sessions: &'a Sessions,
    pub(super) tsih: u16,
}

impl Ticket<'_> {
    /// The session is over, and its identity free for the next. It is counted as long as its
    /// commands are there.
    pub(super) fn is_over(&self) {
        for entry in self.sessions.entries().iter_mut().filter(|entry| entry.tsih == self.tsih) {
            entry.wire = None;
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.sessions.entries().retain(|entry| entry.tsih != self.tsih);
    }
}

impl Sessions {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session, unless there are too many: of this initiator, or for discovery from this
    /// address, or together. Names cost nothing where no target knows them.
    pub(super) fn enter(
        &self,
        initiator: &InitiatorPort,
        target: Option<&TargetPort>,
        address: IpAddr,
        limits: &Limits,
    ) -> Entered<'_> {
        let mut entries = self.entries();
        let same = |entry: &&Entry| {
            target.is_some() && entry.initiator == *initiator && entry.target.as_ref() == target
        };
        if let Some(wire) = entries.iter().filter(same).find_map(|entry| entry.wire.clone()) {
            return Entered::Occupied(wire);
        }
        let alike = |entry: &&Entry| entry.target.is_some() == target.is_some();
        let alike: Vec<&Entry> = entries.iter().filter(alike).collect();
        let count = |own: &dyn Fn(&Entry) -> bool| alike.iter().filter(|its| own(its)).count();
        let (own, most, most_of_all) = match target {
            Some(_) => (
                count(&|entry| entry.initiator.name == initiator.name),
                limits.sessions_per_initiator,
                limits.sessions,
            ),
            None => (
                count(&|entry| entry.address == address),
                limits.discoveries_per_address,
                limits.discoveries,
            ),
        };
        let numbers = usize::from(u16::MAX) - 1;
        if own >= most || alike.len() >= most_of_all || entries.len() >= numbers {
            return Entered::Full;
        }
        let tsih = loop {
            let tsih = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if tsih != 0 && entries.iter().all(|entry| entry.tsih != tsih) {
                break tsih;
            }
        };
        let (wire, control) = mpsc::unbounded_channel();
        let (initiator, target) = (initiator.clone(), target.cloned());
        entries.push(Entry { initiator, target, address, tsih, wire: Some(wire) });
        Entered::Ticket(Ticket { sessions: self, tsih }, control)
    }

    /// Whether there is a session with this number.
    pub(super) fn has(&self, tsih: u16) -> bool {
        self.entries().iter().any(|entry| entry.tsih == tsih && entry.wire.is_some())
    }

    /// Ends all.
    pub(super) fn end(&self) {
        for wire in self.entries().iter().filter_map(|entry| entry.wire.as_ref()) {
            // One that is over need not be told.
            let _ = wire.send(End::Drop);
        }
    }
}
