//! Who gets in, and what those hear who do not.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    HOST, LUN, Serving, TARGET,
    disk::{Disk, House},
    host,
    raw::Raw,
    within,
};
use crate::iscsi::{
    Initiator,
    chap::{Algorithm, challenge_of, encode},
    directory::{Account, Authentication, Credentials},
    initiator::InitiatorError,
    keys::Parameters,
    login::{Login, Status, Step},
    pdu::{LoginRequest, LoginResponse, Response},
    portal::Limits,
    text::Text,
};

fn credentials(name: &str, secret: &str) -> Credentials {
    Credentials { name: name.to_owned(), secret: secret.into() }
}

fn mutual() -> Authentication {
    let initiator = credentials("host", "a secret of the host");
    let target = Some(credentials("array", "the array's secret"));
    Authentication::Chap(vec![Account { initiator, target }])
}

fn login(authentication: Authentication) -> Login<House> {
    let house = House { disk: Arc::new(Disk::default()), authentication };
    Login::new(Arc::new(house), Parameters::wishes())
}

fn request(csg: u8, nsg: u8) -> LoginRequest {
    LoginRequest { transit: nsg > 0, csg, nsg, isid: [0x80, 0, 0, 0, 0, 1], ..Default::default() }
}

fn text(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut text = Text::default();
    for (key, value) in pairs {
        text.push(key, *value);
    }
    text.encode()
}

fn refused(step: &Step<Disk>) -> Status {
    match step {
        Step::Refuse(response, status) => {
            assert!(response.status == *status as u16 && !response.transit);
            *status
        }
        Step::Reply(..) | Step::Finish(..) => panic!("it is not refused"),
    }
}

fn reply(step: Step<Disk>) -> (LoginResponse, Text) {
    match step {
        Step::Reply(response, text) | Step::Finish(response, text, _) => {
            (response, Text::parse(&text).unwrap())
        }
        Step::Refuse(_, status) => panic!("{status}"),
    }
}

const NAMES: [(&str, &str); 2] = [("InitiatorName", HOST), ("TargetName", TARGET)];

#[test]
fn every_mistake_of_a_first_request_has_its_status() {
    let account = Account { initiator: credentials("host", "secret"), target: None };
    let one_way = Authentication::Chap(vec![account]);
    let other = ("TargetName", "iqn.2026-11.test:none");
    let good = request(1, 3);
    for (authentication, request, pairs, status) in [
        (Authentication::None, good, &[("TargetName", TARGET)][..], Status::Missing),
        (Authentication::None, good, &NAMES[..1], Status::Missing),
        (Authentication::None, good, &[NAMES[0], other], Status::NotFound),
        (
            Authentication::None,
            good,
            &[("InitiatorName", "iqn.2026-11.test:forbidden"), NAMES[1]],
            Status::Forbidden,
        ),
        (
            Authentication::None,
            good,
            &[NAMES[0], NAMES[1], ("SessionType", "Other")],
            Status::SessionType,
        ),
        (Authentication::None, good, &[("InitiatorName", "me"), NAMES[1]], Status::InitiatorError),
        (Authentication::None, good, &[NAMES[0], NAMES[0]], Status::InitiatorError),
        (
            Authentication::None,
            LoginRequest { version_min: 1, version_max: 1, ..good },
            &NAMES,
            Status::Version,
        ),
        (Authentication::None, request(3, 0), &NAMES, Status::Invalid),
        (Authentication::None, request(1, 1), &NAMES, Status::Invalid),
        (Authentication::None, request(0, 2), &NAMES, Status::Invalid),
        (Authentication::None, LoginRequest { more: true, ..good }, &NAMES, Status::Invalid),
        (one_way.clone(), good, &NAMES, Status::Authentication),
        (one_way.clone(), request(0, 1), &NAMES, Status::Authentication),
        (
            one_way,
            request(0, 1),
            &[NAMES[0], NAMES[1], ("AuthMethod", "None")],
            Status::Authentication,
        ),
        (
            Authentication::None,
            request(0, 1),
            &[NAMES[0], NAMES[1], ("AuthMethod", "KRB5")],
            Status::Authentication,
        ),
    ] {
        let got = refused(&login(authentication).step(&request, &text(pairs)));
        assert_eq!(got, status, "{request:?} {pairs:?}");
    }
}

