//! Attachments, loop devices, mounts and loads that end with the test that made them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lab::{Lab, Outcome, lab::until, run::run};

/// A lab whose P-VOL and S-VOL have so many bytes, offered to the built-in initiator.
pub fn lab(bytes: u64) -> Lab {
    lab_of(|toml| {
        let mut small = toml.clone();
        for ldev in [18, 19] {
            small = small.replace(
                &format!("ldev = {ldev}\nemulation = \"OPEN-3\"\n"),
                &format!("ldev = {ldev}\nemulation = \"OPEN-V\"\nsize = \"{} MiB\"\n", bytes >> 20),
            );
        }
        assert_ne!(small, toml);
        small
    })
}

/// A lab with what `change` makes of the description of its array, offered to the built-in
/// initiator.
pub fn lab_of(change: impl FnOnce(String) -> String) -> Lab {
    assert!(rustix::process::geteuid().is_root(), "these tests need root, to mount");
    for device in ["/dev/fuse", "/dev/loop-control"] {
        assert!(Path::new(device).exists(), "{device} is missing: load its module");
    }
    let mut lab = Lab::new();
    lab.with_hosts();
    let toml = fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
    fs::write(lab.conf("array-62496.toml"), change(toml)).unwrap();
    lab.write_conf("horcm.hba", "127.0.0.1:3260\n");
    lab.init_array().ok();
    lab.start_array();
    lab
}

/// Runs a program of others; ordinary places for administrators count.
pub fn tool(name: &str, args: &[&str]) -> Outcome {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.is_file());
    let mut command =
        Command::new(found.unwrap_or_else(|| panic!("{name} is missing: cargo xtask test")));
    command.args(args);
    run(command, format!("{name} {}", args.join(" ")), b"", Duration::from_secs(120))
}

/// An extended attribute of a file.
pub fn attribute(file: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::getxattr(file, name, &mut value[..]).unwrap();
    value.truncate(length);
    value
}

/// Whether a process has ended.
pub fn is_gone(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z'))
    })
}

/// A path as its log has it in its name.
fn plain(path: &Path) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    path.to_str().unwrap().chars().map(plain).collect()
}

/// The process that its record names.
fn pid(lab: &Lab, file: &Path) -> u32 {
    let logs = fs::read_dir(lab.root().join("log")).unwrap().map(|entry| entry.unwrap());
    let begins = format!("attach{}-", plain(file));
    let is_record = |name: &str| name.starts_with(&begins) && name.ends_with(".state");
    let mut records = logs.filter(|entry| is_record(entry.file_name().to_str().unwrap()));
    let record = fs::read_to_string(records.next().expect("a record").path()).unwrap();
    record.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A LUN as a file.
pub struct Attached {
    pub file: PathBuf,
    pid: u32,
}

impl Attached {
    #[track_caller]
    pub fn new(lab: &Lab, lun: &str, file: &str) -> Self {
        Self::with(lab, &[], "", lun, file)
    }

    /// With further options; `form` says how the LUN is named.
    #[track_caller]
    pub fn with(lab: &Lab, options: &[&str], form: &str, lun: &str, file: &str) -> Self {
        let file = lab.path(file);
        let words = [&["attach"], options, &[lun, file.to_str().unwrap()]].concat();
        let attached = lab.program("horcm", words);
        assert!(attached.ok().contains(" is "), "{form}: {attached}");
        let pid = pid(lab, &file);
        Self { file, pid }
    }

    /// The process behind it.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    pub fn name(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Whether its log has these words.
    pub fn says(&self, lab: &Lab, words: &str) -> bool {
        let log = lab.root().join(format!("log/attach{}.log", plain(&self.file)));
        fs::read_to_string(log).unwrap().contains(words)
    }

    pub fn detach(&self, lab: &Lab) -> Outcome {
        lab.program("horcm", ["detach", self.name()])
    }
}

impl Drop for Attached {
    /// A test that failed leaves no mount and no process behind.
    fn drop(&mut self) {
        if !is_gone(self.pid) {
            drop(Command::new("umount").arg("-l").arg(&self.file).stderr(Stdio::null()).status());
            let ended = (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                is_gone(self.pid)
            });
            if !ended {
                lab::run::kill(self.pid);
            }
        }
    }
}

/// A loop device over a file.
pub struct Loop(String);

impl Loop {
    pub fn path(&self) -> &str {
        &self.0
    }
}

#[track_caller]
pub fn loop_device(file: &Path, direct: bool) -> Loop {
    let direct = format!("--direct-io={}", if direct { "on" } else { "off" });
    let made = tool("losetup", &["--find", "--show", &direct, file.to_str().unwrap()]);
    Loop(made.ok().trim().to_owned())
}

impl Drop for Loop {
    fn drop(&mut self) {
        tool("losetup", &["-d", &self.0]);
        // Others of the host look at new devices; it is gone when the last of them has closed it.
        let backing =
            format!("/sys/block/{}/loop/backing_file", self.0.trim_start_matches("/dev/"));
        if !std::thread::panicking() {
            until("the loop device is gone", || !Path::new(&backing).exists());
        }
    }
}

/// A mounted file system.
pub struct Mounted {
    pub path: PathBuf,
}

impl Mounted {
    #[track_caller]
    pub fn new(disk: &str, path: &Path, options: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        tool("mount", &["-o", options, disk, path.to_str().unwrap()]).ok();
        Self { path: path.to_path_buf() }
    }

    pub fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(Command::new("fsfreeze").arg("-u").arg(&self.path).stderr(Stdio::null()).status());
            drop(Command::new("umount").arg("-l").arg(&self.path).status());
        } else {
            tool("umount", &[self.name()]).ok();
        }
    }
}

/// fio at work.
pub struct Load(Option<Child>);

impl Load {
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        let mut fio = Command::new("fio");
        fio.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(fio.spawn().expect("fio is missing: cargo xtask test")))
    }

    pub fn runs(&mut self) -> bool {
        self.0.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits for its end, and its verdict.
    #[track_caller]
    pub fn passes(mut self) {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
