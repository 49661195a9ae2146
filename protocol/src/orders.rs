//! What horcmd asks of a storage system. One vocabulary, whatever carries it: sealed datagrams to
//! `\\.\IPCMD-host-port`, or the mailbox of a command device.
//!
//! An order speaks of LDEVs, never of groups: names are horcmd's business. Lists in an order and
//! in its answer have the same length and order, so that an answer needs no keys. horcmd cuts
//! long lists into as many orders as the carrier needs, but never a [`Order::Change`]: a group
//! changes in one order, wholly or not at all.

use model::{
    Blocks, CciError, CopyPace, Emulation, Guard, LdevId, LuPath, MuNumber, PairEnd, PairStatus,
    PortAddress, PortName, Role, Serial, SplitMode, TargetId,
};
use serde::{Deserialize, Serialize};

use crate::login::{Password, Token};

/// What a carrier carries: an order, and the token of the user who gives it, if any.
pub type Given = (Option<Token>, Order);

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Who are you? Answered by [`Reply::Identity`].
    Identify,
    /// Which LDEVs stand at these paths? Answered by [`Reply::Located`].
    Locate(Vec<LuPath>),
    /// What are these LDEVs? Answered by [`Reply::Described`].
    Describe(Vec<LdevId>),
    /// The LUs of a port, from the `from`th on. Answered by [`Reply::Scanned`].
    Scan {
        /// Which LUs.
        filter: ScanFilter,
        /// How many LUs to pass over: 0 at first, then what the last page said.
        from: u32,
    },
    /// How do these pair ends stand? Answered by [`Reply::Status`].
    Status(Vec<LocalEnd>),
    /// The guards of these LDEVs. Answered by [`Reply::Guards`].
    Guards(Vec<LdevId>),
    /// Change pairs, all of them or none. Answered by [`Reply::Done`].
    Change {
        /// What to do.
        change: PairChange,
        /// To which pairs; 1 to 65,536.
        pairs: Vec<PairTarget>,
    },
    /// Set or clear the guard of these LDEVs, all or none. Answered by [`Reply::Done`].
    SetGuard {
        /// The LDEVs.
        ldevs: Vec<LdevId>,
        /// The new guard; [`Guard::NONE`] clears it.
        guard: Guard,
        /// For how many days it cannot be lowered; `None` is the array's default, no retention.
        retention_days: Option<u32>,
    },
    /// Begin a session. Answered by [`Reply::LoggedIn`].
    Login {
        /// The user's name.
        user: String,
        /// The user's password.
        password: Password,
    },
    /// End the session whose token goes along. Answered by [`Reply::Done`].
    Logout,
    /// At which paths are these LUs seen? Answered by [`Reply::Traced`].
    Trace(Vec<Sighting>),
}

impl Order {
    /// Whether it changes anything. Such an order is executed at most once per request id, also
    /// across a restart of the array.
    #[must_use]
    pub const fn mutates(&self) -> bool {
        matches!(
            self,
            Self::Change { .. } | Self::SetGuard { .. } | Self::Login { .. } | Self::Logout
        )
    }
}

/// One end of a pair inside the storage system that gets the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalEnd {
    /// The LDEV.
    pub ldev: LdevId,
    /// The mirror of it.
    pub mu: MuNumber,
}

/// An LU as a host sees it, which knows neither host group nor target id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The LDEV.
    pub ldev: LdevId,
    /// The port.
    pub port: PortName,
    /// The host's LUN: of several paths at the port the one with this LUN is meant.
    pub lun: u16,
}

/// The pair an order is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairTarget {
    /// One end. For [`PairChange::Create`] the P-VOL; otherwise whichever end the asker holds.
    pub end: LocalEnd,
    /// The other end, where the asker knows it. A pair whose partner is another than this is
    /// refused with EX_EVOLCE. [`PairChange::Create`] needs it: it is the S-VOL.
    pub partner: Option<PairEnd>,
}

/// What to do to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairChange {
    /// `paircreate`.
    Create(CreateOptions),
    /// `pairsplit`, with `-r`, `-rw`.
    Split(SplitOptions),
    /// `pairsplit -E`: suspend with an error, PSUE.
    Fail,
    /// `pairsplit -S`: dissolve, both volumes become SMPL.
    Dissolve,
    /// `pairresync`, with `-restore`.
    Resync(ResyncOptions),
}

/// Options of `paircreate` in HOMRCF mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreateOptions {
    /// `-c`.
    pub pace: CopyPace,
    /// `-split [-fq mode]`: split when the copy is there.
    pub split: Option<SplitMode>,
    /// `-nocopy`: the volumes are equal already, as the operator vouches.
    pub no_copy: bool,
    /// `-m noread`: hosts cannot read the S-VOL while it is paired.
    pub noread: bool,
    /// `-m grp [CTGID]`: put the pairs into one consistency group.
    pub group: Option<CtgRequest>,
    /// `-pid`: make Thin Image pairs, whose S-VOLs are snapshots in this pool.
    pub pool: Option<u16>,
}

/// Which consistency group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CtgRequest {
    /// Whichever is free.
    Any,
    /// This CTGID.
    Id(u16),
}

/// Options of `pairsplit` that keeps the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SplitOptions {
    /// `-rw` (and the default in HOMRCF mode); `-r` leaves the S-VOL read-only.
    pub writable: bool,
    /// `-fq`, `None` where not said: the array's default, normal.
    pub mode: Option<SplitMode>,
    /// `-C`: pace of the copy behind a split; `None` keeps the pair's own.
    pub pace: Option<CopyPace>,
    /// A pair that is split already is refused (EX_INVSTP) instead of left as it is: its S-VOL
    /// holds an earlier instant than this order's.
    pub fresh: bool,
}

