//! `drmfsbackup`: file systems, and whatever hooks the administrator keeps for them.

use commands::{
    parse::Typed,
    table::{HELP, Operands, Opt},
};

use super::{JSON, Run, Spec, options};
use crate::{
    catalogue::record::Mode,
    console::Console,
    failure::{Failure, Outcome},
    requestor::{backup, writers},
    volume::named,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmfsbackup",
    also: &[],
    about: "Backs up file systems: freezes them, copies their P-VOLs to S-VOLs, thaws them",
    common: &[HELP, JSON],
    options: OPTIONS,
    operands: Some(Operands {
        shown: "mountdir | list-file",
        doc: "A mount point, or a file with one on each line",
    }),
    run: Run::told(run),
};

const OPTIONS: &[Opt] = &{
    let mut all = [Opt::flag("x", "-x", ""); options::BACKUP.len() + 1];
    let mut n = 0;
    while n < options::BACKUP.len() {
        all[n] = options::BACKUP[n];
        n += 1;
    }
    all[n] = Opt::words(
        "script",
        1,
        1,
        "-script <program>",
        "Have this program take part as a writer (docs/writers.md), the last to freeze",
    );
    all
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let [target] = typed.operands() else {
        let wrong = "it takes one mount point, or one list of mount points";
        return Err(Failure::usage(console.command, "mountdir | list-file", wrong).into());
    };
    let config = writers::config(console)?;
    let mut wish = options::wish(console.command, typed, &config)?;
    wish.points = named::points(target)?;
    if wish.mode == Mode::Online {
        wish.writers = writers::always(&config, typed.word("script"))?;
    } else if let Some(script) = typed.word("script") {
        let wrong = "with -mode cold the applications are down, and nobody is asked";
        return Err(Failure::usage(console.command, format!("-script {script}"), wrong).into());
    }
    backup::backup(console, wish)
}
