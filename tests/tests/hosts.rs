//! Hosts by iSCSI: programs nobody here wrote look at LUNs, and guards and pairs change what they
//! see.

use std::{net::SocketAddr, process::Command, time::Duration};

use bytes::Bytes;
use lab::{
    Carrier, Lab, Outcome,
    conformance::{CONTRADICTIONS, whole},
    lab::{PVOL, SVOL},
    run::run,
};
use scsi::{
    iscsi::{Initiator, Session},
    task::LunAddress,
};

lab::on_every_carrier! {
    pairs_and_guards_change_what_a_logged_in_host_may_do_at_once,
}

fn start() -> Lab {
    start_on(Carrier::Ipcmd)
}

fn start_on(carrier: Carrier) -> Lab {
    let mut lab = Lab::on(carrier);
    lab.with_hosts();
    lab.init_array().ok();
    lab.start_array();
    lab
}

fn tool(name: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new(name);
    command.args(args);
    run(command, format!("{name} {}", args.join(" ")), b"", Duration::from_secs(60))
}

/// The LUNs that `iscsi-ls` finds at a port of the sample.
fn luns(lab: &Lab, port: &str) -> Vec<u16> {
    let portal = format!("iscsi://{}:3260", lab.ip());
    let listed = tool("iscsi-ls", &["-s", &portal]);
    let mut inside = false;
    let mut found = Vec::new();
    for line in listed.ok().lines() {
        if let Some(target) = line.strip_prefix("Target:") {
            inside = target.contains(&port.to_ascii_lowercase());
        } else if let Some(lun) = line.strip_prefix("Lun:").filter(|_| inside) {
            found.extend(lun.split_whitespace().next().and_then(|n| n.parse::<u16>().ok()));
        }
    }
    found
}

#[test]
fn the_conformance_suite_of_libiscsi_finds_nothing_but_its_own_contradictions() {
    let lab = start();
    let report = whole(&[lab.iscsi("CL2-C", 3), lab.iscsi("CL3-C", 3)]);
    assert!(report.ran >= 230, "{report:?}");
    let known = |test: &String| CONTRADICTIONS.iter().any(|(name, _)| name == test);
    let failed: Vec<&String> = report.failed.iter().filter(|test| !known(test)).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(!report.skipped.keys().any(|what| what.contains("Multipath")), "two paths were given");
}

#[test]
fn other_peoples_tools_see_hitachi_disks_with_one_identity_on_every_path() {
    let lab = start();
    assert_eq!(luns(&lab, "CL2-C"), [0, 1, 2, 3]);
    assert_eq!(luns(&lab, "CL3-C"), [3]);
    let inquiry = |lun, page: &[&str]| {
        let address = lab.iscsi("CL2-C", lun);
        tool("iscsi-inq", &[page, &[&address]].concat()).ok().to_owned()
    };
    for (lun, product) in [(0, "OPEN-3-CM"), (1, "OPEN-3"), (2, "OPEN-3"), (3, "OPEN-V")] {
        let said = inquiry(lun, &[]);
        assert!(said.contains("Vendor:HITACHI"), "{said}");
        let line = said.lines().find_map(|line| line.strip_prefix("Product:")).map(str::trim);
        assert_eq!(line, Some(product));
        assert!(said.contains("Revision:2114"), "the same for P-VOL and S-VOL: {said}");
    }
    let identity = |port: &str, page: &str| {
        let address = lab.iscsi(port, 3);
        let said = tool("iscsi-inq", &["-e", "1", "-c", page, &address]);
        let lines = said
            .ok()
            .lines()
            .skip_while(|line| page == "131" && !line.contains("DEVICE DESIGNATOR #3"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    for page in ["128", "131"] {
        let (one, other) = (identity("CL2-C", page), identity("CL3-C", page));
        assert!(one.contains("0000F42000000014"), "serial 62496 and LDEV 20 in hex: {one}");
        assert_eq!(one, other, "page {page}");
    }
}

async fn session(lab: &Lab) -> Session {
    let initiator = Initiator::new("iqn.2026-11.internal.test:host").unwrap();
    let address = SocketAddr::from((lab.ip(), 3260));
    let target = "iqn.2026-11.internal.raidmanager:62496.cl2-c";
    initiator.login(address, target).await.unwrap()
}

/// Sends a command until no unit attention is in its way; status and sense key, ASC, ASCQ.
async fn ask(
    session: &Session,
    lun: u16,
    cdb: &[u8],
    data: &[u8],
    read: u32,
) -> (u8, [u8; 3], Bytes) {
    let lun = LunAddress::from_number(lun).unwrap();
    loop {
        let data = Bytes::copy_from_slice(data);
        let reply = session.command(lun, cdb, data, read).await.unwrap();
        let sense = match reply.sense.get(..14) {
            Some(sense) => [sense[2] & 0xf, sense[12], sense[13]],
            None => [0; 3],
        };
        if sense[0] != 6 {
            return (reply.status, sense, reply.data);
        }
    }
}

const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0];
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 8, 0, 0, 1, 0];
const GOOD: (u8, [u8; 3]) = (0, [0; 3]);

async fn read(session: &Session, lun: u16) -> ((u8, [u8; 3]), Bytes) {
    let (status, sense, data) = ask(session, lun, &READ, &[], 512).await;
    ((status, sense), data)
}

async fn write(session: &Session, lun: u16, byte: u8) -> (u8, [u8; 3]) {
    let (status, sense, _) = ask(session, lun, &WRITE, &[byte; 512], 0).await;
    (status, sense)
}

fn pairs_and_guards_change_what_a_logged_in_host_may_do_at_once(carrier: Carrier) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut lab = start_on(carrier);
    lab.start(&[50, 51]).ok();
    runtime.unwrap().block_on(guards_and_pairs(&lab));
}

