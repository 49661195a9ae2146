//! Pairs on their way to PAIR: P-VOLs that are restored, and how far they are.
//!
//! Over several storage systems one may begin and another refuse. The catalogue says that a backup
//! is being restored from before the first order until all of its pairs are PAIR, so that whoever
//! repeats the command goes on with the rest, and nobody takes for a copy what is half of one.

use std::time::Duration;

use model::{Instance, Mode, PairStatus};
use protocol::{
    Attached, Home,
    horcm::{Reply, Request, Selection, Target},
};
use provider::{
    Provider,
    journal::{Phase, Record},
    raid::{Pair, Raid, Standing, Use},
    session::Session,
    settings::Settings,
};

use super::{provider as loaded, truth};
use crate::{
    catalogue::{Backup, Store},
    console::Console,
    failure::{Failure, Outcome},
    message,
    volume::lun,
};

/// How often pairs are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a daemon may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pairs of a backup, each once.
#[must_use]
pub fn pairs(backup: &Backup) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for volume in &backup.volumes {
        let pair = truth::pair(volume, backup.generation);
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// How each of them stands.
fn standings(home: &Home, settings: &Settings, pairs: &[Pair]) -> Outcome<Vec<Standing>> {
    let mut raid = Session::new(home.clone(), settings);
    pairs.iter().map(|pair| Ok(raid.standing(pair)?)).collect()
}

/// The pairs of a backup that have still to be restored: those that are split. Of one that is being
/// restored others may have been ordered, and some be whole.
///
/// # Errors
/// KAVX0205-E naming a pair that is neither, or that holds another of the provider's `sets` by now;
/// what RAID Manager says.
pub fn left(
    home: &Home,
    settings: &Settings,
    backup: &Backup,
    sets: &[Record],
) -> Outcome<Vec<Pair>> {
    let pairs = pairs(backup);
    let taken = |pair: &Pair| {
        let others = sets.iter().filter(|set| set.set != backup.set);
        let created = others.filter(|set| set.phase == Phase::Created);
        created.flat_map(|set| &set.pairs).any(|it| it.secondary.volume == pair.secondary.volume)
    };
    let standings = standings(home, settings, &pairs)?;
    let mut left = Vec::new();
    for (pair, standing) in pairs.into_iter().zip(standings) {
        let ordered = backup
            .restoring
            .as_ref()
            .is_some_and(|unordered| !unordered.contains(&pair.secondary.volume));
        match standing.usable(&pair) {
            Use::Split if !taken(&pair) => left.push(pair),
            Use::Ready if ordered => {}
            Use::Copying if ordered && standing.status == PairStatus::Rcpy => {}
            _ => {
                return Err(Failure::new(message::BACKUP_STATE)
                    .word(backup.id)
                    .object(pair.to_string())
                    .state(standing.to_string())
                    .cause("somebody else has used it since: its S-VOL does not hold the backup any more")
                    .action("restore another backup or an archive; what other pairs were restored to stays")
                    .into());
            }
        }
    }
    Ok(left)
}

/// Has pairs of a backup begin to be restored. The catalogue says so before the first order, and
/// not any more where none of all its pairs was begun with.
///
/// # Errors
/// KAVX0205-E where somebody has locked the backup since; what the provider refuses.
pub fn begin(
    console: &Console<'_>,
    store: &Store,
    provider: &mut Provider,
    backup: &Backup,
    left: &[Pair],
) -> Outcome {
    let began = |backup: &mut Backup| backup.restoring = Some(Vec::new());
    match backup.restoring {
        None => store.update_free(backup.id, began)?,
        Some(_) => store.update(backup.id, began)?,
    };
    let ends =
        left.iter().map(|pair| (lun::of(pair.secondary.volume), lun::of(pair.primary.volume)));
    let (copies, originals): (Vec<_>, Vec<_>) = ends.unzip();
    let Err(refused) = provider.resync_luns(&copies, &originals) else { return Ok(()) };
    let mut failure = loaded::refused(&refused);
    let pairs = pairs(backup);
    // What cannot be asked may have been ordered.
    let standings = standings(&console.home, provider.settings(), &pairs).unwrap_or_default();
    let split = |(pair, now): &(&Pair, Standing)| now.usable(pair) == Use::Split;
    let unordered = pairs.iter().zip(standings).filter(split);
    let unordered: Vec<_> = unordered.map(|(pair, _)| pair.secondary.volume).collect();
    let untouched = unordered.len() == pairs.len();
    store.update(backup.id, |backup| backup.restoring = (!untouched).then_some(unordered))?;
    if !untouched {
        let first = failure.action.take().unwrap_or_default();
        let then = format!(
            "then drmfsrestore {} goes on; until then nothing else is done with the backup and its generation",
            backup.id
        );
        failure.action = Some(format!("{first}; {then}"));
    }
    Err(failure.into())
}

/// Waits until every pair is PAIR, and shows a person how far it is. A pair that goes elsewhere is
/// told.
///
/// # Errors
/// KAVX0205-E naming a pair that does not become PAIR; what RAID Manager says.
pub fn wait(console: &mut Console<'_>, settings: &Settings, backup: &Backup) -> Outcome {
    let pairs = pairs(backup);
    let mut raid = Session::new(console.home.clone(), settings);
    let main = settings.local.map(|local| local.instance).or(settings.remote);
    loop {
        let mut copying = Vec::new();
        for pair in &pairs {
            let standing = raid.standing(pair)?;
            match standing.usable(pair) {
                Use::Ready => {}
                Use::Copying => copying.push(pair),
                _ => {
                    return Err(Failure::new(message::BACKUP_STATE)
                        .word(backup.id)
                        .object(pair.to_string())
                        .state(standing.to_string())
                        .cause("the pair was to become PAIR, and somebody or something kept it from that")
                        .action("see to the pair (pairdisplay), then repeat the command")
                        .into());
                }
            }
        }
        if copying.is_empty() {
            return Ok(());
        }
        if console.terminal
            && let Some(percent) = main.and_then(|main| least(&console.home, main, &copying))
        {
            let left = copying.len();
            let _ = write!(
                console.errors,
                "\r{left} of {} volumes to go, {percent} % \x1b[K",
                pairs.len()
            );
            let _ = console.errors.flush();
        }
        std::thread::sleep(LOOK);
    }
}

/// How much is identical of the pair that has most to go, 0 to 100.
fn least(home: &Home, instance: Instance, pairs: &[&Pair]) -> Option<u8> {
    let mut daemon = Attached::new(home, instance, PATIENCE).ok()?;
    let mut percent = |pair: &Pair| {
        let target = Target::Group { group: pair.group.clone(), volume: Some(pair.name.clone()) };
        let selection = Selection { target, mode: Mode::Homrcf, mirror: None };
        let request =
            Request::Members { selection, remote: false, guards: false, devices: false, from: 0 };
        match daemon.ask(&request).ok()? {
            Reply::Members { members, .. } => members.first()?.local.status.map(|s| s.percent),
            _ => None,
        }
    };
    pairs.iter().filter_map(|pair| percent(pair)).min()
}
