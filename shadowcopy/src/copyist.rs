//! The provider, on a thread of its own: where it hangs, writers and file systems thaw all the
//! same.

use std::{fmt, io, time::Duration};

use provider::{
    error::Refused,
    guid::{SetId, SnapshotId},
    lun::LunInfo,
};

use crate::{
    copies::Copies,
    worker::{Silence, Station, Worker},
};

/// What the provider's calls may need.
const STACK: usize = 2 * 1024 * 1024;

/// The provider's thread.
pub struct Copyist<C: Copies + Send + 'static>(Worker<Desk<C>>);

/// The provider in its thread.
struct Desk<C>(C);

/// A call of [`Copies`].
pub enum Call {
    /// [`Copies::begin_prepare`]
    BeginPrepare(SetId, SnapshotId, Box<LunInfo>),
    /// [`Copies::end_prepare`]
    EndPrepare(SetId),
    /// [`Copies::pre_commit`]
    PreCommit(SetId),
    /// [`Copies::commit`]
    Commit(SetId),
    /// [`Copies::post_commit`]
    PostCommit(SetId, usize),
    /// [`Copies::final_commit`]
    FinalCommit(SetId),
    /// [`Copies::abort`]
    Abort(SetId),
}

/// Why a call failed.
#[derive(Debug)]
pub enum Failed {
    /// The provider refused.
    Refused(Refused),
    /// It did not answer in time, and is left behind.
    Late(Duration),
    /// It was left behind before, or has panicked.
    Gone,
}

impl<C: Copies + Send + 'static> Station for Desk<C> {
    type Call = Call;
    type Answer = Result<(), Refused>;

    fn call(&mut self, call: Call) -> Self::Answer {
        let copies = &mut self.0;
        match call {
            Call::BeginPrepare(set, snapshot, lun) => copies.begin_prepare(set, snapshot, &lun),
            Call::EndPrepare(set) => copies.end_prepare(set),
            Call::PreCommit(set) => copies.pre_commit(set),
            Call::Commit(set) => copies.commit(set),
            Call::PostCommit(set, volumes) => copies.post_commit(set, volumes),
            Call::FinalCommit(set) => copies.final_commit(set),
            Call::Abort(set) => copies.abort(set),
        }
    }
}

impl<C: Copies + Send + 'static> Copyist<C> {
    /// Gives the provider its thread.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(copies: C) -> io::Result<Self> {
        Worker::new("provider", STACK, Desk(copies)).map(Self)
    }

    /// Calls it.
    ///
    /// # Errors
    /// What it refuses, or that it does not answer.
    pub fn call(&self, call: Call, within: Duration) -> Result<(), Failed> {
        match self.0.call(call, within) {
            Ok(done) => done.map_err(Failed::Refused),
            Err(Silence::Timeout) => Err(Failed::Late(within)),
            Err(Silence::Gone) => Err(Failed::Gone),
        }
    }

    /// The provider again; `None` where it hangs.
    #[must_use]
    pub fn end(self) -> Option<C> {
        self.0.end().map(|desk| desk.0)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => {
                for (number, line) in refused.to_string().lines().enumerate() {
                    f.write_str(if number == 0 { "" } else { "; " })?;
                    f.write_str(line)?;
                }
                Ok(())
            }
            Self::Late(within) => {
                write!(f, "the provider did not answer within {} ms", within.as_millis())
            }
            Self::Gone => f.write_str("the provider does not answer any more"),
        }
    }
}

impl std::error::Error for Failed {}
