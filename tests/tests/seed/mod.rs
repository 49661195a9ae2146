//! The seed's session, line for line. The expected lines are the manual's (MK-94HC074 3.7.2 and
//! the CCI reference 2.7, 2.13), typed from there.

use lab::{
    Lab, bytes,
    lab::{PVOL, SVOL},
};

/// From the discovery of the command device to a pair that is no more, with an array that runs;
/// instances 50 and 51 run then.
pub fn session(lab: &mut Lab) {
    // Step 1: the command device is discovered before any instance runs.
    assert_eq!(disks(lab), [HEADING, DISK_0, DISK_1, DISK_2]);

    assert_eq!(
        lab.start(&[50, 51]).ok(),
        "starting HORCM inst 50\n\
         HORCM inst 50 starts successfully.\n\
         starting HORCM inst 51\n\
         HORCM inst 51 starts successfully.\n"
    );
    let again = lab.cci(50, "horcmstart 50");
    assert_eq!(again.code, Some(1), "{again}");
    assert!(again.stdout.contains("HORCM inst 50 has already been running."), "{again}");

    // The headings are the reference's literals (2.14, 2.15); of the rows, the host name is ours.
    let query = words(lab.cci(51, "raidqry -l").ok());
    assert_eq!(query[0], "No Group Hostname HORCM_ver Uid Serial# Micro_ver Cache(MB)");
    assert!(query[1].starts_with("1 --- ") && query[1].contains(" 0 62496 "), "{query:?}");
    let scan = words(lab.cci(51, "raidscan -p CL2-C -m 0 -CLI").ok());
    let ldevs: Vec<_> = scan[1..].iter().map(|row| row.split(' ').nth(8).unwrap()).collect();
    assert_eq!(ldevs, ["16", "18", "19"], "{scan:?}");
    // `/ALPA/C` stands for two tokens.
    assert!(scan.iter().skip(1).all(|row| tokens(row) == tokens(&scan[0]) + 1), "{scan:?}");

    assert_eq!(
        lab.cci(50, "raidscan -pi $Phys -find").ok(),
        "DEVICE_FILE      UID  S/F  PORT  TARG  LUN  SERIAL  LDEV  PRODUCT_ID\n\
         Harddisk0        0   F   CL2-C  25   0    62496   16   OPEN-3-CM\n\
         Harddisk1        0   F   CL2-C  25   1    62496   18   OPEN-3\n\
         Harddisk2        0   F   CL2-C  25   2    62496   19   OPEN-3\n"
    );
    assert_eq!(
        lab.cci(51, "pairdisplay -g snap -fdc").ok(),
        "Group   PairVol(L/R) Device_File      ,Seq#,LDEV#.P/S,Status,   % ,P-LDEV# M\n\
         snap    snapdev1(L)  Harddisk2      62496  19..SMPL  ----,-----  ---- -\n\
         snap    snapdev1(R)  Harddisk1      62496  18..SMPL  ----,-----  ---- -\n"
    );

    assert_eq!(lab.cci(51, "raidvchkset -g snap -vg idb").ok(), "");
    assert_eq!(disks(lab), [HEADING, DISK_0, DISK_1]);
    assert_eq!(lab.cci(51, "paircreate -g snap -vr -m noread").ok(), "");
    assert_eq!(
        lab.cci(51, "pairevtwait -g snap -s pair -t 120").ok(),
        "pairevtwait : Wait status done.\n"
    );
    assert_eq!(
        lab.cci(51, "pairdisplay -g snap").ok(),
        "Group   PairVol(L/R) (Port#,TID,LU-M),Seq#,LDEV#.P/S,Status, Seq#,P-LDEV# M\n\
         snap    snapdev1(L) (CL2-C ,25, 2-0)62496 19..S-VOL PAIR,----- 18 -\n\
         snap    snapdev1(R) (CL2-C ,25, 1-2)62496 18..P-VOL PAIR,62496 19 N\n"
    );

    lab.write(18, 4096, b"a host write").ok();
    assert_eq!(lab.cci(51, "pairsplit -g snap").ok(), "");
    lab.cci(51, "pairevtwait -g snap -s psus -ss ssus -t 120").ok();
    let split = words(lab.cci(51, "pairdisplay -g snap -fc").ok());
    assert_eq!(
        split,
        [
            "Group PairVol(L/R) (Port#,TID, LU-M) ,Seq#,LDEV#.P/S,Status, % ,P-LDEV# M",
            "snap snapdev1(L) (CL2-C ,25, 2-0 )62496 19..S-VOL SSUS, 100 18 -",
            "snap snapdev1(R) (CL2-C ,25, 1-2 )62496 18..P-VOL PSUS, 100 19 W",
        ]
    );
    compare(lab);
    lab.write(PVOL, 4096, b"after the split").ok();
    assert_eq!(lab.read(SVOL, 4096, 12), b"a host write");

    lab.cci(51, "pairresync -g snap -restore").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 120").ok();
    lab.cci(51, "pairsplit -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s psus -ss ssus -t 120").ok();
    compare(lab);
    assert_eq!(lab.read(PVOL, 4096, 12), b"a host write");
    lab.cci(51, "pairresync -g snap").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 120").ok();
    assert_eq!(lab.cci(51, "pairvolchk -g snap -ss").code, Some(33));
    assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(23));
    assert_eq!(lab.cci(50, "pairevtwait -g snap -nowait").code, Some(3));
    assert_eq!(disks(lab), [HEADING, DISK_0, &DISK_1.replace("s/s/ss", "s/s/sP")]);
    assert_eq!(lab.cci(51, "raidvchkset -g snap -vg").ok(), "");
    let paired = [&DISK_1.replace("s/s/ss", "s/s/sP"), &*DISK_2.replace("s/s/ss", "s/S/ss")];
    assert_eq!(disks(lab), [HEADING, DISK_0, paired[0], paired[1]]);
    lab.cci(51, "pairsplit -g snap -S").ok();
    assert_eq!(lab.cci(51, "pairvolchk -g snap -ss").code, Some(11));
    assert_eq!(disks(lab), [HEADING, DISK_0, DISK_1, DISK_2]);
}

/// What `inqraid` prints, as the manual has it but for its shifted columns. The manual's fourth
/// disk is one of another vendor; this machine has its own, or none.
const HEADING: &str = "DEVICE_FILE PORT SERIAL LDEV CTG H/M/12 SSID R:Group PRODUCT_ID";
const DISK_0: &str = "Harddisk0 CL2-C 62496 16 - - - - OPEN-3-CM";
const DISK_1: &str = "Harddisk1 CL2-C 62496 18 - s/s/ss 0004 5:01-04 OPEN-3";
const DISK_2: &str = "Harddisk2 CL2-C 62496 19 - s/s/ss 0004 5:01-04 OPEN-3";

fn disks(lab: &Lab) -> Vec<String> {
    let mut rows = words(lab.cci(51, "inqraid -CLI $Phys").ok());
    rows.retain(|row| !row.starts_with("/dev/"));
    rows
}

/// The lines with their blanks folded: programs split them so.
fn words(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn tokens(line: &str) -> usize {
    line.split(' ').count()
}

fn compare(lab: &Lab) {
    let (pvol, svol) = (lab.export(PVOL, "pvol.img"), lab.export(SVOL, "svol.img"));
    assert_eq!(bytes::first_difference(&pvol, &svol).unwrap(), None);
}
