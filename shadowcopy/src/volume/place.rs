//! Files that must not lie on a volume of the set: they would be frozen with it, restored with it,
//! or lost with it.

use std::path::{Path, PathBuf};

use scsi::disks::HostDisk;

use super::{MountedVolume, discover::Here};
use crate::{
    failure::{Checked, Failure},
    message,
};

/// Refuses a set that a path lies on: by its file system, or by a LUN that they share.
///
/// # Errors
/// KAVX0100-E, naming the path as `what` and what to do as `action`.
pub fn apart<D: Fn(&str) -> HostDisk>(
    here: &Here<D>,
    set: &[MountedVolume],
    what: &str,
    path: &Path,
    action: &str,
) -> Checked {
    let real = nearest(path);
    let Some(mount) = here.mounts.storing(&real) else { return Ok(()) };
    // What is on no LUN of ours is on no volume of the set.
    let luns = here.luns(mount).map(|(_, luns)| luns).unwrap_or_default();
    let shared = set.iter().find(|volume| luns.iter().any(|(lun, _)| *lun == volume.volume));
    match shared {
        None => Ok(()),
        Some(volume) => Err(Failure::new(message::TARGET)
            .object(volume.mount.display().to_string())
            .state(format!("on {}", volume.volume))
            .cause(format!("{what} {} lies on it", path.display()))
            .action(action)
            .into()),
    }
}

/// A path without links, as far as it is there.
fn nearest(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = absolute.ancestors().find_map(|there| there.canonicalize().ok());
    real.unwrap_or(absolute)
}

#[cfg(test)]
mod tests {
    use super::{super::block::tests::Sys, super::discover::tests::here, *};

    #[test]
    fn a_file_on_a_volume_of_the_set_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        let sys = Sys::new();
        sys.add("sda", "8:0", &[]);
        sys.add("sdb", "8:16", &[]);
        sys.partition("sda", "sda1", "8:1");
        let table = format!(
            "29 1 8:16 / / rw - ext4 /dev/sdb rw\n\
             40 29 8:0 / {} rw - ext4 /dev/sda rw\n\
             41 29 8:1 / /data rw - ext4 /dev/sda1 rw\n",
            real.display()
        );
        let here = here(&sys, &table);
        let set = here.volumes(&["/data".into()]).unwrap();
        let refused = |path: &Path| apart(&here, &set, "the catalogue", path, "move it").err();
        let below = real.join("drm/not/there/yet");
        let error = refused(&below).unwrap();
        assert!(error.cause.unwrap().contains("the catalogue"), "another partition of the LUN");
        assert_eq!(error.action.as_deref(), Some("move it"));
        assert_eq!(refused(Path::new("/")), None);
        let table = format!(
            "{table}42 29 0:40 / {} rw - overlay overlay rw,lowerdir=/l,upperdir=/data/c\n",
            real.display()
        );
        let here = super::super::discover::tests::here(&sys, &table);
        let on_overlay = apart(&here, &set, "the catalogue", &below, "move it").err();
        assert!(on_overlay.is_some(), "what is written there is written to /data");
    }
}
