//! The Application log.

use provider::{error::Refused, host::EventLog};
use windows::{
    Win32::{
        Foundation::HANDLE,
        System::EventLog::{
            DeregisterEventSource, EVENTLOG_ERROR_TYPE, RegisterEventSourceW, ReportEventW,
        },
    },
    core::{HSTRING, PCWSTR},
};

use crate::identity;

/// Severity "error" of a message id; the message table of `build.rs` has the same.
const ERROR: u32 = 0xc000_0000;
/// A text may have 31,839 characters; ours are short, but they quote what others said.
const LONGEST: usize = 16_000;

/// The provider's source of events; without one, which does not happen on a sound system, events
/// are lost.
#[derive(Debug)]
pub struct ApplicationLog(Option<HANDLE>);

// SAFETY: the handle is the event log's; any thread may use it.
unsafe impl Send for ApplicationLog {}

impl ApplicationLog {
    pub fn open() -> Self {
        let source = HSTRING::from(identity::EVENT_SOURCE);
        // SAFETY: a string that ends in NUL and outlives the call; this host.
        Self(unsafe { RegisterEventSourceW(PCWSTR::null(), &source) }.ok())
    }
}

impl Drop for ApplicationLog {
    fn drop(&mut self) {
        if let Some(handle) = self.0 {
            // SAFETY: it is ours and used no more.
            let _ = unsafe { DeregisterEventSource(handle) };
        }
    }
}

impl EventLog for ApplicationLog {
    fn write(&mut self, refused: &Refused) {
        let Some(handle) = self.0 else { return };
        let text: String = refused.to_string().chars().take(LONGEST).collect();
        let text = HSTRING::from(text.replace('\n', "\r\n"));
        let id = ERROR | u32::from(refused.fault.event.id());
        let strings = [PCWSTR(text.as_ptr())];
        // SAFETY: one string that ends in NUL and outlives the call; no data beside it. When the
        // log is full or gone there is nobody left to tell.
        let _ = unsafe {
            ReportEventW(handle, EVENTLOG_ERROR_TYPE, 0, id, None, 0, Some(&strings), None)
        };
    }
}
