//! `cargo xtask conformance`: libiscsi's suite against our target and against tgt, in one run, side
//! by side in `docs/conformance.md`.

use std::{fmt::Write as _, fs};

use lab::{
    Lab,
    conformance::{CONTRADICTIONS, Report, whole},
    tgt::Tgt,
};

use crate::{
    cargo::{Result, cargo, succeed, workspace},
    tools,
};

/// Runs both and writes the table.
pub fn run() -> Result {
    tools::ensure_tgt()?;
    succeed(cargo(&["build", "--workspace", "--bins", "--locked"]))?;
    let mut lab = Lab::new();
    lab.with_hosts();
    lab.init_array().ok();
    lab.start_array();
    println!("iscsi-test-cu -t ALL against arrayd ...");
    let ours = whole(&[lab.iscsi("CL2-C", 3), lab.iscsi("CL3-C", 3)]);
    println!("iscsi-test-cu -t ALL against tgtd ...");
    let tgt = Tgt::start(&lab);
    let theirs = whole(&[tgt.url(1), tgt.url(2)]);
    drop(tgt);
    let page = page(&ours, &theirs);
    fs::write(workspace().join("docs/conformance.md"), &page).map_err(|e| e.to_string())?;
    print!("{page}");
    let known = |test: &str| CONTRADICTIONS.iter().any(|(name, _)| *name == test);
    match ours.failed.iter().filter(|test| !known(test)).count() {
        0 => Ok(()),
        count => Err(format!("{count} tests fail that contradict no standard")),
    }
}

fn page(ours: &Report, theirs: &Report) -> String {
    let mut page = String::from(
        "# Conformance\n\nMade by `cargo xtask conformance`: `iscsi-test-cu -t ALL` of libiscsi 1.19, with two paths to one LUN of 1 GiB, against\n`arrayd` and against tgt in the same run.\n\n| | arrayd | tgt |\n|---|---|---|\n",
    );
    let mut row = |what: &str, ours: usize, theirs: usize| {
        let _ = writeln!(page, "| {what} | {ours} | {theirs} |");
    };
    row("tests that ran", ours.ran, theirs.ran);
    row("failed", ours.failed.len(), theirs.failed.len());
    for test in ours.failed.union(&theirs.failed) {
        row(
            &format!("`{test}` failed"),
            ours.failed.contains(test).into(),
            theirs.failed.contains(test).into(),
        );
    }
    for what in ours
        .skipped
        .keys()
        .chain(theirs.skipped.keys().filter(|it| !ours.skipped.contains_key(*it)))
    {
        let count = |report: &Report| report.skipped.get(what).copied().unwrap_or(0);
        row(&format!("skipped: {what}"), count(ours), count(theirs));
    }
    page += "\nTests that contradict the standard which they test, and are not followed:\n\n";
    for (test, why) in CONTRADICTIONS {
        let _ = writeln!(page, "* `{test}` {why}.");
    }
    page
}
