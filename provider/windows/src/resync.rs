//! A revert under way in the array, as `IVssAsync`.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use provider::{entry::Entry, error::Fault, event::Event, provider::Resync};
use windows::{
    Win32::{
        Foundation::E_INVALIDARG,
        Storage::Vss::{IVssAsync, IVssAsync_Impl, VSS_S_ASYNC_FINISHED, VSS_S_ASYNC_PENDING},
        System::Threading::INFINITE,
    },
    core::{Error, HRESULT, Result, implement},
};

use crate::{desk, factory::Held};

/// How often the array is asked.
const POLL: Duration = Duration::from_millis(100);

/// A revert.
#[implement(IVssAsync)]
pub struct Revert {
    course: Mutex<Course>,
    _held: Held,
}

struct Course {
    resync: Resync,
    /// How it ended, once it did.
    ended: Option<HRESULT>,
}

impl Revert {
    pub fn of(resync: Resync) -> Self {
        Self { course: Mutex::new(Course { resync, ended: None }), _held: Held::new() }
    }

    /// VSS_S_ASYNC_PENDING, VSS_S_ASYNC_FINISHED, or why it failed. That nobody is loaded who could
    /// tell is no end: the array goes on.
    fn look(&self) -> HRESULT {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = course.ended {
            return ended;
        }
        let mut heard = false;
        let asked = desk::call(Entry::ResyncLuns, |provider| {
            heard = true;
            Ok(provider.is_resynced(&mut course.resync)?)
        });
        let now = match asked {
            Ok(false) => return VSS_S_ASYNC_PENDING,
            Ok(true) => VSS_S_ASYNC_FINISHED,
            Err(error) => error.code(),
        };
        if heard {
            course.ended = Some(now);
        }
        now
    }
}

impl IVssAsync_Impl for Revert_Impl {
    /// A revert cannot be taken back: half of it would be neither the original nor the copy.
    fn Cancel(&self) -> Result<()> {
        match self.look() {
            VSS_S_ASYNC_PENDING => desk::call(Entry::ResyncLuns, |_| {
                Err(Fault::new(Event::Invseq)
                    .object("the restore")
                    .state("under way")
                    .cause("it cannot be cancelled: the original would be half the copy")
                    .action("wait until it is done")
                    .into())
            }),
            ended => Err(Error::from_hresult(ended)),
        }
    }

    /// How it ended is told by QueryStatus, also when the time is over first.
    fn Wait(&self, milliseconds: u32) -> Result<()> {
        let limit = (milliseconds != INFINITE)
            .then(|| Instant::now() + Duration::from_millis(milliseconds.into()));
        while self.look() == VSS_S_ASYNC_PENDING {
            let rest = limit.map_or(POLL, |limit| limit.saturating_duration_since(Instant::now()));
            if rest.is_zero() {
                break;
            }
            thread::sleep(rest.min(POLL));
        }
        Ok(())
    }

    fn QueryStatus(&self, status: *mut HRESULT, _reserved: *mut i32) -> Result<()> {
        if status.is_null() {
            return Err(E_INVALIDARG.into());
        }
        let now = self.look();
        // SAFETY: not null, and by VSS's contract a place for a status.
        unsafe { *status = now };
        Ok(())
    }
}
