//! Mounted volumes and the LUNs they are on.
//!
//! | file | what it holds |
//! |---|---|
//! | [`block`] | from a block device to the disks below it |
//! | [`lun`] | a disk as the provider takes it |
//! | [`discover`] | from mount points to volumes |
//! | [`named`] | what the user named: a mount point, or a list of them |
//! | [`place`] | files that must not lie on the set |

pub mod block;
pub mod discover;
pub mod lun;
pub mod named;
pub mod place;

use std::path::PathBuf;

use model::VolumeId;
use provider::lun::LunInfo;

/// A file system of a set, on one of its LUNs. One that is on several stands there once for each,
/// one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedVolume {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its device, such as `/dev/loop3`.
    pub device: PathBuf,
    /// Its file system, such as `ext4`.
    pub file_system: String,
    /// The LUN, as the provider takes it.
    pub lun: LunInfo,
    /// The P-VOL.
    pub volume: VolumeId,
}
