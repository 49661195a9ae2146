//! A coordinator, guard, journal and recovery as the `drm` commands have them, over real file
//! systems, with writers, provider and catalogue of cardboard that hang or fail where they are told
//! to.
//!
//! `coordinate RUN backup [LIMITS] [--hang CALL] [--fail CALL] [--pause STEP] [--crash-consistent]
//! MOUNT ...` makes a backup and tells its steps on standard output, a pipe; at the pause, such as
//! `commit` or `commit ended`, it waits for a byte on standard input. `coordinate RUN recover` undoes what is left. What catalogue and
//! hooks would know is in `RUN/../told`, a line each.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env, fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use model::VolumeId;
use provider::{
    error::{Fault as Event, Refused},
    guid::{Guid, SetId, SnapshotId},
    host::WallClock,
    lun::LunInfo,
};
use shadowcopy::{
    catalogue::{BackupId, State},
    coordinator::{self, Around, Plan, Policy},
    copies::Copies,
    freeze::{self, Aftermath, Died, FileSystems, guard, journal::Record},
    freezer::{self, Freezer, Held},
    ledger::{Findings, Ledger},
    limits::{Limits, time},
    observer::{Moment, Observer, StepsTo},
    places::ThisHost,
    step::Step,
    volume::MountedVolume,
    writer::{Artifact, Begun, Fault, FaultKind, Metadata, Outcome, Writer},
};

static FROZEN: AtomicBool = AtomicBool::new(false);
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// Counts what is allocated while file systems are frozen.
struct Counting;

// SAFETY: every call goes to the system's allocator, with what it was called with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FROZEN.load(SeqCst) {
            ALLOCATED.fetch_add(1, SeqCst);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// File systems, frozen from before the first is asked to freeze until the last has thawed.
struct Counted(FileSystems);

impl Freezer for Counted {
    fn arm(&mut self, limits: Limits) -> Result<(), freezer::Fault> {
        self.0.arm(limits)
    }

    fn writers_freeze(&mut self) -> Result<(), freezer::Fault> {
        self.0.writers_freeze()
    }

    fn freeze(&mut self, within: Duration) -> Result<(), freezer::Fault> {
        FROZEN.store(true, SeqCst);
        self.0.freeze(within)
    }

    fn left(&self) -> Duration {
        self.0.left()
    }

    fn thaw(&mut self) -> Result<Held, freezer::Fault> {
        let thawed = self.0.thaw();
        FROZEN.store(false, SeqCst);
        thawed
    }

    fn writers_thaw(&mut self) -> Result<(), freezer::Fault> {
        self.0.writers_thaw()
    }

    fn disarm(&mut self) {
        self.0.disarm();
    }

    fn abandon(&mut self) {
        self.0.abandon();
    }
}

fn main() -> ExitCode {
    if let Some(watch) = guard::called() {
        let kept = watch.keep(|run, died| {
            recover(&run, Some(died));
        });
        return if kept.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut arguments = env::args().skip(1);
    let run = PathBuf::from(arguments.next().expect("RUN"));
    match arguments.next().as_deref() {
        Some("backup") => backup(&run, arguments),
        Some("recover") => recover(&run, None),
        other => panic!("{other:?} is neither backup nor recover"),
    }
}

fn backup(run: &Path, mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut limits = Limits::default();
    let mut trap = Trap::default();
    let mut policy = Policy::Abort;
    let mut pause = None;
    let mut mounts = Vec::new();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--writers" => limits.writers = time(&value()).unwrap(),
            "--file-systems" => limits.file_systems = time(&value()).unwrap(),
            "--call" => limits.writer_call = time(&value()).unwrap(),
            "--hang" => trap.hang = value(),
            "--fail" => trap.fail = value(),
            "--pause" => pause = Some(value()),
            "--crash-consistent" => policy = Policy::CrashConsistent,
            _ => mounts.push(PathBuf::from(argument)),
        }
    }
    let id = BackupId::FIRST;
    let set = SetId(Guid(std::process::id().into()));
    let volume = |(number, mount): (u128, &PathBuf)| {
        let volume = MountedVolume {
            mount: mount.clone(),
            device: PathBuf::from("/dev/null"),
            file_system: String::new(),
            lun: LunInfo::default(),
            volume: VolumeId { serial: "62496".parse().unwrap(), ldev: "18".parse().unwrap() },
        };
        (SnapshotId(Guid(number)), volume)
    };
    let volumes = (0..).zip(&mounts).map(volume).collect();
    let plan = Plan { id, set, volumes, limits, policy };
    let writer = |name: &'static str| {
        Box::new(Cardboard { name, told: told(run), mounts: mounts.clone(), trap: trap.clone() })
    };
    let file_systems = FileSystems::new(run.to_owned(), set, id, mounts.clone());
    let steps = StepsTo::inherited(1).expect("standard output is a pipe");
    let finished = coordinator::run(
        &plan,
        vec![writer("first") as Box<dyn Writer>, writer("second")],
        Shelf { told: told(run), trap: trap.clone() },
        Around {
            freezer: &mut Counted(file_systems),
            places: &ThisHost,
            ledger: &mut Book(told(run)),
            observer: &mut Pausing { steps, pause },
            clock: &WallClock::default(),
        },
    );
    for note in &finished.findings.notes {
        eprintln!("{note}");
    }
    tell(&told(run), &format!("allocated {} times while frozen", ALLOCATED.load(SeqCst)));
    match finished.findings.state {
        State::Consistent => ExitCode::SUCCESS,
        State::CrashConsistent(_) => ExitCode::from(3),
        _ => ExitCode::FAILURE,
    }
}

