//! Writes that the storage has for longer than their session, or their path, lasts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    device::{
        Target,
        fake::{Disk, Host, System, now, poll, port},
    },
    iscsi::{
        Admission, Authentication, Directory, Initiator, Limits, Portal, Refusal, Runtimes, Scope,
        Session, Target as Offer, initiator::Reply,
    },
    service::Service,
    task::{Completion, LunAddress, Status},
};

const LUN: LunAddress = LunAddress(0);
const BUSY: u8 = 0x08;
const LOGICAL_UNIT_RESET: u8 = 5;

const fn write(lba: u8) -> [u8; 10] {
    [0x2a, 0, 0, 0, 0, lba, 0, 0, 1, 0]
}

const fn read(lba: u8) -> [u8; 10] {
    [0x28, 0, 0, 0, 0, lba, 0, 0, 1, 0]
}

/// What has to happen soon. The time is for a test that fails, not for one that passes.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A directory of one port.
struct Ports(Arc<Target>);

impl Directory for Ports {
    type Service = Target;

    fn targets(&self, _: &str) -> Vec<Offer> {
        Vec::new()
    }

    fn admit(&self, _: &str, _: &str) -> Result<Admission<Target>, Refusal> {
        Ok(Admission { service: Arc::clone(&self.0), port: port(1) })
    }

    fn authentication(&self, _: Scope<'_>, _: &str) -> Authentication {
        Authentication::None
    }
}

/// A storage system whose first port serves hosts by iSCSI, and does not wait for the commands of
/// a session that ends.
struct Serving {
    disk: Arc<Disk>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    async fn start() -> Self {
        let (system, disk) = System::new(100);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { drain: Duration::ZERO, ..Limits::default() };
        let portal = Arc::new(Portal::new(Arc::new(Ports(Arc::new(system.target(1)))), limits));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(portal.serve(listener, Runtimes::new([]), stopped));
        Self { disk, address, stop, task }
    }

    /// A session that has learned that power came on.
    async fn login(&self, host: &Initiator) -> Session {
        let session = within(host.login(self.address, &port(1).name)).await.unwrap();
        command(&session, [0; 6], 0).await;
        session
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap().unwrap();
    }
}

/// A command that reads a block, or writes one of these bytes.
async fn command(session: &Session, cdb: impl AsRef<[u8]>, byte: u8) -> Reply {
    let cdb = cdb.as_ref();
    let writes = cdb[0] == 0x2a;
    let data = if writes { Bytes::from(vec![byte; 512]) } else { Bytes::new() };
    let room = if cdb[0] == 0x28 { 512 } else { 0 };
    within(session.command(LUN, cdb, data, room)).await.unwrap()
}

fn host(name: &str) -> Initiator {
    Initiator::new(format!("iqn.2026-11.test:{name}")).unwrap()
}

/// Writes block 0 by a session, and is held up in the storage as it does.
async fn held_up(serving: &Serving, session: &Session) -> Vec<oneshot::Sender<()>> {
    serving.disk.hold();
    let session = session.clone();
    // Nobody hears of its end.
    tokio::spawn(async move { session.command(LUN, &write(0), vec![1; 512].into(), 0).await });
    until(|| serving.disk.holds() == 1).await;
    serving.disk.hold_no_more()
}

/// Writes block 0 by another session, lets the older write go on when this one has begun, and
/// gives what is there when both are over.
async fn overwritten(
    serving: &Serving,
    session: &Session,
    older: Vec<oneshot::Sender<()>>,
) -> Vec<u8> {
    let mut newer = Box::pin(command(session, write(0), 2));
    // Commands begin in their order.
    let apart = Box::pin(command(session, read(9), 0));
    let mut status = match select(newer.as_mut(), apart).await {
        Either::Left((reply, _)) => Some(reply.status),
        Either::Right(_) => None,
    };
    drop(older);
    if status.is_none() {
        status = Some(newer.await.status);
    }
    while status == Some(BUSY) {
        status = Some(command(session, write(0), 2).await.status);
    }
    assert_eq!(status, Some(0));
    until(|| serving.disk.parts().writes == 2).await;
    command(session, read(0), 0).await.data.to_vec()
}

#[tokio::test]
async fn a_write_of_a_session_that_was_reinstated_never_lands_on_a_newer_one() {
    let serving = Serving::start().await;
    let initiator = host("a");
    let first = serving.login(&initiator).await;
    let older = held_up(&serving, &first).await;
    let next = serving.login(&initiator).await;
    assert_eq!(overwritten(&serving, &next, older).await, [2; 512]);
    serving.stop().await;
}

#[tokio::test]
async fn nor_does_one_of_a_session_that_was_logged_out_land_on_one_of_another_initiator() {
    let serving = Serving::start().await;
    let (first, next) = (serving.login(&host("a")).await, serving.login(&host("b")).await);
    let older = held_up(&serving, &first).await;
    within(first.logout()).await.unwrap();
    assert_eq!(overwritten(&serving, &next, older).await, [2; 512]);
    serving.stop().await;
}

#[tokio::test]
async fn nor_does_one_by_a_path_of_which_only_its_initiator_knows_that_it_is_lost() {
    let serving = Serving::start().await;
    let (first, next) = (serving.login(&host("a")).await, serving.login(&host("a")).await);
    let older = held_up(&serving, &first).await;
    assert_eq!(overwritten(&serving, &next, older).await, [2; 512]);
    serving.stop().await;
}

