//! Writes that the array acknowledged and has not flushed yet.
//!
//! An array's cache may be volatile: what it acknowledged and did not flush is gone when it is
//! killed, while the file system above knows nothing of that and relies on its next flush. So the
//! newest bytes of every range are kept until a flush has covered them, and are written again to
//! an array that comes back. Ranges never overlap: of two writes to one place only the newer one
//! is kept, so that a replay can go in any order and never shows older bytes.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What a range was made to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// So many zeros.
    Zeros(u64),
}

impl Content {
    /// Bytes in the range.
    #[must_use]
    pub const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(length) => *length,
        }
    }

    /// Whether the range is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slice(&self, from: u64, to: u64) -> Self {
        match self {
            // A copy: a small rest must not keep a large buffer alive.
            Self::Bytes(bytes) => {
                Self::Bytes(Bytes::copy_from_slice(&bytes[from as usize..to as usize]))
            }
            Self::Zeros(_) => Self::Zeros(to - from),
        }
    }

    /// What it costs to keep, in bytes, its place in the map included.
    const fn weight(&self) -> u64 {
        const PLACE: u64 = 128;
        match self {
            Self::Bytes(bytes) => bytes.len() as u64 + PLACE,
            Self::Zeros(_) => PLACE,
        }
    }
}

#[derive(Debug, Clone)]
struct Kept {
    /// When it was acknowledged, as a number that grows.
    number: u64,
    content: Content,
}

/// The newest content of every range since the last flush. Offsets are in bytes.
#[derive(Debug, Default)]
pub struct Unflushed {
    kept: BTreeMap<u64, Kept>,
    next: u64,
    weight: u64,
}

impl Unflushed {
    /// A write was acknowledged.
    pub fn keep(&mut self, offset: u64, content: Content) {
        let end = offset + content.len();
        if offset == end {
            return;
        }
        // Ranges do not overlap, so only the last one that begins before can reach in.
        let before = self.kept.range(..offset).next_back().map(|(at, _)| *at);
        let within = self.kept.range(offset..end).map(|(at, _)| *at);
        let touched: Vec<u64> = before.into_iter().chain(within).collect();
        for at in touched {
            let Some(old) = self.kept.get(&at) else { continue };
            let old_end = at + old.content.len();
            if old_end <= offset {
                continue;
            }
            let number = old.number;
            let head = (at < offset).then(|| old.content.slice(0, offset - at));
            let tail = (old_end > end).then(|| old.content.slice(end - at, old_end - at));
            self.remove(at);
            if let Some(content) = head {
                self.insert(at, Kept { number, content });
            }
            if let Some(content) = tail {
                self.insert(end, Kept { number, content });
            }
        }
        let number = self.next;
        self.next += 1;
        self.insert(offset, Kept { number, content });
    }

    fn insert(&mut self, at: u64, kept: Kept) {
        self.weight += kept.content.weight();
        self.kept.insert(at, kept);
    }

    fn remove(&mut self, at: u64) {
        if let Some(kept) = self.kept.remove(&at) {
            self.weight -= kept.content.weight();
        }
    }

    /// A number for [`Unflushed::flushed`]: whatever was kept so far is below it.
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.next
    }

    /// A flush that was sent at this mark has succeeded.
    pub fn flushed(&mut self, mark: u64) {
        if mark == self.next {
            self.clear();
            return;
        }
        let weight = &mut self.weight;
        self.kept.retain(|_, kept| {
            let newer = kept.number >= mark;
            if !newer {
                *weight -= kept.content.weight();
            }
            newer
        });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.weight = 0;
    }

    /// Whether everything is flushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What keeping all of it costs, in bytes.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// Bytes of the file that are not flushed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.kept.values().map(|kept| kept.content.len()).sum()
    }

    /// All ranges with their content, ascending.
    #[must_use]
    pub fn all(&self) -> Vec<(u64, Content)> {
        self.kept.iter().map(|(at, kept)| (*at, kept.content.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    /// A cheap source of chance, the same in every run.
    fn dice(state: &mut u64, below: u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 33) % below
    }

    fn apply(disk: &mut [u8], offset: u64, content: &Content) {
        let range = offset as usize..(offset + content.len()) as usize;
        match content {
            Content::Bytes(bytes) => disk[range].copy_from_slice(bytes),
            Content::Zeros(_) => disk[range].fill(0),
        }
    }

    #[test]
    fn a_replay_over_what_was_flushed_gives_what_was_written_whatever_was_lost() {
        for seed in 1..400 {
            let mut state = seed;
            let (mut durable, mut written) = (vec![0; SIZE], vec![0; SIZE]);
            let mut unflushed = Unflushed::default();
            for byte in 1..60u8 {
                let offset = dice(&mut state, SIZE as u64 - 1);
                let length = 1 + dice(&mut state, (SIZE as u64 - offset).min(20));
                let content = match dice(&mut state, 4) {
                    0 => Content::Zeros(length),
                    _ => Content::Bytes(vec![byte; length as usize].into()),
                };
                apply(&mut written, offset, &content);
                unflushed.keep(offset, content);
                if dice(&mut state, 9) == 0 {
                    let mark = unflushed.mark();
                    durable.clone_from(&written);
                    // Another write ends while the flush is on its way.
                    apply(&mut written, 5, &Content::Bytes(vec![byte; 3].into()));
                    unflushed.keep(5, Content::Bytes(vec![byte; 3].into()));
                    unflushed.flushed(mark);
                }
                let mut replayed = durable.clone();
                let mut end = 0;
                for (at, content) in unflushed.all() {
                    assert!(at >= end, "ranges overlap");
                    end = at + content.len();
                    apply(&mut replayed, at, &content);
                }
                assert_eq!(replayed, written, "seed {seed}, write {byte}");
                let weight: u64 = unflushed.all().iter().map(|(_, c)| c.weight()).sum();
                assert_eq!(unflushed.weight(), weight);
            }
            unflushed.flushed(unflushed.mark());
            assert!(unflushed.is_empty() && unflushed.weight() == 0);
        }
    }
}
