//! The command line (MK-94HC074 2.4.1).

use std::{fs, path::Path};

use commands::{
    parse::Typed,
    table::{HELP, Opt, Spec},
};
use messages::{
    failure::{Checked, Failure},
    message,
};

use crate::{backup::Wish, vss::BackupType};

/// The command.
pub static SPEC: Spec<()> = Spec {
    name: "drmexgbackup",
    also: &[],
    about: "Backs up databases of Exchange Server: VSS has them frozen and their pairs split",
    common: &[HELP],
    options: OPTIONS,
    operands: None,
    run: (),
};

const OPTIONS: &[Opt] = &[
    Opt::words("mode", 1, 1, "-mode <vss>", "How: by the Volume Shadow Copy Service (required)"),
    Opt::words(
        "target",
        1,
        1,
        "-target <name,name...>",
        "These storage groups or databases, not all",
    )
    .against(&["f"]),
    Opt::words("f", 1, 1, "-f <file>", "The same, by a file with one name on each line"),
    Opt::flag(
        "transact_log_del",
        "-transact_log_del",
        "Have Exchange delete the transaction logs that are in the databases",
    ),
    Opt::flag("noverify", "-noverify", "Do not warn that the databases were not verified"),
];

/// What was asked for.
///
/// # Errors
/// KAVX0050-E for what cannot be meant, KAVX0214-E for a list that cannot be read.
pub fn wish(typed: &Typed) -> Checked<Wish> {
    let usage = |typed: String, wrong: &str| Box::new(Failure::usage(SPEC.name, typed, wrong));
    match typed.word("mode") {
        Some("vss") => {}
        None => return Err(usage("-mode".into(), "it is required: -mode vss")),
        Some(other) => {
            let wrong = "this command backs up by the Volume Shadow Copy Service only: -mode vss";
            return Err(usage(format!("-mode {other}"), wrong));
        }
    }
    let named = match (typed.word("target"), typed.word("f")) {
        (Some(names), _) => listed(names.split(',')),
        (None, Some(file)) => listed(read(file)?.lines()),
        (None, None) => Vec::new(),
    };
    if named.is_empty() && (typed.has("target") || typed.has("f")) {
        return Err(usage("-target | -f".into(), "it names nothing"));
    }
    let backup = match typed.has("transact_log_del") {
        true => BackupType::Full,
        false => BackupType::Copy,
    };
    Ok(Wish { named, backup })
}

fn listed<'t>(names: impl Iterator<Item = &'t str>) -> Vec<String> {
    names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn read(file: &str) -> Checked<String> {
    let failed = |cause: String| {
        Failure::new(message::FILE_FAILED)
            .word(file)
            .cause(cause)
            .action("name a text file with a storage group on each line, by its absolute path")
    };
    if !Path::new(file).is_absolute() {
        return Err(failed("it is not an absolute path".into()).into());
    }
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}
