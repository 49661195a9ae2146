//! The commands of the catalogue and of archives, through the real binary. No array runs: what
//! they work on is a catalogue, and files in place of S-VOLs. One needs root, for a small file
//! system of its own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lab::{
    Outcome, binaries,
    run::{kill, run},
};
use model::{LdevId, MuNumber, Serial, VolumeId};
use provider::guid::{Guid, SetId};
use shadowcopy::{
    archive::{
        content::Contents,
        frame::{Format, Writer},
    },
    catalogue::{
        Backup, BackupId, State, Store, artifact,
        record::{Mode, Participant, Volume},
    },
    step::Step,
    writer::{Artifact, Metadata},
};

/// An installation of its own: `$HORCMROOT` and a directory for files.
struct Host {
    place: tempfile::TempDir,
    /// Such as `16 MiB of pattern with holes`.
    volumes: Vec<PathBuf>,
}

impl Host {
    fn new() -> Self {
        Self { place: tempfile::tempdir().unwrap(), volumes: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn store(&self) -> Store {
        Store::at(self.path("drm/db"))
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split(' ');
        let mut command = Command::new(binaries::folder().join("drm"));
        command.arg(words.next().unwrap()).args(words).current_dir(self.place.path());
        command.env("HORCMROOT", self.place.path()).env("TZ", "UTC").env_remove("DRM_DB_PATH");
        command
    }

    #[track_caller]
    fn drm(&self, line: &str) -> Outcome {
        self.drm_with(line, b"")
    }

    #[track_caller]
    fn drm_with(&self, line: &str, input: &[u8]) -> Outcome {
        run(self.command(line), line.to_owned(), input, Duration::from_secs(120))
    }

    /// A backup of LDEVs 18 and 19 in MU# 0, as drmdbbackup would leave it, and its S-VOLs.
    fn back_up(&mut self) -> BackupId {
        let store = self.store();
        let claim = store.claim("drmdbbackup").unwrap();
        let number = u128::try_from(store.list().unwrap().backups.len()).unwrap();
        let began = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let backup = |id| Backup {
            id,
            set: SetId(Guid(0x1234_5678 + number)),
            command: "drmdbbackup".to_owned(),
            mode: Mode::Online,
            comment: "weekly".to_owned(),
            began,
            ended: Some(began + Duration::from_secs(61)),
            state: State::Consistent,
            generation: MuNumber::default(),
            volumes: vec![volume(18), volume(19)],
            writers: vec![Participant {
                metadata: Metadata {
                    name: "postgresql/main".to_owned(),
                    version: "15.4".to_owned(),
                    limit: None,
                    paths: vec!["/mnt/18".into()],
                },
                fault: None,
                kind: None,
                artifacts: vec!["backup_label".to_owned()],
            }],
            evidence: vec![(Step::Commit, 1_234_567)],
            held: Some(98_765),
            locked: false,
            reading: false,
            restoring: None,
            mounted: Vec::new(),
        };
        let id = store.begin(&claim, backup).unwrap().id;
        let label = Artifact { name: "backup_label".to_owned(), bytes: LABEL.to_vec() };
        store.put_artifact(id, "postgresql/main", &label).unwrap();
        self.volumes = vec![self.path("svol18"), self.path("svol19")];
        fs::write(&self.volumes[0], pattern(5 << 20, 1)).unwrap();
        let sparse = fs::File::create(&self.volumes[1]).unwrap();
        sparse.set_len(3 << 30).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&sparse, &pattern(70_001, 2), (2 << 30) + 5)
            .unwrap();
        id
    }

    /// Archives the backup's S-VOLs.
    #[track_caller]
    fn archive(&self, archive: &str) -> Outcome {
        self.drm(&format!("mediabackup 1 {archive} -f svol18 svol19"))
    }
}

const LABEL: &[u8] = b"START WAL LOCATION: 0/2000028\n\xff\0";

fn volume(ldev: u32) -> Volume {
    let id =
        |ldev| VolumeId { serial: Serial::new(62_496).unwrap(), ldev: LdevId::new(ldev).unwrap() };
    Volume {
        mount: format!("/mnt/{ldev}").into(),
        device: format!("/dev/loop{ldev}").into(),
        file_system: "ext4".to_owned(),
        group: "snap".parse().unwrap(),
        name: format!("snapdev{ldev}").parse().unwrap(),
        primary: id(ldev),
        secondary: id(ldev + 100),
    }
}

/// Bytes that do not compress, the same each time.
fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Whether a file is the second, sparse S-VOL.
#[track_caller]
fn assert_is_sparse_volume(path: &Path) {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let file = fs::File::open(path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 3 << 30);
    let mut bytes = vec![0; 70_001 + 200_000];
    file.read_exact_at(&mut bytes, (2 << 30) + 5 - 100_000).unwrap();
    assert!(bytes[100_000..170_001] == pattern(70_001, 2)[..]);
    assert!(bytes[..100_000].iter().chain(&bytes[170_001..]).all(|byte| *byte == 0));
    let stored = file.metadata().unwrap().blocks() * 512;
    assert!(stored < 1 << 20, "it is written out: {stored} bytes");
}

fn is_told(outcome: &Outcome, message: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains(message) && outcome.stderr.is_empty(), "{outcome}");
    for word in ["CAUSE : ", "ACTION : "] {
        assert!(outcome.stdout.contains(word), "{outcome}");
    }
}

