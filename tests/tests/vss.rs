//! `RMVSSPRV.dll` before a coordinator, under Wine: every method through its vtable, with daemons
//! and an array behind it.

mod providing;

use std::{collections::BTreeSet, fs};

use ::provider::{
    entry::Entry,
    event::Event,
    guid::Guid,
    lun::LunInfo,
    machine::{Call, State, Verdict, verdict},
    settings::{LOCAL, MUN, REMOTE},
};
use lab::{
    Lab, binaries,
    coordinator::{Answer, Coordinator, seen_by_windows},
    lab::{PVOL, SVOL},
};
use providing::{hosts::Hosts, seeds_pair};

const DLL: &str = "RMVSSPRV.dll";
/// The same with `fault-injection`.
const FAULTY: &str = "rmvssprv-faults.dll";
const CLASS: &str = "7ee029c4-8eb4-4a12-9a85-891820483ea9";

const E_NOTIMPL: u32 = 0x8000_4001;
const E_ACCESSDENIED: u32 = 0x8007_0005;
const E_OUTOFMEMORY: u32 = 0x8007_000e;
const E_INVALIDARG: u32 = 0x8007_0057;
const NO_SUCH_KEY: u32 = 0x8007_0002;
const BAD_STATE: u32 = 0x8004_2301;
const ALREADY_REGISTERED: u32 = 0x8004_2303;
const NOT_REGISTERED: u32 = 0x8004_2304;
const VETO: u32 = 0x8004_2306;
const OBJECT_NOT_FOUND: u32 = 0x8004_2308;
const FINISHED: u32 = 0x0004_230a;
const NOT_OURS: u32 = 0x8004_230e;
const TOO_MANY_SNAPSHOTS: u32 = 0x8004_2317;
const UNSUPPORTED_CONTEXT: u32 = 0x8004_231b;

fn dll(name: &str) -> String {
    seen_by_windows(&binaries::windows(name))
}

/// What the provider looks for in the directory of an installation. Here the daemons are Linux's
/// own, so only the names are there.
fn install(lab: &Lab) {
    for name in ["horcmstart", "paircreate", "pairdisplay", "pairresync", "pairsplit"] {
        fs::write(lab.conf(&format!("{name}.exe")), "").unwrap();
    }
}

/// A coordinator with an object of the provider's class, not loaded yet.
fn vss(lab: &Lab, name: &str) -> Coordinator {
    install(lab);
    let mut vss = Coordinator::start(lab);
    vss.say(&format!("register {}", dll(name))).ok();
    vss.say(&format!("create {CLASS}")).ok();
    let root = seen_by_windows(&lab.root());
    for (name, value) in [("HORCMROOT", &*root), (LOCAL, "50"), (REMOTE, "51"), (MUN, "2")] {
        vss.say(&format!("env {name} {value}")).ok();
    }
    vss
}

fn guid(number: u128) -> String {
    Guid(number).to_string().to_uppercase().replace(['{', '}'], "")
}

/// A LUN in the words of the coordinator, byte for byte.
fn text(lun: &LunInfo) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let string = |text: &Option<String>| text.as_ref().map_or("-".into(), |it| hex(it.as_bytes()));
    let mut words = format!(
        "version={} type={} modifier={} queueing={} bus={} vendor={} product={} revision={} \
         serial={} signature={} descriptor=32",
        lun.version,
        lun.device_type,
        lun.device_type_modifier,
        u8::from(lun.command_queueing),
        lun.bus,
        string(&lun.vendor),
        string(&lun.product),
        string(&lun.revision),
        string(&lun.serial),
        guid(lun.signature.0),
    );
    for id in &lun.identifiers {
        words += &format!(" id={}:{}:{}", id.code_set, id.kind, hex(&id.bytes));
    }
    words
}

/// The names of the events of some answers.
fn names(events: &[String]) -> Vec<&str> {
    events.iter().map(|text| text.trim_start_matches('[').split(']').next().unwrap()).collect()
}

