//! Which mirror the next backup takes.

use std::fmt;

use model::{MuNumber, VolumeId};

use super::{BackupId, record::Backup};
use crate::{
    failure::{Failure, Outcome},
    message,
};

/// Why a generation cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoGeneration {
    /// The configuration has no mirror for these volumes.
    NoneDefined,
    /// It has not the one that was asked for.
    NotDefined {
        /// What was asked for.
        asked: MuNumber,
        /// What there is.
        defined: Vec<MuNumber>,
    },
    /// Each of those that come into question is kept.
    Kept(Vec<Keeper>),
}

/// A backup that keeps its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// The generation.
    pub generation: MuNumber,
    /// The backup.
    pub id: BackupId,
    /// What keeps it.
    pub by: &'static str,
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "local_{} holds backup {}, which is {}", self.generation, self.id, self.by)
    }
}

/// The generation for a backup of these P-VOLs: the one asked for (`-rc local_N`), else the first
/// of `defined` that no backup ever took, else one that holds no backup any more, else the one
/// with the oldest backup. Generations that a lock or a mount keeps are skipped. `defined` is in
/// the order of the pairs' definition; `backups` is the whole catalogue.
///
/// # Errors
/// See [`NoGeneration`].
pub fn choose(
    asked: Option<MuNumber>,
    defined: &[MuNumber],
    volumes: &[VolumeId],
    backups: &[Backup],
) -> Result<MuNumber, NoGeneration> {
    let candidates = match asked {
        None => defined.to_vec(),
        Some(asked) if defined.contains(&asked) => vec![asked],
        Some(asked) => {
            return Err(NoGeneration::NotDefined { asked, defined: defined.to_vec() });
        }
    };
    if candidates.is_empty() {
        return Err(NoGeneration::NoneDefined);
    }
    let mut kept = Vec::new();
    let mut best = None;
    for generation in candidates {
        let in_it = || {
            backups.iter().filter(move |backup| {
                let mine = |volume: &super::record::Volume| volumes.contains(&volume.primary);
                backup.generation == generation && backup.volumes.iter().any(mine)
            })
        };
        let keeps = |backup: &&Backup| backup.is_kept();
        if let Some(keeper) = in_it().find(keeps) {
            let by = match keeper {
                _ if keeper.restoring.is_some() => "being restored",
                _ if !keeper.mounted.is_empty() => "mounted",
                _ if keeper.reading => "being read",
                _ => "locked",
            };
            kept.push(Keeper { generation, id: keeper.id, by });
            continue;
        }
        // `None` before `Some`: never taken, taken but empty, by the age of what it holds.
        let ever = in_it().next().map(|_| ());
        let newest = in_it().filter(|backup| backup.is_there()).map(|b| (b.began, b.id)).max();
        let rank = (ever, newest);
        // The first in the order of definition wins among equals.
        if best.as_ref().is_none_or(|(least, _)| rank < *least) {
            best = Some((rank, generation));
        }
    }
    best.map(|(_, generation)| generation).ok_or(NoGeneration::Kept(kept))
}

/// What `-rc` takes: `local_N`.
///
/// # Errors
/// KAVX0050-E for anything else.
pub fn asked(command: &str, word: &str) -> Outcome<MuNumber> {
    let number = word.strip_prefix("local_").map(str::parse);
    if let Some(Ok(generation)) = number {
        return Ok(generation);
    }
    let wrong = match word.strip_prefix("remote_") {
        Some(_) => "copies in another storage system are not supported by this version",
        None => "a generation is local_N, where N is the MU# of the pairs",
    };
    Err(Failure::usage(command, format!("-rc {word}"), wrong).into())
}

