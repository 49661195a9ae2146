//! A network that loses 30 %, doubles 30 % and reorders, and a cable to the command device that is
//! cut again and again: every command ends, and every change takes effect exactly once.

use std::{fs, net::SocketAddr, sync::atomic::Ordering, thread};

use lab::{
    Carrier, Lab,
    cable::{Cable, Fate, opcode},
    lab::HBA,
    proxy::{Dice, Proxy},
};
use model::Instance;
use protocol::{Home, Registration};

/// Pairs that change side by side, each by a thread of its own, and changes of each.
const PAIRS: u32 = 8;
const CHANGES: u32 = 125;

/// Where the proxies listen: this much above the port they lead to.
const AWAY: u16 = 1000;

/// PDUs that pass a cable between two cuts, at least.
const WHOLE: u64 = 100;
/// Login and text, asked and answered (RFC 7143, 11.1).
const LOGINS: [u8; 4] = [0x03, 0x04, 0x23, 0x24];
/// Where a cable listens, for the portal at 3260.
const CABLE: u16 = 4260;

lab::on_every_carrier! {
    a_thousand_changes_through_a_lossy_network_each_take_effect_exactly_once,
}

fn a_thousand_changes_through_a_lossy_network_each_take_effect_exactly_once(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    lab.many_small_pairs(PAIRS, 1 << 20);
    lab.init_array().ok();
    let (proxies, cable) = match carrier {
        Carrier::Ipcmd => (bad_network(&lab), None),
        Carrier::InBand => (Vec::new(), Some(bad_cable(&lab))),
    };
    lab.start_array();
    lab.start(&[50, 51]).ok();
    if carrier == Carrier::Ipcmd {
        let home = Home::at(lab.root());
        for n in [50u16, 51] {
            let instance = Instance::numbered(n).unwrap();
            let mut registration = Registration::read(&home, instance).unwrap().unwrap();
            registration.address = SocketAddr::from((lab.ip(), 52000 + n + AWAY));
            registration.write(&home, instance).unwrap();
        }
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
    if let Some(cable) = cable {
        assert!(cable.breaks() > 50, "the cable was bad: {cable:?}");
    }
}

/// All four ways are bad: command to horcmd, horcmd to horcmd both ways, horcmd to array.
fn bad_network(lab: &Lab) -> Vec<Proxy> {
    let at = |port| SocketAddr::from((lab.ip(), port));
    edit(lab, |text| {
        let text = text.replace("-31001", "-32001");
        let (head, tail) = text.split_once("HORCM_INST").unwrap();
        format!("{head}HORCM_INST{}", tail.replace("5205", "5305"))
    });
    let proxy = |port| Proxy::start(at(port + AWAY), at(port), u64::from(port)).unwrap();
    [31001, 52050, 52051].map(proxy).into()
}

/// The one way to the command device is cut within a PDU again and again.
fn bad_cable(lab: &Lab) -> Cable {
    lab.write_conf(HBA, &format!("127.0.0.1:{CABLE}\n"));
    let at = |port| SocketAddr::from((lab.ip(), port));
    let cable = Cable::lay(at(CABLE), at(3260)).unwrap();
    let (mut dice, mut passed) = (Dice(0xcab1e), 0);
    cable.rule(move |_, pdu| {
        // The disk is found again undisturbed: one that is not is given up, and there is no other.
        passed = if LOGINS.contains(&opcode(pdu)) { 0 } else { passed + 1 };
        if passed < WHOLE || dice.percent() >= 5 {
            return Fate::Passes;
        }
        passed = 0;
        Fate::Cut(usize::try_from(dice.below(pdu.len() as u64)).unwrap())
    });
    cable
}

fn edit(lab: &Lab, change: impl Fn(&str) -> String) {
    for n in [50, 51] {
        let conf = lab.conf(&format!("horcm{n}.conf"));
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(conf, change(&text)).unwrap();
    }
}

/// How many changes the array says it has carried out: one line of its log each.
fn changes(lab: &Lab) -> usize {
    let log = fs::read_to_string(lab.path("arrayd.log")).unwrap();
    log.lines().filter(|line| line.contains("carried out change ")).count()
}
