//! A network that loses 30 %, doubles 30 % and reorders: every command ends, and every change
//! takes effect exactly once.

use std::{fs, net::SocketAddr, sync::atomic::Ordering, thread};

use lab::{
    Lab,
    proxy::{Dice, Proxy},
};
use model::Instance;
use protocol::{Home, Registration};

/// Pairs that change side by side, each by a thread of its own, and changes of each.
const PAIRS: u32 = 8;
const CHANGES: u32 = 125;

/// Where the proxies listen: this much above the port they lead to.
const AWAY: u16 = 1000;

#[test]
fn a_thousand_changes_through_a_lossy_network_each_take_effect_exactly_once() {
    let mut lab = Lab::new();
    lab.many_small_pairs(PAIRS, 1 << 20);
    lab.init_array().ok();

    // All four ways are bad: command to horcmd, horcmd to horcmd both ways, horcmd to array.
    let ip = lab.ip();
    let at = |port| SocketAddr::from((ip, port));
    let proxies: Vec<_> = [31001u16, 52050, 52051]
        .map(|port| Proxy::start(at(port + AWAY), at(port), u64::from(port)).unwrap())
        .into();
    for n in [50, 51] {
        let name = format!("horcm{n}.conf");
        let text = fs::read_to_string(lab.conf(&name)).unwrap();
        let text = text.replace("-31001", "-32001");
        let (head, tail) = text.split_once("HORCM_INST").unwrap();
        let tail = tail.replace("5205", "5305");
        fs::write(lab.conf(&name), format!("{head}HORCM_INST{tail}")).unwrap();
    }
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let home = Home::at(lab.root());
    for n in [50u16, 51] {
        let instance = Instance::numbered(n).unwrap();
        let mut registration = Registration::read(&home, instance).unwrap().unwrap();
        registration.address = at(52000 + n + AWAY);
        registration.write(&home, instance).unwrap();
    }

    let executed = changes(&lab);
    thread::scope(|scope| {
        for pair in 0..PAIRS {
            let lab = &lab;
            scope.spawn(move || {
                let mut dice = Dice(0xd1ce + u64::from(pair));
                for change in 0..CHANGES {
                    let instance = if dice.percent() < 50 { 50 } else { 51 };
                    let side = if instance == 50 { "-vl" } else { "-vr" };
                    let line = if change % 2 == 0 {
                        format!("paircreate -g many -d dev{pair} {side} -nocopy")
                    } else {
                        format!("pairsplit -g many -d dev{pair} -S")
                    };
                    lab.cci(instance, &line).ok();
                    let wanted = if change % 2 == 0 { 23 } else { 11 };
                    let status = lab.cci(50, &format!("pairvolchk -g many -d dev{pair} -ss"));
                    assert_eq!(status.code, Some(wanted), "after {line}: {status}");
                }
            });
        }
    });
    assert_eq!(
        changes(&lab) - executed,
        (PAIRS * CHANGES) as usize,
        "changes the array carried out"
    );
    for proxy in &proxies {
        let tally = proxy.tally();
        assert!(tally.lost.load(Ordering::Relaxed) > 100, "the network was bad: {tally:?}");
        assert!(tally.doubled.load(Ordering::Relaxed) > 100, "the network was bad: {tally:?}");
    }
}

/// How many changes the array says it has carried out: one line of its log each.
fn changes(lab: &Lab) -> usize {
    let log = fs::read_to_string(lab.path("arrayd.log")).unwrap();
    log.lines().filter(|line| line.contains("carried out change ")).count()
}
