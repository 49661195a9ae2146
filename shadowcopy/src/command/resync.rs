//! `drmresync`: gives a backup up, and has its S-VOLs follow their P-VOLs again.

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

use super::{Run, Spec};
use crate::{
    catalogue::{Backup, State},
    console::Console,
    failure::Outcome,
    message,
    requestor::{
        copy::{self, Work},
        provider, restoring,
    },
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmresync",
    also: &[],
    about: "Gives a backup up: its pairs go back to PAIR",
    common: &[HELP],
    options: &[],
    operands: Some(Operands { shown: "backupID", doc: "The backup, as drmfscat lists it" }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let id = copy::id(console.command, typed)?;
    let work = Work::begin(console, id)?;
    let backup = work.backup();
    let mut provider = provider::load(console, backup.generation)?;
    let sets = provider.records().map_err(|fault| provider::fault(&fault))?;
    // A run that died behind the catalogue's change, or one that was never there.
    let begun = backup.state == State::Overwritten && sets.iter().any(|set| set.set == backup.set);
    if !begun {
        work.there()?;
        work.free()?;
    }
    for (copy, _) in copy::volumes(backup) {
        copy::unused(copy)?;
    }
    // Somebody may have locked it since.
    work.store.update_free(id, Backup::end)?;
    for lun in copy::luns(backup).0 {
        provider.on_lun_empty(&lun).map_err(|refused| provider::refused(&refused))?;
    }
    console.say(message::OVERWRITTEN, &[&id])?;
    let settings = *provider.settings();
    restoring::wait(console, &settings, backup)
}
