//! Two instances and a scripted array: the seed's session as requests.

mod common;

use common::{
    array::{FakeArray, end},
    world::{Pair, World, group},
};
use lab::Carrier;
use model::{CciError, Code, Guard, GuardType, Mode, MuNumber, PairStatus, Role, Side};
use protocol::{
    Kind, RequestId, codec,
    horcm::{Control, ControlReply, Reply, Request, Selection, Target},
    orders::{CreateOptions, Order, OrderError, PairChange, ScanFilter, SplitOptions},
};

lab::on_every_carrier! {
    the_seeds_session_reaches_the_array_with_the_right_ends,
    a_command_sent_twice_with_one_id_is_carried_out_once_even_after_a_crash,
    refusals_name_the_volume_in_the_words_of_the_configuration,
    volumes_of_several_groups_change_in_one_order,
    in_horc_mode_everything_shows_unpaired,
    questions_about_the_instance_are_answered,
}

fn create(primary: Option<Side>) -> Request {
    Request::Change {
        selection: group("snap"),
        change: PairChange::Create(CreateOptions::default()),
        primary,
        local_only: false,
    }
}

fn split() -> Request {
    Request::Change {
        selection: group("snap"),
        change: PairChange::Split(SplitOptions::default()),
        primary: None,
        local_only: false,
    }
}

fn the_seeds_session_reaches_the_array_with_the_right_ends(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let (mut p, mut s) = (world.start(50), world.start(51));

    let (members, error) = s.members(&group("snap"), true).unwrap();
    assert_eq!(error, None);
    let remote = members[0].remote.as_ref().unwrap();
    assert_eq!((members[0].local.volume.ldev.get(), remote.volume.ldev.get()), (19, 18));
    assert_eq!((members[0].local.mu.get(), remote.mu.get()), (0, 2));
    assert_eq!(members[0].local.status.unwrap().role, Role::Smpl);

    let id = RequestId::random();
    assert_eq!(s.ask_as(id, &create(Some(Side::Remote))), Ok(Reply::Done));
    {
        let state = array.lock();
        assert!(state.executed.contains_key(&id), "the command's id goes along");
        assert_eq!(state.ends[&end(18, 2)].role, Role::PVol);
        assert_eq!(state.ends[&end(19, 0)].role, Role::SVol);
    }

    assert_eq!(p.ask(&split()), Ok(Reply::Done));
    let summary = p.ask(&Request::Summary { selection: group("snap"), remote: true }).unwrap();
    let Reply::Summary { local, remote, mismatched, .. } = summary else { panic!("{summary:?}") };
    assert_eq!((local[0].role, local[0].status, local[0].count), (Role::PVol, PairStatus::Psus, 1));
    assert_eq!((remote[0].role, remote[0].status), (Role::SVol, PairStatus::Ssus));
    assert_eq!(mismatched, 0);

    let order = array.lock().orders.iter().rev().find_map(|(_, order)| match order {
        Order::Change { pairs, .. } => Some(pairs.clone()),
        _ => None,
    });
    let target = order.unwrap()[0];
    assert_eq!((target.end, target.partner.unwrap().volume.ldev.get()), (end(18, 2), 19));

    let guard = Guard::of(GuardType::Inv);
    let set = Request::SetGuard { selection: group("snap"), guard, retention_days: None };
    assert_eq!(s.ask(&set), Ok(Reply::Done));
    let request = Request::Members {
        selection: group("snap"),
        remote: true,
        guards: true,
        devices: false,
        from: 0,
    };
    let Ok(Reply::Members { members, .. }) = p.ask(&request) else { panic!() };
    assert_eq!(members[0].local.guard.unwrap().guard, Guard::NONE);
    assert_eq!(members[0].remote.as_ref().unwrap().guard.unwrap().guard, guard);

    assert_eq!(p.shutdown(), Some(0));
    assert_eq!(s.shutdown(), Some(0));
}

