//! MariaDB: the cycle with both locks, and what breaks it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command},
    time::{Duration, Instant},
};

use lab::{lab::until, mariadb::MariaDb as Server};
use rustix::process::Signal;
use shadowcopy::{
    writer::{Fault, FaultKind, Outcome, Writer},
    writers::mariadb::{Address, Lock, MariaDb, Settings},
};
use tempfile::TempDir;

use crate::{LONG, begun};

const SHORT: Duration = Duration::from_secs(1);
/// The rights that docs/writers.md names, and no others.
const GRANTS: &str = "CREATE USER backup@localhost; \
                      GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO backup@localhost";

struct Bench {
    server: Server,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("maria-").tempdir().unwrap();
        let server = Server::init(&dir.path().join("data"), &dir.path().join("aside"));
        let mut this = Self { server, dir };
        this.start();
        let tables = "CREATE DATABASE shop; CREATE TABLE shop.t (n INT PRIMARY KEY) ENGINE=InnoDB; \
                      CREATE TABLE shop.isam (n INT PRIMARY KEY) ENGINE=MyISAM";
        this.server.sql(&format!("{GRANTS}; {tables}")).ok();
        this
    }

    /// With the binary log in a directory of its own.
    fn start(&mut self) {
        let logs = self.dir.path().join("logs");
        lab::server::User::named("mysql").own(&logs);
        self.server.start(&[
            &format!("--log-bin={}", logs.join("bin").display()),
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=16M",
        ]);
    }

    fn writer(&self, lock: Lock) -> MariaDb {
        self.writer_with(lock, None)
    }

    fn writer_with(&self, lock: Lock, limit: Option<Duration>) -> MariaDb {
        MariaDb::new(Settings {
            name: "shop".to_owned(),
            address: Address::Socket(self.server.socket()),
            user: "backup".to_owned(),
            password_file: None,
            limit,
            lock_wait: SHORT,
            lock,
        })
    }

    fn insert(&self, n: u32) -> Child {
        let mut client = self.server.client("mariadb");
        client.args(["-e", &format!("INSERT INTO shop.t VALUES ({n})")]).spawn().unwrap()
    }

    /// Whether a statement waits for a lock.
    fn waits(&self, statement: &str) -> bool {
        let state = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
             WHERE INFO LIKE '{statement}%' AND STATE LIKE 'Waiting for%'"
        );
        self.server.sql(&state).ok().trim() == "1"
    }

    fn is_idle(&self) -> bool {
        let ours = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'backup'";
        self.server.sql(ours).ok().trim() == "0"
    }

    fn frozen(&self, writer: &mut MariaDb) -> Result<(), Fault> {
        writer.describe(LONG)?;
        writer.prepare(&begun(), LONG)?;
        writer.freeze(LONG)
    }
}

fn commits_stand_still_between_freeze_and_thaw(lock: Lock) {
    let bench = Bench::new();
    let mut writer = bench.writer(lock);
    let metadata = writer.describe(LONG).unwrap();
    assert_eq!(metadata.name, "mariadb/shop");
    assert!(metadata.version.contains("MariaDB"), "{}", metadata.version);
    let logs = bench.dir.path().join("logs");
    assert_eq!(metadata.paths, [bench.server.data().to_path_buf(), logs]);

    writer.prepare(&begun(), LONG).unwrap();
    assert!(bench.insert(1).wait().unwrap().success(), "prepare holds nothing");
    writer.freeze(LONG).unwrap();
    let status = bench.server.sql("SHOW MASTER STATUS").ok().to_owned();
    let mut blocked = bench.insert(2);
    until("the commit waits", || bench.waits("INSERT"));
    assert_eq!(bench.server.sql("SELECT COUNT(*) FROM shop.t").ok().trim(), "1");
    writer.thaw(LONG).unwrap();
    assert!(blocked.wait().unwrap().success());

    let artifacts = writer.post(Outcome::Copied, LONG).unwrap();
    let [artifact] = &artifacts[..] else { panic!("{artifacts:?}") };
    assert_eq!(artifact.name, "binlog_position.json");
    let said: serde_json::Value = serde_json::from_slice(&artifact.bytes).unwrap();
    let mut columns = status.trim().split('\t');
    assert_eq!(said["file"].as_str(), columns.next());
    assert_eq!(said["position"].as_u64(), columns.next().and_then(|n| n.parse().ok()));
    assert!(said["gtid"].as_str().unwrap().starts_with("0-1-"), "{said}");
    until("the session has ended", || bench.is_idle());
}

#[test]
fn commits_stand_still_with_stages() {
    commits_stand_still_between_freeze_and_thaw(Lock::Auto);
}

#[test]
fn commits_stand_still_with_the_read_lock() {
    commits_stand_still_between_freeze_and_thaw(Lock::ReadLock);
}

