//! PERSISTENT RESERVE OUT (SPC-4 6.16).

use super::{Effects, Path, Persistent, Registrant, Reservation};
use crate::{
    device::{
        answer::{CONFLICT, Refusal},
        conflicts::Type,
    },
    sense::Sense,
};

/// The most nexuses that register with one logical unit.
const MOST: usize = 1024;
/// The service action PREEMPT AND ABORT.
pub(in crate::device) const PREEMPT_AND_ABORT: u8 = 5;
/// Bytes of the basic parameter list.
const LENGTH: usize = 24;

/// The parameter list (SPC-4 6.16.3), 24 bytes:
///
/// | byte | what |
/// |---|---|
/// | 0-7 | RESERVATION KEY |
/// | 8-15 | SERVICE ACTION RESERVATION KEY |
/// | 20 | SPEC_I_PT (bit 3, refused), ALL_TG_PT (bit 2), APTPL (bit 0) |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::device) struct Parameters {
    /// That which the nexus is registered with.
    pub key: u64,
    /// That which the action is about.
    pub action_key: u64,
    /// Register on all target ports (ALL_TG_PT).
    pub all_ports: bool,
    /// Keep it through a loss of power (APTPL).
    pub durable: bool,
}

impl Parameters {
    /// From bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Sense> {
        let list: &[u8; LENGTH] = match bytes.try_into() {
            Ok(list) => list,
            Err(_) if bytes.get(20).is_some_and(|flags| flags & 8 != 0) => {
                return Err(Sense::INVALID_FIELD_IN_DATA.in_data(20, Some(3)));
            }
            Err(_) => return Err(Sense::DATA_LENGTH),
        };
        if list[20] & 8 != 0 {
            return Err(Sense::INVALID_FIELD_IN_DATA.in_data(20, Some(3)));
        }
        let key = |at: usize| {
            list[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        Ok(Self {
            key: key(0),
            action_key: key(8),
            all_ports: list[20] & 4 != 0,
            durable: list[20] & 1 != 0,
        })
    }
}

/// A change that a nexus asks for.
#[derive(Debug, Clone, Copy)]
pub(in crate::device) struct Order<'a> {
    /// SERVICE ACTION.
    pub action: u8,
    /// SCOPE.
    pub scope: u8,
    /// TYPE.
    pub kind: u8,
    /// The parameter list.
    pub list: Parameters,
    /// Who asks.
    pub path: &'a Path,
    /// The relative identifiers of all target ports.
    pub ports: &'a [u16],
}

impl Order<'_> {
    /// Scope and type of RESERVE, RELEASE and PREEMPT: the whole logical unit.
    fn kind(&self) -> Result<Type, Refusal> {
        if self.scope != 0 {
            return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(7)).into());
        }
        Ok(Type::new(self.kind).ok_or(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(3)))?)
    }
}

