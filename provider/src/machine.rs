//! The life of a snapshot set as a table: state and call to what happens.

use crate::{
    entry::Entry,
    error::{Fault, Outcome},
    event::Event,
};

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// `VSS_SNAPSHOT_STATE`. A `Processing` state is seen from outside only when the call that
        /// belongs to it failed or died.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum State { $($(#[$doc])* $name = $number),* }

        impl State {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the headers, without `VSS_SS_`.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

states! {
    /// No such set.
    Unknown = 0, "UNKNOWN";
    /// Volumes join.
    Preparing = 1, "PREPARING";
    /// In EndPrepareSnapshots.
    ProcessingPrepare = 2, "PROCESSING_PREPARE";
    /// All pairs are ready.
    Prepared = 3, "PREPARED";
    /// In PreCommitSnapshots.
    ProcessingPreCommit = 4, "PROCESSING_PRECOMMIT";
    /// Armed.
    PreCommitted = 5, "PRECOMMITTED";
    /// In CommitSnapshots.
    ProcessingCommit = 6, "PROCESSING_COMMIT";
    /// Split.
    Committed = 7, "COMMITTED";
    /// In PostCommitSnapshots.
    ProcessingPostCommit = 8, "PROCESSING_POSTCOMMIT";
    /// In PreFinalCommitSnapshots.
    ProcessingPreFinalCommit = 9, "PROCESSING_PREFINALCOMMIT";
    /// Writers may recover.
    PreFinalCommitted = 10, "PREFINALCOMMITTED";
    /// In PostFinalCommitSnapshots.
    ProcessingPostFinalCommit = 11, "PROCESSING_POSTFINALCOMMIT";
    /// Finished.
    Created = 12, "CREATED";
    /// Given up.
    Aborted = 13, "ABORTED";
    /// Its last shadow copy is gone.
    Deleted = 14, "DELETED";
    /// The split is confirmed.
    PostCommitted = 15, "POSTCOMMITTED";
}

/// A call that belongs to the creation of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as the calls")]
pub enum Call {
    BeginPrepare,
    EndPrepare,
    PreCommit,
    Commit,
    PostCommit,
    PreFinalCommit,
    PostFinalCommit,
    Abort,
    GetTargetLuns,
}

impl Call {
    /// Every call, in the order of the table's columns.
    pub const ALL: [Self; 9] = [
        Self::BeginPrepare,
        Self::EndPrepare,
        Self::PreCommit,
        Self::Commit,
        Self::PostCommit,
        Self::PreFinalCommit,
        Self::PostFinalCommit,
        Self::Abort,
        Self::GetTargetLuns,
    ];

    /// As VSS names it.
    #[must_use]
    pub const fn entry(self) -> Entry {
        match self {
            Self::BeginPrepare => Entry::BeginPrepareSnapshot,
            Self::EndPrepare => Entry::EndPrepareSnapshots,
            Self::PreCommit => Entry::PreCommitSnapshots,
            Self::Commit => Entry::CommitSnapshots,
            Self::PostCommit => Entry::PostCommitSnapshots,
            Self::PreFinalCommit => Entry::PreFinalCommitSnapshots,
            Self::PostFinalCommit => Entry::PostFinalCommitSnapshots,
            Self::Abort => Entry::AbortSnapshots,
            Self::GetTargetLuns => Entry::GetTargetLuns,
        }
    }

    /// The states while it works and when it is done.
    #[must_use]
    pub const fn way(self) -> Option<(State, State)> {
        use State as S;
        Some(match self {
            Self::BeginPrepare => (S::Preparing, S::Preparing),
            Self::EndPrepare => (S::ProcessingPrepare, S::Prepared),
            Self::PreCommit => (S::ProcessingPreCommit, S::PreCommitted),
            Self::Commit => (S::ProcessingCommit, S::Committed),
            Self::PostCommit => (S::ProcessingPostCommit, S::PostCommitted),
            Self::PreFinalCommit => (S::ProcessingPreFinalCommit, S::PreFinalCommitted),
            Self::PostFinalCommit => (S::ProcessingPostFinalCommit, S::Created),
            Self::Abort => (S::Aborted, S::Aborted),
            Self::GetTargetLuns => return None,
        })
    }
}

/// What a call does in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Go,
    /// It was carried out before: nothing happens, and that is well.
    Already,
    /// It comes too late to matter: nothing happens, and that is well.
    Ignored,
    /// EV_INVSEQ.
    BadSequence,
    /// EV_ENOOBJ.
    NoObject,
}
use Verdict::{Already as Al, BadSequence as Sq, Go, Ignored as Ig, NoObject as No};

