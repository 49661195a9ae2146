//! Two command devices on a line, and a cable that breaks in the middle of an order: the order is
//! executed once, and the session goes on.

use std::{fs, net::SocketAddr, thread};

use lab::{
    Carrier, Lab,
    cable::{Cable, Fate, From},
    lab::{HBA, until},
    mid_order::{Moment, break_at},
};
use model::Code;

/// Pairs of group `many`: an order about all of them has more than the unit that its head is in.
const PAIRS: u32 = 400;
/// Where cables listen, for the portal at 3260.
const CABLES: [u16; 2] = [4260, 4261];
/// The disks that one portal leads to; the first is the command device.
const DISKS: usize = 3;

/// An array, both instances, and two cables from 51 to its portal: `\\.\PhysicalDrive0` is the
/// command device behind the first, `\\.\PhysicalDrive3` the same behind the second.
struct Paths {
    lab: Lab,
    cables: [Cable; 2],
    /// Whether the group is paired.
    paired: bool,
}

/// HORCM_CMD with both cables.
const BOTH: &str = r"\\.\PhysicalDrive0 \\.\PhysicalDrive3";
/// HORCM_CMD with a cable and the network.
const MIXED: &str = r"\\.\PhysicalDrive0 \\.\IPCMD-127.0.0.1-31001";
/// HORCM_CMD with a single device, which is found behind either cable.
const SEARCH: &str = r"\\.\CMD-62496-16";

impl Paths {
    fn start(line: &str) -> Self {
        let mut lab = Lab::on(Carrier::InBand);
        lab.many_small_pairs(PAIRS, 1 << 20);
        let at = |port| SocketAddr::from((lab.ip(), port));
        lab.write_conf(HBA, &CABLES.map(|port| format!("127.0.0.1:{port}\n")).concat());
        // The other side has a way of its own.
        for (n, line) in [(51, line), (50, Carrier::Ipcmd.device())] {
            let conf = lab.conf(&format!("horcm{n}.conf"));
            let text = fs::read_to_string(&conf).unwrap();
            assert!(text.contains(Carrier::InBand.device()), "{text}");
            let line = line.replace("127.0.0.1", &lab.ip().to_string());
            fs::write(conf, text.replace(Carrier::InBand.device(), &line)).unwrap();
        }
        let cables = CABLES.map(|port| Cable::lay(at(port), at(3260)).unwrap());
        lab.init_array().ok();
        lab.start_array();
        lab.start(&[50, 51]).ok();
        Self { lab, cables, paired: false }
    }

    /// A change, and how often the array carried it out.
    fn change(&mut self, what: &str) -> usize {
        let before = self.carried_out();
        let line = if self.paired { "pairsplit -S" } else { "paircreate -vr -nocopy" };
        self.lab.cci(51, &format!("{line} -g many{what}")).ok();
        self.paired = !self.paired;
        let wanted = if self.paired { 33 } else { 11 };
        let status = self.lab.cci(51, &format!("pairvolchk -g many{what} -ss"));
        assert_eq!(status.code, Some(wanted), "after {line}: {status}");
        self.carried_out() - before
    }

    /// A change during which a cable breaks, and one after it, with the cable as that leaves it.
    #[track_caller]
    fn breaks_once(
        &mut self,
        cable: usize,
        rule: impl FnMut(From, &[u8]) -> Fate + Send + 'static,
        what: &str,
        place: &str,
    ) {
        let before = self.cables[cable].breaks();
        self.cables[cable].rule(rule);
        assert_eq!(self.change(what), 1, "{place}");
        assert!(self.cables[cable].breaks() > before, "{place}: the cable did not break");
        assert_eq!(self.change(what), 1, "{place}, the next");
    }

    /// One line of the array's log each.
    fn carried_out(&self) -> usize {
        let log = fs::read_to_string(self.lab.path("arrayd.log")).unwrap();
        log.lines().filter(|line| line.contains("carried out change ")).count()
    }

    /// The command device that instance 51 uses.
    fn in_use(&self) -> String {
        self.lab.cci(51, "horcctl -D").ok().to_owned()
    }
}

#[test]
fn a_cable_pulled_at_any_moment_of_an_order_hands_it_to_the_other_and_back() {
    let mut paths = Paths::start(BOTH);
    assert!(paths.in_use().contains("PhysicalDrive0"));
    let mut used = 0;
    for moment in Moment::ALL {
        // A whole group: the order's first unit is written last. One pair: it is the only one.
        for what in ["", "", " -d dev7", " -d dev7"] {
            let place = format!("{moment:?} of an order about{what}, by cable {used}");
            paths.breaks_once(used, break_at(moment, Fate::Pulled), what, &place);
            let other = 1 - used;
            // The disks behind the cable that is out keep their numbers.
            let device = format!("PhysicalDrive{}", other * DISKS);
            assert!(paths.in_use().contains(&device), "{place}: {}", paths.in_use());
            paths.cables[used].plug();
            used = other;
        }
    }
}