#[test]
fn what_may_not_change_in_the_middle_of_a_login_ends_it() {
    let changes: [fn(&mut LoginRequest); 4] =
        [|r| r.isid[5] = 9, |r| r.cid = 9, |r| r.itt = 9, |r| r.csg = 0];
    for change in changes {
        let mut login = login(Authentication::None);
        reply(login.step(&request(1, 0), &text(&NAMES)));
        let mut second = request(1, 3);
        change(&mut second);
        assert_eq!(refused(&login.step(&second, &[])), Status::Invalid);
    }
    let mut one = login(Authentication::None);
    reply(one.step(&request(1, 0), &text(&NAMES)));
    let again = one.step(&request(1, 3), &text(&NAMES[..1]));
    assert_eq!(refused(&again), Status::InitiatorError, "names come once");
    let mut endless = login(Authentication::None);
    let part = LoginRequest { more: true, ..request(1, 0) };
    let end = (0..100).find_map(|_| match endless.step(&part, &[b'x'; 1000]) {
        Step::Refuse(_, status) => Some(status),
        _ => None,
    });
    assert_eq!(end, Some(Status::InitiatorError), "a text has an end");
    let mut idle = login(Authentication::None);
    reply(idle.step(&request(1, 0), &text(&NAMES)));
    let end = (0..100).find_map(|_| match idle.step(&request(1, 0), &[]) {
        Step::Refuse(_, status) => Some(status),
        _ => None,
    });
    assert_eq!(end, Some(Status::Invalid), "and so has a login");
}

#[test]
fn a_login_goes_through_both_stages_with_the_answers_of_each() {
    let mut login = login(Authentication::None);
    let first = text(&[NAMES[0], NAMES[1], ("AuthMethod", "CHAP,None")]);
    let (response, answer) = reply(login.step(&request(0, 1), &first));
    assert!(response.transit && response.nsg == 1);
    assert_eq!(answer.get("AuthMethod"), Some("None"));
    assert_eq!(answer.get("TargetPortalGroupTag"), Some("1"));
    let part = LoginRequest { more: true, transit: false, nsg: 0, ..request(1, 0) };
    let (response, answer) = reply(login.step(&part, b"MaxBurst"));
    assert!(!response.transit && answer == Text::default(), "it goes on");
    let step = login.step(&request(1, 3), b"Length=4096\0MaxRecvDataSegmentLength=1024\0");
    let Step::Finish(response, answer, established) = step else { panic!("it is over") };
    assert!(response.transit && response.nsg == 3);
    assert_eq!(answer, b"MaxBurstLength=4096\0MaxRecvDataSegmentLength=262144\0");
    let parameters = established.parameters;
    assert_eq!((parameters.max_burst, parameters.first_burst), (4096, 4096));
    assert_eq!((parameters.peer_segment, established.own_segment), (1024, 262_144));
    assert_eq!(established.initiator.to_string(), format!("{HOST},i,0x800000000001"));
}

/// Up to the target's challenge.
fn challenged(login: &mut Login<House>) -> (Algorithm, u8, Vec<u8>) {
    let first = text(&[NAMES[0], NAMES[1], ("AuthMethod", "CHAP")]);
    let (response, _) = reply(login.step(&request(0, 1), &first));
    assert!(!response.transit, "nothing is shown yet");
    let (_, answer) = reply(login.step(&request(0, 0), &text(&[("CHAP_A", "9,5,7")])));
    assert_eq!(answer.get("CHAP_A"), Some("5"), "the first that is known");
    let (id, challenge) = challenge_of(&answer).unwrap();
    (Algorithm::Md5, id, challenge)
}

#[test]
fn our_own_challenge_sent_back_is_refused_even_with_the_right_answer() {
    let mut login = login(mutual());
    let (algorithm, id, challenge) = challenged(&mut login);
    let right = encode(&algorithm.response(id, b"a secret of the host", &challenge));
    let id = id.to_string();
    let challenge = encode(&challenge);
    let keys = [("CHAP_N", "host"), ("CHAP_R", &right), ("CHAP_I", &id), ("CHAP_C", &challenge)];
    assert_eq!(refused(&login.step(&request(0, 1), &text(&keys))), Status::Authentication);
}

