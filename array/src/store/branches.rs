//! The branches of maps: who was forked from whom, and which generations are still needed. Pure
//! bookkeeping without I/O.
//!
//! A branch has a *head* while a volume owns it, and a *mark* at every generation at which
//! another branch was forked from it. A leaf record holds from its generation to the one before
//! the next record of that leaf; it is needed while a mark, or the head, falls into that span.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::leaf::Generation;

/// Names a branch.
pub type BranchId = u32;

/// The durable part of a branch; postcard, fields in order, under its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchRow {
    /// The pool that its pages are in.
    pub pool: u16,
    /// What it was forked from, and at which generation: of that branch, everything up to it.
    pub parent: Option<(BranchId, Generation)>,
}

/// That some records of a branch may be needed no more; postcard, fields in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The branch.
    pub branch: BranchId,
    /// What is gone.
    pub gone: Gone,
}

/// What needed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gone {
    /// The head; this was the last mark then, or 0.
    Head(Generation),
    /// The mark of this generation.
    Mark(Generation),
}

/// Records that a doubt is about: those of some generations, or those before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspects {
    /// The first generation.
    pub from: Generation,
    /// The last one.
    pub upto: Generation,
    /// Whether the record before each of them is meant.
    pub before: bool,
}

#[derive(Debug, Clone)]
struct Branch {
    row: BranchRow,
    /// The branches that were forked at each generation.
    marks: BTreeMap<Generation, Vec<BranchId>>,
    head: bool,
}

/// All branches.
#[derive(Debug, Default, Clone)]
pub struct Branches {
    by_id: HashMap<BranchId, Branch>,
    next: BranchId,
}

impl Branches {
    /// From rows; `None` when one names a parent that is not there, or they go in a circle.
    #[must_use]
    pub fn load(rows: &[(BranchId, BranchRow)]) -> Option<Self> {
        let mut this = Self::default();
        for (id, row) in rows {
            this.next = this.next.max(id.checked_add(1)?);
            let branch = Branch { row: *row, marks: BTreeMap::new(), head: false };
            this.by_id.insert(*id, branch);
        }
        for (id, row) in rows {
            if let Some((parent, at)) = row.parent {
                let parent = this.by_id.get_mut(&parent)?;
                if parent.row.pool != row.pool {
                    return None;
                }
                parent.marks.entry(at).or_default().push(*id);
            }
        }
        let ends = |id| this.path(id).take(rows.len() + 1).count() <= rows.len();
        rows.iter().all(|(id, _)| ends(*id)).then_some(this)
    }

    /// The number for a new branch.
    pub fn next_id(&mut self) -> BranchId {
        self.next += 1;
        self.next - 1
    }

    /// Adds a branch, and the mark at which it was forked.
    pub fn add(&mut self, id: BranchId, row: BranchRow) {
        if let Some((parent, at)) = row.parent
            && let Some(parent) = self.by_id.get_mut(&parent)
        {
            parent.marks.entry(at).or_default().push(id);
        }
        self.by_id.insert(id, Branch { row, marks: BTreeMap::new(), head: false });
    }

    /// What a branch is.
    #[must_use]
    pub fn get(&self, id: BranchId) -> Option<&BranchRow> {
        self.by_id.get(&id).map(|branch| &branch.row)
    }

    /// All branches.
    pub fn iter(&self) -> impl Iterator<Item = (BranchId, &BranchRow)> {
        self.by_id.iter().map(|(id, branch)| (*id, &branch.row))
    }

    /// Says whether a volume owns the branch. What the head alone needed is in doubt when it goes.
    pub fn set_head(&mut self, id: BranchId, on: bool) -> Option<Doubt> {
        let branch = self.by_id.get_mut(&id)?;
        let had = std::mem::replace(&mut branch.head, on);
        let last = branch.marks.last_key_value().map_or(0, |(mark, _)| *mark);
        (had && !on).then_some(Doubt { branch: id, gone: Gone::Head(last) })
    }

    /// The records that a doubt is about: never more than what changed between the marks around
    /// what is gone, so that the work does not grow with what was written before.
    #[must_use]
    pub fn suspects(&self, doubt: &Doubt) -> Vec<Suspects> {
        let Some(branch) = self.by_id.get(&doubt.branch) else {
            return Vec::new();
        };
        match doubt.gone {
            // What came after the last mark was the head's alone.
            Gone::Head(last) => {
                vec![Suspects { from: last + 1, upto: Generation::MAX, before: false }]
            }
            // A record up to the mark was needed by it alone if its successor lies between the
            // mark and the next one. Without a head the last records have no successor.
            Gone::Mark(mark) => {
                let next = branch.marks.range(mark..).next().map(|(next, _)| *next);
                let upto = next.unwrap_or(Generation::MAX);
                let mut all = vec![Suspects { from: mark + 1, upto, before: true }];
                if next.is_none() && !branch.head {
                    let last = branch.marks.range(..mark).next_back().map_or(0, |(last, _)| *last);
                    all.push(Suspects { from: last + 1, upto: mark, before: false });
                }
                all
            }
        }
    }

