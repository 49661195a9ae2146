//! What an acknowledged flush promises: changes are kept until one has covered them, and where
//! that cannot be any more, every later flush fails.

use std::sync::PoisonError;

use rustix::io::Errno;
use tokio::time::Instant;

use super::{
    cdb::SYNCHRONIZE_CACHE,
    lun::{Failure, Lun},
    record::Stage,
    target::{Command, Target},
};

/// The most that is kept for a replay, in bytes; a flush makes room.
pub const MOST_UNFLUSHED: u64 = 64 << 20;

impl<T: Target> Lun<T> {
    /// Why acknowledged writes are lost, if they are.
    #[must_use]
    pub fn forfeited(&self) -> Option<String> {
        self.forfeited.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What may be said of all that was acknowledged, once the file is unmounted.
    #[must_use]
    pub fn promise(&self) -> Stage {
        match self.forfeited() {
            Some(why) => Stage::Lost(why),
            None => Stage::Unmounted(self.unflushed_bytes()),
        }
    }

    pub(super) fn forfeit(&self, why: &str) {
        let bytes = {
            let mut unflushed = self.unflushed();
            let bytes = unflushed.bytes();
            unflushed.clear();
            bytes
        };
        log::error!(
            "{why}: {bytes} acknowledged bytes that were not flushed are lost; writes and flushes \
             fail until the LUN is detached"
        );
        *self.forfeited.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    /// Makes everything durable that was acknowledged.
    ///
    /// # Errors
    /// EIO where that is not possible any more, or the array stays away.
    pub async fn flush(&self) -> Result<(), Errno> {
        self.flush_until(self.deadline()).await
    }

    async fn flush_until(&self, deadline: Instant) -> Result<(), Errno> {
        // A write that was on its way when protection was heard of may have been carried out, so
        // protection alone does not say that there is nothing to flush.
        let nothing = self.unflushed().is_empty();
        if nothing && self.facts().protected && self.forfeited().is_none() {
            return Ok(());
        }
        if self.forfeited().is_none() {
            let mark = self.unflushed().mark();
            match self.carry(&Command::get(&SYNCHRONIZE_CACHE, 0), Some(mark), deadline).await {
                Ok(_) => {}
                Err(Failure::Refused(refusal)) if !refusal.at_the_door => {
                    // What the array could not write it may have dropped.
                    self.forfeit("SYNCHRONIZE CACHE failed");
                    return Err(refusal.errno);
                }
                // The array has what it had, and what is kept here stays for the next flush.
                Err(Failure::Refused(_) | Failure::Away) => return Err(Errno::IO),
            }
        }
        // It may have been found lost on the way.
        if self.forfeited().is_some() { Err(Errno::IO) } else { Ok(()) }
    }

    /// Carries a command out that leaves something on the LUN, with room to keep that.
    ///
    /// # Errors
    /// Those of [`Lun::command`]; EIO when something was lost before.
    pub async fn change(&self, command: &Command, deadline: Instant) -> Result<(), Errno> {
        if self.forfeited().is_some() {
            return Err(Errno::IO);
        }
        if self.unflushed().weight() >= MOST_UNFLUSHED {
            let _room = self.wait(deadline, self.room.lock()).await?;
            if self.unflushed().weight() >= MOST_UNFLUSHED {
                self.flush_until(deadline).await?;
            }
        }
        self.command(command, deadline).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

    use scsi::sense::Sense;

    use super::*;
    use crate::attach::{
        fake::{Array, read, refusal, write},
        unflushed::Content,
    };

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(120);

    #[tokio::test]
    async fn where_a_replay_is_refused_flushes_fail_until_the_end_and_reads_go_on() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        array.kill();
        array.state().protected = true;
        array.start();
        assert_eq!(read(&lun, 0).await, Ok(0));
        assert_eq!(lun.flush().await, Err(Errno::IO));
        array.state().protected = false;
        array.state().news.push(Sense::MODE_CHANGED);
        assert_eq!(read(&lun, 0).await, Ok(0));
        assert!(!lun.facts().protected);
        assert_eq!(lun.flush().await, Err(Errno::IO), "what was lost stays lost");
        assert_eq!(lun.change(&write(0, 6), lun.deadline()).await, Err(Errno::IO));
        assert!(lun.forfeited().is_some_and(|why| why.contains("write protected")));
    }

    #[tokio::test]
    async fn a_flush_that_is_refused_is_no_flush_when_it_is_asked_again() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        array.state().flush_fails = Some(refusal(2, Some(Sense::WRITE_ERROR)));
        assert_eq!(lun.flush().await, Err(Errno::IO));
        array.state().flush_fails = None;
        assert_eq!(lun.flush().await, Err(Errno::IO));
    }

    #[tokio::test]
    async fn a_flush_that_is_turned_away_leaves_all_to_the_next_one() {
        for (status, sense) in
            [(2, Some(Sense::WRITE_PROTECTED)), (2, Some(Sense::NO_SUCH_UNIT)), (0x18, None)]
        {
            let array = Array::new(8192);
            let lun = array.lun(PATIENCE).await;
            lun.change(&write(0, 5), lun.deadline()).await.unwrap();
            array.state().flush_fails = Some(refusal(status, sense));
            assert_eq!(lun.flush().await, Err(Errno::IO));
            assert_eq!(lun.unflushed_bytes(), 512, "a kill may still come");
            array.kill();
            {
                let mut state = array.state();
                state.flush_fails = None;
                state.up = true;
            }
            lun.change(&write(1, 6), lun.deadline()).await.unwrap();
            lun.flush().await.unwrap();
            let durable = array.state().durable.clone();
            assert_eq!((durable[0], durable[512]), (5, 6));
        }
    }

    #[tokio::test]
    async fn a_lun_that_becomes_protected_still_flushes_what_it_took_before() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        array.state().protected = true;
        array.state().news.push(Sense::MODE_CHANGED);
        assert_eq!(read(&lun, 0).await, Ok(5));
        assert!(lun.facts().protected);
        lun.flush().await.unwrap();
        assert_eq!(array.state().durable[0], 5);
    }

