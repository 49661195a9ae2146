//! `RMVSSPRV.dll` before a coordinator, under Wine: every method through its vtable as VSS calls it,
//! with `horcmd.exe` 50 and 51 and an array behind it.

mod coordinating;
mod providing;

use std::fs;

use ::provider::{event::Event, guid::Guid, lun::LunInfo};
use coordinating::{
    ALREADY_REGISTERED, BAD_STATE, CLASS, DLL, E_ACCESSDENIED, E_INVALIDARG, E_NOTIMPL, FAULTY,
    FINISHED, NO_SUCH_KEY, NOT_REGISTERED, PENDING, PROVIDER_IN_USE, TOO_MANY_SNAPSHOTS, VETO, dll,
    guid, names, seeds_pair_on_windows, text, vss,
};
use lab::{
    Carrier, Lab, bytes as patterns,
    coordinator::Coordinator,
    lab::{PVOL, SVOL},
};
use providing::hosts::Hosts;

#[test]
fn the_dll_tells_com_the_event_viewer_and_vss_who_it_is() {
    let lab = Lab::on_windows(Carrier::Ipcmd);
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
    let other = vss.say(&format!("register {}", dll(FAULTY)));
    assert_eq!(other.hresult, E_ACCESSDENIED);
    assert_eq!(vss.say(&format!("keys {CLASS}")), keys, "what was registered before is back");
    vss.say(&format!("answer {PROVIDER_IN_USE:x}")).ok();
    assert_eq!(vss.say(&unregister).hresult, PROVIDER_IN_USE);
    assert_eq!(vss.say(&format!("keys {CLASS}")), keys, "VSS still uses it");
    vss.say("answer 0").ok();
    vss.say("told").ok();
    vss.say(&unregister).ok();
    assert_eq!(vss.say("told").ok(), ["UnregisterProvider 748BABD3-8C62-4B3D-B6B7-430B5F858C74"]);
    assert_eq!(vss.say(&format!("keys {CLASS}")).hresult, NO_SUCH_KEY);
    vss.say(&format!("answer {NOT_REGISTERED:x}")).ok();
    vss.say(&unregister).ok();
    vss.say(&format!("answer {E_ACCESSDENIED:x}")).ok();
    assert_eq!(vss.say(&register).hresult, E_ACCESSDENIED);
    assert_eq!(vss.say(&format!("keys {CLASS}")).hresult, NO_SUCH_KEY, "nothing is left of it");
}

