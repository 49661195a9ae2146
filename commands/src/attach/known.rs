//! What is known of a LUN, and learning it anew when the LUN says that it changed.

use std::sync::Arc;

use tokio::sync::watch;

use super::{facts::Facts, learn::look, lun::Lun, target::Target};

impl<T: Target> Lun<T> {
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

    /// Size and write protection may be other ones; whether they could be learned.
    pub(super) async fn look_again(&self, session: &T::Session) -> bool {
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

    pub(super) fn now_known(&self, mut facts: Facts) {
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scsi::sense::Sense;

    use crate::attach::{
        cdb::READ_CAPACITY,
        fake::{Array, State, read, write},
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn news_that_come_while_news_are_looked_into_are_looked_into() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        array.state().news.push(Sense::CAPACITY_CHANGED);
        array.after(READ_CAPACITY[0], |state| {
            state.cached.resize(16_384, 0);
            state.news.push(Sense::CAPACITY_CHANGED);
        });
        assert_eq!(read(&lun, 0).await, Ok(0));
        assert_eq!(lun.facts().size, 16_384);
    }

    #[tokio::test]
    async fn a_restart_told_while_news_are_looked_into_brings_a_replay() {
        let array = Array::new(8192);
        let lun = array.lun(PATIENCE).await;
        lun.change(&write(0, 5), lun.deadline()).await.unwrap();
        array.state().news.push(Sense::CAPACITY_CHANGED);
        array.after(READ_CAPACITY[0], State::reset);
        assert_eq!(read(&lun, 0).await, Ok(5));
        lun.flush().await.unwrap();
        assert_eq!(array.state().durable[0], 5);
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
}
