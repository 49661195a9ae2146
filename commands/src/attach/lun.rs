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
use scsi::iscsi::initiator::Reply;
use tokio::{
    sync::{RwLock, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    cdb::SYNCHRONIZE_CACHE,
    facts::Facts,
    learn::{Unready, learn, look, ready},
    unflushed::{Content, Unflushed},
    verdict::{Refusal, Verdict, judge},
};

/// How long between two tries to log in: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The most that is kept for a replay, in bytes; a flush makes room.
pub const MOST_UNFLUSHED: u64 = 64 << 20;

/// Where a LUN is reached.
pub trait Target: Send + Sync + 'static {
    /// A session.
    type Session: Send + Sync + 'static;

    /// Logs in, within a few seconds.
    fn login(&self) -> impl Future<Output = Result<Self::Session, String>> + Send;

    /// Sends a command with data, or with room for so many bytes. An error says that the session
    /// is over; whether the command was carried out is not known then. This must not be bounded
    /// by a time: a command that is given up may still be carried out, after others.
    fn command(
        session: &Self::Session,
        cdb: &[u8],
        data: Bytes,
        read: u32,
    ) -> impl Future<Output = Result<Reply, String>> + Send;
}

/// A command, and what it means to what is kept.
#[derive(Debug, Clone)]
pub struct Command {
    /// The CDB.
    pub cdb: Vec<u8>,
    /// What is sent with it.
    pub data: Bytes,
    /// How much may come.
    pub read: u32,
    /// What it leaves on the LUN, and where, in bytes.
    pub leaves: Option<(u64, Content)>,
}

impl Command {
    /// One that changes nothing and gets up to so many bytes.
    #[must_use]
    pub fn get(cdb: &[u8], read: u32) -> Self {
        Self { cdb: cdb.to_vec(), data: Bytes::new(), read, leaves: None }
    }
}

/// Why a command was not carried out.
enum Failure {
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

struct Link<S> {
    session: S,
    /// Which session this is, from 1.
    number: u64,
}

/// A LUN.
pub struct Lun<T: Target> {
    target: T,
    patience: Duration,
    link: RwLock<Link<T::Session>>,
    /// The highest number of a link that was lost.
    lost: watch::Sender<u64>,
    /// The number of the link there is.
    current: watch::Sender<u64>,
    facts: watch::Sender<Arc<Facts>>,
    unflushed: Mutex<Unflushed>,
    /// Why not everything that was acknowledged can be made durable any more.
    forfeited: Mutex<Option<String>>,
    /// One flush to make room is enough for all who wait for it.
    room: tokio::sync::Mutex<()>,
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

    fn unflushed(&self) -> MutexGuard<'_, Unflushed> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the file that were acknowledged and are not flushed.
    #[must_use]
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed().bytes()
    }

    /// What the LUN says about itself.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.borrow())
    }

    /// Follows what the LUN says about itself.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Facts>> {
        self.facts.subscribe()
    }

    /// Why acknowledged writes are lost, if they are.
    #[must_use]
    pub fn forfeited(&self) -> Option<String> {
        self.forfeited.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forfeit(&self, why: &str) {
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
    async fn carry(
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
            let verdict = sent.map(|reply| (judge(&reply), reply.data));
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

    /// Size and write protection may be other ones; whether they could be learned.
    async fn look_again(&self, session: &T::Session) -> bool {
        let mut facts = Facts::clone(&self.facts());
        match look::<T>(session, &mut facts).await {
            Ok(()) => {
                self.now_known(facts);
                true
            }
            Err(why) => {
                log::warn!("the LUN does not tell what changed: {}", why.into_text());
                false
            }
        }
    }

    fn now_known(&self, mut facts: Facts) {
        let before = self.facts();
        facts.extent = facts.extent.max(before.extent);
        if before.size != facts.size {
            log::info!("the LUN has {} bytes now, it had {}", facts.size, before.size);
        }
        if before.protected != facts.protected {
            let said = if facts.protected { "write protected" } else { "writable" };
            log::info!("the LUN is {said} now");
        }
        self.facts.send_if_modified(|known| {
            let other = **known != facts;
            *known = Arc::new(facts);
            other
        });
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
        match super::learn::replay::<T>(session, &self.facts(), kept).await {
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
        if let Ok(link) = tokio::time::timeout(PAUSES.1, link).await {
            logout(&link.session).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll};

    use scsi::sense::Sense;

    use super::*;
    use crate::attach::{
        cdb,
        fake::{Array, refusal},
    };

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(120);

    fn write(block: u64, byte: u8) -> Command {
        let data = Bytes::from(vec![byte; 512]);
        let leaves = Some((block * 512, Content::Bytes(data.clone())));
        Command { cdb: cdb::write(block, 1).to_vec(), data, read: 0, leaves }
    }

    async fn read(lun: &Lun<Array>, block: u64) -> Result<u8, Errno> {
        Ok(lun.command(&Command::get(&cdb::read(block, 1), 512), lun.deadline()).await?[511])
    }

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
    async fn news_that_cannot_be_looked_into_are_learned_by_another_login() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        {
            let mut state = array.state();
            state.cached.resize(16_384, 0);
            state.news.push(Sense::CAPACITY_CHANGED);
            state.capacity_fails = 1;
        }
        assert_eq!(read(&lun, 20).await, Ok(0));
        assert_eq!(lun.facts().size, 16_384);
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