#[test]
fn chap_lets_nobody_by_who_skips_it_or_answers_wrong() {
    let right = |algorithm: Algorithm, id, challenge: &[u8]| {
        encode(&algorithm.response(id, b"a secret of the host", challenge))
    };
    let mut one = login(mutual());
    let (algorithm, id, challenge) = challenged(&mut one);
    let good = right(algorithm, id, &challenge);
    let keys = text(&[("CHAP_N", "host"), ("CHAP_R", &good)]);
    assert!(reply(one.step(&request(0, 1), &keys)).0.transit, "the right answer is let by");
    for keys in [
        vec![("CHAP_N", "host")],
        vec![("CHAP_N", "other"), ("CHAP_R", "right")],
        vec![("CHAP_N", "host"), ("CHAP_R", "0x00")],
        vec![("CHAP_A", "5")],
        vec![("CHAP_N", "host"), ("CHAP_R", "right"), ("CHAP_I", "300"), ("CHAP_C", "0x01")],
    ] {
        let mut one = login(mutual());
        let (algorithm, id, challenge) = challenged(&mut one);
        let good = right(algorithm, id, &challenge);
        let keys: Vec<_> =
            keys.into_iter().map(|(k, v)| (k, if v == "right" { &good } else { v })).collect();
        assert_eq!(refused(&one.step(&request(0, 1), &text(&keys))), Status::Authentication);
    }
    let mut skipped = login(mutual());
    challenged(&mut skipped);
    assert_eq!(refused(&skipped.step(&request(0, 1), &[])), Status::Missing);
}

#[tokio::test]
async fn chap_both_ways_lets_in_who_knows_the_secrets_and_nobody_else() {
    let serving = Serving::start(Limits::default(), mutual()).await;
    let own = || Some(credentials("host", "a secret of the host"));
    let mut initiator = Initiator { credentials: own(), ..host() };
    for target in [None, Some(credentials("array", "the array's secret"))] {
        initiator.target = target;
        let session = within(initiator.login(serving.address, TARGET)).await.unwrap();
        within(session.logout()).await.unwrap();
        assert_eq!(within(initiator.discover(serving.address)).await.unwrap().len(), 1);
    }
    for wrong in [
        None,
        Some(credentials("host", "wrong")),
        Some(credentials("other", "a secret of the host")),
    ] {
        let initiator = Initiator { credentials: wrong, ..host() };
        let refused = within(initiator.login(serving.address, TARGET)).await.unwrap_err();
        assert!(matches!(refused, InitiatorError::Refused(0x0201)), "{refused}");
        assert!(within(initiator.discover(serving.address)).await.is_err());
    }
    // A target that does not know its own secret is not logged in to.
    let target = Some(credentials("array", "another"));
    let initiator = Initiator { credentials: own(), target, ..host() };
    let denied = within(initiator.login(serving.address, TARGET)).await.unwrap_err();
    assert!(matches!(denied, InitiatorError::Denied(_)), "{denied}");
    assert_eq!(serving.disk.counts().0, 2);
    serving.stop().await;
}

