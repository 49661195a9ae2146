//! What fails beside the daemon: command devices, remote instances, keys, volumes.

mod common;

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use common::{
    array::{ANYWHERE, FakeArray, end},
    world::{Pair, World, free_port, group, wait_for},
};
use lab::Carrier;
use model::{Code, PairStatus, Side};
use protocol::{
    RequestId,
    horcm::{Control, ControlReply, Reply, Request},
    orders::{CreateOptions, Order, PairChange},
};

lab::on_every_carrier! {
    an_order_fails_over_in_the_middle_and_takes_effect_once,
    an_array_that_is_gone_and_comes_back_is_told_once_each,
    alternates_of_two_arrays_are_refused_at_start,
    a_remote_instance_that_is_down_costs_its_rows_only,
    a_silent_remote_instance_is_given_up_after_the_timeout,
    another_key_is_told_by_both_sides,
    a_group_without_remote_instance_says_so,
    the_monitor_tells_a_suspension_with_group_and_volume,
}

fn create() -> Request {
    Request::Change {
        selection: group("snap"),
        change: PairChange::Create(CreateOptions::default()),
        primary: Some(Side::Local),
        local_only: false,
    }
}

fn an_order_fails_over_in_the_middle_and_takes_effect_once(carrier: Carrier) {
    let world = World::new();
    let first = FakeArray::seed(carrier, &world);
    let second = FakeArray::sharing(carrier, first.state.clone(), &[&world], ANYWHERE);
    let devices = format!("{} {}", first.command_device(), second.command_device());
    Pair::write([&world, &world], &devices, 30);
    let (mut p, _s) = (world.start(50), world.start(51));
    first.lock().die_in_change = true;
    let id = RequestId::random();
    assert_eq!(p.ask_as(id, &create()), Ok(Reply::Done));
    {
        let state = first.lock();
        assert_eq!(state.executed.len(), 1);
        let sent = state.orders.iter().filter(|(_, order)| matches!(order, Order::Change { .. }));
        let ids: Vec<_> = sent.map(|(id, _)| *id).collect();
        assert!(ids.len() > 1 && ids.iter().all(|sent| *sent == id), "{ids:?}");
    }
    let in_use = p.ask(&Request::Control(Control::CommandDevice { unit: 0 })).unwrap();
    let device = second.command_device();
    assert_eq!(in_use, Reply::Control(ControlReply::CommandDevice { device, protected: false }));
}

fn an_array_that_is_gone_and_comes_back_is_told_once_each(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let mut p = world.start(50);
    let (address, state) = (array.address, array.state.clone());
    let device = array.command_device();
    drop(array);
    let error = p.members(&group("snap"), false).unwrap_err();
    assert_eq!(error.code, Code::ExCmdioe);
    assert!(error.cause.as_ref().unwrap().contains(&device), "{error}");
    let _again = FakeArray::sharing(carrier, state, &[&world], address);
    p.members(&group("snap"), false).unwrap();
    wait_for("the log", || world.log(50).contains("answers again"));
    assert_eq!(world.log(50).matches("HORCM_101").count(), 1);
}

fn alternates_of_two_arrays_are_refused_at_start(carrier: Carrier) {
    let world = World::new();
    let first = FakeArray::seed(carrier, &world);
    let second = FakeArray::seed(carrier, &world);
    second.lock().serial = common::array::serial(1);
    let devices = format!("{} {}", first.command_device(), second.command_device());
    Pair::write([&world, &world], &devices, 30);
    let said = String::from_utf8(world.fail(50).stderr).unwrap();
    assert!(said.contains("EX_ENQSER") && said.contains("62496"), "{said}");
}

fn a_remote_instance_that_is_down_costs_its_rows_only(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let mut p = world.start(50);
    let before = Instant::now();
    let (members, error) = p.members(&group("snap"), true).unwrap();
    assert_eq!(members[0].local.volume.ldev.get(), 18);
    assert_eq!(members[0].remote, None);
    let error = error.unwrap();
    assert_eq!(error.code, Code::ExEnormt);
    assert!(error.cause.unwrap().contains("refused"));
    assert!(before.elapsed() < Duration::from_secs(10), "refused at once, not after 30 s");
    let change = p.ask(&create()).unwrap_err();
    assert_eq!(change.code, Code::ExEnormt);
    assert!(array.lock().executed.is_empty());
}

