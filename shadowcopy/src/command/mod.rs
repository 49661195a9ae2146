//! The `drm` commands, one file each: option table, run function, tests.
//!
//! A command that does something is told of with KAVX0001-I and KAVX0002-I; a listing is not, so
//! that its output can be read by programs.

pub mod cgctl;
pub mod dbbackup;
pub mod dbcat;
pub mod dbexport;
pub mod dbimport;
pub mod fsbackup;
pub mod fscat;
pub mod fsrestore;
pub mod mediabackup;
pub mod mediarestore;
pub mod mount;
pub mod options;
mod progress;
pub mod recover;
pub mod resync;
mod rows;
pub mod shadowadmin;
mod targets;
pub mod umount;
pub mod view;

use commands::{
    multicall::Family,
    parse::Typed,
    table::{self, Opt},
};

use crate::{console::Console, failure::Outcome};

/// The option table of a `drm` command.
pub type Spec = table::Spec<Run>;

/// What a `drm` command does.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Whether its start and its end are told.
    pub told: bool,
    /// What it does. Everything typed has been checked against the table.
    pub function: fn(&mut Console<'_>, &Typed) -> Outcome,
}

impl Run {
    /// A command that does something: its start and end are told.
    #[must_use]
    pub const fn told(function: fn(&mut Console<'_>, &Typed) -> Outcome) -> Self {
        Self { told: true, function }
    }

    /// A listing.
    #[must_use]
    pub const fn listing(function: fn(&mut Console<'_>, &Typed) -> Outcome) -> Self {
        Self { told: false, function }
    }
}

/// `-json`, for commands whose output is a listing.
pub const JSON: &[Opt] =
    &[Opt::flag("json", "-json", "Print JSON on standard output, messages on standard error")];

/// The commands of the binary `drm`.
pub static DRM: Family<Run> = Family { binary: "drm", prefix: "drm", linked: LINKED, own: OWN };

/// In the order of lists.
static LINKED: &[&Spec] = &[
    &fsbackup::SPEC,
    &dbbackup::SPEC,
    &fscat::SPEC,
    &dbcat::SPEC,
    &mount::SPEC,
    &umount::SPEC,
    &resync::SPEC,
    &fsrestore::SPEC,
    &cgctl::SPEC,
    &dbexport::SPEC,
    &dbimport::SPEC,
    &mediabackup::SPEC,
    &mediarestore::SPEC,
    &shadowadmin::SPEC,
];

/// Those that the vendor has not: `drm NAME`, never by a link.
static OWN: &[&Spec] = &[&recover::SPEC];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_option_of_every_command_is_documented_and_named_once() {
        let mut commands = HashSet::new();
        for spec in DRM.linked.iter().chain(DRM.own) {
            assert!(commands.insert(spec.name), "{} is there twice", spec.name);
            let mut names = HashSet::new();
            for opt in spec.all_options() {
                let shown = format!("-{}", opt.name);
                assert!(!opt.doc.is_empty(), "{} {shown}", spec.name);
                assert!(opt.shown.starts_with(&shown), "{} {shown}: {}", spec.name, opt.shown);
                for name in opt.names() {
                    assert!(names.insert(name), "{} has -{name} twice", spec.name);
                }
            }
            for opt in spec.all_options() {
                for other in opt.conflicts {
                    assert!(names.contains(other), "{}: no -{other}", spec.name);
                }
            }
            assert!(names.contains("h"), "{} has no -h", spec.name);
        }
    }
}
