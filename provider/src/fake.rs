//! RAID Manager, journal, clock and host of memory, with faults on demand.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use model::{CciError, CciResult, Code, MuNumber, PairEnd, PairStatus, Role, VolumeId};

use crate::{
    Limits, Outside, Provider,
    error::Refused,
    event::Event,
    guid::SetId,
    host::{Clock, EventLog, Host, Installation},
    journal::{Found, Journal, Record},
    lun::tests::volume,
    raid::{Pair, Raid, Standing, Towards},
    settings::{LOCAL, MUN, REMOTE},
};

/// A pair of the fake array. Contents are numbers: a write makes another one.
#[derive(Debug, Clone)]
pub(crate) struct FakePair {
    pub(crate) pair: Pair,
    pub(crate) status: PairStatus,
    pub(crate) partner: VolumeId,
    pub(crate) hidden: bool,
    pub(crate) pvol: u64,
    pub(crate) svol: u64,
    /// How often it is looked at before a copy ends.
    pub(crate) left: u32,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Refused with this code; nothing happened.
    Before(Code),
    /// It happened, and the answer was lost.
    After(Code),
    /// The process dies in it; what was asked did not happen.
    DiesBefore,
    /// The same; it happened.
    DiesAfter,
}

/// How a fake death is known among panics.
pub(crate) const DEATH: &str = "killed";

/// Everything outside the provider.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) pairs: Vec<FakePair>,
    pub(crate) armed: Vec<Pair>,
    pub(crate) records: BTreeMap<SetId, Record>,
    pub(crate) damaged: Vec<String>,
    pub(crate) now: Duration,
    pub(crate) slow_split: Duration,
    pub(crate) copy_looks: u32,
    pub(crate) variables: HashMap<String, String>,
    pub(crate) no_variables: bool,
    pub(crate) set_variables: Option<String>,
    pub(crate) unprivileged: bool,
    pub(crate) installation: Option<Installation>,
    pub(crate) used: HashMap<VolumeId, String>,
    pub(crate) events: Vec<Refused>,
    /// Operations so far, and at which something goes wrong.
    pub(crate) operations: u64,
    pub(crate) wrong: BTreeMap<u64, Wrong>,
    /// What was asked of RAID Manager and the journal, in order.
    pub(crate) trace: Vec<&'static str>,
}

/// The world as the fakes share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<World>>);

/// A pair of P-VOL LDEV `2n` and S-VOL `2n + 1`, in groups of four.
pub(crate) fn pair(n: u32) -> Pair {
    let end = |ldev, mu| PairEnd { volume: volume(ldev), mu: MuNumber::new(mu).unwrap() };
    Pair {
        group: format!("g{}", n / 4).parse().unwrap(),
        name: format!("dev{n}").parse().unwrap(),
        primary: end(2 * n, 2),
        secondary: end(2 * n + 1, 0),
    }
}

impl Shared {
    /// So many pairs, all in SMPL, and the seed's variables.
    pub(crate) fn new(pairs: u32) -> Self {
        let shared = Self::default();
        {
            let mut world = shared.lock();
            world.pairs = (0..pairs)
                .map(|n| FakePair {
                    pair: pair(n),
                    status: PairStatus::Smpl,
                    partner: volume(2 * n + 1),
                    hidden: false,
                    pvol: u64::from(n) + 100,
                    svol: 0,
                    left: 0,
                })
                .collect();
            world.copy_looks = 2;
            for (name, value) in [(LOCAL, "50"), (REMOTE, "51"), (MUN, "2")] {
                world.variables.insert(name.to_owned(), value.to_owned());
            }
        }
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn outside(&self) -> Outside {
        Outside {
            journal: Box::new(self.clone()),
            clock: Box::new(self.clone()),
            host: Box::new(self.clone()),
            events: Box::new(self.clone()),
        }
    }

    /// A provider that was loaded into this world.
    pub(crate) fn load(&self) -> Result<Provider, Refused> {
        let limits = Limits { prepare: Duration::from_secs(60), ..Limits::default() };
        Provider::load(self.outside(), limits, |_| Box::new(self.clone()))
    }

    pub(crate) fn provider(&self) -> Provider {
        self.load().unwrap()
    }

    /// The next operation but so many goes wrong.
    pub(crate) fn goes_wrong(&self, after: u64, wrong: Wrong) {
        let mut world = self.lock();
        let at = world.operations + after;
        world.wrong.insert(at, wrong);
    }

    /// The messages told since the last time.
    pub(crate) fn told(&self) -> Vec<Event> {
        let told = std::mem::take(&mut self.lock().events);
        told.iter().map(|refused| refused.fault.event).collect()
    }

    /// Carries out one operation with what is to go wrong.
    fn operate<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut World) -> CciResult<T>,
    ) -> CciResult<T> {
        let mut world = self.lock();
        world.trace.push(name);
        let at = world.operations;
        world.operations += 1;
        let wrong = world.wrong.remove(&at);
        let fail = |code| Err(CciError::new(code).cause("it was made to go wrong"));
        match wrong {
            None => work(&mut world),
            Some(Wrong::Before(code)) => fail(code),
            Some(Wrong::After(code)) => {
                let _ = work(&mut world);
                fail(code)
            }
            Some(Wrong::DiesBefore) => {
                drop(world);
                panic!("{DEATH}")
            }
            Some(Wrong::DiesAfter) => {
                let _ = work(&mut world);
                drop(world);
                panic!("{DEATH}")
            }
        }
    }
}

impl World {
    pub(crate) fn at(&mut self, pair: &Pair) -> CciResult<&mut FakePair> {
        let found = self.pairs.iter_mut().find(|known| known.pair == *pair);
        found.ok_or_else(|| CciError::new(Code::ExEnldev))
    }