fn a_command_sent_twice_with_one_id_is_carried_out_once_even_after_a_crash(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let (mut p, _s) = (world.start(50), world.start(51));
    let id = RequestId::random();
    assert_eq!(p.ask_as(id, &create(Some(Side::Local))), Ok(Reply::Done));
    drop(p);
    let mut p = world.start(50);
    array.lock().refuse = Some(CciError::new(Code::ExInvstp).into());
    assert_eq!(p.ask_as(id, &create(Some(Side::Local))), Ok(Reply::Done));
    assert!(array.lock().refuse.is_some(), "the array knew the id");
}

fn refusals_name_the_volume_in_the_words_of_the_configuration(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let (mut p, _s) = (world.start(50), world.start(51));
    array.lock().refuse =
        Some(OrderError { at: Some(0), error: CciError::new(Code::ExInvstp).state("PSUE") });
    let error = p.ask(&create(Some(Side::Local))).unwrap_err();
    assert_eq!(error.code, Code::ExInvstp);
    let object = error.object.as_deref();
    assert_eq!(object, Some("snap/snapdev1 (LDEV 18 of Serial# 62496 MU# 2)"));

    let mut code = |request: Request| p.ask(&request).unwrap_err().code;
    assert_eq!(code(create(None)), Code::ExReqarg);
    let change = |selection, local_only| Request::Change {
        selection,
        change: PairChange::Dissolve,
        primary: None,
        local_only,
    };
    assert_eq!(code(change(group("nope"), false)), Code::ExEnogrp);
    let volume = Some("nope".parse().unwrap());
    let target = Target::Group { group: "snap".parse().unwrap(), volume };
    assert_eq!(code(change(Selection { target, ..group("snap") }, true)), Code::ExEnodev);
    let horc = Selection { mode: Mode::Horc, ..group("snap") };
    assert_eq!(code(change(horc, false)), Code::ExEnosup);
    let mirror = MuNumber::new(3);
    let high = Selection { mirror, ..group("snap") };
    assert_eq!(code(change(high.clone(), true)), Code::ExInvmun);
    assert_eq!(code(Request::Summary { selection: high, remote: false }), Code::ExInvmun);
    let serial = Some("4711".parse().unwrap());
    let filter = ScanFilter::default();
    let scan = Request::Scan { serial, filter, devices: false, from: 0 };
    assert_eq!(code(scan), Code::ExEnount);
    assert_eq!(code(Request::Control(Control::CommandDevice { unit: 1 })), Code::ExEnount);
    let nowhere = "nope".parse().unwrap();
    assert_eq!(code(Request::Control(Control::NetworkAddress(nowhere))), Code::ExEnogrp);

    assert_eq!(p.raw(Kind::Read, b"\xff\xffnonsense").unwrap_err().code, Code::ExUnwcmd);
    let sneaky = codec::encode(&(Vec::<protocol::login::Login>::new(), split()));
    assert_eq!(p.raw(Kind::Read, &sneaky).unwrap_err().code, Code::ExInvcmd);
}

