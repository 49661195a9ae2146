//! A thread that does one thing after the other, for what must not hold the network up.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

use crate::store::{StoreError, message};

type Job = Box<dyn FnOnce() + Send>;

/// The thread. Dropped, it ends first what it was given.
pub(super) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A thread of this name.
    ///
    /// # Errors
    /// The answer of the operating system.
    pub fn start(name: &'static str) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            for job in queue {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                    log::error!("{name}: a request ended in a panic: {}", message(&*panic));
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has something done; false when nothing is done any more.
    pub fn submit(&self, act: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(Box::new(act)).is_ok())
    }

    /// Has something done, also when nobody waits for its outcome any more.
    ///
    /// # Errors
    /// What it answers; [`StoreError::Panicked`] when it does not.
    pub fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'static {
        let (done, outcome) = oneshot::channel();
        self.submit(move || {
            // Nobody may wait for it any more.
            let _ = done.send(act());
        });
        async move { outcome.await.unwrap_or(Err(StoreError::Panicked)) }
    }

    /// One whose thread has ended.
    #[cfg(test)]
    pub fn ended() -> Self {
        Self { jobs: Some(mpsc::channel().0), thread: None }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // What panics is caught within.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn things_are_done_in_order_whatever_panics_and_before_it_ends() {
        let worker = Worker::start("test").unwrap();
        let (done, order) = mpsc::channel();
        let say = |n: u32| {
            let done = done.clone();
            move || done.send(n).unwrap()
        };
        let panics = worker.ask(|| -> Result<(), StoreError> { panic!("a panic of the test") });
        assert!(worker.submit(say(1)));
        drop(worker.ask(|| Ok(())));
        assert!(worker.submit(say(2)));
        assert!(matches!(panics.await, Err(StoreError::Panicked)));
        assert!(matches!(worker.ask(|| Ok(7)).await, Ok(7)));
        worker.submit(say(3));
        drop(worker);
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        let ended = Worker::ended();
        assert!(!ended.submit(say(4)));
        assert!(matches!(ended.ask(|| Ok(())).await, Err(StoreError::Panicked)));
    }
}
