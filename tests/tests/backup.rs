//! The `drm` commands before real daemons, a real array, and file systems on attached LUNs.

#[expect(dead_code, reason = "some of it is for tests of attachments")]
mod attached;
#[path = "backup/volumes.rs"]
mod volumes;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use attached::tool;
use lab::{Outcome, lab::until, run};
use shadowcopy::{
    catalogue::{Backup, Store},
    step::Step,
};
use volumes::{Host, backup_id, is_thawed};

const MIB: u64 = 1 << 20;

#[track_caller]
fn refused(outcome: &Outcome, message: &str, words: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains(message), "{message}: {outcome}");
    assert!(outcome.stdout.contains(words), "{words}: {outcome}");
    assert!(outcome.stdout.contains("ACTION : "), "{outcome}");
}

/// What a command says, without what differs from run to run.
fn said(host: &Host, line: &str) -> String {
    let dir = host.lab.path("");
    let said = host.drm(line).ok().replace(dir.to_str().unwrap(), "/");
    let plain = |line: &str| match line.split_once("time = ") {
        Some((head, _)) => format!("{head}time ="),
        None => line.to_owned(),
    };
    said.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Unmounts both file systems and takes away what they begin with.
fn wipe(host: &mut Host) {
    for volume in [&mut host.a, &mut host.b] {
        let disk = volume.unmount();
        let wiped = fs::OpenOptions::new().write(true).open(disk).unwrap();
        wiped.write_all_at(&vec![0; 8 << 20], 0).unwrap();
        wiped.sync_all().unwrap();
    }
}

#[test]
fn a_backup_is_made_mounted_archived_restored_and_given_up() {
    let mut host = Host::new(64 * MIB);
    host.a.write("one", "first");
    host.b.write("two", "second");
    let list = host.both();
    assert_eq!(
        said(&host, &format!("drmfsbackup {list} -comment nightly")),
        "KAVX0001-I The drmfsbackup command will now start.\n\
         KAVX1600-I Backup processing will now start.\n\
         KAVX0040-I The backup ID has been assigned as follows.\n\
         Backup ID = 0000000001\n\
         KAVX5103-I The file systems were frozen. time =\n\
         KAVX1601-I Backup processing has finished.\n\
         KAVX0002-I The drmfsbackup command will now end."
    );
    host.a.write("one", "changed");
    let full = host.lab.path("full");
    fs::create_dir(&full).unwrap();
    // Two file systems go below the place, as they are below /.
    let used = full.join(host.a.at.strip_prefix("/").unwrap());
    fs::create_dir_all(&used).unwrap();
    fs::write(used.join("file"), "seen").unwrap();
    let behind = host.drm(&format!("drmmount 1 -mount_pt {}", full.display()));
    refused(&behind, "KAVX0111-E", "there are files in it");
    assert_eq!(fs::read_to_string(used.join("file")).unwrap(), "seen");
    host.drm("drmcgctl -lock 1").ok();
    let place = host.lab.path("copy");
    let (a, b) = (host.a.at.clone(), host.b.at.clone());
    let below = |at: &Path, name: &str| place.join(at.strip_prefix("/").unwrap()).join(name);
    let mounted = said(&host, &format!("drmmount 0000000001 -mount_pt {}", place.display()));
    assert_eq!(mounted.matches("KAVX0114-I The backup was mounted. mount point = ").count(), 2);
    assert_eq!(fs::read_to_string(below(&a, "one")).unwrap(), "first");
    assert_eq!(fs::read_to_string(below(&b, "two")).unwrap(), "second");
    assert!(fs::write(below(&a, "one"), "no").is_err(), "it is mounted for reading");
    host.drm("drmmount 1").ok();
    for line in
        [format!("drmfsbackup {list} -rc local_0"), "drmfsrestore 1".into(), "drmresync 1".into()]
    {
        refused(&host.drm(&line), "KAVX0", "mounted");
    }
    let unmounted = said(&host, "drmumount 1");
    assert_eq!(unmounted.matches("KAVX0115-I The backup was unmounted. mount point = ").count(), 2);
    host.drm("drmumount 1").ok();
    assert!(!below(&a, "one").exists());

    let listed = host.drm("drmfscat").ok().to_owned();
    for word in
        ["0000000001", "CONSISTENT", "locked", "nightly", a.to_str().unwrap(), b.to_str().unwrap()]
    {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    host.drm("drmcgctl -unlock 1").ok();
    let archive = host.lab.path("archive").display().to_string();
    let archived = said(&host, &format!("drmmediabackup 0000000001 {archive}"));
    assert!(archived.starts_with("KAVX0001-I The drmmediabackup command will now start."));
    assert!(archived.contains("KAVX0411-I 128 MiB of volumes were archived in "), "{archived}");
    assert!(archived.ends_with("KAVX0002-I The drmmediabackup command will now end."));
    let verified = said(&host, &format!("drmmediarestore {archive} -verify"));
    assert!(verified.contains("KAVX0412-I The archive is whole."), "{verified}");

    refused(&host.drm("drmfsrestore 1"), "KAVX0113-E", "is mounted at");
    let in_use = host.drm(&format!("drmmediarestore {archive} -pvol"));
    refused(&in_use, "KAVX0", "in use");
    wipe(&mut host);
    assert_eq!(
        said(&host, "drmfsrestore 0000000001"),
        "KAVX0001-I The drmfsrestore command will now start.\n\
         KAVX0116-I The volumes are now being restored. Backup ID = 0000000001\n\
         KAVX0117-I The volumes are what they were at the backup. Backup ID = 0000000001\n\
         KAVX0118-I The backup was given up: its S-VOLs follow the restored volumes. \
         Backup ID = 0000000001\n\
         KAVX0002-I The drmfsrestore command will now end."
    );
    host.a.mount();
    host.b.mount();
    assert_eq!((host.a.read("one"), host.b.read("two")), ("first".into(), "second".into()));
    wipe(&mut host);
    let restored = said(&host, &format!("drmmediarestore {archive} -pvol"));
    assert_eq!(restored.matches("KAVX0413-I The volume was restored. volume = ").count(), 2);
    host.a.mount();
    host.b.mount();
    assert_eq!((host.a.read("one"), host.b.read("two")), ("first".into(), "second".into()));
    refused(&host.drm("drmfsrestore 1"), "KAVX0205-E", "overwritten");
    refused(&host.drm("drmmount 7"), "KAVX0201-E", "drmfscat");

    let id = host.back_up();
    assert!(said(&host, &format!("drmresync {id}")).contains("KAVX0220-I"));
    assert_eq!(host.lab.cci(50, "pairvolchk -g snap -ss").code, Some(23), "PVOL_PAIR");
    refused(&host.drm(&format!("drmmount {id}")), "KAVX0205-E", "overwritten");
}

#[test]
fn generations_are_taken_in_turn_and_the_catalogue_says_what_is_gone() {
    let host = Host::new(32 * MIB);
    let standing = |group: &str| host.lab.cci(50, &format!("pairvolchk -g {group} -ss")).code;
    for (round, generation) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
        host.a.write("round", &round.to_string());
        let line = format!("drmfsbackup {} -json", host.both());
        let said = host.drm(&line);
        let json = said.ok();
        assert!(json.contains(&format!("\"generation\": {generation}")), "round {round}: {said}");
        assert!(json.contains("\"state\": \"consistent\""), "{said}");
        assert!(said.stderr.contains("KAVX1601-I"), "messages are not in the way of JSON: {said}");
    }
    assert_eq!((standing("snap"), standing("late")), (Some(24), Some(24)), "PVOL_PSUS");
    let place = host.lab.path("copy");
    host.drm(&format!("drmmount 3 -mount_pt {}", place.display())).ok();
    let below = place.join(host.a.at.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(below.join("round")).unwrap(), "3");
    host.drm("drmumount 3").ok();
    refused(&host.drm("drmmount 1"), "KAVX0205-E", "overwritten");
    // Somebody takes the copy away by hand.
    host.lab.cci(50, "pairresync -g late").ok();
    let said = host.drm("drmmount 4");
    assert!(said.stdout.contains("KAVX0221-W"), "{said}");
    refused(&said, "KAVX0205-E", "overwritten");
    // An S-VOL that somebody else mounted is not overwritten.
    host.drm(&format!("drmmount 3 -mount_pt {}", place.display())).ok();
    let used = host.drm(&format!("drmfsbackup {} -rc local_0", host.both()));
    refused(&used, "KAVX0101-E", "mounted");
    host.drm("drmumount 3").ok();
}

/// A writer stamps one counter into both file systems by turns, each durable before the next.
fn stamp(host: &Host, stop: &AtomicBool) {
    let files = [&host.a, &host.b].map(|volume| {
        let file = volume.at.join("counter");
        fs::OpenOptions::new().create(true).write(true).truncate(false).open(file).unwrap()
    });
    let mut number = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let file = &files[usize::try_from(number % 2).unwrap()];
        file.write_all_at(&number.to_be_bytes(), 0).unwrap();
        file.sync_data().unwrap();
        number += 1;
    }
}