#[test]
fn the_binary_lists_links_and_explains_every_command() {
    let host = Host::new();
    let names = host.drm("--list");
    host.drm("link bin").ok();
    for name in names.ok().lines() {
        let short = name.strip_prefix("drm").unwrap_or(name);
        let by_link = Command::new(host.path("bin").join(name)).arg("-h").output().unwrap();
        let by_link = String::from_utf8(by_link.stdout).unwrap();
        assert!(by_link.contains(&format!("Usage  : {name} [options]")), "{name}: {by_link}");
        assert_eq!(host.drm(&format!("{name} -h")).ok(), by_link, "{name}");
        assert_eq!(host.drm(&format!("{short} -h")).ok(), by_link, "{short}");
        let wrong = host.drm(&format!("{name} -bogus"));
        assert_eq!(wrong.code, Some(2), "{wrong}");
        assert!(wrong.stdout.starts_with("KAVX0050-E"), "{wrong}");
    }
    assert!(names.ok().contains("drmfscat\n") && names.ok().contains("shadowadmin\n"));
}

#[test]
fn an_empty_catalogue_is_told_and_not_made() {
    let host = Host::new();
    assert_eq!(host.drm("fscat").ok(), "KAVX0203-I No backup in the backup catalog matches.\n");
    assert_eq!(host.drm("fscat -json").ok(), "[]\n");
    assert!(!host.path("drm").exists());
    let unknown = host.drm("fscat -backup_id 7");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stdout.starts_with(
            "KAVX0201-E The backup catalog has no such backup. Backup ID = 0000000007\n"
        )
    );
}

