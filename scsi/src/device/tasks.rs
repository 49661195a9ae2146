//! Tasks of a nexus on a logical unit: which have been aborted, and how many there are.
//!
//! A command belongs to the task set from when it comes, which may be long before the transport has
//! its data. So it takes the [`Moment`] of then with it, and whatever ends tasks notes the moment of
//! that: it means the commands that came before it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

/// A place in the order of arrivals and aborts.
pub(super) type Moment = u64;

/// The order of arrivals and aborts of an array.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    /// The moment of a command that comes now.
    pub fn now(&self) -> Moment {
        self.0.load(SeqCst)
    }

    /// The moment of an abort: after that of every command that has come, and not after that of any
    /// to come.
    pub fn tick(&self) -> Moment {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

/// Whether a command was aborted by itself, or nobody waits for it any more.
#[derive(Debug, Default)]
struct Dropped {
    yes: AtomicBool,
    waker: AtomicWaker,
}

/// A command that has come.
#[derive(Debug)]
pub struct Arrival {
    moment: Moment,
    dropped: Arc<Dropped>,
}

impl Arrival {
    /// It comes now.
    pub(super) fn new(clock: &Clock) -> Self {
        Self { moment: clock.now(), dropped: Arc::default() }
    }

    /// ABORT TASK.
    pub(super) fn abort(&self) {
        self.dropped.yes.store(true, SeqCst);
        self.dropped.waker.wake();
    }

    /// Whether it was; if not yet, `waker` hears of it.
    pub(super) fn aborted(&self, waker: &Waker) -> bool {
        self.dropped.waker.register(waker);
        self.dropped.yes.load(SeqCst)
    }

    /// The same by another hand.
    pub(super) fn again(&self) -> Self {
        Self { moment: self.moment, dropped: Arc::clone(&self.dropped) }
    }
}

/// All tasks of a nexus on a logical unit.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: AtomicUsize,
    /// When all were aborted last, and when by another nexus.
    aborted: AtomicU64,
    by_another: AtomicU64,
}

impl Tasks {
    /// Of a nexus that is new to a logical unit, whose tasks were all aborted then.
    pub fn since(aborted: Moment) -> Self {
        let (aborted, by_another) = (aborted.into(), aborted.into());
        Self { running: AtomicUsize::default(), aborted, by_another }
    }

    /// Aborts all that have come before this moment.
    pub fn abort(&self, moment: Moment, by_another: bool) {
        if by_another {
            self.by_another.fetch_max(moment, SeqCst);
        }
        self.aborted.fetch_max(moment, SeqCst);
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running.load(SeqCst)
    }
}

/// One task.
#[derive(Debug)]
pub(super) struct Task {
    tasks: Arc<Tasks>,
    arrival: Arrival,
}

impl Task {
    /// It begins.
    pub fn begin(tasks: &Arc<Tasks>, arrival: Arrival) -> Self {
        tasks.running.fetch_add(1, SeqCst);
        Self { tasks: Arc::clone(tasks), arrival }
    }

    /// Whether it is not to touch the storage any more, if it has not yet.
    pub fn aborted(&self) -> bool {
        let all = self.tasks.aborted.load(SeqCst) > self.arrival.moment;
        all || self.arrival.dropped.yes.load(SeqCst)
    }

    /// Whether another nexus aborted it.
    pub fn aborted_by_another(&self) -> bool {
        self.tasks.by_another.load(SeqCst) > self.arrival.moment
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.tasks.running.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_means_those_that_have_come_and_not_those_that_come() {
        let (clock, tasks) = (Clock::default(), Arc::default());
        let late = Arrival::new(&clock);
        let first = Task::begin(&tasks, Arrival::new(&clock));
        tasks.abort(clock.tick(), false);
        let second = Task::begin(&tasks, Arrival::new(&clock));
        let late = Task::begin(&tasks, late);
        assert!(first.aborted() && !first.aborted_by_another() && !second.aborted());
        assert!(late.aborted(), "it had come, though it had not begun");
        tasks.abort(clock.tick(), true);
        assert!(second.aborted() && second.aborted_by_another());
        let another = Arc::new(Tasks::since(clock.tick()));
        let task = Task::begin(&another, second.arrival.again());
        assert!(task.aborted_by_another(), "a nexus may be new to a unit that was reset");
        let third = Task::begin(&another, Arrival::new(&clock));
        third.arrival.again().abort();
        assert!(third.aborted() && !third.aborted_by_another());
        assert_eq!((tasks.running(), another.running()), (3, 2));
        drop((first, second, late));
        assert_eq!(tasks.running(), 0);
    }
}
