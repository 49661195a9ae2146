//! A fuse for tests: after so many steps that reach the disk, every further one fails. What the
//! files then hold is what a `kill -9` at that instant leaves.

use std::path::Path;

use super::StoreError;

#[cfg(not(test))]
#[derive(Clone, Default)]
pub(crate) struct Fuse(());

#[cfg(not(test))]
impl Fuse {
    /// In a real array nothing burns.
    #[expect(clippy::unused_self, reason = "the fuse of tests has state")]
    pub(crate) const fn burn(&self, _path: &Path) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Fuse(std::sync::Arc<std::sync::atomic::AtomicU64>);

#[cfg(test)]
impl Default for Fuse {
    fn default() -> Self {
        Self(std::sync::Arc::new(u64::MAX.into()))
    }
}

#[cfg(test)]
impl Fuse {
    /// Lets `steps` more steps through.
    pub(crate) fn set(&self, steps: u64) {
        self.0.store(steps, std::sync::atomic::Ordering::SeqCst);
    }

    pub(crate) fn burn(&self, path: &Path) -> Result<(), StoreError> {
        use std::sync::atomic::Ordering::SeqCst;
        self.0
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .map(drop)
            .map_err(|_| StoreError::io(path, "reach")(std::io::Error::other("the fuse is burnt")))
    }
}
