//! What a shadow copy goes through, call by call.

use std::time::Duration;

use model::{Code, PairStatus};

use super::{copy, create, event, finish, join, pvol, set, svol};
use crate::{
    context::Context,
    event::Event,
    fake::{Shared, Wrong, pair},
    hresult::Hresult,
    machine::State,
    provider::{StateChange, Unload},
    settings::REMOTE,
};

#[test]
fn a_shadow_copy_is_made_shown_and_deleted_and_the_pair_is_ready_again() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    assert!(provider.are_luns_supported(Context(0), &[pvol(0), pvol(1)]).unwrap());
    join(&mut provider, set(1), 0).unwrap();
    join(&mut provider, set(1), 1).unwrap();
    assert_eq!(world.lock().pairs[0].status, PairStatus::Copy, "it returns before the copy ends");
    finish(&mut provider, set(1), 2).unwrap();
    {
        let mut world = world.lock();
        for known in &mut world.pairs {
            assert_eq!((known.status, known.hidden), (PairStatus::Psus, true));
            assert_eq!(known.svol, known.pvol, "the S-VOL is the P-VOL of the commit");
            known.pvol += 1;
        }
    }
    let targets = provider.get_target_luns(&[pvol(1), pvol(0)]).unwrap();
    let mut arriving = svol(1);
    assert!(provider.fill_in_lun_info(&mut arriving).unwrap());
    let signature = targets[0].signature;
    assert_eq!(crate::lun::LunInfo { signature, ..arriving }, targets[0]);

    provider.locate_luns(&targets).unwrap();
    assert!(world.lock().pairs.iter().all(|known| !known.hidden));
    for (n, left) in [(0, 1), (1, 0)] {
        provider.on_lun_empty(&svol(n)).unwrap();
        provider.on_lun_empty(&svol(n)).unwrap();
        assert_eq!(world.lock().records.len(), left);
    }
    assert_eq!(provider.state(set(1)), State::Deleted);
    assert!(world.lock().pairs.iter().all(|p| p.hidden && p.status != PairStatus::Psus));
    create(&mut provider, set(2), &[0, 1]).unwrap();
    assert_eq!(world.told(), []);
}

#[test]
fn s_vols_written_from_outside_belong_to_their_set_alone_and_stay_split() {
    let world = Shared::new(3);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0, 1]).unwrap();
    create(&mut provider, set(2), &[2]).unwrap();
    provider.adopt(set(3), &[pair(0), pair(2)]).unwrap();
    let kept = |id| world.lock().records.get(&set(id)).map(|record| record.pairs.clone());
    assert_eq!([1, 2].map(kept), [Some(vec![pair(1)]), None]);
    assert_eq!(kept(3), Some(vec![pair(0), pair(2)]));
    assert!(world.lock().pairs.iter().all(|known| known.status == PairStatus::Psus));
    assert_eq!(event(join(&mut provider, set(4), 0)), Event::Invstp, "it is there as any other");
}

#[test]
fn a_finished_set_that_nobody_wants_is_deleted_and_the_next_one_is_made() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0, 1]).unwrap();
    provider.abort(set(1)).unwrap();
    assert_eq!(provider.state(set(1)), State::Created, "there is nothing to abort any more");
    // Whoever died left it behind: another process finds it.
    let mut provider = world.provider();
    provider.delete(set(2)).unwrap();
    assert_eq!(world.lock().records.len(), 1, "another set stays");
    for _ in 0..2 {
        provider.delete(set(1)).unwrap();
        assert!(world.lock().records.is_empty());
        assert!(world.lock().pairs.iter().all(|p| p.hidden && p.status != PairStatus::Psus));
    }
    create(&mut provider, set(2), &[0, 1]).unwrap();
    provider.delete(set(2)).unwrap();
    assert_eq!(provider.state(set(2)), State::Deleted);
    assert_eq!(world.told(), []);
    join(&mut provider, set(3), 0).unwrap();
    provider.delete(set(3)).unwrap();
    assert_eq!(provider.state(set(3)), State::Preparing, "it is not finished");
}

#[test]
fn nothing_but_the_split_happens_in_the_commit() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    provider.end_prepare(set(1)).unwrap();
    provider.pre_commit(set(1)).unwrap();
    world.lock().trace.clear();
    provider.commit(set(1)).unwrap();
    assert_eq!(world.lock().trace, ["fire"]);
    assert_eq!(provider.commit(set(1)), Ok(()), "once more");
    assert_eq!(world.lock().trace, ["fire"]);
}

