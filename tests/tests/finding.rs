//! Finding this host's disks with the instance: `raidscan -find`, registration, device files,
//! protection mode. The disks are those of the built-in initiator: on CL2-C the command device,
//! P-VOL, S-VOL and LDEV 20, on CL3-C LDEV 20 once more.

use lab::{Lab, Outcome, lab::PVOL};
use model::Code;

const DEVICE: &str = r"\\.\PhysicalDrive0";

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.in_band(DEVICE);
    lab.init_array().ok();
    lab.start_array();
    lab
}

fn words(outcome: &Outcome) -> Vec<Vec<String>> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    outcome.ok().lines().map(words).collect()
}

fn device_files(lab: &Lab) -> Vec<String> {
    let rows = words(&lab.cci(51, "pairdisplay -g snap -fdc -CLI"));
    rows[1..].iter().map(|row| row[3].clone()).collect()
}

#[test]
fn disks_are_found_by_words_and_by_standard_input_as_the_manual_prints_them() {
    let mut lab = lab();
    lab.start(&[50]).ok();
    assert_eq!(
        lab.cci(50, "raidscan -pi hd0-2 -find").ok(),
        "DEVICE_FILE      UID  S/F  PORT  TARG  LUN  SERIAL  LDEV  PRODUCT_ID\n\
         Harddisk0        0   F   CL2-C  25   0    62496   16   OPEN-3-CM\n\
         Harddisk1        0   F   CL2-C  25   1    62496   18   OPEN-3\n\
         Harddisk2        0   F   CL2-C  25   2    62496   19   OPEN-3\n"
    );
    let all = words(&lab.cci(50, "raidscan -pi $Phys -find -fx"));
    assert_eq!(all.len(), 6, "{all:?}");
    assert_eq!(all[5][..7], ["Harddisk4", "0", "F", "CL3-C", "25", "3", "62496"]);
    assert_eq!(all[5][7], "0014");
    let listed = lab.cci_with(50, "raidscan -findg", b"Harddisk1 /dev/null\n# Harddisk2\nhd99\n");
    let listed = words(&listed);
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[1][3], "CL2-C-0");
}

#[test]
fn a_device_leads_to_the_port_it_is_seen_on() {
    let mut lab = lab();
    lab.start(&[50]).ok();
    let rows = lab.cci(50, "raidscan -pd Harddisk1 -CLI");
    let lines: Vec<_> = rows.ok().lines().collect();
    assert_eq!(lines.last(), Some(&"Specified device is LDEV# 0018"));
    assert!(lines[1..lines.len() - 1].iter().all(|row| row.starts_with("CL2-C ")), "{rows}");
    lab.cci(50, "raidscan -pd Harddisk77").fails(Code::ExEnodev);
    let files = words(&lab.cci(50, "raidscan -p CL2-C -m 2 -fd -CLI"));
    let last: Vec<_> = files[1..].iter().map(|row| row.last().unwrap().as_str()).collect();
    assert_eq!(last, ["Harddisk0", "Harddisk1", "Harddisk2", "Harddisk3"]);
}

#[test]
fn a_start_registers_every_disk_and_pairs_are_named_by_them() {
    let mut lab = lab();
    lab.start(&[50, 51]).ok();
    assert_eq!(
        lab.cci(51, "pairdisplay -g snap -fdc").ok(),
        "Group   PairVol(L/R) Device_File      ,Seq#,LDEV#.P/S,Status,   % ,P-LDEV# M\n\
         snap    snapdev1(L)  Harddisk2      62496  19..SMPL  ----,-----  ---- -\n\
         snap    snapdev1(R)  Harddisk1      62496  18..SMPL  ----,-----  ---- -\n"
    );
    let by_device = words(&lab.cci(51, "pairdisplay -d Harddisk2 -CLI -l"));
    assert_eq!(by_device[1][..2], ["snap", "snapdev1"]);
    let by_alias = words(&lab.cci(51, r"pairdisplay -dg \\.\PhysicalDrive2 0 -CLI -l"));
    assert_eq!(by_alias[1], by_device[1]);
    lab.cci(51, "pairdisplay -d Harddisk1").fails(Code::ExEnodev);
    lab.cci(51, "pairdisplay -d /dev/null").fails(Code::ExEnodev);
    let guards = words(&lab.cci(51, "raidvchkdsp -g snap -v gflag"));
    assert_eq!(guards[1][2], "Harddisk2");

    let checked = words(&lab.cci(50, "raidscan -pi $Phys -find verify 2 -fd"));
    assert_eq!(checked[2], ["Harddisk1", "snap", "snapdev1", "Harddisk1", "2", "62496", "18"]);
    assert_eq!(checked[3], ["Harddisk2", "-", "-", "-", "-", "62496", "19"]);
    let synced = lab.cci(50, "raidscan -pi $Phys -find sync -g snap");
    assert_eq!(synced.ok(), "[SYNC] Harddisk1\n");
}

