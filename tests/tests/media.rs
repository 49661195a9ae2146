//! Archives on their way back to the S-VOLs of their backup, where hosts, pairs and other backups
//! are in the way.

#[expect(dead_code, reason = "some of it is for tests of attachments")]
mod attached;
#[expect(dead_code, reason = "some of it is for tests of backups")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::{fs, os::unix::fs::FileExt, path::Path, process::Stdio};

use attached::{Mounted, tool};
use lab::Outcome;
use provider::{file_journal::FileJournal, guid::SetId, journal::Journal};
use shadowcopy::catalogue::{Backup, State, Store};
use volumes::Host;

const MIB: u64 = 1 << 20;

#[track_caller]
fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    for word in words.iter().chain(&["OBJECT : ", "STATE : ", "CAUSE : ", "ACTION : "]) {
        assert!(outcome.stdout.contains(word), "{word}: {outcome}");
    }
}

fn backup(host: &Host, id: &str) -> Backup {
    let store = Store::at(host.lab.root().join("drm/db"));
    store.get(id.parse().unwrap()).unwrap().backup
}

fn state(host: &Host, id: &str) -> State {
    backup(host, id).state
}

/// The two sets that the provider knows, that of the first backup first.
fn sets(host: &Host) -> [SetId; 2] {
    let mut journal = FileJournal::open(&host.lab.root().join("drm/sets")).unwrap();
    let found = journal.records().unwrap().records;
    let mut sets: Vec<_> = found.iter().map(|record| record.set).collect();
    sets.sort_by_key(|set| backup(host, "1").set != *set);
    sets.try_into().unwrap()
}

/// Archives a backup; where.
fn archive(host: &Host, id: &str) -> String {
    let archive = host.lab.path("archive").display().to_string();
    host.drm(&format!("drmmediabackup {id} {archive}")).ok();
    archive
}

/// What is in this file of both file systems of a backup.
#[track_caller]
fn in_copy(host: &Host, id: &str, name: &str) -> [String; 2] {
    let place = host.lab.path(&format!("copy{id}"));
    host.drm(&format!("drmmount {id} -mount_pt {}", place.display())).ok();
    let below = |at: &Path| place.join(at.strip_prefix("/").unwrap()).join(name);
    let read = [&host.a.at, &host.b.at].map(|at| fs::read_to_string(below(at)).unwrap());
    let group = backup(host, id).volumes[0].group.to_string();
    assert!(!hidden(host, &group));
    host.drm(&format!("drmumount {id}")).ok();
    read
}

/// Whether the S-VOLs of a group answer no INQUIRY.
#[track_caller]
fn hidden(host: &Host, group: &str) -> bool {
    let said = host.lab.cci(51, &format!("raidvchkdsp -g {group} -v gflag")).ok().to_owned();
    let mut rows = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let column = rows.next().unwrap().iter().position(|word| word.starts_with("GI")).unwrap();
    let flags: Vec<&str> = rows.map(|row| row[column]).collect();
    assert!(flags.len() == 2 && flags.iter().all(|flag| ["D", "E"].contains(flag)), "{said}");
    flags == ["D", "D"]
}

/// The S-VOLs of a group are not on this host, and hide.
#[track_caller]
fn gone(host: &Host, group: &str) {
    let luns = fs::read_dir(host.lab.root().join("drm/luns")).into_iter().flatten();
    assert_eq!(luns.count(), 0);
    assert!(hidden(host, group));
}

#[test]
fn an_archive_goes_back_to_its_s_vols_and_ends_what_lay_there_and_nothing_else() {
    let mut host = Host::new(32 * MIB);
    host.a.write("one", "first");
    host.b.write("one", "second");
    assert_eq!(host.back_up(), "0000000001");
    let archive = archive(&host, "1");
    host.a.write("one", "changed");
    assert_eq!(host.back_up(), "0000000002");
    // It takes the generation of the first.
    assert_eq!(host.back_up(), "0000000003");
    assert_eq!(in_copy(&host, "3", "one"), ["changed", "second"]);
    let restored = host.drm(&format!("drmmediarestore {archive}"));
    assert!(restored.ok().contains("KAVX0220-I"), "{restored}");
    assert!(restored.stdout.contains("Backup ID = 0000000003"), "{restored}");
    assert_eq!(restored.stdout.matches("KAVX0413-I").count(), 2, "{restored}");
    gone(&host, "snap");
    assert_eq!(state(&host, "3"), State::Overwritten);
    assert_eq!(state(&host, "2"), State::Consistent);
    assert_eq!(in_copy(&host, "1", "one"), ["first", "second"]);
    assert_eq!(in_copy(&host, "2", "one"), ["changed", "second"]);
    // Nor does the provider know of it any more.
    assert_eq!(sets(&host), ["1", "2"].map(|id| backup(&host, id).set));
    host.a.unmount();
    host.b.unmount();
    host.drm("drmfsrestore 1").ok();
    host.a.mount();
    host.b.mount();
    assert_eq!((host.a.read("one"), host.b.read("one")), ("first".into(), "second".into()));
    host.back_up();
}

