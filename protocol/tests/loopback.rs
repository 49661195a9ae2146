//! The shells on real sockets: callers and an endpoint on loopback.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use protocol::{
    BlockingCaller, CallError, Caller, Endpoint, Incoming, Key, KeyRing, Kind, RequestId,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn key() -> Key {
    Key::from_secret([3; 32])
}

/// An endpoint that answers each request by `answer`, in the order they come.
async fn serve(answer: impl Fn(Incoming) + Send + Sync + 'static) -> SocketAddr {
    let mut endpoint = Endpoint::bind(any_port(), KeyRing::new(key())).await.unwrap();
    let address = endpoint.local_addr();
    tokio::spawn(async move {
        loop {
            answer(endpoint.next().await);
        }
    });
    address
}

fn echo(incoming: Incoming) {
    let body = incoming.body.clone();
    incoming.answer(body);
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_own_answer() {
    let caller = Caller::connect(serve(echo).await, key()).await.unwrap();
    let calls: Vec<_> = (0..500_u32)
        .map(|n| {
            let caller = caller.clone();
            tokio::spawn(async move {
                let body = n.to_be_bytes().to_vec();
                let kind = if n % 2 == 0 { Kind::Read } else { Kind::Change };
                let answer = caller.call(RequestId::random(), kind, body.clone(), PATIENCE).await;
                assert_eq!(answer.unwrap(), body);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn the_blocking_caller_gets_answers_and_large_requests_through() {
    let address = serve(|incoming| {
        assert_eq!(incoming.room, 60_000);
        let sum: u64 = incoming.body.iter().map(|byte| u64::from(*byte)).sum();
        incoming.answer(sum.to_be_bytes().to_vec());
    })
    .await;
    tokio::task::spawn_blocking(move || {
        let mut caller = BlockingCaller::connect(address, key()).unwrap();
        for len in [0, 1, 59_999, 60_000, 60_001, 3 << 20, 8 << 20] {
            let body = vec![1; len];
            let answer = caller.call(RequestId::random(), Kind::Change, &body, PATIENCE).unwrap();
            assert_eq!(answer, (len as u64).to_be_bytes());
        }
        let body = vec![1; (8 << 20) + 1];
        let refused = caller.call(RequestId::random(), Kind::Read, &body, PATIENCE);
        assert!(matches!(refused, Err(CallError::TooLarge)));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn answers_up_to_the_room_arrive_and_larger_than_a_datagram_fail_the_call() {
    let address = serve(|incoming| {
        let len = u32::from_be_bytes(incoming.body[..4].try_into().unwrap());
        incoming.answer(vec![9; len as usize]);
    })
    .await;
    let caller = Caller::connect(address, key()).await.unwrap();
    let ask = |len: u32| {
        caller.call(RequestId::random(), Kind::Read, len.to_be_bytes().to_vec(), PATIENCE)
    };
    assert_eq!(ask(60_000).await.unwrap().len(), 60_000);
    assert!(matches!(ask(70_000).await, Err(CallError::TooLarge)));
}

#[tokio::test]
async fn the_same_change_is_executed_once_and_answered_each_time() {
    let executed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executed);
    let address = serve(move |incoming| {
        let times = count.fetch_add(1, Ordering::SeqCst) + 1;
        incoming.answer(vec![times as u8]);
    })
    .await;
    let id = RequestId::random();
    for _ in 0..3 {
        // Another caller each time: the id counts, not who asks.
        let caller = Caller::connect(address, key()).await.unwrap();
        assert_eq!(caller.call(id, Kind::Change, vec![], PATIENCE).await.unwrap(), [1]);
    }
    assert_eq!(executed.load(Ordering::SeqCst), 1);
    let caller = Caller::connect(address, key()).await.unwrap();
    let read = RequestId::random();
    for times in [2, 3] {
        assert_eq!(caller.call(read, Kind::Read, vec![], PATIENCE).await.unwrap(), [times]);
    }
}

#[tokio::test]
async fn a_request_dropped_unanswered_is_handed_out_again() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let address = serve(move |incoming| {
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            incoming.answer(b"second".to_vec());
        }
    })
    .await;
    let caller = Caller::connect(address, key()).await.unwrap();
    let answer = caller.call(RequestId::random(), Kind::Change, vec![], PATIENCE).await;
    assert_eq!(answer.unwrap(), b"second");
}

#[tokio::test]
async fn a_server_at_work_keeps_the_patience_of_its_clients() {
    let mut endpoint = Endpoint::bind(any_port(), KeyRing::new(key())).await.unwrap();
    let caller = Caller::connect(endpoint.local_addr(), key()).await.unwrap();
    let patience = Duration::from_millis(400);
    let call = tokio::spawn(async move {
        caller.call(RequestId::random(), Kind::Change, vec![], patience).await
    });
    let incoming = endpoint.next().await;
    // The work: longer than the client would bear silence.
    tokio::time::sleep(patience * 3).await;
    assert!(!call.is_finished());
    incoming.answer(b"done".to_vec());
    assert_eq!(call.await.unwrap().unwrap(), b"done");
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_the_server_still_works_on() {
    // Requests that are kept unanswered are being worked on.
    let kept = std::sync::Mutex::new(Vec::new());
    let address = serve(move |incoming| kept.lock().unwrap().push(incoming)).await;
    let began = Instant::now();
    let late = tokio::task::spawn_blocking(move || {
        let mut caller = BlockingCaller::connect(address, key()).unwrap();
        let deadline = Instant::now() + Duration::from_millis(1_000);
        let patience = Duration::from_millis(400);
        caller.call_until(RequestId::random(), Kind::Change, &[], patience, deadline)
    });
    let late = late.await.unwrap();
    assert!(matches!(late, Err(CallError::Late)), "{late:?}");
    assert!(began.elapsed() >= Duration::from_millis(1_000), "its patience was kept up");
}

#[tokio::test]
async fn nobody_listening_is_told_at_once() {
    let address = {
        let endpoint = Endpoint::bind(any_port(), KeyRing::new(key())).await.unwrap();
        endpoint.local_addr()
    };
    // The endpoint's task ends at the runtime's leisure, and its socket with it.
    while std::net::UdpSocket::bind(address).is_err() {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let caller = Caller::connect(address, key()).await.unwrap();
    let refused = caller.call(RequestId::random(), Kind::Read, vec![], PATIENCE).await;
    assert!(matches!(refused, Err(CallError::Refused)), "{refused:?}");
    let mut caller = BlockingCaller::connect(address, key()).unwrap();
    let refused = caller.call(RequestId::random(), Kind::Read, &[], PATIENCE);
    assert!(matches!(refused, Err(CallError::Refused)), "{refused:?}");
    assert!(started.elapsed() < PATIENCE);
}

#[tokio::test]
async fn another_key_meets_silence_and_is_noted() {
    let mut endpoint = Endpoint::bind(any_port(), KeyRing::new(key())).await.unwrap();
    let strangers = endpoint.strangers();
    let other = Key::from_secret([4; 32]);
    let caller = Caller::connect(endpoint.local_addr(), other.clone()).await.unwrap();
    let patience = Duration::from_millis(200);
    let silent = tokio::select! {
        silent = caller.call(RequestId::random(), Kind::Change, vec![], patience) => silent,
        _ = endpoint.next() => panic!("a stranger's request was handed out"),
    };
    assert!(matches!(silent, Err(CallError::Silent)), "{silent:?}");
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    assert_eq!(strangers.seen(here), Some(other.id()));
}

#[tokio::test]
async fn a_ring_serves_each_of_its_keys() {
    let other = Key::from_secret([4; 32]);
    let mut ring = KeyRing::new(key());
    ring.add(other.clone());
    let mut endpoint = Endpoint::bind(any_port(), ring).await.unwrap();
    let address = endpoint.local_addr();
    tokio::spawn(async move {
        loop {
            echo(endpoint.next().await);
        }
    });
    for key in [key(), other] {
        let caller = Caller::connect(address, key).await.unwrap();
        let answer = caller.call(RequestId::random(), Kind::Read, vec![5], PATIENCE).await;
        assert_eq!(answer.unwrap(), [5]);
    }
}

#[tokio::test]
async fn the_own_host_is_always_allowed() {
    let mut endpoint = Endpoint::bind(any_port(), KeyRing::new(key())).await.unwrap();
    endpoint.allow_only(vec!["192.0.2.1".parse().unwrap()]);
    let address = endpoint.local_addr();
    tokio::spawn(async move {
        loop {
            echo(endpoint.next().await);
        }
    });
    let caller = Caller::connect(address, key()).await.unwrap();
    assert!(caller.call(RequestId::random(), Kind::Read, vec![], PATIENCE).await.is_ok());
}

#[tokio::test]
async fn a_call_given_up_leaves_its_id_free() {
    let mut endpoint = Endpoint::bind(any_port(), KeyRing::new(key())).await.unwrap();
    let caller = Caller::connect(endpoint.local_addr(), key()).await.unwrap();
    let id = RequestId::random();
    let first = tokio::select! {
        _ = caller.call(id, Kind::Change, vec![], PATIENCE) => panic!("nobody answered"),
        incoming = endpoint.next() => incoming,
    };
    let (again, ()) = tokio::join!(caller.call(id, Kind::Change, vec![], PATIENCE), async {
        first.answer(b"first".to_vec());
    });
    assert_eq!(again.unwrap(), b"first");
    // Two at a time under one id would not know whose answer comes.
    let call = || caller.call(RequestId(1), Kind::Read, vec![], PATIENCE);
    let (one, two, ()) = tokio::join!(call(), call(), async { echo(endpoint.next().await) });
    assert!(one.is_ok());
    assert!(matches!(two, Err(CallError::Io(error))
        if error.kind() == std::io::ErrorKind::AlreadyExists));
}

#[tokio::test]
async fn a_restarted_server_is_found_again_by_the_same_caller() {
    let mut address = any_port();
    let mut caller = None;
    for run in 0..3_u8 {
        let mut endpoint = loop {
            match Endpoint::bind(address, KeyRing::new(key())).await {
                Ok(endpoint) => break endpoint,
                // The socket of the run before goes at the runtime's leisure.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        address = endpoint.local_addr();
        let caller = match &caller {
            Some(caller) => caller,
            None => caller.insert(Caller::connect(address, key()).await.unwrap()),
        };
        let (answer, ()) = tokio::join!(
            caller.call(RequestId::random(), Kind::Change, vec![run], PATIENCE),
            async { echo(endpoint.next().await) },
        );
        assert_eq!(answer.unwrap(), [run]);
    }
}
