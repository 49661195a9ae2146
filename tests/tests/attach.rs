//! `horcm attach`: LUNs as files, under programs that nobody here wrote. Needs root, `/dev/fuse` and
//! loop devices; without them these tests fail, and say so.

mod attached;

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use attached::{Attached, attribute, lab, loop_device, tool};
use lab::{
    bytes,
    lab::{PVOL, SVOL, until},
};
use model::Code;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 400 * MIB;

#[test]
fn everyone_agrees_on_what_the_lun_is_and_on_every_byte_of_it() {
    let lab = lab(SIZE);
    let content = bytes::pattern(7, 24 << 20);
    {
        let pvol = Attached::new(&lab, "62496:18", "pvol");
        let serial = "0000F42000000012";
        // The array's own inquiry, by libiscsi.
        let address = lab.iscsi("CL2-C", 1);
        let said = tool("iscsi-inq", &[&address]).ok().to_owned();
        assert!(said.contains("Vendor:HITACHI") && said.contains("Product:OPEN-V"), "{said}");
        let listed = tool("iscsi-ls", &["-s", &format!("iscsi://{}:3260", lab.ip())]);
        assert!(
            listed.ok().contains("Lun:1    Type:DIRECT_ACCESS (Size:399M)")
                || listed.stdout.contains("Size:400M"),
            "{listed}"
        );
        // The same as the file tells it, decoded by sg3_utils.
        let decoded = |name: &str, program: &str| {
            let raw = lab.path("page");
            fs::write(&raw, attribute(&pvol.file, name)).unwrap();
            let inhex = format!("--inhex={}", raw.display());
            tool(program, &["--raw", &inhex]).ok().to_owned()
        };
        let inquiry = decoded("user.scsi.inquiry", "sg_inq");
        assert!(inquiry.contains("HITACHI") && inquiry.contains("OPEN-V"), "{inquiry}");
        assert!(decoded("user.scsi.vpd_pg83", "sg_vpd").contains("0x30000f4200000012"));
        assert!(decoded("user.scsi.vpd_pg83", "sg_vpd").contains(serial));
        assert!(decoded("user.scsi.vpd_pg80", "sg_vpd").contains(serial));
        assert!(decoded("user.scsi.vpd_pgb0", "sg_vpd").contains("Maximum transfer length"));
        let vendor = attribute(&pvol.file, "user.scsi.vpd_pgc0");
        assert_eq!(vendor[4..12], [0, 0, 0xf4, 0x20, 0, 0, 0, 18]);
        let place = String::from_utf8(attribute(&pvol.file, "user.scsi.lun")).unwrap();
        let target = "iqn.2026-11.internal.raidmanager:62496.cl2-c";
        assert_eq!(place, format!("{}:3260 {target} 1", lab.ip()));
        assert_eq!(fs::metadata(&pvol.file).unwrap().len(), SIZE);
        let info = tool("qemu-img", &["info", "--output=json", "-f", "raw", pvol.name()]);
        assert!(info.ok().contains(&format!("\"virtual-size\": {SIZE}")), "{info}");

        let file = OpenOptions::new().write(true).open(&pvol.file).unwrap();
        file.write_all_at(&content, 3 * MIB + 77).unwrap();
        file.sync_all().unwrap();
        drop(file);
        let copy = lab.path("copy.img");
        tool(
            "qemu-img",
            &["convert", "-f", "raw", "-O", "raw", pvol.name(), copy.to_str().unwrap()],
        )
        .ok();
        // By iSCSI too, where qemu's driver is installed.
        let direct = lab.path("direct.img");
        let by_iscsi = tool(
            "qemu-img",
            &["convert", "-f", "raw", "-O", "raw", &address, direct.to_str().unwrap()],
        );
        if by_iscsi.code == Some(0) {
            assert_eq!(bytes::first_difference(&direct, &copy).unwrap(), None);
        } else {
            assert!(by_iscsi.stderr.contains("iscsi"), "{by_iscsi}");
        }
        // A second attachment of the same LUN, for reading, sees it at once.
        let again = Attached::with(&lab, &["-r"], "iscsi", &address, "again");
        assert_eq!(bytes::first_difference(&again.file, &copy).unwrap(), None);
        assert!(OpenOptions::new().write(true).open(&again.file).is_err());
    }
    let exported = lab.export(PVOL, "exported.img");
    assert_eq!(bytes::first_difference(&exported, &lab.path("copy.img")).unwrap(), None);
    let mut read = vec![0; content.len()];
    File::open(&exported).unwrap().read_exact_at(&mut read, 3 * MIB + 77).unwrap();
    assert!(read == content, "the bytes that were written");
}

