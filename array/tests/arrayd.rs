//! The binary as its users meet it: orders over UDP, import and export, kill -9, damage.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use model::{LdevId, MuNumber, PairEnd, Serial, SplitMode, VolumeId};
use protocol::{
    BlockingCaller, Key, Kind, RequestId, codec,
    orders::{
        CreateOptions, EndStatus, LocalEnd, Order, OrderAnswer, PairChange, PairTarget, Reply,
        ResyncOptions, SplitOptions,
    },
};

const TOML: &str = "
serial = 62496
[[ldev]]
ldev = \"18-21\"
emulation = \"OPEN-V\"
size = \"9 MiB\"
";
const SIZE: usize = 9 << 20;
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with an array and a HORCMROOT of its own.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(this.path("array.toml"), TOML).unwrap();
        let from = this.path("array.toml");
        let made = this.arrayd(&["init", &this.array(), "--from", from.to_str().unwrap()]);
        assert!(made.status.success(), "{made:?}");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn array(&self) -> String {
        self.path("array").to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arrayd"));
        command.args(args).env("HORCMROOT", self.path("horcm")).env_remove("NOTIFY_SOCKET");
        command
    }

    fn arrayd(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn run(&self) -> Running<'_> {
        let mut child = self
            .command(&["run", &self.array(), "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line
            .trim_end()
            .strip_prefix("arrayd: Serial# 62496 ready on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .parse::<SocketAddr>()
            .unwrap();
        let key = Key::load(&self.path("horcm/.uds/horcm.key")).unwrap();
        Running { place: self, child, caller: BlockingCaller::connect(address, key).unwrap() }
    }

    fn import(&self, ldev: u32, bytes: &[u8], offset: usize) -> Output {
        let file = self.path("import");
        fs::write(&file, bytes).unwrap();
        let (ldev, offset) = (ldev.to_string(), offset.to_string());
        let file = file.to_str().unwrap();
        self.arrayd(&["import", &self.array(), &ldev, file, "--offset", &offset])
    }

    fn export(&self, ldev: u32) -> Vec<u8> {
        let file = self.path("export");
        let out =
            self.arrayd(&["export", &self.array(), &ldev.to_string(), file.to_str().unwrap()]);
        assert!(out.status.success(), "{out:?}");
        fs::read(file).unwrap()
    }
}

struct Running<'a> {
    place: &'a Place,
    child: Child,
    caller: BlockingCaller,
}

impl Running<'_> {
    fn ask(&mut self, order: &Order) -> OrderAnswer {
        let kind = if order.mutates() { Kind::Change } else { Kind::Read };
        let body = codec::encode(&(None::<protocol::login::Token>, order));
        let answer = self.caller.call(RequestId::random(), kind, &body, PATIENCE).unwrap();
        codec::decode(&answer).unwrap()
    }

    fn change(&mut self, change: PairChange) -> OrderAnswer {
        let partner = PairEnd {
            volume: VolumeId { serial: Serial::new(62_496).unwrap(), ldev: ldev(19) },
            mu: MuNumber::default(),
        };
        let target = PairTarget { end: end(18, 2), partner: Some(partner) };
        self.ask(&Order::Change { change, pairs: vec![target] })
    }

    fn status(&mut self) -> EndStatus {
        match self.ask(&Order::Status(vec![end(18, 2)])) {
            Ok(Reply::Status(ends)) => ends[0].unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn wait_for(&mut self, word: &str) {
        let began = Instant::now();
        while self.status().status.word() != word {
            assert!(began.elapsed() < PATIENCE, "{:?} is not {word}", self.status());
        }
    }

    fn terminate(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(!self.place.path("array/arrayd.sock").exists());
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ldev(n: u32) -> LdevId {
    LdevId::new(n).unwrap()
}

fn end(n: u32, mu: u32) -> LocalEnd {
    LocalEnd { ldev: ldev(n), mu: MuNumber::new(mu).unwrap() }
}

fn create() -> PairChange {
    PairChange::Create(CreateOptions { pace: model::CopyPace::MAX, ..CreateOptions::default() })
}

fn split(mode: SplitMode) -> PairChange {
    PairChange::Split(SplitOptions { writable: true, mode: Some(mode), pace: None, fresh: false })
}

fn resync(restore: bool) -> PairChange {
    PairChange::Resync(ResyncOptions { restore, ..ResyncOptions::default() })
}

/// Bytes that no two calls share.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn a_session_over_the_network_moves_the_right_bytes() {
    let place = Place::new();
    let mut array = place.run();
    let first = noise(1, 5 << 20);
    assert!(place.import(18, &first, 4096).status.success());
    array.change(create()).unwrap();
    array.wait_for("PAIR");
    array.change(split(SplitMode::Quick)).unwrap();
    assert_eq!(array.status().status.word(), "PSUS");
    assert!(place.import(18, &noise(2, 1 << 20), 0).status.success());
    let mut point = vec![0; SIZE];
    point[4096..4096 + first.len()].copy_from_slice(&first);
    assert!(place.export(19) == point, "the S-VOL holds the point in time");
    assert!(place.export(18)[..1 << 20] == noise(2, 1 << 20));
    array.change(resync(true)).unwrap();
    array.wait_for("PAIR");
    assert!(place.export(18) == point, "restored");

    let refused = place.import(19, &first, 0);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("EX_INVVOL"), "{}", said(&refused));
    assert!(said(&refused).contains("PAIR"), "{}", said(&refused));
    let moving = place.arrayd(&["export", &place.array(), "19", "-"]);
    assert!(said(&moving).contains("--force"), "{}", said(&moving));
    let forced = place.arrayd(&["export", &place.array(), "19", "-", "--force"]);
    assert!(forced.stdout == point);
    let part = ["export", &place.array(), "18", "-", "--offset", "4096", "--length", "1000"];
    assert!(place.arrayd(&part).stdout == first[..1000]);
    let long = place.import(18, &first, SIZE - 4096);
    assert!(said(&long).contains("4096 bytes are left"), "{}", said(&long));
    let status = place.arrayd(&["status", &place.array()]);
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("P-VOL") && text.contains("S-VOL"), "{text}");

    for args in [["run", &place.array()], ["check", &place.array()]] {
        let second = place.arrayd(&args);
        assert_eq!(second.status.code(), Some(1));
        assert!(said(&second).contains("in use by another arrayd"), "{}", said(&second));
    }
    array.terminate();
    let stopped = place.import(18, &first, 0);
    assert!(said(&stopped).contains("does not run; start it with: arrayd run"));
    let whole = place.arrayd(&["check", &place.array()]);
    let line = String::from_utf8(whole.stdout).unwrap();
    assert!(line.contains("whole: Serial# 62496, 4 LDEVs, 1 pairs; "), "{line}");
}

#[test]
fn a_port_in_use_is_named() {
    let place = Place::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let out = place.arrayd(&["run", &place.array(), "--listen", &address]);
    assert_eq!(out.status.code(), Some(1));
    let text = said(&out);
    assert!(text.contains(&address) && text.contains("the port is in use"), "{text}");
}

#[test]
fn killed_at_any_moment_the_array_goes_on_with_the_right_bytes() {
    let place = Place::new();
    let mut seed = 7;
    for round in 0..12u64 {
        let mut array = place.run();
        // Whatever it was doing: it comes to rest by itself, and both volumes are one.
        match array.status().status.word() {
            "SMPL" => array.change(create()).unwrap(),
            "PSUS" => array.change(resync(round % 2 == 0)).unwrap(),
            _ => Reply::Done,
        };
        let began = Instant::now();
        loop {
            match array.status().status.word() {
                "PAIR" => break,
                "PSUS" => drop(array.change(resync(false)).unwrap()),
                _ => assert!(began.elapsed() < PATIENCE),
            }
        }
        array.change(split(SplitMode::Quick)).unwrap();
        assert!(place.export(18) == place.export(19), "round {round}: the split is not exact");
        let point = place.export(19);
        seed += 1;
        let offset = usize::try_from(seed % 5).unwrap() << 20;
        assert!(place.import(18, &noise(seed, 3 << 20), offset).status.success());
        assert!(place.export(19) == point, "round {round}: a write reached the S-VOL");

        // Now cut it off amid writes and copies.
        array.change(resync(round % 3 == 1)).unwrap();
        let file = place.path("noise");
        fs::write(&file, noise(seed + 100, 8 << 20)).unwrap();
        let mut writer = place
            .command(&["import", &place.array(), "18", file.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_millis(seed * 7 % 60);
        while Instant::now() < until {
            if array.change(split(SplitMode::Normal)).is_ok() {
                let _ = array.change(resync(false));
            }
        }
        array.child.kill().unwrap();
        array.child.wait().unwrap();
        let _ = writer.wait();
        drop(array);
        let check = place.arrayd(&["check", &place.array()]);
        assert!(check.status.success(), "round {round}: {}", said(&check));
    }
}

#[test]
fn damage_is_told_by_the_name_of_the_file() {
    let place = Place::new();
    {
        let mut array = place.run();
        assert!(place.import(18, &noise(3, 1 << 20), 0).status.success());
        array.change(create()).unwrap();
        array.wait_for("PAIR");
        array.terminate();
    }
    let array = PathBuf::from(place.array());
    let names = ["FORMAT", "meta.redb", "pool-0.data"];
    for name in names {
        let file = array.join(name);
        let whole = fs::read(&file).unwrap();
        let half = &whole[..whole.len() / 2];
        fs::write(&file, half).unwrap();
        assert_refused(&place, name, "shortened");
        fs::remove_file(&file).unwrap();
        if name == "FORMAT" {
            let out = place.arrayd(&["run", &place.array()]);
            assert!(said(&out).contains("half made"), "{}", said(&out));
        } else {
            assert_refused(&place, name, "lost");
        }
        fs::write(&file, &whole).unwrap();
    }
    let newer = array.join("FORMAT");
    let whole = fs::read_to_string(&newer).unwrap();
    fs::write(&newer, whole.replace("format 2", "format 9")).unwrap();
    let out = place.arrayd(&["run", &place.array()]);
    assert!(said(&out).contains("format 9, but this arrayd knows formats up to 2"));
    fs::write(&newer, whole.replace("array", "arraz")).unwrap();
    assert_refused(&place, "FORMAT", "altered");
    fs::write(&newer, whole).unwrap();

    let meta = array.join("meta.redb");
    let whole = fs::read(&meta).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(1531) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&meta, &bytes).unwrap();
        let out = place.arrayd(&["check", &place.array()]);
        match out.status.code() {
            // A byte that nothing refers to.
            Some(0) => {}
            Some(1) => {
                assert!(said(&out).contains("meta.redb"), "byte {at}: {}", said(&out));
                noticed += 1;
            }
            other => panic!("byte {at}: {other:?} {}", said(&out)),
        }
    }
    assert!(noticed > 0);
    fs::write(&meta, &whole).unwrap();
    assert!(place.arrayd(&["check", &place.array()]).status.success());
}

#[test]
fn a_directory_is_dumped_and_what_redundancy_allows_is_repaired() {
    let place = Place::new();
    {
        let array = place.run();
        assert!(place.import(18, &noise(3, 1 << 20), 0).status.success());
        array.terminate();
    }
    let dumped = place.arrayd(&["dump", &place.array()]);
    let text = String::from_utf8(dumped.stdout).unwrap();
    assert!(dumped.status.success() && text.contains("ldevs 18: Ldev {"), "{text}");
    assert!(text.contains("leaves branch "), "{text}");
    let printed = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();
    let whole = place.arrayd(&["repair", &place.array()]);
    assert!(whole.status.success() && printed(&whole).contains("nothing to repair"));
    let array = PathBuf::from(place.array());
    fs::remove_file(array.join("pool-0-0.intent")).unwrap();
    assert!(!place.arrayd(&["check", &place.array()]).status.success());
    let repaired = place.arrayd(&["repair", &place.array()]);
    let text = printed(&repaired);
    assert!(repaired.status.success(), "{text}");
    assert!(text.contains("lost: ") && text.contains(": whole: Serial#"), "{text}");
    let running = place.run();
    assert!(place.export(18).starts_with(&noise(3, 1 << 20)));
    let refused = place.arrayd(&["repair", &place.array()]);
    assert!(!refused.status.success() && said(&refused).contains("in use"), "{}", said(&refused));
    running.terminate();
}

fn assert_refused(place: &Place, name: &str, how: &str) {
    for command in ["check", "run"] {
        let out = place.arrayd(&[command, &place.array()]);
        assert_eq!(out.status.code(), Some(1), "{name} {how}");
        assert!(said(&out).contains(name), "{name} {how}: {}", said(&out));
        assert!(said(&out).contains("damaged"), "{name} {how}: {}", said(&out));
    }
}

#[test]
fn init_refuses_what_it_cannot_make() {
    let place = Place::new();
    let toml = place.path("array.toml");
    let init = |dir: &Path| {
        place.arrayd(&["init", dir.to_str().unwrap(), "--from", toml.to_str().unwrap()])
    };
    let again = init(Path::new(&place.array()));
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("not empty"), "{}", said(&again));
    fs::write(&toml, TOML.replace("OPEN-V", "OPEN-W")).unwrap();
    let bad = init(&place.path("other"));
    assert!(said(&bad).contains("ldev[1].emulation"), "{}", said(&bad));
    assert!(!place.path("other").exists());
    let none = place.arrayd(&["run", place.path("nowhere").to_str().unwrap()]);
    assert!(said(&none).contains("not an array directory"), "{}", said(&none));
    for command in ["init", "run", "check", "import", "export", "status"] {
        assert!(place.arrayd(&[command, "-h"]).status.success());
    }
}

#[test]
fn readiness_is_told_to_the_service_manager_and_further_keys_are_taken() {
    let place = Place::new();
    let manager = std::os::unix::net::UnixDatagram::bind(place.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let key = Key::load_or_create(&place.path("other.key")).unwrap();
    let other = place.path("other.key");
    let args = ["run", &place.array(), "--listen", "127.0.0.1:0", "--key", other.to_str().unwrap()];
    let mut command = place.command(&args);
    command.env("NOTIFY_SOCKET", place.path("notify")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut told = [0; 64];
    let length = manager.recv(&mut told).unwrap();
    assert_eq!(&told[..length], b"READY=1\n");
    let address: SocketAddr = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    let caller = BlockingCaller::connect(address, key).unwrap();
    let mut array = Running { place: &place, child, caller };
    let Ok(Reply::Identity(identity)) = array.ask(&Order::Identify) else {
        panic!("no identity");
    };
    assert_eq!((identity.serial.get(), identity.ldevs, identity.mirrors), (62_496, 4, 1024));
    array.terminate();
}
