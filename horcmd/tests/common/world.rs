//! One test's own directory, key and daemons.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use model::{CciError, Instance, Mode};
use protocol::{
    BlockingCaller, Home, Key, Kind, Registration, RequestId, codec,
    horcm::{Answer, Member, Reply, Request, Selection, Target},
};

/// The longest any test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub dir: tempfile::TempDir,
    pub home: Home,
    pub key: Key,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        home.ensure().unwrap();
        let key = Key::load_or_create(&home.key_file()).unwrap();
        Self { dir, home, key }
    }

    /// Writes `etc/horcmN.conf`.
    pub fn conf(&self, instance: u16, text: &str) {
        let etc = self.dir.path().join("etc");
        fs::create_dir_all(&etc).unwrap();
        fs::write(etc.join(format!("horcm{instance}.conf")), text).unwrap();
    }

    /// Writes a portal to `etc/horcm.hba`, unless it is there; its place among them.
    pub fn portal(&self, address: SocketAddr) -> usize {
        let etc = self.dir.path().join("etc");
        fs::create_dir_all(&etc).unwrap();
        let (file, line) = (etc.join("horcm.hba"), address.to_string());
        let mut text = fs::read_to_string(&file).unwrap_or_default();
        if !text.lines().any(|known| known == line) {
            text += &format!("{line}\n");
            fs::write(file, &text).unwrap();
        }
        text.lines().position(|known| known == line).unwrap()
    }

    fn command(&self, instance: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_horcmd"));
        command.env_clear();
        command.env("HORCMROOT", self.dir.path()).env("HORCMINST", instance.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts an instance and waits until it answers.
    pub fn start(&self, instance: u16) -> Daemon {
        let child = self.command(instance).stderr(Stdio::inherit()).spawn().unwrap();
        let instance = Instance::numbered(instance).unwrap();
        let pid = child.id();
        let mut daemon = Daemon {
            child,
            instance,
            home: self.home.clone(),
            key: self.key.clone(),
            caller: None,
        };
        let registered = || {
            let found = Registration::read(&self.home, instance).ok().flatten();
            found.filter(|registration| registration.pid == pid)
        };
        wait_for("the registration", || {
            assert_eq!(daemon.child.try_wait().unwrap(), None, "the daemon ended");
            registered().is_some()
        });
        let address = registered().unwrap().address;
        daemon.caller = Some(BlockingCaller::connect(address, self.key.clone()).unwrap());
        daemon
    }

    /// Starts an instance that is to fail, and returns how it did.
    pub fn fail(&self, instance: u16) -> Output {
        self.command(instance).stderr(Stdio::piped()).output().unwrap()
    }

    pub fn log_dir(&self, instance: u16) -> PathBuf {
        self.dir.path().join(format!("log{instance}"))
    }

    /// The daemon's log.
    pub fn log(&self, instance: u16) -> String {
        let directory = self.log_dir(instance).join("curlog");
        let logs = fs::read_dir(&directory).into_iter().flatten().flatten();
        let files = logs.map(|entry| entry.path().join("horcm.log"));
        files.filter_map(|file| fs::read_to_string(file).ok()).collect()
    }

    /// The start-up log.
    pub fn startup_log(&self, instance: u16) -> String {
        let directory = self.log_dir(instance).join("curlog");
        let files = fs::read_dir(&directory).unwrap().flatten().map(|entry| entry.path());
        files.filter_map(|file| fs::read_to_string(file).ok()).collect()
    }
}

/// A running instance; killed when dropped.
pub struct Daemon {
    pub child: Child,
    instance: Instance,
    home: Home,
    key: Key,
    caller: Option<BlockingCaller>,
}

impl Daemon {
    pub fn ask(&mut self, request: &Request) -> Answer {
        self.ask_as(RequestId::random(), request)
    }

    pub fn ask_as(&mut self, id: RequestId, request: &Request) -> Answer {
        let kind = if request.mutates() { Kind::Change } else { Kind::Read };
        let body = codec::encode(&(Vec::<protocol::login::Login>::new(), request));
        let bytes = self.caller.as_mut().unwrap().call(id, kind, &body, PATIENCE).unwrap();
        codec::decode(&bytes).unwrap()
    }

    pub fn raw(&mut self, kind: Kind, body: &[u8]) -> Answer {
        let caller = self.caller.as_mut().unwrap();
        let bytes = caller.call(RequestId::random(), kind, body, PATIENCE).unwrap();
        codec::decode(&bytes).unwrap()
    }

    /// All pages of a group.
    pub fn members(
        &mut self,
        selection: &Selection,
        remote: bool,
    ) -> Result<(Vec<Member>, Option<CciError>), CciError> {
        let (mut all, mut error, mut from) = (Vec::new(), None, 0);
        loop {
            let selection = selection.clone();
            let request =
                Request::Members { selection, remote, guards: false, devices: true, from };
            match self.ask(&request)? {
                Reply::Members { members, next, remote_error, .. } => {
                    all.extend(members);
                    error = error.or(remote_error);
                    match next {
                        None => return Ok((all, error)),
                        Some(next) => from = next,
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Ends it by its own command and returns its exit code.
    pub fn shutdown(mut self) -> Option<i32> {
        assert_eq!(self.ask(&Request::Shutdown), Ok(Reply::Done));
        self.wait()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub fn wait(&mut self) -> Option<i32> {
        wait_for("the daemon's end", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A UDP port nobody uses now.
pub fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Looks again and again until `true`.
pub fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub fn group(name: &str) -> Selection {
    Selection {
        target: Target::Group { group: name.parse().unwrap(), volume: None },
        mode: Mode::Homrcf,
        mirror: None,
    }
}

/// The seed's pair of configuration files, with free ports.
pub struct Pair {
    pub ports: [u16; 2],
}

impl Pair {
    pub fn write(worlds: [&World; 2], devices: &str, timeout: u32) -> Self {
        let ports = [free_port(), free_port()];
        for (n, world) in worlds.into_iter().enumerate() {
            let (own, other, lun, mu) = (ports[n], ports[1 - n], n + 1, 2 - 2 * n);
            world.conf(
                50 + u16::try_from(n).unwrap(),
                &format!(
                    "HORCM_MON\n127.0.0.1 {own} 10 {timeout}\nHORCM_CMD\n{devices}\n\
                     HORCM_DEV\nsnap snapdev1 CL2-C 25 {lun} {mu}\n\
                     HORCM_INST\nsnap 127.0.0.1 {other}\n"
                ),
            );
        }
        Self { ports }
    }
}