#[tokio::test]
async fn a_reset_that_was_waited_for_by_a_session_that_is_gone_holds_nobody_up() {
    let serving = Serving::start().await;
    let (first, next) = (serving.login(&host("a")).await, serving.login(&host("b")).await);
    let older = held_up(&serving, &first).await;
    let reset = {
        let first = first.clone();
        tokio::spawn(async move { first.manage(LUN, LOGICAL_UNIT_RESET).await })
    };
    // It has begun when the other has learned of it.
    while command(&next, [0; 6], 0).await.status == 0 {}
    let mut behind = Box::pin(command(&next, write(9), 2));
    let ready = Box::pin(command(&next, [0; 6], 0));
    assert!(matches!(select(behind.as_mut(), ready).await, Either::Right(_)), "it waits");
    assert!(!reset.is_finished());
    within(first.logout()).await.unwrap();
    assert_eq!(behind.await.status, 0);
    assert!(within(reset).await.unwrap().is_err(), "it was not complete");
    assert_eq!(serving.disk.parts().writes, 1);
    drop(older);
    until(|| serving.disk.parts().writes == 2).await;
    serving.stop().await;
}

/// A host whose session is gone while the storage has a write of block 0, which is given back.
fn gone(
    system: &System,
    disk: &Disk,
    name: &str,
) -> std::pin::Pin<Box<dyn Future<Output = Completion> + Send>> {
    let host = system.ready(name, 1);
    disk.hold();
    let arrival = host.arrive();
    let write = crate::device::fake::command(0, &write(0), &[1; 512]);
    let mut write = host.carry_out_as(&arrival, write);
    host.target.abort(&arrival);
    assert!(poll(&mut write).is_none(), "the storage has it");
    host.target.close(&host.session);
    write
}

#[test]
fn a_late_write_holds_up_its_blocks_and_changes_by_its_initiator_and_nothing_else() {
    let (system, disk) = System::new(100);
    let apart = Disk::new(17, 100);
    system.shelf.put(1, &apart);
    let other = system.ready("b", 2);
    let mut late = gone(&system, &disk, "a");
    let older = disk.hold_no_more();
    // Its initiator, by whichever port.
    let next = system.ready("a", 2);
    assert_eq!(next.status(&write(9), &[2; 512]), Status::Busy);
    assert_eq!(next.status(&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]), Status::Busy);
    assert_eq!(next.read(9, 1), [0; 512]);
    assert_eq!(next.test(1).map(|sense| sense.asc), Some(0x29));
    assert_eq!(next.send(1, &write(0), &[2; 512]).status, Status::Good, "another unit");
    // Another one.
    assert_eq!(other.write(9, &[3; 512]).status, Status::Good);
    assert_eq!(other.read(9, 1), [3; 512]);
    let (mut reads, mut writes) =
        (next.begin(0, &read(0), &[]), other.begin(0, &write(0), &[4; 512]));
    assert!(poll(&mut reads).is_none() && poll(&mut writes).is_none());
    drop(older);
    assert!(poll(&mut late).is_some());
    assert_eq!(poll(&mut reads).unwrap().data_in.concat(), [1; 512], "it came before");
    assert_eq!(poll(&mut writes).unwrap().status, Status::Good);
    assert_eq!(next.write(9, &[5; 512]).status, Status::Good, "it is busy no more");
    assert_eq!((next.read(0, 1), next.read(9, 1)), (vec![4; 512], vec![5; 512]));
}

#[test]
fn a_storage_that_does_not_answer_is_given_no_more_by_each_session_that_ends() {
    let (system, disk) = System::new(100);
    let late = gone(&system, &disk, "a");
    for lba in 1..50 {
        let next = system.ready("a", 1);
        assert_eq!(next.status(&write(lba), &[2; 512]), Status::Busy);
        next.target.close(&next.session);
    }
    assert_eq!(disk.holds(), 1);
    disk.release();
    assert_eq!(now(late).status, Status::Good, "nobody hears of it");
    assert_eq!(system.ready("a", 1).write(0, &[3; 512]).status, Status::Good);
}

/// Begins a command behind one that the storage has, by a task of its own, and aborts it.
async fn aborted(host: &Host, cdb: &[u8], data: &[u8]) -> Status {
    let arrival = host.arrive();
    let command = crate::device::fake::command(0, cdb, data);
    let running = tokio::spawn(host.carry_out_as(&arrival, command));
    tokio::task::yield_now().await;
    assert!(!running.is_finished());
    host.target.abort(&arrival);
    within(running).await.unwrap().status
}

#[tokio::test]
async fn who_waits_behind_a_late_write_and_is_aborted_ends_at_once_and_keeps_nothing() {
    let (system, disk) = System::new(100);
    let late = gone(&system, &disk, "a");
    let other = system.ready("b", 1);
    assert_eq!(aborted(&other, &read(0), &[]).await, Status::TaskAborted);
    assert_eq!(aborted(&other, &write(0), &[2; 512]).await, Status::TaskAborted);
    let data = Bytes::from(vec![2; 512]);
    let mut command = crate::device::fake::command(0, &write(0), &[]);
    command.data_out = vec![data.clone()];
    let dropped = other.carry_out(command);
    assert!(!data.is_unique());
    drop(dropped);
    until(|| data.is_unique()).await;
    disk.release();
    assert_eq!(within(late).await.status, Status::Good);
    assert_eq!(other.read(0, 1), [1; 512]);
    assert_eq!(disk.parts().writes, 1);
}
