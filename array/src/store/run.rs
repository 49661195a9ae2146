//! Runs: blocks that lie one after the other, on the disk and in memory, so that one request
//! moves them all.

use std::{io, ops::Range};

use super::{
    leaf::{BLOCK, BLOCKS, Generation, PageId},
    space::SEGMENT,
};

/// Blocks of one page, and where their bytes are in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The page.
    pub page: PageId,
    /// When it was taken into use.
    pub birth: Generation,
    /// The byte of the request where they begin.
    pub at: usize,
    first: u8,
    end: u8,
}

impl Slice {
    /// These blocks of a page.
    #[must_use]
    pub const fn new(page: PageId, birth: Generation, blocks: &Range<usize>, at: usize) -> Self {
        debug_assert!(blocks.start < blocks.end && blocks.end <= BLOCKS);
        Self { page, birth, at, first: blocks.start as u8, end: blocks.end as u8 }
    }

    /// The blocks.
    #[must_use]
    pub const fn blocks(&self) -> Range<usize> {
        self.first as usize..self.end as usize
    }

    /// Its bytes in the request.
    #[must_use]
    pub const fn bytes(&self) -> Range<usize> {
        self.at..self.at + (self.end - self.first) as usize * BLOCK
    }

    /// Whether `next` follows, on the disk and in memory. Between segments lie checksums.
    #[must_use]
    pub fn joins(&self, next: &Self) -> bool {
        let (page, following) = (self.page.get(), next.page.get());
        let on_disk = if following == page {
            next.first == self.end
        } else {
            following == page + 1
                && !next.page.number().is_multiple_of(SEGMENT)
                && self.end as usize == BLOCKS
                && next.first == 0
        };
        on_disk && next.at == self.bytes().end
    }
}

/// The bytes of a request that a run of slices has.
#[must_use]
pub fn bytes_of(run: &[Slice]) -> Range<usize> {
    match (run.first(), run.last()) {
        (Some(first), Some(last)) => first.at..last.bytes().end,
        _ => 0..0,
    }
}

/// An error, and the byte of the request that it is about.
#[derive(Debug)]
pub struct Fault {
    /// The byte.
    pub at: usize,
    /// What happened.
    pub error: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_but_not_across_segments_pages_apart_or_gaps() {
        let slice = |page, blocks, at| Slice::new(PageId::new(1, page), 7, &blocks, at * BLOCK);
        let slices = [
            slice(1022, 3..16, 0),
            slice(1023, 0..16, 13),
            // Another segment.
            slice(1024, 0..2, 29),
            slice(1024, 2..3, 31),
            // Zeros between them in memory.
            slice(1024, 3..4, 33),
            // A page between them on the disk.
            slice(1026, 0..1, 34),
        ];
        let runs: Vec<_> = slices.chunk_by(Slice::joins).map(bytes_of).collect();
        let wanted = [0..29, 29..32, 33..34, 34..35];
        assert_eq!(runs, wanted.map(|at| at.start * BLOCK..at.end * BLOCK));
    }
}
