//! Commands to a LUN, across cuts of the connection and restarts of the array.
//!
//! A command holds the link while it is on its way; the *keeper* takes the link away from all of
//! them when the session is lost, and gives it back with a new one on which everything that was
//! acknowledged and not flushed has been written again. So between a reply and what is kept
//! because of it nothing can come, and no command passes a replay. What was on its way when the
//! session was lost is sent again by whoever waits for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::{
    sync::{RwLock, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    facts::Facts,
    learn::{Unready, learn, ready},
    target::{Command, Target},
    unflushed::Unflushed,
    verdict::{Refusal, Verdict, judge},
};

/// Why a command was not carried out.
pub(super) enum Failure {
    /// The array stayed away, or the LUN busy: it was not judged.
    Away,
    /// The LUN refuses it.
    Refused(Refusal),
}

impl From<Failure> for Errno {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away => Self::IO,
            Failure::Refused(refusal) => refusal.errno,
        }
    }
}

pub(super) struct Link<S> {
    pub(super) session: S,
    /// Which session this is, from 1.
    pub(super) number: u64,
}

/// A LUN.
pub struct Lun<T: Target> {
    pub(super) target: T,
    patience: Duration,
    pub(super) link: RwLock<Link<T::Session>>,
    /// The highest number of a link that was lost.
    pub(super) lost: watch::Sender<u64>,
    /// The number of the link there is.
    pub(super) current: watch::Sender<u64>,
    pub(super) facts: watch::Sender<Arc<Facts>>,
    unflushed: Mutex<Unflushed>,
    /// Why not everything that was acknowledged can be made durable any more.
    pub(super) forfeited: Mutex<Option<String>>,
    /// One flush to make room is enough for all who wait for it.
    pub(super) room: tokio::sync::Mutex<()>,
}

impl<T: Target> Lun<T> {
    /// Logs in and learns what the LUN is. Commands wait for an array that is away for as long as
    /// `patience`.
    ///
    /// # Errors
    /// Why the LUN cannot be used, in words.
    pub async fn open(target: T, patience: Duration) -> Result<Arc<Self>, String> {
        let session = target.login().await?;
        ready::<T>(&session).await.map_err(Unready::into_text)?;
        let facts = learn::<T>(&session).await.map_err(Unready::into_text)?;
        let this = Arc::new(Self {
            target,
            patience,
            link: RwLock::new(Link { session, number: 1 }),
            lost: watch::Sender::new(0),
            current: watch::Sender::new(1),
            facts: watch::Sender::new(Arc::new(facts)),
            unflushed: Mutex::default(),
            forfeited: Mutex::default(),
            room: tokio::sync::Mutex::default(),
        });
        Ok(this)
    }

