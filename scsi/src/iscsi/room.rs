//! Memory for data: what a session may hold by itself, and what it may take of that which all
//! sessions of a portal share.
//!
//! An initiator may take of the shared part as long as as much is left for others as it then has
//! itself, over all its sessions. So one that holds what it can leaves half of it to the next, and
//! whoever comes later still finds some; what a session may hold by itself, it always finds.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

use super::portal::Limits;

/// What all sessions share, in bytes.
#[derive(Debug)]
pub(super) struct Shared {
    total: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_initiator: HashMap<String, usize>,
}

impl Shared {
    pub(super) fn new(total: usize) -> Self {
        Self { total, taken: Mutex::default(), freed: Notify::new() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when something is given back after the call.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    fn take(&self, initiator: &str, bytes: usize) -> bool {
        let mut taken = self.taken();
        let left = self.total.saturating_sub(taken.all);
        let own = taken.by_initiator.get(initiator).copied().unwrap_or(0);
        // The first command of an initiator may be a long one, and even longer than there is room
        // where nobody else has any.
        let fits = match own {
            0 => bytes <= left || taken.all == 0,
            _ => own + 2 * bytes <= left,
        };
        if fits {
            taken.all += bytes;
            *taken.by_initiator.entry(initiator.to_owned()).or_default() += bytes;
        }
        fits
    }

    fn give_back(&self, initiator: &str, bytes: usize) {
        let mut taken = self.taken();
        taken.all -= bytes;
        if let Some(own) = taken.by_initiator.get_mut(initiator) {
            *own -= bytes;
            if *own == 0 {
                taken.by_initiator.remove(initiator);
            }
        }
        drop(taken);
        self.freed.notify_waiters();
    }
}

/// The room of one session.
#[derive(Debug)]
pub(super) struct Room<'a> {
    shared: &'a Shared,
    initiator: String,
    /// Bytes that it has without asking.
    own: usize,
    /// Bytes of the shared room that it has besides.
    held: usize,
}

impl<'a> Room<'a> {
    pub(super) fn new(shared: &'a Shared, initiator: &str, limits: &Limits) -> Self {
        let own = limits.buffered_always;
        Self { shared, initiator: initiator.to_owned(), own, held: 0 }
    }

    /// Takes what it needs of the shared room to use so much; whether it got it.
    pub(super) fn take(&mut self, use_of: usize) -> bool {
        let more = use_of.saturating_sub(self.own).saturating_sub(self.held);
        if more > 0 && !self.shared.take(&self.initiator, more) {
            return false;
        }
        self.held += more;
        true
    }

    /// Gives back what it does not need to use so much.
    pub(super) fn settle(&mut self, use_of: usize) {
        let less = self.held.saturating_sub(use_of.saturating_sub(self.own));
        if less > 0 {
            self.held -= less;
            self.shared.give_back(&self.initiator, less);
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { buffered_always: 10, ..Limits::default() }
    }

    #[test]
    fn whoever_takes_what_it_can_leaves_as_much_and_everybody_has_its_own() {
        let shared = Shared::new(1000);
        // Four sessions of one name, then of another, then of a third.
        let mut rooms: Vec<_> = ["a", "a", "a", "a", "b", "b", "b", "c"]
            .map(|name| Room::new(&shared, name, &limits()))
            .into();
        for room in &mut rooms {
            let fill = (1..=400).take_while(|bytes| room.take(*bytes)).count();
            assert!(fill >= 10);
        }
        let held = |rooms: &[Room<'_>], name: &str| -> usize {
            rooms.iter().filter(|its| its.initiator == name).map(|its| its.held).sum()
        };
        assert_eq!(held(&rooms, "a"), 500);
        assert_eq!(held(&rooms, "b"), 250);
        assert_eq!(held(&rooms, "c"), 125);
        rooms.retain(|its| its.initiator != "a");
        let more = 10 + rooms[0].held + 100;
        assert!(rooms[0].take(more), "what was given back is there for others");
        drop(rooms);
        let taken = shared.taken();
        assert!(taken.all == 0 && taken.by_initiator.is_empty());
    }

    #[test]
    fn the_first_command_may_be_as_long_as_there_is_room_and_nobody_waits_for_ever() {
        let shared = Shared::new(100);
        let (mut a, mut b) =
            (Room::new(&shared, "a", &limits()), Room::new(&shared, "b", &limits()));
        assert!(a.take(90) && !b.take(60) && b.take(30));
        b.settle(0);
        assert!(!a.take(91), "not the second");
        a.settle(0);
        assert!(b.take(500), "longer than all there is, and alone");
        assert!(!a.take(11) && a.take(10));
        b.settle(20);
        assert!(a.take(60));
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_what_is_given_back() {
        let shared = Shared::new(100);
        let mut room = Room::new(&shared, "a", &limits());
        assert!(room.take(60));
        let freed = shared.freed();
        room.settle(50);
        freed.await;
    }
}
