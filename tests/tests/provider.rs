//! The shadow-copy provider before real daemons and a real array: the seed's configuration, what a
//! host sees by iSCSI, and `kill -9` anywhere.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ::provider::{
    Limits, Outside, Provider,
    context::Context,
    error::Refused,
    event::Event,
    file_journal::FileJournal,
    guid::{Guid, SetId, SnapshotId},
    host::{EventLog, Host, Installation, WallClock},
    hresult::Hresult,
    journal::Phase,
    lun::{Identifier, LunInfo},
    session::Session as Horcm,
    settings::{LOCAL, MUN, REMOTE},
};
use bytes::Bytes;
use lab::{
    Lab, bytes as patterns,
    lab::{PVOL, SVOL},
    proxy::Dice,
    run,
};
use model::{LdevId, Serial, VolumeId};
use scsi::{
    iscsi::{Initiator, Session},
    task::LunAddress,
};

/// The host of the tests: root of its own installation, with the seed's variables.
struct TestHost {
    home: PathBuf,
    variables: HashMap<String, String>,
}

impl Host for TestHost {
    fn privileged(&self) -> bool {
        true
    }

    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.variables.get(name).cloned())
    }

    fn set_variable(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn installation(&self) -> Installation {
        for (place, name) in [("etc", ""), ("usr/bin", "horcmstart")] {
            let place = self.home.join(place);
            if !place.is_dir() {
                return Installation::Missing(place.display().to_string());
            }
            if !place.join(name).exists() {
                return Installation::Without(name.to_owned());
            }
        }
        Installation::Whole
    }

    fn user_of(&self, _: VolumeId) -> Option<String> {
        None
    }
}

/// The event log of the tests.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Refused>>>);

impl Told {
    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap()).iter().map(|told| told.fault.event).collect()
    }
}

impl EventLog for Told {
    fn write(&mut self, refused: &Refused) {
        self.0.lock().unwrap().push(refused.clone());
    }
}

/// A provider of instances 50 and 51 with MU# `mu`.
fn load(home: &Path, journal: &Path, mu: &str, told: &Told) -> Result<Provider, Refused> {
    let variables = [(LOCAL, "50"), (REMOTE, "51"), (MUN, mu)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let host = TestHost { home: home.to_owned(), variables: HashMap::from(variables) };
    let outside = Outside {
        journal: Box::new(FileJournal::open(journal).expect("a journal of its own")),
        clock: Box::new(WallClock::default()),
        host: Box::new(host),
        events: Box::new(told.clone()),
    };
    let limits = Limits {
        prepare: Duration::from_secs(120),
        poll: Duration::from_millis(5),
        ..Limits::default()
    };
    let home = protocol::Home::at(home.to_owned());
    Provider::load(outside, limits, |settings| Box::new(Horcm::new(home, settings)))
}

fn provider(lab: &Lab) -> Provider {
    load(&lab.root(), &lab.path("sets"), "2", &Told::default()).unwrap()
}

/// The steps of the seed's chapter 3.7.2 behind the configuration files.
fn seeds_pair() -> Lab {
    let mut lab = Lab::new();
    lab.with_hosts();
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    lab.cci(51, "raidvchkset -g snap -vg idb").ok();
    lab.cci(51, "paircreate -g snap -vr -m noread").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    lab
}

fn volume(ldev: u32) -> VolumeId {
    VolumeId { serial: Serial::new(62496).unwrap(), ldev: LdevId::new(ldev).unwrap() }
}

/// A LUN as the provider itself describes it, for tests that look at no disk.
fn described(ldev: u32) -> LunInfo {
    let like = LunInfo {
        vendor: Some("HITACHI ".into()),
        product: Some("OPEN-3          ".into()),
        revision: Some("2114".into()),
        ..LunInfo::default()
    };
    LunInfo::of(volume(ldev), &like)
}

fn set(n: u128) -> SetId {
    SetId(Guid(n))
}

/// What a host sees of the array by iSCSI.
struct Hosts {
    runtime: tokio::runtime::Runtime,
    session: Session,
}

impl Hosts {
    fn of(lab: &Lab) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = runtime.block_on(async {
            let initiator = Initiator::new("iqn.2026-11.internal.test:vss").unwrap();
            let target = "iqn.2026-11.internal.raidmanager:62496.cl2-c";
            initiator.login(SocketAddr::from((lab.ip(), 3260)), target).await.unwrap()
        });
        Self { runtime, session }
    }

    fn inquiry(&self, lun: u16, page: Option<u8>) -> Vec<u8> {
        let lun = LunAddress::from_number(lun).unwrap();
        let cdb = [0x12, u8::from(page.is_some()), page.unwrap_or(0), 1, 0, 0];
        let asked = self.session.command(lun, &cdb, Bytes::new(), 256);
        self.runtime.block_on(asked).unwrap().data.to_vec()
    }

    fn is_hidden(&self, lun: u16) -> bool {
        self.inquiry(lun, None)[0] == 0x7f
    }

    /// A LUN as VSS reads it: of page 83h, what names the logical unit.
    fn lun(&self, lun: u16) -> LunInfo {
        let standard = self.inquiry(lun, None);
        assert_eq!(standard[0], 0, "there is a disk");
        let text = |range: std::ops::Range<usize>| {
            Some(String::from_utf8(standard[range].to_vec()).unwrap())
        };
        let mut identifiers = Vec::new();
        let page = self.inquiry(lun, Some(0x83));
        let mut rest = &page[4..];
        while let [code_set, kind, _, length, more @ ..] = rest {
            let (bytes, after) = more.split_at(usize::from(*length));
            if kind >> 4 & 3 == 0 {
                let (code_set, kind) = (u32::from(code_set & 15), u32::from(kind & 15));
                identifiers.push(Identifier { code_set, kind, bytes: bytes.to_vec() });
            }
            rest = after;
        }
        LunInfo {
            version: 1,
            command_queueing: true,
            bus: 9,
            vendor: text(8..16),
            product: text(16..32),
            revision: text(32..36),
            serial: Some(String::from_utf8(self.inquiry(lun, Some(0x80))[4..].to_vec()).unwrap()),
            signature: Guid(0x1234),
            identifiers,
            ..LunInfo::default()
        }
    }
}

