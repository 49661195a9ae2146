//! What hosts are told of where an LDEV is: SSIDs and RAID groups. They decide nothing here; scripts
//! read them (`inqraid`), so the description says what an array answers.

use std::collections::BTreeMap;

use model::LdevId;
use serde::{Deserialize, Serialize};

use crate::inventory::Ldev;

/// LDEVs of one SSID.
const LDEVS_OF_SSID: u32 = 256;
/// The longest text of a RAID group, as VPD page C0h takes it.
pub const LONGEST: usize = 8;

/// SSIDs and RAID groups; record 4 of table `head`, postcard, fields in order. Where there is no
/// such record, the defaults hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The SSID of LDEVs 0 to 255; each further 256 have the next.
    pub ssid: u16,
    /// RAID groups by pool, such as `5:01-04`, 1 to [`LONGEST`] printable characters; pools that
    /// are not among them show as `A:` and their number.
    pub raid_groups: BTreeMap<u16, String>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { ssid: 4, raid_groups: BTreeMap::new() }
    }
}

impl Labels {
    /// Its key in table `head`.
    pub const KEY: u64 = 4;

    /// The SSID of an LDEV.
    #[must_use]
    pub fn ssid(&self, ldev: LdevId) -> u16 {
        let further = u16::try_from(ldev.get() / LDEVS_OF_SSID).unwrap_or(0);
        self.ssid.wrapping_add(further)
    }

    /// The RAID group of an LDEV.
    #[must_use]
    pub fn raid_group(&self, ldev: &Ldev) -> String {
        let named = self.raid_groups.get(&ldev.pool).cloned();
        named.unwrap_or_else(|| format!("A:{:05}", ldev.pool))
    }
}
