//! Command lines as others may read them: without passwords (`raidcom -login <user> <password>`).

use std::borrow::Cow;

use model::CciError;

use crate::{parse::is_option, table::Spec};

/// What stands in the place of a password.
const MASK: &str = "***";

/// The options of `raidcom` whose next word says which storage system.
const WHICH: [&str; 2] = ["-s", "-u"];

/// A command line, and why it failed, without a password.
pub(crate) struct Masked<'a> {
    /// The words behind the command's name.
    pub(crate) words: Vec<&'a str>,
    /// The error; its object may be the very word that was not understood.
    pub(crate) error: Option<Cow<'a, CciError>>,
}

/// Masks what is, or with an option misspelled might be, a password: all behind `-login` but the
/// user's name, options, and the words of `-s` and `-u`.
pub(crate) fn masked<'a>(
    spec: &'static Spec,
    words: &'a [String],
    error: Option<&'a CciError>,
) -> Masked<'a> {
    let login = words.iter().position(|word| spec.name == "raidcom" && is_login(word));
    let mut object = error.and_then(|error| error.object.as_deref());
    let mut user = false;
    let mut shown = Vec::with_capacity(words.len());
    for (n, word) in words.iter().enumerate() {
        let behind = login.is_some_and(|login| n > login);
        let of_option = n > 0 && WHICH.contains(&words[n - 1].as_str());
        let plain = behind && !of_option && !is_option(spec, word);
        // A name does not begin with `-`: what does is a password, or an option misspelled.
        let secret = plain && (word.starts_with('-') || std::mem::replace(&mut user, true));
        if secret && object == Some(word) {
            object = Some(MASK);
        }
        shown.push(if secret { MASK } else { word.as_str() });
    }
    let error = error.map(|error| match object == Some(MASK) {
        true => Cow::Owned(error.clone().object(MASK)),
        false => Cow::Borrowed(error),
    });
    Masked { words: shown, error }
}

/// `-login`, also cut short or misspelled: what is refused is logged all the same.
fn is_login(word: &str) -> bool {
    let name = word.trim_start_matches('-').to_ascii_lowercase();
    word.starts_with('-') && name.starts_with('l') && name != "logout"
}

#[cfg(test)]
mod tests {
    use model::Code;

    use super::*;

    fn line(command: &str, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        masked(crate::find(command).unwrap(), &words, None).words.join(" ")
    }

    #[test]
    fn the_password_is_masked_wherever_it_stands_behind_login() {
        for (typed, shown) in [
            ("-login ann sesame", "-login ann ***"),
            ("-login ann sesame -s 62496 -IM51", "-login ann *** -s 62496 -IM51"),
            ("-login -s 62496 ann sesame", "-login -s 62496 ann ***"),
            ("-login -IM51 ann -sesame", "-login -IM51 ann ***"),
            ("-login ann open sesame", "-login ann *** ***"),
            ("-lo ann sesame", "-lo ann ***"),
            ("--Logn ann sesame", "--Logn ann ***"),
            ("-logout -u 1", "-logout -u 1"),
            ("get ldev", "get ldev"),
        ] {
            assert_eq!(line("raidcom", typed), shown);
        }
        assert_eq!(line("pairdisplay", "-g snap -l"), "-g snap -l");
    }

    #[test]
    fn an_error_about_the_password_does_not_say_it() {
        let words = ["-login", "ann", "-sesame"].map(str::to_owned);
        let spec = crate::find("raidcom").unwrap();
        for (object, shown) in [("-sesame", MASK), ("ann", "ann")] {
            let error = CciError::new(Code::ExUnwopt).object(object);
            let masked = masked(spec, &words, Some(&error));
            assert_eq!(masked.error.unwrap().object.as_deref(), Some(shown));
        }
    }
}
