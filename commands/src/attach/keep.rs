//! The keeper of a LUN's session: it brings one back whenever it is lost, makes sure that it leads
//! to the same LUN, and writes again what was not flushed before any command may use it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    learn::{Unready, learn, ready, replay},
    lun::Lun,
    target::Target,
};

/// How long between two tries to log in: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

impl<T: Target> Lun<T> {
    /// Brings the session back whenever it is lost. Ends with the attachment only.
    pub async fn keep(self: Arc<Self>) {
        let mut lost = self.lost.subscribe();
        let mut number = 1;
        loop {
            if lost.wait_for(|lost| *lost >= number).await.is_err() {
                return;
            }
            // Whoever holds the link sees the session end, and lets go.
            let mut link = self.link.write().await;
            log::warn!("the session is lost");
            let began = Instant::now();
            link.session = self.back().await;
            number += 1;
            link.number = number;
            log::info!("back after {} ms", began.elapsed().as_millis());
            self.current.send_replace(number);
        }
    }

    /// A new session, ready for use.
    async fn back(&self) -> T::Session {
        let (mut pause, mut said) = (PAUSES.0, String::new());
        loop {
            let tried = async {
                let session = self.target.login().await.map_err(Unready::Later)?;
                self.prepare(&session).await.map(|()| session)
            };
            match tried.await {
                Ok(session) => return session,
                Err(why) => {
                    let why = why.into_text();
                    if why != said {
                        log::warn!("the array is not back: {why}");
                        said = why;
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Makes sure that a session leads to the same LUN, and writes again what was not flushed.
    async fn prepare(&self, session: &T::Session) -> Result<(), Unready> {
        ready::<T>(session).await?;
        let facts = learn::<T>(session).await?;
        let known = self.facts();
        if !facts.is_same_unit(&known) {
            let (is, was) = (facts.shown(), known.shown());
            return Err(Unready::Later(format!("another LUN is there, {is}; it was {was}")));
        }
        let protected = facts.protected;
        self.now_known(facts);
        if protected && !self.unflushed().is_empty() {
            self.forfeit("the LUN became write protected");
        }
        let (kept, mark) = {
            let unflushed = self.unflushed();
            (unflushed.all(), unflushed.mark())
        };
        if kept.is_empty() {
            return Ok(());
        }
        log::info!("writing {} bytes again that were not flushed", self.unflushed_bytes());
        match replay::<T>(session, &self.facts(), kept).await {
            Ok(()) => {
                self.unflushed().flushed(mark);
                Ok(())
            }
            Err(Unready::Never(why)) => {
                self.forfeit(&why);
                Ok(())
            }
            Err(later) => Err(later),
        }
    }

    /// Ends the session.
    pub async fn close(&self, logout: impl AsyncFnOnce(&T::Session)) {
        let link = self.link.read();
        if let Ok(link) = timeout(PAUSES.1, link).await {
            logout(&link.session).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use scsi::sense::Sense;

    use super::*;
    use crate::attach::{
        cdb::{READ_CAPACITY, SYNCHRONIZE_CACHE},
        fake::{Array, State, read, write},
    };

    const WRITE: u8 = 0x8a;
    const FLUSH: u8 = SYNCHRONIZE_CACHE[0];

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(120);

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_kill_and_durable_after_a_flush() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        lun.change(&write(1, 7), lun.deadline()).await.unwrap();
        lun.flush().await.unwrap();
        lun.change(&write(1, 8), lun.deadline()).await.unwrap();
        lun.change(&write(2, 9), lun.deadline()).await.unwrap();
        array.kill();
        assert_eq!(array.state().cached[512], 7, "the array has lost it");
        array.start();
        assert_eq!((read(&lun, 1).await, read(&lun, 2).await), (Ok(8), Ok(9)));
        lun.flush().await.unwrap();
        let durable = array.state().durable.clone();
        assert_eq!((durable[512], durable[1024]), (8, 9));
        assert_eq!(lun.unflushed_bytes(), 0);
    }

    #[tokio::test]
    async fn a_restart_in_a_replay_brings_another_replay() {
        // After its first write, after its last, and after its flush, which covers them all.
        for nth in [&[WRITE][..], &[WRITE, WRITE], &[WRITE, WRITE, FLUSH]] {
            let array = Array::new(8192);
            let lun = array.lun(PATIENCE).await;
            lun.change(&write(0, 5), lun.deadline()).await.unwrap();
            lun.change(&write(1, 6), lun.deadline()).await.unwrap();
            array.kill();
            let (last, before) = nth.split_last().unwrap();
            for opcode in before {
                array.after(*opcode, |_| {});
            }
            array.after(*last, State::reset);
            array.start();
            lun.flush().await.unwrap();
            let state = array.state();
            assert_eq!((state.durable[0], state.durable[512]), (5, 6), "{nth:x?}");
            assert!(state.after.is_empty() && lun.unflushed_bytes() == 0);
        }
    }

    #[tokio::test]
    async fn a_change_of_size_while_a_session_comes_back_is_not_taken_for_old() {
        // While it is asked for, and while what was not flushed is written again.
        for opcode in [READ_CAPACITY[0], WRITE] {
            let array = Array::new(8192);
            let lun = array.lun(PATIENCE).await;
            lun.change(&write(0, 5), lun.deadline()).await.unwrap();
            array.kill();
            array.after(opcode, |state| {
                state.cached.resize(16_384, 0);
                state.durable.resize(16_384, 0);
                state.news.push(Sense::CAPACITY_CHANGED);
            });
            array.start();
            assert_eq!(read(&lun, 0).await, Ok(5));
            assert_eq!(lun.facts().size, 16_384, "after {opcode:x}h");
            lun.flush().await.unwrap();
            assert_eq!(array.state().durable[0], 5);
        }
    }

    #[tokio::test]
    async fn another_lun_in_the_place_is_never_written() {
        let array = Array::new(8192);
        let lun = array.lun(SHORT).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        array.kill();
        array.state().identity = 2;
        array.start();
        assert_eq!(lun.change(&write(1, 6), lun.deadline()).await, Err(Errno::IO));
        assert_eq!(lun.flush().await, Err(Errno::IO));
        let writes = array.state().writes;
        assert_eq!((array.state().cached[0], writes), (0, 1));
        array.state().identity = 1;
        while lun.flush().await.is_err() {}
        assert_eq!(array.state().durable[0], 5);
    }

    #[tokio::test]
    async fn news_of_a_restart_bring_a_replay_and_news_of_the_size_another_size() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        {
            let mut state = array.state();
            state.cached = state.durable.clone();
            state.news.push(Sense::POWER_ON);
        }
        assert_eq!(read(&lun, 0).await, Ok(5));
        {
            let mut state = array.state();
            state.cached.resize(16_384, 0);
            state.news.push(Sense::CAPACITY_CHANGED);
        }
        assert_eq!(read(&lun, 20).await, Ok(0));
        assert_eq!(lun.facts().size, 16_384);
    }
}
