//! `shadowadmin`: lists and deletes, in the shape of `vssadmin`.
//!
//! | file | what it holds |
//! |---|---|
//! | `list` | `list providers`, `list shadows`, `list volumes` |
//! | `writers` | `list writers`: they are asked |
//! | `delete` | `delete shadows` |

mod delete;
mod list;
mod writers;

use commands::{
    parse::Typed,
    table::{Arity, HELP, Operands, Opt},
};

use super::{JSON, Run, Spec};
use crate::{
    console::Console,
    failure::{Failure, Outcome},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "shadowadmin",
    also: &[],
    about: "Lists the provider, writers, shadow copies and volumes, and deletes shadow copies, in the shape of vssadmin",
    common: &[HELP, JSON],
    options: &[
        Opt::new(
            "shadow",
            Arity::Value,
            "-shadow=<ID>",
            "Delete this backup, by its backup ID or the ID of its shadow copy set",
        )
        .against(&["all"]),
        Opt::flag("all", "-all", "Delete every backup that can be mounted or restored"),
        Opt::flag(
            "record",
            "-record",
            "Delete the record alone: its volumes are gone for ever, and RAID Manager is not asked",
        )
        .against(&["all"]),
        Opt::flag("quiet", "-quiet", "Delete without asking"),
    ],
    operands: Some(Operands {
        shown: "{list {providers|writers|shadows|volumes} | delete shadows}",
        doc: "What to do",
    }),
    run: Run::listing(run),
};

const DELETING: [&str; 4] = ["shadow", "all", "record", "quiet"];

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let words: Vec<_> = typed.operands().iter().map(String::as_str).collect();
    if words == ["delete", "shadows"] {
        return delete::shadows(console, typed);
    }
    if let Some(option) = DELETING.into_iter().find(|option| typed.has(option)) {
        let wrong = "it belongs to delete shadows";
        return Err(Failure::usage(console.command, format!("-{option}"), wrong).into());
    }
    match words.as_slice() {
        ["list", "providers"] => list::providers(console),
        ["list", "writers"] => writers::list(console),
        ["list", "shadows"] => list::shadows(console),
        ["list", "volumes"] => list::volumes(console),
        _ => {
            let wrong =
                "it is list, and providers, writers, shadows or volumes; or it is delete shadows";
            Err(Failure::usage(console.command, words.join(" "), wrong).into())
        }
    }
}

/// Prints blocks with a line between them.
fn print(console: &mut Console<'_>, blocks: &[String], none: &str) -> Outcome {
    match blocks {
        [] => console.print(none),
        blocks => console.print(&blocks.join("\n")),
    }
}
