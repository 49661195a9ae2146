//! `$HORCMROOT/etc/shadowcopy.toml`: limits, policy, and the writers of this host.
//!
//! Unknown keys are refused, and so are times without a unit and limits above what they may be: a
//! backup that follows a mistyped file would not be the one its owner believes in.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@file`] | the file as it is written |
//! | [`writers`] | the writers it names, made ready |

pub mod file;
pub mod writers;

use std::{
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{coordinator::Policy, limits::Limits};
use file::File;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Limits of a backup.
    pub limits: Limits,
    /// What becomes of a copy that is not consistent.
    pub policy: Policy,
    file: File,
}

impl Config {
    /// Where it lies under `$HORCMROOT`.
    #[must_use]
    pub fn path(root: &Path) -> PathBuf {
        root.join("etc/shadowcopy.toml")
    }

    /// Reads it. Without a file the defaults hold, and there is no writer.
    ///
    /// # Errors
    /// Where it is wrong, and how.
    pub fn load(path: &Path) -> Result<Self, BadConfig> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => {
                Err(BadConfig { path: path.to_path_buf(), place: None, what: error.to_string() })
            }
        }
    }

    /// What is written in the file `path`.
    ///
    /// # Errors
    /// Where it is wrong, and how.
    pub fn parse(text: &str, path: &Path) -> Result<Self, BadConfig> {
        let bad = |what: String, span: Option<Range<usize>>| BadConfig {
            path: path.to_path_buf(),
            place: span.map(|span| place(text, span.start)),
            what,
        };
        let file: File = toml::from_str(text)
            .map_err(|error| bad(error.message().replace('\n', "; "), error.span()))?;
        Ok(Self { limits: file.limits.into(), policy: file.policy, file })
    }
}

/// The configuration is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1 on.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for BadConfig {}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/shadowcopy.toml")).map_err(|bad| bad.to_string())
    }

    #[test]
    fn the_sample_is_right() {
        let sample = include_str!("../../../../etc/shadowcopy.toml");
        let config = parse(sample).unwrap();
        assert_eq!(config.limits, Limits::default(), "the sample shows the defaults");
        assert_eq!(config.policy, Policy::Abort);
        let all: String = sample
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let config = parse(&all).unwrap();
        let names: Vec<_> = config.servers().collect();
        assert_eq!(names, ["postgresql/main", "mariadb/shop"]);
    }

    #[test]
    fn nothing_is_the_default() {
        let config = parse("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(Config::load(Path::new("/nonexistent/shadowcopy.toml")), Ok(config));
    }

    #[test]
    fn limits_are_read() {
        let text =
            "policy = 'crash-consistent'\n[limits]\nwriters = '30s'\nfile_systems = '500ms'\n";
        let config = parse(text).unwrap();
        assert_eq!(config.policy, Policy::CrashConsistent);
        assert_eq!(config.limits.writers, Duration::from_secs(30));
        assert_eq!(config.limits.file_systems, Duration::from_millis(500));
        assert_eq!(config.limits.writer_call, Limits::default().writer_call);
    }

    #[test]
    fn what_is_wrong_has_its_place_and_its_remedy() {
        for (text, place, words) in [
            ("[limits]\nwriters = '61s'\n", ":2:11:", "at most 60s"),
            ("[limits]\nfile_systems = '11s'\n", ":2:16:", "at most 10s"),
            ("[limits]\nwriters = '30'\n", ":2:11:", "write a whole number and ms, s, m or h"),
            ("[limits]\nwriters = 30\n", ":2:11:", "expected a time such as \"30s\""),
            ("[limits]\nwriters = '0s'\n", ":2:11:", "longer than nothing"),
            ("\n[limit]\nwriters = '3s'\n", ":2:2:", "unknown field `limit`, expected one of"),
            ("[hooks]\ndir = '/x'\n", ":2:1:", "unknown field `dir`"),
            ("[hooks]\ndirectory = 'x'\n", ":2:13:", "absolute path"),
            ("policy = 'never'\n", ":1:10:", "`abort`"),
            ("[postgresql.main]\npassword = 'geheim'\n", ":2:1:", "unknown field `password`"),
            ("[postgresql.'a b']\n", ":1:", "letters, digits"),
            ("[mariadb.a]\nsocket = '/s'\nhost = 'h'\n", ":1:", "either socket or host"),
            ("[mariadb.a]\nsocket = '/s'\nlock = 'x'\n", ":3:8:", "`read-lock`"),
            ("[mariadb.a]\n", ":1:", "socket"),
            ("a = ", ":1:", ""),
        ] {
            let bad = parse(text).unwrap_err();
            assert!(bad.starts_with(&format!("/etc/shadowcopy.toml{place}")), "{text}: {bad}");
            assert!(bad.contains(words), "{text}: {bad}");
            assert!(!bad.contains("geheim"), "{bad}");
        }
    }
}
