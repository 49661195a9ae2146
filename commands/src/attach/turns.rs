//! Writes that overlap go one after the other, in the order in which they came: the blocks between
//! two unaligned writes belong to both, and of two writes to one place the later one must win, on
//! the LUN and in what is kept for a replay. Writes apart from each other do not wait.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

#[derive(Debug)]
struct Place {
    id: u64,
    range: Range<u64>,
    /// Who waits for it, until it is its turn.
    call: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of arrival.
    places: Vec<Place>,
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Who writes where.
#[derive(Debug, Default)]
pub struct Turns(Mutex<State>);

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody who came before still writes within the range; it is held until the
    /// turn is dropped.
    pub async fn take(&self, range: Range<u64>) -> Turn<'_> {
        let (turn, called) = {
            let mut state = self.state();
            let id = state.next;
            state.next += 1;
            let (call, called) =
                match state.places.iter().any(|other| overlap(&other.range, &range)) {
                    true => {
                        let (call, called) = oneshot::channel();
                        (Some(call), Some(called))
                    }
                    false => (None, None),
                };
            state.places.push(Place { id, range, call });
            (Turn { turns: self, id }, called)
        };
        if let Some(called) = called {
            // The other end is kept until it has been used.
            let _ = called.await;
        }
        turn
    }
}

/// A range that is held.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    id: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.places.retain(|place| place.id != self.id);
        for at in 0..state.places.len() {
            let (before, rest) = state.places.split_at_mut(at);
            let place = &mut rest[0];
            if place.call.is_some()
                && !before.iter().any(|other| overlap(&other.range, &place.range))
                && let Some(call) = place.call.take()
            {
                // Who no longer waits gives its place up when its turn is dropped.
                let _ = call.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn overlapping_ranges_wait_in_order_and_others_do_not() {
        let turns = Turns::default();
        let first = poll(pin!(turns.take(0..8))).unwrap();
        let mut second = pin!(turns.take(4..12));
        assert!(poll(second.as_mut()).is_none());
        // It overlaps the second only, which has not had its turn yet.
        let mut third = pin!(turns.take(10..20));
        assert!(poll(third.as_mut()).is_none());
        let apart = poll(pin!(turns.take(20..30))).unwrap();
        drop(first);
        let second = poll(second).unwrap();
        assert!(poll(third.as_mut()).is_none());
        drop(second);
        assert!(poll(third).is_some());
        drop(apart);
        assert!(turns.state().places.is_empty());
    }

    #[test]
    fn who_gives_up_waiting_holds_nobody_back() {
        let turns = Turns::default();
        let first = poll(pin!(turns.take(0..8))).unwrap();
        {
            let mut gives_up = pin!(turns.take(0..8));
            assert!(poll(gives_up.as_mut()).is_none());
        }
        let mut last = pin!(turns.take(0..8));
        assert!(poll(last.as_mut()).is_none());
        drop(first);
        assert!(poll(last).is_some());
    }
}