    #[tokio::test]
    async fn a_write_on_its_way_when_the_lun_becomes_protected_is_flushed() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        let command = write(1, 5);
        let mut writing = pin!(lun.change(&command, lun.deadline()));
        while array.state().writes == 0 {
            let pending = poll_fn(|cx| Poll::Ready(writing.as_mut().poll(cx).is_pending())).await;
            assert!(pending, "its reply is on the way");
        }
        array.state().protected = true;
        array.state().news.push(Sense::MODE_CHANGED);
        assert_eq!(read(&lun, 0).await, Ok(0));
        assert!(lun.facts().protected);
        writing.await.unwrap();
        lun.flush().await.unwrap();
        assert_eq!(array.state().durable[512], 5, "a flush that succeeds tells the truth");
        assert_eq!(lun.unflushed_bytes(), 0);
    }

    #[tokio::test]
    async fn who_waits_for_room_waits_no_longer_than_who_waits_for_the_array() {
        let array = Array::new(8192);
        let lun = array.lun(SHORT).await;
        let mut large = write(0, 5);
        large.leaves = Some((0, Content::Bytes(vec![5; MOST_UNFLUSHED as usize].into())));
        lun.change(&large, lun.deadline()).await.unwrap();
        array.kill();
        let began = Instant::now();
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let lun = Arc::clone(&lun);
                tokio::spawn(async move { lun.change(&write(n, 6), lun.deadline()).await })
            })
            .collect();
        for writer in writers {
            assert_eq!(writer.await.unwrap(), Err(Errno::IO));
        }
        assert!(began.elapsed() < 4 * SHORT, "{:?}", began.elapsed());
    }
}
