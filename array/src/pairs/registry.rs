//! All pairs of the array, in memory; their records are written with every change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{LdevId, MuNumber};
use protocol::orders::LocalEnd;

use super::pair::{Pair, SHADOWS, is_mirror};
use crate::store::LinkId;

/// All pairs, by number and by end.
#[derive(Debug, Default)]
pub struct Registry {
    pairs: BTreeMap<LinkId, Pair>,
    ends: BTreeMap<LocalEnd, LinkId>,
    /// Pairs in a phase that ends by itself.
    moving: BTreeSet<LinkId>,
    groups: HashMap<u16, usize>,
}

impl Registry {
    /// The pair of this number.
    #[must_use]
    pub fn get(&self, id: LinkId) -> Option<&Pair> {
        self.pairs.get(&id)
    }

    /// The pair that has this end.
    #[must_use]
    pub fn at(&self, end: LocalEnd) -> Option<(LinkId, &Pair)> {
        let id = *self.ends.get(&end)?;
        Some((id, self.pairs.get(&id)?))
    }

    /// The pairs that a volume takes part in, MU# 0 first.
    pub fn of(&self, ldev: LdevId) -> impl Iterator<Item = (LinkId, &Pair)> {
        let first = LocalEnd { ldev, mu: MuNumber::default() };
        let from = self.ends.range(first..);
        let ends = from.take_while(move |(end, _)| end.ldev == ldev);
        ends.filter_map(|(_, id)| Some((*id, self.pairs.get(id)?)))
    }

    /// How many mirrors of a volume a display shows: those of ShadowImage, and on to the last
    /// that is paired.
    #[must_use]
    pub fn shown_mirrors(&self, ldev: LdevId) -> u16 {
        let first = LocalEnd { ldev, mu: MuNumber::default() };
        let from = self.ends.range(first..);
        let last = from.take_while(|(end, _)| end.ldev == ldev).last();
        last.map_or(SHADOWS, |(end, _)| SHADOWS.max(end.mu.get() + 1))
    }

    /// The pair whose S-VOL the volume is.
    #[must_use]
    pub fn as_svol(&self, ldev: LdevId) -> Option<(LinkId, &Pair)> {
        self.of(ldev).find(|(_, pair)| pair.secondary.ldev == ldev)
    }

    /// The pairs whose P-VOL the volume is.
    pub fn as_pvol(&self, ldev: LdevId) -> impl Iterator<Item = (LinkId, &Pair)> {
        self.of(ldev).filter(move |(_, pair)| pair.primary.ldev == ldev)
    }

    /// Every pair in the order of numbers.
    pub fn iter(&self) -> impl Iterator<Item = (LinkId, &Pair)> {
        self.pairs.iter().map(|(id, pair)| (*id, pair))
    }

    /// Pairs in a phase that ends by itself.
    #[must_use]
    pub const fn moving(&self) -> &BTreeSet<LinkId> {
        &self.moving
    }

    /// How many pairs a consistency group has.
    #[must_use]
    pub fn group_size(&self, ctg: u16) -> usize {
        self.groups.get(&ctg).copied().unwrap_or(0)
    }

    /// The number after the largest in use.
    #[must_use]
    pub fn next_id(&self) -> LinkId {
        LinkId(self.pairs.last_key_value().map_or(0, |(id, _)| id.0 + 1))
    }

    /// Puts a pair in or in place of its older self; `None` takes it out.
    pub fn put(&mut self, id: LinkId, pair: Option<Pair>) {
        if let Some(old) = self.pairs.remove(&id) {
            self.ends.remove(&old.primary);
            self.ends.remove(&old.secondary);
            self.moving.remove(&id);
            if let Some(size) = old.ctg.and_then(|ctg| self.groups.get_mut(&ctg)) {
                *size -= 1;
            }
        }
        if let Some(pair) = pair {
            self.ends.insert(pair.primary, id);
            self.ends.insert(pair.secondary, id);
            if pair.phase.settled().is_some() {
                self.moving.insert(id);
            }
            if let Some(ctg) = pair.ctg {
                *self.groups.entry(ctg).or_default() += 1;
            }
            self.pairs.insert(id, pair);
        }
    }

    /// What contradicts itself among the pairs, if anything does: an end in two pairs, a volume
    /// that is the S-VOL of two, a circle. `has` tells which LDEVs there are.
    #[must_use]
    pub fn contradiction(&self, has: impl Fn(LdevId) -> bool) -> Option<(LinkId, String)> {
        let mut ends = HashMap::new();
        let mut targets = HashMap::new();
        for (id, pair) in &self.pairs {
            for end in [pair.primary, pair.secondary] {
                if !has(end.ldev) {
                    return Some((*id, format!("LDEV {} does not exist", end.ldev)));
                }
                if !is_mirror(end.mu, pair.snapshot.is_some()) {
                    return Some((*id, format!("MU# {} does not exist", end.mu)));
                }
                if let Some(other) = ends.insert(end, *id) {
                    let what = format!("LDEV {} MU# {} is in pair {}", end.ldev, end.mu, other.0);
                    return Some((*id, what));
                }
            }
            if pair.primary.ldev == pair.secondary.ldev {
                return Some((*id, format!("LDEV {} is its own copy", pair.primary.ldev)));
            }
            if targets.insert(pair.secondary.ldev, pair.primary.ldev).is_some() {
                let what = format!("LDEV {} is the S-VOL of two pairs", pair.secondary.ldev);
                return Some((*id, what));
            }
        }
        self.pairs.iter().find_map(|(id, pair)| {
            let above = targets.get(&pair.primary.ldev)?;
            let top = targets.get(above);
            top.is_some()
                .then(|| (*id, format!("LDEV {} is below the second layer", pair.secondary.ldev)))
        })
    }
}
