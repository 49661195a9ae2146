//! A backup, from what was typed to what the catalogue keeps.

use std::{path::PathBuf, time::SystemTime};

use model::MuNumber;
use provider::{
    Provider,
    guid::{Guid, SetId, SnapshotId},
    host::WallClock,
    journal::Phase,
};

use super::{
    provider as loaded, recovery,
    stop::Stoppable,
    target::{self, Target},
    truth,
};
use crate::{
    catalogue::{
        Backup, BackupId, Error, State, Store,
        record::{Mode, Participant},
    },
    console::Console,
    coordinator::{self, Around, Plan, Policy},
    failure::{Failure, Outcome, Stop},
    freeze::FileSystems,
    ledger::Findings,
    limits::Limits,
    message,
    observer::{Observer, StepsTo, Unobserved},
    places::ThisHost,
    step::Step,
    volume::lun,
    writer::{FaultKind, Writer},
};

/// What was asked for.
pub struct Wish {
    /// Mount points, absolute and without links.
    pub points: Vec<PathBuf>,
    /// How.
    pub mode: Mode,
    /// `-rc local_N`.
    pub generation: Option<MuNumber>,
    /// `-comment`.
    pub comment: String,
    /// `-policy`.
    pub policy: Policy,
    /// How long may be frozen.
    pub limits: Limits,
    /// `-steps`.
    pub steps: Option<StepsTo>,
    /// Who takes part, in the order in which they freeze.
    pub writers: Vec<Box<dyn Writer>>,
}

/// Makes a backup, and tells of it.
///
/// # Errors
/// KAVX5101-E where it was given up, and then nothing is frozen and the catalogue says so; what
/// stood in its way otherwise, and then nothing was begun.
pub fn backup(console: &mut Console<'_>, wish: Wish) -> Outcome {
    let store = console.catalogue();
    let volumes = target::volumes(console, &store, &wish.points)?;
    let claim = store.claim(console.command)?;
    recovery::recover(console, &store, None)?;
    truth::settle(console, &store, None)?;
    let set = SetId(fresh()?);
    let mut locked = None;
    let (target, mut provider, backup) = loop {
        let target = Target::find(console, &store, volumes.clone(), wish.generation)?;
        if locked.is_none() {
            console.say(message::BACKUP_START, &[])?;
        }
        let provider = loaded::load(console, target.generation)?;
        match store.begin(&claim, |id| record(console, set, id, &wish, &target)) {
            Ok(backup) => break (target, provider, backup),
            // Locked since it was chosen: there is another generation, or none is left.
            Err(Error::Kept(id)) if locked != Some(id) => locked = Some(id),
            Err(error) => return Err(error.into()),
        }
    };
    console.say(message::BACKUP_ID, &[&backup.id])?;
    let cleared = clear(console, &store, &mut provider, &backup);
    if let Err(stop) = cleared {
        give_up(&store, &backup)?;
        return Err(stop);
    }
    let findings = run(console, &store, provider, &backup, target, wish)?;
    report(console, &store, &backup, &findings)
}

fn record(console: &Console<'_>, set: SetId, id: BackupId, wish: &Wish, target: &Target) -> Backup {
    Backup {
        id,
        set,
        command: console.command.to_owned(),
        mode: wish.mode,
        comment: wish.comment.clone(),
        began: SystemTime::now(),
        ended: None,
        state: State::Running,
        generation: target.generation,
        volumes: target.records(),
        writers: Vec::new(),
        evidence: Vec::new(),
        held: None,
        locked: false,
        reading: false,
        restoring: None,
        mounted: Vec::new(),
    }
}

/// Gives up the older backups in the generation: first in the catalogue, then their S-VOLs.
fn clear(
    console: &mut Console<'_>,
    store: &Store,
    provider: &mut Provider,
    backup: &Backup,
) -> Outcome {
    for id in store.overwrite(backup)? {
        console.say(message::OVERWRITTEN, &[&id])?;
    }
    let records = provider.records().map_err(|fault| loaded::fault(&fault))?;
    for volume in &backup.volumes {
        let held = records.iter().filter(|record| record.phase == Phase::Created).any(|record| {
            record.pairs.iter().any(|pair| pair.secondary.volume == volume.secondary)
        });
        if held {
            provider
                .on_lun_empty(&lun::of(volume.secondary))
                .map_err(|refused| loaded::refused(&refused))?;
        }
    }
    Ok(())
}

