//! The logical units that an initiator sees through a port.

use std::{collections::HashMap, sync::Arc};

use model::{LdevId, LuPath, PortName};
use scsi::medium::{Inventory, Medium};

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
}

impl Inventory for PortUnits {
    fn epoch(&self) -> u64 {
        self.media.array.epoch()
    }

    fn units(&self, initiator: &str) -> Vec<(u16, u32)> {
        let array = &self.media.array;
        let Some(group) = group_of(array.host_groups(), self.port, initiator) else {
            return Vec::new();
        };
        let paths = array.lu_paths(self.port, group.number);
        number(paths).map(|(lun, ldev)| (lun, ldev.get())).collect()
    }

    fn medium(&self, ldev: u32) -> Option<Arc<dyn Medium>> {
        self.media.of(LdevId::new(ldev)?)
    }
}

/// Numbers the units of a host group. iSCSI has one target a port: under the first target id a
/// unit has its own LUN, under each further one the LUNs go on where those before it end.
fn number(paths: impl Iterator<Item = (LuPath, LdevId)>) -> impl Iterator<Item = (u16, LdevId)> {
    let (mut target, mut base, mut next) = (None, 0u16, 0u16);
    paths.filter_map(move |(path, ldev)| {
        if target.replace(path.target) != Some(path.target) {
            base = next;
        }
        let lun = base.checked_add(path.lun.get()).filter(|lun| *lun < 0x4000)?;
        next = lun + 1;
        Some((lun, ldev))
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
            number(paths.into_iter().zip(ldevs)).map(|(lun, ldev)| (lun, ldev.get())).collect();
        assert_eq!(numbered, [(0, 1), (7, 2), (8, 3), (10, 4), (12, 5)]);
    }
}