#[test]
fn a_backup_is_listed_by_volume_by_writer_and_for_programs() {
    let mut host = Host::new();
    host.back_up();
    let list = host.drm("fscat");
    let expected = "\
BACKUP-ID  MODE   GENERATION STATE      START-TIME          END-TIME            KEPT MOUNT-POINT FS   GROUP NAME      P-VOL    S-VOL     COMMENT
0000000001 ONLINE local_0    CONSISTENT 2026/01/01T00:00:00 2026/01/01T00:01:01 -    /mnt/18     ext4 snap  snapdev18 62496:18 62496:118 weekly
0000000001 ONLINE local_0    CONSISTENT 2026/01/01T00:00:00 2026/01/01T00:01:01 -    /mnt/19     ext4 snap  snapdev19 62496:19 62496:119 weekly
";
    assert_eq!(list.ok(), expected);
    assert_eq!(host.drm("fscat /mnt/19/").ok(), expected);
    assert_eq!(host.drm("fscat -comment weekly").ok(), expected);
    for nothing in ["fscat /mnt/20", "fscat -comment daily", "dbcat mariadb"] {
        assert!(host.drm(nothing).ok().starts_with("KAVX0203-I"), "{nothing}");
    }
    let rows = host.drm("dbcat postgresql");
    assert!(rows.ok().contains("postgresql/main 15.4    backup_label -\n"), "{rows}");
    let json: serde_json::Value = serde_json::from_str(host.drm("fscat -json").ok()).unwrap();
    let one = &json[0];
    assert_eq!(one["backup_id"], "0000000001");
    assert_eq!(one["state"], "consistent");
    assert_eq!(one["began"], "2026-01-01T00:00:00Z");
    assert_eq!(one["frozen_microseconds"], 98_765);
    assert_eq!(one["volumes"][1]["secondary_ldev"], 119);
    assert_eq!(one["writers"][0]["artifacts"][0], "backup_label");
    assert_eq!(one["steps"][0]["step"], "commit");
    let shadows = host.drm("shadowadmin list shadows");
    let head = "Contents of shadow copy set ID: {00000000-0000-0000-0000-000012345678}\n   \
                Contained 2 shadow copies at creation time: 2026/01/01T00:00:00\n";
    assert!(shadows.ok().starts_with(head), "{shadows}");
}