#[test]
fn a_restore_that_breaks_off_leaves_no_backup_and_no_s_vol_in_sight_and_can_be_repeated() {
    let host = Host::new(32 * MIB);
    host.a.write("one", "first");
    host.b.write("one", "second");
    host.back_up();
    let archive = archive(&host, "1");
    host.a.write("one", "changed");
    host.back_up();
    assert_eq!(host.back_up(), "0000000003", "where the first was");
    let whole = fs::read(&archive).unwrap();
    let mut command = host.lab.command("drmmediarestore");
    let mut child = command.arg("-").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &whole[..whole.len() / 2]).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("KAVX0401-E"), "{said}");
    assert_eq!(["1", "3"].map(|id| state(&host, id)), [State::Overwritten, State::Overwritten]);
    gone(&host, "snap");
    host.drm(&format!("drmmediarestore {archive}")).ok();
    assert_eq!(in_copy(&host, "1", "one"), ["first", "second"]);
    // Nor does one that is kept lose what it has.
    host.drm("drmcgctl -lock 1").ok();
    let locked = host.drm(&format!("drmmediarestore {archive}"));
    assert!(locked.code == Some(1) && locked.stdout.contains("STATE : locked"), "{locked}");
    host.drm("drmcgctl -unlock 1").ok();
    assert_eq!(in_copy(&host, "1", "one"), ["first", "second"]);
}

#[test]
fn an_s_vol_that_follows_its_p_vol_or_another_one_is_not_written() {
    let mut host = Host::new(32 * MIB);
    host.back_up();
    let archive = archive(&host, "1");
    let other = host.back_up();
    host.drm("drmresync 1").ok();
    let restore = format!("drmmediarestore {archive}");
    let paired = host.drm(&restore);
    refused(
        &paired,
        &["KAVX0403-E", "STATE : P-VOL PAIR", "snap/dev1", "pairsplit -g snap -d dev1"],
    );
    // One of two is enough.
    host.lab.cci(50, "pairsplit -g snap -d dev1").ok();
    refused(&host.drm(&restore), &["KAVX0403-E", "STATE : P-VOL PAIR", "snap/dev2"]);
    host.lab.cci(50, "pairsplit -g snap -d dev2").ok();
    host.drm(&restore).ok();
    // The S-VOLs change their P-VOLs, first in the configuration, then in the array.
    let conf = fs::read_to_string(host.lab.conf("horcm51.conf")).unwrap();
    let swapped = conf.replace(" 19 0", " x 0").replace(" 21 0", " 19 0").replace(" x 0", " 21 0");
    let configured = |host: &mut Host, text: &str| {
        host.lab.shut_down(&[51]).ok();
        fs::write(host.lab.conf("horcm51.conf"), text).unwrap();
        host.lab.start(&[51]).ok();
    };
    host.lab.cci(50, "pairsplit -g snap -S").ok();
    refused(&host.drm(&restore), &["KAVX0403-E", "STATE : SMPL", "paircreate"]);
    configured(&mut host, &swapped);
    host.lab.cci(50, "paircreate -g snap -vl -split").ok();
    host.lab.cci(50, "pairevtwait -g snap -s psus -t 60").ok();
    let before = [19, 21].map(|ldev| host.lab.read(ldev, 0, 4 << 20));
    let elsewhere = host.drm(&restore);
    refused(&elsewhere, &["KAVX0403-E", "STATE : paired with LDEV 21 ", "-pvol"]);
    configured(&mut host, &conf);
    let foreign = host.drm(&restore);
    refused(&foreign, &["KAVX0403-E", "no pair of these two volumes", "pairdisplay"]);
    let after = [19, 21].map(|ldev| host.lab.read(ldev, 0, 4 << 20));
    assert!(before == after, "it was written");
    assert_eq!(state(&host, &other), State::Consistent);
}

/// A partition table of two halves (MBR).
fn halves(bytes: u64) -> [u8; 512] {
    let mut table = [0; 512];
    let half = u32::try_from(bytes / 2 / 512).unwrap();
    for (entry, from) in [(446, 2048), (462, half)] {
        table[entry + 4] = 0x83;
        table[entry + 8..entry + 12].copy_from_slice(&u32::to_le_bytes(from));
        table[entry + 12..entry + 16].copy_from_slice(&u32::to_le_bytes(half - 2048));
    }
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    table
}

#[test]
fn two_file_systems_on_partitions_of_one_lun_come_back() {
    let mut host = Host::new(64 * MIB);
    let disk = host.b.unmount();
    let file = fs::OpenOptions::new().write(true).open(&disk).unwrap();
    file.write_all_at(&halves(64 * MIB), 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    tool("partx", &["--add", &disk]).ok();
    let mount = |number| {
        let part = format!("{disk}p{number}");
        Mounted::new(&part, &host.lab.path(&format!("part{number}")), "rw")
    };
    let parts = [1, 2].map(|number| {
        tool("mkfs.ext4", &["-q", &format!("{disk}p{number}")]).ok();
        mount(number)
    });
    let both = || parts.each_ref().map(|part| part.path.join("file"));
    let write = |text: &str| both().map(|file| fs::write(file, text).unwrap());
    write("first");
    let list = host.lab.path("parts");
    fs::write(&list, format!("{}\n{}\n", parts[0].name(), parts[1].name())).unwrap();
    host.drm(&format!("drmfsbackup {}", list.display())).ok();
    let archive = archive(&host, "1");
    write("changed");
    host.drm(&format!("drmfsbackup {} -rc local_0", list.display())).ok();
    let restored = host.drm(&format!("drmmediarestore {archive}"));
    assert_eq!(restored.ok().matches("KAVX0413-I").count(), 1, "one LUN: {restored}");
    // Not every kernel looks for partitions by itself: the P-VOL's are known to this one.
    let files = both();
    drop(parts);
    host.drm("drmfsrestore 1").ok();
    let parts = [1, 2].map(mount);
    assert_eq!(files.map(|file| fs::read_to_string(file).unwrap()), ["first", "first"]);
    drop(parts);
    tool("partx", &["--delete", &disk]).ok();
}
