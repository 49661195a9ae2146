//! What a backup is.

use std::{fmt, path::PathBuf, str::FromStr, time::SystemTime};

use model::{DevName, GroupName, MuNumber, VolumeId};
use provider::guid::SetId;
use serde::{Deserialize, Serialize};

use crate::{
    step::Step,
    writer::{FaultKind, Metadata},
};

/// A backup ID: ten digits, from `0000000001` on. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(u64);

impl BackupId {
    /// The first one of a catalogue.
    pub const FIRST: Self = Self(1);
    const LAST: u64 = 9_999_999_999;

    /// The next one; `None` behind the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self.0 < Self::LAST).then_some(Self(self.0 + 1))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

/// A word is no backup ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBackupId(String);

impl fmt::Display for BadBackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a backup ID: those are up to ten digits, from 1 on", self.0)
    }
}

impl std::error::Error for BadBackupId {}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for BackupId {
    type Error = BadBackupId;

    fn try_from(text: String) -> Result<Self, BadBackupId> {
        text.parse()
    }
}

impl FromStr for BackupId {
    type Err = BadBackupId;

    /// Leading zeros may be left out.
    fn from_str(text: &str) -> Result<Self, BadBackupId> {
        let bad = || BadBackupId(text.to_owned());
        if text.is_empty() || text.len() > 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let number = text.parse().map_err(|_| bad())?;
        if number == 0 { Err(bad()) } else { Ok(Self(number)) }
    }
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its ID.
    pub id: BackupId,
    /// The provider's snapshot set.
    #[serde(with = "set_as_text")]
    pub set: SetId,
    /// The command that made it, such as `drmfsbackup`.
    pub command: String,
    /// How.
    pub mode: Mode,
    /// `-comment`.
    pub comment: String,
    /// When the command began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// How it stands.
    pub state: State,
    /// The mirror of the P-VOLs that holds it.
    pub generation: MuNumber,
    /// Its volumes, in the order they were named.
    pub volumes: Vec<Volume>,
    /// Its writers, in the order they froze.
    pub writers: Vec<Participant>,
    /// When each step ended, in microseconds since the first began, which was after `began`.
    pub evidence: Vec<(Step, u64)>,
    /// Microseconds for which the file systems were frozen.
    pub held: Option<u64>,
    /// Whether `drmcgctl` keeps it from being overwritten.
    pub locked: bool,
    /// Whether a command reads its S-VOLs, which keeps it too; `drmcgctl -unlock` where that one
    /// died.
    #[serde(default)]
    pub reading: bool,
    /// There while its P-VOLs are being restored from it: from before the first order until all of
    /// its pairs are PAIR. Only `drmfsrestore` goes on with it meanwhile. S-VOLs whose pairs had not
    /// been ordered yet when the latest attempt failed.
    #[serde(default)]
    pub restoring: Option<Vec<VolumeId>>,
    /// Where its S-VOLs are mounted.
    pub mounted: Vec<PathBuf>,
}

impl Backup {
    /// Whether its S-VOLs hold it: there is something to mount or to restore.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.restoring.is_none() && self.state.is_there()
    }

    /// Whether a lock, a mount, a reader or a restore keeps it from being overwritten.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.locked || self.reading || self.restoring.is_some() || !self.mounted.is_empty()
    }

    /// Its S-VOLs hold it no longer.
    pub fn end(&mut self) {
        self.restoring = None;
        self.state = State::Overwritten;
    }

    /// Whether it is overwritten where the other one is made.
    #[must_use]
    pub fn is_in_the_way_of(&self, other: &Self) -> bool {
        let is_something = self.restoring.is_some() || self.is_there();
        self.id != other.id && is_something && self.shares_volumes_with(other)
    }

    /// Whether it lies, in part at least, where the other one does: they share an S-VOL, or a
    /// mirror of a P-VOL.
    #[must_use]
    pub fn shares_volumes_with(&self, other: &Self) -> bool {
        self.volumes.iter().any(|mine| {
            other.volumes.iter().any(|theirs| {
                mine.secondary == theirs.secondary
                    || (mine.primary == theirs.primary && self.generation == other.generation)
            })
        })
    }
}

