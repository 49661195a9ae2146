//! Memory of the COM task allocator: what it holds may be handed to others, who free it.

use std::ptr;

use provider::{
    error::{Fault, Outcome},
    event::Event,
};
use windows::Win32::System::Com::{CoTaskMemAlloc, CoTaskMemFree};

use crate::fault;

/// A piece of memory that is ours until it is handed out.
#[derive(Debug)]
pub struct TaskMemory<T: Copy>(*mut T);

impl<T: Copy> TaskMemory<T> {
    /// A copy of some values.
    ///
    /// # Errors
    /// EV_ENOMEM.
    pub fn of(values: &[T]) -> Outcome<Self> {
        let bytes = size_of_val(values);
        let place = if fault::is("memory") {
            ptr::null_mut()
        } else {
            // SAFETY: any size may be asked for; at least one byte, so that null means failure.
            unsafe { CoTaskMemAlloc(bytes.max(1)) }
        };
        if place.is_null() {
            return Err(Fault::new(Event::Enomem).object(format!("{bytes} bytes")));
        }
        let place = place.cast::<T>();
        // SAFETY: the place is as large as the values, new, and aligned for anything.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), place, values.len()) };
        Ok(Self(place))
    }

    /// Where it is, as long as it is ours.
    pub const fn place(&self) -> *mut T {
        self.0
    }

    /// Hands it out: whoever gets it frees it.
    pub fn hand_out(self) -> *mut T {
        let place = self.0;
        std::mem::forget(self);
        place
    }
}

impl<T: Copy> Drop for TaskMemory<T> {
    fn drop(&mut self) {
        // SAFETY: it came from the task allocator and was not handed out.
        unsafe { free(self.0) };
    }
}

/// Frees what others handed in; null is fine.
///
/// # Safety
/// The pointer is of the task allocator, or null, and nobody uses it any more.
pub unsafe fn free<T>(place: *mut T) {
    // SAFETY: the caller's.
    unsafe { CoTaskMemFree(Some(place.cast_const().cast())) };
}
