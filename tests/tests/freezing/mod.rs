//! Two file systems of one's own, and coordinators that freeze them and come to harm.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, geteuid, kill_process, pidfd_open, pidfd_send_signal},
};
use tempfile::TempDir;

/// What a loaded machine may take on top of a limit.
pub const GRACE: Duration = Duration::from_secs(2);

/// An ext4 and an XFS, mounted from files.
pub struct Bench {
    /// Unmounted before the directory they are in is removed.
    pub mounts: Vec<Mounted>,
    dir: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        assert!(geteuid().is_root(), "these tests need root, to mount and to freeze");
        let dir = tempfile::tempdir().unwrap();
        let mounted = |kind, size| Mounted::new(dir.path(), dir.path(), kind, size);
        let mounts = vec![mounted("ext4", 16 << 20), mounted("xfs", 320 << 20)];
        Self { mounts, dir }
    }

    pub fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a backup of all mounts.
    pub fn backup(&self, options: &[&str]) -> Running {
        let _ = fs::remove_file(self.dir.path().join("told"));
        let mut command = program(&self.run(), "backup");
        command.args(options).args(self.mounts.iter().map(|mounted| &mounted.point));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let steps = BufReader::new(child.stdout.take().unwrap());
        Running { child, steps, seen: Vec::new() }
    }

    pub fn recover(&self) {
        assert!(program(&self.run(), "recover").status().unwrap().success());
    }

    /// Recovers until nothing is left: a guard may be at it.
    #[track_caller]
    pub fn recovered(&self) {
        let since = Instant::now();
        while fs::read_dir(self.run()).is_ok_and(|mut left| left.next().is_some()) {
            assert!(since.elapsed() < GRACE, "somebody holds the journal");
            self.recover();
        }
    }

    /// What writers, provider and catalogue were told.
    pub fn told(&self) -> Vec<String> {
        let told = fs::read_to_string(self.dir.path().join("told")).unwrap_or_default();
        told.lines().map(ToOwned::to_owned).collect()
    }

    /// Every mount takes a write, the last of them within this time from `since`.
    #[track_caller]
    pub fn writable(&self, since: Instant, within: Duration) {
        for mounted in &self.mounts {
            let left = (since + within).saturating_duration_since(Instant::now());
            if !mounted.writable(left.max(Duration::from_millis(100))) {
                let _ = Command::new("fsfreeze").arg("-u").arg(&mounted.point).status();
                panic!("{} is frozen after {:?}", mounted.point.display(), since.elapsed());
            }
        }
    }

    /// The backup is over, one way or the other: no journal, no writer that froze and was not
    /// thawed, an outcome in the catalogue.
    #[track_caller]
    pub fn settled(&self) {
        let told = self.told();
        let journals: Vec<_> = fs::read_dir(self.run()).into_iter().flatten().collect();
        assert!(journals.is_empty(), "{journals:?}\n{told:#?}");
        let heard = |line: &str| told.iter().any(|told| told == line);
        for writer in ["first", "second"] {
            if heard(&format!("{writer} freeze")) {
                let thawed = heard(&format!("{writer} thaw")) || heard("recovery writers");
                assert!(thawed, "{writer} froze\n{told:#?}");
            }
        }
        let began = heard("copies begin-prepare");
        let outcome = |line: &String| line.starts_with("finished") || line.starts_with("aborted");
        assert!(!began || told.iter().any(outcome), "no outcome\n{told:#?}");
        let finished = told.iter().any(|line| line.starts_with("finished"));
        let undone = heard("copies abort") || heard("recovery copies");
        assert!(!began || finished != undone, "a copy that is kept, or none\n{told:#?}");
    }

    #[track_caller]
    pub fn aborted(&self) {
        self.settled();
        let told = self.told();
        assert!(told.iter().any(|line| line.starts_with("aborted")), "{told:#?}");
        assert!(!told.iter().any(|line| line.starts_with("finished")), "{told:#?}");
    }

    /// The next backup succeeds.
    #[track_caller]
    pub fn next(&self) {
        let mut next = self.backup(&[]);
        let status = next.end(Duration::from_secs(30));
        assert!(status.success(), "{:?}", self.told());
        assert!(self.told().iter().any(|line| line.starts_with("finished")));
        self.settled();
    }
}

