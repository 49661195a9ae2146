//! PostgreSQL: the cycle, and what breaks it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, Instant},
};

use lab::{address::Address, lab::until, postgres::Postgres, server::User};
use rustix::process::{Pid, Signal, kill_process};
use shadowcopy::{
    writer::{FaultKind, Outcome, Writer},
    writers::postgresql::{PostgreSql, Settings},
};
use tempfile::TempDir;

use crate::{LONG, begun};

const SHORT: Duration = Duration::from_secs(1);
/// The sessions of the writer.
const OURS: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shadowcopy'";

struct Bench {
    server: Postgres,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let mut this = Self::stopped();
        this.server.start(&["fsync=off"]);
        this
    }

    fn stopped() -> Self {
        let dir = tempfile::Builder::new().prefix("pg-").tempdir().unwrap();
        let server = Postgres::init(&dir.path().join("data"), &dir.path().join("aside"));
        Self { server, dir }
    }

    fn writer(&self) -> PostgreSql {
        self.writer_by(self.server.connection())
    }

    fn writer_by(&self, connection: String) -> PostgreSql {
        PostgreSql::new(Settings {
            name: "main".to_owned(),
            connection,
            passfile: None,
            limit: None,
            wait_for_archive: false,
            external_config: false,
        })
    }

    fn is_idle(&self) -> bool {
        self.server.psql(OURS).ok().is_empty()
    }
}

#[test]
fn a_backup_has_its_label_and_its_map_and_leaves_nothing_in_the_data_directory() {
    let bench = Bench::new();
    let space = bench.dir.path().join("space");
    User::named("postgres").own(&space);
    bench.server.psql(&format!("CREATE TABLESPACE s LOCATION '{}'", space.display())).ok();

    let mut writer = bench.writer();
    let metadata = writer.describe(LONG).unwrap();
    assert_eq!(metadata.name, "postgresql/main");
    let version = bench.server.psql("SHOW server_version");
    assert_eq!(metadata.version, version.ok().trim());
    assert_eq!(metadata.paths, [bench.server.data().to_path_buf(), space.clone()]);

    writer.prepare(&begun(), LONG).unwrap();
    writer.freeze(LONG).unwrap();
    assert!(!bench.is_idle(), "the session stays");
    writer.thaw(LONG).unwrap();
    assert!(!bench.server.data().join("backup_label").exists());
    let artifacts = writer.post(Outcome::Copied, LONG).unwrap();

    let [label, map] = &artifacts[..] else { panic!("{artifacts:?}") };
    assert_eq!((label.name.as_str(), map.name.as_str()), ("backup_label", "tablespace_map"));
    let text = String::from_utf8(label.bytes.clone()).unwrap();
    assert!(text.starts_with("START WAL LOCATION: "), "{text}");
    assert!(text.contains("\nLABEL: shadowcopy 0000000001\n"), "{text}");
    let oid = bench.server.psql("SELECT oid FROM pg_tablespace WHERE spcname = 's'");
    let wanted = format!("{} {}\n", oid.ok().trim(), space.display());
    assert_eq!(String::from_utf8(map.bytes.clone()).unwrap(), wanted);
    for name in ["backup_label", "tablespace_map"] {
        assert!(!bench.server.data().join(name).exists(), "{name}");
    }
    until("the session has ended", || bench.is_idle());
}

#[test]
fn wal_and_configuration_elsewhere_must_lie_on_the_set_too() {
    let mut bench = Bench::stopped();
    let wal = bench.dir.path().join("wal");
    fs::rename(bench.server.data().join("pg_wal"), &wal).unwrap();
    symlink(&wal, bench.server.data().join("pg_wal")).unwrap();
    let config = bench.dir.path().join("aside/other.conf");
    fs::rename(bench.server.data().join("postgresql.conf"), &config).unwrap();
    bench.server.start(&[&format!("config_file={}", config.display())]);

    let data = bench.server.data().to_path_buf();
    assert_eq!(bench.writer().describe(LONG).unwrap().paths, [data.clone(), wal.clone()]);
    let mut writer = PostgreSql::new(Settings {
        name: "main".to_owned(),
        connection: bench.server.connection(),
        passfile: None,
        limit: None,
        wait_for_archive: false,
        external_config: true,
    });
    assert_eq!(writer.describe(LONG).unwrap().paths, [config, data, wal]);
}

#[test]
fn a_standby_is_named_as_one_and_can_be_backed_up() {
    let mut bench = Bench::stopped();
    bench.server.start(&["fsync=off"]);
    bench.server.stop();
    fs::write(bench.server.data().join("standby.signal"), "").unwrap();
    bench.server.start(&["fsync=off"]);
    let mut writer = bench.writer();
    let metadata = writer.describe(LONG).unwrap();
    assert!(metadata.version.ends_with(" (standby)"), "{}", metadata.version);
    writer.prepare(&begun(), LONG).unwrap();
    writer.freeze(LONG).unwrap();
    writer.thaw(LONG).unwrap();
    let artifacts = writer.post(Outcome::Copied, LONG).unwrap();
    let label = String::from_utf8(artifacts[0].bytes.clone()).unwrap();
    assert!(label.contains("BACKUP FROM: standby\n"), "{label}");
}