/// `blocker` runs for long; the freeze does not wait for it, and nobody waits behind the freeze.
fn a_lock_that_is_not_granted_is_given_up(lock: Lock, blocker: &str) {
    let bench = Bench::new();
    let mut writer = bench.writer(lock);
    writer.describe(LONG).unwrap();
    writer.prepare(&begun(), LONG).unwrap();
    let mut long = bench.server.client("mariadb");
    let mut long = long.args(["-e", blocker]).spawn().unwrap();
    let sleeps = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'";
    until("the query runs", || bench.server.sql(sleeps).ok().trim() == "1");

    let began = Instant::now();
    let fault = writer.freeze(LONG).unwrap_err();
    let took = began.elapsed();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(fault.to_string().contains("SHOW PROCESSLIST"), "{fault}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(bench.insert(1).wait().unwrap().success(), "nobody stands still");
    until("the session has ended", || bench.is_idle());
    assert_eq!(writer.thaw(LONG).unwrap_err().kind, FaultKind::Inconsistent);
    assert!(long.try_wait().unwrap().is_none(), "the query was in the way all the time");
    long.kill().unwrap();
    long.wait().unwrap();
}

#[test]
fn stages_do_not_wait_for_a_locked_table() {
    let blocker = "LOCK TABLES shop.isam WRITE; SELECT SLEEP(600)";
    a_lock_that_is_not_granted_is_given_up(Lock::Stages, blocker);
}

#[test]
fn the_read_lock_does_not_wait_for_a_long_query() {
    // A query that writes; one that only reads is in the way of MySQL alone.
    let blocker = "INSERT INTO shop.isam SELECT SLEEP(600)";
    a_lock_that_is_not_granted_is_given_up(Lock::ReadLock, blocker);
}

#[test]
fn the_server_ends_a_lock_that_nobody_ends() {
    let bench = Bench::new();
    let mut writer = bench.writer_with(Lock::Auto, Some(SHORT));
    bench.frozen(&mut writer).unwrap();
    let mut blocked = bench.insert(1);
    assert!(blocked.wait().unwrap().success(), "the writer did not thaw, the server did");
    let fault = writer.thaw(LONG).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Inconsistent, "{fault}");
}

#[test]
fn a_session_that_was_killed_held_nothing() {
    let bench = Bench::new();
    for lock in [Lock::Stages, Lock::ReadLock] {
        let mut writer = bench.writer(lock);
        bench.frozen(&mut writer).unwrap();
        bench.server.sql("KILL USER backup@localhost").ok();
        let fault = writer.thaw(LONG).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Inconsistent, "{fault}");
        assert!(fault.cause.starts_with("mariadb/shop: commits were not held"), "{fault}");
        assert_eq!(writer.post(Outcome::Aborted, LONG).unwrap(), []);
        until("the session has ended", || bench.is_idle());
    }
}

#[test]
fn a_server_that_dies_between_freeze_and_thaw_held_nothing() {
    let mut bench = Bench::new();
    let mut writer = bench.writer(Lock::Auto);
    bench.frozen(&mut writer).unwrap();
    bench.server.crash();
    let fault = writer.thaw(LONG).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Inconsistent, "{fault}");
    bench.start();
    bench.frozen(&mut writer).unwrap();
    writer.thaw(LONG).unwrap();
    assert_eq!(writer.post(Outcome::Copied, LONG).unwrap().len(), 1, "the next backup succeeds");
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() {
    let bench = Bench::new();
    let mut writer = bench.writer(Lock::Auto);
    writer.describe(LONG).unwrap();
    writer.prepare(&begun(), LONG).unwrap();
    bench.server.daemon().signal(Signal::STOP);
    let began = Instant::now();
    let fault = writer.freeze(SHORT).unwrap_err();
    let other = bench.writer(Lock::Auto).describe(SHORT).unwrap_err();
    let took = began.elapsed();
    bench.server.daemon().signal(Signal::CONT);
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert_eq!(other.kind, FaultKind::Timeout, "{other}");
    assert!(took < SHORT * 2, "{took:?}");
    assert!(bench.insert(1).wait().unwrap().success(), "nothing stays locked");
    until("the sessions have ended", || bench.is_idle());
}

#[test]
fn a_dropped_writer_unlocks() {
    let bench = Bench::new();
    let mut writer = bench.writer(Lock::Auto);
    bench.frozen(&mut writer).unwrap();
    drop(writer);
    assert!(bench.insert(1).wait().unwrap().success());
}

#[test]
fn a_user_without_the_right_is_told_which() {
    let bench = Bench::new();
    bench.server.sql("REVOKE RELOAD ON *.* FROM backup@localhost").ok();
    let mut writer = bench.writer(Lock::Auto);
    writer.describe(LONG).unwrap();
    let fault = writer.prepare(&begun(), LONG).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NonRetryable, "{fault}");
    assert!(fault.action.unwrap().contains("GRANT RELOAD"));
}

#[test]
fn a_user_is_known_by_the_socket_or_by_a_password() {
    let bench = Bench::new();
    let whoami = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(whoami).unwrap().trim().to_owned();
    let known = "ALTER USER backup@localhost IDENTIFIED BY 'geheim'";
    let socket = format!("CREATE OR REPLACE USER '{user}'@localhost IDENTIFIED VIA unix_socket");
    bench.server.sql(&format!("{known}; {socket}; GRANT ALL ON *.* TO '{user}'@localhost")).ok();
    let file = bench.dir.path().join("password");
    let described = |user: &str, password: Option<&str>| {
        if let Some(password) = password {
            fs::write(&file, password).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let settings = Settings {
            name: "shop".to_owned(),
            address: Address::Socket(bench.server.socket()),
            user: user.to_owned(),
            password_file: password.map(|_| file.clone()),
            limit: None,
            lock_wait: SHORT,
            lock: Lock::Auto,
        };
        MariaDb::new(settings).describe(LONG)
    };
    described(&user, None).unwrap();
    described("backup", Some("geheim\n")).unwrap();
    let fault = described("backup", Some("verkehrt")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NonRetryable, "{fault}");
    assert!(!fault.to_string().contains("verkehrt"), "{fault}");
}
