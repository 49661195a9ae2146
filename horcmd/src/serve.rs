//! The loop of the daemon: takes requests, carries them out side by side, ends in good order.

use std::{sync::Arc, time::Duration};

use protocol::{Endpoint, Incoming, horcm::Request};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    answer::encode_within,
    daemon::Daemon,
    dispatch::{self, Arrived},
};

/// How many requests are carried out at once. One more is forgotten unanswered; its sender sends
/// it again.
const AT_ONCE: u32 = 1024;
/// How long the end waits for requests that are under way.
const FINISHING: Duration = Duration::from_secs(5);
/// How long the socket outlives the last answer, so that a lost one is sent again.
const LINGER: Duration = Duration::from_millis(100);

/// Serves until the daemon is told to stop, then finishes what is under way.
pub async fn serve(daemon: &Arc<Daemon>, mut endpoint: Endpoint) {
    let permits = Arc::new(Semaphore::new(AT_ONCE as usize));
    loop {
        let incoming = tokio::select! {
            () = daemon.stop.notified() => break,
            incoming = endpoint.next() => incoming,
        };
        match permits.clone().try_acquire_owned() {
            Ok(permit) => {
                let daemon = daemon.clone();
                tokio::spawn(async move {
                    one(&daemon, incoming).await;
                    drop(permit);
                });
            }
            Err(_) => log::debug!("{AT_ONCE} requests are under way; one more has to wait"),
        }
    }
    let finished = permits.acquire_many(AT_ONCE);
    if timeout(FINISHING, finished).await.is_err() {
        log::warn!("ending with requests under way that do not finish");
    }
    let end = Instant::now() + LINGER;
    // New requests are not taken any more; the endpoint answers resends by itself.
    while timeout_at(end, endpoint.next()).await.is_ok() {}
}

/// One request from its datagram to its answer.
async fn one(daemon: &Arc<Daemon>, mut incoming: Incoming) {
    let arrived = Arrived {
        id: incoming.id,
        kind: incoming.kind,
        from: incoming.from.ip(),
        room: incoming.room,
        body: std::mem::take(&mut incoming.body),
    };
    let (answer, shutdown) = match dispatch::admit(daemon, &arrived) {
        Err(refused) => (Err(refused), false),
        Ok((logins, request)) => {
            log::debug!("{} from {}: {request:?}", arrived.id, incoming.from);
            let shutdown = request == Request::Shutdown;
            let daemon = daemon.working_for(logins);
            let answer = dispatch::carry_out(&daemon, arrived.id, arrived.room, request).await;
            (answer, shutdown)
        }
    };
    if let Err(error) = &answer {
        log::info!("{} from {}: {error}", arrived.id, incoming.from);
    }
    incoming.answer(encode_within(answer, arrived.room));
    if shutdown {
        log::info!("told to shut down");
        daemon.stop.notify_one();
    }
}
