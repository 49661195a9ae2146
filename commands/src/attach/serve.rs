//! The life of an attachment: find the LUN, mount the file, carry requests until it is unmounted,
//! flush once more.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fuser::{Config, INodeNo, MountOption, Notifier, Session, SessionACL};
use model::{CciError, CciResult, Code};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::{
    facts::ldev,
    file::{Attributes, File},
    find::{Place, find, unreachable_lun},
    lun::Lun,
    mounted::{SOURCE, holders, undo},
    name::Name,
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
    /// Whether every change is refused.
    pub read_only: bool,
    /// How long requests wait for an array that is away.
    pub patience: Duration,
}

/// Attaches and serves until the file is unmounted. `ready` is called once it can be used, with a
/// line that says what is where.
///
/// # Errors
/// Why it cannot be attached; EX_CMDIOE when the last flush fails.
pub fn serve(wish: &Wish, ready: impl FnOnce(&str)) -> CciResult<()> {
    // The kernel may need memory that only a write to this file frees.
    if let Err(error) = rustix::process::configure_io_flusher_behavior(true) {
        log::debug!("not marked as what writes pages out: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal(wish, &error))?;
    runtime.block_on(attach(wish, ready))
}

fn internal(wish: &Wish, error: &io::Error) -> CciError {
    CciError::new(Code::ExEnomem).object(wish.word.as_str()).cause(error.to_string())
}

async fn attach(wish: &Wish, ready: impl FnOnce(&str)) -> CciResult<()> {
    let place = find(&wish.word, &wish.name, &wish.conf).await?;
    let shown = place.shown();
    let opened = Lun::open(place, wish.patience).await;
    let lun = opened.map_err(|why| unreachable_lun(&wish.word, &format!("{shown}: {why}")))?;
    let facts = lun.facts();
    let keeper = tokio::spawn(Arc::clone(&lun).keep());
    let volume = Arc::new(Volume::new(Arc::clone(&lun), wish.read_only));
    let (end, mut ended) = oneshot::channel();
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
    let sizes = tokio::spawn(follow_size(Arc::clone(&lun), session.notifier()));
    let tended = tokio::spawn(tend(Arc::clone(&lun)));
    let access = if volume.writable() { "" } else { ", read only" };
    let line =
        format!("{} is {} ({} bytes{access})", facts.shown(), wish.path.display(), facts.size);
    log::info!("{line}, by {shown}");
    ready(&line);
    wait(&lun, &wish.path, &mut ended).await?;
    tended.abort();
    sizes.abort();
    let flushed = lun.flush().await;
    keeper.abort();
    lun.close(async |(session, _)| drop(session.logout().await)).await;
    match flushed {
        Ok(()) => {
            log::info!("{} is detached", wish.path.display());
            Ok(())
        }
        Err(_) => {
            let lost = lun.unflushed_bytes();
            let why = lun.forfeited().unwrap_or_else(|| format!("{lost} bytes were not flushed"));
            log::error!(
                "{} is detached, and not all that was written is durable: {why}",
                wish.path.display()
            );
            Err(CciError::new(Code::ExCmdioe)
                .object(wish.path.display().to_string())
                .state("detached")
                .cause(format!("the last flush failed: {why}"))
                .advice("check the file system on the LUN"))
        }
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
async fn wait(lun: &Lun<Place>, path: &Path, ended: &mut oneshot::Receiver<()>) -> CciResult<()> {
    let failed = |error: io::Error| CciError::new(Code::ExEnomem).cause(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    loop {
        tokio::select! {
            _ = &mut *ended => return Ok(()),
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
        ("user.horcm.pid", std::process::id().to_string().into_bytes()),
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