fn give_up(store: &Store, backup: &Backup) -> Outcome {
    store.update(backup.id, |backup| {
        let cause = "the older backup in its generation could not be given up".to_owned();
        backup.state = State::Aborted { step: Step::BeginPrepare, cause };
        backup.ended = Some(SystemTime::now());
    })?;
    Ok(())
}

fn run(
    console: &mut Console<'_>,
    store: &Store,
    provider: Provider,
    backup: &Backup,
    target: Target,
    wish: Wish,
) -> Outcome<Findings> {
    let volumes: Vec<_> = target
        .volumes
        .into_iter()
        .map(|volume| Ok((SnapshotId(fresh()?), volume)))
        .collect::<Outcome<_>>()?;
    let plan =
        Plan { id: backup.id, set: backup.set, volumes, limits: wish.limits, policy: wish.policy };
    let run = recovery::run_path(&console.home);
    let mut file_systems = FileSystems::new(run, backup.set, backup.id, plan.mounts());
    let mut steps: Box<dyn Observer> = match wish.steps {
        Some(steps) => Box::new(steps),
        None => Box::new(Unobserved),
    };
    let copies = Stoppable::listening(provider).map_err(|error| {
        Failure::new(message::BACKUP_ABORTED).word(Step::Describe).cause(error.to_string())
    })?;
    let finished = coordinator::run(
        &plan,
        wish.writers,
        copies,
        Around {
            freezer: &mut file_systems,
            places: &ThisHost,
            ledger: &mut store.clone(),
            observer: &mut *steps,
            clock: &WallClock::default(),
        },
    );
    if finished.unfinished {
        // The guard waits for the end of this process to undo the rest.
        if let Err(Stop::Failure(mut failure)) = report(console, store, backup, &finished.findings)
        {
            failure.state = Some("what is left is undone with the end of this command".to_owned());
            console.tell(&failure)?;
        }
        console.say(message::COMMAND_FAILED, &[&console.command.to_owned()])?;
        let _ = console.output.flush();
        std::process::exit(crate::run::FAILED.into());
    }
    Ok(finished.findings)
}

fn report(
    console: &mut Console<'_>,
    store: &Store,
    backup: &Backup,
    findings: &Findings,
) -> Outcome {
    tell_notes(console, findings)?;
    if let Some(held) = findings.held {
        let held = format!("{}.{:03}", held / 1000, held % 1000);
        console.say(message::FROZEN, &[&held])?;
    }
    match &findings.state {
        State::Consistent => {}
        State::CrashConsistent(cause) => {
            console.say(message::CRASH_CONSISTENT, &[&backup.id, cause])?;
        }
        state => {
            let (step, cause) = match state {
                State::Aborted { step, cause } => (*step, cause.clone()),
                _ => (Step::Catalogue, "it has no end".to_owned()),
            };
            if (Step::FreezeWriters..=Step::ThawWriters).contains(&step) {
                tell_frozen_too_long(console, findings)?;
            }
            return Err(Failure::new(message::BACKUP_ABORTED)
                .word(step)
                .object(format!("backup {}", backup.id))
                .state("nothing is frozen, the pairs are being resynchronised, the catalog says aborted")
                .cause(cause)
                .action("see to the cause, and begin the backup again")
                .into());
        }
    }
    console.say(message::BACKUP_END, &[])?;
    if console.json {
        let kept = store.get(backup.id)?;
        console.print_json(&kept.backup)?;
    }
    Ok(())
}

/// The writers that were frozen longer than the limit, which is why the backup was given up.
fn tell_frozen_too_long(console: &mut Console<'_>, findings: &Findings) -> Outcome {
    let late = |writer: &&Participant| writer.kind == Some(FaultKind::Timeout);
    findings.writers.iter().filter(late).try_for_each(|writer| {
        let failure = Failure::new(message::WRITER_TIMEOUT).word(&writer.metadata.name);
        let failure = failure.cause(writer.fault.clone().unwrap_or_default());
        console.tell(&failure.action("see what is slow, the application or the storage system; -writers_limit sets the limit"))
    })
}

fn tell_notes(console: &mut Console<'_>, findings: &Findings) -> Outcome {
    findings.notes.iter().try_for_each(|note| console.say(message::LEFT, &[note]))
}

/// A GUID that nobody has had.
fn fresh() -> Outcome<Guid> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(message::BACKUP_ABORTED).word(Step::Describe).cause(error.to_string())
    })?;
    // RFC 9562, version 4.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(Guid(u128::from_be_bytes(bytes)))
}
