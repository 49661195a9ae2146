//! MariaDB 10.4.1 and later, MySQL, and older MariaDB.
//!
//! From the end of [`Writer::freeze`] to [`Writer::thaw`] no transaction commits and the binary log
//! stands still, so that its position fits the copy. How, is [`Lock`].
//!
//! A lock that has to wait has others wait behind it, and a site then stands still behind one long
//! query. So the wait for it is short (`lock_wait`), and is given up, with the session, when it is
//! over. A lock lives no longer than its session: the server ends an idle one by itself
//! (`wait_timeout`) soon after the writer's limit, even where this process is stopped and its socket
//! open.
//!
//! InnoDB goes on writing to its own files meanwhile; the file systems of the set are split at one
//! instant, so crash recovery brings the copy up.
//!
//! | file | what it holds |
//! |---|---|
//! | `session` | one session on a thread of its own, each statement of which has its time |
//! | `lock` | how commits are held, by server |
//! | `facts` | what the server says of itself, and where its files lie |

mod facts;
mod lock;
mod session;

use std::{path::PathBuf, time::Duration};

use crate::{
    limits::Limits,
    writer::{Artifact, Begun, Fault, FaultKind, Metadata, Outcome, Writer},
    writers::deadline::Deadline,
};

pub use lock::Lock;
use lock::Method;
use session::Session;

/// How a server is reached and backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What it is called; the writer is `mariadb/NAME`.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// The user, who needs RELOAD, PROCESS and BINLOG MONITOR (REPLICATION CLIENT in MySQL).
    pub user: String,
    /// A file whose first line is the password; `None` where the socket says who it is.
    pub password_file: Option<PathBuf>,
    /// How long it may be frozen; `None` for the coordinator's limit.
    pub limit: Option<Duration>,
    /// How long the lock may be waited for; the server counts in seconds.
    pub lock_wait: Duration,
    /// How commits are held.
    pub lock: Lock,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Socket(PathBuf),
    /// Host and port; the host has to be this one.
    Tcp(String, u16),
}

/// The artifact with the position in the binary log.
const POSITION: &str = "binlog_position.json";

/// A MariaDB or MySQL server.
#[derive(Debug)]
pub struct MariaDb {
    settings: Settings,
    session: Option<Session>,
    method: Option<Method>,
    held: bool,
    position: Option<facts::Position>,
}

impl MariaDb {
    /// The server with these settings; nothing is connected.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, session: None, method: None, held: false, position: None }
    }

    fn writer(&self) -> String {
        format!("mariadb/{}", self.settings.name)
    }

    /// The session ends with every failure, and the locks with it.
    fn failed(&mut self, fault: Fault) -> Fault {
        self.end_session();
        Fault { cause: format!("{}: {}", self.writer(), fault.cause), ..fault }
    }

    fn end_session(&mut self) {
        self.session = None;
        self.held = false;
    }

    fn session(&mut self, deadline: Deadline) -> Result<&Session, Fault> {
        match &mut self.session {
            Some(session) => Ok(session),
            none => {
                let session = Session::open(&self.settings, deadline)?;
                Ok(none.insert(session))
            }
        }
    }

    fn describe_server(&mut self, within: Duration) -> Result<Metadata, Fault> {
        let deadline = Deadline::of(within);
        let lock = self.settings.lock;
        let session = self.session(deadline)?;
        let version = facts::version(session, deadline)?;
        let method = lock.method(&version)?;
        let paths = facts::paths(session, &version, deadline)?;
        self.method = Some(method);
        Ok(Metadata {
            name: self.writer(),
            version: version.to_string(),
            limit: self.settings.limit,
            paths,
        })
    }

    /// Begins the backup, holds nothing: the pairs may take long to be PAIR.
    fn begin(&mut self, within: Duration) -> Result<(), Fault> {
        let deadline = Deadline::of(within);
        let method = self.method.ok_or_else(unprepared)?;
        let wait = self.settings.lock_wait;
        let session = self.session(deadline)?;
        session.idle(Session::LONG, deadline)?;
        if let Some(begin) = method.begin() {
            session.lock(begin, wait, deadline)?;
        }
        Ok(())
    }

    fn hold(&mut self, within: Duration) -> Result<(), Fault> {
        let deadline = Deadline::of(within);
        let method = self.method.ok_or_else(unprepared)?;
        let wait = self.settings.lock_wait;
        let limit = self.settings.limit.unwrap_or(Limits::MOST_WRITERS);
        let session = self.session.as_ref().ok_or_else(unprepared)?;
        session.idle(limit, deadline)?;
        for statement in method.hold() {
            session.lock(statement, wait, deadline)?;
        }
        let position = facts::position(session, deadline)?;
        self.position = position;
        self.held = true;
        Ok(())
    }

    fn release(&mut self, within: Duration) -> Result<(), Fault> {
        let deadline = Deadline::of(within);
        let gone = |cause: String| {
            Fault::new(FaultKind::Inconsistent, format!("commits were not held: {cause}"))
        };
        let method = self.method.ok_or_else(unprepared)?;
        let session = self.session.as_ref().filter(|_| self.held);
        let session = session.ok_or_else(|| gone("the lock was not got".to_owned()))?;
        session.is_still(deadline).map_err(|fault| gone(fault.cause))?;
        for statement in method.release() {
            session.rows(statement, deadline).map_err(|fault| gone(fault.cause))?;
        }
        self.held = false;
        Ok(())
    }
}

impl Writer for MariaDb {
    fn describe(&mut self, within: Duration) -> Result<Metadata, Fault> {
        self.describe_server(within).map_err(|fault| self.failed(fault))
    }

    fn prepare(&mut self, _backup: &Begun, within: Duration) -> Result<(), Fault> {
        self.begin(within).map_err(|fault| self.failed(fault))
    }

    fn freeze(&mut self, within: Duration) -> Result<(), Fault> {
        self.hold(within).map_err(|fault| self.failed(fault))
    }

    fn thaw(&mut self, within: Duration) -> Result<(), Fault> {
        self.release(within).map_err(|fault| self.failed(fault))
    }

    fn post(&mut self, outcome: Outcome, _within: Duration) -> Result<Vec<Artifact>, Fault> {
        self.end_session();
        let position = self.position.take().filter(|_| outcome == Outcome::Copied);
        let artifact = |position: facts::Position| {
            let bytes = serde_json::to_vec_pretty(&position)
                .map_err(|error| Fault::new(FaultKind::NonRetryable, error.to_string()))?;
            Ok(Artifact { name: POSITION.to_owned(), bytes })
        };
        position.map(artifact).into_iter().collect()
    }
}

fn unprepared() -> Fault {
    Fault::new(FaultKind::Inconsistent, "there is no session with the server")
}
