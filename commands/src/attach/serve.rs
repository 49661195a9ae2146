//! The life of an attachment: find the LUN, mount the file, carry requests until it is unmounted,
//! flush once more.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fuser::{BackgroundSession, Config, INodeNo, MountOption, Notifier, Session, SessionACL};
use model::{CciError, CciResult, Code};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    facts::ldev,
    file::{Attributes, File},
    find::{Place, find, unreachable_lun},
    lun::Lun,
    mounted::{SOURCE, holders, undo},
    name::Name,
    record::{NotBegun, Record, Stage},
    target::Command,
    volume::Volume,
};

/// How often the LUN is looked after where nothing else happens: what was not flushed for so long
/// is flushed, news are heard, and a lost session is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// What is to be attached, and where.
#[derive(Debug)]
pub struct Wish {
    /// The LUN as it was typed.
    pub word: String,
    /// The same, understood.
    pub name: Name,
    /// `horcm.hba`.
    pub conf: PathBuf,
    /// The file, absolute and without links; made where missing.
    pub path: PathBuf,
    /// What it leaves for `horcm detach`.
    pub record: PathBuf,
    /// Whether every change is refused.
    pub read_only: bool,
    /// How long requests wait for an array that is away.
    pub patience: Duration,
}

/// Attaches and serves until the file is unmounted. `ready` is called once it can be used, with a
/// line that says what is where. What becomes of it is told in its record too.
///
/// # Errors
/// Why it cannot be attached; EX_CMDIOE when not all that was acknowledged is durable.
pub fn serve(wish: &Wish, ready: impl FnOnce(&str)) -> CciResult<()> {
    // The kernel may need memory that only a write to this file frees.
    if let Err(error) = rustix::process::configure_io_flusher_behavior(true) {
        log::debug!("not marked as what writes pages out: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal(wish, &error))?;
    let mut record = Record::begin(&wish.record).map_err(|error| not_begun(wish, error))?;
    runtime.block_on(async {
        let attachment = match attach(wish).await {
            Ok(attachment) => attachment,
            Err(error) => {
                if let Err(error) = record.withdraw() {
                    log::error!("{}: {error}", wish.record.display());
                }
                return Err(error);
            }
        };
        tell(wish, &mut record, &Stage::Mounted);
        ready(&attachment.line);
        attachment.carry_on(wish, &mut record).await.judge(&wish.path)
    })
}

fn tell(wish: &Wish, record: &mut Record, stage: &Stage) {
    if let Err(error) = record.tell(stage) {
        log::error!("{}: {error}", wish.record.display());
    }
}

fn internal(wish: &Wish, error: &io::Error) -> CciError {
    CciError::new(Code::ExEnomem).object(wish.word.as_str()).cause(error.to_string())
}

fn not_begun(wish: &Wish, why: NotBegun) -> CciError {
    let error = CciError::new(Code::ExEacces);
    match why {
        NotBegun::Held(pid) => error
            .object(wish.path.display().to_string())
            .state("being attached or detached")
            .cause(match pid {
                Some(pid) => format!("process {pid} is not done with what is attached there"),
                None => "another process has begun to attach there".to_owned(),
            })
            .advice("horcm detach waits until it is done"),
        NotBegun::Io(why) => error
            .object(wish.record.display().to_string())
            .cause(format!("the record of the attachment cannot be written: {why}"))
            .advice("see that the log folder of HORCMROOT can be written"),
    }
}

/// A LUN that is mounted.
struct Attachment {
    lun: Arc<Lun<Place>>,
    /// Unmounts when it is dropped, should it still be mounted.
    session: BackgroundSession,
    ended: oneshot::Receiver<()>,
    signals: [Signal; 2],
    keeper: JoinHandle<()>,
    line: String,
}

async fn attach(wish: &Wish) -> CciResult<Attachment> {
    let place = find(&wish.word, &wish.name, &wish.conf).await?;
    let shown = place.shown();
    let opened = Lun::open(place, wish.patience).await;
    let lun = opened.map_err(|why| unreachable_lun(&wish.word, &format!("{shown}: {why}")))?;
    let facts = lun.facts();
    let keeper = tokio::spawn(Arc::clone(&lun).keep());
    let signals = [signal(SignalKind::terminate()), signal(SignalKind::interrupt())];
    let [terminate, interrupt] = signals.map(|made| made.map_err(|error| internal(wish, &error)));
    let signals = [terminate?, interrupt?];
    let volume = Arc::new(Volume::new(Arc::clone(&lun), wish.read_only));
    let (end, ended) = oneshot::channel();
    let attributes = {
        let (lun, shown) = (Arc::clone(&lun), shown.clone());
        Box::new(move || attributes(&lun, &shown))
    };
    let file = File::new(Arc::clone(&volume), attributes, end);
    let source = match facts.page(0xc0).and_then(|page| ldev(page)) {
        Some((serial, ldev)) => format!("{SOURCE}{serial}:{ldev}"),
        None => format!("{SOURCE}{shown}"),
    };
    let session = mount(file, &wish.path, source).map_err(|error| not_mounted(wish, &error))?;
    let session = session.spawn().map_err(|error| internal(wish, &error))?;
    let access = if volume.writable() { "" } else { ", read only" };
    let line =
        format!("{} is {} ({} bytes{access})", facts.shown(), wish.path.display(), facts.size);
    log::info!("{line}, by {shown}");
    Ok(Attachment { lun, session, ended, signals, keeper, line })
}

impl Attachment {
    /// Serves until the file is unmounted, and flushes; what became of all that was acknowledged.
    async fn carry_on(mut self, wish: &Wish, record: &mut Record) -> Stage {
        let lun = &self.lun;
        let sizes = tokio::spawn(follow_size(Arc::clone(lun), self.session.notifier()));
        let tended = tokio::spawn(tend(Arc::clone(lun)));
        wait(lun, &wish.path, &mut self.ended, &mut self.signals).await;
        tended.abort();
        sizes.abort();
        tell(wish, record, &lun.promise());
        if lun.flush().await.is_err() {
            log::error!("the last flush failed");
        }
        let stage = match lun.promise() {
            // What was flushed before, or by others, needs no last flush.
            Stage::Unmounted(0) => Stage::Durable,
            Stage::Unmounted(bytes) => Stage::Lost(format!("{bytes} bytes were not flushed")),
            stage => stage,
        };
        tell(wish, record, &stage);
        match stage.judge(&wish.path) {
            Ok(()) => log::info!("{} is detached", wish.path.display()),
            Err(error) => {
                let cause = error.cause.unwrap_or_default();
                log::error!("{} is detached: {cause}", wish.path.display());
            }
        }
        self.keeper.abort();
        lun.close(async |(session, _)| drop(session.logout().await)).await;
        stage
    }
}

fn mount(file: File<Place>, path: &Path, source: String) -> io::Result<Session<File<Place>>> {
    if let Err(error) = std::fs::File::create_new(path)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName(source), MountOption::DefaultPermissions, MountOption::NoExec];
    // Root's file is for whoever its mode lets in; others need the host's leave for that.
    let root = rustix::process::geteuid().is_root();
    config.acl = if root { SessionACL::All } else { SessionACL::Owner };
    Session::new(file, path, &config)
}

fn not_mounted(wish: &Wish, error: &io::Error) -> CciError {
    CciError::new(Code::ExEacces)
        .object(wish.path.display().to_string())
        .cause(format!("the file cannot be mounted: {error}"))
        .advice("FUSE is needed: /dev/fuse, and fusermount3 for who is not root")
}

/// Until the file is unmounted, by whomever; SIGTERM and SIGINT ask for that.
async fn wait(
    lun: &Lun<Place>,
    path: &Path,
    ended: &mut oneshot::Receiver<()>,
    [terminate, interrupt]: &mut [Signal; 2],
) {
    loop {
        tokio::select! {
            _ = &mut *ended => return,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Flushed before, so that an array that is away does not take the file with it.
        if lun.flush().await.is_err() {
            log::error!("told to end, but the LUN cannot be flushed: it stays attached");
            continue;
        }
        let point = path.to_path_buf();
        match tokio::task::spawn_blocking(move || undo(&point)).await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::ResourceBusy => {
                let holders = holders(path).join(", ");
                log::error!("told to end, but {} is in use: {holders}", path.display());
            }
            Ok(Err(error)) => log::error!("told to end, but it cannot be unmounted: {error}"),
            Ok(Ok(())) | Err(_) => {}
        }
    }
}

/// Looks after a LUN that nobody asks anything.
async fn tend(lun: Arc<Lun<Place>>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if lun.unflushed_bytes() > 0 {
            // Whoever flushes is told himself.
            let _ = lun.flush().await;
        } else {
            let _ =
                lun.command(&Command::get(&super::cdb::TEST_UNIT_READY, 0), lun.deadline()).await;
        }
    }
}

