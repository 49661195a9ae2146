//! libiscsi's conformance suite, `iscsi-test-cu`: run against a logical unit, and read.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use crate::run::run;

/// Longer than the suite takes on a busy machine; a test of it that waits for its own timeout takes
/// some seconds.
const LIMIT: Duration = Duration::from_secs(400);

/// What the suite says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tests that ran.
    pub ran: usize,
    /// `Suite/Test` of those that failed.
    pub failed: BTreeSet<String>,
    /// What was left out, and how often it says so.
    pub skipped: BTreeMap<String, usize>,
}

/// Tests of `iscsi-test-cu` 1.19 that contradict the standard that they test, and how.
pub const CONTRADICTIONS: [(&str, &str); 2] = [
    (
        "GetLBAStatus/UnmapSingle",
        "asks for LBA n + 1 and expects the first descriptor to begin at n + 8; by SBC-3 (GET LBA STATUS, parameter data) it begins at the LBA that the CDB names",
    ),
    (
        "WriteSame10/UnmapUntilEnd",
        "writes blocks of FFh with UNMAP set and expects zeros; by SBC-3 (WRITE SAME (10), UNMAP) blocks are unmapped only if they then read as the block that was sent, which is written otherwise",
    ),
];

/// Runs the whole suite against the logical unit at these addresses, which it overwrites.
///
/// # Panics
/// When it cannot be started, hangs, or prints no summary.
#[must_use]
pub fn whole(addresses: &[String]) -> Report {
    let mut command = Command::new("iscsi-test-cu");
    command.args(["-d", "-t", "ALL", "-V", "-n"]).args(addresses);
    let outcome = run(command, "iscsi-test-cu".into(), b"", LIMIT);
    let report = read(&outcome.stdout);
    report.unwrap_or_else(|| panic!("no summary: {outcome}"))
}

/// Reads what the suite printed; `None` where there is no summary.
fn read(printed: &str) -> Option<Report> {
    let mut report = Report::default();
    let mut ran = None;
    for line in printed.lines().map(str::trim) {
        if let Some(named) =
            line.strip_prefix("Suite ").and_then(|l| l.strip_suffix(" had failures:"))
        {
            report.failed.insert(named.replacen(", Test ", "/", 1));
        } else if let Some(what) = line.strip_prefix("[SKIPPED] ") {
            *report.skipped.entry(what.to_owned()).or_default() += 1;
        } else if let Some(numbers) = line.strip_prefix("tests ") {
            ran = numbers.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        }
    }
    ran.map(|ran| Report { ran, ..report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_skips_and_the_summary_are_found_among_the_rest() {
        let printed = "
    Test Read10
    [OK] READ10 returned SUCCESS
    [SKIPPED] LUN too small. Skipping assert
    [SKIPPED] LUN too small. Skipping assert

Suite WriteSame10, Test UnmapUntilEnd had failures:
    1. test_writesame10_unmap_until_end.c:71

Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites     51     51    n/a      0        0
               tests    230    229    227      3        0
";
        let report = read(printed).unwrap();
        assert_eq!(report.ran, 229);
        assert_eq!(report.failed, BTreeSet::from(["WriteSame10/UnmapUntilEnd".to_owned()]));
        assert_eq!(report.skipped, BTreeMap::from([("LUN too small. Skipping assert".into(), 2)]));
        assert_eq!(read("Segmentation fault"), None);
    }
}
