//! One array and its HORCM instances.

use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    address::Address,
    binaries,
    carrier::{self, Carrier},
    run::{self, Outcome},
    wine::Wine,
};

/// The samples a user copies, as they are in the source tree.
const ARRAY: &str = include_str!("../../etc/array-62496.toml");
const HORCM50: &str = include_str!("../../etc/horcm50.conf");
const HORCM51: &str = include_str!("../../etc/horcm51.conf");
const PORTALS: &str = include_str!("../../etc/horcm.hba");

/// The portals of the built-in initiator, in `etc/`.
pub const HBA: &str = "horcm.hba";

/// The P-VOL and the S-VOL of the samples.
pub const PVOL: u32 = 18;
/// See [`PVOL`].
pub const SVOL: u32 = 19;

/// How long any command may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(300);

/// An array, instances 50 and 51, and the environment to use them.
#[derive(Debug)]
pub struct Lab {
    /// Where commands and horcmd run, if not here; ends before its directory is removed.
    wine: Option<Wine>,
    dir: TempDir,
    bin: PathBuf,
    ip: Ipv4Addr,
    carrier: Carrier,
    _address: Option<Address>,
    array: Option<Child>,
    instances: Vec<u16>,
    variables: Vec<(&'static str, String)>,
}

impl Lab {
    /// A lab at an address of its own, from the samples in `etc/`, with the command device over the
    /// network. Nothing runs yet.
    ///
    /// # Panics
    /// When it cannot be set up.
    #[must_use]
    pub fn new() -> Self {
        Self::on(Carrier::Ipcmd)
    }

    /// The same, whose instances reach their command device so.
    ///
    /// # Panics
    /// When it cannot be set up.
    #[must_use]
    pub fn on(carrier: Carrier) -> Self {
        let address = Address::take().expect("a free loopback address");
        Self::set_up(address.ip(), Some(address), carrier, false)
    }

    /// The same, whose commands and instances are the programs of Windows under Wine, and whose
    /// files are where they look for them: configurations in `C:\windows`, all else in `C:\HORCM`.
    ///
    /// # Panics
    /// When it cannot be set up.
    #[must_use]
    pub fn on_windows(carrier: Carrier) -> Self {
        let address = Address::take().expect("a free loopback address");
        Self::set_up(address.ip(), Some(address), carrier, true)
    }

    /// A lab at `127.0.0.1` with the samples unchanged, as a newcomer would run them.
    ///
    /// # Panics
    /// When it cannot be set up.
    #[must_use]
    pub fn at_localhost() -> Self {
        Self::set_up(Ipv4Addr::LOCALHOST, None, Carrier::InBand, false)
    }

    fn set_up(ip: Ipv4Addr, address: Option<Address>, carrier: Carrier, windows: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("horcm-lab-").tempdir().expect("a directory");
        let lab = Self {
            wine: windows.then(|| Wine::set_up(dir.path().join("wine"))),
            bin: binaries::folder(),
            dir,
            ip,
            carrier,
            _address: address,
            array: None,
            instances: Vec::new(),
            variables: Vec::new(),
        };
        fs::create_dir_all(lab.root().join("etc")).expect("etc");
        lab.write_conf("array-62496.toml", ARRAY);
        for (name, sample) in [("horcm50.conf", HORCM50), ("horcm51.conf", HORCM51)] {
            lab.write_conf(name, &sample.replace(carrier::DISK, carrier::IPCMD));
        }
        lab.write_conf(HBA, PORTALS);
        let mut link = lab.horcm_link();
        link.arg("link").arg(if windows { r"C:\HORCM\etc".into() } else { lab.links() });
        run::run(link, "horcm link".to_string(), b"", LIMIT).ok();
        if !windows {
            lab.program("drm", ["link".as_ref(), lab.links().as_os_str()]).ok();
        }
        lab
    }