fn recover(run: &Path, died: Option<Died>) -> ExitCode {
    let mut after = After(told(run));
    let within = Duration::from_secs(5);
    let recovered = freeze::recover(run, died, within, &mut Book(told(run)), &mut after).unwrap();
    for fault in recovered.backups.iter().flat_map(|(_, faults)| faults) {
        eprintln!("{fault}");
    }
    let whole = recovered.backups.iter().all(|(_, faults)| faults.is_empty());
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(run: &Path) -> PathBuf {
    run.with_file_name("told")
}

fn tell(file: &Path, line: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Where something hangs or fails.
#[derive(Clone, Default)]
struct Trap {
    hang: String,
    fail: String,
}

impl Trap {
    fn spring(&self, call: &str) -> bool {
        if self.hang == call {
            loop {
                thread::park();
            }
        }
        self.fail == call
    }
}

struct Pausing {
    steps: StepsTo,
    pause: Option<String>,
}

impl Observer for Pausing {
    fn tell(&mut self, step: Step, moment: Moment) {
        self.steps.tell(step, moment);
        let pause = self.pause.as_deref().and_then(|pause| pause.strip_prefix(step.name()));
        let here = match moment {
            Moment::Begins => "",
            Moment::Ended => " ended",
            Moment::Failed => " failed",
        };
        if pause == Some(here) {
            let _ = std::io::stdin().read(&mut [0]);
        }
    }
}

struct Cardboard {
    name: &'static str,
    told: PathBuf,
    mounts: Vec<PathBuf>,
    trap: Trap,
}

impl Cardboard {
    fn does(&self, call: &str) -> Result<(), Fault> {
        // Only the first one is bad: the other must be thawed all the same.
        if self.name == "first" && self.trap.spring(call) {
            tell(&self.told, &format!("{} {call}", self.name));
            return Err(Fault::new(FaultKind::Retryable, format!("told to fail in {call}")));
        }
        tell(&self.told, &format!("{} {call}", self.name));
        Ok(())
    }
}

impl Writer for Cardboard {
    fn describe(&mut self, _within: Duration) -> Result<Metadata, Fault> {
        self.does("describe")?;
        let paths = self.mounts.clone();
        Ok(Metadata { name: self.name.to_owned(), version: "1".to_owned(), limit: None, paths })
    }

    fn prepare(&mut self, _backup: &Begun, _within: Duration) -> Result<(), Fault> {
        self.does("prepare")
    }

    fn freeze(&mut self, _within: Duration) -> Result<(), Fault> {
        self.does("freeze")
    }

    fn thaw(&mut self, _within: Duration) -> Result<(), Fault> {
        self.does("thaw")
    }

    fn post(&mut self, _outcome: Outcome, _within: Duration) -> Result<Vec<Artifact>, Fault> {
        self.does("post")?;
        Ok(Vec::new())
    }
}

struct Shelf {
    told: PathBuf,
    trap: Trap,
}

impl Shelf {
    fn does(&self, call: &str) -> Result<(), Refused> {
        if self.trap.spring(call) {
            let fault = Event::new(provider::event::Event::Cmdioe).cause("as it was told");
            return Err(fault.at(provider::entry::Entry::CommitSnapshots));
        }
        if call != "commit" {
            tell(&self.told, &format!("copies {call}"));
        }
        Ok(())
    }
}

impl Copies for Shelf {
    fn begin_prepare(&mut self, _: SetId, _: SnapshotId, _: &LunInfo) -> Result<(), Refused> {
        self.does("begin-prepare")
    }

    fn end_prepare(&mut self, _: SetId) -> Result<(), Refused> {
        self.does("end-prepare")
    }

    fn pre_commit(&mut self, _: SetId) -> Result<(), Refused> {
        self.does("pre-commit")
    }

    fn commit(&mut self, _: SetId) -> Result<(), Refused> {
        self.does("commit")
    }

    fn post_commit(&mut self, _: SetId, _: usize) -> Result<(), Refused> {
        self.does("post-commit")
    }

    fn final_commit(&mut self, _: SetId) -> Result<(), Refused> {
        self.does("final-commit")
    }

    fn abort(&mut self, _: SetId) -> Result<(), Refused> {
        self.does("abort")
    }
}

struct Book(PathBuf);

impl Ledger for Book {
    fn finish(&mut self, _: BackupId, findings: &Findings) -> Result<(), String> {
        tell(&self.0, &format!("finished, held {} us", findings.held.unwrap_or_default()));
        Ok(())
    }

    fn abort(&mut self, _: BackupId, findings: &Findings) -> Result<(), String> {
        let State::Aborted { step, cause } = &findings.state else { panic!("aborted") };
        tell(&self.0, &format!("aborted {step}: {cause}"));
        Ok(())
    }

    fn state(&mut self, _: BackupId) -> Result<Option<State>, String> {
        let told = fs::read_to_string(&self.0).unwrap_or_default();
        let finished = told.lines().any(|line| line.starts_with("finished"));
        Ok(Some(if finished { State::Consistent } else { State::Running }))
    }
}

struct After(PathBuf);

impl Aftermath for After {
    fn thaw_writers(&mut self, _: &Record) -> Result<(), String> {
        // A test that has put a FIFO there writes a byte to it when the recovery is to go on.
        let hold = self.0.with_file_name("hold");
        if hold.exists() {
            tell(&self.0, "recovery waits");
            let status = Command::new("cat").arg(hold).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "the hook was killed");
        }
        tell(&self.0, "recovery writers");
        Ok(())
    }

    fn abort_copies(&mut self, _: &Record) -> Result<(), String> {
        tell(&self.0, "recovery copies");
        Ok(())
    }
}
