//! The state machine of a ShadowImage pair, a pure function over the permission table of `cci`
//! 3.4(a).

use model::{CciError, Code, PairStatus, Role, SplitMode};
use protocol::orders::{CreateOptions, PairChange, ResyncOptions, SplitOptions};
use serde::{Deserialize, Serialize};

/// Where a pair stands. SMPL is the absence of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// COPY: from P-VOL to S-VOL, before PAIR.
    Copying,
    /// RCPY: from S-VOL to P-VOL, before PAIR.
    Restoring,
    /// PAIR.
    Paired,
    /// COPY after a normal split: the point in time is fixed, its bytes still move.
    Splitting,
    /// PSUS and SSUS.
    Split,
    /// PSUE.
    Failed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] =
        [Self::Copying, Self::Restoring, Self::Paired, Self::Splitting, Self::Split, Self::Failed];

    /// The status that a volume of this role shows.
    #[must_use]
    pub const fn status(self, role: Role) -> PairStatus {
        match (self, role) {
            (_, Role::Smpl) => PairStatus::Smpl,
            (Self::Copying | Self::Splitting, _) => PairStatus::Copy,
            (Self::Restoring, _) => PairStatus::Rcpy,
            (Self::Paired, _) => PairStatus::Pair,
            (Self::Split, Role::PVol) => PairStatus::Psus,
            (Self::Split, Role::SVol) => PairStatus::Ssus,
            (Self::Failed, _) => PairStatus::Psue,
        }
    }

    /// The phase that follows by itself once everything has been copied.
    #[must_use]
    pub const fn settled(self) -> Option<Self> {
        match self {
            Self::Copying | Self::Restoring => Some(Self::Paired),
            Self::Splitting => Some(Self::Split),
            Self::Paired | Self::Split | Self::Failed => None,
        }
    }

    /// The row of the table; SMPL has a row too.
    const fn row(this: Option<Self>) -> usize {
        match this {
            None => 0,
            Some(Self::Copying | Self::Restoring | Self::Splitting) => 1,
            Some(Self::Paired) => 2,
            Some(Self::Split) => 3,
            Some(Self::Failed) => 4,
        }
    }
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Executed.
    Acc,
    /// Ends normally without effect.
    Nop,
    /// Refused.
    Rej,
}
use Verdict::{Acc, Nop, Rej};

/// Rows and columns as `cci` 3.4(a) prints them.
#[rustfmt::skip]
const TABLE: [[Verdict; 7]; 5] = [
    // create, create -split, split, split -E, split -S, resync, resync -restore
    [Acc, Acc, Rej, Rej, Nop, Rej, Rej], // SMPL
    [Nop, Acc, Acc, Acc, Acc, Nop, Nop], // COPY, RCPY
    [Nop, Acc, Acc, Acc, Acc, Nop, Rej], // PAIR
    [Rej, Nop, Nop, Acc, Acc, Acc, Acc], // PSUS
    [Rej, Rej, Rej, Nop, Acc, Acc, Rej], // PSUE
];

/// Rows and columns of `cci` 3.4(b), Thin Image, in the order of [`TABLE`]. RCPY has the row of
/// COPY.
#[rustfmt::skip]
const SNAPSHOTS: [[Verdict; 7]; 5] = [
    // create, create -split, split, split -E, split -S, resync, resync -restore
    [Acc, Rej, Rej, Rej, Nop, Rej, Rej], // SMPL
    [Nop, Rej, Rej, Rej, Rej, Nop, Nop], // COPY, RCPY
    [Nop, Acc, Acc, Rej, Acc, Nop, Nop], // PAIR, PFUL
    [Rej, Nop, Nop, Rej, Acc, Acc, Acc], // PSUS, PFUS
    [Rej, Rej, Rej, Rej, Acc, Acc, Rej], // PSUE
];