/// A GUID of 128 bits is more than numbers of JSON hold.
mod set_as_text {
    use provider::guid::{Guid, SetId};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(set: &SetId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(set)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SetId, D::Error> {
        let text = String::deserialize(from)?;
        text.parse::<Guid>().map(SetId).map_err(D::Error::custom)
    }
}

/// How the data were made still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Writers and file systems were frozen.
    Online,
    /// The applications were down, as their owner says; file systems were frozen.
    Cold,
}

/// How a backup stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its command runs, or died.
    Running,
    /// All writers and file systems held their writes.
    Consistent,
    /// The policy `crash-consistent` kept it although something did not hold; what.
    CrashConsistent(String),
    /// There is no copy.
    Aborted {
        /// Where it failed.
        step: Step,
        /// Why.
        cause: String,
    },
    /// A later backup took its S-VOLs, or `drmresync` did.
    Overwritten,
}

impl State {
    /// Whether there is a copy.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        matches!(self, Self::Consistent | Self::CrashConsistent(_))
    }
}

/// A volume of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where the P-VOL was mounted.
    pub mount: PathBuf,
    /// Its device, such as `/dev/loop3`.
    pub device: PathBuf,
    /// Its file system, such as `ext4`.
    pub file_system: String,
    /// `dev_group` of the pair.
    pub group: GroupName,
    /// `dev_name` of the pair.
    pub name: DevName,
    /// The P-VOL.
    pub primary: VolumeId,
    /// The S-VOL.
    pub secondary: VolumeId,
}

/// A writer's part in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// What it said of itself.
    pub metadata: Metadata,
    /// Why it did not take part to the end, if it did not.
    pub fault: Option<String>,
    /// What kind of failure that was.
    #[serde(default)]
    pub kind: Option<FaultKind>,
    /// Names of the files it handed over, kept beside the record.
    pub artifacts: Vec<String>,
}

/// Backups for tests.
#[cfg(test)]
pub(crate) mod fake {
    use std::time::{Duration, UNIX_EPOCH};

    use model::{LdevId, Serial};
    use provider::guid::Guid;

    use super::*;

    /// The volume of a P-VOL, whose S-VOL is 1,000 further.
    pub(crate) fn volume(ldev: u32) -> Volume {
        let id = |ldev| VolumeId {
            serial: Serial::new(62_496).unwrap(),
            ldev: LdevId::new(ldev).unwrap(),
        };
        Volume {
            mount: format!("/mnt/{ldev}").into(),
            device: format!("/dev/loop{ldev}").into(),
            file_system: "ext4".to_owned(),
            group: "snap".parse().unwrap(),
            name: format!("snapdev{ldev}").parse().unwrap(),
            primary: id(ldev),
            secondary: id(ldev + 1000),
        }
    }

    /// A consistent backup of LDEV 18 in MU# 0, begun `number` seconds after 2026-01-01.
    pub(crate) fn backup(number: u64) -> Backup {
        let began = UNIX_EPOCH + Duration::from_secs(1_767_225_600 + number);
        Backup {
            id: BackupId(number),
            set: SetId(Guid(u128::MAX - u128::from(number))),
            command: "drmfsbackup".to_owned(),
            mode: Mode::Online,
            comment: String::new(),
            began,
            ended: Some(began + Duration::from_secs(5)),
            state: State::Consistent,
            generation: MuNumber::default(),
            volumes: vec![volume(18)],
            writers: Vec::new(),
            evidence: vec![(Step::Commit, 1_500_000)],
            held: Some(120_000),
            locked: false,
            reading: false,
            restoring: None,
            mounted: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_id_has_ten_digits() {
        assert_eq!(BackupId::FIRST.to_string(), "0000000001");
        assert_eq!("1".parse(), Ok(BackupId::FIRST));
        assert_eq!("0000000001".parse(), Ok(BackupId::FIRST));
        assert_eq!("9999999999".parse::<BackupId>().unwrap().next(), None);
        for bad in ["", "0", "0000000000", "00000000001", "+1", "1a", " 1"] {
            assert_eq!(bad.parse::<BackupId>(), Err(BadBackupId(bad.to_owned())), "{bad}");
        }
    }
}
