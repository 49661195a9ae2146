//! Orders against a small array: refusals with their codes, at most once, groups, scans.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use model::{Code, Guard, GuardType, MuNumber, Serial};
use protocol::{
    Kind, RequestId, codec,
    orders::{
        CreateOptions, CtgRequest, Order, OrderAnswer, OrderError, PairChange, PairTarget, Reply,
        ScanFilter, SplitOptions,
    },
};

use crate::{
    clock::Clock,
    orders::carry_out,
    store::disk::Act,
    testing::{
        TestArray, VOLUME_BYTES, create, end, ldev, quick_split, restore, resync, split, target,
    },
    users::Via,
};

fn refused(answer: OrderAnswer) -> (Code, Option<u32>) {
    let OrderError { at, error } = answer.expect_err("the order is refused");
    assert!(error.cause.is_some(), "{error}");
    assert!(error.advice.is_some(), "{error}");
    (error.code, at)
}

fn guard(array: &TestArray, n: u32, guard: Guard, retention_days: Option<u32>) -> OrderAnswer {
    let order = Order::SetGuard { ldevs: vec![ldev(n)], guard, retention_days };
    array.array.execute(RequestId::random(), &order)
}

fn in_group(group: CtgRequest) -> PairChange {
    PairChange::Create(CreateOptions { group: Some(group), ..CreateOptions::default() })
}

/// An order as a carrier carries it, of nobody.
fn given(order: &Order) -> Vec<u8> {
    codec::encode(&(None::<protocol::login::Token>, order))
}

#[test]
fn the_main_job_create_split_change_resync_restore() {
    let array = TestArray::new();
    array.write(17, 0, 1, 4096);
    array.run(create(), &[(17, 2, 18)]).unwrap();
    assert_eq!(array.state(17, 2), "COPY");
    array.copy_all();
    assert_eq!((array.state(17, 2), array.state(18, 0)), ("PAIR", "PAIR"));
    array.write(17, 4096, 2, 4096);
    array.run(split(), &[(17, 2, 18)]).unwrap();
    let point = array.read(17);
    array.write(17, 0, 3, 100);
    array.copy_all();
    assert_eq!((array.state(17, 2), array.state(18, 0)), ("PSUS", "SSUS"));
    assert_eq!(array.read(18), point);
    let status = array.array.status(end(17, 2)).unwrap();
    assert_eq!(status.percent, 94, "one page of seventeen differs");
    array.run(restore(), &[(17, 2, 18)]).unwrap();
    assert_eq!(array.state(17, 2), "RCPY");
    array.copy_all();
    assert_eq!((array.state(17, 2), array.read(17)), ("PAIR", point));
    array.run(split(), &[(17, 2, 18)]).unwrap();
    array.write(18, 9, 9, 9);
    array.run(resync(), &[(17, 2, 18)]).unwrap();
    array.copy_all();
    assert_eq!(array.read(18), array.read(17));
    array.run(PairChange::Dissolve, &[(17, 2, 18)]).unwrap();
    assert_eq!((array.state(17, 2), array.state(18, 0)), ("SMPL", "SMPL"));
}

