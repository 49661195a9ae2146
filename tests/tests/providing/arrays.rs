//! Pairs on two arrays behind one pair of instances.

use std::{fs, os::unix::fs::PermissionsExt};

use lab::{
    Lab,
    lab::{PVOL, SVOL},
};

/// Another S-VOL of the second array's P-VOL.
const LATE: u32 = 20;

/// Two arrays, `serial` of the first lab and the next number of the second, behind the first one's
/// instances 50 and 51: group `snap` has LDEV 18 (MU# 2) and 19 of each, group `late` LDEV 18
/// (MU# 0) and 20 of the second.
pub fn two_arrays(serial: u32) -> (Lab, Lab) {
    let (mut lab, mut other) = (Lab::new(), Lab::new());
    let next = serial + 1;
    for (lab, serial) in [(&lab, serial), (&other, next)] {
        let sample = fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
        let named = sample.replace("serial = 62496", &format!("serial = {serial}"));
        let more = format!("\n[[ldev]]\nldev = {LATE}\nemulation = \"OPEN-3\"\npool = 0\n");
        fs::write(lab.conf("array-62496.toml"), named + &more).unwrap();
    }
    for (instance, peer, ldev, mu, late) in [(50, 51, PVOL, 2, PVOL), (51, 50, SVOL, 0, LATE)] {
        let text = format!(
            "HORCM_MON\n127.0.0.1 520{instance} 1000 3000\n\
             HORCM_CMD\n\\\\.\\IPCMD-127.0.0.1-31001\n\\\\.\\IPCMD-{}-31001\n\
             HORCM_LDEV\nsnap here {serial} {ldev} {mu}\nsnap there {next} {ldev} {mu}\n\
             late there {next} {late} 0\n\
             HORCM_INST\nsnap 127.0.0.1 520{peer}\nlate 127.0.0.1 520{peer}\n",
            other.ip()
        );
        lab.write_conf(&format!("horcm{instance}.conf"), &text);
    }
    lab.init_array().ok();
    lab.start_array();
    // Hosts and arrays that work together share the key.
    let keys = [&lab, &other].map(|lab| lab.root().join(".uds"));
    fs::create_dir(&keys[1]).unwrap();
    fs::set_permissions(&keys[1], fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(keys[0].join("horcm.key"), keys[1].join("horcm.key")).unwrap();
    other.init_array().ok();
    other.start_array();
    lab.start(&[50, 51]).ok();
    (lab, other)
}