impl From<NoGeneration> for Failure {
    fn from(error: NoGeneration) -> Self {
        let failure = Self::new(message::GENERATION);
        let list = |numbers: &[MuNumber]| {
            let names: Vec<_> = numbers.iter().map(|mu| format!("local_{mu}")).collect();
            names.join(", ")
        };
        match error {
            NoGeneration::NoneDefined => failure
                .cause("the configuration defines no pair for these volumes")
                .action("define their mirrors in HORCM_DEV or HORCM_LDEV of horcm.conf"),
            NoGeneration::NotDefined { asked, defined } => failure
                .object(format!("local_{asked}"))
                .state(format!("defined: {}", list(&defined)))
                .cause("the configuration has no pair with that MU# for each of these volumes")
                .action("choose one that is defined, or leave -rc out"),
            NoGeneration::Kept(keepers) => {
                let lines: Vec<_> = keepers.iter().map(ToString::to_string).collect();
                failure
                    .state(lines.join("; "))
                    .cause("every generation is kept from being overwritten")
                    .action("release one: drmumount a mounted one, drmcgctl -unlock a locked one, end the restore of one with drmfsrestore")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::{
        State,
        record::fake::{backup, volume},
    };

    fn mu(number: u32) -> MuNumber {
        MuNumber::new(number).unwrap()
    }

    fn set(ldevs: &[u32]) -> Vec<VolumeId> {
        ldevs.iter().map(|ldev| volume(*ldev).primary).collect()
    }

    fn taken(id: u64, generation: u32, ldevs: &[u32]) -> Backup {
        let mut backup = backup(id);
        backup.generation = mu(generation);
        backup.volumes = ldevs.iter().map(|ldev| volume(*ldev)).collect();
        backup
    }

    #[test]
    fn the_first_never_used_comes_first_in_the_order_of_definition() {
        let defined = [mu(2), mu(0), mu(1)];
        let one = set(&[1]);
        assert_eq!(choose(None, &defined, &one, &[]), Ok(mu(2)));
        assert_eq!(choose(None, &defined, &one, &[taken(1, 2, &[1])]), Ok(mu(0)));
        let others = [taken(1, 2, &[7])];
        assert_eq!(choose(None, &defined, &one, &others), Ok(mu(2)), "other volumes do not count");
    }

    #[test]
    fn then_one_that_holds_nothing_and_then_the_oldest() {
        let defined = [mu(0), mu(1), mu(2)];
        let mut all = vec![taken(1, 1, &[1]), taken(2, 0, &[1]), taken(3, 2, &[1])];
        assert_eq!(choose(None, &defined, &set(&[1]), &all), Ok(mu(1)));
        all[2].state = State::Overwritten;
        assert_eq!(choose(None, &defined, &set(&[1]), &all), Ok(mu(2)));
        // A newer one in the same mirror is what the mirror holds.
        all[2].state = State::Consistent;
        all.push(taken(4, 1, &[1]));
        all[0].state = State::Overwritten;
        assert_eq!(choose(None, &defined, &set(&[1]), &all), Ok(mu(0)));
    }

    #[test]
    fn kept_ones_are_skipped_and_named_where_none_is_left() {
        let defined = [mu(0), mu(1)];
        let mut all = vec![taken(1, 0, &[1, 2]), taken(2, 1, &[2])];
        all[0].locked = true;
        assert_eq!(choose(None, &defined, &set(&[1]), &all), Ok(mu(1)));
        assert_eq!(choose(None, &defined, &set(&[2]), &all), Ok(mu(1)));
        all[1].mounted.push("/mnt".into());
        let error = choose(None, &defined, &set(&[2]), &all).unwrap_err();
        let text = Failure::from(error).to_string();
        assert!(text.contains("local_0 holds backup 0000000001, which is locked"), "{text}");
        assert!(text.contains("local_1 holds backup 0000000002, which is mounted"), "{text}");
    }

    #[test]
    fn the_one_asked_for_is_taken_or_refused_never_another() {
        let defined = [mu(0), mu(1)];
        let mut all = vec![taken(1, 1, &[1])];
        assert_eq!(choose(Some(mu(1)), &defined, &set(&[1]), &all), Ok(mu(1)));
        all[0].locked = true;
        let kept = choose(Some(mu(1)), &defined, &set(&[1]), &all);
        assert!(matches!(kept, Err(NoGeneration::Kept(_))), "{kept:?}");
        let missing = choose(Some(mu(2)), &defined, &set(&[1]), &all);
        assert!(matches!(missing, Err(NoGeneration::NotDefined { .. })), "{missing:?}");
        assert_eq!(choose(None, &[], &set(&[1]), &all), Err(NoGeneration::NoneDefined));
    }

    #[test]
    fn a_generation_is_written_local_n() {
        assert_eq!(asked("drmfsbackup", "local_0").unwrap(), mu(0));
        for bad in ["0", "local_", "local_-1", "local_1024", "remote_0", "LOCAL_0", ""] {
            assert!(asked("drmfsbackup", bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_defined_and_not_kept_and_no_older_one_was_left(
            taken_by in proptest::collection::vec(
                (0_u32..4, 1_u32..4, any::<bool>(), any::<bool>(), 0_u64..100), 0..12),
        ) {
            let backups: Vec<_> = taken_by.iter().zip(1..).map(|((g, ldev, locked, there, at), id)| {
                let mut backup = taken(id, *g, &[*ldev]);
                backup.locked = *locked;
                backup.began += Duration::from_secs(*at);
                if !there {
                    backup.state = State::Overwritten;
                }
                backup
            }).collect();
            let defined = [mu(0), mu(1), mu(2)];
            let volumes = set(&[1, 2]);
            let of = |g: MuNumber| backups.iter().filter(move |b| {
                b.generation == g && [1, 2].contains(&b.volumes[0].primary.ldev.get())
            });
            let free = |g: &&MuNumber| !of(**g).any(|b| b.locked);
            match choose(None, &defined, &volumes, &backups) {
                Ok(chosen) => {
                    prop_assert!(free(&&chosen));
                    let age = |g| of(g).filter(|b| b.is_there()).map(|b| b.began).max();
                    for other in defined.iter().filter(free) {
                        prop_assert!(of(chosen).count() == 0 || age(chosen) <= age(*other));
                        prop_assert!(of(chosen).count() == 0 || of(*other).count() > 0);
                    }
                }
                Err(NoGeneration::Kept(keepers)) => {
                    prop_assert_eq!(keepers.len(), 3);
                    prop_assert_eq!(defined.iter().filter(free).count(), 0);
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
