//! Orders in band: horcmd on the blocks of the command device, by the built-in initiator.

use lab::{
    Lab, bytes,
    lab::{PVOL, SVOL},
};

fn start(line: &str) -> Lab {
    let mut lab = Lab::new();
    lab.in_band(line);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    lab
}

/// The seed's main job: create, split, change, restore.
fn session(lab: &Lab) {
    let first = bytes::pattern(1, 1 << 20);
    lab.write(PVOL, 0, &first).ok();
    lab.cci(51, "paircreate -g snap -vr -m noread").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    lab.cci(51, "pairsplit -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s psus -t 60").ok();
    lab.write(PVOL, 0, &bytes::pattern(2, 1 << 20)).ok();
    assert!(lab.read(SVOL, 0, 1 << 20) == first, "the S-VOL keeps the moment of the split");
    lab.cci(51, "pairresync -g snap -restore").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    assert!(lab.read(PVOL, 0, 1 << 20) == first, "the P-VOL is restored");
    lab.cci(51, "pairsplit -g snap -S").ok();
}

#[test]
fn the_seeds_physical_drive_0_carries_the_whole_session() {
    let lab = start(r"\\.\PhysicalDrive0");
    assert!(lab.cci(50, "horcctl -D").ok().contains("PhysicalDrive0"));
    session(&lab);
}

#[test]
fn a_command_device_is_found_by_what_it_says_of_itself() {
    for line in [r"\\.\CMD-62496", r"\\.\CMD-62496-16-CL2-C"] {
        session(&start(line));
    }
}

#[test]
fn one_that_is_not_there_is_named_with_the_reason() {
    let mut lab = Lab::new();
    lab.in_band(r"\\.\CMD-62496-17");
    lab.init_array().ok();
    lab.start_array();
    let refused = lab.start(&[50]);
    assert_ne!(refused.code, Some(0));
    let said = format!("{refused}");
    assert!(said.contains("HORCM_009") || said.contains("CMD-62496-17"), "{said}");
}

#[test]
fn alternates_take_over_and_a_restarted_array_is_found_again() {
    let mut lab = start(r"\\.\PhysicalDrive0 \\.\IPCMD-127.0.0.1-31001");
    lab.cci(51, "paircreate -g snap -vr").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    // The disk goes away while the other path stays: the portal listens elsewhere.
    lab.kill_array();
    lab.start_array_with(&["--iscsi", "127.0.0.1:0"]);
    lab.cci(51, "pairsplit -g snap").ok();
    assert!(lab.cci(51, "horcctl -D").ok().contains("IPCMD"), "the next on the line is used");
    lab.kill_array();
    lab.start_array();
    lab.cci(51, "pairresync -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
}
