//! Which threads serve connections.
//!
//! Each connection stays with one thread: what is ready then wakes that thread and no other, as
//! it is with runtimes of a single thread, and an answer from storage costs one wake-up.

use std::sync::Arc;

use tokio::runtime::Handle;

/// Runtimes that share connections.
#[derive(Debug)]
pub struct Runtimes(Vec<Share>);

#[derive(Debug)]
struct Share {
    runtime: Handle,
    /// Held once by each connection.
    load: Arc<()>,
}

/// A place at a runtime, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "it counts")] Arc<()>);

impl Runtimes {
    /// These, or the one of the caller where there are none.
    ///
    /// # Panics
    /// Outside of a runtime, where there are none.
    #[must_use]
    pub fn new(runtimes: impl IntoIterator<Item = Handle>) -> Self {
        let share = |runtime| Share { runtime, load: Arc::new(()) };
        let mut shares: Vec<Share> = runtimes.into_iter().map(share).collect();
        if shares.is_empty() {
            shares.push(share(Handle::current()));
        }
        Self(shares)
    }

    /// A place where there are fewest connections.
    pub(super) fn place(&self) -> Option<(&Handle, Place)> {
        let share = self.0.iter().min_by_key(|share| Arc::strong_count(&share.load))?;
        Some((&share.runtime, Place(Arc::clone(&share.load))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_where_there_are_fewest() {
        let runtimes = [(); 2]
            .map(|()| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
        let shares = Runtimes::new(runtimes.iter().map(|runtime| runtime.handle().clone()));
        let mut places: Vec<_> = (0..4).filter_map(|_| shares.place()).collect();
        let at = |places: &[(&Handle, Place)]| {
            let first = runtimes[0].handle().id();
            places.iter().filter(|(handle, _)| handle.id() == first).count()
        };
        assert_eq!((places.len(), at(&places)), (4, 2));
        places.retain(|(handle, _)| handle.id() != runtimes[0].handle().id());
        places.extend((0..2).filter_map(|_| shares.place()));
        assert_eq!((places.len(), at(&places)), (4, 2));
    }
}