#[test]
fn what_the_commit_refuses_is_told_after_it() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    provider.end_prepare(set(1)).unwrap();
    provider.pre_commit(set(1)).unwrap();
    world.lock().slow_split = Duration::from_secs(11);
    world.lock().trace.clear();
    let refused = provider.commit(set(1)).unwrap_err();
    assert_eq!((refused.fault.event, refused.hresult), (Event::Cmdioe, Hresult::ProviderVeto));
    assert_eq!(world.lock().trace, ["fire"], "no event log while writes are held");
    assert_eq!(event(provider.post_commit(set(1), 1)), Event::Invseq, "late is not consistent");
    assert_eq!(world.told(), [Event::Cmdioe, Event::Invseq]);
    provider.abort(set(1)).unwrap();
    assert!(world.lock().records.is_empty());
    assert_eq!(world.lock().pairs[0].status, PairStatus::Copy);
}

#[test]
fn a_pair_that_was_split_by_somebody_else_is_not_called_this_instant() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    provider.end_prepare(set(1)).unwrap();
    provider.pre_commit(set(1)).unwrap();
    world.lock().pairs[0].status = PairStatus::Psus;
    assert_eq!(event(provider.commit(set(1))), Event::Invstp);
}

#[test]
fn volumes_on_one_lun_share_its_pair_and_repeating_a_call_changes_nothing() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    for snapshot in [1, 2, 2] {
        provider.begin_prepare(set(1), copy(snapshot), Context(0), &[pvol(0)]).unwrap();
    }
    finish(&mut provider, set(1), 2).unwrap();
    assert_eq!(world.lock().records[&set(1)].pairs.len(), 1);
}

#[test]
fn a_new_set_gives_up_an_unfinished_one_in_any_state() {
    for steps in 0..=5 {
        let world = Shared::new(2);
        let mut provider = world.provider();
        join(&mut provider, set(1), 0).unwrap();
        let id = set(1);
        let calls: [&mut dyn FnMut(&mut crate::Provider); 5] = [
            &mut |p| p.end_prepare(id).unwrap(),
            &mut |p| p.pre_commit(id).unwrap(),
            &mut |p| p.commit(id).unwrap(),
            &mut |p| p.post_commit(id, 1).unwrap(),
            &mut |p| p.pre_final_commit(id).unwrap(),
        ];
        for call in calls.into_iter().take(steps) {
            call(&mut provider);
        }
        join(&mut provider, set(2), 1).unwrap();
        let world = world.lock();
        assert_ne!(world.pairs[0].status, PairStatus::Psus, "{steps}");
        assert!(world.pairs[0].hidden);
        assert_eq!(world.records.keys().copied().collect::<Vec<_>>(), [set(2)]);
    }
}

#[test]
fn a_shadow_copy_is_not_taken_for_the_next_one_until_it_is_given_up() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0]).unwrap();
    assert!(provider.are_luns_supported(Context(0), &[pvol(0)]).unwrap());
    let refused = join(&mut provider, set(2), 0).unwrap_err();
    assert_eq!(refused.hresult, Hresult::MaximumNumberOfSnapshots);
    assert_eq!(refused.fault.event, Event::Invstp);
    assert!(refused.fault.action.unwrap().contains("pairresync -g g0 -d dev0"));
    assert_eq!(world.lock().pairs[0].status, PairStatus::Psus, "it was left alone");
    world.lock().pairs[0].status = PairStatus::Pair;
    create(&mut provider, set(3), &[0]).unwrap();
    assert_eq!(world.lock().records.len(), 1, "the record of the first is gone");
}

#[test]
fn a_set_given_up_by_a_dead_process_is_brought_back_at_load() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[1]).unwrap();
    join(&mut provider, set(2), 0).unwrap();
    provider.end_prepare(set(2)).unwrap();
    provider.pre_commit(set(2)).unwrap();
    provider.commit(set(2)).unwrap();
    drop(provider);
    world.lock().pairs[0].hidden = false;
    let _provider = world.provider();
    let world = world.lock();
    assert_eq!(world.pairs[0].status, PairStatus::Copy);
    assert!(world.pairs[0].hidden);
    assert_eq!(world.pairs[1].status, PairStatus::Psus, "a shadow copy stays");
    assert_eq!(world.records.keys().copied().collect::<Vec<_>>(), [set(1)]);
}

