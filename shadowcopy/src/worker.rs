//! A thread of its own for what may hang: it is called with a time, and left behind if it does not
//! answer. Handing a call over and taking the answer allocate nothing.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// What is done on the thread.
pub trait Station: Send + 'static {
    /// What it is asked.
    type Call: Send + 'static;
    /// What it says.
    type Answer: Send + 'static;

    /// Does what it is asked.
    fn call(&mut self, call: Self::Call) -> Self::Answer;

    /// Nobody waits for this answer any more; then the thread ends.
    fn left(&mut self, answer: Self::Answer) {
        drop(answer);
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// None came within the time; the thread is left behind.
    Timeout,
    /// The thread has panicked, or was left behind before.
    Gone,
}

/// The thread.
pub struct Worker<S: Station> {
    shared: Arc<Shared<S>>,
    thread: JoinHandle<Option<S>>,
}

struct Shared<S: Station> {
    slot: Mutex<Slot<S::Call, S::Answer>>,
    changed: Condvar,
}

enum Slot<C, A> {
    Idle,
    Asked(C),
    Busy,
    Answered(A),
    /// The caller has left; whoever is on the thread ends.
    Left,
    /// The thread has ended.
    Gone,
}

impl<S: Station> Worker<S> {
    /// A thread with this stack, in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(name: &str, stack: usize, station: S) -> io::Result<Self> {
        let shared = Arc::new(Shared { slot: Mutex::new(Slot::Idle), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let builder = thread::Builder::new().name(name.to_owned()).stack_size(stack);
        let thread = builder.spawn(move || theirs.work(station))?;
        Ok(Self { shared, thread })
    }

    /// Hands a call over; [`Self::wait`] has the answer.
    pub fn ask(&self, call: S::Call) {
        let mut slot = self.shared.lock();
        if matches!(*slot, Slot::Idle) {
            *slot = Slot::Asked(call);
            self.shared.changed.notify_all();
        }
    }

    /// The answer.
    ///
    /// # Errors
    /// That there is none.
    pub fn wait(&self, within: Duration) -> Result<S::Answer, Silence> {
        let waiting =
            |slot: &mut Slot<S::Call, S::Answer>| matches!(slot, Slot::Asked(_) | Slot::Busy);
        let slot = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(slot, within, waiting);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Idle) {
            Slot::Answered(answer) => Ok(answer),
            Slot::Asked(_) | Slot::Busy => {
                *slot = Slot::Left;
                self.shared.changed.notify_all();
                Err(Silence::Timeout)
            }
            ended @ (Slot::Left | Slot::Gone) => {
                *slot = ended;
                Err(Silence::Gone)
            }
            Slot::Idle => Err(Silence::Gone),
        }
    }