#[test]
fn the_dll_tells_com_the_event_viewer_and_vss_who_it_is() {
    let lab = Lab::new();
    let mut vss = Coordinator::start(&lab);
    let (register, unregister) =
        (format!("register {}", dll(DLL)), format!("unregister {}", dll(DLL)));
    assert_eq!(vss.say(&format!("keys {CLASS}")).hresult, NO_SUCH_KEY);
    vss.say(&register).ok();
    let version: Vec<u16> =
        env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap()).collect();
    let told = format!(
        "RegisterProvider 748BABD3-8C62-4B3D-B6B7-430B5F858C74 {} 'RM Shadow Copy Provider' 3 '{}' \
         5FA2225E-1D00-4453-901E-{:04X}{:04X}{:04X}",
        CLASS.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        version[0],
        version[1],
        version[2]
    );
    assert_eq!(vss.say("told").ok(), std::slice::from_ref(&told));
    let keys = vss.say(&format!("keys {CLASS}"));
    let (head, messages) = keys.ok().split_at(5);
    assert_eq!(
        head,
        [
            format!("InprocServer32 {}", dll(DLL)),
            "ThreadingModel Both".into(),
            format!("EventMessageFile {} true", dll(DLL)),
            "CustomSource 1".into(),
            "TypesSupported 7".into(),
        ]
    );
    for (id, message) in messages.iter().enumerate() {
        let known = Event::ALL.iter().any(|event| usize::from(event.id()) == id);
        let expected = if known { format!("{id} inserted") } else { id.to_string() };
        assert_eq!(*message, expected);
    }
    assert_eq!(
        vss.say(&format!("class {} {CLASS}", dll(DLL))).ok(),
        [
            "the class 0x00000000",
            "another class 0x80040111",
            "another interface 0x80004002",
            "no class 0x80004003",
            "no interface 0x80004003",
            "no place 0x80004003",
        ]
    );

    vss.say(&format!("answer {ALREADY_REGISTERED:x}")).ok();
    vss.say(&register).ok();
    vss.say(&format!("answer {E_ACCESSDENIED:x}")).ok();
    assert_eq!(vss.say(&register).hresult, E_ACCESSDENIED);
    vss.say("answer 0").ok();
    vss.say("told").ok();
    vss.say(&unregister).ok();
    assert_eq!(vss.say("told").ok(), ["UnregisterProvider 748BABD3-8C62-4B3D-B6B7-430B5F858C74"]);
    assert_eq!(vss.say(&format!("keys {CLASS}")).hresult, NO_SUCH_KEY);
    vss.say(&format!("answer {NOT_REGISTERED:x}")).ok();
    vss.say(&unregister).ok();
}

