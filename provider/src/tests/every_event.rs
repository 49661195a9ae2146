//! Every message of Table 3.5 comes out of the provider, with an HRESULT that VSS takes, and was
//! told to the event log before.

use std::collections::BTreeMap;

use model::{Code, PairStatus};

use super::{create, finish, join, pvol, set};
use crate::{
    context::Context,
    error::Refused,
    event::Event,
    fake::{Shared, Wrong},
    host::Installation,
    hresult::Hresult,
    lun::LunInfo,
};

type Way = fn(&Shared) -> Result<(), Refused>;

fn begun(world: &Shared, wrong: Wrong) -> Result<(), Refused> {
    let mut provider = world.provider();
    join(&mut provider, set(1), 0)?;
    world.goes_wrong(0, wrong);
    finish(&mut provider, set(1), 1)
}

fn lun(world: &Shared, lun: LunInfo) -> Result<(), Refused> {
    world.provider().begin_prepare(set(1), super::copy(1), Context(0), &[lun])
}

/// For each message a way to it.
const WAYS: &[(Event, Hresult, Way)] = &[
    (Event::Erperm, Hresult::AccessDenied, |world| {
        world.lock().unprivileged = true;
        world.load().map(drop)
    }),
    (Event::Enomem, Hresult::OutOfMemory, |world| begun(world, Wrong::Before(Code::ExEnomem))),
    (Event::Invstp, Hresult::ProviderVeto, |world| {
        let mut provider = world.provider();
        join(&mut provider, set(1), 0)?;
        world.lock().pairs[0].status = PairStatus::Psue;
        provider.end_prepare(set(1))
    }),
    (Event::Atthor, Hresult::ProviderVeto, |world| begun(world, Wrong::Before(Code::ExAtthor))),
    (Event::Cmdioe, Hresult::ProviderVeto, |world| begun(world, Wrong::After(Code::ExCmdioe))),
    (Event::Egetev, Hresult::ProviderVeto, |world| {
        world.lock().variables.clear();
        world.load().map(drop)
    }),
    (Event::Enosup, Hresult::VolumeNotSupportedByProvider, |world| {
        lun(world, LunInfo { product: Some("OPEN-3-CM".into()), ..pvol(0) })
    }),
    (Event::Enoinq, Hresult::ProviderVeto, |world| {
        lun(world, LunInfo { identifiers: vec![], ..pvol(0) })
    }),
    (Event::Enoobj, Hresult::ObjectNotFound, |world| world.provider().commit(set(9))),
    (Event::Enoser, Hresult::ProviderVeto, |world| {
        let mut other = pvol(0);
        other.identifiers.drain(..2);
        lun(world, LunInfo { serial: Some("  ".into()), ..other })
    }),
    (Event::Enrmcm, Hresult::ProviderVeto, |world| {
        world.lock().installation = Some(Installation::Without("pairdisplay".into()));
        world.load().map(drop)
    }),
    (Event::Enrmph, Hresult::ProviderVeto, |world| {
        world.lock().installation = Some(Installation::Missing("/HORCM".into()));
        world.load().map(drop)
    }),
    (Event::Esetev, Hresult::ProviderVeto, |world| {
        world.lock().set_variables = Some("error 8".into());
        world.load().map(drop)
    }),
    (Event::Except, Hresult::ProviderVeto, |world| begun(world, Wrong::DiesBefore)),
    (Event::Invarg, Hresult::InvalidArg, |world| {
        world.provider().begin_prepare(set(1), super::copy(1), Context(0), &[])
    }),
    (Event::Invseq, Hresult::BadState, |world| {
        let mut provider = world.provider();
        join(&mut provider, set(1), 0)?;
        provider.commit(set(1))
    }),
    (Event::Eopdev, Hresult::ProviderVeto, |world| {
        let mut provider = world.provider();
        join(&mut provider, set(1), 0)?;
        provider.end_prepare(set(1))?;
        // Behind the look at the pair comes the journal.
        world.goes_wrong(1, Wrong::Before(Code::ExComerr));
        provider.pre_commit(set(1))
    }),
];

