//! A writer that is a program: `PROGRAM describe | prepare | freeze | thaw | post copied|aborted`.
//!
//! `describe` prints a [`Description`]; `post copied` puts artifacts
//! as files into the directory `$SHADOWCOPY_ARTIFACTS`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{
    ask::{Asked, ask},
    child::Ran,
    chosen,
};
use crate::{
    limits,
    writer::{Artifact, Begun, Fault, FaultKind, Metadata, Outcome, Writer},
    writers::deadline::Deadline,
};

/// The largest artifact.
const ARTIFACT: u64 = 16 << 20;

/// What a program prints for `describe`, in JSON:
/// `{"name": "mongodb/main", "version": "7.0.5", "limit": "30s", "paths": ["/srv/mongo"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// See [`Metadata::name`]; letters, digits, `.`, `_`, `-` and `/`, at most 64.
    pub name: String,
    /// See [`Metadata::version`].
    pub version: String,
    /// See [`Metadata::limit`]; a time with its unit.
    #[serde(default)]
    pub limit: Option<String>,
    /// See [`Metadata::paths`]; absolute.
    pub paths: Vec<PathBuf>,
}

impl Description {
    /// What a program printed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Metadata, String> {
        let said: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let word = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if said.name.is_empty() || said.name.len() > 64 || !said.name.chars().all(word) {
            return Err(format!("{:?} is not a name of a writer", said.name));
        }
        if let Some(path) = said.paths.iter().find(|path| !path.is_absolute()) {
            return Err(format!("path {} is not absolute", path.display()));
        }
        let limit = said.limit.as_deref().map(limits::time).transpose();
        let limit = limit.map_err(|error| format!("limit: {error}"))?;
        Ok(Metadata { name: said.name, version: said.version, limit, paths: said.paths })
    }
}

/// A writer that is a program.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    timeout: Duration,
    begun: Option<Begun>,
    frozen: bool,
}

impl Program {
    /// This executable. `timeout` bounds what is called when the coordinator no longer asks: after
    /// this value is dropped in the middle of a backup.
    #[must_use]
    pub fn new(path: PathBuf, timeout: Duration) -> Self {
        Self { path, timeout, begun: None, frozen: false }
    }

    fn call(&self, args: &[&str], within: Duration) -> Result<Ran, Fault> {
        ask(Asked {
            program: &self.path,
            args,
            begun: self.begun.as_ref(),
            artifacts: None,
            within: Deadline::of(within).left(),
        })
    }
}

impl Writer for Program {
    fn describe(&mut self, within: Duration) -> Result<Metadata, Fault> {
        let ran = self.call(&["describe"], within)?;
        let parsed = if ran.more {
            Err("more than 1 MiB".to_owned())
        } else {
            Description::parse(&ran.output)
        };
        parsed.map_err(|error| {
            let what = format!("{} describe: not understood: {error}", chosen::name(&self.path));
            Fault::new(FaultKind::NonRetryable, what).action("docs/writers.md says what it prints")
        })
    }

    fn prepare(&mut self, backup: &Begun, within: Duration) -> Result<(), Fault> {
        self.begun = Some(backup.clone());
        self.call(&["prepare"], within).map(drop)
    }

    fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        self.frozen = true;
        self.call(&["freeze"], within).map(drop)
    }

    fn thaw(&mut self, within: Duration) -> Result<(), Fault> {
        self.frozen = false;
        self.call(&["thaw"], within).map(drop)
    }

    fn post(&mut self, outcome: Outcome, within: Duration) -> Result<Vec<Artifact>, Fault> {
        let begun = self.begun.take();
        let folder = tempfile::Builder::new()
            .prefix("shadowcopy-")
            .tempdir()
            .map_err(|error| Fault::new(FaultKind::NonRetryable, format!("artifacts: {error}")))?;
        let word = match outcome {
            Outcome::Copied => "copied",
            Outcome::Aborted => "aborted",
        };
        ask(Asked {
            program: &self.path,
            args: &["post", word],
            begun: begun.as_ref(),
            artifacts: Some(folder.path()),
            within: Deadline::of(within).left(),
        })?;
        match outcome {
            Outcome::Copied => artifacts(folder.path()).map_err(|error| {
                let what = format!("{} post: artifacts: {error}", chosen::name(&self.path));
                Fault::new(FaultKind::NonRetryable, what)
            }),
            Outcome::Aborted => Ok(Vec::new()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.frozen {
            drop(self.thaw(self.timeout));
        }
        if self.begun.is_some() {
            drop(self.post(Outcome::Aborted, self.timeout));
        }
    }
}

/// The regular files of a directory, by name.
fn artifacts(folder: &Path) -> io::Result<Vec<Artifact>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        // A symbolic link is no artifact: what it points to is not the program's to hand over.
        if name.is_empty() || !name.chars().all(word) || !entry.file_type()?.is_file() {
            return Err(io::Error::other(format!("{:?} is not an artifact", entry.file_name())));
        }
        if entry.metadata()?.len() > ARTIFACT {
            return Err(io::Error::other(format!("{name} is larger than 16 MiB")));
        }
        found.push(Artifact { name, bytes: fs::read(entry.path())? });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writers::program::{recover, scripts::Scripts};

    const LONG: Duration = Duration::from_secs(60);
    const LOG: &str = "echo \"$*\" >>\"$DIR/../log\"";

    fn program(scripts: &Scripts, body: &str) -> Program {
        Program::new(scripts.put("app", &format!("{LOG}\n{body}")), LONG)
    }

    #[test]
    fn a_program_goes_through_a_backup() {
        let scripts = Scripts::new();
        let mut program = program(
            &scripts,
            "case $1 in\n\
             describe) echo '{\"name\":\"app/x\",\"version\":\"7\",\"limit\":\"20s\",\"paths\":[\"/srv\"]}';;\n\
             post) printf 'a\\000b' >$SHADOWCOPY_ARTIFACTS/$SHADOWCOPY_BACKUP.bin;;\n\
             esac",
        );
        let metadata = program.describe(LONG).unwrap();
        assert_eq!((metadata.name.as_str(), metadata.version.as_str()), ("app/x", "7"));
        assert_eq!(metadata.limit, Some(Duration::from_secs(20)));
        assert_eq!(metadata.paths, [PathBuf::from("/srv")]);
        program.prepare(&scripts.begun(), LONG).unwrap();
        program.freeze(LONG).unwrap();
        program.thaw(LONG).unwrap();
        let artifacts = program.post(Outcome::Copied, LONG).unwrap();
        assert_eq!(artifacts, [Artifact { name: "0000000001.bin".into(), bytes: b"a\0b".into() }]);
        drop(program);
        assert_eq!(scripts.log(), "describe\nprepare\nfreeze\nthaw\npost copied\n");
    }

    #[test]
    fn exit_codes_count() {
        let scripts = Scripts::new();
        let mut program = program(&scripts, "echo reason >&2; exit $(cat \"$DIR/../code\")");
        for (code, kind) in [
            (75, FaultKind::Retryable),
            (76, FaultKind::Inconsistent),
            (1, FaultKind::NonRetryable),
            (64, FaultKind::NonRetryable),
        ] {
            fs::write(scripts.directory().join("../code"), code.to_string()).unwrap();
            let fault = program.thaw(LONG).unwrap_err();
            assert_eq!(fault.kind, kind, "{code}");
            assert_eq!(fault.cause, format!("app thaw: exit code {code}: reason"));
        }
    }

    #[test]
    fn one_that_is_dropped_thaws_and_ends_its_backup() {
        let scripts = Scripts::new();
        let mut program = program(&scripts, "[ $1 != freeze ]");
        program.prepare(&scripts.begun(), LONG).unwrap();
        program.freeze(LONG).unwrap_err();
        drop(program);
        assert_eq!(scripts.log(), "prepare\nfreeze\nthaw\npost aborted\n");
        let faults = recover::thaw_programs(&scripts.directory(), &scripts.begun(), LONG, LONG);
        assert_eq!(faults, []);
        assert!(scripts.log().ends_with("post aborted\nthaw\npost aborted\n"), "{}", scripts.log());
    }

    #[test]
    fn a_description_that_is_none_is_refused() {
        for (json, words) in [
            ("", "EOF"),
            ("{\"name\":\"a\",\"version\":\"1\",\"paths\":[],\"path\":1}", "unknown field `path`"),
            ("{\"name\":\"a b\",\"version\":\"1\",\"paths\":[]}", "not a name"),
            ("{\"name\":\"a\",\"version\":\"1\",\"paths\":[\"x\"]}", "path x is not absolute"),
            ("{\"name\":\"a\",\"version\":\"1\",\"paths\":[],\"limit\":\"30\"}", "limit: \"30\""),
        ] {
            let bad = Description::parse(json.as_bytes()).unwrap_err();
            assert!(bad.contains(words), "{json}: {bad}");
        }
        let scripts = Scripts::new();
        let mut program = program(&scripts, "head -c 2000000 /dev/zero");
        assert!(program.describe(LONG).unwrap_err().cause.contains("more than 1 MiB"));
    }

    #[test]
    fn only_plain_files_are_artifacts() {
        let scripts = Scripts::new();
        let mut program =
            program(&scripts, "[ $1 != post ] || ln -s /etc/passwd $SHADOWCOPY_ARTIFACTS/passwd");
        program.prepare(&scripts.begun(), LONG).unwrap();
        let fault = program.post(Outcome::Copied, LONG).unwrap_err();
        assert!(fault.cause.contains("\"passwd\" is not an artifact"), "{fault}");
    }

    #[test]
    fn the_example_stops_and_continues_its_application() {
        let scripts = Scripts::new();
        let mut application = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pidfile = scripts.directory().join("../pid");
        fs::write(&pidfile, application.id().to_string()).unwrap();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/writers.d/example");
        let body = format!("EXAMPLE_PIDFILE={} exec {example} \"$@\"", pidfile.display());
        let mut program = Program::new(scripts.put("example", &body), LONG);
        let state = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", application.id())).unwrap();
            stat.rsplit(')').next().unwrap().trim().chars().next().unwrap()
        };
        assert_eq!(program.describe(LONG).unwrap().name, "example/main");
        program.prepare(&scripts.begun(), LONG).unwrap();
        program.freeze(LONG).unwrap();
        let stopped = state();
        program.thaw(LONG).unwrap();
        let going = state();
        let artifacts = program.post(Outcome::Copied, LONG).unwrap();
        application.kill().unwrap();
        application.wait().unwrap();
        assert_eq!((stopped, going != 'T'), ('T', true));
        assert_eq!(artifacts[0].bytes, b"0000000001\n");
    }
}
