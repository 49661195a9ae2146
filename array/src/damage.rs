//! What is done about damaged blocks: pairs whose S-VOL shows one are suspended, so that nobody
//! takes it for a copy.

use std::collections::BTreeSet;

use model::LdevId;

use crate::{
    array::Array,
    pairs::Phase,
    store::{LinkId, StoreError},
};

impl Array {
    /// Verifies a little of what is stored, and tells of what is damaged.
    pub(crate) fn scrub(&self) -> Result<(), StoreError> {
        for damage in self.store.scrub()? {
            log::error!("{damage}");
            for (ldev, offset) in damage.shown {
                self.suspend_damaged(ldev, offset);
            }
        }
        Ok(())
    }

    /// Puts the pairs into PSUE that a damaged block of a volume belongs to, if their S-VOL shows
    /// it too.
    pub(crate) fn suspend_damaged(&self, ldev: LdevId, offset: u64) {
        let executed = self.changes();
        for (link, svol) in self.pairs_around(ldev) {
            let mut byte = [0];
            if let Err(error @ StoreError::Medium { .. }) = self.store.read(svol, offset, &mut byte)
            {
                self.suspend(link, &error);
            }
        }
        drop(executed);
    }

    /// The pairs that a volume is in, and those below them, with their S-VOLs.
    fn pairs_around(&self, ldev: LdevId) -> Vec<(LinkId, LdevId)> {
        let state = self.state();
        let mut found = BTreeSet::new();
        let mut volumes = vec![ldev];
        found.extend(state.registry.as_svol(ldev).map(|(id, pair)| (id, pair.secondary.ldev)));
        while let Some(volume) = volumes.pop() {
            for (id, pair) in state.registry.as_pvol(volume) {
                if found.insert((id, pair.secondary.ldev)) {
                    volumes.push(pair.secondary.ldev);
                }
            }
        }
        let well = |(id, _): &(LinkId, LdevId)| {
            state.registry.get(*id).is_some_and(|pair| pair.phase != Phase::Failed)
        };
        found.into_iter().filter(well).collect()
    }
}
