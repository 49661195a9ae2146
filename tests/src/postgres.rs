//! A PostgreSQL server in directories of its own, on a Unix socket only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    lab::until,
    run::{Outcome, run},
    server::{Daemon, User},
};

/// The user of Debian's package.
const USER: &str = "postgres";
/// It only names the socket.
const PORT: &str = "5432";

/// A server.
#[derive(Debug)]
pub struct Postgres {
    data: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    daemon: Option<Daemon>,
}

impl Postgres {
    /// A new, empty server with its data in `data`; socket and log are put into `aside`. It does
    /// not run yet.
    ///
    /// # Panics
    /// When it cannot be made: the message says what initdb said.
    #[must_use]
    pub fn init(data: &Path, aside: &Path) -> Self {
        User::named(USER).own(data);
        let this = Self::at(data, aside);
        let mut initdb = User::named(USER).command(&program("initdb"));
        initdb.args(["-D"]).arg(data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        initdb.args(["--locale", "C", "--no-sync"]).current_dir("/");
        run(initdb, "initdb".to_owned(), b"", LIMIT).ok();
        this
    }

    /// A server over data that are there.
    ///
    /// # Panics
    /// When there is no directory for its socket.
    #[must_use]
    pub fn at(data: &Path, aside: &Path) -> Self {
        User::named(USER).own(aside);
        let aside = aside.to_path_buf();
        let log = aside.join("postgres.log");
        Self { data: data.to_path_buf(), socket: aside, log, daemon: None }
    }

    /// Starts it with these settings (`name=value`), and waits until it answers.
    ///
    /// # Panics
    /// When it ends instead: the message has its log.
    pub fn start(&mut self, settings: &[&str]) {
        let mut command = User::named(USER).command(&program("postgres"));
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket).current_dir("/");
        command.args(["-p", PORT, "-c", "listen_addresses="]);
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let mut daemon = Daemon::start(command, &self.log);
        until("PostgreSQL answers", || {
            assert!(daemon.runs(), "PostgreSQL ended: {}", self.log());
            self.psql("SELECT 1").code == Some(0)
        });
        self.daemon = Some(daemon);
    }

    /// The process that all others belong to.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("PostgreSQL runs")
    }

    /// Stops it in order, with a checkpoint.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("PostgreSQL runs");
        daemon.signal(Signal::INT);
        daemon.wait();
    }

    /// Has all its processes end at once, without a checkpoint, as in a crash.
    ///
    /// # Panics
    /// When it does not run.
    pub fn crash(&mut self) {
        let mut daemon = self.daemon.take().expect("PostgreSQL runs");
        daemon.signal(Signal::QUIT);
        daemon.wait();
    }

    /// Runs SQL; each row is a line, its columns parted by `|`.
    ///
    /// # Panics
    /// When psql is missing, or hangs.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> Outcome {
        let mut psql = Command::new(program("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]).args(self.arguments()).args(["-c", sql]);
        run(psql, format!("psql {sql}"), b"", LIMIT)
    }

    /// Arguments with which a client reaches it as its superuser.
    #[must_use]
    pub fn arguments(&self) -> [String; 6] {
        let socket = self.socket.display().to_string();
        ["-h", &socket, "-p", PORT, "-U", "postgres"].map(str::to_owned)
    }

    /// Connection string to it.
    #[must_use]
    pub fn connection(&self) -> String {
        format!("host={} port={PORT} user=postgres", self.socket.display())
    }

    /// A client of its package, which is to reach it.
    #[must_use]
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.args(self.arguments());
        command
    }

    /// Where its data are.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it wrote down.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Postgres {
    /// Its processes end with it: a postmaster that is killed leaves them to notice.
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        if daemon.runs() {
            daemon.signal(Signal::CONT);
            daemon.signal(Signal::QUIT);
            daemon.wait();
        }
    }
}

const LIMIT: Duration = Duration::from_secs(300);

/// A program of its package; Debian keeps them out of the path.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    found.push("/usr/bin".into());
    let found = found.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: cargo xtask test"))
}
