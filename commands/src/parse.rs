//! From words typed to options given: a pass over argv, then clap.
//!
//! CCI's options are single-dash words (`-fcx`, `-IH50`, `-split`), which clap cannot declare. So
//! a first pass knows the table: it turns `-split` into `--split` and `-IH50` into `--IH=50`, and
//! refuses what is not in the table. clap then counts words and checks conflicts.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, error::ContextKind, error::ErrorKind};
use model::{CciError, CciResult, Code};

use crate::{
    failure::usage,
    subcommand::MOST_WORDS,
    table::{Arity, Opt, Spec},
};

/// The most words a command line may have. A line of the interactive mode is bounded likewise.
pub const MAX_WORDS: usize = 4096;

const OPERANDS: &str = "operands";

/// What was typed, checked against the table.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    given: BTreeMap<&'static str, Given>,
    operands: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Given {
    words: Vec<String>,
    position: usize,
}

impl Typed {
    /// Whether the option was given.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.given.contains_key(option)
    }

    /// The words behind an option, or what was glued to it; `None` when it was not given.
    #[must_use]
    pub fn words(&self, option: &str) -> Option<&[String]> {
        self.given.get(option).map(|given| given.words.as_slice())
    }

    /// The first word behind an option, or what was glued to it.
    #[must_use]
    pub fn word(&self, option: &str) -> Option<&str> {
        self.words(option)?.first().map(String::as_str)
    }

    /// The one of these options that was typed last.
    #[must_use]
    pub fn last_of(&self, options: &[&'static str]) -> Option<&'static str> {
        let given = options.iter().filter_map(|name| Some((self.given.get(name)?.position, *name)));
        given.max().map(|(_, name)| name)
    }

    /// The words that belong to no option.
    #[must_use]
    pub fn operands(&self) -> &[String] {
        &self.operands
    }
}

/// Checks words against a command's table.
///
/// # Errors
/// EX_UNWOPT for an unknown option, EX_REQARG for a missing word, EX_OPTINV for options that
/// exclude each other, EX_INVARG for too much of anything.
pub fn parse<R>(spec: &'static Spec<R>, words: &[String]) -> CciResult<Typed> {
    if words.len() > MAX_WORDS {
        let wrong = format!("more than {MAX_WORDS} words");
        return Err(usage(spec.name, Code::ExInvarg, "the command line", wrong));
    }
    let (words, sub_command) = split(spec, words);
    let mut rewritten = Vec::with_capacity(words.len());
    for word in words {
        rewritten.push(rewrite(spec, word)?);
    }
    let matches =
        grammar(spec).try_get_matches_from(rewritten).map_err(|error| refusal(spec, &error))?;
    let mut typed = collect(spec, &matches);
    if let Some(words) = sub_command {
        typed.given.insert("x", sub_command_words(spec, words)?);
    }
    Ok(typed)
}

/// All behind `-x` belongs to the sub-command, with words like `-a`.
fn split<'a, R>(spec: &Spec<R>, words: &'a [String]) -> (&'a [String], Option<&'a [String]>) {
    let known = spec.all_options().any(|opt| opt.name == "x");
    match words.iter().position(|word| known && word == "-x") {
        Some(at) => (&words[..at], Some(&words[at + 1..])),
        None => (words, None),
    }
}

fn sub_command_words<R>(spec: &Spec<R>, words: &[String]) -> CciResult<Given> {
    let wrong = match words.len() {
        0 => (Code::ExReqarg, "a word behind it is missing"),
        1..=MOST_WORDS => return Ok(Given { words: words.to_vec(), position: usize::MAX }),
        _ => (Code::ExInvarg, "too many words follow it"),
    };
    Err(usage(spec.name, wrong.0, "-x", wrong.1))
}

/// One word of argv as clap takes it.
fn rewrite<R>(spec: &'static Spec<R>, word: &str) -> CciResult<String> {
    let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
        return Ok(word.to_owned());
    };
    if let Some(opt) = spec.all_options().find(|o| o.names().any(|n| n == name)) {
        return Ok(match opt.arity {
            Arity::Number | Arity::Letters(_) | Arity::Value => format!("--{}=", opt.name),
            Arity::Flag | Arity::Words { .. } => format!("--{}", opt.name),
        });
    }
    spec.all_options()
        .find_map(|opt| Some(format!("--{}={}", opt.name, glued(opt, name)?)))
        .ok_or_else(|| usage(spec.name, Code::ExUnwopt, word, "there is no such option"))
}

/// Whether a word is an option of the command.
pub(crate) fn is_option<R>(spec: &'static Spec<R>, word: &str) -> bool {
    word.starts_with('-') && word != "-" && rewrite(spec, word).is_ok()
}

/// What is glued to an option's name in `typed`, if that is this option at all.
fn glued<'a>(opt: &Opt, typed: &'a str) -> Option<&'a str> {
    let fits = |rest: &str| match opt.arity {
        Arity::Number => rest.bytes().all(|b| b.is_ascii_digit()),
        Arity::Letters(letters) => rest.chars().all(|c| letters.contains(c)),
        Arity::Value => rest.starts_with('='),
        Arity::Flag | Arity::Words { .. } => false,
    };
    let bare = |rest: &'a str| rest.strip_prefix('=').filter(|_| opt.arity == Arity::Value);
    opt.names()
        .filter_map(|name| typed.strip_prefix(name))
        .find(|rest| fits(rest))
        .map(|rest| bare(rest).unwrap_or(rest))
}

