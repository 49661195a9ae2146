//! `drm recover`: undoes what backups left that died. For the boot, and for the curious.

use commands::{parse::Typed, table::HELP};

use super::{Run, Spec};
use crate::{console::Console, failure::Outcome, requestor::recovery};

/// The command.
pub static SPEC: Spec = Spec {
    name: "recover",
    also: &[],
    about: "Thaws what backups left frozen that died, and brings their pairs back",
    common: &[HELP],
    options: &[],
    operands: None,
    run: Run::told(run),
};

fn run(console: &mut Console<'_>, _typed: &Typed) -> Outcome {
    let store = console.catalogue();
    let _claim = store.claim(console.command)?;
    recovery::recover(console, &store, None)
}
