//! A MariaDB server in directories of its own, on a Unix socket only.

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
const USER: &str = "mysql";
const LIMIT: Duration = Duration::from_secs(300);

/// A server.
#[derive(Debug)]
pub struct MariaDb {
    data: PathBuf,
    aside: PathBuf,
    daemon: Option<Daemon>,
}

impl MariaDb {
    /// A new, empty server with its data in `data`; socket and log are put into `aside`. Its user
    /// `root` has no password. It does not run yet.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn init(data: &Path, aside: &Path) -> Self {
        User::named(USER).own(data);
        let this = Self::at(data, aside);
        let mut install = User::named(USER).command(Path::new("/usr/bin/mariadb-install-db"));
        install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        install.arg("--skip-test-db").arg(format!("--datadir={}", data.display()));
        // Two servers that install themselves at once would find each other's tables in /tmp.
        install.arg(format!("--tmpdir={}", aside.display()));
        install.current_dir("/");
        run(install, "mariadb-install-db".to_owned(), b"", LIMIT).ok();
        this
    }

    /// A server over data that are there.
    ///
    /// # Panics
    /// When there is no directory for its socket.
    #[must_use]
    pub fn at(data: &Path, aside: &Path) -> Self {
        User::named(USER).own(aside);
        Self { data: data.to_path_buf(), aside: aside.to_path_buf(), daemon: None }
    }

    /// Starts it with these options (`--name=value`), and waits until it answers.
    ///
    /// # Panics
    /// When it ends instead: the message has its log.
    pub fn start(&mut self, options: &[&str]) {
        let mut command = User::named(USER).command(Path::new("/usr/sbin/mariadbd"));
        command.args(["--no-defaults", "--skip-networking"]).current_dir("/");
        command.arg(format!("--datadir={}", self.data.display()));
        command.arg(format!("--socket={}", self.socket().display()));
        command.arg(format!("--pid-file={}", self.aside.join("pid").display()));
        command.arg(format!("--tmpdir={}", self.aside.display())).args(options);
        let mut daemon = Daemon::start(command, &self.aside.join("mariadb.log"));
        until("MariaDB answers", || {
            assert!(daemon.runs(), "MariaDB ended: {}", self.log());
            self.sql("SELECT 1").code == Some(0)
        });
        self.daemon = Some(daemon);
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("MariaDB runs")
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("MariaDB runs");
        daemon.signal(Signal::TERM);
        daemon.wait();
    }

    /// Kills it.
    ///
    /// # Panics
    /// When it does not run.
    pub fn crash(&mut self) {
        drop(self.daemon.take().expect("MariaDB runs"));
    }

    /// Runs SQL; each row is a line, its columns parted by tabs.
    ///
    /// # Panics
    /// When the client is missing, or hangs.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> Outcome {
        let mut client = self.client("mariadb");
        client.args(["-N", "-B", "-e", sql]);
        run(client, format!("mariadb -e {sql}"), b"", LIMIT)
    }

    /// A client of its package, which is to reach it as root.
    #[must_use]
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.arg("--no-defaults").arg(format!("--socket={}", self.socket().display()));
        command.arg("--user=root");
        command
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.aside.join("sock")
    }

    /// Where its data are.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it wrote down.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.aside.join("mariadb.log")).unwrap_or_default()
    }
}
