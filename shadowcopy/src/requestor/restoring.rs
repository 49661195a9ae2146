//! Pairs on their way to PAIR, and how far they are.

use std::time::Duration;

use model::{Instance, Mode};
use protocol::{
    Attached, Home,
    horcm::{Reply, Request, Selection, Target},
};
use provider::{
    raid::{Pair, Raid, Standing, Use},
    session::Session,
    settings::Settings,
};

use super::truth;
use crate::{
    catalogue::Backup,
    console::Console,
    failure::{Failure, Outcome},
    message,
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
///
/// # Errors
/// What RAID Manager says.
pub fn standings(home: &Home, settings: &Settings, pairs: &[Pair]) -> Outcome<Vec<Standing>> {
    let mut raid = Session::new(home.clone(), settings);
    pairs.iter().map(|pair| Ok(raid.standing(pair)?)).collect()
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