/// Runs `work` for each of `0..count`, on four benches at once.
pub fn lanes(count: u32, work: impl Fn(&Bench, u32) + Sync) {
    const LANES: u32 = 4;
    thread::scope(|scope| {
        for lane in 0..LANES {
            let work = &work;
            scope.spawn(move || {
                let bench = Bench::new();
                (lane..count).step_by(LANES as usize).for_each(|number| work(&bench, number));
            });
        }
    });
}

fn program(run: &Path, what: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordinate"));
    command.arg(run).arg(what);
    command
}

/// A file system in a file. Thawed and unmounted when dropped, whatever happened.
pub struct Mounted {
    pub point: PathBuf,
}

impl Mounted {
    /// Makes it in `place`, mounts it in `at`.
    pub fn new(place: &Path, at: &Path, kind: &str, size: u64) -> Self {
        let image = place.join(format!("{kind}.img"));
        fs::File::create(&image).unwrap().set_len(size).unwrap();
        done(Command::new(format!("/usr/sbin/mkfs.{kind}")).arg("-q").arg(&image));
        let point = at.join(format!("{kind}-{}", place.file_name().unwrap().display()));
        fs::create_dir(&point).unwrap();
        done(Command::new("mount").args(["-o", "loop"]).args([&image, &point]));
        Self { point }
    }

    /// One that knows no freezing.
    pub fn memory(at: &Path) -> Self {
        let point = at.join("memory");
        fs::create_dir(&point).unwrap();
        done(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&point));
        Self { point }
    }

    /// Whether a write goes through in time. One that fails is no sign of a freeze.
    #[track_caller]
    pub fn writable(&self, within: Duration) -> bool {
        let (done, answer) = channel();
        let file = self.point.join("probe");
        thread::spawn(move || {
            let _ = done.send(fs::write(file, b"x"));
        });
        match answer.recv_timeout(within) {
            Ok(written) => {
                written.unwrap();
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => panic!("the thread that writes has died"),
        }
    }

    pub fn fsfreeze(&self, option: &str) {
        done(Command::new("fsfreeze").arg(option).arg(&self.point));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let quietly = |program: &str, option: &[&str]| {
            let mut command = Command::new(program);
            command.args(option).arg(&self.point).stderr(Stdio::null()).status()
        };
        let _ = quietly("fsfreeze", &["-u"]);
        let unmounted = || quietly("umount", &[]).is_ok_and(|status| status.success());
        if !unmounted() && !unmounted() {
            let _ = quietly("umount", &["-l"]);
        }
    }
}

fn done(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// A coordinator.
pub struct Running {
    child: Child,
    steps: BufReader<ChildStdout>,
    seen: Vec<String>,
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for a line of the steps; whether it came.
    pub fn until(&mut self, line: &str) -> bool {
        loop {
            let mut read = String::new();
            if self.steps.read_line(&mut read).unwrap() == 0 {
                return false;
            }
            let found = read.trim_end() == line;
            self.seen.push(read);
            if found {
                return true;
            }
        }
    }

    /// Ends a pause.
    pub fn go_on(&mut self) {
        let _ = self.child.stdin.take().map(|mut stdin| stdin.write_all(b"x"));
    }

    /// The process of its guard; there is none before it has described its writers.
    pub fn guard(&self) -> Option<Process> {
        let ours = self.pid().as_raw_nonzero().get().to_string();
        fs::read_dir("/proc").unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            let stat = fs::read_to_string(path.join("stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?;
            let called = fs::read(path.join("cmdline")).ok()?;
            let found = parent == ours && called.starts_with(b"drm-guard");
            let pid = found.then(|| path.file_name()?.to_str()?.parse().ok()).flatten()?;
            Some(Process(pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?))
        })
    }

    /// Does harm to the coordinator.
    pub fn harm(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Waits for its end, and kills it where it does not come.
    #[track_caller]
    pub fn end(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        panic!("the coordinator has not ended within {within:?}; {:?}", self.seen);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let guard = self.guard();
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(guard) = guard {
            guard.harm(Signal::CONT);
        }
    }
}

/// A process that is not our child.
pub struct Process(OwnedFd);

impl Process {
    /// Sends a signal; one that is gone by now is fine.
    pub fn harm(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.0, signal);
    }

    /// Waits for its end, and that of all its threads.
    #[track_caller]
    pub fn ended(&self, within: Duration) {
        let within_time = Timespec::try_from(within).unwrap();
        let mut ended = [PollFd::new(&self.0, PollFlags::IN)];
        assert_eq!(poll(&mut ended, Some(&within_time)), Ok(1), "the guard lives after {within:?}");
    }
}