/// Rows are the states by number. An older call never comes again; the latest may. What failed
/// may be called again, but for the commit: at which instant it split is not known then.
#[rustfmt::skip]
const TABLE: [[Verdict; 9]; 16] = [
    // Begin EndPrep PreCommit Commit PostCommit PreFinal PostFinal Abort GetTargetLuns
    [Go, No, No, No, No, No, No, No, No], //  0 UNKNOWN
    [Go, Go, Sq, Sq, Sq, Sq, Sq, Go, Sq], //  1 PREPARING
    [Sq, Go, Sq, Sq, Sq, Sq, Sq, Go, Sq], //  2 PROCESSING_PREPARE
    [Sq, Al, Go, Sq, Sq, Sq, Sq, Go, Sq], //  3 PREPARED
    [Sq, Sq, Go, Sq, Sq, Sq, Sq, Go, Sq], //  4 PROCESSING_PRECOMMIT
    [Sq, Sq, Al, Go, Sq, Sq, Sq, Go, Sq], //  5 PRECOMMITTED
    [Sq, Sq, Sq, Sq, Sq, Sq, Sq, Go, Sq], //  6 PROCESSING_COMMIT
    [Sq, Sq, Sq, Al, Go, Sq, Sq, Go, Sq], //  7 COMMITTED
    [Sq, Sq, Sq, Sq, Go, Sq, Sq, Go, Sq], //  8 PROCESSING_POSTCOMMIT
    [Sq, Sq, Sq, Sq, Sq, Go, Sq, Go, Sq], //  9 PROCESSING_PREFINALCOMMIT
    [Sq, Sq, Sq, Sq, Sq, Al, Go, Go, Go], // 10 PREFINALCOMMITTED
    [Sq, Sq, Sq, Sq, Sq, Sq, Go, Go, Sq], // 11 PROCESSING_POSTFINALCOMMIT
    [Sq, Sq, Sq, Sq, Sq, Sq, Al, Ig, Go], // 12 CREATED
    [Sq, Sq, Sq, Sq, Sq, Sq, Sq, Al, Sq], // 13 ABORTED
    [Sq, No, No, No, No, No, No, Ig, No], // 14 DELETED
    [Sq, Sq, Sq, Sq, Al, Go, Sq, Go, Go], // 15 POSTCOMMITTED
];

/// What a call does to the set it names, in that set's state ([`State::Unknown`] where there is
/// none of that id).
#[must_use]
pub fn verdict(state: State, call: Call) -> Verdict {
    TABLE[state as usize][call as usize]
}

/// Whether a set in this state is finished, one way or the other: a new set leaves it alone.
#[must_use]
pub const fn finished(state: State) -> bool {
    matches!(state, State::Unknown | State::Created | State::Aborted | State::Deleted)
}

