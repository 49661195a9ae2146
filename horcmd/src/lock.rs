//! One process an instance: a file lock that the kernel lets go when the process ends, however
//! it ends.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use model::Instance;

use crate::failure::StartFailure;

/// Held while the daemon runs.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock of `instance` in the directory `uds`. The file itself stays for ever:
    /// removing it would let two processes lock two files of one name.
    ///
    /// # Errors
    /// That the instance runs already, or HORCM_003 when the file cannot be locked.
    pub fn take(uds: &Path, instance: Instance) -> Result<Self, StartFailure> {
        let path: PathBuf = uds.join(format!("{}.lock", instance.process_title()));
        let failed = |e| StartFailure::process(format!("{}: {e}", path.display()));
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartFailure::already_running(instance)),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let instance = Instance::numbered(7).unwrap();
        let first = InstanceLock::take(dir.path(), instance).unwrap();
        let second = InstanceLock::take(dir.path(), instance).unwrap_err();
        assert_eq!(second.exit_code(), 1);
        InstanceLock::take(dir.path(), Instance::numbered(8).unwrap()).unwrap();
        drop(first);
        InstanceLock::take(dir.path(), instance).unwrap();
    }
}
