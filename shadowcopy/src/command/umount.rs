//! `drmumount`: takes away what `drmmount` brought.

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

use super::{Run, Spec};
use crate::{
    console::Console,
    failure::Outcome,
    requestor::{
        copy::{self, Work},
        mounting, provider,
    },
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmumount",
    also: &[],
    about: "Unmounts the S-VOLs of a backup, hides them and keeps its generation no longer",
    common: &[HELP],
    options: &[],
    operands: Some(Operands { shown: "backupID", doc: "The backup, as drmfscat lists it" }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let id = copy::id(console.command, typed)?;
    let work = Work::begin(console, id)?;
    let backup = work.backup();
    if backup.mounted.is_empty() {
        return Ok(());
    }
    let mut provider = provider::load(console, backup.generation)?;
    mounting::unmount(console, &work.store, &mut provider, backup)
}
