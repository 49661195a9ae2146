//! The provider as tests load it: the host, what it tells, and a set's calls.

// Each test program takes what it needs.
#![allow(dead_code)]

pub mod arrays;
pub mod hosts;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use ::provider::{
    Limits, Outside, Provider,
    context::Context,
    error::Refused,
    event::Event,
    file_journal::FileJournal,
    guid::{Guid, SetId, SnapshotId},
    host::{EventLog, Host, Installation, WallClock},
    lun::LunInfo,
    session::Session as Horcm,
    settings::{LOCAL, MUN, REMOTE},
};
use lab::Lab;
use model::{LdevId, Serial, VolumeId};

/// The host of the tests: root of its own installation, with the seed's variables.
pub struct TestHost {
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
pub struct Told(Arc<Mutex<Vec<Refused>>>);

impl Told {
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap()).iter().map(|told| told.fault.event).collect()
    }
}

impl EventLog for Told {
    fn write(&mut self, refused: &Refused) {
        self.0.lock().unwrap().push(refused.clone());
    }
}

/// A provider of instances 50 and 51 with MU# `mu`.
pub fn load(home: &Path, journal: &Path, mu: &str, told: &Told) -> Result<Provider, Refused> {
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

pub fn provider(lab: &Lab) -> Provider {
    load(&lab.root(), &lab.path("sets"), "2", &Told::default()).unwrap()
}

/// The steps of the seed's chapter 3.7.2 behind the configuration files.
pub fn seeds_pair() -> Lab {
    seeds_pair_in(Lab::new())
}

/// The same in a lab of which nothing runs yet.
pub fn seeds_pair_in(mut lab: Lab) -> Lab {
    lab.with_hosts();
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    lab.cci(51, "raidvchkset -g snap -vg idb").ok();
    lab.cci(51, "paircreate -g snap -vr -m noread").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    lab
}

/// An LDEV of the sample's array.
pub fn volume(ldev: u32) -> VolumeId {
    volume_of(62496, ldev)
}

/// The same of any array.
pub fn volume_of(serial: u32, ldev: u32) -> VolumeId {
    VolumeId { serial: Serial::new(serial).unwrap(), ldev: LdevId::new(ldev).unwrap() }
}

/// A LUN as the provider itself describes it, for tests that look at no disk.
pub fn described(ldev: u32) -> LunInfo {
    described_of(62496, ldev)
}

/// The same of any array.
pub fn described_of(serial: u32, ldev: u32) -> LunInfo {
    let like = LunInfo {
        vendor: Some("HITACHI ".into()),
        product: Some("OPEN-3          ".into()),
        revision: Some("2114".into()),
        ..LunInfo::default()
    };
    LunInfo::of(volume_of(serial, ldev), &like)
}

pub fn set(n: u128) -> SetId {
    SetId(Guid(n))
}

/// From EndPrepareSnapshots to the end; `at_commit` runs between the commit and what follows.
pub fn finish(provider: &mut Provider, id: SetId, count: usize, at_commit: impl FnOnce()) {
    provider.end_prepare(id).unwrap();
    provider.pre_commit(id).unwrap();
    provider.commit(id).unwrap();
    at_commit();
    provider.post_commit(id, count).unwrap();
    provider.pre_final_commit(id).unwrap();
    provider.post_final_commit(id).unwrap();
}

pub fn join(provider: &mut Provider, id: SetId, lun: LunInfo) -> Result<(), Refused> {
    let volume = lun.volume().unwrap().unwrap();
    let number = u128::from(volume.serial.get()) << 32 | u128::from(volume.ldev.get());
    let snapshot = SnapshotId(Guid(id.0.0 << 64 | number));
    provider.begin_prepare(id, snapshot, Context(Context::TRANSPORTABLE), &[lun])
}
