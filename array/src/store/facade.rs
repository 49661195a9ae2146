//! The store as the layer above sees it.

use std::sync::{Arc, PoisonError};

use model::LdevId;

use super::{
    Batch, Content, Damage, Difference, Lack, LinkId, PoolFigures, Progress, Report, SplitTimes,
    Store, StoreError, Swept,
    branches::BranchId,
    engine::PoolStore,
    leaf::Generation,
    volume::{Head, Tether, Volume},
};

impl Store for PoolStore {
    fn read(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Result<Content, StoreError> {
        self.read_at(ldev.get(), offset, buffer)
    }

    fn read_now(&self, ldev: LdevId, offset: u64, buffer: &mut [u8]) -> Option<Content> {
        self.read_at_now(ldev.get(), offset, buffer)
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

    fn mapped(&self, ldev: LdevId, offset: u64) -> Result<(bool, u64), StoreError> {
        self.mapped_at(ldev.get(), offset)
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

    fn lack(&self, link: LinkId) -> Option<Lack> {
        let link = self.link(link)?;
        let (to_target, to_source) = (self.lacks(link.target), self.lacks(link.source));
        Some(Lack { to_target, to_source })
    }

    fn difference(&self, id: LinkId) -> Option<Difference> {
        let link = self.link(id)?;
        let (source, target) = (self.volume(link.source)?, self.volume(link.target)?);
        let total = source.pages();
        let changed = self.changed_apart(&source, &target).min(total);
        Some(Difference { lack: self.lack(id)?, changed, total })
    }

    fn busy(&self) -> Vec<LinkId> {
        self.fetching()
    }

    fn copy(&self, links: &[(LinkId, u64)]) -> Result<Vec<Swept>, StoreError> {
        Ok(self.fetch_some(links))
    }

    fn tidy(&self) -> Result<bool, StoreError> {
        Ok(self.reclaim()? || self.mind_ties()?)
    }

    fn fold(&self) -> Result<bool, StoreError> {
        Self::fold(self)
    }

    fn punch(&self) {
        Self::pools(self).values().for_each(|pool| pool.punch());
    }

    fn scrub(&self) -> Result<Vec<Damage>, StoreError> {
        Self::scrub(self)
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
    /// How many pages two volumes have changed since they held the same, from the counts that the
    /// heads keep.
    fn changed_apart(&self, source: &Arc<Volume>, target: &Arc<Volume>) -> u64 {
        let total = source.pages();
        let held = |volume: &Arc<Volume>| {
            let root = super::data::climb(volume).pop()?;
            let holds = root.gate.read().unwrap_or_else(PoisonError::into_inner);
            holds.head().cloned().map(|head| (head, holds.tether.clone()))
        };
        let (Some((from, _)), Some((to, tether))) = (held(source), held(target)) else {
            return 0;
        };
        if from.branch == to.branch {
            return 0;
        }
        let fork_of = |branch| {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.get(branch).and_then(|row| row.parent)
        };
        let since = |head: &Head, fork: Option<(BranchId, Generation)>| {
            let (_, at) = fork.filter(|(parent, _)| *parent == head.branch)?;
            head.changed_since(at)
        };
        let (own, theirs) = match tether.as_deref() {
            Some(Tether { origin, pin: Some(pin), .. }) => {
                let hidden = |volume: &Volume| {
                    let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
                    holds.head().map(|head| head.branch)
                };
                let own = since(&to, hidden(pin).and_then(fork_of));
                (own, since(&from, hidden(origin).and_then(fork_of)))
            }
            _ => {
                let fork = fork_of(to.branch);
                (fork.and_then(|(_, at)| to.changed_since(at)), since(&from, fork))
            }
        };
        own.unwrap_or(0) + theirs.unwrap_or(total)
    }
}