#[test]
fn no_copy_has_a_later_write_without_the_one_before_it() {
    let host = Host::new(32 * MIB);
    let (stop, mut held) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| stamp(&host, &stop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..6 {
                let said = host.drm(&format!("drmfsbackup {}", host.both()));
                let id = backup_id(said.ok());
                let time = said.stdout.lines().find_map(|line| line.split_once("time = "));
                let time: f64 = time.unwrap().1.trim_end_matches(" ms").parse().unwrap();
                println!("backup {id}: file systems frozen for {time} ms");
                held.push(time);
                let place = host.lab.path(&format!("copy{round}"));
                host.drm(&format!("drmmount {id} -mount_pt {}", place.display())).ok();
                let counter = |at: &Path| {
                    let file = place.join(at.strip_prefix("/").unwrap()).join("counter");
                    fs::read(file).ok().and_then(|b| Some(u64::from_be_bytes(b.try_into().ok()?)))
                };
                let both = (counter(&host.a.at), counter(&host.b.at));
                if let (Some(a), Some(b)) = both {
                    assert_eq!(a.abs_diff(b), 1, "backup {id}: {a} and {b} are not one instant");
                } else {
                    assert_eq!(round, 0, "{both:?}: the writer had not begun");
                }
                host.drm(&format!("drmumount {id}")).ok();
            }
        }));
        stop.store(true, Ordering::SeqCst);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    held.sort_by(f64::total_cmp);
    println!("median of {}: {} ms", held.len(), held[held.len() / 2]);
}

