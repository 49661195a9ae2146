//! A directory of hooks, called with `freeze` and `thaw`, as the qemu guest agent does.
//!
//! Unlike there, an exit code counts, and each has its time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ask::{Asked, ask},
    chosen,
};
use crate::{
    writer::{Artifact, Begun, Fault, Metadata, Outcome, Writer},
    writers::deadline::Deadline,
};

/// Its name as a writer.
pub const NAME: &str = "hooks";

/// The least a `thaw` gets, however little is left of the call: it is called all the same.
const LEAST: Duration = Duration::from_secs(1);

/// The hooks of a directory, as one writer.
#[derive(Debug)]
pub struct Hooks {
    directory: PathBuf,
    timeout: Duration,
    begun: Option<Begun>,
    /// Called with `freeze`, whatever came of it, and not yet with `thaw`.
    started: Vec<PathBuf>,
}

impl Hooks {
    /// The hooks of this directory; each may take so long.
    #[must_use]
    pub fn new(directory: PathBuf, timeout: Duration) -> Self {
        Self { directory, timeout, begun: None, started: Vec::new() }
    }

    fn thaw_started(&mut self, within: Duration) -> Vec<Fault> {
        let mut started = std::mem::take(&mut self.started);
        started.reverse();
        thaw(&started, self.begun.as_ref(), self.timeout, within)
    }
}

impl Writer for Hooks {
    fn describe(&mut self, _within: Duration) -> Result<Metadata, Fault> {
        let hooks = chosen::executables(&self.directory)?;
        Ok(Metadata {
            name: NAME.to_owned(),
            version: format!("{} in {}", hooks.len(), self.directory.display()),
            limit: None,
            paths: Vec::new(),
        })
    }

    fn prepare(&mut self, backup: &Begun, _within: Duration) -> Result<(), Fault> {
        self.begun = Some(backup.clone());
        Ok(())
    }

    fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        let deadline = Deadline::of(within);
        for hook in chosen::executables(&self.directory)? {
            self.started.push(hook.clone());
            let within = self.timeout.min(deadline.left());
            call(&hook, "freeze", self.begun.as_ref(), within)?;
        }
        Ok(())
    }

    /// Every hook that was called with `freeze`, the last first, even after one that fails.
    fn thaw(&mut self, within: Duration) -> Result<(), Fault> {
        match self.thaw_started(within).into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn post(&mut self, _: Outcome, _within: Duration) -> Result<Vec<Artifact>, Fault> {
        Ok(Vec::new())
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        drop(self.thaw_started(self.timeout));
    }
}

/// Calls these with `thaw`, in this order. None is left out because of one before it: each gets its
/// share of what is left, a second at least.
pub(super) fn thaw(
    hooks: &[PathBuf],
    begun: Option<&Begun>,
    timeout: Duration,
    within: Duration,
) -> Vec<Fault> {
    let deadline = Deadline::of(within);
    let mut left = u32::try_from(hooks.len()).unwrap_or(u32::MAX);
    let mut faults = Vec::new();
    for hook in hooks {
        let share = (deadline.left() / left).max(LEAST).min(timeout);
        left -= 1;
        faults.extend(call(hook, "thaw", begun, share).err());
    }
    faults
}

