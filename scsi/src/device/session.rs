//! A session: an I_T nexus while it lasts, and what it has seen of the inventory.
//!
//! Nothing is pushed to it. With each command it looks whether the inventory's epoch is still that
//! of its last look; if not, it looks again, and the difference becomes unit attentions.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{persistent::Path, units::LogicalUnits};
use crate::{
    medium::{Identity, Inventory},
    nexus::Nexus,
    sense::Sense,
};

/// An I_T nexus.
#[derive(Debug)]
pub struct Session {
    pub(super) id: u64,
    path: Path,
    seen: Mutex<Seen>,
}

/// What was seen last.
#[derive(Debug)]
struct Seen {
    epoch: u64,
    units: BTreeMap<u16, Look>,
}

/// What was seen of a logical unit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    ldev: u32,
    identity: Identity,
    /// As hosts are told.
    blocks: u64,
    hidden: bool,
    unwritable: bool,
}

impl Session {
    pub(super) fn new(nexus: Nexus, id: u64, inventory: &dyn Inventory) -> Self {
        let path = Path { initiator: nexus.initiator, port: nexus.target.relative };
        // The epoch first: what changes in between is seen again.
        let epoch = inventory.epoch();
        let units = look(inventory, &path.initiator.name);
        Self { id, path, seen: Mutex::new(Seen { epoch, units }) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who it is to reservations.
    pub(super) const fn path(&self) -> &Path {
        &self.path
    }

    /// The LDEV of a LUN, hidden or not.
    pub(super) fn ldev(&self, lun: u16) -> Option<u32> {
        self.seen().units.get(&lun).map(|look| look.ldev)
    }

    /// The LUNs that do not hide.
    pub(super) fn luns(&self) -> Vec<u16> {
        let seen = self.seen();
        seen.units.iter().filter(|(_, look)| !look.hidden).map(|(lun, _)| *lun).collect()
    }

    /// All LDEVs behind it.
    pub(super) fn ldevs(&self) -> Vec<u32> {
        self.seen().units.values().map(|look| look.ldev).collect()
    }

    /// Looks again where something may have changed.
    pub(super) fn refresh(&self, inventory: &dyn Inventory, units: &LogicalUnits) {
        let mut seen = self.seen();
        let epoch = inventory.epoch();
        if epoch == seen.epoch {
            return;
        }
        let now = look(inventory, &self.path.initiator.name);
        for ldev in seen.units.values().map(|look| look.ldev) {
            if inventory.medium(ldev).is_none() {
                units.forget(ldev);
            }
        }
        for (lun, sense) in differences(&seen.units, &now) {
            let ldev = now[&lun].ldev;
            if let Some(medium) = inventory.medium(ldev) {
                let unit = units.unit(ldev, medium.as_ref());
                unit.state().nexus(self).attentions.push(sense);
            }
        }
        *seen = Seen { epoch, units: now };
    }
}

fn look(inventory: &dyn Inventory, initiator: &str) -> BTreeMap<u16, Look> {
    let units = inventory.units(initiator);
    let looks = units.into_iter().filter_map(|(lun, ldev)| {
        let medium = inventory.medium(ldev)?;
        let access = medium.access();
        let blocks = if access.sizeless { 0 } else { medium.blocks() };
        let (hidden, unwritable) = (access.hidden, access.unwritable);
        Some((lun, Look { ldev, identity: medium.identity(), blocks, hidden, unwritable }))
    });
    looks.collect()
}

/// What a nexus is to learn, and about which LUNs: only of those that are there now.
fn differences(before: &BTreeMap<u16, Look>, now: &BTreeMap<u16, Look>) -> Vec<(u16, Sense)> {
    let visible = |units: &BTreeMap<u16, Look>| -> Vec<(u16, u32)> {
        let those = units.iter().filter(|(_, look)| !look.hidden);
        those.map(|(lun, look)| (*lun, look.ldev)).collect()
    };
    let other_luns = visible(before) != visible(now);
    let mut all = Vec::new();
    for (lun, look) in now.iter().filter(|(_, look)| !look.hidden) {
        let old = before.get(lun);
        let new = |is_new: fn(&Look, &Look) -> bool| old.is_some_and(|old| is_new(old, look));
        for (changed, sense) in [
            (other_luns, Sense::LUNS_CHANGED),
            (
                new(|old, look| (old.hidden, &old.identity) != (look.hidden, &look.identity)),
                Sense::INQUIRY_CHANGED,
            ),
            (new(|old, look| old.blocks != look.blocks), Sense::CAPACITY_CHANGED),
            // The WP bit of MODE SENSE.
            (new(|old, look| old.unwritable != look.unwritable), Sense::MODE_CHANGED),
        ] {
            if changed {
                all.push((*lun, sense));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(ldev: u32) -> Look {
        let (product, revision) = ("OPEN-V".to_owned(), "2114".to_owned());
        let identity = Identity { serial: 62_496, ldev, product, revision, thin: true };
        Look { ldev, identity, blocks: 100, hidden: false, unwritable: false }
    }

    #[test]
    fn each_difference_becomes_its_own_attention_on_the_units_it_concerns() {
        let before = BTreeMap::from([(0, some(1)), (1, some(2)), (2, some(3))]);
        let after = |change: fn(&mut BTreeMap<u16, Look>)| {
            let mut now = before.clone();
            change(&mut now);
            differences(&before, &now)
        };
        assert_eq!(after(|_| ()), []);
        let grown = after(|now| now.get_mut(&1).unwrap().blocks = 200);
        assert_eq!(grown, [(1, Sense::CAPACITY_CHANGED)]);
        let guarded = after(|now| now.get_mut(&2).unwrap().unwritable = true);
        assert_eq!(guarded, [(2, Sense::MODE_CHANGED)]);
        let renamed = after(|now| now.get_mut(&0).unwrap().identity.product = "OPEN-0V".into());
        assert_eq!(renamed, [(0, Sense::INQUIRY_CHANGED)]);
        let rest = [(0, Sense::LUNS_CHANGED), (2, Sense::LUNS_CHANGED)];
        assert_eq!(after(|now| now.get_mut(&1).unwrap().hidden = true), rest);
        assert_eq!(after(|now| drop(now.remove(&1))), rest);
        let swapped = after(|now| {
            now.insert(1, some(9));
        });
        let about_it: Vec<_> = swapped.iter().filter(|(lun, _)| *lun == 1).collect();
        assert_eq!(about_it, [&(1, Sense::LUNS_CHANGED), &(1, Sense::INQUIRY_CHANGED)]);
        assert_eq!(swapped.len(), 4);
    }
}