#[test]
fn an_order_by_disk_goes_on_by_network_and_the_next_by_disk_again() {
    let mut paths = Paths::start(MIXED);
    for moment in Moment::ALL {
        let place = format!("{moment:?}");
        paths.breaks_once(0, break_at(moment, Fate::Pulled), "", &place);
        assert!(paths.in_use().contains("IPCMD"), "{place}: {}", paths.in_use());
        paths.cables[0].plug();
        assert!(paths.lab.cci(51, "horcctl -C").ok().contains("PhysicalDrive0"), "{place}");
        assert_eq!(paths.change(""), 1, "{place}, by disk again");
    }
}

#[test]
fn one_device_that_two_cables_lead_to_survives_either_and_a_cut_of_its_only_one() {
    let mut paths = Paths::start(SEARCH);
    for moment in Moment::ALL {
        let place = format!("{moment:?}");
        paths.breaks_once(0, break_at(moment, Fate::Pulled), "", &place);
        // Now by the second alone, which is cut and there again at once.
        paths.breaks_once(1, break_at(moment, Fate::Cut), "", &place);
        paths.cables[0].plug();
        paths.cables[1].pull();
        assert_eq!(paths.change(""), 1, "{place}, by the first again");
        paths.cables[1].plug();
        assert_eq!(paths.change(""), 1, "{place}, whole");
    }
    for cable in &paths.cables {
        cable.pull();
    }
    paths.lab.cci(51, "pairdisplay -g many -d dev1 -l").fails(Code::ExCmdioe);
    for cable in &paths.cables {
        cable.plug();
    }
    assert_eq!(paths.change(""), 1);
}

#[test]
fn a_cable_that_falls_silent_or_loses_an_answer_is_given_up_after_a_while() {
    let stalls: fn(usize) -> Fate = |_| Fate::Stalls;
    let loses: fn(usize) -> Fate = |_| Fate::Lost;
    let cases = [(Moment::Asked, stalls), (Moment::Taken, loses), (Moment::Answered, loses)];
    side_by_side(cases, |(moment, how)| {
        let mut paths = Paths::start(BOTH);
        let place = format!("{moment:?}, {:?}", how(0));
        paths.breaks_once(0, break_at(moment, how), "", &place);
        if how(0) == Fate::Stalls {
            assert!(paths.in_use().contains("PhysicalDrive3"), "{place}: {}", paths.in_use());
        }
    });
}

#[test]
fn a_daemon_killed_between_order_and_answer_leaves_what_the_array_was_told() {
    let moments = [(Moment::Written, 0), (Moment::Taken, 1), (Moment::Answered, 1)];
    side_by_side(moments, |(moment, executed)| {
        let mut paths = Paths::start(Carrier::InBand.device());
        paths.cables[0].rule(break_at(moment, |_| Fate::Stalls));
        let mut command = paths.lab.command("paircreate");
        command.env("HORCMINST", "51").env("HORCC_MRCF", "1");
        let mut command = command.args(["-g", "many", "-vr", "-nocopy"]).spawn().unwrap();
        paths.cables[0].wait_for_breaks(1);
        paths.lab.kill_horcmd(51);
        // Nobody could tell it how it went.
        assert_eq!(command.try_wait().unwrap(), None);
        command.kill().unwrap();
        command.wait().unwrap();
        paths.cables[0].plug();
        paths.lab.start(&[51]).ok();
        until("what the array was told is carried out", || paths.carried_out() == executed);
        paths.paired = executed == 1;
        assert_eq!(paths.change(""), 1, "{moment:?}: the next session");
        assert_eq!(paths.carried_out(), executed + 1, "{moment:?}");
    });
}

/// Runs what mostly waits at the same time.
fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, run: impl Fn(T) + Copy + Sync + Send) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || run(case));
        }
    });
}

#[test]
fn orders_for_one_array_do_not_reach_another_in_its_place() {
    let mut paths = Paths::start(Carrier::InBand.device());
    let mut other = Lab::on(Carrier::InBand);
    let toml = fs::read_to_string(paths.lab.conf("array-62496.toml")).unwrap();
    let ours = |text: &str| text.replace(&paths.lab.ip().to_string(), "127.0.0.1");
    assert!(toml.contains("serial = 62496"));
    other.write_conf("array-62496.toml", &ours(&toml).replace("serial = 62496", "serial = 62497"));
    other.init_array().ok();
    other.start_array();
    let at = paths.cables[0].address();
    let portal = SocketAddr::from((paths.lab.ip(), 3260));
    let (theirs, log) = (SocketAddr::from((other.ip(), 3260)), other.path("arrayd.log"));
    relay(&mut paths.cables[0], at, theirs);
    let refused = paths.lab.cci(51, "paircreate -g many -vr -nocopy");
    assert!(refused.fails(Code::ExCmdioe).contains("Serial# 62497"), "{refused}");
    assert!(!fs::read_to_string(log).unwrap().contains("carried out"));
    relay(&mut paths.cables[0], at, portal);
    assert_eq!(paths.change(""), 1, "the right one is back");
}

/// Puts a cable to another portal in the place of one.
fn relay(cable: &mut Cable, at: SocketAddr, target: SocketAddr) {
    cable.pull();
    let mut laid = None;
    let spare = SocketAddr::from((at.ip(), 0));
    // The one before has to let go of its address first.
    drop(std::mem::replace(cable, Cable::lay(spare, target).unwrap()));
    until("the address is free", || {
        laid = Cable::lay(at, target).ok();
        laid.is_some()
    });
    *cable = laid.unwrap();
}
