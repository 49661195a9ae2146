//! The order of commands that touch the blocks of a logical unit.
//!
//! Commands of other blocks go side by side, as a SIMPLE task attribute allows. Where blocks are
//! the same, whatever comes after a command that changes them waits until that has ended, whoever
//! sent the two. A storage that keeps a write for long thus never lets it land on a newer one:
//!
//! * The write's session was given up, and its initiator repeats it on the next one, or writes
//!   something newer there, or reads what was left.
//! * The path was lost and nobody here knows yet; the initiator goes on by another path.
//! * The write was aborted while the storage had it.
//!
//! In each of them the place of the write lasts as long as the storage has it
//! ([`Service`](crate::service::Service)'s future goes on without its session), and no longer:
//! those that wait here have touched nothing, and leave at once when they are aborted. It also
//! keeps COMPARE AND WRITE in one piece (SBC-3 5.3). An ORDERED command keeps everything out
//! (SAM-5 8.6.2).
//!
//! Who must wait does so in the order of arrival, and holds back only what has to come after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It reads.
    Read,
    /// It changes blocks.
    Write,
    /// It is ORDERED, or waits for everything before it.
    Ordered,
}

/// A command at the gate.
#[derive(Debug, Clone, Copy)]
struct Pass {
    id: u64,
    way: Way,
    /// Blocks from, and up to but without.
    from: u64,
    to: u64,
}

impl Pass {
    /// Whether it has to wait for one that came before it. Not for reads: what they answer may be
    /// what was there when they ended.
    const fn is_behind(&self, before: &Self) -> bool {
        match (before.way, self.way) {
            (Way::Ordered, _) | (_, Way::Ordered) => true,
            (Way::Read, _) => false,
            (Way::Write, _) => self.from < before.to && before.from < self.to,
        }
    }
}

#[derive(Debug)]
struct Place {
    pass: Pass,
    /// How many it waits for.
    before: usize,
    call: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of arrival.
    places: Vec<Place>,
}

impl State {
    /// Frees a place, and calls those who waited for nobody else.
    fn free(&mut self, id: u64) {
        let Ok(at) = self.places.binary_search_by_key(&id, |place| place.pass.id) else { return };
        let gone = self.places.remove(at).pass;
        for place in self.places[at..].iter_mut().filter(|place| place.pass.is_behind(&gone)) {
            place.before -= 1;
            if place.before == 0
                && let Some(call) = place.call.take()
            {
                // Who no longer waits leaves when its ticket is dropped.
                let _ = call.send(());
            }
        }
    }
}

/// The gate of a logical unit.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for so many blocks; [`Ticket::enter`] waits for the turn. The ticket is kept
    /// until the command has ended. Who takes several leaves each before it enters the next.
    pub fn arrive(self: &Arc<Self>, way: Way, lba: u64, blocks: u64) -> Ticket {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        let pass = Pass { id, way, from: lba, to: lba.saturating_add(blocks) };
        let before = state.places.iter().filter(|place| pass.is_behind(&place.pass)).count();
        let (call, turn) = (before > 0).then(oneshot::channel).unzip();
        state.places.push(Place { pass, before, call });
        drop(state);
        Ticket { gate: Arc::clone(self), id, turn }
    }
}

/// A place at the gate, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    gate: Arc<Gate>,
    id: u64,
    turn: Option<oneshot::Receiver<()>>,
}

impl Ticket {
    /// Waits until its turn.
    pub async fn enter(&mut self) {
        if let Some(turn) = &mut self.turn {
            // The sender is kept until it has been used.
            let _ = turn.await;
            self.turn = None;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.state().free(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use proptest::prelude::*;

    use super::*;

    fn inside(ticket: &mut Ticket) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(pin!(ticket.enter()).poll(&mut context), Poll::Ready(()))
    }

    #[test]
    fn a_write_keeps_out_what_comes_later_to_its_blocks_and_nothing_else() {
        let gate = Arc::new(Gate::default());
        let mut before = gate.arrive(Way::Read, 0, 8);
        let mut first = gate.arrive(Way::Write, 4, 8);
        let (mut write, mut read) = (gate.arrive(Way::Write, 6, 1), gate.arrive(Way::Read, 11, 9));
        let (mut apart, mut behind) =
            (gate.arrive(Way::Write, 12, 9), gate.arrive(Way::Read, 6, 1));
        assert!(inside(&mut before) && inside(&mut first) && inside(&mut apart));
        assert!(!inside(&mut write) && !inside(&mut read) && !inside(&mut behind));
        drop(apart);
        drop(first);
        assert!(inside(&mut write) && inside(&mut read));
        assert!(!inside(&mut behind), "in the order of arrival");
        drop(write);
        assert!(inside(&mut behind));
    }

    #[test]
    fn an_ordered_command_waits_for_all_before_it_and_holds_all_behind_it() {
        let gate = Arc::new(Gate::default());
        let (mut read, mut ordered) =
            (gate.arrive(Way::Read, 0, 1), gate.arrive(Way::Ordered, 9, 1));
        let mut behind = gate.arrive(Way::Read, 100, 1);
        assert!(inside(&mut read) && !inside(&mut ordered) && !inside(&mut behind));
        drop(read);
        assert!(inside(&mut ordered) && !inside(&mut behind));
        drop(ordered);
        assert!(inside(&mut behind));
        assert_eq!(gate.state().places.len(), 1);
    }

    #[test]
    fn who_gives_up_waiting_holds_nobody_back() {
        let gate = Arc::new(Gate::default());
        let first = gate.arrive(Way::Read, 0, 8);
        let waits = gate.arrive(Way::Ordered, 0, 8);
        let mut behind = gate.arrive(Way::Write, 0, 8);
        assert!(!inside(&mut behind));
        drop(waits);
        assert!(inside(&mut behind));
        drop((first, behind));
        assert!(gate.state().places.is_empty());
    }

    proptest! {
        /// Each is inside exactly when nobody who came earlier, and is still there, keeps it out.
        #[test]
        fn nobody_is_inside_too_early_or_waits_for_nothing(
            steps in prop::collection::vec((0..4u8, 0..20u64, 1..6u64, 0..8usize), 1..60),
        ) {
            let gate = Arc::new(Gate::default());
            let mut there: Vec<(Ticket, Pass)> = Vec::new();
            for (kind, from, blocks, leaver) in steps {
                match kind {
                    0 if leaver < there.len() => drop(there.remove(leaver)),
                    kind => {
                        let way = [Way::Ordered, Way::Write, Way::Read, Way::Write][usize::from(kind)];
                        let ticket = gate.arrive(way, from, blocks);
                        let pass = Pass { id: ticket.id, way, from, to: from + blocks };
                        there.push((ticket, pass));
                    }
                }
                for at in 0..there.len() {
                    let (before, rest) = there.split_at_mut(at);
                    let (ticket, pass) = &mut rest[0];
                    let free = !before.iter().any(|(_, other)| {
                        let same = pass.from < other.to && other.from < pass.to;
                        let ordered = [pass.way, other.way].contains(&Way::Ordered);
                        ordered || same && other.way == Way::Write
                    });
                    prop_assert_eq!(inside(ticket), free);
                }
            }
        }
    }
}
