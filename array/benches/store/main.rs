//! `cargo xtask bench store`: the store's figures beside those of what people would use instead,
//! in the same run and on the same file system. Ratios count; absolute figures only orient.
//!
//! `--dir DIR` says where (a few GiB are needed), `--report DIR` where `store.md` and `store.svg`
//! go, `--arrayd FILE` which arrayd is restarted, `--only PART` that one part is measured.

mod data;
mod peers;
mod report;
mod splits;

use std::path::PathBuf;

use clap::{Arg, Command, value_parser};

use report::Report;

fn main() {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("PATH").help(help).value_parser(value_parser!(PathBuf))
    };
    let matches = Command::new("store")
        .arg(path("dir", "Where to measure"))
        .arg(path("report", "Where the table and the plot go"))
        .arg(path("arrayd", "The arrayd that is restarted"))
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("PART")
                .help("Measure one part, without a report")
                .value_parser(["splits", "groups", "files", "pairs", "snapshots", "restart"]),
        )
        .arg(Arg::new("bench").long("bench").num_args(0).hide(true))
        .get_matches();
    let base = matches.get_one::<PathBuf>("dir").cloned().unwrap_or_else(std::env::temp_dir);
    let dir = tempfile::Builder::new().prefix("store-bench-").tempdir_in(base);
    let dir = dir.expect("the directory can be written");
    let mut report = Report::new();
    let only = matches.get_one::<String>("only");
    let wanted = |part: &str| only.is_none_or(|only| only == part);
    if wanted("splits") {
        splits::by_size_and_history(dir.path(), &mut report);
    }
    if wanted("groups") {
        splits::consistency_group(dir.path(), &mut report);
    }
    if wanted("files") {
        data::against_plain_files(dir.path(), &mut report);
    }
    if wanted("pairs") {
        data::paired_and_split(dir.path(), &mut report);
    }
    if wanted("snapshots") {
        splits::snapshots(dir.path(), &mut report);
    }
    if let Some(arrayd) = matches.get_one::<PathBuf>("arrayd").filter(|_| wanted("restart")) {
        data::restart(dir.path(), arrayd, &mut report);
    }
    if let Some(to) = matches.get_one::<PathBuf>("report").filter(|_| only.is_none()) {
        report.write(to).expect("the report can be written");
    }
}