fn volumes_of_several_groups_change_in_one_order(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    for ldev in [20, 21] {
        array.lock().ldevs.insert(model::LdevId::new(ldev).unwrap(), None);
    }
    Pair::write([&world, &world], &array.command_device(), 3000);
    for (instance, ldev, mu) in [(50, 20, 1), (51, 21, 0)] {
        let file = world.dir.path().join(format!("etc/horcm{instance}.conf"));
        let conf = std::fs::read_to_string(&file).unwrap();
        let inst = conf.lines().last().unwrap().replacen("snap", "data", 1);
        let more = format!("{conf}{inst}\nHORCM_LDEV\ndata datadev1 62496 {ldev} {mu}\n");
        std::fs::write(&file, more).unwrap();
    }
    let (mut p, mut s) = (world.start(50), world.start(51));
    let volumes = |names: &[(&str, &str)]| Selection {
        target: Target::Volumes(
            names.iter().map(|(g, v)| (g.parse().unwrap(), v.parse().unwrap())).collect(),
        ),
        ..group("snap")
    };
    let both = volumes(&[("snap", "snapdev1"), ("data", "datadev1")]);
    let change = |change, local_only| Request::Change {
        selection: both.clone(),
        change,
        primary: Some(Side::Local),
        local_only,
    };
    let create = change(PairChange::Create(CreateOptions::default()), false);
    assert_eq!(p.ask(&create), Ok(Reply::Done));
    let split = SplitOptions { fresh: true, ..SplitOptions::default() };
    assert_eq!(p.ask(&change(PairChange::Split(split), true)), Ok(Reply::Done));
    let guard = Request::SetGuard {
        selection: both,
        guard: Guard::of(GuardType::Inv),
        retention_days: None,
    };
    assert_eq!(s.ask(&guard), Ok(Reply::Done));
    let state = array.lock();
    let listed: Vec<Vec<_>> = state
        .orders
        .iter()
        .filter_map(|(_, order)| match order {
            Order::Change { pairs, .. } => Some(pairs.iter().map(|pair| pair.end).collect()),
            _ => None,
        })
        .collect();
    let ends = vec![end(18, 2), end(20, 1)];
    assert_eq!(listed, [ends.clone(), ends], "one order each, with both groups in it");
    let guarded =
        state.guards.keys().map(|ldev| ldev.get()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(guarded, [19, 21].into());
}

fn in_horc_mode_everything_shows_unpaired(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let (mut p, _s) = (world.start(50), world.start(51));
    p.ask(&create(Some(Side::Local))).unwrap();
    let horc = Selection { mode: Mode::Horc, ..group("snap") };
    let (members, _) = p.members(&horc, true).unwrap();
    assert_eq!(members[0].local.status.unwrap().role, Role::Smpl);
    assert_eq!(members[0].remote.as_ref().unwrap().status.unwrap().role, Role::Smpl);
    let (members, _) = p.members(&group("snap"), true).unwrap();
    assert_eq!(members[0].local.status.unwrap().role, Role::PVol);
}

fn questions_about_the_instance_are_answered(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    let pair = Pair::write([&world, &world], &array.command_device(), 3000);
    let (mut p, _s) = (world.start(50), world.start(51));
    let Ok(Reply::Alive { pid, instance, .. }) = p.ask(&Request::Ping) else { panic!() };
    assert_eq!((pid, instance.number()), (p.child.id(), Some(50)));
    let Ok(Reply::Units { units, .. }) = p.ask(&Request::RemoteUnits("snap".parse().unwrap()))
    else {
        panic!()
    };
    assert_eq!(units[0].as_ref().unwrap().serial.get(), 62496);
    let Ok(Reply::Groups { groups, next }) = p.ask(&Request::Groups { from: 0 }) else { panic!() };
    assert_eq!((groups[0].volumes, groups[0].raid_type.as_str(), next), (1, "9980V", None));
    let filter = ScanFilter::default();
    let scan = Request::Scan { serial: None, filter, devices: false, from: 1 };
    let Ok(Reply::Scanned { rows, .. }) = p.ask(&scan) else { panic!() };
    assert_eq!(rows.iter().map(|row| row.ldev.get()).collect::<Vec<_>>(), [18, 19]);
    let mut control = |control| match p.ask(&Request::Control(control)) {
        Ok(Reply::Control(reply)) => reply,
        other => panic!("{other:?}"),
    };
    let device = array.command_device();
    let in_use = ControlReply::CommandDevice { device, protected: false };
    assert_eq!(control(Control::CommandDevice { unit: 0 }), in_use);
    assert_eq!(control(Control::NextCommandDevice { unit: 0 }), in_use);
    let address =
        ControlReply::NetworkAddress { address: "127.0.0.1".into(), service: pair.ports[1] };
    assert_eq!(control(Control::NetworkAddress("snap".parse().unwrap())), address);
    assert_eq!(control(Control::NextNetworkAddress("snap".parse().unwrap())), address);
    let trace = Control::Trace { level: Some(99), buffered: Some(false), size_kb: None };
    let shown = ControlReply::Trace { level: 15, buffered: false, size_kb: 1024 };
    assert_eq!(control(trace), shown);
}