fn a_silent_remote_instance_is_given_up_after_the_timeout(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    let pair = Pair::write([&world, &world], &array.command_device(), 50);
    let _mute = UdpSocket::bind(("127.0.0.1", pair.ports[1])).unwrap();
    let mut p = world.start(50);
    let before = Instant::now();
    let (_, error) = p.members(&group("snap"), true).unwrap();
    assert_eq!(error.unwrap().code, Code::ExEnormt);
    let waited = before.elapsed();
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
}

fn another_key_is_told_by_both_sides(carrier: Carrier) {
    let (left, right) = (World::new(), World::new());
    let seed = FakeArray::seed(Carrier::Ipcmd, &left);
    let array = FakeArray::sharing(carrier, seed.state.clone(), &[&left, &right], ANYWHERE);
    Pair::write([&left, &right], &array.command_device(), 50);
    let (mut p, mut s) = (left.start(50), right.start(51));
    for (daemon, theirs, ours) in
        [(&mut p, right.key.id(), left.key.id()), (&mut s, left.key.id(), right.key.id())]
    {
        let (_, error) = daemon.members(&group("snap"), true).unwrap();
        let cause = error.unwrap().cause.unwrap();
        assert!(cause.contains("another key"), "{cause}");
        assert!(
            cause.contains(&theirs.to_string()) && cause.contains(&ours.to_string()),
            "{cause}"
        );
    }
    // And without anybody asking: the monitor greets.
    wait_for("both logs", || {
        let told = |world: &World, n, key: &protocol::Key| {
            world.log(n).contains(&format!("another key (key id {}", key.id()))
        };
        told(&left, 50, &right.key) && told(&right, 51, &left.key)
    });
}

fn a_group_without_remote_instance_says_so(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    let (port, device) = (free_port(), array.command_device());
    world.conf(
        5,
        &format!(
            "HORCM_MON\n127.0.0.1 {port} 10 50\nHORCM_CMD\n{device}\n\
             HORCM_DEV\nsnap a CL2-C 25 1 h1\nsnap b CL2-C 25 9 0\n\
             HORCM_LDEV\nother c 62496 19 0\nother d 62496 77 0\nother e 4711 1 0\n"
        ),
    );
    let mut daemon = world.start(5);
    let (members, error) = daemon.members(&group("other"), true).unwrap();
    assert!(error.unwrap().cause.unwrap().contains("HORCM_INST"));
    assert_eq!(members[0].local.path.unwrap().lun.get(), 2, "the first path is found");
    assert!(members[0].local.status.is_some());
    assert!(members[1].local.status.is_none(), "no such LDEV");
    assert!(members[2].local.status.is_none(), "no such storage system");

    // A path that leads nowhere, and a mirror of remote copy.
    assert_eq!(daemon.members(&group("snap"), false).unwrap_err().code, Code::ExEnodev);
    let mut one = group("snap");
    one.target = protocol::horcm::Target::Group {
        group: "snap".parse().unwrap(),
        volume: Some("a".parse().unwrap()),
    };
    let (members, _) = daemon.members(&one, false).unwrap();
    assert_eq!(members[0].local.status.unwrap().status, PairStatus::Smpl);
    let change = PairChange::Dissolve;
    let request = Request::Change { selection: one, change, primary: None, local_only: true };
    assert_eq!(daemon.ask(&request).unwrap_err().code, Code::ExInvmun);
    wait_for("the log", || {
        let log = world.log(5);
        log.contains("3 volume(s)") && log.contains("snap/b: no LU")
    });
}

fn the_monitor_tells_a_suspension_with_group_and_volume(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let (mut p, _s) = (world.start(50), world.start(51));
    p.ask(&create()).unwrap();
    array.lock().ends.get_mut(&end(18, 2)).unwrap().status = PairStatus::Psue;
    let line = "Detected a suspending on this paired volume (Volume:snap/snapdev1,code:0000)";
    wait_for("HORCM_102", || world.log(50).contains(line));
    array.lock().ends.get_mut(&end(18, 2)).unwrap().status = PairStatus::Pair;
    wait_for("the recovery", || world.log(50).contains("no longer suspended"));
    assert_eq!(world.log(50).matches("HORCM_102").count(), 1);
}
