//! tgt, the user-space target that ours is compared with: one file behind two targets.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{Lab, lab::until};

const TARGET: &str = "iqn.2026-11.internal.tgt:";

/// A running `tgtd` at a lab's address.
pub struct Tgt {
    daemon: Child,
    listen: String,
    control: String,
}

impl Tgt {
    /// Starts it over a sparse file of 1 GiB in the lab's directory.
    ///
    /// # Panics
    /// When it cannot be started or set up.
    #[must_use]
    pub fn start(lab: &Lab) -> Self {
        let file = lab.path("tgt.img");
        let image = fs::File::create(&file).expect("an image");
        image.set_len(1 << 30).expect("a sparse file");
        let listen = format!("{}:3270", lab.ip());
        let control = std::process::id().to_string();
        let daemon = Command::new("tgtd")
            .args(["-f", "-C", &control, "--iscsi", &format!("portal={listen}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tgtd starts");
        let this = Self { daemon, listen, control };
        // It says nowhere that it is ready.
        until("tgtd answers", || this.admin(&["--op", "show", "--mode", "sys"]));
        this.set_up(&file);
        this
    }

    /// Offers so many more disks at a third target, LUN 1, 2 ..., each a sparse file of its own in
    /// the lab's directory.
    ///
    /// # Panics
    /// When they cannot be set up.
    pub fn more_luns(&self, lab: &Lab, count: u32, bytes: u64) {
        let name = Self::target(3);
        let made = self.admin(&["--op", "new", "--mode", "target", "--tid", "3", "-T", &name]);
        assert!(made, "a third target");
        for lun in 1..=count {
            let file = lab.path(&format!("tgt-{lun}.img"));
            let image = fs::File::create(&file).expect("an image");
            image.set_len(bytes).expect("a sparse file");
            let (file, lun) = (file.to_string_lossy(), lun.to_string());
            let unit = ["--mode", "logicalunit", "--tid", "3", "--lun", &lun];
            assert!(self.admin(&[&["--op", "new"], &unit[..], &["-b", &file]].concat()), "{lun}");
        }
        assert!(self.admin(&["--op", "bind", "--mode", "target", "--tid", "3", "-I", "ALL"]));
    }

    fn set_up(&self, file: &Path) {
        let file = file.to_string_lossy();
        for tid in ["1", "2"] {
            let name = format!("{TARGET}{tid}");
            let unit = ["--mode", "logicalunit", "--tid", tid, "--lun", "1"];
            // One disk on two paths.
            let params = "thin_provisioning=1,scsi_id=one-disk,scsi_sn=one-disk";
            let steps: [&[&str]; 4] = [
                &["--op", "new", "--mode", "target", "--tid", tid, "-T", &name],
                &[&["--op", "new"], &unit[..], &["-b", &file]].concat(),
                &[&["--op", "update"], &unit[..], &["--params", params]].concat(),
                &["--op", "bind", "--mode", "target", "--tid", tid, "-I", "ALL"],
            ];
            for step in steps {
                assert!(self.admin(step), "tgtadm {step:?}");
            }
        }
    }

    fn admin(&self, args: &[&str]) -> bool {
        let mut command = Command::new("tgtadm");
        command.args(["-C", &self.control, "--lld", "iscsi"]).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// The name of a target, 1 or 2, or 3 after [`Tgt::more_luns`].
    #[must_use]
    pub fn target(tid: u8) -> String {
        format!("{TARGET}{tid}")
    }

    /// The address of its disk at a target, as libiscsi writes it.
    #[must_use]
    pub fn url(&self, tid: u8) -> String {
        format!("iscsi://{}/{}/1", self.listen, Self::target(tid))
    }
}

impl Drop for Tgt {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
