//! The thaw side alone, after a coordinator that died.
//!
//! Which hook and which program was asked to freeze died with it, so all are asked to thaw: one
//! that thaws twice, or without a freeze, has to do nothing.

use std::{path::Path, time::Duration};

use super::{
    ask::{Asked, ask},
    chosen, hooks,
};
use crate::{
    writer::{Begun, Fault},
    writers::deadline::Deadline,
};

/// Calls every hook of the directory with `thaw`, the last first; each may take `timeout`, all
/// together `within`. Empty: all went well.
pub fn thaw_hooks(
    directory: &Path,
    begun: &Begun,
    timeout: Duration,
    within: Duration,
) -> Vec<Fault> {
    match chosen::executables(directory) {
        Ok(mut found) => {
            found.reverse();
            hooks::thaw(&found, Some(begun), timeout, within)
        }
        Err(fault) => vec![fault],
    }
}

/// Calls every program of the directory with `thaw` and `post aborted`, the last first; each call
/// may take `timeout`. Empty: all went well.
pub fn thaw_programs(
    directory: &Path,
    begun: &Begun,
    timeout: Duration,
    within: Duration,
) -> Vec<Fault> {
    let deadline = Deadline::of(within);
    let programs = match chosen::executables(directory) {
        Ok(programs) => programs,
        Err(fault) => return vec![fault],
    };
    let mut calls = u32::try_from(programs.len() * 2).unwrap_or(u32::MAX);
    let mut faults = Vec::new();
    for program in programs.iter().rev() {
        for args in [&["thaw"][..], &["post", "aborted"]] {
            let share = (deadline.left() / calls).max(Duration::from_secs(1)).min(timeout);
            calls -= 1;
            faults.extend(
                ask(Asked { program, args, begun: Some(begun), artifacts: None, within: share })
                    .err(),
            );
        }
    }
    faults
}