#[test]
fn a_copy_is_made_found_deleted_and_reverted_as_vss_does_it() {
    let mut lab = seeds_pair_on_windows();
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
    lab.kill_horcmd(50);
    let unheard = vss.say("QueryStatus");
    unheard.fails(0, "EV_ATTHOR");
    assert_eq!(unheard.lines, [format!("status {PENDING:#010x}")], "the array goes on");
    vss.say("QueryStatus").ok();
    lab.start(&[50]).ok();
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

#[test]
fn objects_of_one_process_share_the_provider_until_the_last_is_gone() {
    let lab = seeds_pair_on_windows();
    let hosts = Hosts::of(&lab);
    let mut vss = vss(&lab, DLL);
    vss.say(&format!("lun original {}", text(&hosts.lun(1)))).ok();
    vss.say("OnLoad").ok();
    vss.say("swap").ok();
    vss.say(&format!("create {CLASS}")).ok();
    vss.say("OnLoad").ok();
    let set = guid(1);
    vss.say(&format!("BeginPrepareSnapshot {set} {set} 0 original")).ok();
    vss.say("OnUnload 0").ok();
    vss.say("swap").ok();
    vss.say(&format!("EndPrepareSnapshots {set}")).ok();
    vss.say("swap").ok();
    vss.say("OnLoad").ok();
    vss.say("swap").ok();
    vss.say("release").ok();
    vss.say("swap").ok();
    vss.say(&format!("PreCommitSnapshots {set}")).ok();
    assert_eq!(vss.say("OnUnload 0").hresult, 1, "the last one is asked to go, and is busy");
    vss.say("release").ok();
    vss.say(&format!("unloadable {}", dll(DLL))).ok();
    assert_eq!(fs::read_dir(lab.root().join("snapshot-sets")).unwrap().count(), 1, "the lock");
}

/// A pair that is COPY for long: bytes move between pools only, and at its pace.
fn slow_pair() -> Lab {
    let mut lab = Lab::on_windows(Carrier::Ipcmd);
    lab.with_hosts();
    let toml = fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
    let svol = "ldev = 19\nemulation = \"OPEN-3\"\npool = 0";
    assert!(toml.contains(svol), "{toml}");
    let toml = toml.replace(svol, &svol.replace("pool = 0", "pool = 1"));
    let pool = "[[pool]]\nid = 1\nname = \"pool1\"\nraid_group = \"5:05-08\"\n";
    lab.write_conf("array-62496.toml", &(toml + pool));
    lab.init_array().ok();
    lab.start_array();
    for part in 0..4 {
        lab.write(PVOL, part << 26, &patterns::pattern(part, 1 << 26)).ok();
    }
    lab.start(&[50, 51]).ok();
    lab.cci(51, "paircreate -g snap -vr -m noread -c 1").ok();
    lab
}

#[test]
fn a_set_that_waits_for_a_long_copy_is_aborted_from_another_thread() {
    let lab = slow_pair();
    let hosts = Hosts::of(&lab);
    let mut vss = vss(&lab, DLL);
    vss.say("OnLoad").ok();
    vss.say(&format!("lun original {}", text(&hosts.lun(1)))).ok();
    for attempt in 1..=50 {
        let set = guid(attempt);
        vss.say(&format!("BeginPrepareSnapshot {set} {set} 0 original")).ok();
        vss.say(&format!("background EndPrepareSnapshots {set}")).ok();
        let abort = vss.say(&format!("AbortSnapshots {set}"));
        let waited = vss.say("join");
        assert_eq!(abort.hresult, 0, "{abort}");
        let events = [abort.events, waited.events].concat();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(22), "it is PVOL_COPY still");
        if waited.hresult == VETO {
            assert!(events[0].contains("the coordinator gave the set up"), "{events:?}");
            return;
        }
        // The abort was there before the wait began.
        assert_eq!(waited.hresult, BAD_STATE, "{events:?}");
    }
    panic!("no abort came while EndPrepareSnapshots waited");
}

#[test]
fn while_a_set_waits_others_are_answered_and_a_forced_unload_ends_it() {
    let lab = slow_pair();
    let hosts = Hosts::of(&lab);
    let mut vss = vss(&lab, DLL);
    vss.say("OnLoad").ok();
    vss.say(&format!("lun original {}", text(&hosts.lun(1)))).ok();
    let set = guid(1);
    vss.say(&format!("BeginPrepareSnapshot {set} {set} 0 original")).ok();
    vss.say(&format!("background EndPrepareSnapshots {set}")).ok();
    vss.say("swap").ok();
    vss.say(&format!("create {CLASS}")).ok();
    vss.say("OnLoad").ok();
    assert_eq!(vss.say("AreLunsSupported 0 original").ok(), ["supported 1"]);
    vss.say("OnUnload 1").ok();
    vss.say("swap").ok();
    assert_eq!(vss.say("OnUnload 0").hresult, 1, "it waits still: the other was not the last");
    let unloaded = vss.say("OnUnload 1");
    let waited = vss.say("join");
    assert_eq!(unloaded.hresult, 0, "{unloaded}");
    assert_eq!(waited.hresult, BAD_STATE, "{waited}");
    let events = [unloaded.events, waited.events].concat();
    assert_eq!(names(&events), ["EV_INVSEQ"], "{events:?}");
    assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(22), "it is PVOL_COPY still");
}
