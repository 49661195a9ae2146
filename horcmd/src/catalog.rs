//! The configuration as the daemon works with it: groups and their volumes, compact enough for
//! 65,536 volumes, and what the storage systems said about them.
//!
//! What a volume is, is found out once and never changes while the daemon runs: a configuration
//! is read at start only (`cci` 1.1).

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use confparse::{Address, Config, Mirror};
use model::{CciError, Code, DevName, GroupName, LuPath, MuNumber, PairEnd, VolumeId};

/// Every group of the configuration.
#[derive(Debug, Default)]
pub struct Catalog {
    groups: Vec<Group>,
    by_name: HashMap<GroupName, usize>,
}

/// One `dev_group`.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its volumes in the order of the file.
    pub members: Vec<Member>,
    /// Positions in `members`, sorted by name.
    by_name: Vec<u32>,
    /// Where its remote instance listens: row numbers into the list of peers.
    pub remotes: Vec<u32>,
    /// Which of `remotes` is in use.
    pub remote_in_use: AtomicU32,
}

/// One volume of a group, as this instance sees it.
#[derive(Debug)]
pub struct Member {
    /// `dev_name`.
    pub name: DevName,
    /// The `MU#` column; empty is 0.
    pub mirror: Mirror,
    volume: OnceLock<VolumeId>,
    path: OnceLock<LuPath>,
    by_path: bool,
}

impl Member {
    fn new(name: DevName, at: Address, mirror: Option<Mirror>) -> Self {
        let (volume, path) = match at {
            Address::Ldev(volume) => (OnceLock::from(volume), OnceLock::new()),
            Address::Path(path) => (OnceLock::new(), OnceLock::from(path)),
        };
        Self {
            name,
            mirror: mirror.unwrap_or(Mirror::Local(MuNumber::default())),
            by_path: path.get().is_some(),
            volume,
            path,
        }
    }

    /// Which LDEV it is; `None` while no storage system has shown one at its path.
    #[must_use]
    pub fn volume(&self) -> Option<VolumeId> {
        self.volume.get().copied()
    }

    /// Its path: the configured one, or the first that leads to its LDEV.
    #[must_use]
    pub fn path(&self) -> Option<LuPath> {
        self.path.get().copied()
    }

    /// Whether it stands in `HORCM_DEV`.
    #[must_use]
    pub const fn by_path(&self) -> bool {
        self.by_path
    }

    /// The MU# as a plain number: `h1` is 1.
    #[must_use]
    pub fn mu(&self) -> MuNumber {
        match self.mirror {
            Mirror::Local(mu) => mu,
            Mirror::Remote(n) => MuNumber::new(n.into()).unwrap_or_default(),
        }
    }

    /// Notes the LDEV found at its path. The first finding stays.
    pub fn found_volume(&self, volume: VolumeId) {
        let _ = self.volume.set(volume);
    }

    /// Notes the path that leads to its LDEV. The first finding stays.
    pub fn found_path(&self, path: LuPath) {
        let _ = self.path.set(path);
    }
}

impl Catalog {
    /// Takes the groups out of a configuration. `remote_rows` gives, for each row of its
    /// `remotes`, the number of the peer.
    #[must_use]
    pub fn new(config: &mut Config, remote_rows: &[u32]) -> Self {
        let mut catalog = Self::default();
        for volume in std::mem::take(&mut config.volumes) {
            let group = catalog.group_named(volume.group);
            let member = Member::new(volume.name, volume.at, volume.mu);
            group.members.push(member);
        }
        for (remote, peer) in config.remotes.iter().zip(remote_rows) {
            if let Some(&group) = catalog.by_name.get(&remote.group) {
                catalog.groups[group].remotes.push(*peer);
            }
        }
        for group in &mut catalog.groups {
            group.members.shrink_to_fit();
            let count = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
            let members = &group.members;
            let mut order: Vec<u32> = (0..count).collect();
            order.sort_by(|a, b| members[*a as usize].name.cmp(&members[*b as usize].name));
            group.by_name = order;
        }
        catalog
    }

    fn group_named(&mut self, name: GroupName) -> &mut Group {
        // Rows of one group mostly stand together.
        let last = self.groups.len().wrapping_sub(1);
        let index = if self.groups.last().is_some_and(|group| group.name == name) {
            last
        } else if let Some(&index) = self.by_name.get(&name) {
            index
        } else {
            self.by_name.insert(name.clone(), self.groups.len());
            self.groups.push(Group {
                name,
                members: Vec::new(),
                by_name: Vec::new(),
                remotes: Vec::new(),
                remote_in_use: AtomicU32::new(0),
            });
            self.groups.len() - 1
        };
        &mut self.groups[index]
    }

