//! Copies between pools: what a volume with a tether still has to fetch, and fetching it.
//!
//! A tether fills a branch of its volume from an *origin*: a hidden volume, forked from the source
//! in the source's pool, so that what is fetched is of one instant. While the volume follows its
//! source, nobody reads that branch; once it is fixed, the branch is what it holds, and what is
//! lacking is read from the origin. A *pin* is a hidden fork of the branch at the instant at which
//! it was fixed. Both stay while the pair does: what either side changes after them, and nothing
//! else, is fetched when the target follows again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use super::{
    LinkId, StoreError, Swept,
    branches::BranchId,
    data::climb,
    engine::{PoolStore, lock},
    leaf::{Generation, LEAF, PAGE},
    volume::{Content, Tether, Todo, Volume, VolumeNumber},
};

/// Bytes that one step fetches.
const STEP: u64 = 4 << 20;

/// The part of a volume that may change before what follows it catches up.
const BEHIND: u64 = 8;

/// What a tether has to fetch, as an order knows it before its instant.
#[derive(Clone)]
pub(super) enum Owed {
    Nothing,
    Some {
        /// What this one has still to fetch.
        left: Option<Arc<Tether>>,
        /// What these branches have changed after these generations.
        since: Vec<(BranchId, Generation)>,
    },
    All,
}

impl Owed {
    /// What a tether has still to fetch.
    pub fn of(tether: &Arc<Tether>) -> Self {
        Self::Some { left: Some(Arc::clone(tether)), since: Vec::new() }
    }

    /// And what `branch` has changed since a hidden volume was forked from it; all, if that was
    /// forked from another one.
    pub fn and_since(self, store: &PoolStore, branch: BranchId, point: VolumeNumber) -> Self {
        let fork = store.volume(point).and_then(|point| {
            let head = {
                let holds = point.gate.read().unwrap_or_else(PoisonError::into_inner);
                holds.head()?.branch
            };
            let branches = store.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.get(head)?.parent
        });
        let Some((_, mark)) = fork.filter(|(parent, _)| *parent == branch) else {
            return Self::All;
        };
        match self {
            Self::All => Self::All,
            Self::Nothing => Self::Some { left: None, since: vec![(branch, mark)] },
            Self::Some { left, mut since } => {
                since.push((branch, mark));
                Self::Some { left, since }
            }
        }
    }
}

/// What came of fetching.
struct Fetched {
    /// The page to go on at, if there may be more.
    next: Option<u64>,
    moved: u64,
    /// The page that could not be fetched.
    failed: Option<(u64, StoreError)>,
}

impl PoolStore {
    /// What is owed as of an instant, for a volume of so many pages. The records are up to date,
    /// and the gate of the volume is closed.
    pub(super) fn owed(
        &self,
        owed: &Owed,
        pages: u64,
        instant: Generation,
    ) -> Result<Todo, StoreError> {
        let (left, since) = match owed {
            Owed::Nothing => return Ok(Todo::none(pages)),
            Owed::All => return Ok(Todo::all(pages)),
            Owed::Some { left, since } => (left, since),
        };
        let mut todo = left.as_ref().map_or_else(|| Todo::none(pages), |t| lock(&t.todo).clone());
        for (branch, mark) in since {
            let changed = self.records.changed(*branch, (mark + 1, 0), instant, usize::MAX)?;
            let leaves: BTreeSet<u32> = changed.into_iter().map(|(_, leaf)| leaf).collect();
            for leaf in leaves {
                let Some((_, found)) = self.records.leaf(*branch, leaf, instant)? else {
                    continue;
                };
                let first = u64::from(leaf) * LEAF as u64;
                for (page, entry) in (first..pages).zip(found.entries.iter()) {
                    if entry.birth() > *mark {
                        todo.put(page, true);
                    }
                }
            }
        }
        Ok(todo)
    }

    /// Notes whether a volume has a tether.
    pub(super) fn note_tie(&self, number: VolumeNumber, tied: bool) {
        let mut ties = lock(&self.ties);
        if tied {
            ties.insert(number);
        } else {
            ties.remove(&number);
        }
    }

    /// How many pages a volume has still to fetch.
    pub(super) fn lacks(&self, number: VolumeNumber) -> u64 {
        if !lock(&self.ties).contains(&number) {
            return 0;
        }
        let tether = self.volume(number).and_then(|volume| tether_of(&volume));
        tether.map_or(0, |tether| lock(&tether.todo).count())
    }

    /// Links whose volumes have something to fetch.
    pub(super) fn fetching(&self) -> Vec<LinkId> {
        if lock(&self.ties).is_empty() {
            return Vec::new();
        }
        let links: Vec<_> = {
            let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
            links.iter().map(|(id, link)| (*id, *link)).collect()
        };
        let busy = links
            .into_iter()
            .filter(|(_, link)| self.lacks(link.target) + self.lacks(link.source) > 0);
        busy.map(|(id, _)| id).collect()
    }

    /// Fetches some of what the volumes of links lack, each from the given page on.
    pub(super) fn fetch_some(&self, links: &[(LinkId, u64)]) -> Vec<Swept> {
        let share = (STEP / links.len().max(1) as u64).max(PAGE as u64);
        let sweep = |(link, from): &(LinkId, u64)| {
            let done = Swept { link: *link, next: None, moved: 0, failed: None };
            let Some(known) = self.link(*link) else {
                return done;
            };
            // Restoring the source comes first: hosts wait for it.
            let source = self.lacks(known.source) > 0;
            let number = if source { known.source } else { known.target };
            let Fetched { next, moved, failed } = self.fetch_from(number, *from, share);
            Swept { next, moved, failed: failed.map(|(_, error)| error), ..done }
        };
        links.iter().map(sweep).collect()
    }

