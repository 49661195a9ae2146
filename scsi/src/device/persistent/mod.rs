//! Persistent reservations (SPC-4 5.13): who is registered, who holds what, and how that changes.
//!
//! This is a value with methods; it knows neither sessions nor storage. What a change means to
//! others comes back as [`Effects`].
//!
//! * [`out`]: PERSISTENT RESERVE OUT, from its parameter list to the change.
//! * [`report`]: what PERSISTENT RESERVE IN answers.
//! * [`kept`]: what survives a loss of power (APTPL).

pub(super) mod kept;
pub(super) mod out;
pub(super) mod report;

use super::conflicts::{Class, Type, allowed};
use crate::{nexus::InitiatorPort, sense::Sense};

/// An I_T nexus as reservations know it: the initiator port, and the relative target port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The initiator port.
    pub initiator: InitiatorPort,
    /// RELATIVE TARGET PORT IDENTIFIER.
    pub port: u16,
}

/// A registered nexus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registrant {
    /// Which.
    pub path: Path,
    /// Its reservation key; never 0.
    pub key: u64,
    /// Whether it was registered on all target ports at once (ALL_TG_PT).
    pub all_ports: bool,
}

/// The reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reservation {
    /// Its type.
    pub kind: Type,
    /// Who holds it; with the types for all registrants, who made it.
    pub holder: Path,
}

/// Registrations and the reservation of a logical unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Persistent {
    /// PRGENERATION: how often registrations changed since power came on.
    pub generation: u32,
    /// Whether they are kept through a loss of power (APTPL).
    pub durable: bool,
    /// Who is registered.
    pub registrants: Vec<Registrant>,
    /// Who holds what.
    pub reservation: Option<Reservation>,
}

/// What a change means to others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Unit attentions.
    pub tell: Vec<(Vec<Path>, Sense)>,
    /// Those whose tasks end (PREEMPT AND ABORT).
    pub abort: Vec<Path>,
}

impl Persistent {
    /// The registration of a nexus.
    pub fn registrant(&self, path: &Path) -> Option<&Registrant> {
        self.registrants.iter().find(|registrant| registrant.path == *path)
    }

    /// Whether a nexus holds the reservation.
    pub fn holds(&self, path: &Path) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| {
            if reservation.kind.all_registrants() {
                self.registrant(path).is_some()
            } else {
                reservation.holder == *path
            }
        })
    }

    /// Whether the reservation lets a command of a nexus through.
    pub fn allows(&self, class: Class, path: &Path) -> bool {
        self.reservation.as_ref().is_none_or(|reservation| {
            self.holds(path) || allowed(class, reservation.kind, self.registrant(path).is_some())
        })
    }

    /// What RESERVE and RELEASE are to do: `None` as SPC-2 says, as nobody is registered;
    /// `Some(true)` nothing, successfully, and `Some(false)` to be refused (SPC-4 5.13.3, which
    /// CRH of REPORT CAPABILITIES announces).
    pub fn legacy(&self, path: &Path) -> Option<bool> {
        if self.registrants.is_empty() {
            return None;
        }
        let registered = self.registrant(path).is_some();
        Some(match &self.reservation {
            Some(held) => self.holds(path) || registered && held.kind.for_registrants(),
            None => registered,
        })
    }

    fn paths(&self, except: &Path) -> Vec<Path> {
        let others = self.registrants.iter().map(|registrant| &registrant.path);
        others.filter(|path| *path != except).cloned().collect()
    }
}
