//! What is wrong in a file: one finding, and the bounded list of all of them.

use std::{fmt::Write, ops::Range};

use crate::lines::{Line, Word};

/// The most errors, and the most warnings, kept of one file; the rest is counted.
pub const MAX_DIAGNOSTICS: usize = 1_000;

/// The longest piece of a bad word that a message repeats, in characters.
const MAX_QUOTE: usize = 40;

/// Whether the file can be used as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but may not do what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1; a tab is one character.
    pub column: u32,
    /// How many characters of the line it is about; 0 where something is missing.
    pub width: usize,
    /// The bytes of the text it is about.
    pub span: Range<usize>,
    /// What was found. One line, free of control characters.
    pub message: String,
    /// What would have been right, where one can say so.
    pub expected: Option<String>,
}

impl Diagnostic {
    /// One line for logs: `horcm50.conf:12:4: error: MU# is '4711'; expected a decimal MU# ...`.
    #[must_use]
    pub fn plain(&self, file: &str) -> String {
        let mut text = format!(
            "{}:{}:{}: {}: {}",
            printable(file),
            self.line,
            self.column,
            self.severity.word(),
            self.message
        );
        if let Some(expected) = &self.expected {
            text.push_str("; expected ");
            text.push_str(expected);
        }
        text
    }
}

/// A bad word as a message repeats it: quoted, shortened, and safe to print on a terminal.
pub(crate) fn quoted(word: &str) -> String {
    let mut chars = word.chars();
    let mut text = printable(&chars.by_ref().take(MAX_QUOTE).collect::<String>());
    let left_out = chars.count();
    if left_out == 0 {
        format!("'{text}'")
    } else {
        // Writing to a String cannot fail.
        let _ = write!(text, "...' ({} characters)", MAX_QUOTE + left_out);
        format!("'{text}")
    }
}

/// The text with control characters spelled out.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The findings of one file, bounded. Errors and warnings are bounded apart, so that no flood
/// of warnings hides an error.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// Whether any error was found.
    pub(crate) fn any_error(&self) -> bool {
        !self.errors.is_empty()
    }

    /// An error about one word.
    pub(crate) fn error(
        &mut self,
        line: &Line<'_>,
        word: &Word<'_>,
        message: String,
        expected: Option<&str>,
    ) {
        self.push(Severity::Error, line, word.span(), message, expected);
    }

    /// A warning about one word.
    pub(crate) fn warning(
        &mut self,
        line: &Line<'_>,
        word: &Word<'_>,
        message: String,
        expected: Option<&str>,
    ) {
        self.push(Severity::Warning, line, word.span(), message, expected);
    }

    /// A finding about the bytes `span` of a line.
    pub(crate) fn push(
        &mut self,
        severity: Severity,
        line: &Line<'_>,
        span: Range<usize>,
        message: String,
        expected: Option<&str>,
    ) {
        let list = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() == MAX_DIAGNOSTICS {
            self.omitted += 1;
            return;
        }
        list.push(Diagnostic {
            severity,
            line: line.number,
            column: line.column(span.start),
            width: line.width(&span),
            span,
            message,
            expected: expected.map(str::to_owned),
        });
    }

    /// All of them in the order of the file, and how many more there were.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, usize) {
        let mut all = self.errors;
        all.extend(self.warnings);
        all.sort_by_key(|d| (d.span.start, d.severity));
        (all, self.omitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_cannot_reach_the_terminal_as_escapes_or_floods() {
        assert_eq!(quoted("a\u{1b}[m"), r"'a\u{1b}[m'");
        let quote = quoted(&"x".repeat(5_000));
        assert!(quote.ends_with("...' (5000 characters)"), "{quote}");
        assert!(quote.len() < 80);
    }
}
