//! PostgreSQL 15 and later.
//!
//! `pg_backup_start` and `pg_backup_stop` run in one session, kept open in between: the server
//! aborts the backup when the session ends, and nothing is left to be cleaned up. Nothing is ever
//! written into the data directory.
//!
//! PostgreSQL knows no order to hold its writes, and needs none. What makes the copy valid is that
//! data, tablespaces and WAL lie on the set, whose file systems are frozen and split at one
//! instant: the copy is what a power failure at that instant would have left, and crash recovery
//! brings it up with every transaction that was acknowledged before. That is why [`Writer::freeze`]
//! and [`Writer::thaw`] only see to it that this backup is still the server's.
//!
//! The artifacts `backup_label` and `tablespace_map` are for those who recover from a WAL archive:
//! put into the copy, they have recovery begin at the checkpoint of `pg_backup_start` and want the
//! WAL up to `pg_backup_stop`, which only the archive has. To bring the copy up as it is, leave
//! them out.
//!
//! | file | what it holds |
//! |---|---|
//! | `session` | one session, each statement of which has its time |
//! | `facts` | what the server says of itself, and where its files lie |
//! | `passfile` | `.pgpass` |

mod facts;
mod passfile;
mod session;

use std::{fmt, path::PathBuf, time::Duration};

use crate::{
    writer::{Artifact, Begun, Fault, FaultKind, Metadata, Outcome, Writer},
    writers::deadline::Deadline,
};

use session::Session;

/// How a server is reached and backed up.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// What it is called; the writer is `postgresql/NAME`.
    pub name: String,
    /// Connection string or URL. Without host: the socket in `/var/run/postgresql`; without user
    /// and database: `postgres`.
    pub connection: String,
    /// `.pgpass`; `None` for `$PGPASSFILE`, else `~/.pgpass`.
    pub passfile: Option<PathBuf>,
    /// How long it may be frozen; `None` for the coordinator's limit.
    pub limit: Option<Duration>,
    /// Whether `pg_backup_stop` waits until the WAL is archived.
    pub wait_for_archive: bool,
    /// Whether the configuration files must lie on the set too where they are not in the data
    /// directory, as on Debian.
    pub external_config: bool,
}

impl fmt::Debug for Settings {
    /// Without the connection string: there may be a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A PostgreSQL server.
#[derive(Debug)]
pub struct PostgreSql {
    settings: Settings,
    session: Option<Session>,
    /// Whether the session's backup is in progress.
    started: bool,
}

impl PostgreSql {
    /// The server with these settings; nothing is connected.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, session: None, started: false }
    }

    fn writer(&self) -> String {
        format!("postgresql/{}", self.settings.name)
    }

    fn named(&self, fault: Fault) -> Fault {
        Fault { cause: format!("{}: {}", self.writer(), fault.cause), ..fault }
    }

    fn session(&mut self, deadline: Deadline) -> Result<&mut Session, Fault> {
        match &mut self.session {
            Some(session) => Ok(session),
            none => {
                let session = Session::open(&self.settings, deadline)?;
                Ok(none.insert(session))
            }
        }
    }

    /// That the session in which the backup was started is still there.
    fn still(&mut self, within: Duration) -> Result<(), Fault> {
        let session = self.session.as_mut().filter(|_| self.started);
        let fault = match session {
            Some(session) => session.is_still(Deadline::of(within)).err(),
            None => Some(Fault::new(FaultKind::Inconsistent, "no backup is in progress")),
        };
        match fault {
            None => Ok(()),
            Some(fault) => {
                self.session = None;
                Err(self.named(fault))
            }
        }
    }

    fn describe_server(&mut self, within: Duration) -> Result<Metadata, Fault> {
        let deadline = Deadline::of(within);
        let external_config = self.settings.external_config;
        let facts = facts::of(self.session(deadline)?, external_config, deadline)?;
        Ok(Metadata {
            name: self.writer(),
            version: facts.version,
            limit: self.settings.limit,
            paths: facts.paths,
        })
    }

    fn start(&mut self, backup: &Begun, within: Duration) -> Result<(), Fault> {
        let deadline = Deadline::of(within);
        let sql =
            format!("SELECT pg_catalog.pg_backup_start('shadowcopy {}', fast => true)", backup.id);
        self.session(deadline)?.rows(&sql, deadline)?;
        self.started = true;
        Ok(())
    }

    fn stop(&mut self, within: Duration) -> Result<Vec<Artifact>, Fault> {
        let deadline = Deadline::of(within);
        let wait = self.settings.wait_for_archive;
        let session = self.session.as_mut().filter(|_| self.started).ok_or_else(|| {
            Fault::new(FaultKind::Inconsistent, "the backup is no longer in progress")
        })?;
        // As text it would come in the client's encoding; file names have none.
        let bytes = |column| format!("encode(convert_to({column}, getdatabaseencoding()), 'hex')");
        let sql = format!(
            "SELECT {}, {} FROM pg_catalog.pg_backup_stop(wait_for_archive => {wait})",
            bytes("labelfile"),
            bytes("spcmapfile")
        );
        let rows = session.rows(&sql, deadline)?;
        self.started = false;
        let mut files = rows.into_iter().next().unwrap_or_default().into_iter();
        let mut artifacts = Vec::new();
        for name in ["backup_label", "tablespace_map"] {
            let hex = files.next().flatten().unwrap_or_default();
            let bytes = unhex(&hex).ok_or_else(|| {
                Fault::new(FaultKind::NonRetryable, format!("{name} was not understood"))
            })?;
            // Without tablespaces there is no map.
            if !bytes.is_empty() {
                artifacts.push(Artifact { name: name.to_owned(), bytes });
            }
        }
        Ok(artifacts)
    }
}

impl Writer for PostgreSql {
    fn describe(&mut self, within: Duration) -> Result<Metadata, Fault> {
        self.describe_server(within).map_err(|fault| {
            self.session = None;
            self.named(fault)
        })
    }

    fn prepare(&mut self, backup: &Begun, within: Duration) -> Result<(), Fault> {
        self.start(backup, within).map_err(|fault| {
            self.session = None;
            self.named(fault)
        })
    }

    fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        self.still(within)
    }

    fn thaw(&mut self, within: Duration) -> Result<(), Fault> {
        self.still(within)
    }

    fn post(&mut self, outcome: Outcome, within: Duration) -> Result<Vec<Artifact>, Fault> {
        let artifacts = match outcome {
            Outcome::Copied => self.stop(within).map_err(|fault| self.named(fault)),
            Outcome::Aborted => Ok(Vec::new()),
        };
        self.session = None;
        self.started = false;
        artifacts
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes =
        pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok());
    rest.is_empty().then(|| bytes.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_hex() {
        assert_eq!(unhex("00ff0A"), Some(vec![0, 255, 10]));
        assert_eq!(unhex(""), Some(Vec::new()));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn a_password_is_in_no_debug_output() {
        let settings = Settings {
            name: "main".to_owned(),
            connection: "host=localhost password=geheim".to_owned(),
            passfile: None,
            limit: None,
            wait_for_archive: false,
            external_config: false,
        };
        assert!(!format!("{:?}", PostgreSql::new(settings)).contains("geheim"));
    }
}