#[test]
fn what_cannot_be_backed_up_is_refused_before_anything_is_done() {
    let mut host = Host::new(32 * MIB);
    let (a, b, list) = (host.a.at.display().to_string(), host.b.at.clone(), host.both());
    refused(&host.drm(&format!("drmfsbackup {a}/lost+found")), "KAVX0100-E", &format!("name {a}"));
    refused(&host.drm("drmfsbackup /proc"), "KAVX0100-E", "on no disk");
    refused(&host.drm("drmfsbackup /nowhere/at/all"), "KAVX0100-E", "No such file");
    refused(&host.drm(&format!("drmfsbackup {a} -mode vss")), "KAVX5000-E", "Windows");
    refused(
        &host.drm(&format!("drmfsbackup {list} -rc local_7")),
        "KAVX0101-E",
        "local_0, local_1",
    );
    for line in ["", "/a /b", "/ -freeze_limit 5", "/ -policy hope", "/ -bogus"] {
        let outcome = host.drm(&format!("drmfsbackup {line}"));
        assert_eq!(outcome.code, Some(2), "{outcome}");
    }
    // The catalogue, and what logs while all is frozen.
    host.lab.set("DRM_DB_PATH", b.join("db").to_str().unwrap());
    refused(&host.drm(&format!("drmfsbackup {list}")), "KAVX0100-E", "the backup catalog");
    assert!(!b.join("db").exists(), "nothing is made where nothing may be");
    host.lab.set("DRM_DB_PATH", "");
    // A pair that is paired with another volume, and a volume without any pair.
    let conf = fs::read_to_string(host.lab.conf("horcm50.conf")).unwrap();
    host.lab.shut_down(&[50]).ok();
    let without: Vec<&str> = conf.lines().filter(|line| !line.contains(" dev2 ")).collect();
    fs::write(host.lab.conf("horcm50.conf"), without.join("\n") + "\n").unwrap();
    host.lab.start(&[50]).ok();
    refused(&host.drm(&format!("drmfsbackup {list}")), "KAVX0101-E", "names no pair");
    host.lab.shut_down(&[50]).ok();
    refused(&host.drm(&format!("drmfsbackup {list}")), "EX_ATTHOR", "horcmstart");
    fs::write(host.lab.conf("horcm50.conf"), conf).unwrap();
    host.lab.start(&[50]).ok();
    assert_eq!(host.back_up(), "0000000001", "none of all these took an ID");
}

#[test]
fn two_backups_at_once_are_one_and_a_clear_refusal() {
    let host = Host::new(32 * MIB);
    let list = host.both();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..3).map(|_| scope.spawn(|| host.drm(&format!("drmfsbackup {list}")))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let done = outcomes.iter().filter(|outcome| outcome.code == Some(0)).count();
    assert!(done >= 1, "{outcomes:?}");
    for outcome in outcomes.iter().filter(|outcome| outcome.code != Some(0)) {
        refused(outcome, "KAVX0204-E", "drmfsbackup");
    }
    host.back_up();
}

#[test]
fn a_lost_daemon_or_array_leaves_nothing_frozen_and_the_next_backup_succeeds() {
    let mut host = Host::new(32 * MIB);
    host.lab.kill_horcmd(51);
    refused(&host.drm(&format!("drmfsbackup {}", host.both())), "KAVX0", "HORC");
    assert!(is_thawed(&host.a.at) && is_thawed(&host.b.at));
    host.lab.start(&[51]).ok();
    host.back_up();
    host.lab.kill_horcmd(50);
    refused(&host.drm(&format!("drmfsbackup {}", host.both())), "EX_ATTHOR", "horcmstart");
    assert!(is_thawed(&host.a.at) && is_thawed(&host.b.at));
    host.lab.start(&[50]).ok();
    host.back_up();
}

