//! The writers that come with it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`program`] | hooks in a directory, and writers that are programs |
//! | [`deadline`] | what is left of the time of a call |

pub mod deadline;
pub mod program;
