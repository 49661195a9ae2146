//! What only the whole file can show: volumes named twice, groups without a peer, peers without
//! a group.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use model::GroupName;

use crate::{
    config::Config,
    diagnostic::{Diagnostics, quoted},
    lines::{Line, Word},
};

/// Where a row stands, small enough to keep one for each row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    number: u32,
    start: u32,
}

impl Mark {
    pub(crate) fn new(line: &Line<'_>) -> Self {
        Self {
            number: line.number,
            // Texts end far below 4 GiB (`MAX_SIZE`).
            start: u32::try_from(line.start).unwrap_or(u32::MAX),
        }
    }

    /// The line and its n-th word.
    fn find<'t>(self, text: &'t str, n: usize) -> Option<(Line<'t>, Word<'t>)> {
        let start = usize::try_from(self.start).ok()?;
        let line = Line { number: self.number, start, text: text.get(start..)?.lines().next()? };
        let word = line.words().nth(n)?;
        Some((line, word))
    }
}

/// Where the rows of a [`Config`] stand in its text.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Rows of `HORCM_MON`, good or bad.
    pub(crate) monitors: usize,
    /// Rows of `HORCM_CMD`, good or bad.
    pub(crate) units: usize,
    /// One for each of [`Config::volumes`].
    pub(crate) volumes: Vec<Mark>,
    /// One for each of [`Config::remotes`].
    pub(crate) remotes: Vec<Mark>,
}

pub(crate) fn run(text: &str, config: &Config, marks: &Marks, faults: &mut Diagnostics) {
    duplicates(text, config, marks, faults);
    // A row left out for an error would let its group seem to be missing.
    if !faults.any_error() {
        peers(text, config, marks, faults);
    }
}

/// Group and name together name one volume. Sorting 16 bytes a volume keeps the peak of memory
/// low; a hash table of the names would need several times as much.
fn duplicates(text: &str, config: &Config, marks: &Marks, faults: &mut Diagnostics) {
    let state = RandomState::new();
    let key = |at: usize| config.volumes.get(at).map(|v| (&v.group, &v.name));
    let mut order: Vec<(u64, usize)> =
        (0..config.volumes.len()).map(|at| (state.hash_one(key(at)), at)).collect();
    order.sort_unstable();
    for same_hash in order.chunk_by(|a, b| a.0 == b.0).filter(|chunk| chunk.len() > 1) {
        let mut first = HashMap::new();
        for (_, at) in same_hash {
            let (Some((group, name)), Some(mark)) = (key(*at), marks.volumes.get(*at)) else {
                continue;
            };
            let earlier = *first.entry((group, name)).or_insert(mark.number);
            if earlier == mark.number {
                continue;
            }
            if let Some((line, word)) = mark.find(text, 1) {
                let (group, name) = (quoted(group.as_str()), quoted(name.as_str()));
                let message =
                    format!("{name} of group {group} was already given on line {earlier}");
                let expected = Some("each dev_name once in its dev_group");
                faults.error(&line, &word, message, expected);
            }
        }
    }
}

/// A group needs `HORCM_INST` to reach its remote side, and `HORCM_INST` a group. Neither is an
/// error: both sides may live in one instance, and groups may be kept in the array.
fn peers(text: &str, config: &Config, marks: &Marks, faults: &mut Diagnostics) {
    let remotes: HashSet<&GroupName> = config.remotes.iter().map(|r| &r.group).collect();
    let mut groups: HashSet<&GroupName> = HashSet::new();
    for (volume, mark) in config.volumes.iter().zip(&marks.volumes) {
        if groups.insert(&volume.group)
            && !remotes.contains(&volume.group)
            && let Some((line, word)) = mark.find(text, 0)
        {
            let group = quoted(volume.group.as_str());
            let message = format!(
                "group {group} has no line in HORCM_INST; no remote instance can be asked about it"
            );
            faults.warning(&line, &word, message, None);
        }
    }
    groups.extend(config.ldev_groups.iter().map(|row| &row.copy_group));
    let mut told = HashSet::new();
    for (remote, mark) in config.remotes.iter().zip(&marks.remotes) {
        if !groups.contains(&remote.group)
            && told.insert(&remote.group)
            && let Some((line, word)) = mark.find(text, 0)
        {
            let group = quoted(remote.group.as_str());
            let message = format!("no volume of this file belongs to group {group}");
            faults.warning(&line, &word, message, None);
        }
    }
}