#[test]
fn a_device_that_is_another_disk_by_now_or_names_several_selects_nothing() {
    let mut lab = lab();
    lab.start(&[50, 51]).ok();
    for several in ["$Phys", "hd1-3"] {
        lab.cci(50, &format!("pairdisplay -l -d {several}")).fails(Code::ExEnodev);
        lab.cci(50, &format!("raidscan -pd {several}")).fails(Code::ExEnodev);
    }
    lab.cci(50, "raidvchkset -d Harddisk1 -vg idb").ok();
    let found = words(&lab.cci(50, "raidscan -pi hd1 -find"));
    assert_eq!(found[1][7], "19", "the numbers moved: {found:?}");
    for line in ["pairdisplay -l", "paircreate -vl"] {
        let said = lab.cci(50, &format!("{line} -d Harddisk1")).fails(Code::ExEnodev).to_owned();
        assert!(said.contains("raidscan -find inst"), "{said}");
    }
    let by_name = words(&lab.cci(50, "pairdisplay -g snap -d snapdev1 -l -CLI"));
    assert_eq!(by_name[1][..2], ["snap", "snapdev1"]);
}

#[test]
fn what_the_permission_file_leaves_out_is_unknown_until_it_is_registered() {
    let mut lab = lab();
    lab.write_conf("horcmperm51.conf", "# the S-VOL only\nHarddisk2\n");
    lab.write_conf("horcmperm50.conf", "");
    lab.start(&[50, 51]).ok();
    assert_eq!(device_files(&lab), ["Harddisk2", "Unknown"]);
    let registered = words(&lab.cci(50, "raidscan -pi $PhysicalDrive -find inst"));
    assert_eq!(registered[2][..3], ["Harddisk1", "snap", "snapdev1"]);
    assert_eq!(device_files(&lab), ["Harddisk2", "Harddisk1"]);
    lab.shut_down(&[51]).ok();
    lab.set("HORCMPERM", "MGRNOINST");
    lab.start(&[51]).ok();
    assert_eq!(device_files(&lab), ["Unknown", "Harddisk1"]);
}

#[test]
fn a_permission_file_that_cannot_be_read_keeps_the_instance_from_starting() {
    let mut lab = lab();
    lab.write_conf("horcmperm50.conf", "Harddisk1\nsdb\n");
    let failed = lab.start(&[50]);
    assert_eq!(failed.code, Some(3), "{failed}");
    assert!(failed.stderr.contains("HORCM_008") && failed.stderr.contains(":2:1"), "{failed}");
}

#[test]
fn in_protection_mode_a_host_uses_its_registered_volumes_only() {
    let mut lab = lab();
    lab.write_conf("horcmperm50.conf", "Harddisk1\n");
    lab.write_conf("horcmperm51.conf", "Harddisk1\n");
    lab.set("HORCMPROMOD", "1");
    lab.start(&[50, 51]).ok();
    assert!(lab.cci(50, "horcctl -D").ok().ends_with("PhysicalDrive0*\n"));

    // 51 may not use the S-VOL, and nobody can use it through 51.
    for line in ["paircreate -g snap -vr", "pairvolchk -g snap", "raidvchkset -g snap -vg wtd"] {
        let said = lab.cci(51, line).fails(Code::ExEnperm).to_owned();
        assert!(said.contains("snap/snapdev1") && said.contains("LDEV 19"), "{said}");
    }
    let said = lab.cci(50, "paircreate -g snap -vl").fails(Code::ExEnperm).to_owned();
    assert!(said.contains("the remote host"), "{said}");
    let rows = words(&lab.cci(51, "pairdisplay -g snap -CLI -fd"));
    assert_eq!(rows[1][3..], ["****", "0", "****", "****", "****", "****", "-", "-", "-"]);
    assert_eq!(rows[2][3..6], ["Harddisk1", "2", "62496"]);
    lab.cci(51, "raidscan -pi $Phys -find inst").fails(Code::ExEnperm);
    assert_eq!(lab.cci(50, "pairvolchk -g snap").code, Some(1), "its own volume it may");

    // With MGRNOINST the first registration by hand is the one that counts.
    lab.shut_down(&[51]).ok();
    lab.set("HORCMPERM", "MGRNOINST");
    lab.start(&[51]).ok();
    lab.cci(51, "pairvolchk -g snap").fails(Code::ExEnperm);
    lab.cci(51, "raidscan -pi hd2 -find inst").ok();
    lab.cci(51, "paircreate -g snap -vr").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 120").ok();
    lab.cci(51, "raidscan -pi hd0-9 -find inst").fails(Code::ExEnperm);
    lab.write(PVOL, 0, b"a host").ok();
    lab.cci(51, "pairsplit -g snap -S").ok();
}

