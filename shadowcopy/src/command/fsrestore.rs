//! `drmfsrestore`: the P-VOLs become what they were at the backup (`pairresync -restore`).

use super::{Run, Spec};
use crate::{
    catalogue::Backup,
    console::Console,
    failure::Outcome,
    message,
    requestor::{
        copy::{self, Work},
        provider, restoring,
    },
};
use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmfsrestore",
    also: &[],
    about: "Restores a backup: its P-VOLs become what its S-VOLs are, and it is given up",
    common: &[HELP],
    options: &[],
    operands: Some(Operands { shown: "backupID", doc: "The backup, as drmfscat lists it" }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let id = copy::id(console.command, typed)?;
    let work = Work::begin_restore(console, id)?;
    let backup = work.backup();
    let sets = provider::records(console)?;
    let mut provider = provider::load(console, backup.generation)?;
    let settings = *provider.settings();
    if backup.restoring.is_none() {
        work.there()?;
        work.free()?;
    }
    let left = restoring::left(&console.home, &settings, backup, &sets)?;
    for pair in &left {
        copy::unused(pair.primary.volume)?;
        copy::unused(pair.secondary.volume)?;
    }
    console.say(message::RESTORE_START, &[&id])?;
    if !left.is_empty() {
        restoring::begin(console, &work.store, &mut provider, backup, &left)?;
    }
    restoring::wait(console, &settings, backup)?;
    // The S-VOLs follow their P-VOLs.
    work.store.update(id, Backup::end)?;
    console.say(message::BROUGHT_BACK, &[&id])?;
    console.say(message::CONSUMED, &[&id])
}
