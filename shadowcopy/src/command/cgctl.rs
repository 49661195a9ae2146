//! `drmcgctl`: keeps the generation of a backup from being overwritten, or no longer.

use commands::{
    parse::Typed,
    table::{HELP, Opt},
};

use super::{Run, Spec, fscat::id};
use crate::{
    catalogue::error::must_be_there,
    console::Console,
    failure::{Failure, Outcome, Stop},
    message,
    mountinfo::Mounts,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmcgctl",
    also: &[],
    about: "Locks the generation of a backup, so that no later backup takes it, or unlocks it",
    common: &[HELP],
    options: &[
        Opt::words("lock", 1, 1, "-lock <backupID>", "Keep this backup").against(&["unlock"]),
        Opt::words(
            "unlock",
            1,
            1,
            "-unlock <backupID>",
            "Let a later backup take the place of this one; forget mounts that are gone",
        ),
    ],
    operands: None,
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let command = console.command;
    let store = console.catalogue();
    if let Some(word) = typed.word("lock") {
        let kept = store.get(id(command, word)?)?;
        must_be_there(&kept.backup, kept.died)?;
        let locked = store.set_locked(kept.backup.id, true)?;
        // It may have been overwritten since.
        must_be_there(&locked, false)?;
        return console.say(message::LOCKED, &[&kept.backup.id]);
    }
    let Some(word) = typed.word("unlock") else {
        let wrong = "the command must be told what to do";
        return Err(Failure::usage(command, "-lock or -unlock", wrong).into());
    };
    let mounts = Mounts::now().map_err(|error| {
        let failure = Failure::new(message::CATALOGUE_FAILED).object("/proc/self/mountinfo");
        Stop::from(failure.cause(error.to_string()))
    })?;
    let backup = store.update(id(command, word)?, |backup| {
        backup.locked = false;
        backup.reading = false;
        backup.mounted.retain(|point| mounts.at(point).is_some());
    })?;
    if let Some(point) = backup.mounted.first() {
        return Err(Failure::new(message::STILL_MOUNTED)
            .word(backup.id)
            .state(format!("mounted at {}", point.display()))
            .cause("a mount keeps its generation, locked or not")
            .action(format!("drmumount {}", backup.id))
            .into());
    }
    console.say(message::UNLOCKED, &[&backup.id])
}
