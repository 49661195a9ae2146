//! `vssapi.dll` for a test: one Exchange writer with one database, every call a line of standard
//! error. `VSS_MOCK_REFUSES` names a call that is refused (VSS_E_UNEXPECTED). Empty on other systems.
//!
//! Its tables are filled by `vss_requestor::interfaces::SLOTS`, which a test compares with
//! mingw-w64's header; a slot that nobody should call ends the process.

#[cfg(windows)]
mod objects;
#[cfg(windows)]
mod table;
