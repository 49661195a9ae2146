//! `shadowadmin`: lists, in the shape of `vssadmin`.
//!
//! | file | what it holds |
//! |---|---|
//! | `list` | `list providers`, `list shadows`, `list volumes` |
//! | `writers` | `list writers`: they are asked |

mod list;
mod writers;

use commands::{
    parse::Typed,
    table::{HELP, Operands},
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
    about: "Lists the provider, writers, shadow copies and volumes, in the shape of vssadmin",
    common: &[HELP, JSON],
    options: &[],
    operands: Some(Operands {
        shown: "list {providers|writers|shadows|volumes}",
        doc: "What to list",
    }),
    run: Run::listing(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let words: Vec<_> = typed.operands().iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list", "providers"] => list::providers(console),
        ["list", "writers"] => writers::list(console),
        ["list", "shadows"] => list::shadows(console),
        ["list", "volumes"] => list::volumes(console),
        _ => {
            let wrong = "it is `list`, and providers, writers, shadows or volumes";
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
