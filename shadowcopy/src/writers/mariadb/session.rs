//! One session on a thread of its own, each statement of which has its time.
//!
//! The client library waits for a server as long as it was told when it connected. So it waits on a
//! thread, and the caller as long as it wants; a thread that is left behind ends when the library
//! gives up, and the connection with it.

use std::{fmt, sync::mpsc, thread, time::Duration};

use mysql::{Conn, Error, OptsBuilder, Value, prelude::Queryable};

use super::{Address, Settings};
use crate::{
    writer::{Fault, FaultKind},
    writers::{deadline::Deadline, secret},
};

/// The columns of a row, as text.
pub type Row = Vec<Option<String>>;

type Job = Box<dyn FnOnce(&mut Conn) + Send>;

/// How long the library waits for a server that does not answer.
const SILENCE: Duration = Duration::from_secs(120);
/// All pages of the coordinator are locked, those of a stack too.
const STACK: usize = 256 * 1024;
/// `ER_LOCK_WAIT_TIMEOUT`, `ER_QUERY_INTERRUPTED`, MariaDB's `ER_STATEMENT_TIMEOUT`.
const LOCK_WAIT: [u16; 3] = [1205, 1317, 1969];
/// `ER_DBACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_ERROR`, `ER_SPECIFIC_ACCESS_DENIED_ERROR`.
const DENIED: [u16; 3] = [1044, 1045, 1227];

/// A session.
pub struct Session {
    jobs: mpsc::Sender<Job>,
    id: u32,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Session {
    /// How long it may idle while the pairs become PAIR: a day.
    pub const LONG: Duration = Duration::from_secs(24 * 3600);

    /// Connects.
    ///
    /// # Errors
    /// Why not.
    pub fn open(settings: &Settings, deadline: Deadline) -> Result<Self, Fault> {
        let options = options(settings, deadline)?;
        let (jobs, waiting) = mpsc::channel::<Job>();
        let (answer, answered) = mpsc::channel();
        let serve = move || match Conn::new(options) {
            Ok(mut conn) => {
                if answer.send(Ok(conn.connection_id())).is_ok() {
                    waiting.into_iter().for_each(|job| job(&mut conn));
                }
            }
            Err(error) => drop(answer.send(Err(fault(&error)))),
        };
        let started = thread::Builder::new().name("mariadb".to_owned()).stack_size(STACK);
        started
            .spawn(serve)
            .map_err(|error| Fault::new(FaultKind::Retryable, format!("no thread: {error}")))?;
        let id = wait(&answered, deadline)?.map_err(|fault| {
            fault.action("check that the server runs, and its section in shadowcopy.toml")
        })?;
        Ok(Self { jobs, id })
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// What the server says, that it is gone, or that the time is over.
    pub fn rows(&self, sql: &str, deadline: Deadline) -> Result<Vec<Row>, Fault> {
        let (answer, answered) = mpsc::channel();
        let text = sql.to_owned();
        let job: Job = Box::new(move |conn| drop(answer.send(query(conn, &text))));
        self.jobs.send(job).map_err(|_| gone())?;
        wait(&answered, deadline)?
            .map_err(|fault| Fault { cause: format!("{sql}: {}", fault.cause), ..fault })
    }

    /// Has the server end this session when it idles for longer.
    ///
    /// # Errors
    /// See [`Session::rows`].
    pub fn idle(&self, limit: Duration, deadline: Deadline) -> Result<(), Fault> {
        let sql = format!("SET SESSION wait_timeout = {}", seconds(limit));
        self.rows(&sql, deadline).map(drop)
    }

    /// Takes a lock; waits for it neither longer than `wait` nor than the deadline.
    ///
    /// # Errors
    /// That it was not granted in time, and what [`Session::rows`] says.
    pub fn lock(&self, sql: &str, wait: Duration, deadline: Deadline) -> Result<(), Fault> {
        let wait = seconds(wait.min(deadline.left()));
        self.rows(&format!("SET SESSION lock_wait_timeout = {wait}"), deadline)?;
        self.rows(sql, deadline).map(drop)
    }

    /// That statements still go to the session they went to at first. A proxy in between may have
    /// given them to another, which holds no lock.
    ///
    /// # Errors
    /// That they do not.
    pub fn is_still(&self, deadline: Deadline) -> Result<(), Fault> {
        let rows = self.rows("SELECT CONNECTION_ID()", deadline)?;
        let id = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        if id == self.id.to_string() {
            return Ok(());
        }
        let what = format!("the session went from {} to {id}", self.id);
        Err(Fault::new(FaultKind::Inconsistent, what)
            .action("connect to the server itself, not to a proxy"))
    }
}

/// The server counts in whole seconds.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

fn query(conn: &mut Conn, sql: &str) -> Result<Vec<Row>, Fault> {
    let rows: Vec<mysql::Row> = conn.query(sql).map_err(|error| fault(&error))?;
    let text = |value| match value {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    };
    Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
}

fn wait<T>(answered: &mpsc::Receiver<T>, deadline: Deadline) -> Result<T, Fault> {
    let left = deadline.left();
    answered.recv_timeout(left).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => Fault::new(
            FaultKind::Timeout,
            format!("the server does not answer (waited {} ms)", left.as_millis()),
        ),
        mpsc::RecvTimeoutError::Disconnected => gone(),
    })
}

fn gone() -> Fault {
    Fault::new(FaultKind::Inconsistent, "the session with the server is gone")
}

fn fault(error: &Error) -> Fault {
    let Error::MySqlError(said) = error else {
        return Fault::new(FaultKind::Retryable, error.to_string());
    };
    let what = format!("{} (error {})", said.message, said.code);
    if LOCK_WAIT.contains(&said.code) {
        return Fault::new(FaultKind::Timeout, what)
            .action("a query, LOCK TABLES or ALTER TABLE is in the way: see SHOW PROCESSLIST");
    }
    if DENIED.contains(&said.code) {
        return Fault::new(FaultKind::NonRetryable, what)
            .action("check user and password_file, and GRANT RELOAD, PROCESS, BINLOG MONITOR");
    }
    Fault::new(FaultKind::Retryable, what)
}

fn options(settings: &Settings, deadline: Deadline) -> Result<OptsBuilder, Fault> {
    let password = match &settings.password_file {
        None => None,
        Some(file) => {
            let text = secret::read(file)?.ok_or_else(|| {
                let what = format!("password_file {} is not there", file.display());
                Fault::new(FaultKind::NonRetryable, what)
            })?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
    };
    let options = OptsBuilder::new()
        .user(Some(&settings.user))
        .pass(password)
        .prefer_socket(false)
        .read_timeout(Some(SILENCE))
        .write_timeout(Some(SILENCE))
        .tcp_connect_timeout(Some(deadline.left().max(Duration::from_millis(1))));
    Ok(match &settings.address {
        Address::Socket(path) => options.socket(Some(path.display().to_string())),
        Address::Tcp(host, port) => options.ip_or_hostname(Some(host)).tcp_port(*port),
    })
}