#[test]
fn writers_are_asked_at_once_and_show_how_they_are() {
    let mut host = Host::new();
    let none = host.drm("shadowadmin list writers");
    assert_eq!(none.ok(), "The configuration has no writer.\n");
    host.back_up();
    let folder = host.path("programs");
    fs::create_dir(&folder).unwrap();
    for (name, does) in [
        ("10-app", "echo '{\"name\":\"app/x\",\"version\":\"7\",\"paths\":[\"/srv\"]}'"),
        ("20-down", "echo not running >&2; exit 75"),
        ("30-hangs", "exec sleep 1000"),
        ("40-hangs", "exec sleep 1000"),
    ] {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir_all(host.path("etc")).unwrap();
    let text = format!(
        "[postgresql.main]\nconnection = \"host={0}/none\"\n[programs]\ndirectory = \"{0}/programs\"\n\
         [hooks]\ndirectory = \"{0}/none\"\n",
        host.place.path().display()
    );
    fs::write(host.path("etc/shadowcopy.toml"), text).unwrap();
    let began = Instant::now();
    let listed = host.drm("shadowadmin list writers");
    assert!(began.elapsed() < Duration::from_secs(9), "one after the other: {listed}");
    let blocks: Vec<&str> = listed.ok().split("\n\n").collect();
    let [postgresql, app, down, hangs, _, hooks] = blocks.as_slice() else { panic!("{listed}") };
    let failed = "   Version: -\n   State: [6] Failed\n   Last error: ";
    assert!(
        postgresql.starts_with(&format!("Writer name: 'postgresql/main'\n{failed}")),
        "{listed}"
    );
    assert!(postgresql.ends_with("\n   Last backup: 0000000001"), "{listed}");
    let fine = "Writer name: 'app/x'\n   Version: 7\n   State: [1] Stable\n   \
                Last error: No error\n   Last backup: -";
    assert_eq!(*app, fine, "{listed}");
    let words = "Retryable error: 20-down describe: exit code 75: not running\n";
    assert!(down.starts_with(&format!("Writer name: '20-down'\n{failed}{words}")), "{listed}");
    assert!(hangs.contains(&format!("'30-hangs'\n{failed}Timed out: ")), "{listed}");
    assert!(hooks.contains(&format!("'hooks'\n{failed}Non-retryable error: ")), "{listed}");
    let json = host.drm("shadowadmin list writers -json");
    let json: serde_json::Value = serde_json::from_str(json.ok()).unwrap();
    assert_eq!(json[0]["last_backup"], "0000000001");
    assert_eq!(json[1]["name"], "app/x");
    assert_eq!(json[1]["state"], "[1] Stable");
    assert!(json[1]["last_error"].is_null() && json[1]["last_backup"].is_null());
    assert!(json[3]["last_error"].as_str().unwrap().starts_with("Timed out: "));
}

#[test]
fn a_lock_shows_and_goes() {
    let mut host = Host::new();
    host.back_up();
    let locked = host.drm("cgctl -lock 1");
    assert_eq!(
        locked.ok(),
        "KAVX0001-I The drmcgctl command will now start.\n\
         KAVX0210-I The backup is locked. Backup ID = 0000000001\n\
         KAVX0002-I The drmcgctl command will now end.\n"
    );
    assert!(host.drm("fscat").ok().contains(" locked "));
    host.drm("cgctl -unlock 0000000001").ok();
    assert!(!host.drm("fscat").ok().contains(" locked "));
    host.store().update(BackupId::FIRST, |backup| backup.mounted.push("/gone".into())).unwrap();
    host.drm("cgctl -unlock 1").ok();
    assert!(host.store().get(BackupId::FIRST).unwrap().backup.mounted.is_empty());
    host.store().update(BackupId::FIRST, |backup| backup.mounted.push("/".into())).unwrap();
    is_told(&host.drm("cgctl -unlock 1"), "KAVX0206-E The backup is still mounted.");
    host.store().update(BackupId::FIRST, |backup| backup.state = State::Overwritten).unwrap();
    is_told(&host.drm("cgctl -lock 1"), "KAVX0205-E");
}

#[test]
fn an_export_goes_to_another_host_and_a_damaged_one_changes_nothing() {
    let (mut here, there) = (Host::new(), Host::new());
    here.back_up();
    let file = there.path("catalogue.drm");
    let export = here.drm(&format!("dbexport {}", file.display()));
    assert!(export.ok().contains("KAVX0212-I 1 backups were exported."), "{export}");
    is_told(&here.drm(&format!("dbexport {}", file.display())), "something is there already");
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&file, &damaged).unwrap();
    is_told(&there.drm("dbimport catalogue.drm"), "nothing of it was imported");
    assert_eq!(there.drm("fscat -json").ok(), "[]\n");
    fs::write(&file, &whole).unwrap();
    there.drm("dbimport catalogue.drm").ok();
    assert_eq!(there.drm("fscat").ok(), here.drm("fscat").ok());
    let artifacts = there.store().artifacts(BackupId::FIRST).unwrap();
    assert_eq!(artifacts[0].1.bytes, LABEL);
    // Another backup of this ID is there.
    let mut third = Host::new();
    third.back_up();
    third.store().update(BackupId::FIRST, |backup| backup.set = SetId(Guid(9))).unwrap();
    is_told(&third.drm(&format!("dbimport {}", file.display())), "KAVX0200-E");
}

/// A tmpfs over a folder, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let size = format!("size={size}");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &size, "db"]).arg(&folder).status().unwrap();
        assert!(status.success(), "mount; it needs root");
        Self(folder)
    }

    /// Bytes that are free.
    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        stat.f_bfree * stat.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The catalogue can be read and written, and nothing of an import lies in it.
#[track_caller]
fn is_in_order(host: &Host, backups: usize) {
    host.drm("cgctl -lock 1").ok();
    host.drm("cgctl -unlock 1").ok();
    let listed = host.drm("fscat -json");
    let json: serde_json::Value = serde_json::from_str(listed.ok()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), backups, "{listed}");
    for name in ["incoming", "incoming.unfinished"] {
        assert!(!host.path("drm/db").join(name).exists(), "{name}");
    }
}