/// A backup that has just begun with a step, and goes on.
fn behind(host: &Host, step: Step) -> Child {
    let (steps, tell) = std::io::pipe().unwrap();
    let mut command = host.lab.command("drmfsbackup");
    // A descriptor that it inherits, and has no other use for.
    command.args([&host.both(), "-steps", "0"]).stdin(tell);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // What the test holds of the other end would keep it from reading the end of a failed one.
    drop(command);
    let begins = format!("{step} begins");
    let mut told = BufReader::new(steps).lines();
    assert!(told.any(|line| line.unwrap() == begins), "it never came to {step}");
    child
}

#[test]
fn a_backup_that_is_told_to_stop_or_killed_at_any_step_leaves_pairs_for_the_next_one() {
    let host = Host::new(32 * MIB);
    for signal in ["TERM", "INT", "KILL"] {
        for step in Step::ALL {
            let mut child = behind(&host, step);
            let began = Instant::now();
            tool("kill", &[&format!("-{signal}"), &child.id().to_string()]);
            child.wait().unwrap();
            assert!(began.elapsed() < Duration::from_secs(60), "{signal} {step}");
            assert!(is_thawed(&host.a.at) && is_thawed(&host.b.at), "{signal} {step}");
        }
        let id = host.back_up();
        let listed = host.drm("drmfscat").ok().to_owned();
        assert!(!listed.contains("DIED") && !listed.contains("RUNNING"), "{listed}");
        let place = host.lab.path(&format!("copy{id}"));
        host.drm(&format!("drmmount {id} -mount_pt {}", place.display())).ok();
        host.drm(&format!("drmumount {id}")).ok();
    }
    until("no guard is left", || {
        fs::read_dir(host.lab.root().join("drm/run")).unwrap().count() == 0
    });
}

#[test]
fn what_is_to_be_done_about_a_file_system_on_several_luns_is_told() {
    let host = Host::new(32 * MIB);
    let id = host.back_up();
    // As a logical volume on both LUNs leaves it.
    let store = Store::at(host.lab.root().join("drm/db"));
    let on_both = |backup: &mut Backup| backup.volumes[1].mount = backup.volumes[0].mount.clone();
    store.update(id.parse().unwrap(), on_both).unwrap();
    let several = host.drm(&format!("drmmount {id}"));
    for words in ["STATE : on several LUNs: LDEV 19 ", "LDEV 21 ", "raidvchkset -g snap -vg"] {
        refused(&several, "KAVX0111-E", words);
    }
    assert!(store.get(id.parse().unwrap()).unwrap().backup.mounted.is_empty());
}

#[test]
fn commands_that_died_are_gone_on_with() {
    let mut host = Host::new(32 * MIB);
    host.a.write("one", "first");
    let id = host.back_up();
    let place = host.lab.path("copy");
    for pause in [20, 80, 160, 320] {
        let mut command = host.lab.command("drmmount");
        command.args([&id, "-mount_pt", place.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        run::kill(child.id());
        child.wait().unwrap();
        host.drm(&format!("drmmount {id} -mount_pt {}", place.display())).ok();
        let below = place.join(host.a.at.strip_prefix("/").unwrap());
        assert_eq!(fs::read_to_string(below.join("one")).unwrap(), "first");
        host.drm(&format!("drmumount {id}")).ok();
        assert!(!below.join("one").exists());
    }
    host.a.write("one", "changed");
    // As one leaves it that dies behind its first word to the catalogue.
    let store = Store::at(host.lab.root().join("drm/db"));
    store.update(id.parse().unwrap(), |backup| backup.restoring = Some(Vec::new())).unwrap();
    let taken = host.drm(&format!("drmfsbackup {} -rc local_0", host.both()));
    refused(&taken, "KAVX0101-E", "which is being restored");
    host.a.unmount();
    host.b.unmount();
    let mut command = host.lab.command("drmfsrestore");
    let mut child = command.arg(&id).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(60));
    run::kill(child.id());
    let ended = child.wait().unwrap().success();
    let again = host.drm(&format!("drmfsrestore {id}"));
    if ended {
        refused(&again, "KAVX0205-E", "overwritten");
    } else {
        assert!(again.ok().contains("KAVX0117-I"), "{again}");
    }
    assert_eq!(host.lab.cci(50, "pairvolchk -g snap -ss").code, Some(23), "PVOL_PAIR");
    host.a.mount();
    host.b.mount();
    assert_eq!(host.a.read("one"), "first", "{again}");
}
