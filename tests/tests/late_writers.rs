//! Writers that are frozen for too long, by their own fault or that of the storage system.

#[expect(dead_code, reason = "some of it is for tests of attachments")]
mod attached;
#[expect(dead_code, reason = "some of it is for tests of backups")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::{fs, os::unix::fs::PermissionsExt};

use lab::{Outcome, lab::until};
use volumes::{Host, is_thawed};

const MIB: u64 = 1 << 20;

/// A backup with a program as writer that does this in `freeze` and that in `thaw`.
fn backup(host: &Host, freeze: &str, thaw: &str) -> Outcome {
    let program = host.lab.path("writer");
    let text = format!(
        "#!/bin/sh\ncase $1 in\n\
         describe) echo '{{\"name\": \"slow/main\", \"version\": \"1\", \"paths\": []}}';;\n\
         freeze) {freeze};;\nthaw) {thaw};;\nesac\n"
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let (list, program) = (host.both(), program.display());
    host.drm(&format!("drmfsbackup {list} -script {program} -writers_limit 2s"))
}

/// Given up because of the writer, everything thawed, and the next one succeeds.
#[track_caller]
fn is_late(host: &Host, said: &Outcome, step: &str) {
    assert_eq!(said.code, Some(1), "{said}");
    let of_writer = "KAVX5004-E A timeout error occurred in the writer. writer name = slow/main\n";
    assert!(said.stdout.contains(of_writer), "{said}");
    let given_up = format!("KAVX5101-E The backup was given up. step = {step}\n");
    assert!(said.stdout.contains(&given_up), "{said}");
    assert!(is_thawed(&host.a.at) && is_thawed(&host.b.at));
    until("no guard is left", || {
        fs::read_dir(host.lab.root().join("drm/run")).unwrap().count() == 0
    });
    host.back_up();
}

#[test]
fn a_writer_that_is_frozen_too_long_is_named_whoever_is_slow() {
    let host = Host::new(32 * MIB);
    // Half of the limit is for freezing.
    is_late(&host, &backup(&host, "sleep 20", "true"), "freeze-writers");
    let daemon = host.lab.horcmd_pid(50).unwrap();
    let (stop, go_on) = (format!("kill -STOP {daemon}"), format!("kill -CONT {daemon}"));
    is_late(&host, &backup(&host, &stop, &go_on), "pre-commit");
    // Any other failure is none of the writer's.
    let failed = backup(&host, "exit 1", "true");
    assert!(failed.stdout.contains("KAVX5101-E"), "{failed}");
    assert!(!failed.stdout.contains("KAVX5004-E"), "{failed}");
}