#[test]
fn an_import_that_finds_no_room_leaves_the_catalogue_as_it_was() {
    let mut here = Host::new();
    here.back_up();
    let second = here.back_up();
    for (kib, fits) in [(600, true), (1500, false)] {
        let large = Artifact { name: "large".to_owned(), bytes: pattern(kib << 10, 5) };
        here.store().put_artifact(second, "app", &large).unwrap();
        let file = here.path(&format!("export{kib}"));
        here.drm(&format!("dbexport {} 2", file.display())).ok();
        let mut there = Host::new();
        let disk = SmallDisk::mount(there.path("drm/db"), "1m");
        there.back_up();
        let before = disk.free();
        let import = there.drm(&format!("dbimport {}", file.display()));
        if fits {
            // It takes the room of what it brings, once.
            assert!(import.ok().contains("KAVX0213-I 1 backups were imported."), "{import}");
            is_in_order(&there, 2);
        } else {
            is_told(&import, "No space left on device");
            is_in_order(&there, 1);
            assert_eq!(disk.free(), before, "something was left");
        }
    }
}

#[test]
fn an_import_that_is_not_let_write_or_is_killed_at_it_is_in_nobodys_way() {
    let (mut here, mut there) = (Host::new(), Host::new());
    here.back_up();
    let second = here.back_up();
    let large = Artifact { name: "large".to_owned(), bytes: pattern(300 << 10, 5) };
    here.store().put_artifact(second, "app", &large).unwrap();
    let file = here.path("export");
    here.drm(&format!("dbexport {} 2", file.display())).ok();
    there.back_up();
    // The limit's signal kills, unless it is ignored: then the write fails.
    for (trap, killed) in [("", true), ("trap '' XFSZ; ", false)] {
        let mut limited = Command::new("sh");
        let script = format!("{trap}ulimit -f 100; exec \"$@\"");
        let drm = there.command(&format!("dbimport {}", file.display()));
        limited.args(["-c", &script, "sh"]).arg(drm.get_program()).args(drm.get_args());
        limited
            .current_dir(there.path(""))
            .env("HORCMROOT", there.path(""))
            .env_remove("DRM_DB_PATH");
        let import = run(limited, "drm dbimport".to_owned(), b"", Duration::from_secs(60));
        if killed {
            assert_eq!(import.code, None, "{import}");
            let left = there.path("drm/db/incoming.unfinished");
            assert!(left.exists(), "it was not killed in the middle");
        } else {
            is_told(&import, "File too large");
        }
        is_in_order(&there, 1);
    }
    there.drm(&format!("dbimport {}", file.display())).ok();
    is_in_order(&there, 2);
}

#[test]
fn a_damaged_record_is_told_beside_the_listing_of_the_rest() {
    let mut host = Host::new();
    host.back_up();
    host.back_up();
    fs::write(host.path("drm/db/backups/0000000001.json"), "{\"version\":").unwrap();
    let list = host.drm("fscat");
    assert!(list.ok().contains("0000000002") && !list.ok().contains("0000000001"), "{list}");
    assert!(list.stderr.starts_with("KAVX0202-W"), "{list}");
    assert!(list.stderr.contains("drm/db/damaged/0000000001.json.1"), "{list}");
}