#[test]
fn a_copy_is_made_found_deleted_and_reverted_as_vss_does_it() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut vss = vss(&lab, DLL);
    vss.say("OnLoad").ok();
    vss.say("OnLoad").ok();
    let original = text(&hosts.lun(1));
    vss.say(&format!("lun original {original} interconnects=2")).ok();
    vss.say(&format!("lun other {}", text(&hosts.lun(3)))).ok();
    vss.say(&format!("lun command-device {}", text(&hosts.lun(0)))).ok();
    let supported = |vss: &mut Coordinator, luns: &str| {
        vss.say(&format!("AreLunsSupported {luns}")).ok().concat()
    };
    assert_eq!(supported(&mut vss, "0x20 original"), "supported 1");
    assert_eq!(supported(&mut vss, "0x20000 original"), "supported 0", "MU# 2 is a full copy");
    assert_eq!(supported(&mut vss, "0 original other"), "supported 0", "LDEV 20 has no pair");
    let answer = vss.say("AreLunsSupported 0 command-device");
    assert_eq!(answer.lines, ["supported 0"]);
    answer.fails(0, "EV_ENOSUP");

    for round in 1..=2_u8 {
        let set = guid(u128::from(round) << 64 | 0x5e7);
        lab.write(PVOL, 0, &[round; 4096]).ok();
        for snapshot in [1, 2] {
            // Two volumes on one disk.
            let snapshot = guid(u128::from(round) << 64 | snapshot);
            vss.say(&format!("BeginPrepareSnapshot {set} {snapshot} 0x20 original")).ok();
        }
        assert_eq!(vss.say("OnUnload 0").hresult, 1, "S_FALSE while a set is being created");
        for step in ["EndPrepareSnapshots", "PreCommitSnapshots", "CommitSnapshots"] {
            vss.say(&format!("{step} {set}")).ok();
        }
        lab.write(PVOL, 0, &[0xee; 4096]).ok();
        vss.say(&format!("PostCommitSnapshots {set} 2")).ok();
        for step in ["PreFinalCommitSnapshots", "PostFinalCommitSnapshots"] {
            vss.say(&format!("{step} {set}")).ok();
        }
        assert!(hosts.is_hidden(2), "nobody has asked for it yet");

        // What the target held before is replaced and freed.
        vss.say("lun target vendor=41 serial=42 id=1:2:0102 descriptor=9 interconnects=1").ok();
        vss.say("GetTargetLuns original=target").ok();
        vss.say("GetTargetLuns original=fresh").ok();
        vss.say("LocateLuns target").ok();
        assert!(!hosts.is_hidden(2));
        let disk = hosts.lun(2);
        let handed_out = text(&LunInfo { signature: Guid::NULL, ..disk.clone() });
        assert_eq!(vss.say("show target").ok(), [format!("{handed_out} interconnects=1:1")]);
        assert_eq!(vss.say("show fresh").ok(), [format!("{handed_out} interconnects=0:0")]);
        let arrived = text(&disk);
        vss.say(&format!("lun arrived {arrived} interconnects=3")).ok();
        assert_eq!(vss.say("FillInLunInfo arrived").ok(), ["supported 1"]);
        assert_eq!(vss.say("show arrived").ok(), [format!("{arrived} interconnects=3:1")]);
        assert_eq!(vss.say("FillInLunInfo other").ok(), ["supported 0"]);
        assert_eq!(supported(&mut vss, "0 arrived"), "supported 1", "our own copy");
        assert_eq!(lab.read(SVOL, 0, 4096), [round; 4096], "the instant of the commit");
        assert_eq!(vss.say("show original").ok(), [format!("{original} interconnects=2:1")]);

        let (set, snapshot) = (guid(0x99), guid(0x98));
        let begin = vss.say(&format!("BeginPrepareSnapshot {set} {snapshot} 0 original"));
        begin.fails(TOO_MANY_SNAPSHOTS, "EV_INVSTP");
        vss.say("OnLunStateChange 0x800 arrived=original").ok();
        assert!(hosts.is_hidden(2), "masked");
        vss.say("OnLunStateChange 0x100 arrived=original").ok();
        vss.say("OnLunStateChange 0x1 arrived=original").fails(E_INVALIDARG, "EV_INVARG");
        if round == 1 {
            vss.say("OnLunEmpty arrived").ok();
        }
    }

    vss.say("ResyncLuns arrived=original").ok();
    vss.say("Wait 60000").ok();
    assert_eq!(vss.say("QueryStatus").ok(), [format!("status {FINISHED:#010x}")]);
    assert_eq!(vss.say("QueryStatus null").hresult, E_INVALIDARG);
    assert_eq!(vss.say("Cancel").hresult, FINISHED, "nothing is left to cancel");
    assert_eq!(lab.read(PVOL, 0, 4096), [2; 4096], "the original is what the copy was");
    assert!(hosts.is_hidden(2));
    vss.say("ResyncLuns arrived=original").fails(VETO, "EV_INVSTP");

    assert_eq!(vss.say("GetProviderCapabilities").hresult, E_NOTIMPL);
    assert_eq!(vss.say("OnReuseLuns").hresult, E_NOTIMPL);
    assert_eq!(vss.say(&format!("unloadable {}", dll(DLL))).hresult, 1, "an object is there");
    vss.say("OnUnload 0").ok();
    vss.say("OnUnload 0").ok();
    vss.say("LocateLuns arrived").fails(BAD_STATE, "EV_INVSEQ");
    vss.say("release").ok();
    vss.say(&format!("unloadable {}", dll(DLL))).ok();
}

