//! The one error type: CCI's code, and what a person needs to act on it.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::code::Code;

/// The result of anything a command asks for.
pub type CciResult<T> = Result<T, CciError>;

/// A failure in CCI's words. The first line is exact (`[EX_INVSTP] Invalid pair status`); the
/// rest says what it was about, in which state that was, why it failed and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CciError {
    /// Name, number and text.
    pub code: Code,
    /// What it was about, such as `snap/snapdev1 (LDEV 18 of Serial# 62496 MU# 2)`.
    pub object: Option<String>,
    /// The state that object was found in, such as `PSUS`.
    pub state: Option<String>,
    /// Why that is an error.
    pub cause: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
}

impl CciError {
    /// A bare code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, object: None, state: None, cause: None, advice: None }
    }

    /// What it was about.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// The state the object was in.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Why it is an error.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The lines after the first: `OBJECT : ...`, `STATE : ...`, `CAUSE : ...`, `ACTION : ...`,
    /// in the manner of the `CAUSE :` lines of array rejections (`cci` 4.3). Each is one line
    /// whatever was typed or came back: control characters stand escaped, as `\n` or `\u{1b}`,
    /// so that nothing forges a line of a log or speaks to a terminal.
    pub fn details(&self) -> impl Iterator<Item = String> + '_ {
        [
            ("OBJECT", &self.object),
            ("STATE", &self.state),
            ("CAUSE", &self.cause),
            ("ACTION", &self.advice),
        ]
        .into_iter()
        .filter_map(|(label, text)| {
            text.as_ref().map(|text| format!("{label} : {}", printable(text)))
        })
    }
}

/// Text from outside on one line: control characters, line separators and the marks that turn
/// the direction of what follows are escaped, everything else stands as it is.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let misleads =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(misleads) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if misleads(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

impl From<Code> for CciError {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for CciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        self.details().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for CciError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_ccis_and_the_detail_follows() {
        let error = CciError::new(Code::ExInvstp)
            .object("snap/snapdev1")
            .state("SMPL")
            .advice("create the pair first: paircreate -g snap -vl");
        assert_eq!(
            error.to_string(),
            "[EX_INVSTP] Invalid pair status\nOBJECT : snap/snapdev1\nSTATE : SMPL\n\
             ACTION : create the pair first: paircreate -g snap -vl"
        );
    }

    #[test]
    fn control_characters_forge_no_line_and_reach_no_terminal() {
        let error = CciError::new(Code::ExEnogrp)
            .object("x\nCOMMAND NORMAL : EUserID for HORC : root")
            .state("a\r\tb\u{7f}")
            .cause("\u{1b}]0;title\u{7}\u{9b}31m")
            .advice("ab\u{202e}cd, \u{e9} and \\ stand");
        let text = error.to_string();
        assert_eq!(
            text,
            "[EX_ENOGRP] No such group\nOBJECT : x\\nCOMMAND NORMAL : EUserID for HORC : root\n\
             STATE : a\\r\\tb\\u{7f}\nCAUSE : \\u{1b}]0;title\\u{7}\\u{9b}31m\n\
             ACTION : ab\\u{202e}cd, \u{e9} and \\ stand"
        );
        assert!(error.details().all(|line| !line.contains(char::is_control)));
    }
}