#[test]
fn paircreate_names_what_is_wrong_with_the_volumes() {
    let array = TestArray::new();
    let code = |p, mu, s| refused(array.run(create(), &[(p, mu, s)])).0;
    assert_eq!(code(17, 0, 40), Code::ExEnqsiz);
    assert_eq!(code(17, 3, 18), Code::ExInvmun);
    assert_eq!(code(17, 0, 99), Code::ExEnldev);
    assert_eq!(code(99, 0, 17), Code::ExEnldev);
    assert_eq!(code(16, 0, 17), Code::ExInvvol, "a command device");
    assert_eq!(code(17, 0, 16), Code::ExInvvol, "a command device");
    assert_eq!(code(17, 0, 17), Code::ExEvolce);
    let no_partner = Order::Change { change: create(), pairs: vec![target(17, 0, None)] };
    let answer = array.array.execute(RequestId::random(), &no_partner);
    assert_eq!(refused(answer).0, Code::ExEvolce);
    let mut elsewhere = target(17, 0, Some(18));
    if let Some(partner) = &mut elsewhere.partner {
        partner.volume.serial = Serial::new(1).unwrap();
    }
    let order = Order::Change { change: create(), pairs: vec![elsewhere] };
    let answer = array.array.execute(RequestId::random(), &order);
    assert_eq!(refused(answer).0, Code::ExEnqser);

    array.run(create(), &[(17, 0, 18)]).unwrap();
    assert_eq!(code(19, 0, 18), Code::ExInvvol, "an S-VOL has one P-VOL");
    assert_eq!(code(17, 0, 19), Code::ExInvvol, "the MU# is taken");
    assert_eq!(code(18, 0, 19), Code::ExInvvol, "the S-VOL end is taken");
    assert_eq!(code(20, 1, 18), Code::ExInvvol);
    array.run(create(), &[(18, 1, 19)]).unwrap();
    assert_eq!(code(19, 1, 20), Code::ExInvvol, "there is no third layer");
    guard(&array, 20, Guard::of(GuardType::Svd), None).unwrap();
    assert_eq!(code(17, 1, 20), Code::ExEsvold);
}

#[test]
fn other_changes_name_what_is_wrong_with_the_pair() {
    let array = TestArray::new();
    let code = |change, p, mu, s| refused(array.run(change, &[(p, mu, s)])).0;
    assert_eq!(code(split(), 17, 0, 18), Code::ExInvstp);
    array.run(PairChange::Dissolve, &[(17, 0, 18)]).unwrap();
    array.run(create(), &[(17, 0, 18)]).unwrap();
    assert_eq!(code(split(), 17, 0, 19), Code::ExEvolce);
    array.copy_all();
    assert_eq!(code(restore(), 17, 0, 18), Code::ExInvstp);
    let none = Order::Change { change: split(), pairs: Vec::new() };
    assert_eq!(refused(array.array.execute(RequestId::random(), &none)).0, Code::ExInvarg);
    array.run(split(), &[(17, 0, 18)]).unwrap();
    guard(&array, 17, Guard::of(GuardType::Svd), None).unwrap();
    assert_eq!(code(restore(), 17, 0, 18), Code::ExEsvold);
    guard(&array, 18, Guard::of(GuardType::Svd), None).unwrap();
    assert_eq!(code(resync(), 17, 0, 18), Code::ExEsvold);
}

#[test]
fn a_restore_needs_the_other_mirrors_at_rest() {
    let array = TestArray::new();
    array.write(17, 0, 1, 600_000);
    array.run(create(), &[(17, 0, 18), (17, 1, 19)]).unwrap();
    array.copy_all();
    array.run(split(), &[(17, 0, 18)]).unwrap();
    array.copy_all();
    let code = |pair| refused(array.run(restore(), &[pair])).0;
    assert_eq!(code((17, 0, 18)), Code::ExInvvol, "MU# 1 is in PAIR");
    array.write(17, 0, 2, 600_000);
    array.run(quick_split(), &[(17, 1, 19)]).unwrap();
    array.run(restore(), &[(17, 0, 18)]).unwrap();
    let busy = refused(array.run(resync(), &[(17, 1, 19)]));
    assert_eq!(busy, (Code::ExInvvol, Some(0)));
}

