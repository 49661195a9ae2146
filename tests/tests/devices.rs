//! The disks of a host through the real programs: `inqraid` in all its forms, and the sub-commands
//! behind `-x`.

use lab::{
    Carrier, Lab,
    lab::{PVOL, SVOL},
};

fn lab() -> Lab {
    let mut lab = Lab::on(Carrier::InBand);
    lab.init_array().ok();
    lab.start_array();
    lab
}

/// The lines with their blanks folded.
fn words(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn disks_are_told_in_every_form() {
    let lab = lab();
    let inqraid = |line: &str| words(lab.cci(50, &format!("inqraid {line}")).ok());
    assert_eq!(
        inqraid("harddisk1"),
        [
            "Harddisk1 -> [ST] CL2-C Ser = 62496 LDEV = 18 [HITACHI ] [OPEN-3 ]",
            "HORC = SMPL HOMRCF[MU#0 = SMPL MU#1 = SMPL MU#2 = SMPL]",
            "RAID5[Group 1- 4] SSID = 0x0004",
        ]
    );
    let group = inqraid("-CLI -fxg hd1-2");
    assert_eq!(group[1], "Harddisk1 CL2-C-0 62496 12 - s/s/ss 0004 5:01-04 OPEN-3");
    assert_eq!(group[2], "Harddisk2 CL2-C-0 62496 13 - s/s/ss 0004 5:01-04 OPEN-3");
    let luns = inqraid("-CLIWP hd2");
    assert_eq!(luns[1], "Harddisk2 - - CL2-C 2 62496 19 OPEN-3");
    let command_devices = inqraid("-CLI -sort -CM $Phys");
    assert_eq!(command_devices[1..], ["Harddisk0 CL2-C 62496 16 - - - - OPEN-3-CM"]);
    assert!(inqraid("-inqdump hd0").join("\n").contains("VPD C0h, 56 bytes"));
}

#[test]
fn sub_commands_find_and_describe_drives_at_any_command() {
    let lab = lab();
    assert_eq!(
        lab.cci(50, "raidscan -x findcmddev hdisk0,9").ok(),
        "cmddev of Ser# 62496 = \\\\.\\PhysicalDrive0\n"
    );
    let drives = words(lab.cci(50, "pairdisplay -x drivescan harddisk1,9").ok());
    assert_eq!(
        drives[..2],
        [
            "Harddisk 1... Port[-] PhId[-] TId[25] Lun[1] [HITACHI ] [OPEN-3 ]",
            "Port[CL2-C] Ser#[62496] LDEV#[18(0x012)] HORC = SMPL HOMRCF[MU#0 = SMPL MU#1 = SMPL \
             MU#2 = SMPL] RAID5[Group 1- 4] SSID = 0x0004",
        ]
    );
    assert_eq!(drives.len(), 4);
    assert_eq!(lab.cci(50, "pairsplit -x sync hd1").ok(), "[SYNC] hd1\n");
}

#[test]
fn the_pairs_of_a_disk_are_found_by_its_daemon() {
    let mut lab = lab();
    lab.start(&[50, 51]).ok();
    let found = words(lab.cci(51, "inqraid -find $Phys").ok());
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[1].starts_with("snap snapdev1(L)") && found[3] == "->Harddisk2");
    let columns = words(lab.cci(51, "inqraid -findc hd0-2").ok());
    assert!(columns.len() == 3 && columns[1].contains(" 62496 19 "), "{columns:#?}");
}

#[test]
fn an_s_vol_gets_its_own_partition_table_back() {
    let mut lab = lab();
    let table = |signature: u32| {
        let mut block = vec![0; 512];
        block[440..444].copy_from_slice(&signature.to_le_bytes());
        block[450] = 0x07;
        block[454..458].copy_from_slice(&2048u32.to_le_bytes());
        block[458..462].copy_from_slice(&4096u32.to_le_bytes());
        block[510..].copy_from_slice(&[0x55, 0xaa]);
        block
    };
    lab.write(PVOL, 0, &table(0x1111_1111)).ok();
    lab.write(SVOL, 0, &table(0x2222_2222)).ok();
    lab.start(&[50, 51]).ok();
    assert_eq!(
        words(lab.cci(51, "inqraid -gvinf hd2").ok()),
        ["Harddisk2 -> [VOL62496_19_22222222] [OPEN-3 ]"]
    );
    lab.cci(51, "paircreate -g snap -vr").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    let refused = lab.cci(51, "inqraid -svinf hd2");
    assert_eq!(refused.code, Some(246), "an S-VOL in PAIR takes no writes: {refused}");
    lab.cci(51, "pairsplit -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s psus -t 60").ok();
    assert_eq!(lab.read(SVOL, 0, 512), table(0x1111_1111), "the P-VOL's by the copy");
    // Of what is listed, only those whose names begin so.
    let listed = b"Harddisk1\nHarddisk2\n";
    assert_eq!(
        words(lab.cci_with(51, "inqraid -svinf=Harddisk2", listed).ok()),
        ["[VOL62496_19_22222222] -> Harddisk2 [OPEN-3 ]"]
    );
    assert_eq!(lab.read(SVOL, 0, 512), table(0x2222_2222));
    assert_eq!(lab.read(PVOL, 0, 512), table(0x1111_1111));
    let places = lab.cci(51, "inqraid -gplba hd2");
    assert_eq!(places.ok(), "Harddisk2 PTN1 LBA = 2048 BLOCKS = 4096\n");
}

#[test]
fn an_array_that_does_not_answer_is_named_and_a_hidden_disk_is_none() {
    let mut lab = lab();
    lab.start(&[50, 51]).ok();
    lab.cci(51, "raidvchkset -g snap -vg idb").ok();
    let hidden = lab.cci(50, "inqraid -CLI harddisk2");
    assert_eq!((hidden.code, hidden.stdout.as_str()), (Some(246), ""), "{hidden}");
    assert!(hidden.stderr.contains("Harddisk2"), "{hidden}");
    lab.cci(51, "raidvchkset -g snap -vg").ok();
    lab.cci(50, "inqraid -CLI harddisk2").ok();
    lab.kill_array();
    let gone = lab.cci(50, "inqraid -CLI harddisk0");
    assert_eq!((gone.code, gone.stdout.as_str()), (Some(246), ""), "{gone}");
    assert!(gone.stderr.contains("portal") && gone.stderr.contains(":3260"), "{gone}");
}