#[test]
fn the_originals_become_what_the_copies_are() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0, 1]).unwrap();
    let before: Vec<_> = world.lock().pairs.iter().map(|known| known.svol).collect();
    world.lock().pairs.iter_mut().for_each(|known| known.pvol = 999);
    let (copies, originals) = ([svol(0), svol(1)], [pvol(0), pvol(1)]);
    let mut resync = provider.resync_luns(&copies, &originals).unwrap();
    assert!(!provider.is_resynced(&mut resync).unwrap(), "it copies");
    assert!(provider.wait_resynced(&mut resync, Duration::from_secs(10)).unwrap());
    let world = world.lock();
    assert_eq!(world.pairs.iter().map(|known| known.pvol).collect::<Vec<_>>(), before);
    assert!(world.pairs.iter().all(|p| p.status == PairStatus::Pair && p.hidden));
    assert!(world.records.is_empty(), "the copies are consumed");
}

#[test]
fn a_revert_that_nobody_can_tell_of_for_a_while_goes_on() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0]).unwrap();
    world.lock().copy_looks = 3;
    let mut resync = provider.resync_luns(&[svol(0)], &[pvol(0)]).unwrap();
    let minutes = |world: &Shared, n: u64| world.lock().now += Duration::from_secs(60 * n);
    for code in [Code::ExAtthor, Code::ExCmdioe, Code::ExEnormt] {
        world.goes_wrong(0, Wrong::Before(code));
        assert_eq!(provider.is_resynced(&mut resync), Ok(false), "{}", code.name());
        minutes(&world, 3);
    }
    assert_eq!(world.told(), [Event::Atthor], "once");
    assert_eq!(provider.is_resynced(&mut resync), Ok(false), "heard of again: it copies");
    assert_eq!(world.told(), []);
    world.goes_wrong(0, Wrong::Before(Code::ExCmdioe));
    assert_eq!(provider.is_resynced(&mut resync), Ok(false));
    minutes(&world, 10);
    world.goes_wrong(0, Wrong::Before(Code::ExCmdioe));
    assert_eq!(event(provider.is_resynced(&mut resync)), Event::Cmdioe, "for too long");
    world.goes_wrong(0, Wrong::Before(Code::ExEnldev));
    assert_eq!(event(provider.is_resynced(&mut resync)), Event::Enosup, "that is of the pair");
    assert!(provider.wait_resynced(&mut resync, Duration::from_secs(3600)).unwrap());
    assert!(world.lock().records.is_empty());
}

#[test]
fn a_revert_is_refused_where_a_volume_is_in_use_or_not_a_copy() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0]).unwrap();
    let volume = crate::lun::tests::volume(0);
    world.lock().used.insert(volume, "mounted at /srv".into());
    let refused = provider.resync_luns(&[svol(0)], &[pvol(0)]).unwrap_err();
    assert_eq!(refused.fault.event, Event::Invstp);
    assert_eq!(refused.fault.cause.as_deref(), Some("mounted at /srv"));
    world.lock().used.clear();
    assert_eq!(event(provider.resync_luns(&[svol(0)], &[pvol(1)])), Event::Invarg);
    assert_eq!(event(provider.resync_luns(&[svol(0)], &[])), Event::Invarg);
    assert_eq!(event(provider.resync_luns(&[svol(1)], &[pvol(1)])), Event::Invstp, "in SMPL");
    assert_eq!(event(provider.resync_luns(&[pvol(0)], &[pvol(0)])), Event::Enosup);
    join(&mut provider, set(2), 1).unwrap();
    assert_eq!(event(provider.resync_luns(&[svol(1)], &[pvol(1)])), Event::Invseq);
    assert_eq!(world.lock().pairs[0].status, PairStatus::Psus);
}

