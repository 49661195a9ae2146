//! `drmdbexport`: backups of the catalogue as one file.

use std::{
    fs::{self, File, OpenOptions},
    io::BufWriter,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

use super::{Run, Spec, fscat::id, view};
use crate::{
    catalogue::{BackupId, Error, Store, bundle, files, record::State},
    console::Console,
    failure::{Failure, Outcome},
    message,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmdbexport",
    also: &[],
    about: "Writes backups of the catalog, with what their writers handed over, into one file",
    common: &[HELP],
    options: &[],
    operands: Some(Operands {
        shown: "file [backupID ...]",
        doc: "The file, which must not be there yet, and the backups; all that have ended if none is named",
    }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let command = console.command;
    let Some((file, words)) = typed.operands().split_first() else {
        return Err(Failure::usage(command, "file", "the file is missing").into());
    };
    let store = console.catalogue();
    let mut ids = Vec::new();
    for word in words {
        ids.push(id(command, word)?);
    }
    let named = !ids.is_empty();
    if !named {
        let ended = view::catalogue(console)?.into_iter();
        ids.extend(ended.filter(|kept| kept.backup.state != State::Running).map(|k| k.backup.id));
    }
    ids.sort_unstable();
    ids.dedup();
    for id in &ids {
        let kept = store.get(*id)?;
        if kept.backup.state == State::Running {
            return Err(Failure::new(message::BACKUP_STATE)
                .word(id)
                .state(view::state(&kept).to_lowercase())
                .cause("a backup is exported when it has ended")
                .action("wait until it has ended, or drm recover where its command died")
                .into());
        }
    }
    let path = Path::new(file);
    write(&store, &ids, path)?;
    console.say(message::EXPORTED, &[&ids.len(), &path.display()])
}

/// All of it, or no file.
fn write(store: &Store, ids: &[BackupId], path: &Path) -> Outcome {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::new(message::FILE_FAILED)
            .word(path.display())
            .cause("something is there already")
            .action("name a file that is not there yet, or take that one away")
            .into());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(files::UNFINISHED);
    let beside = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let io = |error: std::io::Error| {
        Failure::new(message::FILE_FAILED)
            .word(path.display())
            .cause(error.to_string())
            .action("see that its directory is there, can be written and has room")
    };
    let written = || -> Outcome {
        let file = BufWriter::new(options.open(&beside).map_err(io)?);
        let file = bundle::export(store, ids, file).map_err(|error| match error {
            Error::Io { path, error } if path == Path::new("the export") => io(error),
            other => Failure::from(other),
        })?;
        let finish = |file: BufWriter<File>| {
            file.into_inner()?.sync_all()?;
            fs::rename(&beside, path)
        };
        Ok(finish(file).map_err(io)?)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}
