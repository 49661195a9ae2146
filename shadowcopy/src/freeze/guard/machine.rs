//! What the guard does when.

use std::time::Duration;

use super::wire::Order;
use crate::step::Step;

/// The guard's mind. Times are since the boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// When the writers' limit passes, and that of the file systems.
    writers: Option<Duration>,
    file_systems: Option<Duration>,
    step: Step,
    over: bool,
    gone: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Wait; until then, if nothing happens before.
    Wait(Option<Duration>),
    /// Thaw all, and again and again: the coordinator may be in the middle of freezing.
    Thaw,
    /// The same, and kill the coordinator.
    Kill,
    /// The coordinator is gone: thaw what may be frozen, then undo the rest. How far it had come.
    Recover(Step),
    /// The backup is over.
    End,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            writers: None,
            file_systems: None,
            step: Step::BeginPrepare,
            over: false,
            gone: false,
        }
    }
}

impl Machine {
    /// The coordinator says something.
    pub const fn hear(&mut self, order: Order) {
        match order {
            Order::WritersFreeze(deadline) => {
                self.writers = Some(deadline);
                self.step = Step::FreezeWriters;
            }
            Order::FileSystemsFreeze(deadline) => {
                self.file_systems = Some(deadline);
                self.step = Step::FreezeFileSystems;
            }
            Order::FileSystemsThawed => {
                self.file_systems = None;
                self.step = Step::PostCommit;
            }
            Order::WritersThawed => {
                self.writers = None;
                self.step = Step::PostWriters;
            }
            // What is frozen is so until it thaws or the limit passes, whoever leaves.
            Order::Leaving | Order::Thawed(_) => {}
            Order::Over => self.over = true,
        }
    }

    /// The coordinator has ended, and all its threads with it.
    pub const fn gone(&mut self) {
        self.gone = true;
    }

    /// How far the coordinator had come.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Whether a file system may be frozen, and by this backup.
    #[must_use]
    pub const fn frozen(&self) -> bool {
        self.file_systems.is_some()
    }

    /// What to do at this time.
    #[must_use]
    pub fn act(&self, now: Duration) -> Act {
        let passed = |deadline: Option<Duration>| deadline.is_some_and(|deadline| deadline <= now);
        if self.over {
            Act::End
        } else if self.gone {
            Act::Recover(self.step)
        } else if passed(self.writers) {
            Act::Kill
        } else if passed(self.file_systems) {
            Act::Thaw
        } else {
            Act::Wait(self.writers.into_iter().chain(self.file_systems).min())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn after(orders: &[Order]) -> Machine {
        let mut machine = Machine::default();
        orders.iter().for_each(|order| machine.hear(*order));
        machine
    }

    #[test]
    fn each_limit_has_its_timer_and_the_first_counts() {
        let both = after(&[Order::WritersFreeze(s(60)), Order::FileSystemsFreeze(s(30))]);
        assert_eq!(Machine::default().act(s(1000)), Act::Wait(None));
        assert_eq!(both.act(s(29)), Act::Wait(Some(s(30))));
        assert_eq!(both.act(s(30)), Act::Thaw);
        assert_eq!(both.act(s(60)), Act::Kill);
        let thawed = after(&[
            Order::WritersFreeze(s(60)),
            Order::FileSystemsFreeze(s(30)),
            Order::FileSystemsThawed,
        ]);
        assert_eq!(thawed.act(s(31)), Act::Wait(Some(s(60))));
        assert_eq!(thawed.act(s(60)), Act::Kill);
        let mut done = thawed;
        done.hear(Order::WritersThawed);
        assert_eq!(done.act(s(1000)), Act::Wait(None));
    }

    #[test]
    fn the_end_of_the_coordinator_counts_wherever_it_comes() {
        let orders = [
            Order::WritersFreeze(s(60)),
            Order::FileSystemsFreeze(s(30)),
            Order::FileSystemsThawed,
            Order::WritersThawed,
        ];
        let steps = [
            Step::BeginPrepare,
            Step::FreezeWriters,
            Step::FreezeFileSystems,
            Step::PostCommit,
            Step::PostWriters,
        ];
        for (heard, step) in steps.into_iter().enumerate() {
            let mut machine = after(&orders[..heard]);
            machine.gone();
            assert_eq!(machine.act(s(0)), Act::Recover(step), "after {heard} orders");
            assert_eq!(machine.frozen(), heard == 2, "after {heard} orders");
            assert_eq!(machine.act(s(1000)), Act::Recover(step), "late, after {heard} orders");
        }
    }

    #[test]
    fn a_backup_that_is_over_needs_no_recovery() {
        let mut machine = after(&[Order::WritersFreeze(s(60)), Order::WritersThawed, Order::Over]);
        assert_eq!(machine.act(s(0)), Act::End);
        machine.gone();
        assert_eq!(machine.act(s(1000)), Act::End);
    }
}