#[test]
fn without_an_instance_of_the_s_vols_nothing_is_hidden_or_shown() {
    let world = Shared::new(1);
    world.lock().variables.remove(REMOTE);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0]).unwrap();
    assert!(!world.lock().pairs[0].hidden);
    assert!(provider.are_luns_supported(Context(0), &[svol(0)]).unwrap(), "it is one of ours");
    provider.locate_luns(&[svol(0)]).unwrap();
    provider.on_lun_empty(&svol(0)).unwrap();
    assert_eq!(event(provider.locate_luns(&[svol(0)])), Event::Enosup, "nobody knows it now");
}

#[test]
fn a_host_that_only_imports_shows_and_empties_but_makes_none() {
    let world = Shared::new(1);
    let mut exporter = world.provider();
    create(&mut exporter, set(1), &[0]).unwrap();
    // The other host has a journal of its own, with nothing in it.
    let records = std::mem::take(&mut world.lock().records);
    let there = [REMOTE.to_owned()];
    world.lock().variables.retain(|name, _| there.contains(name));
    let mut importer = world.provider();
    assert!(importer.are_luns_supported(Context(0), &[svol(0)]).unwrap());
    assert_eq!(event(join(&mut importer, set(2), 0)), Event::Egetev);
    importer.locate_luns(&[svol(0)]).unwrap();
    assert!(!world.lock().pairs[0].hidden);
    importer.on_lun_empty(&svol(0)).unwrap();
    assert!(world.lock().pairs[0].hidden);
    assert_eq!(world.lock().pairs[0].status, PairStatus::Copy);
    drop(records);
}

#[test]
fn a_copy_that_becomes_an_ordinary_lun_is_only_hidden_and_only_on_demand() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0]).unwrap();
    provider.locate_luns(&[svol(0)]).unwrap();
    let change = |flags| (StateChange(flags), [svol(0)], [pvol(0)]);
    for flags in [0x100, 0x200, 0x400] {
        let (flags, copies, originals) = change(flags);
        provider.on_lun_state_change(&copies, &originals, flags).unwrap();
        assert!(!world.lock().pairs[0].hidden);
    }
    let (flags, copies, originals) = change(0x900);
    provider.on_lun_state_change(&copies, &originals, flags).unwrap();
    assert!(world.lock().pairs[0].hidden);
    assert_eq!(world.lock().pairs[0].status, PairStatus::Psus, "masked, never deleted");
    for flags in [0, 0x1000, 0x80] {
        let (flags, copies, originals) = change(flags);
        let refused = provider.on_lun_state_change(&copies, &originals, flags);
        assert_eq!(event(refused), Event::Invarg);
    }
}

#[test]
fn the_provider_is_not_unloaded_from_under_a_set_unless_forced() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    assert_eq!(provider.unload(false), Ok(Unload::Ready));
    join(&mut provider, set(1), 0).unwrap();
    assert_eq!(provider.unload(false), Ok(Unload::Busy));
    assert_eq!(provider.unload(true), Ok(Unload::Ready));
    assert!(world.lock().records.is_empty());
}

#[test]
fn a_set_that_no_volume_could_join_does_not_keep_the_provider_loaded() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    finish(&mut provider, set(1), 1).unwrap();
    let held = join(&mut provider, set(2), 0).unwrap_err();
    assert_eq!(held.hresult, Hresult::MaximumNumberOfSnapshots);
    assert_eq!(provider.unload(false), Ok(Unload::Ready));
}

#[test]
fn waiting_for_pairs_ends_at_its_limit_and_when_the_set_is_given_up() {
    let world = Shared::new(1);
    world.lock().copy_looks = u32::MAX;
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    assert_eq!(event(provider.end_prepare(set(1))), Event::Invstp);
    assert!(world.lock().now >= Duration::from_secs(60));
    let before = world.lock().now;
    provider.stop().stop();
    let refused = provider.end_prepare(set(1)).unwrap_err();
    assert_eq!(refused.fault.cause.as_deref(), Some("the coordinator gave the set up"));
    assert_eq!(world.lock().now, before, "at once");
    provider.abort(set(1)).unwrap();
    world.lock().copy_looks = 1;
    world.lock().pairs[0].left = 1;
    create(&mut provider, set(2), &[0]).unwrap();
}

