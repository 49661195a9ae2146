//! A configuration as the rest of the house sees it.

use std::{collections::HashSet, fmt, str::FromStr, time::Duration};

use model::{DevName, GroupName, Instance, LuPath, MuNumber, Serial, VolumeId, ids::BadWord};

use crate::{
    device::CommandDevice,
    endpoint::{Host, MonitorAddress, Service},
};

/// One `horcm*.conf` (`cci` 1.3 to 1.9). Rows stand in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `HORCM_MON`; `None` where the file has none and [`Config::monitor_or_default`] decides.
    pub monitor: Option<Monitor>,
    /// `HORCM_CMD`, one storage system a line. The index is the unit id.
    pub units: Vec<Unit>,
    /// The rows of `HORCM_DEV` and `HORCM_LDEV`. A group and name together occur once.
    pub volumes: Vec<Volume>,
    /// `HORCM_LDEVG`: groups whose volumes the array knows.
    pub ldev_groups: Vec<LdevGroup>,
    /// The rows of `HORCM_INST` and `HORCM_INSTP`.
    pub remotes: Vec<Remote>,
    /// `HORCM_ALLOW_INST`; empty lets every instance in that holds the key.
    pub allowed: Vec<Allowed>,
    /// Sections this program does not know, such as `HORCM_CTQM`: kept as they are.
    pub others: Vec<OtherSection>,
}

impl Config {
    /// The monitor row, or what stands in for it: poll 10 s, timeout 30 s, port 31000 (31001 + n
    /// for instance n).
    ///
    /// CCI's default address is `NONE`, every network of the host. Ours is loopback: a file that
    /// says nothing about networks opens none.
    #[must_use]
    pub fn monitor_or_default(&self, instance: Instance) -> Monitor {
        self.monitor.clone().unwrap_or_else(|| Monitor {
            address: MonitorAddress::Host(Host::loopback()),
            service: Service::Port(instance.default_service().get()),
            poll: Some(Monitor::DEFAULT_POLL),
            timeout: Monitor::DEFAULT_TIMEOUT,
        })
    }

    /// Every group the file defines, each once: those of `HORCM_DEV` and `HORCM_LDEV` in file
    /// order, then those of `HORCM_LDEVG`.
    #[must_use]
    pub fn groups(&self) -> Vec<&GroupName> {
        let volumes = self.volumes.iter().map(|volume| &volume.group);
        let held = self.ldev_groups.iter().map(|row| &row.copy_group);
        let mut seen = HashSet::new();
        // Rows of one group stand together in nearly every file, so most lookups are saved by
        // looking at the row before.
        let mut last = None;
        volumes
            .chain(held)
            .filter(|group| last.replace(*group) != Some(*group) && seen.insert(*group))
            .collect()
    }

    /// The volumes of one group, in file order.
    pub fn volumes_of<'a>(&'a self, group: &'a GroupName) -> impl Iterator<Item = &'a Volume> {
        self.volumes.iter().filter(move |v| v.group == *group)
    }

    /// Where the peers of one group listen, in file order: one after the other is tried.
    pub fn remotes_of<'a>(&'a self, group: &'a GroupName) -> impl Iterator<Item = &'a Remote> {
        self.remotes.iter().filter(move |r| r.group == *group)
    }
}

/// `HORCM_MON`: where this instance listens, and how long it is patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The local address to listen on.
    pub address: MonitorAddress,
    /// The UDP port to listen on.
    pub service: Service,
    /// Time between two looks at the pairs; `None` (`-1` in the file) never looks. Written in
    /// units of 10 ms, rounded up.
    pub poll: Option<Duration>,
    /// How long to wait for a remote instance's answer. Written in units of 10 ms, rounded up.
    pub timeout: Duration,
}

impl Monitor {
    /// The unit of poll and timeout in the file.
    pub const TICK: Duration = Duration::from_millis(10);
    /// Poll where the column is missing: 1000 units.
    pub const DEFAULT_POLL: Duration = Duration::from_secs(10);
    /// Timeout where the column is missing: 3000 units.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
}

/// One line of `HORCM_CMD`: the command devices of one storage system. The first is used, the
/// others are its alternates. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// In the order they are tried.
    pub devices: Vec<CommandDevice>,
}

/// One line of `HORCM_DEV` or `HORCM_LDEV`: a volume of a group. The same group and name in the
/// partner's file is its partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `dev_group`.
    pub group: GroupName,
    /// `dev_name`, unique in its group.
    pub name: DevName,
    /// Which volume that is.
    pub at: Address,
    /// `MU#`; `None` where the column is empty, which means 0.
    pub mu: Option<Mirror>,
}

/// How a volume is addressed; this also tells the section it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// By port, target id and LUN (`HORCM_DEV`).
    Path(LuPath),
    /// By serial number and LDEV (`HORCM_LDEV`).
    Ldev(VolumeId),
}

/// A `MU#` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// A plain number: a mirror of local replication, or mirror 0 of remote copy.
    Local(MuNumber),
    /// `h0` to `h3`: a mirror of remote copy only.
    Remote(u8),
}

impl Mirror {
    /// The last remote mirror, `h3`.
    pub const MAX_REMOTE: u8 = 3;
}

impl FromStr for Mirror {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let mirror = match word.as_bytes() {
            [b'h' | b'H', n @ b'0'..=b'3'] => Some(Self::Remote(n - b'0')),
            _ => word.parse().ok().map(Self::Local),
        };
        mirror.ok_or(BadWord { expected: "a decimal MU# from 0 to 1023, or h0 to h3" })
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(mu) => mu.fmt(f),
            Self::Remote(mu) => write!(f, "h{mu}"),
        }
    }
}

/// One line of `HORCM_LDEVG`: a copy group defined in the array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdevGroup {
    /// The copy group: what commands call the group.
    pub copy_group: GroupName,
    /// The device group in the array that holds the LDEVs and their names.
    pub ldev_group: GroupName,
    /// The storage system.
    pub serial: Serial,
}

/// One line of `HORCM_INST` or `HORCM_INSTP`: where a group's remote instance listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The group.
    pub group: GroupName,
    /// The remote instance's host.
    pub host: Host,
    /// The remote instance's `HORCM_MON` service.
    pub service: Service,
    /// The path group of `HORCM_INSTP`, 1 to 255; `None` for a row of `HORCM_INST`.
    pub path_id: Option<u8>,
}

/// One line of `HORCM_ALLOW_INST`: a remote instance that may speak to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Its host.
    pub host: Host,
    /// Its port; `None` allows every port of the host.
    pub service: Option<Service>,
}

/// A section of a name this program does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherSection {
    /// The section's name, beginning with `HORCM_`.
    pub name: String,
    /// Its lines without surrounding blanks; empty lines and comments are left out.
    pub lines: Vec<String>,
}
