//! `drmdbcat`: the backups of databases.

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};

use super::{
    JSON, Run, Spec,
    fscat::{BACKUP_ID, COMMENT, chosen},
    rows::table,
    view,
};
use crate::{
    catalogue::{Kept, record::Participant},
    console::Console,
    failure::Outcome,
    message,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmdbcat",
    also: &[],
    about: "Lists the backups in the catalog that applications took part in, a line for each",
    common: &[HELP, JSON],
    options: &[BACKUP_ID, COMMENT],
    operands: Some(Operands {
        shown: "[writer ...]",
        doc: "Only these writers, such as postgresql/main, or postgresql for all of that kind",
    }),
    run: Run::listing(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let asked = typed.operands();
    let mut backups = chosen(console, typed)?;
    backups.retain(|kept| kept.backup.writers.iter().any(|writer| is_asked(asked, writer)));
    if console.json {
        let views: Vec<_> = backups.iter().map(view::View::of).collect();
        return console.print_json(&views);
    }
    if backups.is_empty() {
        return console.say(message::CATALOGUE_EMPTY, &[]);
    }
    let rows: Vec<_> = backups.iter().flat_map(|kept| lines(kept, asked)).collect();
    console.print(&table(HEADINGS, &rows))
}

fn is_asked(asked: &[String], writer: &Participant) -> bool {
    let name = &writer.metadata.name;
    let kind = name.split('/').next().unwrap_or_default();
    asked.is_empty() || asked.iter().any(|word| word == name || word == kind)
}

const HEADINGS: [&str; 11] = [
    "BACKUP-ID",
    "MODE",
    "GENERATION",
    "STATE",
    "START-TIME",
    "END-TIME",
    "KEPT",
    "WRITER",
    "VERSION",
    "ARTIFACTS",
    "ERROR",
];

fn lines(kept: &Kept, asked: &[String]) -> Vec<[String; 11]> {
    let backup = &kept.backup;
    let line = |writer: &Participant| {
        [
            backup.id.to_string(),
            view::mode(backup).to_owned(),
            format!("local_{}", backup.generation),
            view::state(kept).to_owned(),
            view::local(backup.began),
            backup.ended.map(view::local).unwrap_or_default(),
            view::kept_by(backup),
            writer.metadata.name.clone(),
            writer.metadata.version.clone(),
            writer.artifacts.join(","),
            writer.fault.clone().unwrap_or_default(),
        ]
    };
    backup.writers.iter().filter(|writer| is_asked(asked, writer)).map(line).collect()
}
