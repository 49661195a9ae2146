//! `drmdbbackup`: databases, with all file systems their files are on.

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

use super::{JSON, Run, Spec, options};
use crate::{
    catalogue::record::Mode,
    console::Console,
    failure::{Failure, Outcome},
    message,
    requestor::{backup, writers},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmdbbackup",
    also: &[],
    about: "Backs up databases while they run, with all file systems that their files are on",
    common: &[HELP, JSON],
    options: options::BACKUP,
    operands: Some(Operands {
        shown: "WRITER ...",
        doc: "Databases of shadowcopy.toml, such as postgresql/main, in the order in which they freeze",
    }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    if typed.operands().is_empty() {
        let wrong = "it takes one writer at least";
        return Err(Failure::usage(console.command, "WRITER", wrong).into());
    }
    let config = writers::config(console)?;
    let mut wish = options::wish(console.command, typed, &config)?;
    let mut databases = writers::servers(&config, typed.operands())?;
    if wish.mode == Mode::Cold {
        let wrong = "a database that is down says nothing: name its file systems to drmfsbackup";
        return Err(Failure::usage(console.command, "-mode cold", wrong).into());
    }
    wish.points = writers::points(&mut databases, wish.limits.writer_call)?;
    if wish.points.is_empty() {
        return Err(Failure::new(message::TARGET)
            .object(typed.operands().join(", "))
            .cause("it names no files")
            .into());
    }
    databases.extend(writers::always(&config, None)?);
    wish.writers = databases;
    backup::backup(console, wish)
}
