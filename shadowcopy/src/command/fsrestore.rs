//! `drmfsrestore`: the P-VOLs become what they were at the backup (`pairresync -restore`).

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};
use model::PairStatus;

use super::{Run, Spec};
use crate::{
    catalogue::State,
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
    let work = Work::begin(console, id)?;
    let backup = work.backup();
    let mut provider = provider::load(console, backup.generation)?;
    let settings = *provider.settings();
    let pairs = restoring::pairs(backup);
    // One that died while the array worked: that goes on by itself.
    let standings = restoring::standings(&console.home, &settings, &pairs)?;
    let under_way = backup.state == State::Overwritten
        && standings.iter().any(|standing| standing.status == PairStatus::Rcpy);
    if !under_way {
        work.there()?;
        work.free()?;
        for (copy, original) in copy::volumes(backup) {
            copy::unused(original)?;
            copy::unused(copy)?;
        }
        console.say(message::RESTORE_START, &[&id])?;
        let (copies, originals) = copy::luns(backup);
        provider.resync_luns(&copies, &originals).map_err(|refused| provider::refused(&refused))?;
        // From here on the S-VOLs follow: what they hold is the P-VOLs' from the end of this.
        work.store.update(id, |backup| backup.state = State::Overwritten)?;
    }
    restoring::wait(console, &settings, backup)?;
    console.say(message::BROUGHT_BACK, &[&id])?;
    console.say(message::CONSUMED, &[&id])
}