/// From EndPrepareSnapshots to the end; `at_commit` runs between the commit and what follows.
fn finish(provider: &mut Provider, id: SetId, count: usize, at_commit: impl FnOnce()) {
    provider.end_prepare(id).unwrap();
    provider.pre_commit(id).unwrap();
    provider.commit(id).unwrap();
    at_commit();
    provider.post_commit(id, count).unwrap();
    provider.pre_final_commit(id).unwrap();
    provider.post_final_commit(id).unwrap();
}

fn join(provider: &mut Provider, id: SetId, lun: LunInfo) -> Result<(), Refused> {
    let snapshot =
        SnapshotId(Guid(id.0.0 << 32 | u128::from(lun.volume().unwrap().unwrap().ldev.get())));
    provider.begin_prepare(id, snapshot, Context(Context::TRANSPORTABLE), &[lun])
}

#[test]
fn a_copy_of_the_seeds_pair_is_created_imported_and_deleted_twice() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let told = Told::default();
    let mut provider = load(&lab.root(), &lab.path("sets"), "2", &told).unwrap();
    let original = hosts.lun(1);
    let supported = |provider: &mut Provider, luns: &[LunInfo]| {
        provider.are_luns_supported(Context(Context::PLEX), luns).unwrap()
    };
    assert!(supported(&mut provider, std::slice::from_ref(&original)));
    assert!(!supported(&mut provider, &[original.clone(), hosts.lun(3)]), "LDEV 20 has no pair");
    assert_eq!(told.events(), []);
    assert!(!supported(&mut provider, &[hosts.lun(0)]), "the command device");
    assert_eq!(told.events(), [Event::Enosup]);

    for round in 1..=2u8 {
        let id = set(u128::from(round));
        let before = patterns::pattern(u64::from(round), 1 << 20);
        lab.write(PVOL, 8 << 20, &before).ok();
        join(&mut provider, id, original.clone()).unwrap();
        finish(&mut provider, id, 1, || {
            lab.write(PVOL, 8 << 20, &[0xee; 4096]).ok();
        });
        assert!(hosts.is_hidden(2), "nobody has asked for it yet");
        assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(24), "PVOL_PSUS");
        let targets = provider.get_target_luns(std::slice::from_ref(&original)).unwrap();
        provider.locate_luns(&targets).unwrap();
        assert!(!hosts.is_hidden(2));
        let mut arrived = hosts.lun(2);
        let as_it_shows = arrived.identifiers.clone();
        assert!(provider.fill_in_lun_info(&mut arrived).unwrap());
        assert_eq!(arrived.identifiers, as_it_shows, "what is handed out is on page 83h");
        assert_eq!(arrived.serial, hosts.lun(2).serial, "and on page 80h");
        assert_eq!(arrived.signature, Guid(0x1234), "the disk keeps its signature");
        assert_eq!(LunInfo { signature: Guid::NULL, ..arrived.clone() }, targets[0]);
        assert!(supported(&mut provider, std::slice::from_ref(&arrived)), "our own copy");
        assert_eq!(lab.read(SVOL, 8 << 20, 1 << 20), before, "the instant of the commit");
        assert_eq!(lab.read(PVOL, 8 << 20, 4096), [0xee; 4096]);

        let refused = join(&mut provider, set(99), original.clone()).unwrap_err();
        assert_eq!(refused.hresult, Hresult::MaximumNumberOfSnapshots);
        provider.on_lun_empty(&arrived).unwrap();
        assert!(hosts.is_hidden(2));
        lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
        assert!(provider.records().unwrap().is_empty());
    }
}

