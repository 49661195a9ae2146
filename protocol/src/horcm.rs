//! What commands ask of horcmd, and what one horcmd asks of its peer. Both are the same
//! vocabulary over the same datagrams.
//!
//! A request names a group, a volume of it or a device; the daemon knows what that is. Answers
//! that may be long come in pages: the request carries a cursor, the answer says where the next
//! page begins. Pages are cut to the room one datagram leaves, which the asker states.

use model::{
    CciResult, DevName, Fence, GroupName, Guard, Instance, LuPath, Mode, MuNumber, PairStatus,
    PortName, Role, Serial, Side, VolumeId,
};
use serde::{Deserialize, Serialize};

use crate::login::{Login, Password};
use crate::orders::{EndStatus, GuardState, Identity, PairChange, ScanFilter, ScanRow};

/// What a datagram carries: a request, and the logins of the user who asks.
pub type Asked = (Vec<Login>, Request);

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Are you there? Answered by [`Reply::Alive`].
    Ping,
    /// End. Answered by [`Reply::Done`] just before the daemon ends.
    Shutdown,
    /// The storage systems behind this instance (`raidqry -l`). Answered by [`Reply::Units`].
    Units,
    /// The same of the instance that holds the other side of a group (`raidqry -r`).
    RemoteUnits(GroupName),
    /// The groups (`raidqry -g`). Answered by [`Reply::Groups`].
    Groups {
        /// How many groups to pass over.
        from: u32,
    },
    /// The LUs of a port (`raidscan`). Answered by [`Reply::Scanned`].
    Scan {
        /// Which storage system; `None` is unit 0.
        serial: Option<Serial>,
        /// Which LUs.
        filter: ScanFilter,
        /// Whether to add the device files of this host.
        devices: bool,
        /// How many LUs to pass over.
        from: u32,
    },
    /// Which disks of this host these names stand for, and which LDEVs those are
    /// (`raidscan -find`, `-pd`). Answered by [`Reply::Found`].
    Find {
        /// Device files, or words for several such as `$Phys` and `harddisk0-9`.
        names: Vec<String>,
        /// Whether to add the volumes of the configuration that they are.
        holders: bool,
        /// How many disks to pass over.
        from: u32,
    },
    /// Register these disks of this host with the instance (`raidscan -find inst`). Answered by
    /// [`Reply::Done`].
    Register {
        /// As those of [`Request::Find`].
        names: Vec<String>,
    },
    /// Have these disks of this host write what their storage systems have not made durable yet
    /// (`raidscan -find sync`). Answered by [`Reply::Found`], with the disks that did.
    Sync {
        /// As those of [`Request::Find`].
        names: Vec<String>,
        /// Only those that are volumes of this group.
        group: Option<GroupName>,
        /// How many disks to pass over.
        from: u32,
    },
    /// The volumes of a selection and how they stand (`pairdisplay`, `raidvchkdsp`). Answered by
    /// [`Reply::Members`].
    Members {
        /// Which volumes.
        selection: Selection,
        /// Whether to ask the remote instance for its side.
        remote: bool,
        /// Whether to add the guards.
        guards: bool,
        /// Whether to add the device files of the hosts.
        devices: bool,
        /// How many volumes to pass over.
        from: u32,
    },
    /// A peer asks for its partners by name. Answered by [`Reply::Partners`].
    Partners {
        /// The group.
        group: GroupName,
        /// In which mode.
        mode: Mode,
        /// The mirror instead of the configured one (`-FMRCF`).
        mirror: Option<MuNumber>,
        /// Whether to add the guards.
        guards: bool,
        /// Whether to add the device files of that host.
        devices: bool,
        /// The volumes, at most as many as one page takes.
        names: Vec<DevName>,
    },
    /// The states that occur in a selection (`pairvolchk`, `pairevtwait`). Answered by
    /// [`Reply::Summary`].
    Summary {
        /// Which volumes.
        selection: Selection,
        /// Whether to ask the remote instance for its side.
        remote: bool,
    },
    /// Change the pairs of a selection, all of them or none. Answered by [`Reply::Done`].
    Change {
        /// Which volumes.
        selection: Selection,
        /// What to do.
        change: PairChange,
        /// Whose volumes are the P-VOLs; `paircreate` needs it.
        primary: Option<Side>,
        /// `-l`: without the remote instance.
        local_only: bool,
    },
    /// Set or clear the guard of the local volumes of a selection. Answered by [`Reply::Done`].
    SetGuard {
        /// Which volumes.
        selection: Selection,
        /// The new guard.
        guard: Guard,
        /// For how many days it cannot be lowered.
        retention_days: Option<u32>,
    },
    /// Log in to a storage system (`raidcom -login`). Answered by [`Reply::LoggedIn`].
    Login {
        /// Which one.
        at: Which,
        /// The user's name.
        user: String,
        /// The user's password.
        password: Password,
    },
    /// End the session with a storage system (`raidcom -logout`). Answered by [`Reply::Done`].
    Logout {
        /// Which one.
        at: Which,
    },
    /// `horcctl`. Answered by [`Reply::Control`].
    Control(Control),
}

