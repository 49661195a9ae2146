//! How many threads work off the queues: some, and one more for each that is stuck.
//!
//! A disk that does not answer keeps a thread for every request that it was given. Others must not
//! wait for it: whoever has worked at one request for long is replaced, and goes when there is
//! nothing left for it to do.

use std::time::{Duration, Instant};

/// How long a thread may work at a request before it counts as stuck.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
/// The most threads; then so much is stuck that everything is.
const MOST: usize = 256;

/// The threads, by number.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// How many are to be there that are not stuck.
    wanted: usize,
    threads: Vec<Thread>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    Idle,
    Busy(Instant),
    Gone,
}

impl Crew {
    /// One of so many threads, none of which is there yet.
    pub const fn new(wanted: usize) -> Self {
        Self { wanted, threads: Vec::new() }
    }

    fn count(&self, like: impl Fn(&Thread) -> bool) -> usize {
        self.threads.iter().filter(|thread| like(thread)).count()
    }

    fn stuck(&self, now: Instant) -> usize {
        self.count(|thread| matches!(thread, Thread::Busy(since) if now - *since >= PATIENCE))
    }

    fn there(&self) -> usize {
        self.count(|thread| *thread != Thread::Gone)
    }

    /// Whether nobody has nothing to do.
    pub fn all_busy(&self) -> bool {
        self.count(|thread| *thread == Thread::Idle) == 0
    }

    /// How many are missing.
    pub fn missing(&self, now: Instant) -> usize {
        (self.wanted + self.stuck(now)).min(MOST).saturating_sub(self.there())
    }

    /// A further one comes, and is busy until it has looked around; its number.
    pub fn come(&mut self, now: Instant) -> usize {
        let free = self.threads.iter().position(|thread| *thread == Thread::Gone);
        let number = free.unwrap_or(self.threads.len());
        if free.is_none() {
            self.threads.push(Thread::Gone);
        }
        self.threads[number] = Thread::Busy(now);
        number
    }

    /// One begins a request.
    pub fn begin(&mut self, number: usize, now: Instant) {
        self.threads[number] = Thread::Busy(now);
    }

    /// One has nothing to do: false where it is one too many, and goes.
    pub fn rest(&mut self, number: usize, now: Instant) -> bool {
        self.threads[number] = Thread::Idle;
        let stays = self.there() <= self.wanted + self.stuck(now);
        if !stays {
            self.threads[number] = Thread::Gone;
        }
        stays
    }

    /// One ends.
    pub fn leave(&mut self, number: usize) {
        self.threads[number] = Thread::Gone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_stuck_is_replaced_and_who_is_too_many_goes() {
        let (began, mut crew) = (Instant::now(), Crew::new(2));
        let later = began + PATIENCE;
        let (first, second) = (crew.come(began), crew.come(began));
        assert_eq!(crew.missing(began), 0);
        assert!(crew.all_busy() && crew.missing(later) == 2, "both are stuck");
        let (third, fourth) = (crew.come(later), crew.come(later));
        assert_eq!(crew.missing(later), 0, "two are not");
        assert!(crew.rest(third, later) && !crew.all_busy(), "it is one of the two");
        // The first is well again, and the third has something to do by then.
        crew.begin(third, later);
        crew.begin(first, later);
        assert!(!crew.rest(first, later), "three are not stuck");
        assert!(crew.rest(fourth, later));
        crew.leave(second);
        assert_eq!(crew.come(later), first, "numbers are used again");
    }

    #[test]
    fn there_is_an_end_to_it() {
        let began = Instant::now();
        let mut crew = Crew::new(8);
        for n in 1..100 {
            let now = began + n * PATIENCE;
            for _ in 0..crew.missing(now) {
                crew.come(now);
            }
        }
        assert_eq!(crew.there(), MOST);
    }
}