/// The table as clap sees it. Only the command that was called is built: start-up counts.
fn grammar<R>(spec: &'static Spec<R>) -> clap::Command {
    let mut command = clap::Command::new(spec.name)
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true);
    for opt in spec.all_options() {
        let arg = Arg::new(opt.name).long(opt.name).conflicts_with_all(opt.conflicts);
        command = command.arg(match opt.arity {
            Arity::Flag => arg.action(ArgAction::SetTrue),
            Arity::Words { least, most } => arg.num_args(least..=most).action(ArgAction::Set),
            Arity::Number | Arity::Letters(_) | Arity::Value => {
                arg.num_args(1).require_equals(true).action(ArgAction::Set)
            }
        });
    }
    match spec.operands {
        Some(_) => command.arg(Arg::new(OPERANDS).num_args(0..)),
        None => command,
    }
}

/// clap's refusal in CCI's words.
fn refusal<R>(spec: &Spec<R>, error: &clap::Error) -> CciError {
    let context = |kind| {
        let text = error.get(kind)?.to_string();
        let bare = text.split([' ', '=']).next()?.trim_start_matches("--");
        let known = spec.all_options().any(|opt| opt.name == bare);
        Some(if known { format!("-{bare}") } else { bare.to_owned() })
    };
    let typed = context(ContextKind::InvalidArg).unwrap_or_else(|| spec.name.to_owned());
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let wrong = "the word belongs to no option";
            usage(spec.name, Code::ExUnwopt, &typed, wrong)
        }
        ErrorKind::ArgumentConflict => {
            let wrong = match context(ContextKind::PriorArg) {
                Some(prior) => format!("it cannot stand beside {prior}"),
                None => "it cannot stand beside another option that was given".to_owned(),
            };
            usage(spec.name, Code::ExOptinv, &typed, wrong)
        }
        ErrorKind::TooManyValues => {
            usage(spec.name, Code::ExInvarg, &typed, "too many words follow it")
        }
        _ => usage(spec.name, Code::ExReqarg, &typed, "a word behind it is missing"),
    }
}

fn collect<R>(spec: &'static Spec<R>, matches: &ArgMatches) -> Typed {
    let words = |id: &str| -> Vec<String> {
        let words = matches.try_get_many::<String>(id).ok().flatten();
        words.map(|w| w.cloned().collect()).unwrap_or_default()
    };
    let typed_at_all =
        |id| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
    let given = spec.all_options().filter(|opt| typed_at_all(opt.name));
    let given = given.map(|opt| {
        let words = words(opt.name);
        let position = matches.index_of(opt.name).unwrap_or_default();
        (opt.name, Given { words, position })
    });
    Typed {
        given: given.collect(),
        operands: if spec.operands.is_some() { words(OPERANDS) } else { Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;

    fn typed(command: &str, line: &str) -> CciResult<Typed> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        parse(find(command).unwrap(), &words)
    }

    #[test]
    fn glued_letters_come_in_any_order() {
        for (line, letters) in [("-fcx", "cx"), ("-fxc", "xc"), ("-fd", "d"), ("-fdc", "dc")] {
            let typed = typed("pairdisplay", &format!("-g snap {line}")).unwrap();
            assert_eq!(typed.word("f"), Some(letters), "{line}");
            assert_eq!(typed.word("g"), Some("snap"));
        }
    }

    #[test]
    fn the_instance_is_glued_and_may_be_missing() {
        for (line, option, number) in [
            ("-I50", "I", "50"),
            ("-I", "I", ""),
            ("-IH0", "IH", "0"),
            ("-ITC5", "IH", "5"),
            ("-ICA", "IH", ""),
            ("-IM51", "IM", "51"),
            ("-ISI201", "IM", "201"),
            ("-IBC6", "IM", "6"),
        ] {
            let typed = typed("pairdisplay", &format!("-g snap {line}")).unwrap();
            assert_eq!(typed.word(option), Some(number), "{line}");
        }
    }

    #[test]
    fn the_last_of_several_is_known() {
        let both = typed("pairdisplay", "-IM51 -g snap -IH50").unwrap();
        assert_eq!(both.last_of(&["I", "IH", "IM"]), Some("IH"));
        let other = typed("pairdisplay", "-IH50 -IM51 -g snap").unwrap();
        assert_eq!(other.last_of(&["I", "IH", "IM"]), Some("IM"));
    }

    #[test]
    fn an_option_takes_as_many_words_as_its_table_says() {
        let typed = typed("pairdisplay", "-CLI -d 492015 1 0 -IM201").unwrap();
        assert_eq!(typed.words("d").unwrap(), ["492015", "1", "0"]);
        assert!(typed.has("CLI"));
    }

    #[test]
    fn mistakes_carry_the_code_of_their_kind() {
        for (line, code, object) in [
            ("-g snap -bogus", Code::ExUnwopt, "-bogus"),
            ("--g snap", Code::ExUnwopt, "--g"),
            ("-g snap -fcz", Code::ExUnwopt, "-fcz"),
            ("-g snap -IX5", Code::ExUnwopt, "-IX5"),
            ("-g snap stray", Code::ExUnwopt, "stray"),
            ("-g", Code::ExReqarg, "-g"),
            ("-g -l", Code::ExReqarg, "-g"),
            ("-d", Code::ExReqarg, "-d"),
            ("-g snap -dg 62496 18", Code::ExOptinv, "-g"),
        ] {
            let error = typed("pairdisplay", line).unwrap_err();
            assert_eq!(error.code, code, "{line}: {error}");
            if code != Code::ExOptinv {
                assert_eq!(error.object.as_deref(), Some(object), "{line}");
            }
        }
    }

    #[test]
    fn words_with_equals_signs_and_odd_letters_are_refused_not_misread() {
        for word in ["-g=snap", "-I=5", "-", "--", "-é", "-fé"] {
            let words = [word.to_owned()];
            assert!(parse(find("pairdisplay").unwrap(), &words).is_err(), "{word}");
        }
    }
}