#[test]
fn volumes_come_back_from_an_archive_as_they_were() {
    let mut host = Host::new();
    host.back_up();
    let archived = host.archive("tape");
    assert!(archived.ok().contains("KAVX0410-I 100 % of 3077 MiB done.\n"), "{archived}");
    assert!(archived.ok().contains("KAVX0411-I 3077 MiB of volumes were archived in "));
    let length = fs::metadata(host.path("tape")).unwrap().len();
    assert!(length < 6 << 20, "zeros were stored: {length}");
    assert!(host.drm("mediarestore -verify tape").ok().contains("KAVX0412-I"));
    let listed = host.drm("mediarestore -list tape -json");
    let json: serde_json::Value = serde_json::from_str(listed.ok()).unwrap();
    assert_eq!(json["backup_id"], "0000000001");
    // To files that are not there, and to one that is and holds something else.
    fs::write(host.path("old"), pattern(5 << 20, 9)).unwrap();
    let restored = host.drm("mediarestore tape -f old new");
    assert!(restored.ok().contains("KAVX0413-I The volume was restored. volume = new\n"));
    assert!(fs::read(host.path("old")).unwrap() == pattern(5 << 20, 1));
    assert_is_sparse_volume(&host.path("new"));
    host.drm("mediarestore -artifacts labels tape").ok();
    assert_eq!(fs::read(host.path("labels/postgresql%2fmain/backup_label")).unwrap(), LABEL);
    is_told(&host.drm("mediarestore -artifacts labels tape"), "KAVX0214-E");
}

#[test]
fn an_archive_goes_through_a_pipe_with_its_messages_beside_it() {
    let mut host = Host::new();
    host.back_up();
    fs::write(&host.volumes[1], pattern(100_000, 3)).unwrap();
    let line = "mediabackup 1 - -f svol18 svol19";
    let output = host.command(line).output().unwrap();
    assert!(output.status.success());
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.starts_with("KAVX0001-I The drmmediabackup command will now start.\n"));
    let restored = host.drm_with("mediarestore - -f a b", &output.stdout);
    assert_eq!(restored.ok(), "");
    assert!(fs::read(host.path("a")).unwrap() == pattern(5 << 20, 1));
    assert!(fs::read(host.path("b")).unwrap() == pattern(100_000, 3));
    // A stream that breaks off leaves no file behind that looks like a volume.
    let cut = &output.stdout[..output.stdout.len() - 44];
    let torn = host.drm_with("mediarestore - -f c d", cut);
    assert_eq!(torn.code, Some(1), "{torn}");
    assert!(torn.stderr.contains("it ends before its end frame"), "{torn}");
    assert!(!host.path("c").exists() && !host.path("d").exists());
}

#[test]
fn a_damaged_archive_writes_nothing_over_a_volume() {
    let mut host = Host::new();
    host.back_up();
    host.archive("tape").ok();
    let whole = fs::read(host.path("tape")).unwrap();
    fs::write(host.path("old"), pattern(5 << 20, 9)).unwrap();
    for at in [3, 20, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(host.path("tape"), &damaged).unwrap();
        is_told(&host.drm("mediarestore tape -f old new"), "KAVX0401-E");
        is_told(&host.drm("mediarestore -verify tape"), "KAVX0401-E");
    }
    assert!(fs::read(host.path("old")).unwrap() == pattern(5 << 20, 9));
    assert!(!host.path("new").exists());
}

/// An archive of the first backup, of empty volumes, with these files of writers.
fn made_up(host: &Host, name: &str, artifacts: &[(String, Artifact)]) {
    let contents =
        Contents { backup: host.store().get(BackupId::FIRST).unwrap().backup, sizes: vec![0, 0] };
    let mut frames = Writer::new(Vec::new(), Format::Archive).unwrap();
    frames.frame(1, &[&serde_json::to_vec(&contents).unwrap()]).unwrap();
    for (writer, file) in artifacts {
        let (names, bytes) = artifact::encode(writer, file);
        frames.frame(2, &[&names, bytes]).unwrap();
    }
    for volume in 0..2_u32 {
        frames.frame(3, &[&volume.to_le_bytes()]).unwrap();
    }
    fs::write(host.path(name), frames.finish().unwrap().0).unwrap();
}

