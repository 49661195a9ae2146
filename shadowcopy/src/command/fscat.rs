//! `drmfscat`: the backups of file systems.

use std::path::Path;

use commands::{
    parse::Typed,
    table::{HELP, Operands, Opt},
};

use super::{JSON, Run, Spec, rows::table, view};
use crate::{
    catalogue::{BackupId, Error, Kept},
    console::Console,
    failure::{Failure, Outcome},
    message,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmfscat",
    also: &[],
    about: "Lists the backups in the catalog, a line for each volume",
    common: &[HELP, JSON],
    options: &[
        BACKUP_ID,
        COMMENT,
        Opt::flag("there", "-there", "Only backups that can be mounted or restored"),
        Opt::flag("l", "-l", "Everything that is known of each backup, in lines of words"),
    ],
    operands: Some(Operands {
        shown: "[mountpoint ...]",
        doc: "Only backups of these mount points, as they were when the backup was made",
    }),
    run: Run::listing(run),
};

/// `-backup_id`, as other listings take it too.
pub(super) const BACKUP_ID: Opt =
    Opt::words("backup_id", 1, 1, "-backup_id <backupID>", "Only this backup");
/// `-comment`, likewise.
pub(super) const COMMENT: Opt =
    Opt::words("comment", 1, 1, "-comment <text>", "Only backups with exactly this comment");

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let mounts: Vec<&Path> = typed.operands().iter().map(Path::new).collect();
    let mut backups = chosen(console, typed)?;
    if !mounts.is_empty() {
        // `/data` and `/data/` are the same, as paths are compared by their parts.
        backups.retain(|kept| {
            kept.backup.volumes.iter().any(|volume| mounts.contains(&volume.mount.as_path()))
        });
    }
    if typed.has("there") {
        backups.retain(|kept| kept.backup.is_there());
    }
    if console.json {
        let views: Vec<_> = backups.iter().map(view::View::of).collect();
        return console.print_json(&views);
    }
    if backups.is_empty() {
        return console.say(message::CATALOGUE_EMPTY, &[]);
    }
    if typed.has("l") {
        return backups.iter().try_for_each(|kept| console.print(&long(kept)));
    }
    let rows: Vec<_> = backups.iter().flat_map(lines).collect();
    console.print(&table(HEADINGS, &rows))
}

/// The backups that the options of a listing choose.
///
/// # Errors
/// KAVX0201-E for an ID that the catalogue has not; as [`view::catalogue`] otherwise.
pub(super) fn chosen(console: &mut Console<'_>, typed: &Typed) -> Outcome<Vec<Kept>> {
    let only = match typed.word("backup_id") {
        None => None,
        Some(word) => Some(id(console.command, word)?),
    };
    let mut backups = view::catalogue(console)?;
    if let Some(only) = only {
        backups.retain(|kept| kept.backup.id == only);
        if backups.is_empty() {
            return Err(Error::Unknown(only).into());
        }
    }
    if let Some(comment) = typed.word("comment") {
        backups.retain(|kept| kept.backup.comment == comment);
    }
    Ok(backups)
}

/// A word as a backup ID.
///
/// # Errors
/// KAVX0050-E.
pub(super) fn id(command: &str, word: &str) -> Outcome<BackupId> {
    let id = word.parse();
    Ok(id.map_err(|_| {
        let wrong = "a backup ID has up to ten digits, from 1 on; drmfscat lists them";
        Failure::usage(command, word, wrong)
    })?)
}

const HEADINGS: [&str; 14] = [
    "BACKUP-ID",
    "MODE",
    "GENERATION",
    "STATE",
    "START-TIME",
    "END-TIME",
    "KEPT",
    "MOUNT-POINT",
    "FS",
    "GROUP",
    "NAME",
    "P-VOL",
    "S-VOL",
    "COMMENT",
];

fn lines(kept: &Kept) -> Vec<[String; 14]> {
    let backup = &kept.backup;
    let ldev = |volume: model::VolumeId| format!("{}:{}", volume.serial, volume.ldev);
    let line = |volume: &crate::catalogue::record::Volume| {
        [
            backup.id.to_string(),
            view::mode(backup).to_owned(),
            format!("local_{}", backup.generation),
            view::state(kept).to_owned(),
            view::local(backup.began),
            backup.ended.map(view::local).unwrap_or_default(),
            view::kept_by(backup),
            volume.mount.display().to_string(),
            volume.file_system.clone(),
            volume.group.to_string(),
            volume.name.to_string(),
            ldev(volume.primary),
            ldev(volume.secondary),
            backup.comment.clone(),
        ]
    };
    backup.volumes.iter().map(line).collect()
}

/// Everything that is known of a backup.
pub(super) fn long(kept: &Kept) -> String {
    let backup = &kept.backup;
    let mut text = String::new();
    let mut line = |label: &str, word: &str| {
        if !word.is_empty() {
            let word = model::error::printable(word);
            text.push_str(&format!("{label:<14}: {word}\n"));
        }
    };
    line("BACKUP-ID", &backup.id.to_string());
    line("SET", &backup.set.to_string());
    line("COMMAND", &backup.command);
    line("MODE", view::mode(backup));
    line("GENERATION", &format!("local_{}", backup.generation));
    line("STATE", view::state(kept));
    line("CAUSE", &view::cause(backup).unwrap_or_default());
    line("START-TIME", &view::local(backup.began));
    line("END-TIME", &backup.ended.map(view::local).unwrap_or_default());
    line("FROZEN", &backup.held.map(milliseconds).unwrap_or_default());
    line("KEPT", &view::kept_by(backup));
    line("COMMENT", &backup.comment);
    for volume in &backup.volumes {
        let words = format!(
            "{} {} {} {}/{} P-VOL {} S-VOL {}",
            volume.mount.display(),
            volume.device.display(),
            volume.file_system,
            volume.group,
            volume.name,
            volume.primary,
            volume.secondary
        );
        line("VOLUME", &words);
    }
    for mount in &backup.mounted {
        line("MOUNTED", &mount.display().to_string());
    }
    for writer in &backup.writers {
        let fault = writer.fault.as_deref().unwrap_or("no error");
        line("WRITER", &format!("{} {}: {fault}", writer.metadata.name, writer.metadata.version));
        for artifact in &writer.artifacts {
            line("ARTIFACT", &format!("{}: {artifact}", writer.metadata.name));
        }
    }
    for (step, ended) in &backup.evidence {
        line("STEP", &format!("{step} at {}", milliseconds(*ended)));
    }
    text.push('\n');
    text
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}
