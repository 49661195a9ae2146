//! The file as it is written.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use crate::{
    coordinator::Policy,
    limits::{self, Limits},
    writers::{
        mariadb::{self, Address, Lock},
        postgresql,
    },
};

/// `shadowcopy.toml`; see `etc/shadowcopy.toml` for what each key is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// `policy`.
    pub policy: Policy,
    /// `[limits]`.
    pub limits: LimitsSection,
    /// `[hooks]`.
    pub hooks: Option<Directory>,
    /// `[programs]`.
    pub programs: Option<Directory>,
    /// `[postgresql.NAME]`.
    pub postgresql: BTreeMap<Name, PostgreSqlSection>,
    /// `[mariadb.NAME]`.
    pub mariadb: BTreeMap<Name, MariaDbSection>,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    #[serde(deserialize_with = "writers_limit")]
    writers: Duration,
    #[serde(deserialize_with = "file_systems_limit")]
    file_systems: Duration,
    #[serde(deserialize_with = "time")]
    writer_call: Duration,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let Limits { writers, file_systems, writer_call } = Limits::default();
        Self { writers, file_systems, writer_call }
    }
}

impl From<LimitsSection> for Limits {
    fn from(section: LimitsSection) -> Self {
        let LimitsSection { writers, file_systems, writer_call } = section;
        Self { writers, file_systems, writer_call }
    }
}

/// `[hooks]` and `[programs]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Where the executables are.
    #[serde(deserialize_with = "absolute")]
    pub directory: PathBuf,
    /// How long one call of one of them may take; of programs, after a coordinator that died.
    #[serde(default = "ten_seconds", deserialize_with = "writers_limit")]
    pub timeout: Duration,
}

/// `[postgresql.NAME]`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgreSqlSection {
    connection: String,
    #[serde(deserialize_with = "some_absolute")]
    passfile: Option<PathBuf>,
    #[serde(deserialize_with = "some_writers_limit")]
    limit: Option<Duration>,
    wait_for_archive: bool,
    external_config: bool,
}

impl fmt::Debug for PostgreSqlSection {
    /// Without the connection string: there may be a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgreSqlSection").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl PostgreSqlSection {
    /// As the writer takes it.
    #[must_use]
    pub fn settings(&self, name: &str) -> postgresql::Settings {
        let Self { connection, passfile, limit, wait_for_archive, external_config } = self.clone();
        let name = name.to_owned();
        postgresql::Settings {
            name,
            connection,
            passfile,
            limit,
            wait_for_archive,
            external_config,
        }
    }
}

/// `[mariadb.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawMariaDb")]
pub struct MariaDbSection(RawMariaDb);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMariaDb {
    #[serde(default, deserialize_with = "some_absolute")]
    socket: Option<PathBuf>,
    host: Option<String>,
    port: Option<u16>,
    #[serde(default = "root")]
    user: String,
    #[serde(default, deserialize_with = "some_absolute")]
    password_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "some_writers_limit")]
    limit: Option<Duration>,
    #[serde(default = "five_seconds", deserialize_with = "writers_limit")]
    lock_wait: Duration,
    #[serde(default)]
    lock: Lock,
}

impl TryFrom<RawMariaDb> for MariaDbSection {
    type Error = &'static str;

    fn try_from(raw: RawMariaDb) -> Result<Self, &'static str> {
        match (&raw.socket, &raw.host, raw.port) {
            (Some(_), None, None) | (None, Some(_), _) => Ok(Self(raw)),
            _ => Err("write either socket or host (and port, else 3306)"),
        }
    }
}

impl MariaDbSection {
    /// As the writer takes it.
    #[must_use]
    pub fn settings(&self, name: &str) -> mariadb::Settings {
        let RawMariaDb { socket, host, port, user, password_file, limit, lock_wait, lock } =
            self.0.clone();
        let address = match socket {
            Some(socket) => Address::Socket(socket),
            None => Address::Tcp(host.unwrap_or_default(), port.unwrap_or(3306)),
        };
        let name = name.to_owned();
        mariadb::Settings { name, address, user, password_file, limit, lock_wait, lock }
    }
}

/// Name of a server: it becomes a part of the name of a writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !text.is_empty() && text.len() <= 32 && text.chars().all(word) {
            return Ok(Self(text));
        }
        Err(format!("{text:?} is not a name: up to 32 letters, digits, \".\", \"_\", \"-\""))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn root() -> String {
    "root".to_owned()
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time such as \"30s\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            match limits::time(text) {
                Ok(Duration::ZERO) => Err(E::custom("a time longer than nothing is needed")),
                Ok(time) => Ok(time),
                Err(bad) => Err(E::custom(bad)),
            }
        }
    }
    from.deserialize_str(Visitor)
}

fn at_most<E: Error>(time: Duration, most: Duration) -> Result<Duration, E> {
    if time <= most {
        return Ok(time);
    }
    Err(E::custom(format!("at most {}s", most.as_secs())))
}

fn writers_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    at_most(time(from)?, Limits::MOST_WRITERS)
}

fn some_writers_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    writers_limit(from).map(Some)
}

fn file_systems_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    at_most(time(from)?, Limits::MOST_FILE_SYSTEMS)
}

fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(D::Error::custom(format!("{path:?}: an absolute path is needed")))
}

fn some_absolute<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    absolute(from).map(Some)
}
