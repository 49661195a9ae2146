//! What a storage system consists of: its name plate, pools, LDEVs and LUN paths.

use std::collections::HashMap;

use model::{Blocks, Emulation, LdevId, LuPath, Serial};
use serde::{Deserialize, Serialize};

use crate::{
    hosts::groups::{HostGroup, Portal},
    labels::Labels,
    store::{Records, Row, StoreError, Table},
    users::Authority,
};

/// The name plate; record 0 of table `head`, postcard, fields in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Serial number.
    pub serial: Serial,
    /// Model name, such as `9980V`; at most 32 characters.
    pub model: String,
    /// Microcode version, such as `21-14-02/00`; at most 32 characters.
    pub microcode: String,
    /// Cache in MB.
    pub cache_mb: u32,
    /// Where the IPCMD command device listens, such as `127.0.0.1:31001`.
    pub listen: String,
}

/// One LDEV; record in table `ldevs` under its number, postcard, fields in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ldev {
    /// Its size.
    pub size: Blocks,
    /// Its emulation type.
    pub emulation: Emulation,
    /// Whether it is a command device.
    pub command_device: bool,
    /// The pool that its pages are in.
    pub pool: u16,
}

impl Ldev {
    /// Its record.
    #[must_use]
    pub fn row(&self, ldev: LdevId) -> Row {
        Row::put(Table::Ldevs, ldev.get().into(), protocol::codec::encode(self))
    }
}

/// A pool as it is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPlan {
    /// Its number.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// Percent of its pages from which on it counts as short of space.
    pub threshold: u8,
    /// Its files and devices.
    pub members: Vec<MemberPlan>,
}

/// A file or block device of a pool to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlan {
    /// Relative to the array directory, or absolute.
    pub path: String,
    /// Bytes; `None` for a block device, which is taken whole.
    pub bytes: Option<u64>,
    /// Whether its space is reserved at once.
    pub preallocate: bool,
}

/// A storage system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Its name plate.
    pub head: Head,
    /// Its pools; empty when it was read back, for they are the store's.
    pub pools: Vec<PoolPlan>,
    /// Its LDEVs.
    pub ldevs: HashMap<LdevId, Ldev>,
    /// Its LUN paths in ascending order, host group 0 written as none.
    pub paths: Vec<(LuPath, LdevId)>,
    /// Where it listens for iSCSI, if it does.
    pub portal: Option<Portal>,
    /// Its host groups.
    pub groups: Vec<HostGroup>,
    /// SSIDs and RAID groups, as hosts are told.
    pub labels: Labels,
    /// Who may give orders.
    pub authority: Authority,
}

impl Inventory {
    /// Its records.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        use protocol::codec::encode;
        let head = Row::put(Table::Head, 0, encode(&self.head));
        let ldevs = self.ldevs.iter().map(|(id, ldev)| ldev.row(*id));
        let paths = (0..).zip(&self.paths).map(|(n, path)| Row::put(Table::Paths, n, encode(path)));
        let portal = self.portal.iter();
        let portal = portal.map(|portal| Row::put(Table::Head, Portal::KEY, encode(portal)));
        let groups = HostGroup::rows(&self.groups);
        let labels = Row::put(Table::Head, Labels::KEY, encode(&self.labels));
        let authority = Row::put(Table::Head, Authority::KEY, encode(&self.authority));
        let head = [head, labels, authority].into_iter();
        head.chain(ldevs).chain(paths).chain(portal).chain(groups)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a record is missing or is none.
    pub fn load(records: &Records) -> Result<Self, StoreError> {
        use protocol::codec::decode;
        let bad = |table, key| records.damaged(table, key, "it is not such a record");
        let heads = records.load(Table::Head)?;
        let head = heads
            .first()
            .and_then(|(_, bytes)| decode::<Head>(bytes).ok())
            .ok_or_else(|| bad(Table::Head, 0))?;
        let mut ldevs = HashMap::new();
        for (key, bytes) in records.load(Table::Ldevs)? {
            let id = u32::try_from(key).ok().and_then(LdevId::new);
            let ldev = id.zip(decode::<Ldev>(&bytes).ok());
            let (id, ldev) = ldev.ok_or_else(|| bad(Table::Ldevs, key))?;
            ldevs.insert(id, ldev);
        }
        let mut paths = Vec::new();
        for (key, bytes) in records.load(Table::Paths)? {
            let path = decode::<(LuPath, LdevId)>(&bytes)
                .ok()
                .filter(|(_, ldev)| ldevs.contains_key(ldev));
            paths.push(path.ok_or_else(|| bad(Table::Paths, key))?);
        }
        let portal = heads.iter().find(|(key, _)| *key == Portal::KEY);
        let portal = portal
            .map(|(key, bytes)| decode(bytes).map_err(|_| bad(Table::Head, *key)))
            .transpose()?;
        let labels = heads.iter().find(|(key, _)| *key == Labels::KEY);
        let labels = labels
            .map(|(key, bytes)| decode(bytes).map_err(|_| bad(Table::Head, *key)))
            .transpose()?
            .unwrap_or_default();
        let groups = HostGroup::load_all(records)?;
        let authority = heads.iter().find(|(key, _)| *key == Authority::KEY);
        let authority = authority
            .map(|(key, bytes)| decode(bytes).map_err(|_| bad(Table::Head, *key)))
            .transpose()?
            .unwrap_or_default();
        Ok(Self { head, pools: Vec::new(), ldevs, paths, portal, groups, labels, authority })
    }
}
