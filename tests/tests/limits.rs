//! Connections that never log in, and connections cut in every state, beside a session that works.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lab::{
    Lab,
    bytes::pattern,
    cable::{Cable, Fate, HEADER},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use scsi::hba::{Disk, Drive, Portal};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// LDEV 20, of 1 GiB.
const LUN: u16 = 3;
/// The pieces in which a host writes and reads, and where the one that is cut does.
const PIECE: usize = 256 * 1024;
const CUT_AT: u64 = 512 << 20;
/// How long one piece may take beside whatever else goes on. For a test that fails: what it
/// guards against would take the time of a login, or for ever.
const AT_MOST: Duration = Duration::from_secs(8);

fn start() -> Lab {
    let mut lab = Lab::new();
    lab.with_hosts();
    lab.init_array().ok();
    lab.start_array();
    lab
}

fn drive(address: String) -> Drive {
    let initiator = "iqn.2026-11.internal.test:host".to_owned();
    let portal = Portal { address, initiator, chap: None, target_chap: None };
    let target = "iqn.2026-11.internal.raidmanager:62496.cl2-c".to_owned();
    Drive::new(Disk { portal, target, lun: LUN })
}

/// A host that writes and reads one piece after the other until it is told to stop.
struct Worker {
    stop: Arc<AtomicBool>,
    pieces: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Worker {
    async fn start(lab: &Lab) -> Self {
        let drive = drive(format!("{}:3260", lab.ip()));
        let (stop, pieces) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&pieces));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::SeqCst) {
                let n = counted.fetch_add(1, Ordering::SeqCst);
                let (at, data) = ((n % 64 * PIECE) as u64, pattern(n as u64 + 1, PIECE));
                let both = async {
                    drive.write(at, data.clone().into()).await.unwrap();
                    drive.read(at, PIECE).await.unwrap()
                };
                let read = timeout(AT_MOST, both).await.expect("the session goes on");
                assert!(read == data, "piece {n}");
            }
        });
        let worker = Self { stop, pieces, task };
        worker.goes_on().await;
        worker
    }

    /// Waits until it has done some more.
    async fn goes_on(&self) {
        let before = self.pieces.load(Ordering::SeqCst);
        while self.pieces.load(Ordering::SeqCst) < before + 5 {
            assert!(!self.task.is_finished(), "the session is over");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

/// Open files and resident KiB of the array.
fn weight(lab: &Lab) -> (usize, usize) {
    let proc = format!("/proc/{}", lab.array_pid().unwrap());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.split_whitespace().next().unwrap().parse().unwrap();
    (fs::read_dir(format!("{proc}/fd")).unwrap().count(), resident)
}

/// Waits until the array has no more open files than before.
async fn forgotten(lab: &Lab, files: usize) {
    let all = async {
        while weight(lab).0 > files {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AT_MOST, all).await.expect("every connection is forgotten");
}

fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).unwrap();
}

async fn connect(from: Ipv4Addr, lab: &Lab) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect((lab.ip(), 3260).into()).await
}

#[tokio::test]
async fn thousands_that_never_log_in_from_one_address_hurt_only_themselves() {
    many_files();
    let lab = start();
    let worker = Worker::start(&lab).await;
    let before = weight(&lab);
    let mut silent = Vec::new();
    for n in 0..3000 {
        let mut stream = connect(Ipv4Addr::new(127, 66, 0, 1), &lab).await.unwrap();
        // Some say a little: no login, or the beginning of one.
        drop(stream.write_all(&[0x43; 47][..n % 48]).await);
        silent.push(stream);
        if n % 500 == 0 {
            worker.goes_on().await;
        }
    }
    let (files, resident) = weight(&lab);
    assert!(files < before.0 + 100, "{files} files, {} before", before.0);
    assert!(resident < before.1 + (64 << 10), "{resident} KiB, {} before", before.1);
    worker.goes_on().await;
    // Another host logs in meanwhile.
    let other = drive(format!("{}:3260", lab.ip()));
    timeout(AT_MOST, other.read(0, PIECE)).await.expect("it gets in").unwrap();
    drop((silent, other));
    forgotten(&lab, before.0).await;
    worker.stop().await;
}

#[tokio::test]
async fn more_from_many_addresses_than_may_log_in_leave_sessions_alone() {
    many_files();
    let lab = start();
    let worker = Worker::start(&lab).await;
    let before = weight(&lab);
    let mut silent = Vec::new();
    // What may log in at a time is taken, and more wait in the backlog of the socket.
    for n in 0..360u16 {
        let [high, low] = (n / 8 + 1).to_be_bytes();
        silent.push(connect(Ipv4Addr::new(127, 67, high, low), &lab).await.unwrap());
    }
    worker.goes_on().await;
    let (files, resident) = weight(&lab);
    assert!(files < before.0 + 300, "{files} files, {} before", before.0);
    assert!(resident < before.1 + (64 << 10), "{resident} KiB, {} before", before.1);
    // When they are gone there is room again.
    drop(silent);
    let other = drive(format!("{}:3260", lab.ip()));
    timeout(AT_MOST, other.read(0, PIECE)).await.expect("it gets in").unwrap();
    drop(other);
    forgotten(&lab, before.0).await;
    worker.stop().await;
}

/// Logs in, writes and reads: every PDU that a host needs.
async fn dialogue(cable: &Cable) -> std::io::Result<Bytes> {
    let drive = drive(cable.address().to_string());
    drive.write(CUT_AT, pattern(9, PIECE).into()).await?;
    drive.read(CUT_AT, PIECE).await
}

#[tokio::test]
async fn a_connection_cut_within_any_pdu_leaves_nothing_behind() {
    let lab = start();
    let worker = Worker::start(&lab).await;
    let at = |port| SocketAddr::from((lab.ip(), port));
    let cable = Cable::lay(at(4260), at(3260)).unwrap();
    let pdus = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pdus);
    cable.rule(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Fate::Passes
    });
    let before = weight(&lab);
    assert!(dialogue(&cable).await.unwrap() == pattern(9, PIECE));
    forgotten(&lab, before.0).await;
    let pdus = pdus.load(Ordering::SeqCst);
    assert!(pdus > 12, "login, R2T, data out, data in: {pdus} PDUs");
    // More than the array lets in of one initiator at a time: none may stay.
    let places: [fn(usize) -> usize; 5] =
        [|_| 0, |_| 20, |_| HEADER, |length| length / 2, |length| length - 1];
    for (n, place) in (0..pdus).flat_map(|n| places.map(|place| (n, place))) {
        let mut seen = 0;
        let breaks = cable.breaks();
        cable.rule(move |_, pdu| {
            seen += 1;
            if seen == n + 1 { Fate::Cut(place(pdu.len())) } else { Fate::Passes }
        });
        let cut = timeout(AT_MOST, dialogue(&cable)).await.expect("it ends");
        // Cut in the farewell, it may have all it wanted.
        if let Ok(read) = cut {
            assert!(read == pattern(9, PIECE), "PDU {n}");
        }
        assert!(cable.breaks() > breaks || n + 2 >= pdus, "PDU {n} of {pdus} was not cut");
    }
    worker.goes_on().await;
    cable.plug();
    assert!(dialogue(&cable).await.unwrap() == pattern(9, PIECE));
    forgotten(&lab, before.0).await;
    worker.stop().await;
}
