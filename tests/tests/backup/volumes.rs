//! A host with two file systems on attached P-VOLs, each with two mirrors, and the `drm` commands.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::{Lab, Outcome, run::run};

use crate::attached::{self, Attached, Loop, Mounted, loop_device, tool};

/// LDEVs 18 and 20 are P-VOLs; their S-VOLs are 19 and 21 (MU# 0), 22 and 23 (MU# 1).
const MORE: [(u32, u16); 4] = [(20, 40), (21, 41), (22, 42), (23, 43)];

/// A lab with both instances and two mounted file systems.
pub struct Host {
    pub a: FileSystem,
    pub b: FileSystem,
    pub lab: Lab,
}

/// A file system on an attached P-VOL.
pub struct FileSystem {
    mounted: Option<Mounted>,
    disk: Option<Loop>,
    _file: Attached,
    /// Where it is mounted.
    pub at: PathBuf,
}

impl Host {
    pub fn new(bytes: u64) -> Self {
        let serial = 100_000 + std::process::id() % 800_000;
        let mut lab = attached::lab_of(|toml| {
            let size = bytes >> 20;
            let mut toml = toml.replace(
                "emulation = \"OPEN-3\"\npool",
                &format!("emulation = \"OPEN-V\"\nsize = \"{size} MiB\"\npool"),
            );
            // This host tells LDEVs of several labs apart by it.
            toml = toml.replace("serial = 62496", &format!("serial = {serial}"));
            // LDEV 20 of the lab's second port goes.
            toml.truncate(toml.find("\n[[port]]\nname = \"CL3-C\"").unwrap_or(toml.len()));
            for (ldev, lun) in MORE {
                toml += &format!(
                    "\n[[ldev]]\nldev = {ldev}\nemulation = \"OPEN-V\"\nsize = \"{size} MiB\"\n\
                     pool = 0\n[[lun]]\nport = \"CL2-C\"\ntarget = 25\nlun = {lun}\nldev = {ldev}\n"
                );
            }
            toml
        });
        for (own, peer, rows) in [
            (
                50,
                51,
                [
                    "snap dev1 62496 18 0",
                    "snap dev2 62496 20 0",
                    "late dev1 62496 18 1",
                    "late dev2 62496 20 1",
                ],
            ),
            (
                51,
                50,
                [
                    "snap dev1 62496 19 0",
                    "snap dev2 62496 21 0",
                    "late dev1 62496 22 0",
                    "late dev2 62496 23 0",
                ],
            ),
        ] {
            lab.write_conf(
                &format!("horcm{own}.conf"),
                &format!(
                    "HORCM_MON\n127.0.0.1 520{own} 1000 3000\nHORCM_CMD\n\\\\.\\IPCMD-127.0.0.1-31001\n\
                     HORCM_LDEV\n{}\nHORCM_INST\nsnap 127.0.0.1 520{peer}\nlate 127.0.0.1 520{peer}\n",
                    rows.join("\n").replace("62496", &serial.to_string())
                ),
            );
        }
        lab.start(&[50, 51]).ok();
        for (name, value) in [
            ("VSHTCHORCMINST_LOCAL", "50"),
            ("VSHTCHORCMINST_REMOTE", "51"),
            ("VSHTCHOMRCF_MUN", "0"),
            ("DRM_DB_PATH", ""),
        ] {
            lab.set(name, value);
        }
        let (a, b) = (
            FileSystem::new(&lab, &format!("{serial}:18"), "a"),
            FileSystem::new(&lab, &format!("{serial}:20"), "b"),
        );
        Self { a, b, lab }
    }

    /// Runs a `drm` command; words are split at blanks.
    #[track_caller]
    pub fn drm(&self, line: &str) -> Outcome {
        let mut words = line.split_whitespace();
        let mut command = self.lab.command(words.next().expect("a command"));
        command.args(words);
        run(command, line.to_owned(), b"", Duration::from_secs(300))
    }

    /// A list file of both mount points.
    pub fn both(&self) -> String {
        let list = self.lab.path("list");
        let text = format!("# both\n{}\n{}\n", self.a.at.display(), self.b.at.display());
        fs::write(&list, text).unwrap();
        list.to_str().unwrap().to_owned()
    }

    /// Backs up both; its ID.
    #[track_caller]
    pub fn back_up(&self) -> String {
        backup_id(self.drm(&format!("drmfsbackup {}", self.both())).ok())
    }
}

impl Drop for Host {
    /// A test that failed leaves no S-VOL mounted or attached.
    fn drop(&mut self) {
        let luns = self.lab.root().join("drm/luns");
        if !std::thread::panicking() || !luns.exists() {
            return;
        }
        for n in 1..20 {
            let mut command = self.lab.command("drmumount");
            drop(command.arg(n.to_string()).output());
        }
    }
}

/// The ID in what a backup says.
#[track_caller]
pub fn backup_id(said: &str) -> String {
    let line = said.lines().find_map(|line| line.strip_prefix("Backup ID = "));
    line.unwrap_or_else(|| panic!("no ID: {said}")).to_owned()
}

impl FileSystem {
    fn new(lab: &Lab, lun: &str, name: &str) -> Self {
        let file = Attached::new(lab, lun, &format!("{name}.lun"));
        let disk = loop_device(&file.file, true);
        tool("mkfs.ext4", &["-q", disk.path()]).ok();
        let at = lab.path(name);
        let mounted = Mounted::new(disk.path(), &at, "rw");
        Self { mounted: Some(mounted), disk: Some(disk), _file: file, at }
    }

    /// Unmounts it, and gives its device.
    pub fn unmount(&mut self) -> String {
        self.mounted = None;
        self.disk.as_ref().unwrap().path().to_owned()
    }

    pub fn mount(&mut self) {
        let disk = self.disk.as_ref().unwrap();
        self.mounted = Some(Mounted::new(disk.path(), &self.at, "rw"));
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.at.join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at.join(name)).unwrap()
    }
}

impl Drop for FileSystem {
    /// In this order.
    fn drop(&mut self) {
        self.mounted = None;
        self.disk = None;
    }
}

/// Whether a file system can be written to: nothing holds it frozen.
pub fn is_thawed(at: &Path) -> bool {
    let file = at.join("thawed");
    let text = file.to_str().unwrap().to_owned();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(tell.send(fs::write(text, "yes"))));
    told.recv_timeout(Duration::from_secs(20)).is_ok_and(|written| written.is_ok())
}
