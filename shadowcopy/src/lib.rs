//! Application-consistent backup on Linux: what the Volume Shadow Copy Service is on Windows.
//!
//! A requestor (a `drm` command) names volumes and writers; the coordinator has the writers freeze,
//! freezes the file systems, lets the provider split all pairs at one instant, and thaws; the
//! catalogue keeps what came of it. `docs/adr/012-the-linux-coordinator.md` says why it is as it
//! is.
//!
//! | file | what it holds |
//! |---|---|
//! | [`step`] | the steps of a backup, in their order |
//! | [`limits`] | how long writers and file systems may be frozen; times with a unit |
//! | [`writer`] | the seam to applications |
//! | [`freezer`] | the seam to file systems |
//! | [`copies`] | the seam to the provider |
//! | [`volume`] | a mounted volume and the LUN it is on |
//! | [`catalogue`] | what is kept of every backup |

pub mod catalogue;
pub mod copies;
pub mod freezer;
pub mod limits;
pub mod step;
pub mod volume;
pub mod writer;
