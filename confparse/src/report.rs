//! Diagnostics for people.

use std::ops::Range;

use ariadne::{Config, Label, Report, ReportKind, Source};

use crate::diagnostic::{Diagnostic, Severity, printable};

/// The longest line shown with a caret, in characters. Longer ones get the plain form: nobody
/// finds a caret in them.
const MAX_SHOWN: usize = 400;

/// Renders findings about `text`, which was read from `file`.
///
/// With `caret`, for terminals, each is shown below its line; otherwise each is one plain line,
/// as [`Diagnostic::plain`] gives it. Neither holds colour codes or control characters from the
/// text. `text` is the one that was parsed; with another one the plain form is used where spans
/// do not fit.
#[must_use]
pub fn report(text: &str, file: &str, diagnostics: &[Diagnostic], caret: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        match caret.then(|| drawn(text, file, diagnostic)).flatten() {
            Some(drawing) => out.push_str(&drawing),
            None => {
                out.push_str(&diagnostic.plain(file));
                out.push('\n');
            }
        }
    }
    out
}

/// The finding below its line. Only that line is given to the renderer, so that a report of a
/// thousand findings does not index a large file a thousand times.
fn drawn(text: &str, file: &str, diagnostic: &Diagnostic) -> Option<String> {
    let (line, span) = line_of(text, &diagnostic.span)?;
    let file = printable(file);
    let number = usize::try_from(diagnostic.line).ok()?;
    let (kind, label) = match diagnostic.severity {
        Severity::Error => (ReportKind::Error, "here"),
        Severity::Warning => (ReportKind::Warning, "here"),
    };
    let label = match &diagnostic.expected {
        Some(expected) => format!("expected {expected}"),
        None => label.to_owned(),
    };
    let mut bytes = Vec::new();
    Report::build(kind, (file.as_str(), span.clone()))
        .with_config(Config::default().with_color(false).with_compact(true))
        .with_message(&diagnostic.message)
        .with_label(Label::new((file.as_str(), span)).with_message(label))
        .finish()
        .write(
            (
                file.as_str(),
                Source::from(line).with_display_line_offset(number.saturating_sub(1)),
            ),
            &mut bytes,
        )
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// The line around a span, safe to print, and the span in characters of that line.
fn line_of(text: &str, span: &Range<usize>) -> Option<(String, Range<usize>)> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let tail = text.get(start..)?;
    let line = tail.split('\n').next()?;
    if line.chars().nth(MAX_SHOWN).is_some() {
        return None;
    }
    let before = line.get(..span.start.checked_sub(start)?)?;
    let within = line.get(span.start - start..span.end.checked_sub(start)?)?;
    let mark = usize::from(line.starts_with('\u{feff}'));
    let from = before.chars().count().saturating_sub(mark);
    let to = from + within.chars().count();
    // The renderer breaks lines at more characters than a configuration does.
    let shown = |c: char| {
        if c == ' ' || c == '\t' || !(c.is_whitespace() || c.is_control()) {
            c
        } else {
            ' '
        }
    };
    let line = line.trim_end_matches('\r').chars().skip(mark).map(shown);
    Some((line.collect(), from..to))
}
