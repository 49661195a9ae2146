//! A session by a seed.

use std::{collections::BTreeMap, sync::Arc};

use model::{LdevId, MuNumber, PairEnd, Serial, SplitMode, VolumeId};
use protocol::{
    RequestId,
    orders::{
        CreateOptions, CtgRequest, LocalEnd, Order, PairChange, PairTarget, ResyncOptions,
        SplitOptions,
    },
};

use super::{
    Mutation,
    model::{PAIRS, SECTOR, VOLUMES, Volumes, sector, slots},
};
use crate::{
    array::Array,
    clock::SystemClock,
    config,
    store::disk::{Dice, Recorder, Replay},
};

/// The array's directory on its media.
pub const DIR: &str = "array";
/// Steps of a session.
const STEPS: usize = 96;

const TOML: &str = "
serial = 62496
[[pool]]
id = 0
[[pool.file]]
path = \"pool\"
size = \"200 MiB\"
[[pool]]
id = 1
[[pool.file]]
path = \"other\"
size = \"66 MiB\"
[[ldev]]
ldev = \"17-22\"
pool = 0
emulation = \"OPEN-V\"
size = \"40 MiB\"
[[ldev]]
ldev = 23
pool = 1
emulation = \"OPEN-V\"
size = \"40 MiB\"
";

/// The status words of all pairs, P-VOL side, with the S-VOL of the pair that is there.
type States = Vec<(&'static str, Option<u32>)>;

/// What was true, or may be true, from an event on.
struct Step {
    /// Events before it began, and when it had returned.
    began: usize,
    ended: usize,
    /// What a crash in the midst of it may show.
    during: Vec<(States, Volumes)>,
    /// What a crash after it shows.
    after: (States, Volumes),
}

/// A session that was played.
pub struct Session {
    recorder: Recorder,
    first: usize,
    start: (States, Volumes),
    steps: Vec<Step>,
}

impl Session {
    /// Plays the session of a seed.
    pub fn play(seed: u64, mutation: Mutation) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0xd134_2543_de82_ef95) | 1);
        dice.below(2);
        let recorder = Recorder::new();
        let inventory = config::parse(TOML).expect("the description is right");
        Array::create_on(&recorder, DIR.as_ref(), &inventory).expect("memory does not fail");
        let media = Arc::new(recorder.clone());
        let array =
            Array::open_on(media, DIR.as_ref(), Box::new(SystemClock)).expect("the array is new");
        let first = recorder.position();
        if mutation == Mutation::SkipFlush {
            recorder.skip_flush(recorder.flushes() + dice.below(100));
        }
        let start = (states(&array), Volumes::new());
        let mut player = Player { array, dice, now: start.clone(), stamp: 0 };
        let mut steps = Vec::with_capacity(STEPS);
        for _ in 0..STEPS {
            let began = recorder.position();
            let during = player.step();
            let ended = recorder.position();
            steps.push(Step { began, ended, during, after: player.now.clone() });
        }
        Self { recorder, first, start, steps }
    }

    /// The first and the last crash point.
    pub fn range(&self) -> (usize, usize) {
        (self.first, self.steps.last().map_or(self.first, |step| step.ended))
    }

    /// The recording.
    pub fn replay(&self) -> Replay {
        self.recorder.replay()
    }

    /// Compares an array that was opened after a crash at `point` with what it may be.
    pub fn compare(&self, array: &Array, point: usize) -> Result<(), String> {
        let at = self.steps.partition_point(|step| step.began < point);
        let possible: Vec<&(States, Volumes)> = match at.checked_sub(1).map(|n| &self.steps[n]) {
            None => vec![&self.start],
            Some(step) if point >= step.ended => vec![&step.after],
            Some(step) => step.during.iter().collect(),
        };
        let found = states(array);
        let mut why = format!("the pairs are {found:?}, which they cannot be");
        for (states, volumes) in possible {
            if *states == found {
                match volumes.compare(array, |volume| follows(&found, volume)) {
                    Ok(()) => return Ok(()),
                    Err(what) => why = what,
                }
            }
        }
        Err(why)
    }
}

struct Player {
    array: Array,
    dice: Dice,
    now: (States, Volumes),
    stamp: u64,
}

impl Player {
    /// One step; what a crash in the midst of it may show.
    fn step(&mut self) -> Vec<(States, Volumes)> {
        let before = self.now.clone();
        match self.dice.below(20) {
            0..=8 => return self.write(),
            9 => {
                self.array.flush(ldev(17)).expect("memory does not fail");
                self.now.1.flushed();
            }
            10 => {
                self.array.store.tidy().expect("memory does not fail");
                self.array.store.fold().expect("memory does not fail");
                self.array.store.punch();
            }
            11 => {
                self.array.step();
                self.now.0 = states(&self.array);
            }
            _ => self.order(),
        }
        vec![before, self.now.clone()]
    }

