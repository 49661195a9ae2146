//! Failures for tests. In a DLL built without `fault-injection`, as it is shipped, nothing of it is
//! there.

use provider::entry::Entry;

#[cfg(feature = "fault-injection")]
fn asked() -> String {
    std::env::var("RMVSSPRV_FAULT").unwrap_or_default()
}

/// Whether a test wants this to fail.
#[cfg(feature = "fault-injection")]
pub fn is(what: &str) -> bool {
    asked() == what
}

/// Whether a test wants this to fail: never.
#[cfg(not(feature = "fault-injection"))]
pub const fn is(_what: &str) -> bool {
    false
}

/// Panics where a test wants this call to.
#[cfg(feature = "fault-injection")]
pub fn panic_in(entry: Entry) {
    assert!(asked() != format!("panic-{entry}"), "a panic that a test asked for");
}

/// Panics where a test wants this call to: never.
#[cfg(not(feature = "fault-injection"))]
pub const fn panic_in(_entry: Entry) {}
