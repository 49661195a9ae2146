//! 65,536 volumes: everything is found, paged and changed in one order.

mod common;

use common::{
    array::{ANYWHERE, FakeArray, State, serial},
    world::{World, free_port, group},
};
use lab::Carrier;
use model::{LdevId, LuPath, Side};
use protocol::{
    horcm::{Reply, Request},
    orders::{CreateOptions, Order, PairChange},
};
use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

const VOLUMES: u32 = 65_536;

lab::on_every_carrier! {
    a_group_of_65536_volumes_is_shown_and_changed_whole,
}

fn a_group_of_65536_volumes_is_shown_and_changed_whole(carrier: Carrier) {
    let world = World::new();
    let mut state = State { serial: serial(62496), ..State::default() };
    for n in 0..2 * VOLUMES {
        let path = LuPath {
            port: format!("CL1-A-{}", n / 4096).parse().unwrap(),
            target: "1".parse().unwrap(),
            lun: model::Lun::new(n % 4096).unwrap(),
        };
        state.ldevs.insert(LdevId::new(n).unwrap(), Some(path));
    }
    let state = Arc::new(Mutex::new(state));
    let array = FakeArray::sharing(carrier, state, &[&world], ANYWHERE);
    let ports = [free_port(), free_port()];
    for side in [0, 1] {
        let mut text = format!(
            "HORCM_MON\n127.0.0.1 {} -1 3000\nHORCM_CMD\n{}\n",
            ports[side],
            array.command_device()
        );
        // One side by path, the other by LDEV: both ways of looking up.
        text.push_str(["HORCM_DEV\n", "HORCM_LDEV\n"][side]);
        for n in 0..VOLUMES {
            match side {
                0 => writeln!(text, "all v{n} CL1-A-{} 1 {} 0", n / 4096, n % 4096).unwrap(),
                _ => writeln!(text, "all v{n} 62496 {} 0", VOLUMES + n).unwrap(),
            }
        }
        writeln!(text, "HORCM_INST\nall 127.0.0.1 {}", ports[1 - side]).unwrap();
        world.conf(50 + u16::try_from(side).unwrap(), &text);
    }
    let (mut p, _s) = (world.start(50), world.start(51));
    let (members, error) = p.members(&group("all"), true).unwrap();
    assert_eq!(error, None);
    assert_eq!(members.len(), VOLUMES as usize);
    for (n, member) in (0..).zip(&members) {
        let remote = member.remote.as_ref().unwrap();
        assert_eq!(member.name.as_str(), format!("v{n}"));
        assert_eq!((member.local.volume.ldev.get(), remote.volume.ldev.get()), (n, VOLUMES + n));
        assert!(remote.path.is_some() && remote.status.is_some());
    }
    let create = Request::Change {
        selection: group("all"),
        change: PairChange::Create(CreateOptions::default()),
        primary: Some(Side::Local),
        local_only: false,
    };
    assert_eq!(p.ask(&create), Ok(Reply::Done));
    let changes: Vec<_> = array
        .lock()
        .orders
        .iter()
        .filter_map(|(_, order)| match order {
            Order::Change { pairs, .. } => Some(pairs.len()),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [VOLUMES as usize], "one order for the whole group");
    let summary = Request::Summary { selection: group("all"), remote: true };
    let Ok(Reply::Summary { local, remote, mismatched, .. }) = p.ask(&summary) else { panic!() };
    assert_eq!((local.len(), local[0].count, remote[0].count), (1, VOLUMES, VOLUMES));
    assert_eq!(mismatched, 0);
}
