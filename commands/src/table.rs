//! What a command's option table is made of, and the options that all commands share.
//!
//! One table a command is the only place that knows its options. Parsing, `-h`, man page and
//! completion are all made from it, so that none of them can disagree with another.

use crate::{failure::Outcome, parse::Typed, session::Session, subcommand};

/// What a command of CCI's does. Everything typed has been checked against the table.
pub type Run = fn(&mut Session<'_, '_>, &Typed) -> Outcome;

/// A command: its name, its options, and what it does. The `drm` commands do it with other things
/// at hand, so what a command does is a type of its own.
#[derive(Debug, Clone, Copy)]
pub struct Spec<R: 'static = Run> {
    /// The name, as in `pairdisplay`.
    pub name: &'static str,
    /// Other names it answers to, such as `horcmstart.sh`.
    pub also: &'static [&'static str],
    /// One sentence for lists and man pages, without a full stop.
    pub about: &'static str,
    /// The options it shares with others, listed first by `-h`.
    pub common: &'static [&'static [Opt]],
    /// The options of its own.
    pub options: &'static [Opt],
    /// The words that belong to no option, if it takes any.
    pub operands: Option<Operands>,
    /// What it does.
    pub run: R,
}

impl<R> Spec<R> {
    /// Every option, the common ones first.
    pub fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        let common = self.common.iter().flat_map(|group| group.iter());
        common.chain(self.options)
    }

    /// Every name the command answers to, its own first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }
}

/// The words of a command that belong to no option.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// How the usage line shows them.
    pub shown: &'static str,
    /// What they are.
    pub doc: &'static str,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// The word behind the dash.
    pub name: &'static str,
    /// Other words for the same.
    pub also: &'static [&'static str],
    /// What follows it.
    pub arity: Arity,
    /// How `-h` shows it.
    pub shown: &'static str,
    /// What it does, one line.
    pub doc: &'static str,
    /// The options it cannot stand beside.
    pub conflicts: &'static [&'static str],
    /// Whether `-h` lists it. Options that CCI takes but does not list are documented all the
    /// same, in the man page.
    pub listed: bool,
}

/// What follows an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Nothing.
    Flag,
    /// So many words.
    Words {
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// A number glued to the name, or nothing: `-I50`, `-IM`.
    Number,
    /// `=` and a word glued to the name, or nothing: `-svinf=Harddisk1`.
    Value,
    /// One or more of these letters glued to the name, in any order: `-fcx`.
    Letters(&'static str),
}

impl Opt {
    /// An option that stands alone.
    #[must_use]
    pub const fn flag(name: &'static str, shown: &'static str, doc: &'static str) -> Self {
        Self::new(name, Arity::Flag, shown, doc)
    }

    /// An option followed by `least` to `most` words.
    #[must_use]
    pub const fn words(
        name: &'static str,
        least: usize,
        most: usize,
        shown: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Arity::Words { least, most }, shown, doc)
    }

    /// An option of any arity.
    #[must_use]
    pub const fn new(
        name: &'static str,
        arity: Arity,
        shown: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, also: &[], arity, shown, doc, conflicts: &[], listed: true }
    }

    /// The same with other words for it.
    #[must_use]
    pub const fn or(mut self, also: &'static [&'static str]) -> Self {
        self.also = also;
        self
    }

    /// The same, refused beside these options.
    #[must_use]
    pub const fn against(mut self, conflicts: &'static [&'static str]) -> Self {
        self.conflicts = conflicts;
        self
    }

    /// The same, left out of `-h`.
    #[must_use]
    pub const fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    /// Every word for it, without the dash.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }
}

/// `-h`, which every command has.
pub const HELP: &[Opt] = &[Opt::flag("h", "-h", "Help/Usage")];

/// Which instance, which mode, and the interactive mode: the head of `raidqry -h` (`cci` 2.0).
pub const COMMON: &[Opt] = &[
    Opt::flag("h", "-h", "Help/Usage"),
    Opt::new("I", Arity::Number, "-I[#]", "Set to HORCMINST#"),
    Opt::new("IH", Arity::Number, "-IH[#] or -ITC[#]", "Set to HORC mode [and HORCMINST#]")
        .or(&["ITC", "ICA"]),
    Opt::new("IM", Arity::Number, "-IM[#] or -ISI[#]", "Set to MRCF mode [and HORCMINST#]")
        .or(&["ISI", "IBC"]),
    Opt::flag("z", "-z", "Set to the interactive mode"),
    Opt::flag("zx", "-zx", "Set to the interactive mode and HORCM monitoring"),
    Opt::flag("q", "-q", "Quit(Return to main())"),
    Opt::words(
        "x",
        1,
        subcommand::MOST_WORDS,
        "-x <command> <arg>",
        "Specify a sub-command, with all that follows: findcmddev drivescan portscan sync[d] mount umount[d] sleep env setenv usetenv",
    )
    .unlisted(),
    Opt::flag("nomsg", "-nomsg", "Specify not to display any message of this command").unlisted(),
];

/// Which volumes: `-g`, `-d`, `-dg`, and the cascading mirrors.
pub const SELECTION: &[Opt] = &[
    Opt::words("g", 1, 1, "-g <group>", "Specify the group name"),
    Opt::words(
        "d",
        1,
        3,
        "-d <pair Vol>|<raw_device> [MU#]|<Seq#> <LDEV#> [MU#]",
        "Specify the volume by its name, its device or its LDEV",
    )
    .against(&["dg"]),
    Opt::words(
        "dg",
        1,
        3,
        "-dg <raw_device> [MU#]|<Seq#> <LDEV#> [MU#]",
        "Specify the group that holds the device or the LDEV",
    )
    .against(&["g"]),
    Opt::words("FHORC", 0, 1, "-FHORC [MU#]", "Specify the cascading HORC mirror of the volumes")
        .or(&["FCA"])
        .against(&["FMRCF"]),
    Opt::words("FMRCF", 0, 1, "-FMRCF [MU#]", "Specify the cascading MRCF mirror of the volumes")
        .or(&["FBC"]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn every_option_of_every_command_is_documented_and_named_once() {
        for spec in crate::all().iter().chain(crate::own()) {
            let mut names = HashSet::new();
            for opt in spec.all_options() {
                assert!(!opt.doc.is_empty(), "{} -{}", spec.name, opt.name);
                assert!(
                    opt.shown.starts_with(&format!("-{}", opt.name)),
                    "{} -{} is shown as {}",
                    spec.name,
                    opt.name,
                    opt.shown
                );
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