impl Persistent {
    /// Carries it out.
    pub fn change(&mut self, order: &Order<'_>) -> Result<Effects, Refusal> {
        if matches!(order.action, 0 | 6) {
            return self.register(order);
        }
        // All others are for those who are registered with the key they name.
        if self.registrant(order.path).is_none_or(|its| its.key != order.list.key) {
            return Err(CONFLICT);
        }
        match order.action {
            1 => self.reserve(order.path, order.kind()?),
            2 => self.release(order.path, order.kind()?),
            3 => Ok(self.clear(order.path)),
            4 => self.preempt(order, order.kind()?),
            PREEMPT_AND_ABORT => {
                let mut effects = self.preempt(order, order.kind()?)?;
                effects.abort = effects
                    .tell
                    .iter()
                    .filter(|(_, sense)| *sense == Sense::REGISTRATIONS_PREEMPTED)
                    .flat_map(|(paths, _)| paths.clone())
                    .collect();
                Ok(effects)
            }
            _ => Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(4)).into()),
        }
    }

    /// REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-4 5.13.7 and tables 64 and 65).
    fn register(&mut self, order: &Order<'_>) -> Result<Effects, Refusal> {
        let (list, ignore) = (order.list, order.action == 6);
        let own = self.registrant(order.path).map(|registrant| registrant.key);
        if !ignore && own.unwrap_or(0) != list.key {
            return Err(CONFLICT);
        }
        let mut effects = Effects::default();
        if list.action_key == 0 {
            if own.is_none() {
                // Who has nothing to give up changes nothing (SPC-4 tables 64 and 65).
                return Ok(effects);
            }
            self.unregister(order.path, &mut effects);
        } else {
            let all: &[u16] = if list.all_ports { order.ports } else { &[] };
            let others = all.iter().filter(|port| **port != order.path.port);
            let mut paths: Vec<_> = others
                .map(|port| Path { initiator: order.path.initiator.clone(), port: *port })
                .collect();
            // What exists on the other ports may differ from what this nexus knows.
            if !ignore && own.is_none() && paths.iter().any(|path| self.registrant(path).is_some())
            {
                return Err(CONFLICT);
            }
            paths.push(order.path.clone());
            let new = paths.iter().filter(|path| self.registrant(path).is_none()).count();
            if self.registrants.len() + new > MOST {
                return Err(Sense::NO_REGISTRATION_LEFT.into());
            }
            for path in paths {
                let registrant =
                    Registrant { path, key: list.action_key, all_ports: list.all_ports };
                match self.registrants.iter_mut().find(|its| its.path == registrant.path) {
                    Some(its) => *its = registrant,
                    None => self.registrants.push(registrant),
                }
            }
        }
        self.durable = list.durable;
        self.generation = self.generation.wrapping_add(1);
        Ok(effects)
    }

    /// SPC-4 5.13.11.2.
    fn unregister(&mut self, path: &Path, effects: &mut Effects) {
        let held = self.holds(path);
        self.registrants.retain(|registrant| registrant.path != *path);
        let Some(reservation) = self.reservation.as_ref().filter(|_| held) else {
            return;
        };
        let kind = reservation.kind;
        if !kind.all_registrants() || self.registrants.is_empty() {
            self.reservation = None;
            if kind.for_registrants() {
                effects.tell.push((self.paths(path), Sense::RESERVATIONS_RELEASED));
            }
        }
    }

    /// RESERVE (SPC-4 5.13.9).
    fn reserve(&mut self, path: &Path, kind: Type) -> Result<Effects, Refusal> {
        match &self.reservation {
            None => self.reservation = Some(Reservation { kind, holder: path.clone() }),
            Some(reservation) if reservation.kind == kind && self.holds(path) => {}
            Some(_) => return Err(CONFLICT),
        }
        Ok(Effects::default())
    }

    /// RELEASE (SPC-4 5.13.11.2.2).
    fn release(&mut self, path: &Path, kind: Type) -> Result<Effects, Refusal> {
        let mut effects = Effects::default();
        if self.holds(path) {
            if self.reservation.as_ref().is_some_and(|reservation| reservation.kind != kind) {
                return Err(Sense::INVALID_RELEASE.into());
            }
            self.reservation = None;
            if kind.for_registrants() {
                effects.tell.push((self.paths(path), Sense::RESERVATIONS_RELEASED));
            }
        }
        Ok(effects)
    }

    /// CLEAR (SPC-4 5.13.11.2.6).
    fn clear(&mut self, path: &Path) -> Effects {
        let tell = vec![(self.paths(path), Sense::RESERVATIONS_PREEMPTED)];
        self.registrants.clear();
        self.reservation = None;
        self.generation = self.generation.wrapping_add(1);
        Effects { tell, abort: Vec::new() }
    }

    /// PREEMPT (SPC-4 5.13.11.2.4 and figure 12).
    fn preempt(&mut self, order: &Order<'_>, kind: Type) -> Result<Effects, Refusal> {
        let (path, victim) = (order.path, order.list.action_key);
        let invalid = Sense::INVALID_FIELD_IN_DATA.in_data(8, None);
        let takes = match &self.reservation {
            Some(held) if held.kind.all_registrants() => victim == 0,
            _ if victim == 0 => return Err(invalid.into()),
            Some(held) => self.registrant(&held.holder).is_some_and(|its| its.key == victim),
            None => false,
        };
        let all = victim == 0;
        let doomed = |registrant: &Registrant| {
            (all || registrant.key == victim) && !(takes && registrant.path == *path)
        };
        let gone: Vec<_> = self.registrants.iter().filter(|its| doomed(its)).cloned().collect();
        if gone.is_empty() && !takes {
            return Err(CONFLICT);
        }
        self.registrants.retain(|registrant| !doomed(registrant));
        let others: Vec<_> =
            gone.into_iter().map(|its| its.path).filter(|its| its != path).collect();
        let mut tell = vec![(others, Sense::REGISTRATIONS_PREEMPTED)];
        if takes {
            let new = Reservation { kind, holder: path.clone() };
            let old = self.reservation.replace(new);
            if old.is_some_and(|old| old.kind != kind) {
                tell.push((self.paths(path), Sense::RESERVATIONS_RELEASED));
            }
        } else if self.registrants.is_empty() {
            // The last registrants of a reservation for all took it with them.
            self.reservation = None;
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(Effects { tell, abort: Vec::new() })
    }
}
