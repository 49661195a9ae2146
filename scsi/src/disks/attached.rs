//! Files that `horcm attach` made of LUNs. Their extended attributes hold the bytes of pages:
//!
//! | attribute | what |
//! |---|---|
//! | `user.scsi.inquiry` | standard INQUIRY data |
//! | `user.scsi.vpd_pg80`, `vpd_pg83`, `vpd_pgc0` | VPD pages with their heads |
//! | `user.scsi.lun` | `PORTAL TARGET LUN` |

use std::path::Path;

use super::{HostDisk, pages::Pages};
use crate::platform::attribute;

/// The disk behind a file; `None` where it is no such file.
pub(super) fn disk(path: &Path) -> Option<HostDisk> {
    let page = |name| attribute(path, name).unwrap_or_default();
    let pages = Pages {
        inquiry: attribute(path, "user.scsi.inquiry")?,
        serial: page("user.scsi.vpd_pg80"),
        designators: page("user.scsi.vpd_pg83"),
        vendor: page("user.scsi.vpd_pgc0"),
    };
    let place = String::from_utf8(page("user.scsi.lun")).unwrap_or_default();
    let lun = place.split_whitespace().nth(2).and_then(|lun| lun.parse().ok());
    Some(HostDisk { lun, ..pages.disk() })
}

#[cfg(all(test, unix))]
mod tests {
    use super::{super::pages::tests::*, *};

    #[test]
    fn a_file_is_the_disk_that_its_attributes_tell() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lun1");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(disk(&path), None, "an ordinary file");
        for (name, value) in [
            ("user.scsi.inquiry", standard("HITACHI", "OPEN-3")),
            ("user.scsi.vpd_pg80", page_80("0000F42000000012")),
            ("user.scsi.lun", b"127.0.0.1:3260 iqn.2026-11.internal:cl2-c 7".to_vec()),
        ] {
            rustix::fs::setxattr(&path, name, &value, rustix::fs::XattrFlags::empty()).unwrap();
        }
        let disk = disk(&path).unwrap();
        assert_eq!(disk.lun, Some(7));
        assert_eq!(disk.identity.unwrap().ldev.get(), 18);
    }
}
