//! Tasks of a nexus on a logical unit: which have been aborted, and how many there are.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

/// All tasks of a nexus on a logical unit.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: AtomicUsize,
    /// How often all were aborted, and how often by another nexus.
    aborts: AtomicU64,
    by_others: AtomicU64,
}

impl Tasks {
    /// Aborts all that run now.
    pub fn abort(&self, by_other: bool) {
        self.by_others.fetch_add(u64::from(by_other), SeqCst);
        self.aborts.fetch_add(1, SeqCst);
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
    aborts: u64,
    by_others: u64,
    /// The transport has dropped it.
    dropped: Arc<AtomicBool>,
}

impl Task {
    /// It begins.
    pub fn begin(tasks: &Arc<Tasks>, dropped: &Arc<AtomicBool>) -> Self {
        tasks.running.fetch_add(1, SeqCst);
        Self {
            aborts: tasks.aborts.load(SeqCst),
            by_others: tasks.by_others.load(SeqCst),
            tasks: Arc::clone(tasks),
            dropped: Arc::clone(dropped),
        }
    }

    /// Whether it is not to touch the storage any more, if it has not yet.
    pub fn aborted(&self) -> bool {
        self.dropped.load(SeqCst) || self.tasks.aborts.load(SeqCst) != self.aborts
    }

    /// Whether another nexus aborted it.
    pub fn aborted_by_another(&self) -> bool {
        self.tasks.by_others.load(SeqCst) != self.by_others
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
    fn an_abort_means_those_that_run_and_not_those_that_come() {
        let (tasks, dropped) = (Arc::default(), Arc::default());
        let first = Task::begin(&tasks, &dropped);
        tasks.abort(false);
        let second = Task::begin(&tasks, &dropped);
        assert!(first.aborted() && !first.aborted_by_another() && !second.aborted());
        tasks.abort(true);
        assert!(second.aborted() && second.aborted_by_another());
        assert_eq!(tasks.running(), 2);
        drop((first, second));
        assert_eq!(tasks.running(), 0);
    }
}
