//! The whole file: which row belongs to which section.

use crate::{
    checks::{self, Mark, Marks},
    config::{Config, OtherSection},
    diagnostic::{Diagnostic, Diagnostics, Severity, quoted},
    lines::{Line, Word, lines},
    rows,
    section::Section,
};

/// The largest text that is read, in bytes.
pub const MAX_SIZE: usize = 64 << 20;

/// The most rows of one file, comments and empty lines not counted.
pub const MAX_ROWS: usize = 1 << 20;

/// What a text says, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The configuration; `None` when there is any error.
    pub config: Option<Config>,
    /// Errors and warnings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were beyond the
    /// [`MAX_DIAGNOSTICS`](crate::diagnostic::MAX_DIAGNOSTICS) kept of each severity.
    pub omitted: usize,
}

/// Reads a configuration. Never stops at the first mistake, and takes time and memory linear in
/// the text, which may have [`MAX_SIZE`] bytes and [`MAX_ROWS`] rows.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    run(text, false)
}

/// Reads a configuration from a file's bytes. Bytes that are not UTF-8 are harmless in comments
/// and an error elsewhere. Spans refer to [`String::from_utf8_lossy`] of the bytes.
#[must_use]
pub fn parse_bytes(bytes: &[u8]) -> Parsed {
    match str::from_utf8(bytes) {
        Ok(text) => run(text, false),
        Err(_) => run(&String::from_utf8_lossy(bytes), true),
    }
}

pub(crate) fn run(text: &str, lossy: bool) -> Parsed {
    let mut parser = Parser { lossy, ..Parser::default() };
    let first = Line { number: 1, start: 0, text: "" };
    if text.len() > MAX_SIZE {
        let message = format!("the file has {} bytes", text.len());
        let expected = format!("at most {MAX_SIZE}");
        parser.faults.push(Severity::Error, &first, 0..0, message, Some(&expected));
    } else if lossy && is_utf16(text) {
        let message = "the file is UTF-16 text".to_owned();
        let expected = Some("UTF-8 or plain ASCII; save it again as that");
        parser.faults.push(Severity::Error, &first, 0..0, message, expected);
    } else {
        let last = parser.read(text).unwrap_or(first);
        parser.finish(text, &last);
    }
    let config = (!parser.faults.any_error()).then_some(parser.config);
    let (diagnostics, omitted) = parser.faults.finish();
    Parsed { config, diagnostics, omitted }
}

/// Whether a text that was not UTF-8 is what Windows editors call Unicode: the two bytes of its
/// byte-order mark, then a zero in every other byte.
fn is_utf16(text: &str) -> bool {
    let body = text.strip_prefix("\u{fffd}\u{fffd}");
    body.is_some_and(|body| body.chars().take(2).any(|c| c == '\0'))
}

#[derive(Debug, Default)]
struct Parser {
    config: Config,
    faults: Diagnostics,
    marks: Marks,
    /// The section being read.
    section: Option<Section>,
    /// The line each known section first began on.
    begun: [Option<u32>; Section::KNOWN.len()],
    /// Whether U+FFFD stands for bytes that were not UTF-8.
    lossy: bool,
    /// Whether the one warning about such bytes in comments was given.
    told_lossy: bool,
    /// Whether the one error about lines before any section was given.
    told_stray: bool,
    rows: usize,
}