#[test]
fn a_group_is_changed_wholly_or_not_at_all() {
    let array = TestArray::new();
    let group = [(17, 0, 18), (19, 0, 20), (21, 0, 22)];
    array.run(create(), &group[..2]).unwrap();
    array.copy_all();
    let mixed_roles = refused(array.run(split(), &group));
    assert_eq!(mixed_roles, (Code::ExEnqvol, Some(2)));
    assert_eq!(array.state(17, 0), "PAIR", "nothing has changed");
    array.run(create(), &group).unwrap();
    array.copy_all();
    array.run(PairChange::Fail, &group[1..2]).unwrap();
    let mixed_states = refused(array.run(split(), &group));
    assert_eq!(mixed_states, (Code::ExIncstg, Some(1)));
    assert_eq!(array.state(17, 0), "PAIR", "nothing has changed");
    array.run(split(), &group[..1]).unwrap();
    array.copy_all();
    array.run(split(), &[group[0], group[2]]).expect("a split pair beside a PAIR is fine");
    assert_eq!(array.state(21, 0), "PSUS");
    let uniform = refused(array.run(create(), &[group[0], group[2]]));
    assert_eq!(uniform, (Code::ExInvstp, Some(0)));
    let bad_second = refused(array.run(create(), &[(23, 0, 24), (25, 0, 40)]));
    assert_eq!(bad_second, (Code::ExEnqsiz, Some(1)));
    assert_eq!(array.state(23, 0), "SMPL", "nothing has changed");
}

#[test]
fn a_consistency_group_is_split_as_one() {
    let array = TestArray::new();
    let group = [(17, 0, 18), (19, 0, 20)];
    array.run(in_group(CtgRequest::Any), &group).unwrap();
    assert_eq!(array.array.status(end(17, 0)).unwrap().ctg, Some(0));
    array.run(create(), &[(21, 0, 22)]).unwrap();
    array.run(in_group(CtgRequest::Any), &[(23, 0, 24)]).unwrap();
    assert_eq!(array.array.status(end(24, 0)).unwrap().ctg, Some(1));
    let code = |change, pairs: &[_]| refused(array.run(change, pairs)).0;
    assert_eq!(code(split(), &group[..1]), Code::ExEnqctg, "only a part of it");
    assert_eq!(code(split(), &[(19, 0, 20), (21, 0, 22)]), Code::ExEnqctg, "mixed");
    assert_eq!(code(in_group(CtgRequest::Id(7)), &group), Code::ExEnqctg);
    assert_eq!(code(in_group(CtgRequest::Id(2048)), &[(17, 1, 25)]), Code::ExErange);
    array.run(split(), &group).unwrap();
}

#[test]
fn with_every_ctgid_in_use_a_new_one_is_refused() {
    let array = TestArray::new();
    {
        // So many groups would need twice as many volumes; the registry alone decides.
        let mut state = array.array.state_mut();
        for n in 0..2048u16 {
            let number = 1000 + u32::from(n);
            let pair = crate::pairs::Pair {
                primary: end(number, 0),
                secondary: end(number, 1),
                phase: crate::pairs::Phase::Paired,
                pace: model::CopyPace::default(),
                noread: false,
                writable: false,
                ctg: Some(n),
                snapshot: None,
            };
            state.registry.put(crate::store::LinkId(number), Some(pair));
        }
    }
    let answer = array.run(in_group(CtgRequest::Any), &[(17, 0, 18)]);
    assert_eq!(refused(answer).0, Code::ExEnxctg);
}

struct Hand(AtomicU64);