/// Options of `pairresync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResyncOptions {
    /// `-restore`: from the S-VOL back to the P-VOL.
    pub restore: bool,
    /// `-c`; `None` keeps the pair's own.
    pub pace: Option<CopyPace>,
    /// `-fq`: quick shows PAIR at once and copies behind.
    pub mode: Option<SplitMode>,
    /// `-m noread`, to set that attribute from now on; `None` keeps it.
    pub noread: Option<bool>,
}

/// Which LUs a scan shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScanFilter {
    /// Only this port (and host group); `None` is all ports.
    pub port: Option<PortAddress>,
    /// Only this target id.
    pub target: Option<TargetId>,
    /// Only this LUN.
    pub lun: Option<model::Lun>,
}

/// What the storage system answers.
pub type OrderAnswer = Result<Reply, OrderError>;

/// A refused order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderError {
    /// Which of the listed pairs or LDEVs was at fault, counted from 0.
    pub at: Option<u32>,
    /// Why.
    pub error: CciError,
}

impl From<CciError> for OrderError {
    fn from(error: CciError) -> Self {
        Self { at: None, error }
    }
}

/// The answer of an order that was carried out. Storage systems keep answers on disk
/// (`docs/format.md`, executed orders): new ones come at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Order::Identify`].
    Identity(Identity),
    /// To [`Order::Locate`]; `None` where no LU stands at a path.
    Located(Vec<Option<LdevId>>),
    /// To [`Order::Describe`]; `None` where there is no such LDEV.
    Described(Vec<Option<LdevInfo>>),
    /// To [`Order::Scan`].
    Scanned {
        /// The LUs of this page.
        rows: Vec<ScanRow>,
        /// Where the next page begins; `None` at the end.
        next: Option<u32>,
    },
    /// To [`Order::Status`]; `None` where there is no such LDEV.
    Status(Vec<Option<EndStatus>>),
    /// To [`Order::Guards`]; `None` where there is no such LDEV.
    Guards(Vec<Option<GuardState>>),
    /// To every other order that changes something.
    Done,
    /// To [`Order::Trace`]; `None` where the port shows no such LDEV.
    Traced(Vec<Option<LuPath>>),
    /// To [`Order::Login`].
    LoggedIn(Token),
}

/// Who a storage system is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its serial number.
    pub serial: Serial,
    /// Its model name, such as `9980V`; at most 32 characters.
    pub model: String,
    /// Microcode version as `raidqry -l` shows it, such as `21-14-02/00`.
    pub microcode: String,
    /// Cache in MB as `raidqry -l` shows it.
    pub cache_mb: u32,
    /// How many LDEVs it has.
    pub ldevs: u32,
    /// The most mirrors of one P-VOL: MU# 0 to this minus 1. ShadowImage pairs have 0 to 2,
    /// Thin Image pairs all of them.
    pub mirrors: u16,
    /// The security attributes of the command device that was asked.
    pub security: Security,
}

/// The security attributes of a command device (`cci` 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Security {
    /// Security: instances that use it are in protection mode.
    pub protection: bool,
    /// User Authentication: pairs are asked for and changed after a login only.
    pub user_authentication: bool,
    /// Device Group Definition: device groups that the storage system holds may be used.
    pub device_groups: bool,
}

/// What an LDEV is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LdevInfo {
    /// Its size.
    pub size: Blocks,
    /// Its emulation type.
    pub emulation: Emulation,
    /// Whether it is a command device; its product id then ends in `-CM`.
    pub command_device: bool,
    /// Its first path, if it has one.
    pub path: Option<LuPath>,
}

/// One LU of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRow {
    /// Where it stands.
    pub path: LuPath,
    /// The LDEV there.
    pub ldev: LdevId,
    /// What it is.
    pub emulation: Emulation,
    /// Whether it is a command device.
    pub command_device: bool,
    /// Its size.
    pub size: Blocks,
    /// Its mirrors, MU# 0 first: those of ShadowImage, paired or not, and on to the last one that
    /// is paired.
    pub mirrors: Vec<EndStatus>,
}

/// How one pair end stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndStatus {
    /// P-VOL, S-VOL or SMPL.
    pub role: Role,
    /// The status as this end shows it: a split S-VOL is SSUS.
    pub status: PairStatus,
    /// The other end; `None` in SMPL.
    pub partner: Option<PairEnd>,
    /// How much of the two volumes is identical, 0 to 100.
    pub percent: u8,
    /// `-m noread` is set on the pair.
    pub noread: bool,
    /// Hosts may write to the S-VOL now.
    pub svol_writable: bool,
    /// Consistency group.
    pub ctg: Option<u16>,
}

impl EndStatus {
    /// An end without a pair.
    pub const SMPL: Self = Self {
        role: Role::Smpl,
        status: PairStatus::Smpl,
        partner: None,
        percent: 0,
        noread: false,
        svol_writable: false,
        ctg: None,
    };
}

/// The guard of an LDEV, as `raidvchkdsp -v gflag` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GuardState {
    /// What is guarded.
    pub guard: Guard,
    /// How many days are left until it may be lowered, rounded up; 0 when it may be now.
    pub retention_days: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    /// Storage systems have it on disk since their first release.
    #[test]
    fn the_answer_that_is_kept_keeps_its_bytes() {
        assert_eq!(codec::encode(&OrderAnswer::Ok(Reply::Done)), [0, 6]);
    }
}
