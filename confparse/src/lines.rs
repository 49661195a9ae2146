//! Text to lines and words.
//!
//! Words are separated by spaces and tabs. A `#` at the start of a word begins a comment that
//! ends with the line; inside a word it is an ordinary character. Lines end in LF or CR LF.

use std::ops::Range;

use nom::{
    IResult, Parser,
    bytes::complete::take_while1,
    character::complete::{char, space0},
    combinator::not,
    sequence::preceded,
};

/// One line, without its line end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'t> {
    /// From 1.
    pub(crate) number: u32,
    /// Offset of the line's first byte in the text.
    pub(crate) start: usize,
    /// The line.
    pub(crate) text: &'t str,
}

/// One word of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<'t> {
    /// Offset of its first byte in the whole text.
    pub(crate) start: usize,
    /// The word; never empty.
    pub(crate) text: &'t str,
}

impl Word<'_> {
    /// The bytes of the text it stands in.
    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// Splits a text into lines. A byte-order mark, which Windows editors put first, is skipped.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut start = text.len() - body.len();
    (1..).zip(body.split('\n')).map(move |(number, raw)| {
        let line = Line { number, start, text: raw.strip_suffix('\r').unwrap_or(raw) };
        start += raw.len() + 1;
        line
    })
}

impl<'t> Line<'t> {
    /// The words before any comment.
    pub(crate) fn words(&self) -> Words<'t> {
        Words { at: self.start, rest: self.text }
    }

    /// Offset, in the text, of the end of the line.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// The column, from 1 and in characters, of an offset in the text.
    pub(crate) fn column(&self, offset: usize) -> u32 {
        let before = self.text.get(..offset.saturating_sub(self.start));
        let before = before.unwrap_or(self.text).chars().count();
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// How many characters of the line a range of the text has.
    pub(crate) fn width(&self, span: &Range<usize>) -> usize {
        let from = span.start.saturating_sub(self.start);
        let to = span.end.saturating_sub(self.start);
        self.text.get(from..to).map_or(0, |part| part.chars().count())
    }
}

/// The words of one line, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Words<'t> {
    at: usize,
    rest: &'t str,
}

impl Words<'_> {
    /// Offset behind the word given last.
    pub(crate) fn at(&self) -> usize {
        self.at
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        let (rest, text) = word(self.rest).ok()?;
        let end = self.at + (self.rest.len() - rest.len());
        (self.at, self.rest) = (end, rest);
        Some(Word { start: end - text.len(), text })
    }
}

fn word(input: &str) -> IResult<&str, &str> {
    let blank = |c: char| c == ' ' || c == '\t';
    preceded((space0, not(char('#'))), take_while1(move |c| !blank(c))).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<Vec<(usize, &str)>> {
        let words = |line: Line<'_>| line.words().map(|w| w.start).collect::<Vec<_>>();
        lines(text)
            .map(|line| words(line).into_iter().zip(line.words().map(|w| w.text)).collect())
            .collect()
    }

    #[test]
    fn words_know_where_they_stand() {
        assert_eq!(
            split("\u{feff}A  b\r\n\tc#d #e f\n#g\n"),
            [vec![(3, "A"), (6, "b")], vec![(10, "c#d")], vec![], vec![]]
        );
    }

    #[test]
    fn columns_count_characters_from_one() {
        let line = lines("é b").next().unwrap();
        let b = line.words().nth(1).unwrap();
        assert_eq!((b.start, line.column(b.start)), (3, 3));
    }
}
