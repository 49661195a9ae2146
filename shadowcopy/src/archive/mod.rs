//! Volumes in a file or a stream, and back (`docs/archive.md`).
//!
//! | file | what it holds |
//! |---|---|
//! | [`frame`] | frames: lengths and checksums, for archives and exports alike |

pub mod frame;