#[test]
fn pairs_that_do_not_exist_or_are_split_are_made_ready_first() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut provider = provider(&lab);
    lab.cci(51, "pairsplit -g snap -S").ok();
    lab.cci(51, "raidvchkset -g snap -vg").ok();
    let original = hosts.lun(1);
    for (round, line) in [(1, ""), (2, "pairsplit -g snap"), (3, "pairsplit -g snap -E")] {
        if !line.is_empty() {
            lab.cci(51, line).ok();
        }
        lab.write(PVOL, 0, &[round; 4096]).ok();
        let id = set(u128::from(round));
        join(&mut provider, id, original.clone()).unwrap();
        assert!(hosts.is_hidden(2), "before it changes");
        finish(&mut provider, id, 1, || {});
        let display = lab.cci(50, "pairdisplay -g snap").ok().to_owned();
        assert!(display.contains("P-VOL PSUS,62496"), "{display}");
        assert_eq!(lab.read(SVOL, 0, 4096), [round; 4096]);
        provider.on_lun_empty(&described(SVOL)).unwrap();
        lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    }
}

#[test]
fn the_original_becomes_what_the_copy_was() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut provider = provider(&lab);
    let original = hosts.lun(1);
    let good = patterns::pattern(7, 1 << 20);
    lab.write(PVOL, 0, &good).ok();
    join(&mut provider, set(1), original.clone()).unwrap();
    finish(&mut provider, set(1), 1, || {});
    lab.write(PVOL, 0, &vec![0; 1 << 20]).ok();
    let copies = provider.get_target_luns(std::slice::from_ref(&original)).unwrap();
    provider.locate_luns(&copies).unwrap();
    let resync = provider.resync_luns(&copies, std::slice::from_ref(&original)).unwrap();
    assert!(provider.wait_resynced(&resync, Duration::from_secs(60)).unwrap());
    assert_eq!(lab.read(PVOL, 0, 1 << 20), good);
    assert!(hosts.is_hidden(2), "it follows the original again");
    assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(23), "PVOL_PAIR");
    let refused = provider.resync_luns(&copies, std::slice::from_ref(&original)).unwrap_err();
    assert_eq!(refused.fault.event, Event::Invstp, "there is no copy any more");
}

#[test]
fn a_pair_that_somebody_splits_before_the_commit_is_not_taken_for_this_instant() {
    let lab = seeds_pair();
    let mut provider = provider(&lab);
    join(&mut provider, set(1), described(PVOL)).unwrap();
    provider.end_prepare(set(1)).unwrap();
    provider.pre_commit(set(1)).unwrap();
    lab.cci(51, "pairsplit -g snap").ok();
    lab.write(PVOL, 0, b"after that split").ok();
    let refused = provider.commit(set(1)).unwrap_err();
    assert_eq!(refused.fault.event, Event::Invstp, "{refused}");
    assert!(refused.fault.object.as_deref().unwrap().starts_with("snap/snapdev1"), "{refused}");
    provider.abort(set(1)).unwrap();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
}

