//! A disk that fills up. Needs root, for a small file system of its own; `cargo xtask test` says
//! when it cannot run this.

use std::{fs, path::PathBuf, process::Command};

use lab::{
    Carrier, Lab, bytes,
    lab::{PVOL, SVOL},
};

const MIB: usize = 1 << 20;

/// A tmpfs over a folder, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf, mib: u32) -> Self {
        fs::create_dir_all(&folder).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "lab"], &folder);
        Self(folder)
    }

    fn grow(&self, mib: u32) {
        mount(&["-o", &format!("remount,size={mib}m")], &self.0);
    }
}

fn mount(args: &[&str], folder: &std::path::Path) {
    let status = Command::new("mount").args(args).arg(folder).status().expect("mount");
    assert!(status.success(), "mount {args:?}; it needs root");
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

lab::on_every_carrier! {
    a_full_disk_fails_the_write_and_loses_nothing_acknowledged,
}

fn a_full_disk_fails_the_write_and_loses_nothing_acknowledged(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    let disk = SmallDisk::mount(lab.array_dir(), 56);
    lab.small_volumes(64 * MIB as u64);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let kept = bytes::pattern(1, 10 * MIB);
    lab.write(PVOL, 0, &kept).ok();

    // More than fits: the host is told, and nothing before it suffers.
    let refused = lab.write(PVOL, 20 * MIB as u64, &bytes::pattern(2, 40 * MIB));
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.stderr.to_lowercase().contains("space"), "{refused}");
    assert_eq!(lab.read(PVOL, 0, kept.len()), kept);

    // Pairs need no space but that of their records, which is in reserve.
    lab.cci(51, "paircreate -g snap -vr").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 100").ok();
    lab.cci(51, "pairsplit -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s psus -t 100").ok();
    // What the S-VOL needs cannot be overwritten without a new page; that write is refused, and
    // both volumes stay what they are.
    let refused = lab.write(PVOL, 0, &bytes::pattern(3, MIB));
    assert_ne!(refused.code, Some(0), "{refused}");
    assert_eq!(lab.read(PVOL, 0, kept.len()), kept);
    assert_eq!(lab.read(SVOL, 0, kept.len()), kept);
    assert_eq!(lab.stop_array(), Some(0));
    let dir = lab.array_dir();
    lab.program("arrayd", ["check".as_ref(), dir.as_os_str()]).ok();

    // Room again: everything goes on.
    disk.grow(300);
    lab.start_array();
    lab.write(PVOL, 0, &bytes::pattern(3, MIB)).ok();
    assert_eq!(lab.read(SVOL, 0, kept.len()), kept);
    lab.cci(51, "pairresync -g snap -c 15").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 100").ok();
    lab.cci(51, "pairsplit -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s psus -t 100").ok();
    let (pvol, svol) = (lab.export(PVOL, "pvol.img"), lab.export(SVOL, "svol.img"));
    assert_eq!(bytes::first_difference(&pvol, &svol).unwrap(), None);
    assert_eq!(lab.read(SVOL, 0, MIB), bytes::pattern(3, MIB));
    assert_eq!(lab.read(SVOL, MIB as u64, kept.len() - MIB), kept[MIB..]);
    // The daemons and the array end before their disk goes.
    lab.shut_down(&[50, 51]).ok();
    assert_eq!(lab.stop_array(), Some(0));
}