/// A call of the set's creation in the words of the coordinator.
fn line(call: Call, set: &str) -> String {
    let name = call.entry().name();
    match call {
        Call::BeginPrepare => format!("{name} {set} {set} 0 original"),
        Call::PostCommit => format!("{name} {set} 1"),
        Call::GetTargetLuns => format!("{name} original=target"),
        _ => format!("{name} {set}"),
    }
}

/// Makes every call that does not go on from `state`, and judges the answers.
fn refuse_all(vss: &mut Coordinator, state: State, set: &str) {
    for call in Call::ALL {
        let (hresult, event) = match verdict(state, call) {
            Verdict::Go => continue,
            Verdict::Already | Verdict::Ignored => {
                vss.say(&line(call, set)).ok();
                continue;
            }
            Verdict::BadSequence => (BAD_STATE, "EV_INVSEQ"),
            Verdict::NoObject => (OBJECT_NOT_FOUND, "EV_ENOOBJ"),
        };
        let mut answer = vss.say(&line(call, set));
        if call == Call::Commit {
            assert_eq!((answer.hresult, answer.events.len()), (hresult, 0), "{answer}");
            answer.events = vss.say("AreLunsSupported 0").events;
        }
        let text = answer.fails(hresult, event);
        assert!(text.contains(&format!("STATE : {}", state.word())), "{state:?} {answer}");
    }
}

#[test]
fn calls_in_the_wrong_order_are_refused_in_every_state() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut vss = vss(&lab, DLL);
    vss.say(&format!("lun original {}", text(&hosts.lun(1)))).ok();
    let set = guid(1);
    let mut events = Vec::new();
    for call in Call::ALL {
        let answer = vss.say(&line(call, &set));
        assert_eq!(answer.hresult, BAD_STATE, "before OnLoad: {answer}");
        events.extend(answer.events);
    }
    assert_eq!(names(&events), ["EV_INVSEQ"; Call::ALL.len()]);
    vss.say("OnLoad").ok();
    vss.say(&line(Call::EndPrepare, &set)).fails(OBJECT_NOT_FOUND, "EV_ENOOBJ");
    let steps = [
        (Call::BeginPrepare, State::Preparing),
        (Call::EndPrepare, State::Prepared),
        (Call::PreCommit, State::PreCommitted),
        (Call::Commit, State::Committed),
        (Call::PostCommit, State::PostCommitted),
        (Call::PreFinalCommit, State::PreFinalCommitted),
        (Call::PostFinalCommit, State::Created),
    ];
    for (call, state) in steps {
        vss.say(&line(call, &set)).ok();
        refuse_all(&mut vss, state, &set);
    }
    vss.say("GetTargetLuns original=target").ok();
    vss.say("OnLunEmpty target").ok();
    let other = guid(2);
    vss.say(&line(Call::BeginPrepare, &other)).ok();
    vss.say(&line(Call::Abort, &other)).ok();
    refuse_all(&mut vss, State::Aborted, &other);
    // A new set gives up the unfinished one before it.
    for unfinished in [3, 4] {
        vss.say(&line(Call::BeginPrepare, &guid(unfinished))).ok();
    }
    vss.say(&line(Call::EndPrepare, &guid(3))).fails(OBJECT_NOT_FOUND, "EV_ENOOBJ");
    vss.say(&line(Call::EndPrepare, &guid(4))).ok();
    vss.say("OnUnload 1").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    assert!(hosts.is_hidden(2));
}

#[test]
fn what_no_coordinator_hands_in_is_refused_and_nothing_is_touched() {
    let lab = seeds_pair();
    let mut vss = vss(&lab, DLL);
    vss.say("OnLoad").ok();
    let answer = vss.say("malformed");
    let (last, cases) = answer.lines.split_last().unwrap();
    assert_eq!(last, "untouched true");
    assert_eq!(cases.len(), 3 * 6 + 5 + 8 * 8);
    for case in cases {
        assert!(case.ends_with(&format!("{E_INVALIDARG:#010x}")), "{case}");
    }
    assert!(names(&answer.events).iter().all(|name| *name == "EV_INVARG"), "{answer}");
    assert_eq!(answer.events.len(), cases.len());
}