impl Clock for Arc<Hand> {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn guards_hold_for_their_days_and_survive_a_restart() {
    let clock = Arc::new(Hand(AtomicU64::new(1_700_000_000)));
    let array = TestArray::with_clock(Box::new(Arc::clone(&clock)));
    guard(&array, 17, Guard::of(GuardType::Inv), Some(3)).unwrap();
    let lower = refused(guard(&array, 17, Guard::NONE, None));
    assert_eq!(lower, (Code::ExEprort, Some(0)));
    assert_eq!(refused(guard(&array, 99, Guard::NONE, None)).0, Code::ExEnldev);
    let shown = |array: &TestArray| {
        let order = Order::Guards(vec![ldev(17), ldev(99)]);
        match array.array.execute(RequestId::random(), &order) {
            Ok(Reply::Guards(guards)) => guards,
            other => panic!("{other:?}"),
        }
    };
    let guards = shown(&array);
    assert_eq!(guards[0].map(|state| state.retention_days), Some(3));
    assert_eq!(guards[1], None);
    clock.0.fetch_add(3 * 86_400, Ordering::SeqCst);
    guard(&array, 17, Guard::of(GuardType::Wtd), None).unwrap();
    let array = array.reopen();
    assert_eq!(shown(&array)[0].map(|state| state.guard), Some(Guard::of(GuardType::Wtd)));
}

#[test]
fn a_change_is_executed_once_also_across_a_crash() {
    let array = TestArray::new();
    let id = RequestId::random();
    let order = Order::Change { change: create(), pairs: vec![target(17, 0, Some(18))] };
    assert_eq!(array.array.execute(id, &order), Ok(Reply::Done));
    array.copy_all();
    array.run(PairChange::Dissolve, &[(17, 0, 18)]).unwrap();
    assert_eq!(array.array.execute(id, &order), Ok(Reply::Done), "the answer of then");
    assert_eq!(array.state(17, 0), "SMPL", "and no second pair");
    let array = array.crash();
    assert_eq!(array.array.execute(id, &order), Ok(Reply::Done));
    assert_eq!(array.state(17, 0), "SMPL");
    array.array.execute(RequestId::random(), &order).unwrap();
    assert_eq!(array.state(17, 0), "COPY");
}

#[test]
fn a_refused_or_undurable_change_is_not_remembered() {
    let array = TestArray::new();
    let id = RequestId::random();
    let order = Order::Change { change: split(), pairs: vec![target(17, 0, Some(18))] };
    assert_eq!(refused(array.array.execute(id, &order)).0, Code::ExInvstp);
    array.run(create(), &[(17, 0, 18)]).unwrap();
    array.faults.fail_always("", Act::Flush, std::io::ErrorKind::Other);
    let answer = array.array.execute(id, &order).expect_err("the disk fails");
    assert_eq!(answer.error.code, Code::ExCmdrje);
    assert_eq!(array.state(17, 0), "COPY");
    let answer = array.array.write(ldev(17), 0, &[1]).expect_err("nothing is taken any more");
    assert!(answer.advice.unwrap().contains("start"));
    array.faults.heal();
    let array = array.reopen();
    array.array.execute(id, &order).unwrap();
    assert_eq!(array.state(17, 0), "PSUS");
    assert!(array.array.status(end(18, 0)).unwrap().partner.is_some());
}

#[test]
fn hosts_write_to_an_svol_only_when_it_is_split_writable() {
    let array = TestArray::new();
    let writable = |n| array.array.check_writable(ldev(n)).map_err(|error| error.code);
    let write = |n| array.array.write(ldev(n), 0, &[1]).map_err(|error| error.code);
    assert_eq!(write(16), Err(Code::ExInvvol), "a command device");
    array.run(create(), &[(17, 0, 18)]).unwrap();
    assert_eq!((writable(17), write(18)), (Ok(()), Err(Code::ExInvvol)));
    assert_eq!(array.array.check_exportable(ldev(18)).unwrap_err().code, Code::ExInvvol);
    array.copy_all();
    let read_only = PairChange::Split(SplitOptions::default());
    array.run(read_only, &[(17, 0, 18)]).unwrap();
    let error = array.array.write(ldev(18), 0, &[1]).unwrap_err();
    assert_eq!(error.state.as_deref(), Some("S-VOL of LDEV 17, SSUS"));
    assert!(array.array.check_exportable(ldev(18)).is_ok());
    array.run(resync(), &[(17, 0, 18)]).unwrap();
    array.copy_all();
    array.run(split(), &[(17, 0, 18)]).unwrap();
    assert_eq!(write(18), Ok(()));
    let past = array.array.write(ldev(17), VOLUME_BYTES, &[1]).unwrap_err();
    assert_eq!(past.code, Code::ExErange);
}

#[test]
fn a_scan_comes_in_pages_that_fit() {
    let array = TestArray::new();
    array.run(create(), &[(17, 0, 18)]).unwrap();
    let mut from = 0;
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let order = Order::Scan { filter: ScanFilter::default(), from };
        let body = carry_out(
            &array.array,
            Via::Ipcmd,
            RequestId::random(),
            Kind::Read,
            &given(&order),
            200,
        );
        assert!(body.len() <= 200, "{}", body.len());
        let Ok(OrderAnswer::Ok(Reply::Scanned { rows, next })) = codec::decode(&body) else {
            panic!("not a scan");
        };
        seen.extend(rows);
        pages += 1;
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert!(pages > 1);
    let shown: Vec<u32> = seen.iter().map(|row| row.ldev.get()).collect();
    assert_eq!(shown, (16..=25).collect::<Vec<_>>());
    assert!(seen.iter().all(|row| row.mirrors.len() == 3));
    assert_eq!(seen[1].mirrors[0].status.word(), "COPY");
}

#[test]
fn an_answer_beyond_its_room_is_an_error_and_foreign_bytes_are_too() {
    let array = TestArray::new();
    let ends = vec![end(17, 0); 500];
    let body = given(&Order::Status(ends));
    let answer = carry_out(&array.array, Via::Ipcmd, RequestId::random(), Kind::Read, &body, 300);
    let decoded: OrderAnswer = codec::decode(&answer).unwrap();
    assert_eq!(refused(decoded).0, Code::ExErange);
    let answer =
        carry_out(&array.array, Via::Ipcmd, RequestId::random(), Kind::Read, b"\xff\xff", 300);
    let decoded: OrderAnswer = codec::decode(&answer).unwrap();
    assert_eq!(refused(decoded).0, Code::ExUnwcod);
}

#[test]
fn both_ends_of_a_pair_mean_the_pair() {
    let array = TestArray::new();
    array.run(create(), &[(17, 1, 18)]).unwrap();
    let from_svol = PairTarget { end: end(18, 0), partner: None };
    let both = vec![target(17, 1, Some(18)), from_svol];
    let order = Order::Change { change: split(), pairs: both };
    array.array.execute(RequestId::random(), &order).unwrap();
    let status = array.array.status(end(18, 0)).unwrap();
    let partner = status.partner.unwrap();
    assert_eq!((partner.volume.ldev, partner.mu), (ldev(17), MuNumber::new(1).unwrap()));
    assert_eq!(array.array.status(end(99, 0)), None);
    assert_eq!(array.state(19, 0), "SMPL");
}

#[test]
fn space_that_nothing_uses_goes_back_to_the_file_system() {
    use std::os::unix::fs::MetadataExt;

    let array = TestArray::new();
    let used = || std::fs::metadata(array.path().join("pool-0.data")).unwrap().blocks() * 512;
    let data = vec![7; 1 << 20];
    for n in 17..25 {
        array.array.write(ldev(n), 0, &data).unwrap();
    }
    array.array.flush(ldev(17)).unwrap();
    let full = used();
    assert!(full >= 8 << 20);
    for n in 17..25 {
        array.array.zero(ldev(n), 0, VOLUME_BYTES).unwrap();
    }
    array.array.flush(ldev(17)).unwrap();
    for _ in 0..8 {
        array.array.store.punch();
    }
    assert!(used() + (8 << 20) <= full, "{} of {full}", used());
    // What was given back is reserved anew, and holds what is written.
    array.array.write(ldev(17), 0, &data).unwrap();
    array.array.flush(ldev(17)).unwrap();
    let mut bytes = vec![0; 1 << 20];
    array.array.read(ldev(17), 0, &mut bytes).unwrap();
    assert!(bytes == data && array.array.check(&mut |_| {}).unwrap().is_clean());
}
