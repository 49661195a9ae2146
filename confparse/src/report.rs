//! Diagnostics for people.

use std::collections::{BTreeMap, HashSet};

use ariadne::{Config, Label, Report, ReportKind, Source};

use crate::{
    diagnostic::{Diagnostic, Severity, printable},
    lines::lines,
};

/// The longest line shown with a caret, in characters. Longer ones get the plain form: nobody
/// finds a caret in them.
const MAX_SHOWN: usize = 400;

/// Renders findings about `text`, which was read from `file`.
///
/// With `caret`, for terminals, each is shown below its line; otherwise each is one plain line,
/// as [`Diagnostic::plain`] gives it. Neither holds colour codes or control characters from the
/// text. `text` is the one that was parsed; with another one the plain form is used where the
/// places do not fit.
#[must_use]
pub fn report(text: &str, file: &str, diagnostics: &[Diagnostic], caret: bool) -> String {
    let mut out = String::new();
    let mut page = caret.then(|| Page::new(text, file, diagnostics));
    for diagnostic in diagnostics {
        match page.as_mut().and_then(|page| page.draw(diagnostic)) {
            Some(drawing) => out.push_str(&drawing),
            None => {
                out.push_str(&diagnostic.plain(file));
                out.push('\n');
            }
        }
    }
    out
}

/// What the renderer sees of a text: the lines that something was found in, made safe to print,
/// and empty lines for all others, so that line numbers are right.
struct Page {
    file: String,
    source: Source,
    /// By line number: offset of its first character in the page, and its length.
    shown: BTreeMap<u32, (usize, usize)>,
}

impl Page {
    fn new(text: &str, file: &str, diagnostics: &[Diagnostic]) -> Self {
        let wanted: HashSet<u32> = diagnostics.iter().map(|d| d.line).collect();
        let last = wanted.iter().copied().max().unwrap_or(0);
        let mut page = String::new();
        let mut shown = BTreeMap::new();
        let mut offset = 0;
        for line in lines(text).take_while(|line| line.number <= last) {
            if wanted.contains(&line.number) && line.text.chars().nth(MAX_SHOWN).is_none() {
                let length = line.text.chars().count();
                page.extend(line.text.chars().map(safe));
                shown.insert(line.number, (offset, length));
                offset += length;
            }
            page.push('\n');
            offset += 1;
        }
        Self { file: printable(file), source: Source::from(page), shown }
    }

    /// The finding below its line; `None` when that line cannot be shown.
    fn draw(&mut self, diagnostic: &Diagnostic) -> Option<String> {
        let (offset, length) = *self.shown.get(&diagnostic.line)?;
        let column = usize::try_from(diagnostic.column).ok()?.checked_sub(1)?;
        if column > length {
            return None;
        }
        let width = diagnostic.width.min(length - column);
        let span = offset + column..offset + column + width;
        let kind = match diagnostic.severity {
            Severity::Error => ReportKind::Error,
            Severity::Warning => ReportKind::Warning,
        };
        let label = match &diagnostic.expected {
            Some(expected) => format!("expected {expected}"),
            None => "here".to_owned(),
        };
        let id = self.file.as_str();
        let mut bytes = Vec::new();
        Report::build(kind, (id, span.clone()))
            .with_config(Config::default().with_color(false).with_compact(true))
            .with_message(&diagnostic.message)
            .with_label(Label::new((id, span)).with_message(label))
            .finish()
            .write((id, &self.source), &mut bytes)
            .ok()?;
        String::from_utf8(bytes).ok()
    }
}

/// Blanks out what would act on a terminal, and what the renderer takes for a line end.
fn safe(c: char) -> char {
    let blank = c == ' ' || c == '\t';
    if !blank && (c.is_whitespace() || c.is_control()) { ' ' } else { c }
}