const fn column(change: &PairChange) -> usize {
    match change {
        PairChange::Create(CreateOptions { split: None, .. }) => 0,
        PairChange::Create(CreateOptions { split: Some(_), .. }) => 1,
        PairChange::Split(_) => 2,
        PairChange::Fail => 3,
        PairChange::Dissolve => 4,
        PairChange::Resync(ResyncOptions { restore: false, .. }) => 5,
        PairChange::Resync(ResyncOptions { restore: true, .. }) => 6,
    }
}

/// What a change does to the volumes of a pair, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The S-VOL follows the P-VOL from now on; `equal` when nothing needs to be copied.
    Share {
        /// Vouched for by `-nocopy`.
        equal: bool,
    },
    /// The S-VOL is fixed at this instant.
    Mark {
        /// Whether hosts may write to it.
        writable: bool,
    },
    /// The S-VOL follows the P-VOL again.
    Follow,
    /// The P-VOL becomes what the S-VOL is.
    Restore,
    /// The pair is suspended.
    Detach,
    /// The pair ends.
    Release,
    /// The pair ends, and the snapshot with it.
    Discard,
}

/// What a change does to a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, and that is well.
    Nop,
    /// The pair goes to a phase (`None` is SMPL).
    Go(Option<Phase>, Vec<Effect>),
}

/// Decides what `change` does to a pair in `phase` (`None` is SMPL). `settled` tells that no
/// bytes are on their way, so that a state that waits for them need not be shown; `snapshot` that
/// it is a Thin Image pair.
///
/// # Errors
/// EX_INVSTP where the table refuses, with state, cause and advice; the caller adds the object.
pub fn decide(
    phase: Option<Phase>,
    change: &PairChange,
    settled: bool,
    snapshot: bool,
) -> Result<Step, Box<CciError>> {
    let table = if snapshot { &SNAPSHOTS } else { &TABLE };
    match table[Phase::row(phase)][column(change)] {
        Nop if stale(phase, change) => Err(Box::new(refusal(phase, change))),
        Nop => Ok(Step::Nop),
        Rej => Err(Box::new(refusal(phase, change))),
        Acc if snapshot => Ok(at_once(accepted(phase, change, true))),
        Acc => Ok(accepted(phase, change, settled)),
    }
}

/// Whether a split must not pass for what an earlier one did.
const fn stale(phase: Option<Phase>, change: &PairChange) -> bool {
    matches!((phase, change), (Some(Phase::Split), PairChange::Split(options)) if options.fresh)
}

/// A snapshot has nothing to copy, so no state that waits for it; and it goes with its pair.
fn at_once(step: Step) -> Step {
    let Step::Go(next, mut effects) = step else {
        return step;
    };
    for effect in effects.iter_mut().filter(|effect| **effect == Effect::Release) {
        *effect = Effect::Discard;
    }
    Step::Go(next.map(|phase| phase.settled().unwrap_or(phase)), effects)
}

fn accepted(phase: Option<Phase>, change: &PairChange, settled: bool) -> Step {
    let split_phase = |mode: Option<SplitMode>, settled: bool| {
        if settled || mode == Some(SplitMode::Quick) { Phase::Split } else { Phase::Splitting }
    };
    match change {
        PairChange::Create(options) => {
            let mut effects = Vec::new();
            if phase.is_none() {
                effects.push(Effect::Share { equal: options.no_copy });
            }
            let equal = if phase.is_none() { options.no_copy } else { settled };
            let next = match options.split {
                Some(mode) => {
                    effects.push(Effect::Mark { writable: true });
                    split_phase(Some(mode), equal)
                }
                None if options.no_copy => Phase::Paired,
                None => Phase::Copying,
            };
            Step::Go(Some(next), effects)
        }
        PairChange::Split(SplitOptions { writable, mode, .. }) => {
            Step::Go(Some(split_phase(*mode, settled)), vec![Effect::Mark { writable: *writable }])
        }
        PairChange::Fail => Step::Go(Some(Phase::Failed), vec![Effect::Detach]),
        PairChange::Dissolve => Step::Go(None, vec![Effect::Release]),
        PairChange::Resync(options) if options.restore => {
            Step::Go(Some(Phase::Restoring), vec![Effect::Restore])
        }
        PairChange::Resync(options) => {
            let next = match options.mode {
                Some(SplitMode::Quick) => Phase::Paired,
                _ => Phase::Copying,
            };
            Step::Go(Some(next), vec![Effect::Follow])
        }
    }
}

