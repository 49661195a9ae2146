//! Shell scripts as hooks and programs, for tests.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use provider::guid::{Guid, SetId};
use tempfile::TempDir;

use crate::{catalogue::BackupId, writer::Begun};

/// A directory of scripts, and a log beside it. `$DIR` is the directory.
pub struct Scripts(TempDir);

impl Scripts {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        Self(dir)
    }

    pub fn directory(&self) -> PathBuf {
        self.0.path().join("d")
    }

    /// A child writes it: this process, whose descriptors other children may have inherited, would
    /// keep it from being run (ETXTBSY).
    pub fn put(&self, name: &str, body: &str) -> PathBuf {
        let path = self.directory().join(name);
        let mut writer = Command::new("sh")
            .args(["-c", "cat >\"$1\" && chmod 0755 \"$1\"", "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!("#!/bin/sh\nDIR={}\n{body}\n", self.directory().display());
        writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }

    pub fn begun(&self) -> Begun {
        Begun { id: BackupId::FIRST, set: SetId(Guid(7)), mounts: vec!["/a b".into(), "/c".into()] }
    }
}
