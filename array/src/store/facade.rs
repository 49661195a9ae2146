//! The store as the layer above sees it.

use std::sync::{Arc, PoisonError};

use model::LdevId;

use super::{
    Batch, Content, Difference, LinkId, PoolFigures, Progress, Report, SplitTimes, Store,
    StoreError, Swept, engine::PoolStore, volume::Volume,
};

impl Store for PoolStore {
    fn read(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Result<Content, StoreError> {
        self.read_at(ldev.get(), offset, buffer)
    }

    fn write(&self, ldev: LdevId, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        self.write_at(ldev.get(), offset, data)
    }

    fn zero(&self, ldev: LdevId, offset: u64, length: u64) -> Result<(), StoreError> {
        self.zero_at(ldev.get(), offset, length)
    }

    fn provision(&self, ldev: LdevId) -> Result<(), StoreError> {
        Self::provision(self, ldev.get())
    }

    fn flush(&self, ldev: LdevId) -> Result<(), StoreError> {
        if self.volume(ldev.get()).is_none() {
            return Err(StoreError::NoLdev(ldev));
        }
        self.flush_all()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.commit_batch(batch)
    }

    fn difference(&self, link: LinkId) -> Option<Difference> {
        let link = {
            let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
            *links.get(&link)?
        };
        let (source, target) = (self.volume(link.source)?, self.volume(link.target)?);
        Some(self.differ(&source, &target))
    }

    fn busy(&self) -> Vec<LinkId> {
        Vec::new()
    }

    fn copy(&self, links: &[(LinkId, u64)]) -> Result<Vec<Swept>, StoreError> {
        let done =
            |(link, _): &(LinkId, u64)| Swept { link: *link, next: None, moved: 0, failed: None };
        Ok(links.iter().map(done).collect())
    }

    fn tidy(&self) -> Result<bool, StoreError> {
        self.reclaim()
    }

    fn fold(&self) -> Result<bool, StoreError> {
        Self::fold(self)
    }

    fn trim(&self) -> Result<(), StoreError> {
        Self::trim(self)
    }

    fn grow_pool(
        &self,
        pool: u16,
        path: &str,
        bytes: Option<u64>,
        preallocate: bool,
    ) -> Result<(), StoreError> {
        Self::grow(self, pool, path, bytes, preallocate)
    }

    fn pools(&self) -> Vec<PoolFigures> {
        Self::pools(self).values().map(|pool| pool.figures()).collect()
    }

    fn check(&self, see: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
        Self::check(self, see)
    }

    fn resum(&self) -> Result<(), StoreError> {
        Self::resum(self)
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.flush_all()
    }

    fn split_times(&self) -> Option<SplitTimes> {
        Self::split_times(self)
    }
}

impl PoolStore {
    /// How much of two volumes differs, from the counts that the heads keep.
    fn differ(&self, source: &Arc<Volume>, target: &Arc<Volume>) -> Difference {
        let total = source.pages();
        let head = |volume: &Arc<Volume>| {
            let root = super::data::climb(volume).pop()?;
            let holds = root.gate.read().unwrap_or_else(PoisonError::into_inner);
            holds.head().cloned()
        };
        let same = Difference { total, ..Difference::default() };
        let (Some(from), Some(to)) = (head(source), head(target)) else {
            return same;
        };
        if from.branch == to.branch {
            return same;
        }
        let fork = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.get(to.branch).and_then(|row| row.parent)
        };
        let changed = match fork {
            Some((parent, at)) => {
                let own = to.changed_since(at).unwrap_or(0);
                let theirs = from.changed_since(at).filter(|_| from.branch == parent);
                own + theirs.unwrap_or(total)
            }
            None => total,
        };
        Difference { changed: changed.min(total), ..same }
    }
}