    /// An answer, if there is one by now.
    pub fn take(&self) -> Option<S::Answer> {
        let mut slot = self.shared.lock();
        match std::mem::replace(&mut *slot, Slot::Idle) {
            Slot::Answered(answer) => Some(answer),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Asks and waits.
    ///
    /// # Errors
    /// That there is no answer.
    pub fn call(&self, call: S::Call, within: Duration) -> Result<S::Answer, Silence> {
        self.ask(call);
        self.wait(within)
    }

    /// Whether it can be asked.
    pub fn idle(&self) -> bool {
        matches!(*self.shared.lock(), Slot::Idle)
    }

    /// Waits for one that was left behind to come back and end; whether it did.
    pub fn ended(&self, within: Duration) -> bool {
        let waiting = |slot: &mut Slot<S::Call, S::Answer>| !matches!(slot, Slot::Gone);
        let slot = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(slot, within, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Ends the thread and gives back what was on it; `None` where it hangs or has panicked.
    pub fn end(self) -> Option<S> {
        self.leave().then(|| self.thread.join().ok().flatten()).flatten()
    }

    /// Tells the thread to end; whether it does so at once.
    fn leave(&self) -> bool {
        let mut slot = self.shared.lock();
        let at_once = matches!(*slot, Slot::Idle | Slot::Answered(_));
        if !matches!(*slot, Slot::Gone) {
            *slot = Slot::Left;
            self.shared.changed.notify_all();
        }
        at_once
    }
}

impl<S: Station> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Slot<S::Call, S::Answer>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut station: S) -> Option<S> {
        let _gone = Gone(self);
        loop {
            let idle = |slot: &mut Slot<S::Call, S::Answer>| {
                matches!(slot, Slot::Idle | Slot::Answered(_))
            };
            let waited = self.changed.wait_while(self.lock(), idle);
            let mut slot = waited.unwrap_or_else(PoisonError::into_inner);
            let Slot::Asked(call) = std::mem::replace(&mut *slot, Slot::Busy) else {
                *slot = Slot::Left;
                return Some(station);
            };
            drop(slot);
            let answer = station.call(call);
            let mut slot = self.lock();
            if matches!(*slot, Slot::Left) {
                drop(slot);
                station.left(answer);
                return None;
            }
            *slot = Slot::Answered(answer);
            self.changed.notify_all();
        }
    }
}

/// Says that the thread has ended, by a panic too.
struct Gone<'a, S: Station>(&'a Shared<S>);

impl<S: Station> Drop for Gone<'_, S> {
    fn drop(&mut self) {
        *self.0.lock() = Slot::Gone;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(20);
    const STACK: usize = 64 * 1024;

    struct Echo {
        go: Receiver<()>,
        told: Sender<&'static str>,
    }

    impl Station for Echo {
        type Call = u32;
        type Answer = u32;

        fn call(&mut self, call: u32) -> u32 {
            match call {
                13 => panic!("as the test wants it"),
                99 => {
                    self.told.send("hangs").unwrap();
                    self.go.recv().unwrap();
                }
                _ => {}
            }
            call
        }

        fn left(&mut self, answer: u32) {
            assert_eq!(answer, 99);
            self.told.send("left").unwrap();
        }
    }

    fn echo() -> (Worker<Echo>, Sender<()>, Receiver<&'static str>) {
        let ((go, their_go), (told, their_told)) = (channel(), channel());
        (Worker::new("echo", STACK, Echo { go: their_go, told }).unwrap(), go, their_told)
    }

    #[test]
    fn it_answers_and_gives_back_what_was_on_it() {
        let (worker, _go, _told) = echo();
        assert_eq!(worker.call(1, LONG), Ok(1));
        assert_eq!(worker.call(2, LONG), Ok(2));
        assert!(worker.idle());
        assert!(worker.end().is_some());
    }

    #[test]
    fn one_that_hangs_is_left_behind_and_knows_it_when_it_comes_back() {
        let (worker, go, told) = echo();
        worker.ask(99);
        assert_eq!(told.recv_timeout(LONG), Ok("hangs"));
        assert_eq!(worker.wait(SHORT), Err(Silence::Timeout));
        assert_eq!(worker.call(1, SHORT), Err(Silence::Gone), "no other call follows");
        assert!(!worker.ended(SHORT));
        go.send(()).unwrap();
        assert!(worker.ended(LONG));
        assert_eq!(told.recv_timeout(LONG), Ok("left"));
        assert!(worker.end().is_none());
    }

    #[test]
    fn one_that_panics_does_not_make_its_caller_wait() {
        let (worker, _go, _told) = echo();
        assert_eq!(worker.call(13, LONG), Err(Silence::Gone));
        assert_eq!(worker.call(1, LONG), Err(Silence::Gone));
        assert!(worker.end().is_none());
    }

    #[test]
    fn one_that_was_asked_and_never_waited_for_knows_it_too() {
        let (worker, go, told) = echo();
        worker.ask(99);
        assert_eq!(told.recv_timeout(LONG), Ok("hangs"));
        assert_eq!(worker.take(), None);
        assert!(worker.end().is_none());
        go.send(()).unwrap();
        assert_eq!(told.recv_timeout(LONG), Ok("left"));
    }
}
