//! A backup as people and programs see it.

use std::time::SystemTime;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{
    catalogue::{
        Error, Kept, Listing, State,
        record::{Backup, Mode},
    },
    console::Console,
    failure::{Failure, Outcome},
    message,
};

/// `CONSISTENT` and the like.
#[must_use]
pub const fn state(kept: &Kept) -> &'static str {
    match kept.backup.state {
        _ if kept.backup.restoring.is_some() => "RESTORING",
        State::Running if kept.died => "DIED",
        State::Running => "RUNNING",
        State::Consistent => "CONSISTENT",
        State::CrashConsistent(_) => "CRASH-CONSISTENT",
        State::Aborted { .. } => "ABORTED",
        State::Overwritten => "OVERWRITTEN",
    }
}

/// Why it is no consistent backup, as far as that is known.
#[must_use]
pub fn cause(backup: &Backup) -> Option<String> {
    match &backup.state {
        State::CrashConsistent(cause) => Some(cause.clone()),
        State::Aborted { step, cause } => Some(format!("{step}: {cause}")),
        _ => None,
    }
}

/// `ONLINE`, `COLD`.
#[must_use]
pub const fn mode(backup: &Backup) -> &'static str {
    match backup.mode {
        Mode::Online => "ONLINE",
        Mode::Cold => "COLD",
    }
}

/// `locked`, `mounted`, `read`, `restored`, several of them, or nothing.
#[must_use]
pub fn kept_by(backup: &Backup) -> String {
    let words = [
        (backup.locked, "locked"),
        (!backup.mounted.is_empty(), "mounted"),
        (backup.reading, "read"),
        (backup.restoring.is_some(), "restored"),
    ];
    let words: Vec<_> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    words.join(",")
}

/// A time of day here: `2026/11/21T17:05:00`, one word.
#[must_use]
pub fn local(time: SystemTime) -> String {
    shown(time, |stamp| {
        stamp.to_zoned(TimeZone::system()).strftime("%Y/%m/%dT%H:%M:%S").to_string()
    })
}

/// A time in UTC for programs: `2026-11-21T17:05:00Z` (RFC 3339).
#[must_use]
pub fn utc(time: SystemTime) -> String {
    shown(time, |stamp| stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn shown(time: SystemTime, how: impl FnOnce(Timestamp) -> String) -> String {
    Timestamp::try_from(time).map_or_else(|_| "-".to_owned(), how)
}

/// A backup as JSON. Fields are added, never changed.
#[derive(Debug, Serialize)]
pub struct View<'a> {
    backup_id: String,
    set: String,
    command: &'a str,
    mode: String,
    comment: &'a str,
    began: String,
    ended: Option<String>,
    state: String,
    cause: Option<String>,
    generation: String,
    locked: bool,
    mounted: Vec<String>,
    frozen_microseconds: Option<u64>,
    steps: Vec<StepView>,
    volumes: Vec<VolumeView<'a>>,
    writers: Vec<WriterView<'a>>,
}

#[derive(Debug, Serialize)]
struct StepView {
    step: &'static str,
    ended_microseconds: u64,
}

#[derive(Debug, Serialize)]
struct VolumeView<'a> {
    mount: String,
    device: String,
    file_system: &'a str,
    group: String,
    name: String,
    serial: u32,
    primary_ldev: u32,
    secondary_serial: u32,
    secondary_ldev: u32,
}

#[derive(Debug, Serialize)]
struct WriterView<'a> {
    name: &'a str,
    version: &'a str,
    fault: Option<&'a str>,
    artifacts: &'a [String],
}

impl<'a> View<'a> {
    /// Of a backup.
    #[must_use]
    pub fn of(kept: &'a Kept) -> Self {
        let backup = &kept.backup;
        let volumes = backup.volumes.iter().map(|volume| VolumeView {
            mount: volume.mount.display().to_string(),
            device: volume.device.display().to_string(),
            file_system: &volume.file_system,
            group: volume.group.to_string(),
            name: volume.name.to_string(),
            serial: volume.primary.serial.get(),
            primary_ldev: volume.primary.ldev.get(),
            secondary_serial: volume.secondary.serial.get(),
            secondary_ldev: volume.secondary.ldev.get(),
        });
        let writers = backup.writers.iter().map(|writer| WriterView {
            name: &writer.metadata.name,
            version: &writer.metadata.version,
            fault: writer.fault.as_deref(),
            artifacts: &writer.artifacts,
        });
        let steps = backup.evidence.iter();
        Self {
            backup_id: backup.id.to_string(),
            set: backup.set.to_string(),
            command: &backup.command,
            mode: mode(backup).to_lowercase(),
            comment: &backup.comment,
            began: utc(backup.began),
            ended: backup.ended.map(utc),
            state: state(kept).to_lowercase(),
            cause: cause(backup),
            generation: format!("local_{}", backup.generation),
            locked: backup.locked,
            mounted: backup.mounted.iter().map(|mount| mount.display().to_string()).collect(),
            frozen_microseconds: backup.held,
            steps: steps
                .map(|(step, ended)| StepView { step: step.name(), ended_microseconds: *ended })
                .collect(),
            volumes: volumes.collect(),
            writers: writers.collect(),
        }
    }
}

/// The whole catalogue; what could not be read of it is told on standard error, so that it does
/// not stand in a table.
///
/// # Errors
/// KAVX0200-E where the catalogue cannot be read at all.
pub fn catalogue(console: &mut Console<'_>) -> Outcome<Vec<Kept>> {
    let Listing { backups, troubles } = console.catalogue().list()?;
    tell(console, troubles);
    Ok(backups)
}

/// Says what could not be read of the catalogue, on standard error.
pub fn tell(console: &mut Console<'_>, troubles: Vec<Error>) {
    for trouble in troubles {
        let lines = match trouble {
            Error::Damaged { path, cause } => Failure::new(message::DAMAGED)
                .word(path.display())
                .cause(cause)
                .action("import the backup from an export (drmdbimport), or make another"),
            other => Failure::from(other),
        };
        // Nobody can be told that standard error is closed.
        let _ = writeln!(console.errors, "{lines}");
    }
}