    /// What the array's table says (`cci` 3.4(a)).
    fn allowed(status: PairStatus, towards: Option<Towards>) -> bool {
        use PairStatus::{Copy, Pair, Psue, Psus, Rcpy, Smpl};
        match towards {
            None => matches!(status, Copy | Pair),
            Some(Towards::Create) => matches!(status, Smpl | Copy | Rcpy | Pair),
            Some(Towards::Resync) => matches!(status, Psus | Psue | Copy | Rcpy | Pair),
            Some(Towards::Restore) => status == Psus,
        }
    }

    /// Changes all or none.
    fn change(&mut self, pairs: &[Pair], towards: Option<Towards>) -> CciResult<()> {
        for pair in pairs {
            let known = self.at(pair)?;
            if !Self::allowed(known.status, towards) {
                let state = known.status.word();
                return Err(CciError::new(Code::ExInvstp).object(pair.to_string()).state(state));
            }
        }
        let left = self.copy_looks;
        for pair in pairs {
            let known = self.at(pair)?;
            match (towards, known.status) {
                (None, _) => {
                    known.status = PairStatus::Psus;
                    known.svol = known.pvol;
                }
                (Some(Towards::Restore), _) => {
                    known.status = PairStatus::Rcpy;
                    known.pvol = known.svol;
                    known.left = left;
                }
                (Some(_), PairStatus::Smpl | PairStatus::Psus | PairStatus::Psue) => {
                    known.status = PairStatus::Copy;
                    known.left = left;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Raid for Shared {
    fn by_primary(&mut self, volume: VolumeId, mirror: MuNumber) -> CciResult<Option<Pair>> {
        self.operate("by_primary", |world| {
            let mut pairs = world.pairs.iter().map(|known| &known.pair);
            let found = pairs.find(|p| p.primary.volume == volume && p.primary.mu == mirror);
            Ok(found.cloned())
        })
    }

    fn by_secondary(&mut self, volume: VolumeId) -> CciResult<Option<Pair>> {
        self.operate("by_secondary", |world| {
            let mut pairs = world.pairs.iter().map(|known| &known.pair);
            let remote = world.variables.contains_key(REMOTE);
            Ok(pairs.find(|p| remote && p.secondary.volume == volume).cloned())
        })
    }

    fn standing(&mut self, pair: &Pair) -> CciResult<Standing> {
        self.operate("standing", |world| {
            let known = world.at(pair)?;
            if known.status == PairStatus::Smpl {
                return Ok(Standing::SMPL);
            }
            let standing =
                Standing { role: Role::PVol, status: known.status, partner: Some(known.partner) };
            known.left = known.left.saturating_sub(1);
            if known.left == 0 && matches!(known.status, PairStatus::Copy | PairStatus::Rcpy) {
                known.status = PairStatus::Pair;
            }
            Ok(standing)
        })
    }

    fn order(&mut self, pairs: &[Pair], towards: Towards) -> CciResult<()> {
        self.operate("order", |world| world.change(pairs, Some(towards)))
    }

    fn hide(&mut self, pairs: &[Pair], hidden: bool) -> CciResult<()> {
        self.operate("hide", |world| {
            if world.variables.contains_key(REMOTE) {
                for pair in pairs {
                    world.at(pair)?.hidden = hidden;
                }
            }
            Ok(())
        })
    }

    fn arm(&mut self, pairs: &[Pair]) -> CciResult<()> {
        self.operate("arm", |world| {
            world.armed = pairs.to_vec();
            Ok(())
        })
    }

    fn fire(&mut self, _: Duration) -> CciResult<()> {
        self.operate("fire", |world| {
            world.now += world.slow_split;
            let armed = world.armed.clone();
            world.change(&armed, None)
        })
    }
}

impl Journal for Shared {
    fn records(&mut self) -> io::Result<Found> {
        self.operate("records", |world| {
            let damaged = std::mem::take(&mut world.damaged);
            Ok(Found { records: world.records.values().cloned().collect(), damaged })
        })
        .map_err(|error| io::Error::other(error.to_string()))
    }

    fn put(&mut self, record: &Record) -> io::Result<()> {
        self.operate("put", |world| {
            world.records.insert(record.set, record.clone());
            Ok(())
        })
        .map_err(|error| io::Error::other(error.to_string()))
    }

    fn remove(&mut self, set: SetId) -> io::Result<()> {
        self.operate("remove", |world| {
            world.records.remove(&set);
            Ok(())
        })
        .map_err(|error| io::Error::other(error.to_string()))
    }
}

impl Clock for Shared {
    fn now(&self) -> Duration {
        self.lock().now
    }

    fn sleep(&self, time: Duration) {
        self.lock().now += time;
    }
}

impl Host for Shared {
    fn privileged(&self) -> bool {
        !self.lock().unprivileged
    }

    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        let world = self.lock();
        if world.no_variables {
            Err("error 8".into())
        } else {
            Ok(world.variables.get(name).cloned())
        }
    }

    fn set_variable(&mut self, name: &str, value: &str) -> Result<(), String> {
        let mut world = self.lock();
        if let Some(error) = &world.set_variables {
            return Err(error.clone());
        }
        world.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn installation(&self) -> Installation {
        self.lock().installation.clone().unwrap_or(Installation::Whole)
    }

    fn user_of(&self, volume: VolumeId) -> Option<String> {
        self.lock().used.get(&volume).cloned()
    }
}

impl EventLog for Shared {
    fn write(&mut self, refused: &Refused) {
        let mut world = self.lock();
        world.trace.push("event");
        world.events.push(refused.clone());
    }
}