/// The word for a phase as the P-VOL shows it.
#[must_use]
pub fn word(phase: Option<Phase>) -> &'static str {
    phase.map_or(PairStatus::Smpl, |phase| phase.status(Role::PVol)).word()
}

fn refusal(phase: Option<Phase>, change: &PairChange) -> CciError {
    let (what, needs) = match change {
        PairChange::Create(_) => ("paircreate", "SMPL"),
        PairChange::Split(_) => ("pairsplit", "COPY, PAIR or PSUS"),
        PairChange::Fail => ("pairsplit -E", "a pair"),
        PairChange::Dissolve => ("pairsplit -S", "a pair"),
        PairChange::Resync(options) if options.restore => ("pairresync -restore", "PSUS"),
        PairChange::Resync(_) => ("pairresync", "PSUS or PSUE"),
    };
    let advice = match phase {
        None => "create the pair first: paircreate",
        Some(Phase::Failed) => "resynchronise it with pairresync, or dissolve it with pairsplit -S",
        Some(Phase::Split) => "resynchronise it with pairresync",
        Some(Phase::Paired) => "split it first: pairsplit",
        Some(_) => "wait for the copy to end: pairevtwait",
    };
    CciError::new(Code::ExInvstp)
        .state(word(phase))
        .cause(format!("{what} needs {needs}"))
        .advice(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cci` 3.4(a), typed a second time from the page as text.
    const PAGE: &str = "
        SMPL      | acc: COPY | acc: COPY | rej       | rej       | nop       | rej       | rej
        COPY/RCPY | nop       | acc: COPY | acc: COPY | acc: PSUE | acc: SMPL | nop       | nop
        PAIR      | nop       | acc: COPY | acc: COPY | acc: PSUE | acc: SMPL | nop       | rej
        PSUS      | rej       | nop       | nop       | acc: PSUE | acc: SMPL | acc: COPY | acc: RCPY
        PSUE      | rej       | rej       | rej       | nop       | acc: SMPL | acc: COPY | rej";

    fn phases(word: &str) -> Vec<Option<Phase>> {
        match word {
            "SMPL" => vec![None],
            "COPY/RCPY" => {
                vec![Some(Phase::Copying), Some(Phase::Restoring), Some(Phase::Splitting)]
            }
            "PAIR" => vec![Some(Phase::Paired)],
            "PSUS" => vec![Some(Phase::Split)],
            "PSUE" => vec![Some(Phase::Failed)],
            other => panic!("{other}"),
        }
    }

    fn changes() -> [PairChange; 7] {
        let create =
            |split| PairChange::Create(CreateOptions { split, ..CreateOptions::default() });
        let resync =
            |restore| PairChange::Resync(ResyncOptions { restore, ..ResyncOptions::default() });
        [
            create(None),
            create(Some(SplitMode::Normal)),
            PairChange::Split(SplitOptions::default()),
            PairChange::Fail,
            PairChange::Dissolve,
            resync(false),
            resync(true),
        ]
    }

    #[test]
    fn every_cell_is_the_pages() {
        let mut cells = 0;
        for line in PAGE.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split('|').map(str::trim).collect();
            assert_eq!(words.len(), 8);
            for phase in phases(words[0]) {
                for (change, cell) in changes().iter().zip(&words[1..]) {
                    let decided = decide(phase, change, false, false);
                    match cell.split_once(": ") {
                        Some((_, status)) => {
                            let Ok(Step::Go(next, _)) = decided else {
                                panic!("{phase:?} {change:?}: {decided:?}");
                            };
                            assert_eq!(word(next), status, "{phase:?} {change:?}");
                        }
                        None if *cell == "nop" => assert_eq!(decided, Ok(Step::Nop)),
                        None => {
                            let error = decided.expect_err("the page refuses");
                            assert_eq!(error.code, Code::ExInvstp);
                            assert_eq!(error.state.as_deref(), Some(word(phase)));
                            assert!(error.cause.is_some() && error.advice.is_some());
                        }
                    }
                    cells += 1;
                }
            }
        }
        assert_eq!(cells, 7 * 7);
    }

    /// `cci` 3.4(b), in the columns' order of [`PAGE`], as words of the page: Ok, Np, Ab.
    const SNAPSHOT_PAGE: &str = "
        SMPL  | Ok | Ab | Ab | Ab | Np | Ab | Ab
        COPY/RCPY | Np | Ab | Ab | Ab | Ab | Np | Np
        PAIR  | Np | Ok | Ok | Ab | Ok | Np | Np
        PSUS  | Ab | Np | Np | Ab | Ok | Ok | Ok
        PSUE  | Ab | Ab | Ab | Ab | Ok | Ok | Ab";

    #[test]
    fn every_cell_of_thin_image_is_the_pages() {
        let mut cells = 0;
        for line in SNAPSHOT_PAGE.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split('|').map(str::trim).collect();
            for phase in phases(words[0]) {
                for (change, cell) in changes().iter().zip(&words[1..]) {
                    match (decide(phase, change, false, true), *cell) {
                        (Ok(Step::Nop), "Np") => {}
                        (Ok(Step::Go(next, effects)), "Ok") => {
                            assert!(next.is_none_or(|next| next.settled().is_none()), "at once");
                            assert!(!effects.contains(&Effect::Release), "it goes with its pair");
                        }
                        (Err(error), "Ab") => assert_eq!(error.code, Code::ExInvstp),
                        other => panic!("{phase:?} {change:?}: {other:?}"),
                    }
                    cells += 1;
                }
            }
        }
        assert_eq!(cells, 7 * 7);
    }

    #[test]
    fn a_fresh_split_is_refused_where_an_earlier_one_would_pass_for_it() {
        let split = |fresh| {
            PairChange::Split(SplitOptions { fresh, writable: true, ..SplitOptions::default() })
        };
        for snapshot in [false, true] {
            let code = |phase, fresh| {
                decide(Some(phase), &split(fresh), true, snapshot).map_err(|error| error.code)
            };
            assert_eq!(code(Phase::Split, false), Ok(Step::Nop));
            assert_eq!(code(Phase::Split, true), Err(Code::ExInvstp));
            assert!(matches!(code(Phase::Paired, true), Ok(Step::Go(Some(Phase::Split), _))));
        }
    }

    #[test]
    fn quick_modes_and_settled_pairs_skip_the_waiting_state() {
        let quick = PairChange::Split(SplitOptions {
            mode: Some(SplitMode::Quick),
            ..SplitOptions::default()
        });
        let normal = PairChange::Split(SplitOptions::default());
        let goes = |change: &PairChange, settled| match decide(
            Some(Phase::Paired),
            change,
            settled,
            false,
        ) {
            Ok(Step::Go(next, _)) => next,
            other => panic!("{other:?}"),
        };
        assert_eq!(goes(&quick, false), Some(Phase::Split));
        assert_eq!(goes(&normal, false), Some(Phase::Splitting));
        assert_eq!(goes(&normal, true), Some(Phase::Split));
        let resync = PairChange::Resync(ResyncOptions {
            mode: Some(SplitMode::Quick),
            ..ResyncOptions::default()
        });
        assert_eq!(
            decide(Some(Phase::Split), &resync, true, false),
            Ok(Step::Go(Some(Phase::Paired), vec![Effect::Follow]))
        );
    }
}