#[test]
fn what_fsync_acknowledged_and_what_a_later_fsync_acknowledges_survives_kill_9() {
    let mut lab = lab(64 * MIB);
    let pvol = Attached::new(&lab, "62496:18", "pvol");
    let file = OpenOptions::new().read(true).write(true).open(&pvol.file).unwrap();
    let (flushed, later) = (bytes::pattern(1, 3 << 20), bytes::pattern(2, 5 << 20));
    file.write_all_at(&flushed, 1000).unwrap();
    file.sync_all().unwrap();
    // Acknowledged, and only in the cache of an array that is killed.
    file.write_all_at(&later, 20 * MIB + 333).unwrap();
    file.write_all_at(&later[..5000], 2000).unwrap();
    lab.kill_array();
    lab.start_array();
    let mut expected = flushed;
    expected[1000..6000].copy_from_slice(&later[..5000]);
    let mut read = vec![0; expected.len()];
    file.read_exact_at(&mut read, 1000).unwrap();
    assert!(read == expected, "flushed, then partly written over");
    file.sync_all().unwrap();
    drop(file);
    // Killed again with nobody left who could write anything again.
    pvol.detach(&lab).ok();
    lab.kill_array();
    lab.start_array();
    assert!(lab.read(PVOL, 1000, expected.len()) == expected, "durable");
    assert!(lab.read(PVOL, 20 * MIB + 333, later.len()) == later, "flushed after the restart");
}

#[test]
fn mistakes_and_absences_are_told_and_bounded() {
    let mut lab = lab(64 * MIB);
    let attach = |words: &[&str]| lab.program("horcm", [&["attach"], words].concat());
    let file = lab.path("pvol");
    let name = file.to_str().unwrap();
    let none = attach(&["62496:99", name]);
    assert!(none.fails(Code::ExEnoent).contains("Harddisk1 62496:18 (HITACHI OPEN-V)"), "{none}");
    attach(&["Harddisk77", name]).fails(Code::ExEnoent);
    attach(&["iscsi://127.0.0.1:9/iqn.2020-01.a:b/0", name]).fails(Code::ExCmdioe);
    assert!(!file.exists(), "nothing is made where nothing is attached");

    let pvol = Attached::with(&lab, &["-t", "2"], "ldev", "62496:18", "pvol");
    assert!(attach(&["62496:19", name]).fails(Code::ExEacces).contains("attached there already"));
    let held = OpenOptions::new().read(true).write(true).open(&file).unwrap();
    let busy = lab.program("horcm", ["detach", name]);
    assert!(busy.fails(Code::ExEacces).contains("in use by"), "{busy}");
    held.write_all_at(b"kept", 9).unwrap();
    drop(held);
    pvol.detach(&lab).ok();
    lab.program("horcm", ["detach", name]).fails(Code::ExEnoent);

    let pvol = Attached::with(&lab, &["-t", "2"], "ldev", "62496:18", "pvol");
    let held = OpenOptions::new().read(true).write(true).open(&file).unwrap();
    let mut read = [0; 4];
    held.read_exact_at(&mut read, 9).unwrap();
    assert_eq!(&read, b"kept");
    kill_under_writes(&mut lab, &held);
    let began = Instant::now();
    let failed = held.sync_all().unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    assert!((Duration::from_secs(2)..Duration::from_secs(30)).contains(&began.elapsed()));
    drop(held);
    let refused = pvol.detach(&lab);
    assert!(refused.fails(Code::ExCmdioe).contains("-force"), "{refused}");
    let lost = lab.program("horcm", ["detach", "-force", name]);
    assert!(lost.fails(Code::ExCmdioe).contains("bytes were not flushed"), "{lost}");
    let attach = |words: &[&str]| lab.program("horcm", [&["attach"], words].concat());
    attach(&["62496:18", name]).fails(Code::ExCmdioe);
}

/// Kills the array under writes without end, so that it has acknowledged some and flushed not all;
/// returns when they fail.
fn kill_under_writes(lab: &mut lab::Lab, file: &File) {
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while file.write_all_at(&[9; 512], 4096).is_ok() {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        });
        until("writes are acknowledged", || acknowledged.load(Ordering::Relaxed) > 100);
        lab.kill_array();
    });
}

