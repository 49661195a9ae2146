//! Executables that take part in a backup: hooks and writers of others.
//!
//! | file | what it holds |
//! |---|---|
//! | [`hooks`] | a directory of hooks, called with `freeze` and `thaw` |
//! | [`verbs`] | a writer that is a program: `describe`, `prepare`, `freeze`, `thaw`, `post` |
//! | [`recover`] | the thaw side alone, after a coordinator that died |
//! | [`chosen`] | which files of a directory are called, and which are refused |
//! | `ask` | one call, and what its exit code means |
//! | `environment` | the variables they get |
//! | `child` | one run of one of them, bounded in time and in output |

mod ask;
mod child;
pub mod chosen;
mod environment;
pub mod hooks;
pub mod recover;
#[cfg(test)]
mod scripts;
pub mod verbs;

pub use hooks::Hooks;
pub use verbs::Program;
