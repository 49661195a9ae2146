//! PostgreSQL under load on a P-VOL, backed up twenty times in a row: every copy starts, holds what
//! was acknowledged before the freeze and nothing begun after the thaw, and is sound. Needs root.

#[expect(dead_code, reason = "its load and its log are for tests of attachments")]
mod attached;
mod backing;
#[expect(dead_code, reason = "one volume is enough here")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use backing::{BACKUPS, Bench, Ledger, numbers, report};
use lab::{postgres::Postgres, run::run};
use tokio::runtime::Builder;
use tokio_postgres::NoTls;

const LIMIT: Duration = Duration::from_secs(120);

/// pgbench at work.
struct Pgbench(Child);

impl Pgbench {
    fn start(server: &Postgres) -> Self {
        let mut fill = server.client("pgbench");
        fill.args(["-i", "-q", "-s", "2", "postgres"]);
        run(fill, "pgbench -i".to_owned(), b"", LIMIT).ok();
        let mut load = server.client("pgbench");
        load.args(["-n", "-c", "2", "-T", "3600", "-R", "200", "postgres"]);
        load.stdout(Stdio::null()).stderr(Stdio::null());
        Self(load.spawn().unwrap())
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ledger(server: &Postgres) -> Ledger {
    server.psql("CREATE TABLE ledger (n bigint PRIMARY KEY)").ok();
    let connection = server.connection();
    Ledger::start(2, || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (client, served) =
            runtime.block_on(tokio_postgres::connect(&connection, NoTls)).unwrap();
        runtime.spawn(served);
        move |number| {
            let insert = format!("INSERT INTO ledger VALUES ({number})");
            runtime.block_on(client.batch_execute(&insert)).unwrap();
        }
    })
}

#[test]
fn twenty_backups_of_postgresql_under_load_hold_what_was_acknowledged() {
    let bench = Bench::new();
    let mut server = Postgres::init(&bench.path("data"), &bench.aside("server"));
    server.start(&["max_wal_size=64MB", "min_wal_size=32MB", "checkpoint_timeout=30s"]);
    let pgbench = Pgbench::start(&server);
    let ledger = ledger(&server);
    let connection = server.connection();
    bench.configure(&format!("[postgresql.main]\nconnection = \"{connection}\"\n"));

    let mut held = Vec::new();
    for _ in 0..BACKUPS {
        ledger.goes_on(20);
        let evidence = bench.backup("postgresql/main");
        let id = evidence.backup.id;
        let label = String::from_utf8(evidence.artifacts[0].bytes.clone()).unwrap();
        assert!(label.contains(&format!("LABEL: shadowcopy {id}\n")), "{label}");

        let data = bench.copy(&evidence, "data");
        // The copy of a running server says that it runs.
        fs::remove_file(data.join("postmaster.pid")).unwrap();
        let mut copy = Postgres::at(&data, &bench.aside("judge"));
        copy.start(&["fsync=off"]);
        ledger.judge(&numbers(copy.psql("SELECT n FROM ledger").ok()), &evidence);
        let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = \
                    (SELECT sum(delta) FROM pgbench_history)";
        assert_eq!(copy.psql(sums).ok().trim(), "t", "each transaction is whole");
        let mut check = copy.client("pg_amcheck");
        check.args(["--all", "--install-missing", "--heapallindexed"]);
        assert_eq!(run(check, "pg_amcheck".to_owned(), b"", LIMIT).ok(), "");
        copy.stop();

        held.push(evidence.held);
    }
    println!("{} transactions were acknowledged", ledger.stop());
    report("PostgreSQL", held);
    drop(pgbench);
    server.stop();
}