#[test]
fn detach_tells_what_became_of_a_last_flush_that_came_after_the_unmount() {
    let mut lab = lab(64 * MIB);
    let pvol = Attached::with(&lab, &["-t", "1"], "ldev", "62496:18", "pvol");
    let file = OpenOptions::new().write(true).open(&pvol.file).unwrap();
    kill_under_writes(&mut lab, &file);
    drop(file);
    // Not by detach, which would flush before and keep the file.
    tool("umount", &[pvol.name()]).ok();
    for _ in 0..2 {
        let lost = pvol.detach(&lab);
        let said = lost.fails(Code::ExCmdioe);
        assert!(attached::is_gone(pvol.pid()), "{lost}");
        for part in ["OBJECT", "STATE : detached", "bytes were not flushed", "ACTION"] {
            assert!(said.contains(part), "{lost}");
        }
    }
    lab.start_array();
    let again = Attached::new(&lab, "62496:18", "pvol");
    again.detach(&lab).ok();
    again.detach(&lab).fails(Code::ExEnoent);
}

#[test]
fn detach_with_force_asks_nothing_of_a_process_that_hangs() {
    let lab = lab(64 * MIB);
    let pvol = Attached::new(&lab, "62496:18", "pvol");
    tool("kill", &["-STOP", &pvol.pid().to_string()]).ok();
    let began = Instant::now();
    let ended = lab.program("horcm", ["detach", "-force", pvol.name()]);
    assert!(ended.fails(Code::ExCmdioe).contains("it is not known"), "{ended}");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(attached::is_gone(pvol.pid()));
    assert_eq!(fs::metadata(&pvol.file).unwrap().len(), 0, "the file itself is there again");
}

#[test]
fn what_is_attached_under_another_root_is_left_alone() {
    let lab = lab(64 * MIB);
    let pvol = Attached::new(&lab, "62496:18", "pvol");
    let mut detach = lab.binary("horcm");
    detach.args(["detach", pvol.name()]).env("HORCMROOT", lab.path("another"));
    let output = detach.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(Code::ExEnoent.number().into()), "{said}");
    assert!(said.contains("set HORCMROOT as it was for attach"), "{said}");
    pvol.detach(&lab).ok();
}

#[test]
fn more_writes_than_are_carried_out_at_once_hold_up_nobody_who_asks() {
    let mut lab = lab(SIZE);
    let pvol = Attached::with(&lab, &["-t", "60"], "ldev", "62496:18", "pvol");
    let file = OpenOptions::new().write(true).open(&pvol.file).unwrap();
    lab.kill_array();
    let began = Instant::now();
    std::thread::scope(|scope| {
        // Each is a request of its own, of the largest size.
        for n in 0..100 {
            let file = &file;
            scope.spawn(move || file.write_all_at(&vec![1; MIB as usize], n * MIB));
        }
        let waits = |task: fs::DirEntry| {
            fs::read_to_string(task.path().join("wchan"))
                .is_ok_and(|at| at == "request_wait_answer")
        };
        until("all are in the hands of FUSE", || {
            let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
            tasks.map(waits).filter(|waits| *waits).count() == 100
        });
        let refused = lab.program("horcm", ["detach", "-force", pvol.name()]);
        assert!(refused.fails(Code::ExEacces).contains("in use by"), "{refused}");
        assert!(began.elapsed() < Duration::from_secs(30), "before the writes have given up");
        // They fail at once when their process is gone.
        lab::run::kill(pvol.pid());
    });
    drop(file);
    let detached = pvol.detach(&lab);
    assert!(detached.fails(Code::ExCmdioe).contains("it is not known"), "{detached}");
    lab.program("horcm", ["detach", pvol.name()]).fails(Code::ExEnoent);
}

#[test]
fn detach_with_force_lets_an_array_that_is_there_have_what_was_written() {
    let mut lab = lab(64 * MIB);
    let pvol = Attached::new(&lab, "62496:18", "pvol");
    let file = OpenOptions::new().write(true).open(&pvol.file).unwrap();
    let written = bytes::pattern(3, 40 << 20);
    file.write_all_at(&written, 0).unwrap();
    drop(file);
    lab.program("horcm", ["detach", "-force", pvol.name()]).ok();
    lab.kill_array();
    lab.start_array();
    assert!(lab.read(PVOL, 0, written.len()) == written);
}