    /// Writes a file to `etc/`, with `127.0.0.1` become this lab's address and the command device
    /// of the samples what carries orders in this lab.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_conf(&self, name: &str, text: &str) {
        let (text, ip) = (self.carrier.carry(text), self.ip.to_string());
        let text = match &self.wine {
            // Wine binds datagram sockets to every address, and answers from the first.
            Some(wine) if name.ends_with(".conf") => {
                wine.with_own_ports(&text.replace("-127.0.0.1-", &format!("-{ip}-")))
            }
            _ => text.replace("127.0.0.1", &ip),
        };
        fs::write(self.conf(name), text).expect("a configuration file");
    }

    /// Makes LDEV 18 and 19 OPEN-V volumes of so many bytes (whole MiB).
    ///
    /// # Panics
    /// When the sample does not look as it should.
    pub fn small_volumes(&self, bytes: u64) {
        let small = format!("emulation = \"OPEN-V\"\nsize = \"{} MiB\"\n", bytes >> 20);
        let mut toml = ARRAY.to_string();
        for ldev in [PVOL, SVOL] {
            let open_3 = format!("ldev = {ldev}\nemulation = \"OPEN-3\"\n");
            assert!(toml.contains(&open_3), "etc/array-62496.toml has LDEV {ldev} as OPEN-3");
            toml = toml.replace(&open_3, &format!("ldev = {ldev}\n{small}"));
        }
        self.write_conf("array-62496.toml", &toml);
    }

    /// Offers a second port with the same LUNs to any initiator by iSCSI; LDEV 20 is a volume of
    /// 1 GiB at LUN 3.
    pub fn with_hosts(&self) {
        let more = "
[[port]]
name = \"CL3-C\"
[[port.host_group]]
number = 0
initiators = [\"*\"]
[[ldev]]
ldev = 20
emulation = \"OPEN-V\"
size = \"1 GiB\"
[[lun]]
port = \"CL2-C\"
target = 25
lun = 3
ldev = 20
[[lun]]
port = \"CL3-C\"
target = 25
lun = 3
ldev = 20
";
        self.write_conf("array-62496.toml", &format!("{ARRAY}{more}"));
    }

    /// Adds LUNs 32, 33 ... with volumes of so many bytes each (whole MiB), LDEVs from 4096 on, to
    /// the port of [`Lab::with_hosts`], which comes before.
    ///
    /// # Panics
    /// When the description cannot be read or written.
    pub fn more_luns(&self, count: u32, bytes: u64) {
        const FIRST: u32 = 4096;
        let toml = fs::read_to_string(self.conf("array-62496.toml")).expect("a description");
        let (last, size) = (FIRST + count - 1, bytes >> 20);
        let more = format!(
            "[[ldev]]
ldev = \"{FIRST}-{last}\"
emulation = \"OPEN-V\"
size = \"{size} MiB\"
[[lun]]
port = \"CL2-C\"
target = 25
lun = 32
ldev = \"{FIRST}-{last}\"
"
        );
        self.write_conf("array-62496.toml", &(toml + &more));
    }

    /// Lets both instances reach their command devices in band, as disks of the built-in initiator,
    /// by this line of HORCM_CMD; there is a second port.
    ///
    /// # Panics
    /// When the samples do not look as they should.
    pub fn in_band(&self, line: &str) {
        self.with_hosts();
        for (name, sample) in [("horcm50.conf", HORCM50), ("horcm51.conf", HORCM51)] {
            assert!(sample.contains(carrier::DISK), "etc/{name} names {}", carrier::DISK);
            self.write_conf(name, &sample.replace(carrier::DISK, line));
        }
    }

    /// The address of a logical unit as libiscsi writes it.
    #[must_use]
    pub fn iscsi(&self, port: &str, lun: u16) -> String {
        let port = port.to_ascii_lowercase();
        format!("iscsi://{}:3260/iqn.2026-11.internal.raidmanager:62496.{port}/{lun}", self.ip)
    }

    /// Adds `count` LDEVs from number `first` on, of so many bytes each (whole MiB).
    pub fn many_ldevs(&self, first: u32, count: u32, bytes: u64) {
        let last = first + count - 1;
        let size = bytes >> 20;
        let more = format!(
            "\n[[ldev]]\nldev = \"{first}-{last}\"\nemulation = \"OPEN-V\"\nsize = \"{size} MiB\"\npool = 0\n"
        );
        self.write_conf("array-62496.toml", &(ARRAY.to_string() + &more));
    }

    /// Configures a group `many` of `pairs` volumes `dev0`, `dev1` ... of so many bytes each.
    pub fn many_small_pairs(&self, pairs: u32, bytes: u64) {
        const FIRST: u32 = 4096;
        self.many_ldevs(FIRST, 2 * pairs, bytes);
        for (instance, first) in [(50, FIRST), (51, FIRST + pairs)] {
            let text = group_conf(instance, "many", "dev", pairs, first);
            self.write_conf(&format!("horcm{instance}.conf"), &text);
        }
    }

    fn horcm_link(&self) -> Command {
        if self.wine.is_some() { self.command("horcm") } else { self.binary("horcm") }
    }

    /// The path of a file in `etc/`; on Windows configurations of instances are elsewhere.
    #[must_use]
    pub fn conf(&self, name: &str) -> PathBuf {
        match &self.wine {
            Some(wine) if name.ends_with(".conf") => wine.drive_c().join("windows").join(name),
            _ => self.root().join("etc").join(name),
        }
    }

    /// The Windows of [`Lab::on_windows`].
    #[must_use]
    pub const fn wine(&self) -> Option<&Wine> {
        self.wine.as_ref()
    }

    /// Ends Windows and starts it again.
    ///
    /// # Panics
    /// When it is none of [`Lab::on_windows`].
    pub fn restart_windows(&self) {
        let wine = self.wine().expect("a lab on Windows");
        wine.end();
        wine.boot();
    }

    /// This lab's address.
    #[must_use]
    pub const fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// `HORCMROOT`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        let windows = self.wine.as_ref().map(|wine| wine.drive_c().join("HORCM"));
        windows.unwrap_or_else(|| self.dir.path().join("horcm"))
    }

