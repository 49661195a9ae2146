//! The doors by which a coordinator comes in, named as VSS names them.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    error::{Fault, Refused},
    event::Event,
};

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A call of the coordinator.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Entry { $($(#[$doc])* $name),* }

        impl Entry {
            /// Every call.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

entries! {
    /// The provider is loaded.
    OnLoad,
    /// It is to be unloaded.
    OnUnload,
    /// Could these LUNs be copied, or are they copies?
    AreLunsSupported,
    /// Is this arriving LUN one of the provider's?
    FillInLunInfo,
    /// A volume joins a set.
    BeginPrepareSnapshot,
    /// Everything must be ready for the instant.
    EndPrepareSnapshots,
    /// Writers are frozen.
    PreCommitSnapshots,
    /// Writes are held: the instant.
    CommitSnapshots,
    /// Writes are released.
    PostCommitSnapshots,
    /// Writers may recover in the copy.
    PreFinalCommitSnapshots,
    /// The copy is finished.
    PostFinalCommitSnapshots,
    /// The set is given up.
    AbortSnapshots,
    /// Which LUNs are the copies?
    GetTargetLuns,
    /// Show the copies to this host.
    LocateLuns,
    /// A copy is not needed any more.
    OnLunEmpty,
    /// A copy becomes an ordinary LUN.
    OnLunStateChange,
    /// Back from the copies to the originals.
    ResyncLuns,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Runs what a call does, and turns a panic in it into EV_EXCEPT: nothing may unwind into the
/// coordinator.
///
/// # Errors
/// What `call` returns; EV_EXCEPT for a panic, which the caller still has to write to the event
/// log.
pub fn guarded<T>(entry: Entry, call: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(Fault::new(Event::Except)
            .object(entry.name())
            .cause(what(panic.as_ref()))
            .action("report it, with the event log around it")
            .at(entry))
    })
}

fn what(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_ev_except_and_an_answer_passes() {
        let refused = guarded::<()>(Entry::CommitSnapshots, || panic!("index {}", 3)).unwrap_err();
        assert_eq!(refused.fault.event, Event::Except);
        assert_eq!(refused.fault.cause.as_deref(), Some("index 3"));
        assert_eq!(guarded(Entry::OnLoad, || Ok(7)).unwrap(), 7);
    }
}