#[test]
fn an_aborted_backup_and_a_dropped_one_end_their_session() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.prepare(&begun(), LONG).unwrap();
    assert_eq!(writer.post(Outcome::Aborted, LONG).unwrap(), []);
    until("the session has ended", || bench.is_idle());

    writer.prepare(&begun(), LONG).unwrap();
    writer.freeze(LONG).unwrap();
    drop(writer);
    until("the session has ended", || bench.is_idle());
}

#[test]
fn a_session_that_was_ended_by_the_server_is_no_backup() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.prepare(&begun(), LONG).unwrap();
    writer.freeze(LONG).unwrap();
    let ended = format!("SELECT pg_terminate_backend(pid, 60000) FROM ({OURS}) AS ours");
    assert_eq!(bench.server.psql(&ended).ok().trim(), "t");
    let fault = writer.thaw(LONG).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Inconsistent, "{fault}");
    assert!(
        fault.cause.starts_with("postgresql/main: the session of the backup is gone"),
        "{fault}"
    );
    assert_eq!(writer.post(Outcome::Copied, LONG).unwrap_err().kind, FaultKind::Inconsistent);
}

#[test]
fn a_server_that_dies_between_freeze_and_thaw_is_no_backup() {
    let mut bench = Bench::new();
    let mut writer = bench.writer();
    writer.prepare(&begun(), LONG).unwrap();
    writer.freeze(LONG).unwrap();
    bench.server.crash();
    let fault = writer.thaw(LONG).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Inconsistent, "{fault}");
    assert_eq!(writer.post(Outcome::Aborted, LONG).unwrap(), []);

    bench.server.start(&["fsync=off"]);
    writer.prepare(&begun(), LONG).unwrap();
    writer.freeze(LONG).unwrap();
    writer.thaw(LONG).unwrap();
    assert_eq!(writer.post(Outcome::Copied, LONG).unwrap().len(), 1, "the next backup succeeds");
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.prepare(&begun(), LONG).unwrap();
    let backend = bench.server.psql(OURS).ok().trim().parse().ok().and_then(Pid::from_raw).unwrap();
    kill_process(backend, Signal::STOP).unwrap();
    let began = Instant::now();
    let fault = writer.freeze(SHORT).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(
        began.elapsed() < SHORT,
        "it answers before the caller gives up: {:?}",
        began.elapsed()
    );
    kill_process(backend, Signal::CONT).unwrap();
    until("the session has ended", || bench.is_idle());

    bench.server.daemon().signal(Signal::STOP);
    let began = Instant::now();
    let fault = bench.writer().describe(SHORT).unwrap_err();
    bench.server.daemon().signal(Signal::CONT);
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(began.elapsed() < SHORT, "{:?}", began.elapsed());
}

#[test]
fn a_user_without_the_right_is_told_which() {
    let bench = Bench::new();
    bench.server.psql("CREATE ROLE backup LOGIN").ok();
    let connection = bench.server.connection().replace("user=postgres", "user=backup");
    let mut writer = bench.writer_by(format!("{connection} dbname=postgres"));
    let fault = writer.describe(LONG).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NonRetryable, "{fault}");
    assert!(fault.action.unwrap().contains("pg_read_all_settings"));

    let grants = "GRANT pg_read_all_settings TO backup; \
                  GRANT EXECUTE ON FUNCTION pg_backup_start TO backup; \
                  GRANT EXECUTE ON FUNCTION pg_backup_stop TO backup";
    bench.server.psql(grants).ok();
    writer.describe(LONG).unwrap();
    writer.prepare(&begun(), LONG).unwrap();
    assert_eq!(writer.post(Outcome::Copied, LONG).unwrap().len(), 1);
}

#[test]
fn a_password_comes_from_the_passfile_and_is_in_no_message() {
    let address = Address::take().unwrap();
    let mut bench = Bench::stopped();
    let hba = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n";
    fs::write(bench.server.data().join("pg_hba.conf"), hba).unwrap();
    bench.server.start(&["fsync=off", &format!("listen_addresses={}", address.ip())]);
    bench.server.psql("CREATE ROLE backup SUPERUSER LOGIN PASSWORD 'geheim'").ok();

    let passfile = bench.dir.path().join("pgpass");
    let with = |password: &str| {
        fs::write(&passfile, format!("{}:5432:*:backup:{password}\n", address.ip())).unwrap();
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
        let mut writer = PostgreSql::new(Settings {
            name: "main".to_owned(),
            connection: format!("host={} user=backup", address.ip()),
            passfile: Some(passfile.clone()),
            limit: Some(SHORT),
            wait_for_archive: false,
            external_config: false,
        });
        let described = writer.describe(LONG);
        (described, format!("{writer:?}"))
    };
    let (described, shown) = with("geheim");
    assert_eq!(described.unwrap().limit, Some(SHORT));
    assert!(!shown.contains("geheim"), "{shown}");
    let (described, _) = with("verkehrt");
    let fault = described.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NonRetryable, "{fault}");
    assert!(fault.to_string().contains("password authentication failed"), "{fault}");
    assert!(!fault.to_string().contains("verkehrt"), "{fault}");
}

#[test]
fn what_is_no_server_says_so() {
    let bench = Bench::stopped();
    let fault = bench.writer().describe(LONG).unwrap_err();
    assert!(fault.action.unwrap().contains("check that the server runs"));
    let mut writer = bench.writer_by("password=ge heim".to_owned());
    let fault = writer.describe(LONG).unwrap_err().to_string();
    assert!(fault.contains("not a PostgreSQL connection string"), "{fault}");
    assert!(!fault.contains("heim"), "{fault}");
}