#[test]
fn a_start_that_found_no_disk_leaves_no_registration_open_in_protection_mode() {
    let mut lab = Lab::new();
    lab.in_band(&format!(r"\\.\IPCMD-{}-31001", lab.ip()));
    lab.write_conf("horcmperm50.conf", "Harddisk1\n");
    lab.set("HORCMPROMOD", "1");
    lab.init_array().ok();
    lab.start_array_with(&["--iscsi", "127.0.0.1:0"]);
    lab.start(&[50]).ok();
    lab.kill_array();
    lab.start_array();
    assert_eq!(words(&lab.cci(50, "raidscan -pi $Phys -find")).len(), 6, "its disks are there");
    lab.cci(50, "raidscan -pi $Phys -find inst").fails(Code::ExEnperm);
    lab.cci(50, "pairvolchk -g snap").fails(Code::ExEnperm);
}

#[test]
fn beside_a_list_nothing_is_registered_while_a_unit_may_still_turn_out_protected() {
    let mut lab = Lab::new();
    let ip = lab.ip();
    lab.in_band(&format!("\\\\.\\IPCMD-{ip}-31001\n\\\\.\\IPCMD-{ip}-31099"));
    lab.write_conf("horcmperm50.conf", "Harddisk1\n");
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let said = lab.cci(50, "raidscan -pi $Phys -find inst").fails(Code::ExEnperm).to_owned();
    assert!(said.contains("unit 1"), "{said}");
    lab.cci(51, "raidscan -pi $Phys -find inst").ok();
}

#[test]
fn mkconf_makes_a_configuration_that_the_instance_starts_with() {
    let lab = lab();
    let folder = lab.path("made");
    std::fs::create_dir(&folder).unwrap();
    let mkconf = |line: &str| {
        let mut command = lab.command("mkconf.sh");
        command.args(line.split_whitespace()).current_dir(&folder);
        lab::run::run(command, format!("mkconf.sh {line}"), b"", std::time::Duration::from_secs(60))
    };
    let made = mkconf("-g ORA -i 9 -m 1 -s 52339 $Phys");
    let lines: Vec<_> = made.ok().lines().collect();
    assert_eq!(
        lines[..4],
        [
            "starting HORCM inst 9",
            "HORCM inst 9 starts successfully.",
            "HORCM Shutdown inst 9 !!!",
            "starting HORCM inst 9",
        ]
    );
    let verified = ["HORCM Shutdown inst 9 !!!", "A CONFIG file was successfully completed."];
    assert_eq!(lines[lines.len() - 3..lines.len() - 1], verified);
    assert!(lines[5].starts_with("DEVICE_FILE "), "{made}");
    assert!(lines[7].split_whitespace().take(4).eq(["Harddisk1", "ORA", "ORA_000", "CL2-C"]));
    let (folder_shown, last) = (folder.display(), lines[lines.len() - 1]);
    assert_eq!(
        last,
        format!(
            "Please check '{folder_shown}/horcm9.conf','{folder_shown}/log9/curlog/horcm_*.log', \
             and modify 'ip_address & service'."
        )
    );
    let text = std::fs::read_to_string(folder.join("horcm9.conf")).unwrap();
    assert!(text.contains("\n\\\\.\\PhysicalDrive0\n"), "{text}");
    assert!(text.contains("# ERROR [CMDDEV] Harddisk0") && text.contains("# ERROR [LDEV LINK]"));
    let config = confparse::parse(&text).config.expect("a good configuration");
    assert_eq!(config.volumes.len(), 3);

    // A second group is added to what is there; nothing is overwritten.
    mkconf("-g ORA -i 9 $Phys").fails(Code::ExEacces);
    mkconf("-gg MORE -i 9 -a hd3").ok();
    let text = std::fs::read_to_string(folder.join("horcm9.conf")).unwrap();
    let config = confparse::parse(&text).config.expect("a good configuration");
    assert_eq!(config.volumes.len(), 4);
    assert_eq!(config.volumes[3].name.as_str(), "MORE_000");
    // What would add nothing, or be no configuration, leaves the file as it works.
    mkconf("-gg MORE -i 9 -a hd3").fails(Code::ExEnodev);
    assert_eq!(std::fs::read_to_string(folder.join("horcm9.conf")).unwrap(), text);
    mkconf("-gg MORE -i 9 -a hd2 hd3").ok();
    let text = std::fs::read_to_string(folder.join("horcm9.conf")).unwrap();
    let config = confparse::parse(&text).config.expect("a good configuration");
    assert_eq!((config.volumes.len(), config.volumes[4].name.as_str()), (5, "MORE_001"));
    assert_eq!(config.remotes.len(), 2, "a group has its peer once");
    std::fs::write(folder.join("horcm9.conf"), format!("{text}HORCM_DEV\nORA bad\n")).unwrap();
    let said = mkconf("-gg MORE -i 9 -a hd1").fails(Code::ExInvarg).to_owned();
    assert!(said.contains("horcm9.conf"), "{said}");
    mkconf("-gg MORE -i 8 -a hd3").fails(Code::ExEnoent);
    mkconf("-g ORA -i 8 hd0").fails(Code::ExEnodev);
    assert!(!folder.join("horcm8.conf").exists());
}
