//! The order of commands that touch the blocks of a logical unit.
//!
//! Reads and writes go side by side, as a SIMPLE task attribute allows. COMPARE AND WRITE must see
//! no write between its comparison and its own (SBC-3 5.3), so it keeps writes of its blocks out;
//! an ORDERED command keeps everything out (SAM-5 8.6.2). Who must wait does so in the order of
//! arrival, and holds back only what it conflicts with.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It reads.
    Read,
    /// It changes blocks.
    Write,
    /// It changes blocks, and no other may change them meanwhile.
    Alone,
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
    fn conflicts(&self, other: &Self) -> bool {
        let overlap = self.from < other.to && other.from < self.to;
        match (self.way, other.way) {
            (Way::Ordered, _) | (_, Way::Ordered) => true,
            (Way::Read, _) | (_, Way::Read) | (Way::Write, Way::Write) => false,
            _ => overlap,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    inside: Vec<Pass>,
    waiting: VecDeque<(Pass, oneshot::Sender<()>)>,
}

impl State {
    /// Lets in who no longer conflicts with anyone inside or before it.
    fn admit(&mut self) {
        let mut still = VecDeque::with_capacity(self.waiting.len());
        for (pass, call) in std::mem::take(&mut self.waiting) {
            let before = self.inside.iter().chain(still.iter().map(|(pass, _)| pass));
            if before.into_iter().any(|other| pass.conflicts(other)) {
                still.push_back((pass, call));
            } else {
                self.inside.push(pass);
                // Who no longer waits leaves when its ticket is dropped.
                let _ = call.send(());
            }
        }
        self.waiting = still;
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
    /// until the command has ended.
    pub fn arrive(self: &Arc<Self>, way: Way, lba: u64, blocks: u64) -> Ticket {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        let pass = Pass { id, way, from: lba, to: lba.saturating_add(blocks) };
        let before = state.inside.iter().chain(state.waiting.iter().map(|(pass, _)| pass));
        let turn = if before.into_iter().any(|other| pass.conflicts(other)) {
            let (call, turn) = oneshot::channel();
            state.waiting.push_back((pass, call));
            Some(turn)
        } else {
            state.inside.push(pass);
            None
        };
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
        let mut state = self.gate.state();
        state.inside.retain(|pass| pass.id != self.id);
        state.waiting.retain(|(pass, _)| pass.id != self.id);
        if !state.waiting.is_empty() {
            state.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn inside(ticket: &mut Ticket) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(pin!(ticket.enter()).poll(&mut context), Poll::Ready(()))
    }

    #[test]
    fn a_comparison_keeps_writes_of_its_blocks_out_and_nothing_else() {
        let gate = Arc::new(Gate::default());
        let mut first = gate.arrive(Way::Write, 0, 8);
        let mut alone = gate.arrive(Way::Alone, 4, 8);
        let mut same = gate.arrive(Way::Write, 6, 1);
        let (mut read, mut apart) = (gate.arrive(Way::Read, 4, 8), gate.arrive(Way::Write, 12, 9));
        assert!(inside(&mut first) && inside(&mut read) && inside(&mut apart));
        assert!(!inside(&mut alone) && !inside(&mut same));
        drop(first);
        assert!(inside(&mut alone) && !inside(&mut same), "in the order of arrival");
        drop(alone);
        assert!(inside(&mut same));
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
        assert_eq!(gate.state().inside.len(), 1);
    }

    #[test]
    fn who_gives_up_waiting_holds_nobody_back() {
        let gate = Arc::new(Gate::default());
        let first = gate.arrive(Way::Write, 0, 8);
        let waits = gate.arrive(Way::Alone, 0, 8);
        let mut behind = gate.arrive(Way::Write, 0, 8);
        assert!(!inside(&mut behind));
        drop(waits);
        assert!(inside(&mut behind));
        drop((first, behind));
        let state = gate.state();
        assert!(state.inside.is_empty() && state.waiting.is_empty());
    }
}