/// Whether the call goes on; `Ok(false)` where nothing is to be done.
///
/// # Errors
/// EV_INVSEQ, EV_ENOOBJ. `object` names the set.
pub fn admit(state: State, call: Call, object: impl FnOnce() -> String) -> Outcome<bool> {
    match verdict(state, call) {
        Verdict::Go => Ok(true),
        Verdict::Already | Verdict::Ignored => Ok(false),
        Verdict::NoObject => Err(Fault::new(Event::Enoobj)
            .object(object())
            .state(state.word())
            .cause("no such snapshot set is being created")),
        Verdict::BadSequence => Err(Fault::new(Event::Invseq)
            .object(object())
            .state(state.word())
            .cause(format!("{} does not follow this state", call.entry()))
            .action("begin a new shadow copy")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of `vss.md` 1.5 and 1.8 by hand, state by state: which calls go on, repeat, or
    /// are ignored. Everything else is refused, as the last word says.
    const RULES: &[(State, &str)] = &[
        (State::Unknown, "BeginPrepare! else no-object"),
        (State::Preparing, "BeginPrepare! EndPrepare! Abort! else sequence"),
        (State::ProcessingPrepare, "EndPrepare! Abort! else sequence"),
        (State::Prepared, "EndPrepare= PreCommit! Abort! else sequence"),
        (State::ProcessingPreCommit, "PreCommit! Abort! else sequence"),
        (State::PreCommitted, "PreCommit= Commit! Abort! else sequence"),
        (State::ProcessingCommit, "Abort! else sequence"),
        (State::Committed, "Commit= PostCommit! Abort! else sequence"),
        (State::ProcessingPostCommit, "PostCommit! Abort! else sequence"),
        (State::PostCommitted, "PostCommit= PreFinalCommit! GetTargetLuns! Abort! else sequence"),
        (State::ProcessingPreFinalCommit, "PreFinalCommit! Abort! else sequence"),
        (
            State::PreFinalCommitted,
            "PreFinalCommit= PostFinalCommit! GetTargetLuns! Abort! else sequence",
        ),
        (State::ProcessingPostFinalCommit, "PostFinalCommit! Abort! else sequence"),
        (State::Created, "PostFinalCommit= GetTargetLuns! Abort~ else sequence"),
        (State::Aborted, "Abort= else sequence"),
        (State::Deleted, "Abort~ BeginPrepare? else no-object"),
    ];

    #[test]
    fn every_state_and_call_is_as_the_rules_say() {
        assert_eq!(RULES.len(), State::ALL.len());
        let mut cells = 0;
        for (state, rule) in RULES {
            let (calls, rest) = rule.split_once("else ").unwrap();
            let rest = if rest == "sequence" { Verdict::BadSequence } else { Verdict::NoObject };
            for call in Call::ALL {
                let name = format!("{call:?}");
                let mark = calls.split_whitespace().find_map(|word| word.strip_prefix(&*name));
                let expected = match mark {
                    Some("!") => Verdict::Go,
                    Some("=") => Verdict::Already,
                    Some("~") => Verdict::Ignored,
                    Some("?") => Verdict::BadSequence,
                    None => rest,
                    other => panic!("{other:?}"),
                };
                assert_eq!(verdict(*state, call), expected, "{state:?} {call:?}");
                cells += 1;
            }
        }
        assert_eq!(cells, 16 * 9);
    }

    #[test]
    fn the_numbers_are_those_of_the_headers() {
        for (number, state) in
            [(1, State::Preparing), (7, State::Committed), (15, State::PostCommitted)]
        {
            assert_eq!(state as u8, number);
        }
        let numbers: Vec<_> = State::ALL.iter().map(|state| *state as u8).collect();
        assert_eq!(numbers, (0..16).collect::<Vec<_>>());
    }

    /// Every sequence of four calls after every way to a state: the machine alone.
    #[test]
    fn no_sequence_commits_what_was_not_prepared_or_was_aborted() {
        fn walk(state: State, prepared: bool, aborted: bool, depth: u32, walked: &mut u64) {
            if depth == 0 {
                *walked += 1;
                return;
            }
            for call in Call::ALL {
                let (mut next, mut prepared, mut aborted) = (state, prepared, aborted);
                if verdict(state, call) == Verdict::Go {
                    if call == Call::Commit {
                        assert!(prepared && !aborted);
                    }
                    prepared |= call == Call::EndPrepare;
                    aborted |= call == Call::Abort;
                    next = call.way().map_or(state, |(_, done)| done);
                }
                walk(next, prepared, aborted, depth - 1, walked);
            }
        }
        let mut walked = 0;
        walk(State::Unknown, false, false, 6, &mut walked);
        assert_eq!(walked, 9u64.pow(6));
    }
}