    /// The array's directory.
    #[must_use]
    pub fn array_dir(&self) -> PathBuf {
        self.dir.path().join("array")
    }

    /// A path for a file of the test's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the command names are linked.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.wine.as_ref().map_or_else(|| self.root().join("usr/bin"), Wine::etc)
    }

    /// Keeps the directory when the lab ends, and says where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.instances.clear();
        self.array = None;
        self.dir.path().to_path_buf()
    }

    /// The environment of every command, beside the one inherited.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("HORCMROOT", self.root())]
    }

    /// Sets an environment variable of every command from here on; an empty one is as good as none.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
    }

    /// A command by its link name, not yet run, with nothing of CCI's inherited.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let Some(wine) = &self.wine else {
            let mut command = Command::new(self.links().join(name));
            self.clean(&mut command);
            return command;
        };
        let mut command = wine.command(format!(r"C:\HORCM\etc\{name}.exe"));
        self.clean(&mut command);
        // Where it is by itself.
        command.env_remove("HORCMROOT");
        command
    }

    /// A program of the build folder, not yet run.
    #[must_use]
    pub fn binary(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        self.clean(&mut command);
        command
    }

    fn clean(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HORC") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Runs a command for one instance in HOMRCF mode: `lab.cci(51, "pairsplit -g snap")`. Words
    /// are split at blanks.
    #[track_caller]
    pub fn cci(&self, instance: u16, line: &str) -> Outcome {
        self.cci_with(instance, line, b"")
    }

    /// The same with something on standard input.
    #[track_caller]
    pub fn cci_with(&self, instance: u16, line: &str, input: &[u8]) -> Outcome {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().expect("a command"));
        command.env("HORCMINST", instance.to_string()).env("HORCC_MRCF", "1").args(words);
        run::run(command, line.to_string(), input, LIMIT)
    }

    /// Runs a program of the build folder: `lab.program("arrayd", ["check", dir])`.
    #[track_caller]
    pub fn program<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Outcome {
        let mut command = self.binary(name);
        let mut line = name.to_string();
        for arg in args {
            line.push(' ');
            line.push_str(&arg.as_ref().to_string_lossy());
            command.arg(arg);
        }
        run::run(command, line, b"", LIMIT)
    }

    /// Makes the array's directory from `etc/array-62496.toml`.
    #[track_caller]
    pub fn init_array(&self) -> Outcome {
        let (dir, from) = (self.array_dir(), self.conf("array-62496.toml"));
        self.program(
            "arrayd",
            ["init".as_ref(), dir.as_os_str(), "--from".as_ref(), from.as_os_str()],
        )
    }

    /// Starts the array and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends instead.
    #[track_caller]
    pub fn start_array(&mut self) {
        self.start_array_with(&[]);
    }

    /// The same with further options.
    ///
    /// # Panics
    /// When it ends instead.
    #[track_caller]
    pub fn start_array_with(&mut self, options: &[&str]) {
        let log = self.path("arrayd.log");
        let file = fs::File::create(&log).expect("a log file");
        let mut command = self.binary("arrayd");
        command.arg("run").arg(self.array_dir()).args(options).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a second handle")).stderr(file);
        let mut child = command.spawn().expect("arrayd starts");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        until("arrayd is ready", || {
            let ended = child.try_wait().expect("a child").is_some();
            assert!(!ended, "arrayd ended instead of becoming ready: {}", said());
            said().contains("ready")
        });
        self.array = Some(child);
    }

    /// The array's process id while it runs.
    #[must_use]
    pub fn array_pid(&self) -> Option<u32> {
        self.array.as_ref().map(Child::id)
    }

    /// Kills the array as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_array(&mut self) {
        let mut child = self.array.take().expect("the array runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Stops the array as SIGTERM does, and gives its exit code.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop_array(&mut self) -> Option<i32> {
        let mut child = self.array.take().expect("the array runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be told");
        child.wait().expect("it ends").code()
    }

    /// `horcmstart` for these instances.
    #[track_caller]
    pub fn start(&mut self, instances: &[u16]) -> Outcome {
        self.instances.extend(instances);
        self.horcm("horcmstart", instances)
    }

    /// `horcmshutdown` for these instances.
    #[track_caller]
    pub fn shut_down(&mut self, instances: &[u16]) -> Outcome {
        let outcome = self.horcm("horcmshutdown", instances);
        self.instances.retain(|n| !instances.contains(n));
        outcome
    }

    #[track_caller]
    fn horcm(&self, name: &str, instances: &[u16]) -> Outcome {
        let words: Vec<_> = instances.iter().map(ToString::to_string).collect();
        let mut command = self.command(name);
        command.args(&words);
        run::run(command, format!("{name} {}", words.join(" ")), b"", LIMIT)
    }

    /// The process id of a running horcmd.
    ///
    /// # Panics
    /// When its registration cannot be read.
    #[must_use]
    pub fn horcmd_pid(&self, instance: u16) -> Option<u32> {
        self.registration(instance).map(|registration| registration.pid)
    }

    fn registration(&self, instance: u16) -> Option<protocol::Registration> {
        let home = protocol::Home::at(self.root());
        let instance = model::Instance::numbered(instance).expect("an instance");
        protocol::Registration::read(&home, instance).expect("a readable registration")
    }

    /// Kills one horcmd as `kill -9` does and waits until it is gone. It is not our child, so its
    /// end shows in `/proc` only; on Windows, in its port.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_horcmd(&self, instance: u16) {
        let protocol::Registration { address, pid } =
            self.registration(instance).expect("horcmd runs");
        if let Some(wine) = &self.wine {
            let mut command = wine.command("taskkill");
            command.args(["/f", "/pid", &pid.to_string()]);
            run::run(command, format!("taskkill /f /pid {pid}"), b"", LIMIT).ok();
            let port = (Ipv4Addr::UNSPECIFIED, address.port());
            until("horcmd is gone", || UdpSocket::bind(port).is_ok());
            return;
        }
        run::kill(pid);
        let gone = || {
            fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
                stat.rsplit(')').next().is_some_and(|s| s.trim().starts_with('Z'))
            })
        };
        until("horcmd is gone", gone);
    }

    /// Writes bytes to an LDEV as a host would.
    #[track_caller]
    pub fn write(&self, ldev: u32, offset: u64, bytes: &[u8]) -> Outcome {
        let mut command = self.binary("arrayd");
        command.arg("import").arg(self.array_dir()).arg(ldev.to_string()).arg("-");
        command.arg("--offset").arg(offset.to_string());
        run::run(command, format!("arrayd import {ldev} - --offset {offset}"), bytes, LIMIT)
    }

    /// Copies a whole LDEV to a file of that name in the lab.
    #[track_caller]
    pub fn export(&self, ldev: u32, name: &str) -> PathBuf {
        let path = self.path(name);
        let dir = self.array_dir();
        self.program(
            "arrayd",
            ["export".as_ref(), dir.as_os_str(), ldev.to_string().as_ref(), path.as_os_str()],
        )
        .ok();
        path
    }

    /// Copies a file into an LDEV from its first byte on.
    #[track_caller]
    pub fn import(&self, ldev: u32, file: &Path) -> Outcome {
        let dir = self.array_dir();
        self.program(
            "arrayd",
            ["import".as_ref(), dir.as_os_str(), ldev.to_string().as_ref(), file.as_os_str()],
        )
    }

    /// Bytes of an LDEV.
    ///
    /// # Panics
    /// When the export fails or is short.
    #[must_use]
    #[track_caller]
    pub fn read(&self, ldev: u32, offset: u64, length: usize) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new_in(self.dir.path()).expect("a file");
        let mut command = self.binary("arrayd");
        command.arg("export").arg(self.array_dir()).arg(ldev.to_string()).arg(file.path());
        command.arg("--offset").arg(offset.to_string()).arg("--length").arg(length.to_string());
        run::run(command, format!("arrayd export {ldev}"), b"", LIMIT).ok();
        let bytes = fs::read(file.path()).expect("the exported bytes");
        assert_eq!(bytes.len(), length, "LDEV {ldev} at {offset}");
        bytes
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    /// Ends whatever this lab started, by process id.
    fn drop(&mut self) {
        for instance in std::mem::take(&mut self.instances) {
            // On Windows it is another number, and what runs there ends with it.
            if let Some(pid) = self.horcmd_pid(instance).filter(|_| self.wine.is_none()) {
                run::kill(pid);
            }
        }
        if let Some(mut child) = self.array.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A configuration of instance 50 or 51 with one group of `pairs` volumes, LDEV `first` and up,
/// all with MU# 0.
#[must_use]
pub fn group_conf(instance: u16, group: &str, stem: &str, pairs: u32, first: u32) -> String {
    let peer = if instance == 50 { 51 } else { 50 };
    let mut text = format!(
        "HORCM_MON\n127.0.0.1 520{instance} 1000 3000\nHORCM_CMD\n\\\\.\\IPCMD-127.0.0.1-31001\n\
         HORCM_INST\n{group} 127.0.0.1 520{peer}\nHORCM_LDEV\n"
    );
    for n in 0..pairs {
        text += &format!("{group} {stem}{n} 62496 {} 0\n", first + n);
    }
    text
}

/// Waits until `condition` holds, asking again and again.
///
/// # Panics
/// After five minutes.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