#[test]
fn every_message_has_a_way_out_and_stands_in_the_event_log() {
    let ways: BTreeMap<_, _> = WAYS.iter().map(|(event, ..)| (event.id(), event)).collect();
    assert_eq!(ways.len(), Event::ALL.len(), "a message without a way");
    for (event, hresult, way) in WAYS {
        let world = Shared::new(1);
        let refused = way(&world).unwrap_err();
        assert_eq!((refused.fault.event, refused.hresult), (*event, *hresult), "{refused}");
        assert!(refused.hresult.allowed_at(refused.entry));
        if refused.entry == crate::entry::Entry::CommitSnapshots {
            continue;
        }
        assert_eq!(world.told(), [*event]);
    }
}

#[test]
fn the_variables_for_commands_name_the_instance_of_the_p_vols() {
    let world = Shared::new(0);
    let _provider = world.provider();
    assert_eq!(world.lock().variables["HORCMINST"], "50");
    assert_eq!(world.lock().variables["HORCC_MRCF"], "1");
    world.lock().no_variables = true;
    assert_eq!(super::event(world.load()), Event::Egetev);
}

#[test]
fn luns_of_others_are_declined_in_silence_and_odd_ones_of_ours_with_a_word() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    let supported = |provider: &mut crate::Provider, luns: &[LunInfo]| {
        provider.are_luns_supported(Context(0), luns).unwrap()
    };
    let foreign = LunInfo { vendor: Some("ATA".into()), ..pvol(0) };
    assert!(!supported(&mut provider, &[pvol(0), foreign.clone()]), "all or nothing");
    assert!(!supported(&mut provider, &[super::pvol(40)]), "in no configuration");
    assert!(!supported(&mut provider, &[]));
    assert!(!provider.fill_in_lun_info(&mut { foreign }).unwrap());
    assert_eq!(world.told(), []);
    let command_device = LunInfo { product: Some("OPEN-3-CM".into()), ..pvol(0) };
    assert!(!supported(&mut provider, &[command_device]));
    assert_eq!(world.told(), [Event::Enosup]);
    let differential = Context(Context::DIFFERENTIAL);
    assert!(!provider.are_luns_supported(differential, &[pvol(0)]).unwrap());
    let plex = Context(Context::PLEX | Context::TRANSPORTABLE);
    assert!(provider.are_luns_supported(plex, &[pvol(0)]).unwrap());
    let refused = provider.begin_prepare(set(1), super::copy(1), differential, &[pvol(0)]);
    assert_eq!(refused.unwrap_err().hresult, Hresult::UnsupportedContext);
}

#[test]
fn a_daemon_that_is_down_is_no_reason_to_take_another_provider() {
    let world = Shared::new(1);
    let mut provider = world.provider();
    world.goes_wrong(0, Wrong::Before(Code::ExAtthor));
    let refused = provider.are_luns_supported(Context(0), &[pvol(0)]).unwrap_err();
    assert_eq!(refused.fault.event, Event::Atthor);
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_holds_up_nothing() {
    let world = Shared::new(1);
    world.lock().damaged.push("1.set.damaged".into());
    let mut provider = world.provider();
    assert_eq!(world.told(), [Event::Eopdev]);
    create(&mut provider, set(1), &[0]).unwrap();
}

#[test]
fn one_pair_that_cannot_be_brought_back_does_not_hold_up_the_others() {
    let world = Shared::new(3);
    let mut provider = world.provider();
    for n in 0..3 {
        join(&mut provider, set(1), n).unwrap();
    }
    provider.end_prepare(set(1)).unwrap();
    provider.pre_commit(set(1)).unwrap();
    provider.commit(set(1)).unwrap();
    let gone = world.lock().pairs.remove(1);
    assert_eq!(super::event(provider.abort(set(1))), Event::Enosup, "EX_ENLDEV");
    assert!(world.lock().pairs.iter().all(|known| known.status == PairStatus::Copy));
    assert_eq!(world.lock().records.len(), 1, "it is tried again");
    world.lock().pairs.push(gone);
    drop(provider);
    let _provider = world.provider();
    assert!(world.lock().records.is_empty());
    assert!(world.lock().pairs.iter().all(|known| known.status != PairStatus::Psus));
}