    /// The groups in the order of the file.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group of that name.
    ///
    /// # Errors
    /// EX_ENOGRP.
    pub fn group(&self, name: &GroupName) -> Result<&Group, CciError> {
        let index = self.by_name.get(name).ok_or_else(|| {
            CciError::new(Code::ExEnogrp)
                .object(name.to_string())
                .cause("the configuration of this instance has no such dev_group")
                .advice("list the groups with raidqry -g, or correct HORCM_DEV or HORCM_LDEV")
        })?;
        Ok(&self.groups[*index])
    }

    /// Every volume of every group, in the order of the groups.
    pub fn members(&self) -> impl Iterator<Item = (&Group, &Member)> {
        let of_group = |group| Group::members_of(group).map(move |member| (group, member));
        self.groups.iter().flat_map(of_group)
    }
}

impl Group {
    fn members_of(group: &Self) -> impl Iterator<Item = &Member> {
        group.members.iter()
    }

    /// The position of the volume of that name.
    #[must_use]
    pub fn position(&self, name: &DevName) -> Option<usize> {
        let at = self.by_name.binary_search_by(|i| self.members[*i as usize].name.cmp(name));
        Some(self.by_name[at.ok()?] as usize)
    }

    /// The volumes of a range; what lies outside the group is left out.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> &[Member] {
        let end = range.end.min(self.members.len());
        &self.members[range.start.min(end)..end]
    }

    /// The number of the remote address in use, unless the group has none.
    #[must_use]
    pub fn remote(&self) -> Option<u32> {
        let count = self.remotes.len();
        let current = self.remote_in_use.load(Ordering::Relaxed) as usize;
        self.remotes.get(current % count.max(1)).copied()
    }

    /// `snap/snapdev1`, or with its LDEV `snap/snapdev1 (LDEV 18 of Serial# 62496 MU# 2)`: how
    /// messages name a volume.
    #[must_use]
    pub fn object(&self, name: &DevName, end: Option<PairEnd>) -> String {
        match end {
            Some(end) => format!("{}/{name} ({end})", self.name),
            None => format!("{}/{name}", self.name),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A catalog from rows `group name ldev mu`, all of Serial# 62496, with peer 0 for each group.
    pub(crate) fn catalog(rows: &[(&str, &str, u32, &str)]) -> Catalog {
        let mut text = String::from("HORCM_CMD\n\\\\.\\IPCMD-127.0.0.1-31001\nHORCM_LDEV\n");
        for (group, name, ldev, mu) in rows {
            text.push_str(&format!("{group} {name} 62496 {ldev} {mu}\n"));
        }
        text.push_str("HORCM_INST\n");
        let mut groups: Vec<_> = rows.iter().map(|row| row.0).collect();
        groups.dedup();
        for group in &groups {
            text.push_str(&format!("{group} 127.0.0.1 52051\n"));
        }
        let mut config = confparse::parse(&text).config.expect("a good configuration");
        Catalog::new(&mut config, &vec![0; groups.len()])
    }

    #[test]
    fn groups_keep_the_order_of_the_file_even_when_mixed() {
        let catalog =
            catalog(&[("b", "two", 2, "0"), ("a", "one", 1, "0"), ("b", "first", 3, "h1")]);
        let names: Vec<_> = catalog.groups().iter().map(|g| g.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let group = catalog.group(&"b".parse().unwrap()).unwrap();
        assert_eq!(group.position(&"two".parse().unwrap()), Some(0));
        assert_eq!(group.position(&"first".parse().unwrap()), Some(1));
        assert_eq!(group.position(&"one".parse().unwrap()), None);
        assert_eq!(group.members[1].mu().get(), 1);
        assert_eq!(catalog.members().count(), 3);
        let missing = catalog.group(&"c".parse().unwrap()).unwrap_err();
        assert_eq!(missing.code, Code::ExEnogrp);
    }

    #[test]
    fn the_first_finding_about_a_volume_stays() {
        let catalog = catalog(&[("g", "v", 5, "0")]);
        let member = &catalog.groups()[0].members[0];
        assert!(!member.by_path());
        let before = member.volume();
        member.found_volume(
            "1".parse().map(|serial| VolumeId { serial, ..before.unwrap() }).unwrap(),
        );
        assert_eq!(member.volume(), before);
    }

    #[test]
    fn slices_never_leave_the_group() {
        let catalog = catalog(&[("g", "a", 1, "0"), ("g", "b", 2, "0")]);
        let group = &catalog.groups()[0];
        assert_eq!(group.slice(0..9).len(), 2);
        assert_eq!(group.slice(5..9).len(), 0);
    }
}
