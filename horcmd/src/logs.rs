//! Where the logs lie, and the change from one run to the next (`cci` 1.12).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::failure::StartFailure;

/// The log files of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFiles {
    /// `$HORCM_LOG/horcmlog_<HOST>/horcm.log`.
    pub daemon: PathBuf,
    /// `$HORCM_LOG/horcm_<HOST>.log`: why the daemon did not start.
    pub startup: PathBuf,
}

impl LogFiles {
    /// Moves the logs of the run before from `log` to `old`, and makes the directories of this.
    ///
    /// Only files of the daemon's own names are moved, never directories: both places come from
    /// the environment and may hold anything else. A file that cannot be moved stays and is
    /// appended to.
    ///
    /// # Errors
    /// HORCM_001 when a directory cannot be made.
    pub fn prepare(log: &Path, old: &Path, host: &str) -> Result<Self, StartFailure> {
        let (directory, startup) = (format!("horcmlog_{host}"), format!("horcm_{host}.log"));
        for place in [log, old] {
            let made = fs::create_dir_all(place.join(&directory));
            made.map_err(|e| StartFailure::log(format!("{}: {e}", place.display())))?;
        }
        let daemon = Path::new(&directory).join("horcm.log");
        let rotated = Path::new(&directory).join("horcm.log.old");
        for name in [Path::new(&startup), &daemon, &rotated] {
            match fs::rename(log.join(name), old.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    eprintln!("horcmd: {} stays: {e}", log.join(name).display());
                }
                _ => {}
            }
        }
        Ok(Self { daemon: log.join(daemon), startup: log.join(startup) })
    }

    /// Writes why the daemon did not start into the start-up log.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn record(&self, failure: &StartFailure) -> io::Result<()> {
        fs::write(&self.startup, format!("{failure}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_before_is_kept_and_other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (log, old) = (dir.path().join("curlog"), dir.path().join("tmplog"));
        let files = LogFiles::prepare(&log, &old, "db1").unwrap();
        fs::write(&files.daemon, "first").unwrap();
        fs::write(log.join("mine.txt"), "mine").unwrap();
        let again = LogFiles::prepare(&log, &old, "db1").unwrap();
        assert_eq!(files, again);
        assert!(!again.daemon.exists());
        let kept = fs::read_to_string(old.join("horcmlog_db1/horcm.log")).unwrap();
        assert_eq!(kept, "first");
        assert_eq!(fs::read_to_string(log.join("mine.txt")).unwrap(), "mine");
    }

    #[test]
    fn a_place_that_cannot_be_is_horcm_001() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let failure = LogFiles::prepare(&file.join("log"), dir.path(), "h").unwrap_err();
        assert!(failure.to_string().starts_with("[HORCM_001]"), "{failure}");
    }
}