#[test]
fn daemons_and_arrays_that_are_gone_have_their_events_and_the_next_run_goes_on() {
    let mut lab = seeds_pair();
    let told = Told::default();
    let mut provider = load(&lab.root(), &lab.path("sets"), "2", &told).unwrap();
    join(&mut provider, set(1), described(PVOL)).unwrap();
    lab.kill_horcmd(50);
    assert_eq!(provider.end_prepare(set(1)).unwrap_err().fault.event, Event::Atthor);
    assert_eq!(provider.abort(set(1)).unwrap_err().fault.event, Event::Atthor);
    lab.start(&[50]).ok();
    // The daemon was started anew, maybe elsewhere: it is found again.
    join(&mut provider, set(2), described(PVOL)).unwrap();
    provider.end_prepare(set(2)).unwrap();
    provider.pre_commit(set(2)).unwrap();
    lab.kill_array();
    let refused = provider.commit(set(2)).unwrap_err();
    assert_eq!(refused.fault.event, Event::Cmdioe, "{refused}");
    assert_eq!(provider.abort(set(2)).unwrap_err().fault.event, Event::Cmdioe);
    lab.start_array();
    join(&mut provider, set(3), described(PVOL)).unwrap();
    finish(&mut provider, set(3), 1, || {});
    assert_eq!(
        told.events(),
        [Event::Atthor, Event::Atthor, Event::Cmdioe, Event::Cmdioe],
        "the commit's came behind it"
    );
}

/// Instances 50 and 51 with `groups` groups of `each` pairs.
fn many_groups(groups: u32, each: u32) -> Lab {
    const FIRST: u32 = 1024;
    let lab = Lab::new();
    let count = groups * each;
    lab.many_ldevs(FIRST, 2 * count, 16 << 20);
    for (instance, peer, first, mu) in [(50, 51, FIRST, 2), (51, 50, FIRST + count, 0)] {
        let mut text = format!(
            "HORCM_MON\n127.0.0.1 520{instance} 1000 3000\n\
             HORCM_CMD\n\\\\.\\IPCMD-127.0.0.1-31001\nHORCM_LDEV\n"
        );
        for n in 0..count {
            text += &format!("g{} dev{n} 62496 {} {mu}\n", n / each, first + n);
        }
        text += "HORCM_INST\n";
        for group in 0..groups {
            text += &format!("g{group} 127.0.0.1 520{peer}\n");
        }
        lab.write_conf(&format!("horcm{instance}.conf"), &text);
    }
    lab
}

#[test]
fn sixty_four_volumes_of_eight_groups_split_at_one_instant_while_writing() {
    const FIRST: u32 = 1024;
    let mut lab = many_groups(8, 8);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let mut provider = provider(&lab);
    for n in 0..64 {
        join(&mut provider, set(1), described(FIRST + n)).unwrap();
    }
    // One writer goes over a volume of each group in turn, always with the next number.
    let written: Vec<u32> = (0..8).map(|group| FIRST + 8 * group).collect();
    let number = |ldev| u64::from_le_bytes(lab.read(ldev, 4096, 8).try_into().unwrap());
    let stop = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for (at, ldev) in written.iter().cycle().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return at;
                }
                lab.write(*ldev, 4096, &(at as u64 / 8 + 1).to_le_bytes()).ok();
            }
            0
        });
        provider.end_prepare(set(1)).unwrap();
        lab::lab::until("every volume is written to", || number(written[7]) > 0);
        provider.pre_commit(set(1)).unwrap();
        let begun = Instant::now();
        provider.commit(set(1)).unwrap();
        let took = begun.elapsed();
        let seen = number(written[0]);
        lab::lab::until("it went on", || number(written[0]) > seen + 1);
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        took
    });
    provider.post_commit(set(1), 64).unwrap();
    let numbers: Vec<u64> = written.iter().map(|ldev| number(ldev + 64)).collect();
    let falls = numbers.windows(2).all(|two| two[0] >= two[1]);
    assert!(falls && numbers[0] - numbers[7] <= 1, "no single instant: {numbers:?}");
    assert!(number(written[0]) > numbers[0] + 1, "the P-VOLs went on");
    println!("commit of 64 volumes in 8 groups: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    provider.abort(set(1)).unwrap();
}

/// The calls of a whole life of a shadow copy, one after the other.
const CALLS: usize = 9;