    /// The branch and those it was forked from, each with the last generation that counts.
    pub fn path(&self, id: BranchId) -> impl Iterator<Item = (BranchId, Generation)> {
        let mut next = Some((id, Generation::MAX));
        std::iter::from_fn(move || {
            let (id, limit) = next?;
            next = self.by_id.get(&id).and_then(|branch| branch.row.parent);
            Some((id, limit))
        })
    }

    /// The last mark of a branch; 0 when it has none.
    #[must_use]
    pub fn last_mark(&self, id: BranchId) -> Generation {
        let last = self.by_id.get(&id).and_then(|branch| branch.marks.last_key_value());
        last.map_or(0, |(mark, _)| *mark)
    }

    /// The marks of a branch, ascending.
    pub fn marks(&self, id: BranchId) -> impl Iterator<Item = Generation> {
        self.by_id.get(&id).into_iter().flat_map(|branch| branch.marks.keys().copied())
    }

    /// Whether a volume owns a branch.
    #[must_use]
    pub fn has_head(&self, id: BranchId) -> bool {
        self.by_id.get(&id).is_some_and(|branch| branch.head)
    }

    /// The branches that were forked from one at these generations.
    #[must_use]
    pub fn forked(&self, id: BranchId, at: std::ops::Range<Generation>) -> Vec<BranchId> {
        let branch = self.by_id.get(&id);
        let marks = branch.into_iter().flat_map(|branch| branch.marks.range(at.clone()));
        marks.flat_map(|(_, children)| children.iter().copied()).collect()
    }

    /// Whether a record of `generation` is needed whose successor is `next`.
    #[must_use]
    pub fn needs(&self, id: BranchId, generation: Generation, next: Option<Generation>) -> bool {
        let Some(branch) = self.by_id.get(&id) else {
            return false;
        };
        match next {
            None => branch.head || branch.marks.range(generation..).next().is_some(),
            Some(next) => branch.marks.range(generation..next).next().is_some(),
        }
    }

    /// Whether nobody owns the branch and nobody was forked from it.
    #[must_use]
    pub fn is_dead(&self, id: BranchId) -> bool {
        self.by_id.get(&id).is_none_or(|branch| !branch.head && branch.marks.is_empty())
    }

    /// Takes out a dead branch. With its last sibling at that mark, what the mark alone needed of
    /// the parent is in doubt.
    pub fn remove(&mut self, id: BranchId) -> Option<Doubt> {
        let branch = self.by_id.remove(&id)?;
        let (parent, at) = branch.row.parent?;
        let marks = &mut self.by_id.get_mut(&parent)?.marks;
        let children = marks.get_mut(&at)?;
        children.retain(|child| *child != id);
        if !children.is_empty() {
            return None;
        }
        marks.remove(&at);
        Some(Doubt { branch: parent, gone: Gone::Mark(at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: BranchRow = BranchRow { pool: 0, parent: None };

    fn fork(parent: BranchId, at: Generation) -> BranchRow {
        BranchRow { pool: 0, parent: Some((parent, at)) }
    }

    #[test]
    fn a_record_is_needed_while_a_mark_or_the_head_falls_into_its_span() {
        let mut branches = Branches::load(&[(0, ROOT), (1, fork(0, 5)), (2, fork(0, 9))]).unwrap();
        assert_eq!(branches.set_head(0, true), None);
        assert!(branches.needs(0, 3, Some(6)) && !branches.needs(0, 3, Some(5)));
        assert!(branches.needs(0, 6, Some(12)) && !branches.needs(0, 10, Some(12)));
        assert!(branches.needs(0, 12, None));
        assert_eq!(branches.set_head(0, false), Some(Doubt { branch: 0, gone: Gone::Head(9) }));
        assert!(!branches.needs(0, 12, None) && branches.needs(0, 9, None));
        assert_eq!(branches.remove(2), Some(Doubt { branch: 0, gone: Gone::Mark(9) }));
        assert!(!branches.is_dead(0));
        let doubt = Doubt { branch: 0, gone: Gone::Mark(9) };
        let after = Suspects { from: 10, upto: Generation::MAX, before: true };
        let last = Suspects { from: 6, upto: 9, before: false };
        assert_eq!(branches.suspects(&doubt), [after, last], "there is no head");
        assert_eq!(branches.remove(1), Some(Doubt { branch: 0, gone: Gone::Mark(5) }));
        assert!(branches.is_dead(0));
    }

    #[test]
    fn rows_that_contradict_each_other_are_not_taken() {
        assert!(Branches::load(&[(1, fork(2, 0))]).is_none());
        assert!(Branches::load(&[(1, fork(2, 0)), (2, fork(1, 0))]).is_none());
        let other = BranchRow { pool: 1, parent: Some((1, 3)) };
        assert!(Branches::load(&[(1, ROOT), (2, other)]).is_none());
    }
}