/// Which storage system a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// `-u`, 0 where nothing was said: that of this line of HORCM_CMD.
    Unit(u8),
    /// `-s`: the one with this serial number.
    Serial(Serial),
}

impl Request {
    /// Whether it changes anything; such a request is executed at most once per request id.
    #[must_use]
    pub const fn mutates(&self) -> bool {
        match self {
            Self::Shutdown
            | Self::Change { .. }
            | Self::SetGuard { .. }
            | Self::Register { .. }
            | Self::Login { .. }
            | Self::Logout { .. } => true,
            Self::Control(control) => control.mutates(),
            _ => false,
        }
    }
}

/// Which volumes a request is about, and in which mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The volumes.
    pub target: Target,
    /// HORC or HOMRCF.
    pub mode: Mode,
    /// `-FMRCF [MU#]`: this mirror of the volumes instead of the configured one.
    pub mirror: Option<MuNumber>,
}

/// How the volumes are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// `-g group [-d volume]`.
    Group {
        /// The group.
        group: GroupName,
        /// Only this volume of it.
        volume: Option<DevName>,
    },
    /// `-d[g] seq# LDEV# [MU#]`: the first group that holds that LDEV.
    Ldev {
        /// The LDEV.
        volume: VolumeId,
        /// With this MU# in the configuration.
        mu: Option<MuNumber>,
        /// `-dg`: the whole group, not that volume only.
        whole_group: bool,
    },
    /// These volumes, of one group or of several: what changes in one order an array. Only
    /// [`Request::Change`] and [`Request::SetGuard`] take it; 1 to 65,536, none twice.
    Volumes(Vec<(GroupName, DevName)>),
    /// `-d[g] raw_device [MU#]`: the first group that holds that device of the host.
    Device {
        /// The device file as the user wrote it, at most 255 bytes.
        path: String,
        /// With this MU# in the configuration.
        mu: Option<MuNumber>,
        /// `-dg`: the whole group, not that volume only.
        whole_group: bool,
    },
}

/// `horcctl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// `-D [-u unit]`: the command device in use.
    CommandDevice {
        /// Unit id, the line number in HORCM_CMD.
        unit: u8,
    },
    /// `-C [-u unit]`: change to the next command device of the unit.
    NextCommandDevice {
        /// Unit id.
        unit: u8,
    },
    /// `-ND -g group`: the remote address in use.
    NetworkAddress(GroupName),
    /// `-NC -g group`: change to the next remote address of the group.
    NextNetworkAddress(GroupName),
    /// The trace settings; `None` leaves one as it is.
    Trace {
        /// `-l`: trace level 0 to 15.
        level: Option<u8>,
        /// `-b`: buffered.
        buffered: Option<bool>,
        /// `-s`: size in KB.
        size_kb: Option<u32>,
    },
}

impl Control {
    /// Whether it changes anything.
    #[must_use]
    pub const fn mutates(&self) -> bool {
        !matches!(self, Self::CommandDevice { .. } | Self::NetworkAddress(_))
    }
}

/// What horcmd answers.
pub type Answer = CciResult<Reply>;

