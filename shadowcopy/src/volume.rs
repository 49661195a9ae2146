//! A mounted volume and the LUN it is on.

use std::path::PathBuf;

use model::VolumeId;
use provider::lun::LunInfo;

/// A file system of a set.
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
