//! The pair monitor: every `poll` it looks at all pairs of this side, at the storage systems and
//! at the remote instances, and logs what changed.

use std::{sync::Arc, time::Duration};

use model::Mode;
use protocol::horcm::{Selection, Target};

use crate::{
    batch,
    catalog::{Group, Member},
    daemon::Daemon,
    resolve, selection,
    watch::{Event, Watch},
};

/// How many volumes are looked at together.
const STEP: usize = 4096;

/// Looks for ever, once every `poll`. Without a poll (`-1`) the remote instances are greeted
/// once and nothing more.
pub async fn run(daemon: Arc<Daemon>, poll: Option<Duration>) {
    let mut watch = Watch::new(daemon.catalog.members().count());
    loop {
        let peers = daemon.peers.clone();
        // A silent peer takes its whole timeout; the pairs are looked at meanwhile.
        let greeted = tokio::spawn(async move { peers.ping_all().await });
        let Some(poll) = poll else {
            return;
        };
        look(&daemon, &mut watch).await;
        tokio::time::sleep(poll).await;
        // Greetings never pile up.
        let _ = greeted.await;
    }
}

/// One look at everything local.
async fn look(daemon: &Daemon, watch: &mut Watch) {
    for unit in daemon.units.all() {
        if unit.serial().is_none() && unit.identify().await.is_ok() {
            log::info!("{} answers for the first time", unit.command_device());
        }
    }
    if daemon.catalog.members().any(|(_, m)| m.volume().is_none())
        && let Err(error) = resolve::resolve(&daemon.catalog, &daemon.units).await
    {
        log::debug!("volumes stay unresolved: {error}");
    }
    let all: Vec<(&Group, &Member)> = daemon.catalog.members().collect();
    for (step, members) in all.chunks(STEP).enumerate() {
        look_at(daemon, watch, step * STEP, members).await;
    }
}

/// One look at some volumes; `first` is the place of the first in the catalog.
async fn look_at(daemon: &Daemon, watch: &mut Watch, first: usize, members: &[(&Group, &Member)]) {
    let (mut places, mut ends) = (Vec::new(), Vec::new());
    for (offset, (group, member)) in members.iter().enumerate() {
        let selection = Selection {
            target: Target::Group { group: group.name.clone(), volume: None },
            mode: Mode::Homrcf,
            mirror: None,
        };
        if let Some(volume) = member.volume() {
            let end = batch::end(volume, member.mu());
            if selection::has_mirror(member, &selection, daemon.mirrors(end)) {
                places.push(offset);
                ends.push(end);
            }
        }
    }
    // A unit that does not answer has been logged where that was noticed.
    let Ok(statuses) = batch::statuses(&daemon.units, &ends).await else {
        return;
    };
    for (offset, status) in places.into_iter().zip(statuses) {
        let (group, member) = members[offset];
        let event = status.and_then(|status| watch.see(first + offset, status.status));
        let volume = group.object(&member.name, None);
        match event {
            // The storage system gives no suspension code, hence 0000.
            Some(Event::Suspended) => log::error!(
                "[HORCM_102] Detected a suspending on this paired volume \
                 (Volume:{volume},code:0000)"
            ),
            Some(Event::Recovered) => log::info!("{volume} is no longer suspended"),
            None => {}
        }
    }
}
