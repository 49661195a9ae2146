//! Volumes in a file or a stream, and back (`docs/archive.md`).
//!
//! | file | what it holds |
//! |---|---|
//! | [`frame`] | frames: lengths and checksums, for archives and exports alike |
//! | [`content`] | what is in an archive, and in which order |
//! | [`source`] | a volume that goes in, without its zeros |
//! | [`target`] | a volume that comes out |

pub mod content;
pub mod frame;
pub mod source;
pub mod target;