#[test]
fn between_two_looks_at_the_pairs_other_calls_are_answered_and_may_give_the_set_up() {
    let world = Shared::new(2);
    world.lock().copy_looks = 100;
    let mut provider = world.provider();
    let enders: [&mut dyn FnMut(&mut crate::Provider); 3] = [
        &mut |p| p.abort(set(1)).unwrap(),
        &mut |p| assert_eq!(p.unload(true), Ok(Unload::Ready)),
        &mut |p| join(p, set(9), 1).unwrap(),
    ];
    for (n, end) in enders.into_iter().enumerate() {
        let id = set(1 + n as u128);
        join(&mut provider, id, 0).unwrap();
        let mut preparation = provider.begin_end_prepare(id).unwrap();
        assert_eq!(provider.is_prepared(&mut preparation), Ok(false));
        assert!(provider.are_luns_supported(Context(0), &[pvol(1)]).unwrap());
        assert_eq!(provider.unload(false), Ok(Unload::Busy));
        end(&mut provider);
        let refused = provider.is_prepared(&mut preparation).unwrap_err();
        assert_eq!(refused.fault.event, Event::Invstp);
        assert_eq!(refused.fault.cause.as_deref(), Some("the coordinator gave the set up"));
    }
    world.lock().copy_looks = 1;
    world.lock().pairs.iter_mut().for_each(|known| known.left = 1);
    let mut preparation = provider.begin_end_prepare(set(9)).unwrap();
    while !provider.is_prepared(&mut preparation).unwrap() {}
    assert_eq!(provider.state(set(9)), State::Prepared);
    assert_eq!(provider.is_prepared(&mut preparation), Ok(true), "once more");
}

#[test]
fn a_set_has_at_most_64_volumes() {
    let world = Shared::new(65);
    let mut provider = world.provider();
    for n in 0..64 {
        join(&mut provider, set(1), n).unwrap();
    }
    let refused = join(&mut provider, set(1), 64).unwrap_err();
    assert_eq!(refused.hresult, Hresult::MaximumNumberOfVolumes);
    finish(&mut provider, set(1), 64).unwrap();
    assert!(world.lock().pairs[..64].iter().all(|known| known.status == PairStatus::Psus));
}

#[test]
fn a_volume_that_failed_to_join_is_not_waited_for_but_brought_back() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    world.lock().pairs[1].partner = crate::lun::tests::volume(77);
    world.lock().pairs[1].status = PairStatus::Pair;
    assert_eq!(event(join(&mut provider, set(1), 1)), Event::Invstp);
    finish(&mut provider, set(1), 1).unwrap();
    assert_eq!(world.lock().pairs[1].status, PairStatus::Pair, "another's pair was left alone");
}

#[test]
fn a_set_that_could_not_be_brought_back_does_not_take_the_copies_made_since() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    join(&mut provider, set(1), 0).unwrap();
    world.goes_wrong(0, Wrong::Before(Code::ExAtthor));
    assert_eq!(event(provider.abort(set(1))), Event::Atthor);
    // Behind the journal comes the pair of the old set.
    world.goes_wrong(1, Wrong::Before(Code::ExAtthor));
    create(&mut provider, set(2), &[0]).unwrap();
    assert_eq!(world.told(), [Event::Atthor, Event::Atthor]);
    assert_eq!(world.lock().records.len(), 2);
    drop(provider);
    let _provider = world.provider();
    assert_eq!(world.lock().pairs[0].status, PairStatus::Psus);
    assert_eq!(world.lock().records.keys().copied().collect::<Vec<_>>(), [set(2)]);
}

#[test]
fn the_id_of_a_set_that_an_earlier_run_left_is_not_taken_again() {
    let world = Shared::new(2);
    let mut provider = world.provider();
    create(&mut provider, set(1), &[0]).unwrap();
    join(&mut provider, set(2), 1).unwrap();
    provider.end_prepare(set(2)).unwrap();
    provider.pre_commit(set(2)).unwrap();
    provider.commit(set(2)).unwrap();
    drop(provider);
    // It cannot be brought back now.
    world.goes_wrong(2, Wrong::Before(Code::ExAtthor));
    let mut provider = world.provider();
    world.goes_wrong(2, Wrong::Before(Code::ExAtthor));
    for id in [2, 1] {
        assert_eq!(event(join(&mut provider, set(id), 1)), Event::Invseq, "set {id}");
    }
    let _provider = world.provider();
    assert_eq!(world.lock().records.keys().copied().collect::<Vec<_>>(), [set(1)]);
    assert_eq!(world.lock().pairs[1].status, PairStatus::Copy);
}