#[test]
fn every_message_of_the_manual_reaches_the_event_log() {
    let mut lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut seen = BTreeSet::new();
    let mut expect = |answer: Answer, hresult: u32, event: Event| {
        answer.fails(hresult, event.name());
        let text = event.text().replace('\\', "\\\\").replace('"', "\\\"");
        assert!(answer.events[0].starts_with(&format!("[{}] {text}", event.name())), "{answer}");
        seen.insert(event.id());
    };
    let mut provider = vss(&lab, DLL);
    let root = seen_by_windows(&lab.root());
    provider.say(&format!("env HORCMROOT {root}\\nowhere")).ok();
    expect(provider.say("OnLoad"), VETO, Event::Enrmph);
    provider.say(&format!("env HORCMROOT {root}")).ok();
    fs::remove_file(lab.conf("pairsplit.exe")).unwrap();
    expect(provider.say("OnLoad"), VETO, Event::Enrmcm);
    install(&lab);
    provider.say(&format!("env {MUN}")).ok();
    expect(provider.say("OnLoad"), VETO, Event::Egetev);
    provider.say(&format!("env {MUN} 2")).ok();
    let journal = lab.root().join("snapshot-sets");
    fs::write(&journal, "no directory").unwrap();
    expect(provider.say("OnLoad"), VETO, Event::Eopdev);
    fs::remove_file(&journal).unwrap();
    let set = guid(1);
    expect(provider.say(&format!("EndPrepareSnapshots {set}")), BAD_STATE, Event::Invseq);
    provider.say("OnLoad").ok();

    let disk = hosts.lun(1);
    let nameless = LunInfo { serial: None, identifiers: vec![], ..disk.clone() };
    let mut anonymous = LunInfo { serial: None, ..disk.clone() };
    anonymous.identifiers.retain_mut(|id| {
        id.bytes = vec![1; 8];
        true
    });
    for (name, lun) in [("original", &disk), ("nameless", &nameless), ("anonymous", &anonymous)] {
        let members: Vec<String> = text(lun).split(' ').map(str::to_owned).collect();
        let members: Vec<_> =
            members.into_iter().filter(|member| !member.ends_with("=-")).collect();
        provider.say(&format!("lun {name} {}", members.join(" "))).ok();
    }
    provider.say(&format!("lun other {}", text(&hosts.lun(3)))).ok();
    let begin = |lun: &str| format!("BeginPrepareSnapshot {set} {set} 0 {lun}");
    expect(provider.say("LocateLuns original"), NOT_OURS, Event::Enosup);
    expect(provider.say(&begin("nameless")), VETO, Event::Enoinq);
    expect(provider.say(&begin("anonymous")), VETO, Event::Enoser);
    let context = provider.say(&format!("BeginPrepareSnapshot {set} {set} 0x20000 original"));
    expect(context, UNSUPPORTED_CONTEXT, Event::Enosup);
    provider.say(&begin("original")).ok();
    expect(provider.say(&format!("AbortSnapshots {}", guid(9))), OBJECT_NOT_FOUND, Event::Enoobj);
    expect(provider.say("LocateLuns"), E_INVALIDARG, Event::Invarg);
    provider.say(&format!("EndPrepareSnapshots {set}")).ok();
    lab.cci(51, "pairsplit -g snap").ok();
    expect(provider.say(&format!("PreCommitSnapshots {set}")), VETO, Event::Invstp);
    lab.kill_array();
    expect(provider.say(&format!("AbortSnapshots {set}")), VETO, Event::Cmdioe);
    lab.kill_horcmd(50);
    let answer = provider.say(&begin("original"));
    assert_eq!(answer.hresult, BAD_STATE, "a set that was given up: {answer}");
    expect(provider.say("AreLunsSupported 0 original"), VETO, Event::Atthor);
    drop(provider);

    let mut faulty = vss(&lab, FAULTY);
    faulty.say("env RMVSSPRV_FAULT account").ok();
    expect(faulty.say("OnLoad"), E_ACCESSDENIED, Event::Erperm);
    faulty.say("env RMVSSPRV_FAULT set-variable").ok();
    expect(faulty.say("OnLoad"), VETO, Event::Esetev);
    faulty.say("env RMVSSPRV_FAULT").ok();
    lab.start_array();
    lab.start(&[50]).ok();
    faulty.say("OnLoad").ok();
    faulty.say("env RMVSSPRV_FAULT memory").ok();
    faulty.say(&format!("lun original {}", text(&disk))).ok();
    expect(faulty.say("FillInLunInfo original"), E_OUTOFMEMORY, Event::Enomem);
    assert_eq!(faulty.say("show original").ok(), [format!("{} interconnects=0:0", text(&disk))]);
    faulty.say("env RMVSSPRV_FAULT panic-LocateLuns").ok();
    expect(faulty.say("LocateLuns original"), VETO, Event::Except);
    assert_eq!(seen, Event::ALL.iter().map(|event| event.id()).collect());
}

