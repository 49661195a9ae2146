//! The shadow-copy provider before real daemons and a real array: the seed's configuration, and what
//! a host sees by iSCSI.

mod providing;

use std::time::Duration;

use ::provider::{
    Provider, context::Context, event::Event, guid::Guid, hresult::Hresult, lun::LunInfo,
};
use lab::{
    bytes as patterns,
    lab::{PVOL, SVOL},
};
use providing::{Told, described, finish, hosts::Hosts, join, load, provider, seeds_pair, set};

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
    let mut resync = provider.resync_luns(&copies, std::slice::from_ref(&original)).unwrap();
    assert!(provider.wait_resynced(&mut resync, Duration::from_secs(60)).unwrap());
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