/// Tells the kernel when the file's size or mode is another one.
async fn follow_size(lun: Arc<Lun<Place>>, notifier: Notifier) {
    let mut facts = lun.follow();
    while facts.changed().await.is_ok() {
        facts.mark_unchanged();
        let notifier = notifier.clone();
        // Attributes only: an offset below 0. The kernel may make us wait for requests of ours.
        let told = tokio::task::spawn_blocking(move || notifier.inval_inode(INodeNo::ROOT, -1, 0));
        if let Ok(Err(error)) = told.await {
            log::debug!("the kernel was not told of the new size: {error}");
        }
    }
}

/// What the LUN says about itself, as it said it, for programs that decode it.
fn attributes(lun: &Lun<Place>, place: &str) -> Attributes {
    let facts = lun.facts();
    let mut all = vec![
        ("user.scsi.lun", place.as_bytes().to_vec()),
        ("user.scsi.inquiry", facts.inquiry.to_vec()),
    ];
    for (page, name) in [
        (0x80, "user.scsi.vpd_pg80"),
        (0x83, "user.scsi.vpd_pg83"),
        (0xb0, "user.scsi.vpd_pgb0"),
        (0xc0, "user.scsi.vpd_pgc0"),
    ] {
        all.extend(facts.page(page).map(|bytes| (name, bytes.to_vec())));
    }
    all
}