fn call(hook: &Path, verb: &str, begun: Option<&Begun>, within: Duration) -> Result<(), Fault> {
    ask(Asked { program: hook, args: &[verb], begun, artifacts: None, within })
        .map(drop)
        .map_err(|fault| Fault { cause: format!("hook {}", fault.cause), ..fault })
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use super::*;
    use crate::{
        catalogue::BackupId,
        writer::FaultKind,
        writers::program::{recover, scripts::Scripts},
    };

    const LONG: Duration = Duration::from_secs(60);

    /// Every hook writes its name and verb down, then does what the test says.
    fn scripts(hooks: &[(&str, &str)]) -> Scripts {
        let scripts = Scripts::new();
        for (name, body) in hooks {
            scripts.put(name, &format!("echo \"$(basename $0) $1\" >>\"$DIR/../log\"\n{body}"));
        }
        scripts
    }

    fn hooks(scripts: &Scripts, timeout: Duration) -> Hooks {
        Hooks::new(scripts.directory(), timeout)
    }

    #[test]
    fn they_freeze_by_name_and_thaw_in_reverse() {
        let scripts = scripts(&[("10-a", ""), ("20-b", ""), ("30-c", ""), ("40-d.sample", "")]);
        let mut hooks = hooks(&scripts, LONG);
        assert!(hooks.describe(LONG).unwrap().version.starts_with("3 in "));
        hooks.freeze(LONG).unwrap();
        hooks.thaw(LONG).unwrap();
        let wanted = "10-a freeze\n20-b freeze\n30-c freeze\n30-c thaw\n20-b thaw\n10-a thaw\n";
        assert_eq!(scripts.log(), wanted);
        drop(hooks);
        assert_eq!(scripts.log(), wanted, "none thaws twice");
    }

    #[test]
    fn one_that_fails_stops_the_freeze_and_thaws_with_those_before_it() {
        let scripts = scripts(&[
            ("10-a", ""),
            ("20-b", "[ $1 = thaw ] || { echo disk full >&2; exit 75; }"),
            ("30-c", ""),
        ]);
        let mut hooks = hooks(&scripts, LONG);
        let fault = hooks.freeze(LONG).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Retryable);
        assert_eq!(fault.cause, "hook 20-b freeze: exit code 75: disk full");
        hooks.thaw(LONG).unwrap();
        assert_eq!(scripts.log(), "10-a freeze\n20-b freeze\n20-b thaw\n10-a thaw\n");
    }

    #[test]
    fn one_that_hangs_is_killed_and_the_others_thaw_all_the_same() {
        let scripts = scripts(&[
            ("10-a", ""),
            ("20-b", "sleep 1000 & wait"),
            ("30-c", "[ $1 = freeze ] || exit 3"),
        ]);
        let mut hooks = hooks(&scripts, Duration::from_millis(700));
        let began = Instant::now();
        let fault = hooks.freeze(LONG).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
        assert!(fault.to_string().contains("20-b freeze: not done after 700 ms"), "{fault}");
        let fault = hooks.thaw(LONG).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
        assert_eq!(scripts.log(), "10-a freeze\n20-b freeze\n20-b thaw\n10-a thaw\n");
        assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    }

    #[test]
    fn the_time_of_the_call_bounds_them_too() {
        let scripts = scripts(&[("10-a", "[ $1 = thaw ] || sleep 1000")]);
        let mut hooks = hooks(&scripts, LONG);
        let began = Instant::now();
        assert_eq!(hooks.freeze(Duration::from_millis(600)).unwrap_err().kind, FaultKind::Timeout);
        assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    }

    #[test]
    fn a_backup_that_is_dropped_thaws_them() {
        let scripts = scripts(&[("10-a", "")]);
        let mut hooks = hooks(&scripts, LONG);
        hooks.freeze(LONG).unwrap();
        drop(hooks);
        assert_eq!(scripts.log(), "10-a freeze\n10-a thaw\n");
    }

    #[test]
    fn they_know_which_backup_it_is() {
        let scripts = scripts(&[(
            "10-a",
            "echo \"$SHADOWCOPY_BACKUP $SHADOWCOPY_SET $SHADOWCOPY_MOUNTS $SHADOWCOPY_LIMIT\" \
             >>\"$DIR/../log\"",
        )]);
        let mut hooks = hooks(&scripts, Duration::from_secs(7));
        let begun = scripts.begun();
        hooks.prepare(&begun, LONG).unwrap();
        hooks.freeze(LONG).unwrap();
        let wanted = format!("10-a freeze\n{} {} /a b\n/c 7000ms\n", BackupId::FIRST, begun.set);
        assert_eq!(scripts.log(), wanted);
    }

    #[test]
    fn after_a_crash_all_of_them_thaw_in_reverse_order() {
        let scripts = scripts(&[("10-a", ""), ("20-b", "exit 1"), ("30-c", "")]);
        let faults = recover::thaw_hooks(&scripts.directory(), &scripts.begun(), LONG, LONG);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].kind, FaultKind::NonRetryable);
        assert_eq!(scripts.log(), "30-c thaw\n20-b thaw\n10-a thaw\n");
        fs::remove_dir_all(scripts.directory()).unwrap();
        let faults = recover::thaw_hooks(&scripts.directory(), &scripts.begun(), LONG, LONG);
        assert_eq!(faults.len(), 1, "a directory that went is no silence: {faults:?}");
    }
}
