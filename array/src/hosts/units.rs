//! The logical units that an initiator sees through a port.

use std::{collections::HashMap, sync::Arc};

use model::{LdevId, LuPath, PortName};
use scsi::medium::{Inventory, Medium, Place};

use super::{
    groups::group_of,
    mailbox::{Mailbox, MailboxMedium},
    medium::LdevMedium,
    queue::Queues,
};
use crate::array::Array;

/// What is behind the LDEVs of an array; the same for all ports.
pub(super) struct Media {
    array: Arc<Array>,
    queues: Arc<Queues>,
    mailboxes: HashMap<LdevId, Arc<Mailbox>>,
}

impl Media {
    /// Data volumes through the queues, command devices as mailboxes.
    pub(super) const fn new(
        array: Arc<Array>,
        queues: Arc<Queues>,
        mailboxes: HashMap<LdevId, Arc<Mailbox>>,
    ) -> Self {
        Self { array, queues, mailboxes }
    }

    fn of(&self, ldev: LdevId) -> Option<Arc<dyn Medium>> {
        if let Some(mailbox) = self.mailboxes.get(&ldev) {
            return Some(Arc::new(MailboxMedium(Arc::clone(mailbox))));
        }
        self.array.ldev(ldev)?;
        Some(Arc::new(LdevMedium::new(Arc::clone(&self.array), Arc::clone(&self.queues), ldev)))
    }
}

/// One port of an array, for the device server.
pub(super) struct PortUnits {
    media: Arc<Media>,
    port: PortName,
}

impl PortUnits {
    /// The port of an array.
    pub(super) const fn new(media: Arc<Media>, port: PortName) -> Self {
        Self { media, port }
    }

    /// The units of an initiator with their numbers and paths.
    fn numbered(&self, initiator: &str) -> impl Iterator<Item = (u16, LuPath, LdevId)> + '_ {
        let array = &self.media.array;
        let group = group_of(array.host_groups(), self.port, initiator);
        let paths = group.into_iter().flat_map(|group| array.lu_paths(self.port, group.number));
        number(paths)
    }
}

impl Inventory for PortUnits {
    fn epoch(&self) -> u64 {
        self.media.array.epoch()
    }

    fn units(&self, initiator: &str) -> Vec<(u16, u32)> {
        self.numbered(initiator).map(|(lun, _, ldev)| (lun, ldev.get())).collect()
    }

    fn place(&self, initiator: &str, lun: u16) -> Place {
        let group = group_of(self.media.array.host_groups(), self.port, initiator);
        let path = self.numbered(initiator).find(|(number, ..)| *number == lun);
        Place {
            target: path.map(|(_, path, _)| path.target),
            lun: path.map(|(_, path, _)| path.lun),
            host_group: group.map(|group| group.number),
        }
    }

    fn medium(&self, ldev: u32) -> Option<Arc<dyn Medium>> {
        self.media.of(LdevId::new(ldev)?)
    }
}

/// Numbers the units of a host group. iSCSI has one target a port: under the first target id a
/// unit has its own LUN, under each further one the LUNs go on where those before it end.
fn number(
    paths: impl Iterator<Item = (LuPath, LdevId)>,
) -> impl Iterator<Item = (u16, LuPath, LdevId)> {
    let (mut target, mut base, mut next) = (None, 0u16, 0u16);
    paths.filter_map(move |(path, ldev)| {
        if target.replace(path.target) != Some(path.target) {
            base = next;
        }
        let lun = base.checked_add(path.lun.get()).filter(|lun| *lun < 0x4000)?;
        next = lun + 1;
        Some((lun, path, ldev))
    })
}

#[cfg(test)]
mod tests {
    use model::{Lun, TargetId};

    use super::*;

    #[test]
    fn units_keep_their_luns_and_further_target_ids_follow() {
        let path = |target, lun| LuPath {
            port: "CL2-C".parse().unwrap(),
            target: TargetId::new(target).unwrap(),
            lun: Lun::new(lun).unwrap(),
        };
        let paths = [path(3, 0), path(3, 7), path(4, 0), path(4, 2), path(9, 1)];
        let ldevs = (1..).filter_map(LdevId::new);
        let numbered: Vec<(u16, u32)> =
            number(paths.into_iter().zip(ldevs)).map(|(lun, _, ldev)| (lun, ldev.get())).collect();
        assert_eq!(numbered, [(0, 1), (7, 2), (8, 3), (10, 4), (12, 5)]);
    }
}
