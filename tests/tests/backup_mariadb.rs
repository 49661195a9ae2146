//! MariaDB under load on a P-VOL, backed up twenty times in a row: every copy starts, holds what was
//! acknowledged before the freeze and nothing begun after the thaw, is sound, and its position in the
//! binary log is the one it has. Needs root.

#[expect(dead_code, reason = "its load and its log are for tests of attachments")]
mod attached;
mod backing;
#[expect(dead_code, reason = "one volume is enough here")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::time::Duration;

use backing::{BACKUPS, Bench, Ledger, numbers, report};
use lab::{mariadb::MariaDb as Server, run::run};
use mysql::{Conn, OptsBuilder, prelude::Queryable};
use shadowcopy::writer::Artifact;

const LIMIT: Duration = Duration::from_secs(120);
const OPTIONS: [&str; 3] =
    ["--log-bin=bin", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M"];

fn ledger(server: &Server) -> Ledger {
    let socket = server.socket().display().to_string();
    Ledger::start(3, || {
        let options = OptsBuilder::new().user(Some("root")).socket(Some(&socket));
        let mut conn = Conn::new(options.prefer_socket(false)).unwrap();
        move |number| conn.query_drop(format!("INSERT INTO shop.ledger VALUES ({number})")).unwrap()
    })
}

/// How many transactions the binary log holds before the position of the artifact.
fn transactions(artifact: &Artifact) -> usize {
    let position: serde_json::Value = serde_json::from_slice(&artifact.bytes).unwrap();
    let gtid = position["gtid"].as_str().unwrap();
    gtid.rsplit('-').next().unwrap().parse().unwrap()
}

#[test]
fn twenty_backups_of_mariadb_under_load_hold_what_was_acknowledged() {
    let bench = Bench::new();
    let mut server = Server::init(&bench.path("data"), &bench.aside("server"));
    server.start(&OPTIONS);
    let tables = "CREATE DATABASE shop; \
                  CREATE TABLE shop.ledger (n BIGINT PRIMARY KEY) ENGINE=InnoDB";
    server.sql(tables).ok();
    let before = server.sql("SELECT @@global.gtid_binlog_pos").ok().trim().to_owned();
    let before: usize = before.rsplit('-').next().unwrap().parse().unwrap();
    let ledger = ledger(&server);
    let socket = server.socket().display().to_string();
    bench.configure(&format!("[mariadb.shop]\nsocket = \"{socket}\"\nuser = \"root\"\n"));

    let mut held = Vec::new();
    for _ in 0..BACKUPS {
        ledger.goes_on(20);
        let evidence = bench.backup("mariadb/shop");

        let data = bench.copy(&evidence, "data");
        let mut copy = Server::at(&data, &bench.aside("judge"));
        copy.start(&OPTIONS);
        let found = numbers(copy.sql("SELECT n FROM shop.ledger").ok());
        ledger.judge(&found, &evidence);
        let [position] = &evidence.artifacts[..] else { panic!("{:?}", evidence.artifacts) };
        assert_eq!(transactions(position) - before, found.len(), "the position fits the copy");
        let mut check = copy.client("mariadb-check");
        check.args(["--all-databases", "--silent"]);
        assert_eq!(run(check, "mariadb-check".to_owned(), b"", LIMIT).ok(), "");
        copy.stop();

        held.push(evidence.held);
    }
    println!("{} transactions were acknowledged", ledger.stop());
    report("MariaDB", held);
    server.stop();
}