#[test]
fn a_panic_in_any_call_is_an_hresult_and_the_provider_goes_on() {
    let lab = seeds_pair();
    let hosts = Hosts::of(&lab);
    let mut vss = vss(&lab, FAULTY);
    vss.say(&format!("lun original {}", text(&hosts.lun(1)))).ok();
    let set = guid(1);
    let step = |entry: Entry| (entry, format!("{entry} {set}"));
    let calls = [
        (Entry::OnLoad, "OnLoad".to_owned()),
        (Entry::AreLunsSupported, "AreLunsSupported 0 original".to_owned()),
        (Entry::FillInLunInfo, "FillInLunInfo original".to_owned()),
        (Entry::BeginPrepareSnapshot, format!("BeginPrepareSnapshot {set} {set} 0 original")),
        step(Entry::EndPrepareSnapshots),
        step(Entry::PreCommitSnapshots),
        step(Entry::CommitSnapshots),
        (Entry::PostCommitSnapshots, format!("PostCommitSnapshots {set} 1")),
        step(Entry::PreFinalCommitSnapshots),
        step(Entry::PostFinalCommitSnapshots),
        (Entry::GetTargetLuns, "GetTargetLuns original=target".to_owned()),
        (Entry::LocateLuns, "LocateLuns target".to_owned()),
        (Entry::OnLunStateChange, "OnLunStateChange 0x800 target=original".to_owned()),
        step(Entry::AbortSnapshots),
        (Entry::ResyncLuns, "ResyncLuns target=original".to_owned()),
        (Entry::OnLunEmpty, "OnLunEmpty target".to_owned()),
        (Entry::OnUnload, "OnUnload 0".to_owned()),
    ];
    assert_eq!(calls.len(), Entry::ALL.len());
    let mut late = 0;
    for (entry, call) in &calls {
        vss.say(&format!("env RMVSSPRV_FAULT panic-{entry}")).ok();
        let answer = vss.say(call);
        assert_eq!(answer.hresult, VETO, "{answer}");
        if *entry == Entry::CommitSnapshots {
            assert!(answer.events.is_empty(), "nothing is written while writes are held: {answer}");
            late = 1;
        } else {
            assert_eq!(names(&answer.events), vec!["EV_EXCEPT"; 1 + late], "{answer}");
            assert!(answer.events[late].contains("a panic that a test asked for"), "{answer}");
            late = 0;
        }
        vss.say("env RMVSSPRV_FAULT").ok();
        vss.say(call).ok();
    }
    let shipped = fs::read(binaries::windows(DLL)).unwrap();
    let hook = b"RMVSSPRV_FAULT";
    assert!(!shipped.windows(hook.len()).any(|bytes| bytes == hook), "no fault is shipped");
}
