//! The options of the commands that make backups.

use std::time::Duration;

use commands::{parse::Typed, table::Opt};

use crate::{
    catalogue::{generation, record::Mode},
    coordinator::Policy,
    failure::{Failure, Outcome},
    limits::{Limits, time},
    message,
    observer::StepsTo,
    requestor::backup::Wish,
    writer::Writer,
    writers::Config,
};

/// What every backup takes.
pub const BACKUP: &[Opt] = &[
    Opt::words(
        "mode",
        1,
        1,
        "-mode <online|cold>",
        "Whether applications are up (default) or down; vss is for Windows",
    ),
    Opt::words("rc", 0, 1, "-rc [local_N]", "The generation to copy to: the pairs with MU# N"),
    Opt::words(
        "comment",
        1,
        1,
        "-comment <text>",
        "A comment for the catalog, at most 64 characters",
    ),
    Opt::words(
        "policy",
        1,
        1,
        "-policy <abort|crash-consistent>",
        "What to do where something does not hold its writes (default abort)",
    ),
    Opt::words(
        "writers_limit",
        1,
        1,
        "-writers_limit <time>",
        "How long applications may be frozen, such as 30s; at most 60s, the default",
    ),
    Opt::words(
        "freeze_limit",
        1,
        1,
        "-freeze_limit <time>",
        "How long file systems may be frozen, such as 500ms; at most 10s, the default",
    ),
    Opt::words("steps", 1, 1, "-steps <fd>", "Tell the steps to this pipe or socket, a line each")
        .unlisted(),
];

/// The most of a comment, in characters.
const MOST_COMMENT: usize = 64;

/// What was asked for, without the mount points and writers.
///
/// # Errors
/// KAVX0050-E for what cannot be meant, KAVX5000-E for `-mode vss`.
pub fn wish(command: &str, typed: &Typed, config: &Config) -> Outcome<Wish> {
    let usage = |option: &str, word: &str, wrong: &str| {
        Failure::usage(command, format!("-{option} {word}"), wrong)
    };
    let mode = match typed.word("mode") {
        None | Some("online") => Mode::Online,
        Some("cold") => Mode::Cold,
        Some("vss") => {
            return Err(Failure::new(message::VSS_SYSTEM)
                .cause("VSS is a service of Windows")
                .action("leave -mode out: here the command itself freezes applications and file systems")
                .into());
        }
        Some(other) => return Err(usage("mode", other, "it is online or cold").into()),
    };
    let generation = match typed.word("rc") {
        None => None,
        Some(word) => Some(generation::asked(command, word)?),
    };
    let comment = typed.word("comment").unwrap_or_default();
    if comment.chars().count() > MOST_COMMENT || comment.chars().any(char::is_control) {
        return Err(usage("comment", comment, "at most 64 characters, on one line").into());
    }
    let policy = match typed.word("policy") {
        None => config.policy,
        Some("abort") => Policy::Abort,
        Some("crash-consistent") => Policy::CrashConsistent,
        Some(other) => return Err(usage("policy", other, "it is abort or crash-consistent").into()),
    };
    let limit = |option: &str, usual: Duration, most: Duration| {
        let Some(word) = typed.word(option) else { return Ok(usual) };
        let wrong = match time(word) {
            Ok(asked) if !asked.is_zero() && asked <= most => return Ok(asked),
            Ok(_) => format!("it is more than nothing and at most {} s", most.as_secs()),
            Err(error) => error.to_string(),
        };
        Err(Box::new(usage(option, word, &wrong)))
    };
    let limits = Limits {
        writers: limit("writers_limit", config.limits.writers, Limits::MOST_WRITERS)?,
        file_systems: limit("freeze_limit", config.limits.file_systems, Limits::MOST_FILE_SYSTEMS)?,
        ..config.limits
    };
    let steps = match typed.word("steps") {
        None => None,
        Some(word) => {
            let steps = word
                .parse()
                .map_err(|_| "it is the number of a descriptor".to_owned())
                .and_then(|fd| StepsTo::inherited(fd).map_err(|error| error.to_string()));
            Some(steps.map_err(|error| usage("steps", word, &error))?)
        }
    };
    Ok(Wish {
        points: Vec::new(),
        mode,
        generation,
        comment: comment.to_owned(),
        policy,
        limits,
        steps,
        writers: Vec::<Box<dyn Writer>>::new(),
    })
}

#[cfg(test)]
mod tests {
    use commands::parse::parse;

    use super::*;
    use crate::command::fsbackup::SPEC;

    fn asked(line: &str) -> Outcome<Wish> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let typed = parse(&SPEC, &words).unwrap();
        wish("drmfsbackup", &typed, &Config::default())
    }

    #[test]
    fn what_is_left_out_is_an_online_backup_that_is_given_up_where_anything_fails() {
        let wish = asked("/mnt").unwrap();
        assert_eq!((wish.mode, wish.policy, wish.generation), (Mode::Online, Policy::Abort, None));
        assert_eq!(wish.limits.writers, Limits::MOST_WRITERS);
        let wish =
            asked("/mnt -mode cold -rc local_3 -policy crash-consistent -freeze_limit 500ms");
        let wish = wish.unwrap();
        assert_eq!((wish.mode, wish.policy), (Mode::Cold, Policy::CrashConsistent));
        assert_eq!(wish.generation.unwrap().get(), 3);
        assert_eq!(wish.limits.file_systems, Duration::from_millis(500));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "/mnt -mode warm",
            "/mnt -rc 3",
            "/mnt -policy best-effort",
            "/mnt -writers_limit 30",
            "/mnt -writers_limit 61s",
            "/mnt -freeze_limit 11s",
            "/mnt -freeze_limit 0s",
            "/mnt -steps x",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
        let refused = match asked("/mnt -mode vss") {
            Err(crate::failure::Stop::Failure(failure)) => failure,
            _ => panic!("there is no VSS here"),
        };
        assert_eq!(refused.message, message::VSS_SYSTEM);
    }
}
