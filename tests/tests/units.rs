//! The systemd units of `etc/`, where there is a systemd to read them.

use std::{fs, path::Path, process::Command};

use lab::binaries;

#[test]
fn systemd_reads_every_unit_without_a_word() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not installed: the units are not checked");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let bin = format!("{}/", binaries::folder().display());
    let mut units = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "service") {
            let unit = place.path().join(path.file_name().unwrap());
            fs::write(&unit, fs::read_to_string(&path).unwrap().replace("/usr/bin/", &bin))
                .unwrap();
            units.push(unit);
        }
    }
    assert!(units.len() >= 3, "{units:?}");
    // No manual is installed here that Documentation= could name.
    let mut verify = Command::new("systemd-analyze");
    let checked = verify.args(["--man=no", "verify"]).args(&units).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}");
}
