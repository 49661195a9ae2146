//! `drmmount`: the S-VOLs of a backup, mounted on this host for reading.

use std::path::Path;

use commands::{
    parse::Typed,
    table::{HELP, Operands, Opt},
};

use super::{Run, Spec};
use crate::{
    console::Console,
    failure::{Failure, Outcome},
    requestor::{
        copy::{self, Work},
        mounting, provider,
    },
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmmount",
    also: &[],
    about: "Mounts the S-VOLs of a backup for reading, and keeps its generation",
    common: &[HELP],
    options: &[Opt::words(
        "mount_pt",
        1,
        1,
        "-mount_pt <dir>",
        "Where: the file system itself, or below it several as they are below / (default $HORCMROOT/drm/mnt/backupID)",
    )],
    operands: Some(Operands { shown: "backupID", doc: "The backup, as drmfscat lists it" }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let id = copy::id(console.command, typed)?;
    let place = match typed.word("mount_pt") {
        None => None,
        Some(word) => Some(std::path::absolute(Path::new(word)).map_err(|error| {
            Failure::usage(console.command, format!("-mount_pt {word}"), error.to_string())
        })?),
    };
    let work = Work::begin(console, id)?;
    let backup = work.there()?;
    let mut provider = provider::load(console, backup.generation)?;
    mounting::mount(console, &work.store, &mut provider, backup, place.as_deref())
}