/// The answer of a request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Ping`].
    Alive {
        /// Which instance this is.
        instance: Instance,
        /// Its process id.
        pid: u32,
        /// The host it runs on.
        host: String,
    },
    /// Done; nothing to say.
    Done,
    /// To [`Request::Units`] and [`Request::RemoteUnits`].
    Units {
        /// The host that answers.
        host: String,
        /// Its HORCM version, such as `01-00-00/00`.
        version: String,
        /// Its storage systems in the order of HORCM_CMD; `None` where one does not answer.
        units: Vec<Option<Identity>>,
    },
    /// To [`Request::Groups`].
    Groups {
        /// The groups of this page.
        groups: Vec<GroupInfo>,
        /// Where the next page begins.
        next: Option<u32>,
    },
    /// To [`Request::Scan`].
    Scanned {
        /// The storage system scanned.
        serial: Serial,
        /// The LUs of this page.
        rows: Vec<ScanRow>,
        /// The device file of each, where asked for and registered; else empty.
        devices: Vec<Option<String>>,
        /// Where the next page begins.
        next: Option<u32>,
    },
    /// To [`Request::Find`] and [`Request::Sync`].
    Found {
        /// The disks of this page; what is no LU of a storage system is left out.
        disks: Vec<FoundDisk>,
        /// Where the next page begins.
        next: Option<u32>,
    },
    /// To [`Request::Members`].
    Members {
        /// The group the selection led to.
        group: GroupName,
        /// The volumes of this page.
        members: Vec<Member>,
        /// Where the next page begins.
        next: Option<u32>,
        /// Why the remote side is missing, where it was asked for and did not answer. The local
        /// rows hold all the same.
        remote_error: Option<model::CciError>,
    },
    /// To [`Request::Partners`], in the order of the names; `None` where the peer has none.
    Partners(Vec<Option<Row>>),
    /// To [`Request::Summary`].
    Summary {
        /// The group the selection led to.
        group: GroupName,
        /// The states on this side.
        local: Vec<StateCount>,
        /// The states on the other side, where asked for.
        remote: Vec<StateCount>,
        /// How many volumes have partners that do not belong together.
        mismatched: u32,
    },
    /// To [`Request::Login`].
    LoggedIn(Login),
    /// To [`Request::Control`].
    Control(ControlReply),
}

/// A group as `raidqry -g` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Its name.
    pub group: GroupName,
    /// How many volumes it has.
    pub volumes: u32,
    /// The storage system of its first volume.
    pub serial: Serial,
    /// Its model, such as `9980V`.
    pub raid_type: String,
}

/// One volume of a group with both of its sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: DevName,
    /// This side.
    pub local: Row,
    /// The other side; `None` where it was not asked, did not answer, or has no such volume.
    pub remote: Option<Row>,
}

/// One side of a volume: a row of `pairdisplay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its first path; `None` when it has none.
    pub path: Option<LuPath>,
    /// The volume.
    pub volume: VolumeId,
    /// The configured MU#.
    pub mu: MuNumber,
    /// The device file of the host, where asked for and registered (`raidscan -find inst`).
    pub device: Option<String>,
    /// Whether the host may use it; `false` in protection mode for a volume that is not
    /// registered, and then nothing is told of its status and guard.
    pub permitted: bool,
    /// How it stands; `None` when its storage system has no such LDEV any more.
    pub status: Option<EndStatus>,
    /// Its guard, where asked for.
    pub guard: Option<GuardState>,
}

/// A disk of this host that is an LU of a storage system: a row of `raidscan -find`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundDisk {
    /// Its device file.
    pub device: String,
    /// The unit of HORCM_CMD that it belongs to; `None` when no line leads to its storage system.
    pub unit: Option<u8>,
    /// Which LDEV it is.
    pub volume: VolumeId,
    /// The port it is seen on.
    pub port: Option<PortName>,
    /// That path in full, where its storage system could be asked.
    pub path: Option<LuPath>,
    /// Its product id, such as `OPEN-3` or `OPEN-3-CM`; at most 16 characters.
    pub product: String,
    /// Whether it is registered with the instance.
    pub registered: bool,
    /// The volumes of the configuration that it is, where asked for.
    pub holders: Vec<Holder>,
}

/// A volume of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its group.
    pub group: GroupName,
    /// Its name.
    pub name: DevName,
    /// Its MU#.
    pub mu: MuNumber,
}

/// How many volumes of a selection are in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCount {
    /// The role.
    pub role: Role,
    /// The status.
    pub status: PairStatus,
    /// Fence level; `None` for local copies.
    pub fence: Option<Fence>,
    /// Consistency group.
    pub ctg: Option<u16>,
    /// How many volumes.
    pub count: u32,
    /// One of them.
    pub example: DevName,
}

/// What `horcctl` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlReply {
    /// The command device in use.
    CommandDevice {
        /// As the configuration spells it.
        device: String,
        /// Whether protection mode is on, shown as a trailing `*`.
        protected: bool,
    },
    /// The remote address in use.
    NetworkAddress {
        /// Its address.
        address: String,
        /// Its UDP port.
        service: u16,
    },
    /// The trace settings in force.
    Trace {
        /// Level 0 to 15.
        level: u8,
        /// Buffered.
        buffered: bool,
        /// Size in KB.
        size_kb: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_do_not_mutate_and_orders_do() {
        assert!(!Request::Ping.mutates());
        assert!(!Request::Control(Control::CommandDevice { unit: 0 }).mutates());
        assert!(Request::Control(Control::NextCommandDevice { unit: 0 }).mutates());
        assert!(Request::Shutdown.mutates());
    }
}
