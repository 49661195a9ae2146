//! `drmdbimport`: takes an export of another catalogue in.

use std::{fs::File, io::BufReader};

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

use super::{Run, Spec};
use crate::{
    catalogue::bundle::{self, Refused},
    console::Console,
    failure::{Failure, Outcome},
    message,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmdbimport",
    also: &[],
    about: "Takes the backups of an export into the catalog, all of them or none",
    common: &[HELP],
    options: &[],
    operands: Some(Operands { shown: "file", doc: "What drmdbexport wrote" }),
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let [path] = typed.operands() else {
        return Err(Failure::usage(console.command, "file", "it takes one file").into());
    };
    let failed = || Failure::new(message::FILE_FAILED).word(path);
    let file = File::open(path).map_err(|error| {
        failed().cause(error.to_string()).action("name a file that drmdbexport wrote")
    })?;
    let ids = bundle::import(&console.catalogue(), BufReader::new(file));
    let ids = ids.map_err(|refused| match refused {
        Refused::Catalogue(error) => error.into(),
        Refused::Damaged(damage) => failed()
            .state("nothing of it was imported")
            .cause(damage.to_string())
            .action("export again, and carry the file over whole"),
    })?;
    console.say(message::IMPORTED, &[&ids.len(), path])
}