    /// Fetches up to `bytes` from page `from` on.
    fn fetch_from(&self, number: VolumeNumber, from: u64, bytes: u64) -> Fetched {
        let mut done = Fetched { next: None, moved: 0, failed: None };
        let Some(volume) = self.volume(number) else {
            return done;
        };
        let mut at = from;
        while done.moved < bytes {
            // The gate is taken anew for each page, so that no order waits long for it.
            let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
            let Some(tether) = holds.tether.clone() else {
                return done;
            };
            let Some(page) = lock(&tether.todo).next(at) else {
                return done;
            };
            let fetched = {
                let stripe = volume.stripe(page).write().unwrap_or_else(PoisonError::into_inner);
                let lacking = lock(&tether.todo).has(page);
                let fetched =
                    if lacking { self.fetch_page(&volume, &tether, page) } else { Ok(()) };
                drop(stripe);
                fetched
            };
            drop(holds);
            let fetched = match fetched {
                Err(StoreError::Full(pool)) => match self.reclaim_for(pool) {
                    Ok(true) => {
                        at = page;
                        continue;
                    }
                    Ok(false) => Err(StoreError::Full(pool)),
                    Err(error) => Err(error),
                },
                other => other,
            };
            if let Err(error) = fetched {
                done.failed = Some((page, error));
                return done;
            }
            at = page + 1;
            done.moved += PAGE as u64;
        }
        done.next = Some(at);
        done
    }

    /// Fetches some of what volumes lack whose pair is gone, and cuts tethers that nobody needs;
    /// whether there is more to do at once. What cannot be fetched now is tried again later.
    pub(super) fn mind_ties(&self) -> Result<bool, StoreError> {
        let ties: Vec<VolumeNumber> = lock(&self.ties).iter().copied().collect();
        if ties.is_empty() {
            return Ok(false);
        }
        let (targets, sources): (BTreeMap<VolumeNumber, LinkId>, BTreeSet<VolumeNumber>) = {
            let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
            links.iter().map(|(id, link)| ((link.target, *id), link.source)).unzip()
        };
        let mut more = false;
        for number in ties {
            // A target's tether says what changed; the copy job minds it, and that of a source.
            let done = if let Some(link) = targets.get(&number) {
                if self.is_far_behind(number) { self.renew(*link) } else { Ok(()) }
            } else if self.lacks(number) == 0 {
                // What its hidden volumes kept is in doubt now.
                more = true;
                self.untie(number)
            } else if sources.contains(&number) {
                Ok(())
            } else {
                let (moved, done) = self.fetch_what_can_be(number);
                more |= moved;
                done
            };
            match done {
                Err(error @ StoreError::Failed(_)) => return Err(error),
                Err(error) => {
                    log::warn!("LDEV {number}, which takes bytes from another pool: {error}");
                }
                Ok(()) => {}
            }
        }
        Ok(more)
    }

    /// Fetches a step's worth, passing over what the origin does not give; whether anything was
    /// moved, and the last failure.
    fn fetch_what_can_be(&self, number: VolumeNumber) -> (bool, Result<(), StoreError>) {
        let (mut at, mut moved, mut last) = (0, 0, Ok(()));
        while moved < STEP {
            let done = self.fetch_from(number, at, STEP - moved);
            moved += done.moved;
            match (done.next, done.failed) {
                (_, Some((_, error @ (StoreError::Full(_) | StoreError::Failed(_))))) => {
                    return (moved > 0, Err(error));
                }
                (_, Some((page, error))) => (at, last) = (page + 1, Err(error)),
                (Some(next), None) => at = next,
                (None, None) => break,
            }
        }
        (moved > 0, last)
    }

    /// Whether a volume follows whose source has changed much since the point in time that was
    /// copied last. A new one lets go of the pages that the old one keeps.
    pub(super) fn is_far_behind(&self, number: VolumeNumber) -> bool {
        let Some(volume) = self.volume(number) else {
            return false;
        };
        let origin = {
            let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner);
            match (&holds.tether, &holds.content) {
                (Some(tether), Content::Alias(_)) if lock(&tether.todo).count() == 0 => {
                    Arc::clone(&tether.origin)
                }
                _ => return false,
            }
        };
        // Not behind its gate: an order may wait for that, and keep the next one closed.
        let source = climb(&volume).pop();
        let head = |volume: &Volume| {
            volume.gate.read().unwrap_or_else(PoisonError::into_inner).head().cloned()
        };
        let Some((origin, head)) = head(&origin).zip(source.as_deref().and_then(head)) else {
            return false;
        };
        if source.is_some_and(|source| self.lacks(source.number) > 0) {
            return false;
        }
        let fork = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.get(origin.branch).and_then(|row| row.parent)
        };
        match fork.filter(|(parent, _)| *parent == head.branch) {
            Some((_, mark)) => {
                head.changed_since(mark).is_some_and(|pages| pages > volume.pages() / BEHIND)
            }
            None => true,
        }
    }
}

fn tether_of(volume: &Volume) -> Option<Arc<Tether>> {
    volume.gate.read().unwrap_or_else(PoisonError::into_inner).tether.clone()
}
