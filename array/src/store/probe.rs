//! Places where a test may interfere with an order.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicBool, Ordering},
};

/// Lets orders fix the instants of their volumes one after the other.
pub static WITHOUT_BARRIER: AtomicBool = AtomicBool::new(false);

pub fn without_barrier() -> bool {
    WITHOUT_BARRIER.load(Ordering::SeqCst)
}

/// Where in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// Hosts may write again, and nothing of the order is durable or worked out.
    Instant,
    /// Everything is worked out, and goes to the disk next.
    Commit,
}

type Act = Box<dyn FnOnce()>;

thread_local! {
    static ACT: RefCell<Option<(Spot, Act)>> = const { RefCell::new(None) };
}

/// Lets the next order of this thread do this there.
pub fn act_at(spot: Spot, act: impl FnOnce() + 'static) {
    ACT.with_borrow_mut(|slot| *slot = Some((spot, Box::new(act))));
}

pub fn pass(spot: Spot) {
    let act = ACT.with_borrow_mut(|slot| slot.take_if(|(wanted, _)| *wanted == spot));
    if let Some((_, act)) = act {
        act();
    }
}
