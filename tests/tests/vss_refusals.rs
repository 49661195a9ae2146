//! What `RMVSSPRV.dll` refuses, and how: the wrong order, arguments that cannot be, and everything
//! around it that can fail.

mod coordinating;
mod providing;

use std::{collections::BTreeSet, fs};

use ::provider::{
    entry::Entry,
    event::Event,
    lun::LunInfo,
    machine::{Call, State, Verdict, verdict},
    settings::MUN,
};
use coordinating::{
    BAD_STATE, DLL, E_ACCESSDENIED, E_INVALIDARG, E_OUTOFMEMORY, FAULTY, NOT_OURS,
    OBJECT_NOT_FOUND, UNSUPPORTED_CONTEXT, VETO, guid, install, names, seeds_pair_on_windows, text,
    vss,
};
use lab::{
    binaries,
    coordinator::{Answer, Coordinator, seen_by_windows},
};
use providing::{hosts::Hosts, seeds_pair};

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
    let lab = seeds_pair_on_windows();
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
    let lab = seeds_pair_on_windows();
    let mut vss = vss(&lab, DLL);
    vss.say("OnLoad").ok();
    let answer = vss.say("malformed");
    let (last, cases) = answer.lines.split_last().unwrap();
    assert_eq!(last, "untouched true");
    assert_eq!(cases.len(), 3 * 6 + 6 + 8 * 8);
    for case in cases {
        assert!(case.ends_with(&format!("{E_INVALIDARG:#010x}")), "{case}");
    }
    assert!(names(&answer.events).iter().all(|name| *name == "EV_INVARG"), "{answer}");
    assert_eq!(answer.events.len(), cases.len());
}

#[test]
fn every_message_of_the_manual_reaches_the_event_log() {
    // Daemons of Linux: under Wine one that has lost its array says nothing for long, and the provider
    // tells of the daemon then (EV_ATTHOR), not of the array.
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
    let lab = seeds_pair_on_windows();
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
