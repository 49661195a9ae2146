//! One session, each statement of which has its time.

use std::{fmt, future::Future, net::IpAddr, path::Path, str::FromStr, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, Error, NoTls, SimpleQueryMessage, config::Host, error::SqlState,
};

use super::{Settings, passfile};
use crate::{
    writer::{Fault, FaultKind},
    writers::deadline::Deadline,
};

/// Where Debian and Red Hat put the socket.
const SOCKET: &str = "/var/run/postgresql";

/// A session.
pub struct Session {
    client: Client,
    /// The server's process behind it.
    backend: String,
    runtime: Runtime,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// The columns of a row, as text.
pub type Row = Vec<Option<String>>;

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Why not.
    pub fn open(settings: &Settings, deadline: Deadline) -> Result<Self, Fault> {
        let config = config(settings)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::new(FaultKind::NonRetryable, format!("no runtime: {error}")))?;
        let connecting = async {
            let (client, connection) = config.connect(NoTls).await?;
            // What it fails with, the statements say too.
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        };
        let client = bounded(&runtime, connecting, deadline).map_err(|fault| {
            fault.action("check that the server runs, and connection in shadowcopy.toml")
        })?;
        let mut session = Self { client, backend: String::new(), runtime };
        session.rows("SET search_path = pg_catalog", deadline)?;
        session.backend = session.backend(deadline)?;
        Ok(session)
    }

    /// Runs one statement; the server gives it up when the time is over, and so does this side.
    ///
    /// # Errors
    /// What the server says, that it is gone, or that the time is over.
    pub fn rows(&mut self, sql: &str, deadline: Deadline) -> Result<Vec<Row>, Fault> {
        let limit = deadline.left().max(Duration::from_millis(1)).as_millis();
        let asking = async {
            self.client.batch_execute(&format!("SET statement_timeout = {limit}")).await?;
            self.client.simple_query(sql).await
        };
        let answers = bounded(&self.runtime, asking, deadline)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// That statements still go to the process they went to at first. A connection pool in between
    /// may have given them to another, whose backup it is not.
    ///
    /// # Errors
    /// That they do not.
    pub fn is_still(&mut self, deadline: Deadline) -> Result<(), Fault> {
        let backend = self.backend(deadline).map_err(|fault| match fault.kind {
            FaultKind::Timeout => fault,
            _ => Fault {
                kind: FaultKind::Inconsistent,
                cause: format!("the session of the backup is gone: {}", fault.cause),
                action: fault.action,
            },
        })?;
        if backend != self.backend {
            return Err(Fault::new(
                FaultKind::Inconsistent,
                format!("the session went from server process {} to {backend}", self.backend),
            )
            .action("connect to the server itself, not to a connection pool"));
        }
        Ok(())
    }

    fn backend(&mut self, deadline: Deadline) -> Result<String, Fault> {
        let rows = self.rows("SELECT pg_backend_pid()", deadline)?;
        rows.into_iter().flatten().flatten().next().ok_or_else(|| {
            Fault::new(FaultKind::NonRetryable, "the server does not say which process answers")
        })
    }
}

fn bounded<T>(
    runtime: &Runtime,
    future: impl Future<Output = Result<T, Error>>,
    deadline: Deadline,
) -> Result<T, Fault> {
    let left = deadline.left();
    match runtime.block_on(async { timeout(left, future).await }) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(Fault::new(
            FaultKind::Timeout,
            format!("the server does not answer (waited {} ms)", left.as_millis()),
        )),
    }
}

fn fault(error: &Error) -> Fault {
    let Some(said) = error.as_db_error() else {
        // `Error` names no cause of its own.
        let cause = std::error::Error::source(error).map(|source| format!(": {source}"));
        let what = format!("{error}{}", cause.unwrap_or_default());
        return Fault::new(FaultKind::Retryable, what);
    };
    let what = format!("{} (SQLSTATE {})", said.message(), said.code().code());
    match *said.code() {
        SqlState::QUERY_CANCELED => Fault::new(FaultKind::Timeout, what),
        SqlState::INSUFFICIENT_PRIVILEGE => Fault::new(FaultKind::NonRetryable, what).action(
            "GRANT pg_read_all_settings, and EXECUTE on pg_backup_start and pg_backup_stop",
        ),
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Fault::new(FaultKind::NonRetryable, what)
                .action("check user and passfile in shadowcopy.toml, and pg_hba.conf")
        }
        _ => Fault::new(FaultKind::Retryable, what),
    }
}

fn config(settings: &Settings) -> Result<Config, Fault> {
    // The parser's reason may quote a part of a password that was not quoted.
    let mut config = Config::from_str(&settings.connection).map_err(|_| {
        Fault::new(FaultKind::NonRetryable, "connection is not a PostgreSQL connection string")
            .action("write it as in host=/var/run/postgresql user=postgres")
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host_path(SOCKET);
    }
    if config.get_user().is_none() {
        config.user("postgres");
    }
    if config.get_dbname().is_none() {
        config.dbname("postgres");
    }
    config.application_name("shadowcopy");
    if config.get_password().is_none() {
        let wanted = passfile::Wanted {
            hosts: hosts(&config),
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: config.get_dbname().unwrap_or_default().to_owned(),
            user: config.get_user().unwrap_or_default().to_owned(),
        };
        if let Some(password) = passfile::password(settings.passfile.as_deref(), &wanted)? {
            config.password(password);
        }
    }
    Ok(config)
}

/// As `.pgpass` may name the server; a socket counts as `localhost`.
fn hosts(config: &Config) -> Vec<String> {
    let named = config.get_hosts().iter().flat_map(|host| match host {
        Host::Tcp(name) => vec![name.clone()],
        Host::Unix(path) => vec!["localhost".to_owned(), Path::display(path).to_string()],
    });
    named.chain(config.get_hostaddrs().iter().map(IpAddr::to_string)).collect()
}