    fn write(&mut self) -> Vec<(States, Volumes)> {
        let volume = VOLUMES[[0, 0, 0, 1, 2, 2, 3, 4, 5, 6][self.dice.below(10) as usize]];
        if self.array.check_writable(ldev(volume)).is_err() {
            return vec![self.now.clone()];
        }
        let count = slots().count() as u64;
        let slot = slots().nth(self.dice.below(count) as usize).unwrap_or(0);
        let (from, length) = match self.dice.below(5) {
            0 => (slot + self.dice.below(8) * SECTOR as u64, SECTOR),
            1 => (slot / 65_536 * 65_536, 65_536),
            2 => (slot, 150_000 / SECTOR * SECTOR),
            _ => (slot, 4096),
        };
        self.stamp += 1;
        let zeros = self.dice.below(6) == 0;
        let number = if zeros { 0 } else { self.stamp };
        let written = if zeros {
            self.array.zero(ldev(volume), from, length as u64)
        } else {
            let data: Vec<u8> = sector(number).repeat(length / SECTOR);
            self.array.write(ldev(volume), from, &data)
        };
        written.expect("the volume takes writes");
        self.now.1.write(volume, from, from + length as u64, number);
        // The old numbers stay possible until the next flush, so this is all a crash may show.
        vec![self.now.clone()]
    }

    fn order(&mut self) {
        let split = |mode| {
            PairChange::Split(SplitOptions {
                writable: true,
                mode: Some(mode),
                pace: None,
                fresh: false,
            })
        };
        let targets: &[usize] =
            [&[0, 1][..], &[0, 1], &[2], &[3], &[4], &[4]][self.dice.below(6) as usize];
        let grouped = targets.len() > 1;
        let change = match self.dice.below(10) {
            0 | 1 => PairChange::Create(CreateOptions {
                group: grouped.then_some(CtgRequest::Id(7)),
                ..CreateOptions::default()
            }),
            2..=4 => split(SplitMode::Quick),
            // Between pools a normal split shows COPY, as a pair does that follows.
            5 if !targets.contains(&4) => split(SplitMode::Normal),
            6 => PairChange::Resync(ResyncOptions::default()),
            7 => PairChange::Resync(ResyncOptions { restore: true, ..ResyncOptions::default() }),
            5 => split(SplitMode::Quick),
            8 => PairChange::Dissolve,
            _ => PairChange::Fail,
        };
        let before = self.now.0.clone();
        let pairs = targets.iter().map(|n| target(PAIRS[*n])).collect();
        let order = Order::Change { change, pairs };
        if self.array.execute(RequestId::random(), &order).is_err() {
            return;
        }
        self.now.0 = states(&self.array);
        let volumes = &mut self.now.1;
        let holds = |followed: u32| root(&before, followed);
        let mut fixed = BTreeMap::new();
        for n in targets {
            let (p, _, s) = PAIRS[*n];
            let was = follows(&before, s).is_some();
            let is = follows(&self.now.0, s).is_some();
            match change {
                PairChange::Resync(options) if options.restore && !was && is => {
                    fixed.insert(p, s);
                }
                _ if was && !is => {
                    fixed.insert(s, holds(p));
                }
                _ => {}
            }
        }
        let frozen = volumes.clone();
        for (to, from) in fixed {
            let mut copy = frozen.clone();
            copy.copy(from, to);
            volumes.take(&copy, to);
        }
        // An order makes durable what was written before it.
        if before != self.now.0 {
            volumes.flushed();
        }
    }
}

/// The volume whose content a volume shows.
fn root(states: &States, volume: u32) -> u32 {
    follows(states, volume).map_or(volume, |above| root(states, above))
}

/// The P-VOL that a volume follows, if it does.
fn follows(states: &States, volume: u32) -> Option<u32> {
    let pairs = PAIRS.iter().zip(states);
    let mut found = pairs.filter(|((_, _, s), (state, partner))| {
        *s == volume && *partner == Some(volume) && matches!(*state, "COPY" | "PAIR" | "RCPY")
    });
    found.next().map(|((p, _, _), _)| *p)
}

fn states(array: &Array) -> States {
    let state = |(p, mu, _): &(u32, u32, u32)| {
        let status = array.status(end(*p, *mu));
        let partner = status.and_then(|status| status.partner);
        let word = status.map_or("----", |status| status.status.word());
        (word, partner.map(|partner| partner.volume.ldev.get()))
    };
    PAIRS.iter().map(state).collect()
}

fn ldev(number: u32) -> LdevId {
    LdevId::new(number).unwrap_or_default()
}

fn end(number: u32, mu: u32) -> LocalEnd {
    LocalEnd { ldev: ldev(number), mu: MuNumber::new(mu).unwrap_or_default() }
}

fn target((p, mu, s): (u32, u32, u32)) -> PairTarget {
    let serial = Serial::new(62_496).expect("a serial number");
    let volume = VolumeId { serial, ldev: ldev(s) };
    PairTarget { end: end(p, mu), partner: Some(PairEnd { volume, mu: MuNumber::default() }) }
}
