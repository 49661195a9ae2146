//! SIGINT and SIGTERM: a backup is given up at the next step that can be, as if it had failed
//! there. Once all pairs are split it goes on to its end, which is near.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use provider::{
    Provider,
    entry::Entry,
    error::{Fault, Refused},
    event::Event,
    guid::{SetId, SnapshotId},
    lun::LunInfo,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::copies::Copies;

/// The provider, until somebody wants the backup to stop.
#[derive(Debug)]
pub struct Stoppable<C> {
    inner: C,
    wanted: Arc<AtomicBool>,
}

impl Stoppable<Provider> {
    /// Listens to signals from now on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listening(provider: Provider) -> std::io::Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        let (stop, told) = (provider.stop(), Arc::clone(&wanted));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
                    told.store(true, Ordering::SeqCst);
                    stop.stop();
                }
            });
        })?;
        Ok(Self { inner: provider, wanted })
    }

    /// The provider again.
    #[must_use]
    pub fn into_inner(self) -> Provider {
        self.inner
    }
}

impl<C> Stoppable<C> {
    fn go_on(&self, set: SetId, entry: Entry) -> Result<(), Refused> {
        if !self.wanted.load(Ordering::SeqCst) {
            return Ok(());
        }
        let fault = Fault::new(Event::Invseq)
            .object(format!("snapshot set {set}"))
            .cause("the command was told to stop (SIGINT or SIGTERM)")
            .action("begin the backup again");
        Err(fault.at(entry))
    }
}

impl<C: Copies> Copies for Stoppable<C> {
    fn begin_prepare(
        &mut self,
        set: SetId,
        snapshot: SnapshotId,
        lun: &LunInfo,
    ) -> Result<(), Refused> {
        self.go_on(set, Entry::BeginPrepareSnapshot)?;
        self.inner.begin_prepare(set, snapshot, lun)
    }

    fn end_prepare(&mut self, set: SetId) -> Result<(), Refused> {
        self.go_on(set, Entry::EndPrepareSnapshots)?;
        self.inner.end_prepare(set)
    }

    fn pre_commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.go_on(set, Entry::PreCommitSnapshots)?;
        self.inner.pre_commit(set)
    }

    // From here on file systems are frozen: nothing may be made that tells why.
    fn commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.inner.commit(set)
    }

    fn post_commit(&mut self, set: SetId, volumes: usize) -> Result<(), Refused> {
        self.inner.post_commit(set, volumes)
    }

    fn final_commit(&mut self, set: SetId) -> Result<(), Refused> {
        self.inner.final_commit(set)
    }

    fn abort(&mut self, set: SetId) -> Result<(), Refused> {
        self.inner.abort(set)
    }
}

#[cfg(test)]
mod tests {
    use provider::guid::Guid;

    use super::*;

    struct Counting(u32);

    impl Copies for Counting {
        fn begin_prepare(&mut self, _: SetId, _: SnapshotId, _: &LunInfo) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
        fn end_prepare(&mut self, _: SetId) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
        fn pre_commit(&mut self, _: SetId) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
        fn commit(&mut self, _: SetId) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
        fn post_commit(&mut self, _: SetId, _: usize) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
        fn final_commit(&mut self, _: SetId) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
        fn abort(&mut self, _: SetId) -> Result<(), Refused> {
            self.0 += 1;
            Ok(())
        }
    }

    #[test]
    fn who_is_told_to_stop_begins_nothing_more_but_ends_what_is_split() {
        let set = SetId(Guid(1));
        let wanted = Arc::new(AtomicBool::new(false));
        let mut copies = Stoppable { inner: Counting(0), wanted: Arc::clone(&wanted) };
        copies.begin_prepare(set, SnapshotId(Guid(2)), &LunInfo::default()).unwrap();
        wanted.store(true, Ordering::SeqCst);
        let refused = copies.begin_prepare(set, SnapshotId(Guid(3)), &LunInfo::default());
        assert!(refused.unwrap_err().to_string().contains("SIGTERM"));
        assert!(copies.end_prepare(set).is_err() && copies.pre_commit(set).is_err());
        assert_eq!(copies.inner.0, 1);
        copies.commit(set).unwrap();
        copies.post_commit(set, 1).unwrap();
        copies.final_commit(set).unwrap();
        copies.abort(set).unwrap();
        assert_eq!(copies.inner.0, 5);
    }
}