async fn guards_and_pairs(lab: &Lab) {
    let host = session(lab).await;
    // LUN 1 is the P-VOL, LUN 2 the S-VOL.
    assert_eq!((PVOL, SVOL), (18, 19));
    assert_eq!(write(&host, 1, 7).await, GOOD);
    lab.cci(51, "paircreate -g snap -vr -m noread").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
    assert_eq!(write(&host, 1, 8).await, GOOD);
    assert_eq!(write(&host, 2, 9).await, (2, [7, 0x27, 0]), "WRITE PROTECTED");
    assert_eq!(read(&host, 2).await.0, (2, [7, 0x20, 2]), "noread: ACCESS DENIED");
    lab.cci(51, "pairsplit -g snap -rw").ok();
    lab.cci(51, "pairevtwait -g snap -s psus -ss ssus -t 60").ok();
    assert_eq!(read(&host, 2).await, (GOOD, Bytes::from(vec![8; 512])));
    assert_eq!(write(&host, 2, 9).await, GOOD);
    assert_eq!(read(&host, 1).await.1, vec![8; 512], "the P-VOL keeps its own");

    let guard = |kind: &str| {
        lab.cci(51, &format!("raidvchkset -g snap -vg {kind}")).ok();
    };
    guard("wtd");
    assert_eq!(write(&host, 2, 9).await, (2, [7, 0x27, 0]));
    assert_eq!(read(&host, 2).await.0, GOOD);
    guard("rwd");
    assert_eq!(read(&host, 2).await.0, (2, [7, 0x20, 2]));
    guard("idb");
    assert_eq!(luns(lab, "CL2-C"), [0, 1, 3], "the S-VOL is hidden");
    assert_eq!(read(&host, 2).await.0, (2, [5, 0x25, 0]), "LOGICAL UNIT NOT SUPPORTED");
    let (_, _, inquiry) = ask(&host, 2, &[0x12, 0, 0, 0, 96, 0], &[], 96).await;
    assert_eq!(inquiry[0], 0x7f, "no such device");
    guard("");
    assert_eq!(luns(lab, "CL2-C"), [0, 1, 2, 3]);
    assert_eq!(read(&host, 2).await, (GOOD, Bytes::from(vec![9; 512])));
}

#[tokio::test]
async fn what_was_flushed_by_iscsi_survives_kill_9() {
    let mut lab = start();
    let host = session(&lab).await;
    assert_eq!(write(&host, 3, 5).await, GOOD);
    let (status, ..) = ask(&host, 3, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0).await;
    assert_eq!(status, 0);
    lab.kill_array();
    lab.start_array();
    let host = session(&lab).await;
    assert_eq!(read(&host, 3).await, (GOOD, Bytes::from(vec![5; 512])));
}
