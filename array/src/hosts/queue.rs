//! I/O of hosts, asynchronous: a queue for each LDEV, worked off by a few threads.
//!
//! Requests of a queue begin in the order in which they were submitted, several at a time; they
//! may end in any order. A flush is *ordered*: it begins when every write submitted before it has
//! ended, so that it covers them all, and holds nothing up that comes after it.
//!
//! A busy LDEV does not keep others waiting: queues take turns, step by step of what is long, and
//! no queue has all the threads. A disk that does not answer keeps only those waiting who ask it
//! (`crew`).

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use bytes::Bytes;
use model::{CciError, Code, LdevId};
use tokio::sync::oneshot;

use super::{
    crew::{Crew, PATIENCE},
    steps::Work,
    worker::Worker,
};
use crate::{
    array::Array,
    store::{StoreError, message},
};

/// Threads that work off the queues of an array: disks like several requests at a time.
pub const THREADS: usize = 8;
/// Requests of one LDEV that are worked on at a time. What waits for a disk there, such as
/// flushes, leaves threads for others.
const DEPTH: usize = 6;
const _: () = assert!(DEPTH < THREADS);
/// Requests of one LDEV that may wait.
const WAITING: usize = 1024;

/// A request. Offsets and lengths are in bytes.
#[derive(Debug)]
pub enum Io {
    /// Reads.
    Read {
        /// The first byte.
        offset: u64,
        /// How many.
        length: usize,
    },
    /// Writes pieces, one after the other.
    Write {
        /// The first byte.
        offset: u64,
        /// The pieces.
        pieces: Vec<Bytes>,
        /// Durable when it ends (FUA).
        durable: bool,
    },
    /// Makes zeros, and gives back the space (UNMAP).
    Zero {
        /// The first byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// Makes everything durable that was submitted before.
    Flush,
    /// Tells whether pages are stored from a byte on, and how many bytes more are like that.
    Mapped {
        /// The first byte.
        offset: u64,
        /// Is told so when the request ends well.
        found: oneshot::Sender<(bool, u64)>,
    },
}

/// What came of a request: what was read, in pieces of up to 1 MiB.
pub type Outcome = Result<Vec<Bytes>, StoreError>;

/// A request on its way; dropped, it is carried out all the same.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Outcome>);

impl Pending {
    /// Waits without a runtime.
    ///
    /// # Errors
    /// Those of [`crate::store::Store`]; [`StoreError::Failed`] when the array stops.
    pub fn wait(self) -> Outcome {
        self.0.blocking_recv().unwrap_or_else(|_| Err(stopped()))
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Outcome> {
        let received = std::pin::Pin::new(&mut self.0).poll(context);
        received.map(|received| received.unwrap_or_else(|_| Err(stopped())))
    }
}

fn stopped() -> StoreError {
    StoreError::Failed("the array stops".into())
}

struct Job {
    work: Work,
    done: oneshot::Sender<Outcome>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    /// Those between two of their steps.
    begun: VecDeque<Job>,
    /// How many have begun and not ended.
    open: usize,
    /// Of those, the ones that change something.
    changing: usize,
    /// Whether it stands in line for a thread.
    in_line: bool,
}

impl Queue {
    /// Whether the first that waits may begin.
    fn can_begin(&self) -> bool {
        self.open < DEPTH
            && self
                .waiting
                .front()
                .is_some_and(|next| !next.work.is_ordered() || self.changing == 0)
    }

    fn has_step(&self) -> bool {
        !self.begun.is_empty() || self.can_begin()
    }

    /// The request whose next step is due.
    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.begun.pop_front() {
            return Some(job);
        }
        let job = if self.can_begin() { self.waiting.pop_front() } else { None }?;
        self.open += 1;
        self.changing += usize::from(job.work.changes());
        Some(job)
    }
}

#[derive(Default)]
struct State {
    queues: HashMap<LdevId, Queue>,
    line: VecDeque<LdevId>,
    stopped: bool,
    crew: Crew,
    threads: Vec<JoinHandle<()>>,
    /// Whether somebody looks for threads that are stuck.
    watched: bool,
}

impl State {
    /// Whether something stands in line, and nobody is free to take it.
    fn waits(&self) -> bool {
        !self.line.is_empty() && self.crew.all_busy()
    }

    /// Puts a queue in line if it has a step that can be done; whether it did.
    fn enlist(&mut self, ldev: LdevId) -> bool {
        let Some(queue) = self.queues.get_mut(&ldev) else {
            return false;
        };
        if queue.in_line || !queue.has_step() {
            return false;
        }
        queue.in_line = true;
        self.line.push_back(ldev);
        true
    }