#[test]
fn a_hostile_archive_is_refused_by_its_name_and_the_limit_before_anything_is_written() {
    let mut host = Host::new();
    host.back_up();
    let file = |writer: usize, bytes: usize| {
        (writer.to_string(), Artifact { name: "f".to_owned(), bytes: vec![0; bytes] })
    };
    made_up(&host, "many", &(0..=1024).map(|n| file(n, 1)).collect::<Vec<_>>());
    made_up(&host, "much", &(0..17).map(|n| file(n, 16 << 20)).collect::<Vec<_>>());
    made_up(&host, "long", &[("w".repeat(300), file(0, 1).1)]);
    made_up(&host, "fine", &(0..1024).map(|n| file(n, 1)).collect::<Vec<_>>());
    for (archive, limit) in [("many", "1024 files"), ("much", "256 MiB"), ("long", "200 bytes")] {
        for line in ["-verify", "-artifacts out", "-f a b"] {
            let refused = host.drm(&format!("mediarestore {archive} {line}"));
            is_told(
                &refused,
                &format!("KAVX0401-E The archive cannot be read. archive = {archive}\n"),
            );
            assert!(refused.stdout.contains(limit), "{limit}: {refused}");
            for made in ["out", "a", "b"] {
                assert!(!host.path(made).exists(), "{made}: {refused}");
            }
        }
    }
    host.drm("mediarestore fine -artifacts out").ok();
    assert_eq!(fs::read_dir(host.path("out")).unwrap().count(), 1024);
}

#[test]
fn a_volume_of_another_size_or_in_use_or_the_archive_itself_is_refused() {
    let mut host = Host::new();
    host.back_up();
    host.archive("tape").ok();
    fs::write(host.path("short"), "x").unwrap();
    is_told(&host.drm("mediarestore tape -f short new"), "STATE : 1 bytes");
    assert!(!host.path("new").exists(), "a file was left");
    fs::write(host.path("used"), pattern(5 << 20, 9)).unwrap();
    let user = fs::File::open(host.path("used")).unwrap();
    is_told(&host.drm("mediarestore tape -f used new"), "STATE : in use");
    drop(user);
    for line in ["mediarestore tape -f used", "mediarestore tape -f used new third"] {
        let wrong = host.drm(line);
        assert_eq!(wrong.code, Some(2), "{wrong}");
    }
    let mut broken = host.store().get(BackupId::FIRST).unwrap().backup;
    broken.state = State::Overwritten;
    host.store().update(BackupId::FIRST, |backup| *backup = broken).unwrap();
    is_told(&host.archive("second"), "KAVX0205-E");
    is_told(&host.archive("tape"), "KAVX0205-E");
}

#[test]
fn an_archive_is_there_whole_or_not_at_all() {
    let mut host = Host::new();
    host.back_up();
    host.archive("tape").ok();
    is_told(&host.archive("tape"), "something is there already");
    is_told(&host.archive("missing/tape"), "KAVX0400-E");
    is_told(&host.drm("mediabackup 1 other -f svol18 nowhere"), "KAVX0402-E");
    assert!(!host.path("other").exists());
    // Killed while it writes: the archive is not there under its name.
    let first = fs::File::create(&host.volumes[0]).unwrap();
    first.set_len(1 << 40).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&first, &pattern(20 << 20, 4), 0).unwrap();
    let mut child = host.command("mediabackup 1 killed -f svol18 svol19").spawn().unwrap();
    let unfinished = host.path("killed.unfinished");
    let begun = SystemTime::now();
    while !fs::metadata(&unfinished).is_ok_and(|metadata| metadata.len() > 1000) {
        assert!(begun.elapsed().unwrap() < Duration::from_secs(60), "it does not write");
        assert!(
            child.try_wait().unwrap().is_none()
                || unfinished.exists()
                || host.path("killed").exists()
        );
        if host.path("killed").exists() {
            return; // It was faster than this look; nothing to kill.
        }
        std::thread::yield_now();
    }
    kill(child.id());
    child.wait().unwrap();
    if !host.path("killed").exists() {
        fs::remove_file(&host.volumes[0]).unwrap();
        fs::write(&host.volumes[0], pattern(5 << 20, 1)).unwrap();
        host.archive("killed").ok();
        host.drm("mediarestore -verify killed").ok();
    }
}