impl Parser {
    /// Reads all lines; gives the last.
    fn read<'t>(&mut self, text: &'t str) -> Option<Line<'t>> {
        let mut last = None;
        for line in lines(text) {
            last = Some(line);
            let readable = !self.lossy || self.readable(&line);
            let Some(first) = line.words().next() else {
                continue;
            };
            self.rows += 1;
            if self.rows > MAX_ROWS {
                let message =
                    format!("more than {MAX_ROWS} rows; the rest of the file was not read");
                self.faults.error(&line, &first, message, None);
                break;
            }
            if self.is_header(&line, &first) {
                self.begin(&line, &first);
            } else if readable {
                self.row(&line, &first);
            }
        }
        last
    }

    /// Looks for bytes that were not UTF-8; false when there are any outside the comment.
    fn readable(&mut self, line: &Line<'_>) -> bool {
        let Some(at) = line.text.find('\u{fffd}').map(|at| line.start + at) else {
            return true;
        };
        let mut words = line.words();
        let inside = words.find(|word| word.text.contains('\u{fffd}'));
        match inside {
            Some(word) if self.section != Some(Section::Other) => {
                let message = format!("{} is not UTF-8 text", quoted(word.text));
                self.faults.error(line, &word, message, Some("plain text"));
                false
            }
            _ => {
                if !self.told_lossy {
                    self.told_lossy = true;
                    let message = "some comments are not UTF-8 text; they are ignored".to_owned();
                    self.faults.push(
                        Severity::Warning,
                        line,
                        at..at + '\u{fffd}'.len_utf8(),
                        message,
                        None,
                    );
                }
                true
            }
        }
    }

    /// Whether the line names a section: its first word begins with `HORCM_`, or it is a known
    /// section's name in small letters and nothing else.
    fn is_header(&self, line: &Line<'_>, first: &Word<'_>) -> bool {
        first.text.starts_with("HORCM_")
            || (Section::named(first.text).is_some() && line.words().nth(1).is_none())
    }

    fn begin(&mut self, line: &Line<'_>, first: &Word<'_>) {
        if let Some(word) = line.words().nth(1) {
            let message = format!(
                "{} stands behind the section name {}",
                quoted(word.text),
                quoted(first.text)
            );
            self.faults.error(line, &word, message, Some("a section name alone on its line"));
        }
        let Some((name, section)) = Section::named(first.text) else {
            self.begin_other(line, first);
            return;
        };
        if name != first.text {
            let message = format!("the section name is {}", quoted(first.text));
            self.faults.error(line, first, message, Some(name));
        }
        self.section = Some(section);
        let begun = &mut self.begun[section as usize];
        if let Some(earlier) = *begun {
            let message = format!("{name} was already begun on line {earlier}");
            if section == Section::Mon {
                self.faults.error(line, first, message, Some("one HORCM_MON"));
            } else {
                let message = format!("{message}; the lines of both are taken");
                self.faults.warning(line, first, message, None);
            }
        } else {
            *begun = Some(line.number);
        }
    }

    fn begin_other(&mut self, line: &Line<'_>, first: &Word<'_>) {
        let message = format!(
            "{} is no section known here; it is kept and has no effect",
            quoted(first.text)
        );
        let expected = Section::resembling(first.text);
        self.faults.warning(line, first, message, expected);
        self.section = Some(Section::Other);
        self.config.others.push(OtherSection { name: first.text.to_owned(), lines: Vec::new() });
    }

    fn row(&mut self, line: &Line<'_>, first: &Word<'_>) {
        let Self { config, faults, marks, .. } = self;
        match self.section {
            None if !self.told_stray => {
                self.told_stray = true;
                let message = format!("{} stands before the first section", quoted(first.text));
                faults.error(line, first, message, Some("a section name, such as HORCM_MON"));
            }
            None => {}
            Some(Section::Mon) if marks.monitors > 0 => {
                let message = "HORCM_MON has a second line".to_owned();
                faults.error(line, first, message, Some("one line"));
            }
            Some(Section::Mon) => {
                marks.monitors += 1;
                config.monitor = rows::monitor(line, faults);
            }
            Some(Section::Cmd) => {
                marks.units += 1;
                config.units.extend(rows::unit(line, faults));
            }
            Some(Section::Dev) => {
                let volume = rows::volume_by_path(line, faults);
                marks.volumes.extend(volume.is_some().then(|| Mark::new(line)));
                config.volumes.extend(volume);
            }
            Some(Section::Ldev) => {
                let volume = rows::volume_by_ldev(line, faults);
                marks.volumes.extend(volume.is_some().then(|| Mark::new(line)));
                config.volumes.extend(volume);
            }
            Some(Section::Ldevg) => config.ldev_groups.extend(rows::ldev_group(line, faults)),
            Some(section @ (Section::Inst | Section::Instp)) => {
                let remote = if section == Section::Inst {
                    rows::remote(line, faults)
                } else {
                    rows::remote_by_path(line, faults)
                };
                marks.remotes.extend(remote.is_some().then(|| Mark::new(line)));
                config.remotes.extend(remote);
            }
            Some(Section::AllowInst) => config.allowed.extend(rows::allowed(line, faults)),
            Some(Section::Other) => {
                if let Some(section) = config.others.last_mut() {
                    section.lines.push(line.text.trim_matches([' ', '\t']).to_owned());
                }
            }
        }
    }

    fn finish(&mut self, text: &str, last: &Line<'_>) {
        let end = last.end()..last.end();
        if self.marks.units == 0 {
            let what = match self.begun[Section::Cmd as usize] {
                None => "HORCM_CMD is missing",
                Some(_) => "HORCM_CMD names no command device",
            };
            let expected = "a HORCM_CMD section with one line of command devices a storage system";
            self.faults.push(Severity::Error, last, end.clone(), what.to_owned(), Some(expected));
        }
        if self.marks.monitors == 0 {
            let what = match self.begun[Section::Mon as usize] {
                None => "HORCM_MON is missing; its defaults apply",
                Some(_) => "HORCM_MON has no line; its defaults apply",
            };
            self.faults.push(Severity::Warning, last, end, what.to_owned(), None);
        }
        checks::run(text, &self.config, &self.marks, &mut self.faults);
        self.config.volumes.shrink_to_fit();
        self.config.remotes.shrink_to_fit();
    }
}