    /// The request whose next step is to be done.
    fn next(&mut self) -> Option<(LdevId, Job)> {
        while let Some(ldev) = self.line.pop_front() {
            let queue = self.queues.entry(ldev).or_default();
            queue.in_line = false;
            if let Some(job) = queue.next() {
                self.enlist(ldev);
                return Some((ldev, job));
            }
        }
        None
    }

    /// A request has further steps.
    fn go_on(&mut self, ldev: LdevId, job: Job) {
        self.queues.entry(ldev).or_default().begun.push_back(job);
        self.enlist(ldev);
    }

    fn end(&mut self, ldev: LdevId, changed: bool) -> bool {
        if let Some(queue) = self.queues.get_mut(&ldev) {
            queue.open -= 1;
            queue.changing -= usize::from(changed);
            if queue.open == 0 && queue.waiting.is_empty() && !queue.in_line {
                self.queues.remove(&ldev);
                return false;
            }
        }
        self.enlist(ldev)
    }
}

struct Shared {
    array: Arc<Array>,
    state: Mutex<State>,
    work: Condvar,
    /// Told when somebody is to look for threads that are stuck.
    watch: Condvar,
}

impl Shared {
    fn new(array: Arc<Array>, threads: usize) -> Self {
        let state = State { crew: Crew::new(threads), ..State::default() };
        Self { array, state: Mutex::new(state), work: Condvar::new(), watch: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has somebody take what stands in line.
    fn call(&self, state: &mut State) {
        if !state.waits() {
            self.work.notify_one();
        } else if !std::mem::replace(&mut state.watched, true) {
            self.watch.notify_one();
        }
    }

    /// Starts a further thread.
    fn hire(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let number = state.crew.come(Instant::now());
        let shared = Arc::clone(self);
        let thread = thread::Builder::new().name(format!("io-{number}"));
        let thread = thread.spawn(move || shared.run(number));
        let thread = thread.inspect_err(|_| state.crew.leave(number))?;
        state.threads.retain(|thread| !thread.is_finished());
        state.threads.push(thread);
        Ok(())
    }

    /// Replaces threads that are stuck while others wait.
    fn watch(self: &Arc<Self>) {
        let mut state = self.state();
        loop {
            let idle = |state: &mut State| !state.watched && !state.stopped;
            state = self.watch.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            let more = self.watch.wait_timeout_while(state, PATIENCE, |state| !state.stopped);
            state = more.unwrap_or_else(PoisonError::into_inner).0;
            if state.stopped {
                return;
            }
            state.watched = state.waits();
            let missing = if state.watched { state.crew.missing(Instant::now()) } else { 0 };
            for _ in 0..missing {
                if let Err(error) = self.hire(&mut state) {
                    log::warn!("I/O waits for a disk that does not answer: {error}");
                    break;
                }
            }
        }
    }

    fn run(&self, number: usize) {
        let mut state = self.state();
        loop {
            if let Some((ldev, job)) = state.next() {
                state.crew.begin(number, Instant::now());
                if !state.line.is_empty() {
                    self.call(&mut state);
                }
                drop(state);
                self.step(ldev, job);
                state = self.state();
            } else if state.stopped || !state.crew.rest(number, Instant::now()) {
                state.crew.leave(number);
                return;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Does a step of a request. A panic ends that request alone.
    fn step(&self, ldev: LdevId, mut job: Job) {
        let step = || job.work.step(&self.array, ldev);
        let outcome = catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
            log::error!("LDEV {ldev}: a request of a host ended in a panic: {}", message(&*panic));
            Some(Err(StoreError::Panicked))
        });
        let mut state = self.state();
        match outcome {
            None => state.go_on(ldev, job),
            Some(outcome) => {
                state.end(ldev, job.work.changes());
                drop(state);
                // Nobody may wait for it any more.
                let _ = job.done.send(outcome);
            }
        }
    }
}

/// The queues of an array, and the threads that work them off. Dropped, it ends what was submitted
/// first.
pub struct Queues {
    shared: Arc<Shared>,
    /// For what waits for orders, not for the disk of an LDEV.
    pub(super) aside: Worker,
    watch: Option<JoinHandle<()>>,
}

impl Queues {
    /// With so many threads, and more while some are stuck.
    ///
    /// # Errors
    /// The answer of the operating system.
    pub fn start(array: Arc<Array>, threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(array, threads.max(1)));
        let mut this = Self { shared, aside: Worker::start("aside")?, watch: None };
        for _ in 0..threads.max(1) {
            this.shared.hire(&mut this.shared.state())?;
        }
        let shared = Arc::clone(&this.shared);
        let watch = thread::Builder::new().name("io-watch".into());
        this.watch = Some(watch.spawn(move || shared.watch())?);
        Ok(this)
    }

    /// Submits a request.
    ///
    /// # Errors
    /// EX_CMDRJE when too many wait already (TASK SET FULL).
    pub fn submit(&self, ldev: LdevId, io: Io) -> Result<Pending, CciError> {
        let (done, pending) = oneshot::channel();
        let mut state = self.shared.state();
        let queue = state.queues.entry(ldev).or_default();
        if queue.waiting.len() >= WAITING {
            return Err(CciError::new(Code::ExCmdrje)
                .object(format!("LDEV {ldev}"))
                .cause(format!("{WAITING} requests wait already"))
                .advice("submit more when some have ended"));
        }
        queue.waiting.push_back(Job { work: io.into(), done });
        if state.enlist(ldev) {
            self.shared.call(&mut state);
        }
        Ok(Pending(pending))
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.work.notify_all();
        self.shared.watch.notify_all();
        // First this one, which starts others.
        let _ = self.watch.take().map(JoinHandle::join);
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemClock,
        store::disk::{Loss, Recorder},
        testing::{Hooked, TestArray},
    };

    const TOML: &str = "
serial = 1
[[ldev]]
ldev = \"1-4\"
emulation = \"OPEN-V\"
size = \"8 MiB\"
";

    fn ldev(n: u32) -> LdevId {
        LdevId::new(n).unwrap()
    }

    fn array(recorder: &Recorder) -> Arc<Array> {
        let inventory = crate::config::parse(TOML).unwrap();
        Array::create_on(recorder, "a".as_ref(), &inventory).unwrap();
        let media = Arc::new(recorder.clone());
        Arc::new(Array::open_on(media, "a".as_ref(), Box::new(SystemClock)).unwrap())
    }

    fn write(offset: u64, byte: u8, durable: bool) -> Io {
        // Neither piece begins or ends with a block.
        let pieces = vec![vec![byte; 1000].into(), vec![byte; 9000].into()];
        Io::Write { offset, pieces, durable }
    }

    #[test]
    fn a_flush_covers_everything_that_was_submitted_before_it() {
        let recorder = Recorder::new();
        let queues = Queues::start(array(&recorder), 4).unwrap();
        for round in 1..=20u8 {
            for n in 0..60 {
                drop(queues.submit(ldev(1), write(n * 100_000, round, false)).unwrap());
            }
            queues.submit(ldev(1), Io::Flush).unwrap().wait().unwrap();
            let image = recorder.replay().crash(recorder.position(), Loss::Everything);
            let left = Array::open_on(Arc::new(image), "a".as_ref(), Box::new(SystemClock));
            let (left, mut bytes) = (left.unwrap(), vec![0; 10_000]);
            for n in 0..60 {
                left.read(ldev(1), n * 100_000, &mut bytes).unwrap();
                assert!(bytes.iter().all(|byte| *byte == round), "round {round}, write {n}");
            }
        }
    }

    #[test]
    fn a_durable_write_needs_no_flush() {
        let recorder = Recorder::new();
        let queues = Queues::start(array(&recorder), 2).unwrap();
        queues.submit(ldev(2), write(4096, 7, true)).unwrap().wait().unwrap();
        let image = recorder.replay().crash(recorder.position(), Loss::Everything);
        let left = Array::open_on(Arc::new(image), "a".as_ref(), Box::new(SystemClock)).unwrap();
        let mut bytes = vec![0; 10_000];
        left.read(ldev(2), 4096, &mut bytes).unwrap();
        assert_eq!(bytes, vec![7; 10_000]);
    }

    /// With nobody who works them off.
    fn idle() -> Queues {
        let shared = Shared::new(array(&Recorder::new()), 1);
        Queues { shared: Arc::new(shared), aside: Worker::ended(), watch: None }
    }

    #[test]
    fn queues_take_turns_and_a_flush_waits_for_writes_but_not_for_reads() {
        let queues = idle();
        let submit = |n, io| drop(queues.submit(ldev(n), io).unwrap());
        let read = || Io::Read { offset: 0, length: 0 };
        submit(1, write(0, 1, false));
        submit(1, read());
        submit(1, Io::Flush);
        submit(1, write(0, 2, false));
        submit(2, read());
        let mut state = queues.shared.state();
        let mut begun = || state.next().map(|(ldev, job)| (ldev.get(), job.work.changes()));
        assert_eq!(
            [begun(), begun(), begun()],
            [Some((1, true)), Some((2, false)), Some((1, false))]
        );
        assert_eq!(begun(), None, "the flush waits for the write");
        assert!(state.end(ldev(1), true), "now it may begin, though the read still runs");
        let mut begun = || state.next().map(|(ldev, job)| (ldev.get(), job.work.changes()));
        assert_eq!([begun(), begun(), begun()], [Some((1, false)), Some((1, true)), None]);
    }

    #[test]
    fn long_requests_of_one_ldev_leave_others_threads_and_turns() {
        let queues = idle();
        let long = Io::Read { offset: 0, length: 4 << 20 };
        let mut first = queues.submit(ldev(1), long).unwrap().0;
        let mut short = queues.submit(ldev(2), Io::Read { offset: 0, length: 512 }).unwrap().0;
        let step = || {
            let (ldev, job) = queues.shared.state().next().unwrap();
            queues.shared.step(ldev, job);
        };
        step();
        step();
        assert!(short.try_recv().is_ok_and(|read| read.is_ok()), "its turn came");
        assert!(first.try_recv().is_err(), "there are three steps more");
        (0..3).for_each(|_| step());
        assert_eq!(first.try_recv().unwrap().unwrap().len(), 4);

        for _ in 0..THREADS {
            drop(queues.submit(ldev(1), Io::Flush).unwrap());
        }
        drop(queues.submit(ldev(2), Io::Flush).unwrap());
        let taken = || queues.shared.state().next().map(|(ldev, _)| ldev.get());
        let taken: Vec<_> = std::iter::from_fn(taken).collect();
        assert!(taken.len() <= THREADS, "none is left waiting but those of LDEV 1");
        assert!(taken.contains(&2) && taken.iter().filter(|n| **n == 1).count() < THREADS);
    }

    #[test]
    fn a_flush_waits_for_every_step_of_a_write() {
        let queues = idle();
        let pieces = vec![vec![7; 3 << 20].into()];
        let mut write = queues.submit(ldev(1), Io::Write { offset: 0, pieces, durable: false });
        drop(queues.submit(ldev(1), Io::Flush).unwrap());
        for _ in 0..3 {
            let (ldev, job) = queues.shared.state().next().unwrap();
            assert!(job.work.changes() && queues.shared.state().next().is_none());
            queues.shared.step(ldev, job);
        }
        assert!(write.as_mut().unwrap().0.try_recv().unwrap().is_ok());
        assert!(queues.shared.state().next().is_some_and(|(_, job)| job.work.is_ordered()));
    }

    #[test]
    fn a_request_that_panics_is_answered_and_those_behind_it_go_on() {
        let trap = |data: &[u8]| assert!(data.iter().any(|byte| *byte != 13), "a trap of the test");
        let array = TestArray::hooked(Hooked::new(trap));
        let queues = Queues::start(Arc::new(array), 2).unwrap();
        let write = |byte| {
            let pieces = vec![vec![byte; 4096].into()];
            queues.submit(ldev(17), Io::Write { offset: 0, pieces, durable: false }).unwrap()
        };
        for _ in 0..DEPTH + 1 {
            assert!(matches!(write(13).wait(), Err(StoreError::Panicked)));
        }
        write(7).wait().unwrap();
        queues.submit(ldev(17), Io::Flush).unwrap().wait().unwrap();
        let read = Io::Read { offset: 0, length: 4096 };
        assert_eq!(queues.submit(ldev(17), read).unwrap().wait().unwrap().concat(), [7; 4096]);
    }

    #[test]
    fn too_many_requests_of_one_ldev_are_refused_and_those_of_others_are_not() {
        let queues = idle();
        for _ in 0..WAITING {
            drop(queues.submit(ldev(1), Io::Flush).unwrap());
        }
        let refused = queues.submit(ldev(1), Io::Flush).unwrap_err();
        assert!(refused.code == Code::ExCmdrje && refused.object.unwrap().contains("LDEV 1"));
        assert!(queues.submit(ldev(2), Io::Flush).is_ok());
    }

    #[tokio::test]
    async fn errors_stay_with_their_request_and_nothing_is_kept_of_idle_queues() {
        let recorder = Recorder::new();
        let queues = Queues::start(array(&recorder), 2).unwrap();
        let busy: Vec<_> =
            (0..500).map(|n| queues.submit(ldev(1), write(n * 8192, 1, false)).unwrap()).collect();
        queues.submit(ldev(2), write(0, 9, false)).unwrap().await.unwrap();
        let read = Io::Read { offset: 500, length: 3100 };
        let read = queues.submit(ldev(2), read).unwrap().await.unwrap();
        assert_eq!(read.concat(), [9; 3100]);
        let beyond = queues.submit(ldev(2), write(8 << 20, 1, false)).unwrap().await;
        assert!(matches!(beyond, Err(StoreError::Range { .. })));
        let missing = queues.submit(ldev(9), Io::Flush).unwrap().await;
        assert!(matches!(missing, Err(StoreError::NoLdev(_))));
        for pending in busy {
            pending.await.unwrap();
        }
        let all = Io::Zero { offset: 0, length: 8 << 20 };
        queues.submit(ldev(2), all).unwrap().await.unwrap();
        let read = Io::Read { offset: 0, length: 3 << 20 };
        let read = queues.submit(ldev(2), read).unwrap().await.unwrap();
        assert!(read.len() == 3 && read.concat().iter().all(|byte| *byte == 0));
        assert!(queues.shared.state().queues.is_empty());
    }
}