    pub(super) fn unflushed(&self) -> MutexGuard<'_, Unflushed> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the file that were acknowledged and are not flushed.
    #[must_use]
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed().bytes()
    }

    /// Until when a request that comes now waits for an array that is away, and for others that
    /// wait for it.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Waits for others until a deadline.
    ///
    /// # Errors
    /// EIO when they are not done by then.
    pub async fn wait<R>(
        &self,
        deadline: Instant,
        done: impl Future<Output = R>,
    ) -> Result<R, Errno> {
        timeout_at(deadline, done).await.map_err(|_| self.away().into())
    }

    /// Carries a command out, whatever happens to the array meanwhile.
    ///
    /// # Errors
    /// What the LUN refuses, as an errno; EIO when the array stays away until the deadline.
    pub async fn command(&self, command: &Command, deadline: Instant) -> Result<Bytes, Errno> {
        Ok(self.carry(command, None, deadline).await?)
    }

    /// The same; a flush says at which mark of what is kept it was sent.
    pub(super) async fn carry(
        &self,
        command: &Command,
        mark: Option<u64>,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        loop {
            let Ok(link) = timeout_at(deadline, self.link.read()).await else {
                return Err(self.away());
            };
            let number = link.number;
            let sent =
                T::command(&link.session, &command.cdb, command.data.clone(), command.read).await;
            let verdict = match sent.map(|reply| (judge(&reply), reply.data)) {
                // Another command was told of a restart meanwhile, which may have come before: then
                // this one flushed nothing, or read what the restart left.
                Ok((Verdict::Good, _))
                    if command.leaves.is_none() && *self.lost.borrow() >= number =>
                {
                    Ok((Verdict::Relogin, Bytes::new()))
                }
                verdict => verdict,
            };
            match verdict {
                Ok((Verdict::Good, data)) => {
                    let mut unflushed = self.unflushed();
                    if let Some((at, content)) = &command.leaves {
                        unflushed.keep(*at, content.clone());
                    }
                    if let Some(mark) = mark {
                        unflushed.flushed(mark);
                    }
                    return Ok(data);
                }
                Ok((Verdict::Refused(refusal), _)) => {
                    let opcode = command.cdb.first().copied().unwrap_or(0);
                    log::warn!("command {opcode:02x}h: {}", refusal.why);
                    return Err(Failure::Refused(refusal));
                }
                Ok((Verdict::Again(pause), _)) => {
                    drop(link);
                    if Instant::now() + pause > deadline {
                        log::warn!("the LUN stays busy or not ready");
                        return Err(Failure::Away);
                    }
                    sleep(pause).await;
                }
                Ok((Verdict::Changed, _)) if self.look_again(&link.session).await => {}
                // A session that does not tell what changed is of no use either.
                Ok((Verdict::Changed | Verdict::Relogin, _)) | Err(_) => {
                    drop(link);
                    self.give_up(number);
                    let mut current = self.current.subscribe();
                    let back = current.wait_for(|current| *current > number);
                    if timeout_at(deadline, back).await.is_err() {
                        return Err(self.away());
                    }
                }
            }
        }
    }

    fn away(&self) -> Failure {
        log::warn!("the array stays away for {} s: EIO", self.patience.as_secs());
        Failure::Away
    }

    /// Says that a session is of no use any more.
    fn give_up(&self, number: u64) {
        self.lost.send_if_modified(|lost| {
            let newer = *lost < number;
            *lost = number.max(*lost);
            newer
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::fake::{Array, read, write};

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(120);

    #[tokio::test]
    async fn commands_on_their_way_at_a_cut_or_a_kill_are_sent_again() {
        for kill in [false, true] {
            let array = Array::new(512 * 64);
            let lun = array.lun(PATIENCE).await;
            let writers: Vec<_> = (0..64)
                .map(|block| {
                    let lun = Arc::clone(&lun);
                    tokio::spawn(async move {
                        lun.change(&write(block, block as u8 + 1), lun.deadline()).await
                    })
                })
                .collect();
            for _ in 0..3 {
                tokio::task::yield_now().await;
                if kill {
                    array.kill();
                    array.start();
                } else {
                    array.cut();
                }
            }
            for writer in writers {
                writer.await.unwrap().unwrap();
            }
            lun.flush().await.unwrap();
            let durable = array.state().durable.clone();
            assert!((0..64).all(|block| durable[block * 512] == block as u8 + 1));
        }
    }

    #[tokio::test]
    async fn an_array_that_stays_away_is_an_error_in_time_and_nothing_is_forgotten() {
        let array = Array::new(8192);
        let lun = array.lun(SHORT).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        array.kill();
        let began = Instant::now();
        assert_eq!(read(&lun, 0).await, Err(Errno::IO));
        assert_eq!(lun.flush().await, Err(Errno::IO));
        assert!(began.elapsed() >= 2 * SHORT);
        array.start();
        while lun.flush().await.is_err() {}
        assert_eq!(array.state().durable[0], 5, "a flush that succeeds tells the truth");
    }

    #[tokio::test]
    async fn what_is_answered_beside_news_of_a_restart_counts_for_nothing() {
        for flush_is_told in [false, true] {
            let array = Array::new(8192);
            let lun = array.lun(PATIENCE).await;
            lun.change(&write(0, 5), lun.deadline()).await.unwrap();
            array.state().reset();
            // In the order in which they stand, so that the first one is told.
            let both = match flush_is_told {
                true => {
                    let both = tokio::join!(biased; lun.flush(), read(&lun, 0));
                    (both.1, both.0)
                }
                false => tokio::join!(biased; read(&lun, 0), lun.flush()),
            };
            assert_eq!(both, (Ok(5), Ok(())), "the flush is told: {flush_is_told}");
            assert_eq!(array.state().durable[0], 5);
        }
    }
}