#[tokio::test]
async fn any_of_several_accounts_lets_in_and_the_target_answers_with_its_own_half() {
    let account = |secret: &str, own: &str| {
        let target = Some(credentials("array", own));
        Account { initiator: credentials("host", secret), target }
    };
    let both = vec![
        account("the first secret", "the array's first"),
        account("the second secret", "the array's second"),
    ];
    let serving = Serving::start(Limits::default(), Authentication::Chap(both)).await;
    let tries = [
        ("the first secret", "the array's first", true),
        ("the second secret", "the array's second", true),
        ("the first secret", "the array's second", false),
        ("the array's second", "the array's second", false),
    ];
    for (secret, own, good) in tries {
        let (own, theirs) = (credentials("host", secret), credentials("array", own));
        let initiator = Initiator { credentials: Some(own), target: Some(theirs), ..host() };
        let found = within(initiator.discover(serving.address)).await;
        assert_eq!(found.is_ok(), good, "{secret}: {found:?}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn the_same_initiator_port_replaces_its_session_and_another_isid_does_not() {
    let serving = Serving::open(Limits::default()).await;
    let initiator = host();
    let old = within(initiator.login(serving.address, TARGET)).await.unwrap();
    let other = within(host().login(serving.address, TARGET)).await.unwrap();
    assert_eq!(serving.disk.counts(), (2, 0));
    // A command that still runs ends before the new session begins.
    let running = tokio::spawn({
        let old = old.clone();
        async move { old.command(super::LUN, &[0xc0, 0, 0, 0, 0, 0], Default::default(), 0).await }
    });
    within(async {
        while serving.disk.begun.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let new = tokio::spawn({
        let (initiator, address) = (initiator.clone(), serving.address);
        async move { initiator.login(address, TARGET).await }
    });
    assert!(matches!(within(running).await.unwrap(), Err(InitiatorError::Lost)));
    assert_eq!(serving.disk.counts(), (2, 0), "it is not closed while its command runs");
    serving.disk.release.add_permits(1);
    let new = within(new).await.unwrap().unwrap();
    assert_eq!(serving.disk.counts(), (3, 1));
    let ready = |session: crate::iscsi::Session| async move {
        within(session.command(super::LUN, &[0; 6], Default::default(), 0)).await
    };
    assert!(ready(old).await.is_err());
    assert_eq!(ready(new).await.unwrap().status, 0);
    assert_eq!(ready(other).await.unwrap().status, 0);
    serving.stop().await;
}

#[tokio::test]
async fn a_second_connection_a_session_that_is_not_there_and_one_too_many_are_refused() {
    let serving = Serving::open(Limits { sessions_per_initiator: 2, ..Limits::default() }).await;
    let mut first = Raw::connect(&serving).await;
    first.send(first.request().write(), &Raw::names().encode()).await;
    let there = LoginResponse::read(&first.receive().await.unwrap().bhs);
    for (tsih, status) in [(there.tsih, 0x0206), (there.tsih + 1, 0x020a)] {
        let mut raw = Raw::connect(&serving).await;
        let request = LoginRequest { tsih, cid: 2, ..raw.request() };
        raw.send(request.write(), &Raw::names().encode()).await;
        let response = LoginResponse::read(&raw.receive().await.unwrap().bhs);
        assert_eq!(response.status, status);
        assert!(raw.receive().await.is_none(), "the connection is closed");
    }
    let second = within(host().login(serving.address, TARGET)).await.unwrap();
    let third = within(host().login(serving.address, TARGET)).await.unwrap_err();
    assert!(matches!(third, InitiatorError::Refused(0x0302)), "{third}");
    within(second.logout()).await.unwrap();
    serving.disk.closed(1).await;
    within(host().login(serving.address, TARGET)).await.unwrap();
    serving.stop().await;
}

#[tokio::test]
async fn connections_that_never_log_in_keep_others_waiting_only_for_a_while() {
    let limits = Limits {
        logins: 8,
        logins_per_address: 8,
        login: Duration::from_millis(300),
        ..Limits::default()
    };
    let serving = Serving::open(limits).await;
    let mut silent = Vec::new();
    for n in 0..64 {
        let mut raw = Raw::connect(&serving).await;
        // Some say a little.
        raw.send_bytes(&[0x43; 20][..n % 20]).await;
        silent.push(raw);
    }
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    within(session.logout()).await.unwrap();
    for mut raw in silent {
        assert!(raw.receive().await.is_none(), "every one of them is closed in the end");
    }
    assert_eq!(serving.disk.counts().0, 1);
    serving.stop().await;
}

#[tokio::test]
async fn more_connections_from_one_address_than_may_log_in_are_closed_at_once() {
    let limits = Limits { logins: 8, logins_per_address: 2, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let silent = [Raw::connect(&serving).await, Raw::connect(&serving).await];
    let mut third = Raw::connect(&serving).await;
    assert!(third.receive().await.is_none());
    drop(silent);
    serving.stop().await;
}

/// Logs in for discovery under a name; the status.
async fn discovery(serving: &Serving, name: &str) -> (Raw, u16) {
    let mut raw = Raw::connect(serving).await;
    let mut text = Text::default();
    text.push("InitiatorName", format!("{HOST}-{name}"));
    text.push("SessionType", "Discovery");
    raw.send(raw.request().write(), &text.encode()).await;
    let status = LoginResponse::read(&raw.receive().await.unwrap().bhs).status;
    (raw, status)
}

#[tokio::test]
async fn discovery_sessions_take_no_place_of_a_host() {
    let limits = Limits { sessions: 1, discoveries_per_address: 3, logins: 5, ..Limits::default() };
    let serving = Serving::open(limits).await;
    let mut open = Vec::new();
    for name in ["a", "b", "c"] {
        let (raw, status) = discovery(&serving, name).await;
        assert_eq!(status, 0);
        open.push(raw);
    }
    assert_eq!(discovery(&serving, "d").await.1, 0x0302, "under whatever name");
    within(host().login(serving.address, TARGET)).await.unwrap();
    drop(open.pop());
    // It leaves a moment after it was cut.
    while discovery(&serving, "e").await.1 != 0 {
        tokio::task::yield_now().await;
    }
    serving.stop().await;
}

#[tokio::test]
async fn a_discovery_session_ends_in_time_whatever_it_says() {
    let limits = Limits { discovery: Duration::from_millis(50), ..Limits::default() };
    let serving = Serving::open(limits).await;
    let session = within(host().login(serving.address, TARGET)).await.unwrap();
    let (mut raw, status) = discovery(&serving, "a").await;
    assert_eq!(status, 0);
    assert!(matches!(raw.response().await, Some(Response::AsyncMessage(m)) if m.event == 2));
    assert!(raw.receive().await.is_none());
    let ready = within(session.command(LUN, &[0; 6], Bytes::new(), 0)).await.unwrap();
    assert_eq!(ready.status, 0, "others stay");
    serving.stop().await;
}