fn call(provider: &mut Provider, id: SetId, number: usize) -> Result<(), Refused> {
    match number {
        0 => join(provider, id, described(PVOL)),
        1 => provider.end_prepare(id),
        2 => provider.pre_commit(id),
        3 => provider.commit(id),
        4 => provider.post_commit(id, 1),
        5 => provider.pre_final_commit(id),
        6 => provider.post_final_commit(id),
        7 => provider.locate_luns(&[described(SVOL)]),
        _ => provider.on_lun_empty(&described(SVOL)),
    }
}

/// Not a test of its own: the process that the tests below kill. It makes shadow copies, says
/// which call it has made, and stops before call `PROVIDER_STOP`, if there is such a call.
#[test]
fn the_process_to_be_killed() {
    let Some(home) = std::env::var_os("PROVIDER_HOME") else { return };
    let home = PathBuf::from(home);
    let stop: usize = std::env::var("PROVIDER_STOP").unwrap().parse().unwrap();
    let seed: u128 = std::env::var("PROVIDER_SEED").unwrap().parse().unwrap();
    let mut provider = load(&home, &home.with_file_name("sets"), "2", &Told::default()).unwrap();
    for round in 0..u128::MAX {
        for number in 0..CALLS {
            if number == stop {
                println!("stopped");
                loop {
                    thread::park();
                }
            }
            call(&mut provider, set(seed << 64 | round), number).unwrap();
        }
        println!("round");
    }
}

/// Starts that process and kills it when it has stopped, or after its first round and `after`.
fn kill_one(lab: &Lab, stop: usize, seed: u64, after: Duration) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_process_to_be_killed", "--nocapture"]);
    command.env("PROVIDER_HOME", lab.root()).env("PROVIDER_STOP", stop.to_string());
    command.env("PROVIDER_SEED", seed.to_string());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.find(|line| {
        let line = line.as_ref().unwrap();
        line.ends_with("stopped") || line.ends_with("round")
    });
    assert!(ready.is_some(), "it ended by itself");
    // The moment is the thing under test: any moment will do.
    thread::sleep(after);
    run::kill(child.id());
    child.wait().unwrap();
}

/// What a new provider makes of what a killed one left: pairs as before, unless there is a shadow
/// copy, and a whole life of the next one. The last order of one that was killed while it worked
/// (not `at_rest`) may still be carried out behind the new one's back.
fn judge(lab: &Lab, hosts: &Hosts, seed: u64, place: &str, at_rest: bool) -> bool {
    let told = Told::default();
    let mut provider = load(&lab.root(), &lab.path("sets"), "2", &told).unwrap();
    let records = provider.records().unwrap();
    let is_copy = !records.is_empty();
    for record in records {
        assert_eq!(record.phase, Phase::Created, "{place}");
        let state = lab.cci(50, "pairvolchk -g snap -ss").code;
        assert!(!at_rest || state == Some(24), "{place}: {state:?} is not PVOL_PSUS");
        provider.on_lun_empty(&described(SVOL)).unwrap();
    }
    if at_rest {
        let waited = lab.cci(51, "pairevtwait -g snap -s pair -t 60");
        assert_eq!(waited.code, Some(0), "{place}: {waited}");
        assert!(hosts.is_hidden(2), "{place}");
    }
    let bytes = patterns::pattern(seed, 4096);
    lab.write(PVOL, 0, &bytes).ok();
    let id = set(u128::from(seed) << 64 | u128::from(u64::MAX));
    for number in 0..CALLS {
        call(&mut provider, id, number).unwrap_or_else(|refused| panic!("{place}: {refused}"));
        if number == 7 {
            assert_eq!(lab.read(SVOL, 0, 4096), bytes, "{place}");
        }
    }
    assert_eq!(told.events(), [], "{place}");
    is_copy
}

#[test]
fn killed_before_each_call_the_next_provider_brings_back_what_was_left() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    for stop in 0..CALLS {
        let seed = u64::try_from(stop).unwrap() + 1;
        kill_one(&lab, stop, seed, Duration::ZERO);
        let is_copy = judge(&lab, &hosts, seed, &format!("killed before call {stop}"), true);
        assert_eq!(is_copy, stop > 6, "from the seventh on there is a shadow copy");
    }
}

#[test]
fn killed_at_forty_random_moments_it_leaves_nothing_behind() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut dice = Dice(0x5eed_0011);
    for point in 0..40 {
        let after = Duration::from_micros(dice.below(60_000));
        kill_one(&lab, CALLS, 100 + point, after);
        judge(&lab, &hosts, 100 + point, &format!("point {point}: killed after {after:?}"), false);
    }
}