#[test]
fn ext4_and_xfs_pass_fio_while_their_volume_is_split_resynced_and_its_array_killed() {
    for (kind, direct) in [("ext4", true), ("xfs", false)] {
        let mut lab = lab(SIZE);
        lab.start(&[50, 51]).ok();
        let pvol = Attached::new(&lab, "62496:18", "pvol");
        let disk = loop_device(&pvol.file, direct);
        let mut mkfs = vec!["-q", disk.path()];
        if kind == "xfs" {
            mkfs.insert(0, "-f");
        }
        tool(&format!("mkfs.{kind}"), &mkfs).ok();
        let mounted = attached::Mounted::new(disk.path(), &lab.path("mnt"), "rw");
        lab.cci(51, "paircreate -g snap -vr").ok();
        lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
        let directory = format!("--directory={}", mounted.path.display());
        let mut fio = attached::Load::start(&[
            "--name=load",
            &directory,
            "--size=24M",
            "--bs=4k",
            "--rw=randwrite",
            "--fsync=32",
            "--ioengine=libaio",
            "--direct=1",
            "--iodepth=16",
            "--verify=crc32c",
            "--loops=3",
            "--verify_fatal=1",
            "--verify_state_save=0",
            "--do_verify=1",
            "--rate_iops=1500",
        ]);
        for round in 0..3 {
            // Once as a power failure would leave it, twice at rest.
            let frozen = round > 0;
            let mut counter = File::create(mounted.path.join("round")).unwrap();
            counter.write_all(round.to_string().as_bytes()).unwrap();
            counter.sync_all().unwrap();
            if frozen {
                tool("fsfreeze", &["-f", mounted.name()]).ok();
            }
            let split = lab.cci(51, "pairsplit -g snap -rw");
            let split_done = lab.cci(51, "pairevtwait -g snap -s psus -ss ssus -t 60");
            if frozen {
                tool("fsfreeze", &["-u", mounted.name()]).ok();
            }
            split.ok();
            split_done.ok();
            judge(&lab, kind, frozen, round);
            lab.cci(51, "pairresync -g snap").ok();
            lab.cci(51, "pairevtwait -g snap -s pair -t 60").ok();
            if round == 1 {
                assert!(fio.runs(), "the load is over too early");
                lab.kill_array();
                until("the attachment finds no array", || pvol.says(&lab, "the array is not back"));
                lab.start_array();
            }
        }
        fio.passes();
        drop(mounted);
        check(kind, disk.path());
        drop(disk);
        pvol.detach(&lab).ok();
    }
}

/// The S-VOL holds a whole file system with what was synced before the split.
fn judge(lab: &lab::Lab, kind: &str, frozen: bool, round: u32) {
    let svol = Attached::new(lab, "62496:19", "svol");
    assert_eq!(SVOL, 19);
    let disk = loop_device(&svol.file, true);
    if frozen && kind == "ext4" {
        // A frozen ext4 leaves nothing in its journal.
        check(kind, disk.path());
    }
    // Mounting plays the log; a frozen XFS has its unmount record missing as well.
    // XFS refuses a second file system of one UUID unless told.
    let options = if kind == "xfs" { "nouuid" } else { "rw" };
    let mounted = attached::Mounted::new(disk.path(), &lab.path("svol.mnt"), options);
    let counter = fs::read_to_string(mounted.path.join("round")).unwrap();
    assert_eq!(counter, round.to_string(), "{kind}: what was synced before the split");
    drop(mounted);
    check(kind, disk.path());
    drop(disk);
    svol.detach(lab).ok();
}

fn check(kind: &str, disk: &str) {
    match kind {
        "ext4" => tool("e2fsck", &["-fn", disk]).ok().to_owned(),
        _ => tool("xfs_repair", &["-n", disk]).ok().to_owned(),
    };
}

#[test]
fn sigterm_and_umount_end_an_attachment_as_detach_does() {
    let lab = lab(64 * MIB);
    for signal in [true, false] {
        let pvol = Attached::new(&lab, "Harddisk1", "pvol");
        let pid = pvol.pid();
        let text = if signal { b"signal" } else { b"umount" };
        OpenOptions::new().write(true).open(&pvol.file).unwrap().write_all_at(text, 512).unwrap();
        if signal {
            tool("kill", &["-TERM", &pid.to_string()]).ok();
        } else {
            tool("umount", &[pvol.name()]).ok();
        }
        until("the attachment has ended", || attached::is_gone(pid));
        assert_eq!(fs::metadata(&pvol.file).unwrap().len(), 0, "the file itself is there again");
        let again = Attached::with(&lab, &["-r"], "ldev", "62496:18", "pvol");
        let mut read = [0; 6];
        File::open(&again.file).unwrap().read_exact_at(&mut read, 512).unwrap();
        assert_eq!(&read, text);
    }
}
